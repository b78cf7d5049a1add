"""Thumbtune: settings → store → versions → engine → page → launch. The same file runs on Hugging Face Spaces."""

import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

# A chat page needs no telemetry, and Gradio reads this when it is imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from assistant.errors import AddressError, AssistantError
from assistant.settings import Settings, from_command_line
from feedback_store import FeedbackStore, StoreError
from feedback_store.home import remember_store

if TYPE_CHECKING:
    from assistant.engine import Engine
    from assistant.remote import RemoteEngine
    from assistant.versions import Version, Versions


def main(settings: Settings) -> None:
    """Serve until interrupted. Raises AssistantError or StoreError where that cannot be done."""
    check_port(settings.host, settings.port)

    # Imported once the settings are known to be good: torch and gradio take seconds.
    from assistant.admins import Admins
    from assistant.api import routes
    from assistant.control import Control
    from assistant.conversation import Chat
    from assistant.first import version_to_serve
    from assistant.loop import Follower, Loop
    from assistant.model import quiet_libraries
    from assistant.page import build_page, dashboard, launch_options
    from assistant.raters import Raters
    from assistant.sampling import Sampling
    from assistant.versions import Versions

    quiet_libraries()
    versions = Versions(settings.home)
    sampling = Sampling(temperature=settings.temperature, max_new_tokens=settings.max_new_tokens)
    if settings.store_url is not None:
        remember_store(settings.home, settings.store_url.get_secret_value())
    with FeedbackStore.open_home(settings.home) as store:
        engine = engine_for(settings, versions, version_to_serve(settings.home, settings.model))
        loop = Loop(settings.home, settings.policy)
        follower = Follower(loop, store)
        try:
            chat = Chat(store, engine, sampling, versions)
            office = dashboard.Office(chat, store, Control(versions, loop), Admins.of(settings))
            page = build_page(chat, office)
            print(f"Serving {engine.version.id} from {settings.home}", flush=True)
            if office.admins.by_password or office.admins.by_name:
                print(f"Dashboard for admins: {dashboard.PATH} on the same address", flush=True)
            page.queue(default_concurrency_limit=None).launch(
                server_name=settings.host,
                server_port=settings.port,
                inbrowser=settings.open_browser,
                # One process and one port: routes of the API and of the dashboard come before the page's.
                app_kwargs={
                    "routes": [
                        *routes(chat, Raters(settings.home), settings.keys),
                        *dashboard.routes(office),
                    ]
                },
                **launch_options(),
            )
        finally:
            follower.close()
            engine.close()


def engine_for(settings: Settings, versions: "Versions", version: "Version") -> "Engine | RemoteEngine":
    """What makes the replies: a model in this process, or another server. Raises AssistantError."""
    if settings.engine_url is not None:
        from assistant.remote import RemoteEngine

        key = settings.engine_key.get_secret_value() if settings.engine_key else ""
        return RemoteEngine(versions, version, settings.engine_url, key, settings.engine_model)
    from assistant.engine import Engine
    from assistant.model import Placement

    return Engine(versions, version, Placement(settings.device, settings.dtype, settings.quantize))


def check_port(host: str, port: int) -> None:
    """Raises AddressError if nothing can listen on `host`:`port`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AddressError(
                f"Cannot listen on {host}:{port} ({error.strerror}). Choose another with --port or --host."
            ) from error


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    try:
        main(from_command_line())
    except (AssistantError, StoreError) as error:
        sys.exit(f"thumbtune: {error}")
