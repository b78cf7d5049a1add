"""The API over the real starter on a real port, without the page: clients can vanish, and bodies can be broken."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from running_app import free_port
from starlette.applications import Starlette

from assistant.api import routes
from assistant.conversation import Chat
from assistant.engine import Engine
from assistant.first import version_to_serve
from assistant.raters import Raters
from assistant.sampling import Sampling
from assistant.versions import Versions
from feedback_store import FeedbackStore


@dataclass
class Serving:
    """A running API and what lies behind it."""

    url: str
    store: FeedbackStore
    engine: Engine
    chat: Chat
    home: Path


@contextmanager
def serving_api(home: Path, keys: tuple[str, ...] = (), engine: Engine | None = None) -> Iterator[Serving]:
    """Start it on `home`, over `engine` or one of its own; yields once it listens."""
    home.mkdir(exist_ok=True)
    own = engine or Engine(Versions(home), version_to_serve(home, None))
    with FeedbackStore.open(home / "feedback.db") as store:
        chat = Chat(store, own, Sampling(temperature=0.0, max_new_tokens=60))
        application = Starlette(routes=routes(chat, Raters(home), keys))
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(application, "127.0.0.1", port, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.02)
            yield Serving(f"http://127.0.0.1:{port}", store, own, chat, home)
        finally:
            server.should_exit = True
            thread.join()
            if engine is None:
                own.close()
