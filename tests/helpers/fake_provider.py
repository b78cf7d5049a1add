"""An OpenID provider on this machine, as Hugging Face is one: who signs in there is whoever the test says."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "space-client", "space-secret"


class Provider:
    """`name` is the account that consents next; `url` is where it listens."""

    def __init__(self) -> None:
        self.name = ""
        self.url = ""
        self.seconds = 3600
        """For which a login holds."""
        self.key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self.nonces: dict[str, str] = {}

    def configuration(self) -> dict[str, object]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def consent(self, asked: dict[str, str]) -> str:
        """Where the browser is sent back to, with a code that is good once."""
        code = f"code-{len(self.nonces)}"
        self.nonces[code] = asked["nonce"]
        apart = "&" if "?" in asked["redirect_uri"] else "?"
        return asked["redirect_uri"] + apart + urlencode({"code": code, "state": asked["state"]})

    def token(self, code: str) -> dict[str, object]:
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": CLIENT, "sub": f"id of {self.name}", "nonce": self.nonces.pop(code),
            "iat": now, "exp": now + self.seconds, "preferred_username": self.name, "name": self.name,
            "profile": f"{self.url}/{self.name}", "picture": f"{self.url}/{self.name}.png",
        }  # fmt: skip
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        return {
            "access_token": "opens nothing here",
            "token_type": "bearer",
            "expires_in": self.seconds,
            "id_token": signed,
        }


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider that answers until the end of the block."""
    provider = Provider()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if asked.path == "/.well-known/openid-configuration":
                self.give(provider.configuration())
            elif asked.path == "/keys":
                self.give({"keys": [provider.key.as_dict(private=False)]})
            elif asked.path == "/authorize":
                self.send_response(302)
                given = {name: values[0] for name, values in parse_qs(asked.query).items()}
                self.send_header("Location", provider.consent(given))
                self.end_headers()
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.give(provider.token(body["code"][0]))

        def give(self, content: dict[str, object]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    provider.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
