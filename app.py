"""Thumbtune: settings → store → versions → engine → page → launch. The same file runs on Hugging Face Spaces."""

import logging
import os
import socket
import sys

# A chat page needs no telemetry, and Gradio reads this when it is imported.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from assistant.errors import AddressError, AssistantError
from assistant.settings import Settings, from_command_line
from feedback_store import FeedbackStore, StoreError


def main(settings: Settings) -> None:
    """Serve until interrupted. Raises AssistantError or StoreError where that cannot be done."""
    check_port(settings.host, settings.port)

    # Imported once the settings are known to be good: torch and gradio take seconds.
    from assistant.conversation import Chat
    from assistant.engine import Engine
    from assistant.first import version_to_serve
    from assistant.model import quiet_libraries
    from assistant.page import build_page, launch_options
    from assistant.sampling import Sampling
    from assistant.versions import Versions

    quiet_libraries()
    versions = Versions(settings.home)
    sampling = Sampling(temperature=settings.temperature, max_new_tokens=settings.max_new_tokens)
    with FeedbackStore.open(settings.home / "feedback.db") as store:
        engine = Engine(versions, version_to_serve(settings.home, settings.model))
        try:
            page = build_page(Chat(store, engine, sampling))
            print(f"Serving {engine.version.id} from {settings.home}", flush=True)
            page.queue(default_concurrency_limit=None).launch(
                server_name=settings.host,
                server_port=settings.port,
                inbrowser=settings.open_browser,
                **launch_options(),
            )
        finally:
            engine.close()


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
