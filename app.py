"""Thumbtune: settings → store → registry → engine → page → launch. The same file runs on Hugging Face Spaces."""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

# Gradio reads these when it is imported. A chat page sends no telemetry; and statistics of events, which Gradio would
# compute again over up to 10,000 events after each one, are not used.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(10**9))

from assistant.errors import AddressError, AssistantError
from assistant.fast_imports import fast_imports
from assistant.settings import Settings, from_command_line
from feedback_store import FeedbackStore, StoreError
from feedback_store.backup import Schedule, restore_if_empty
from feedback_store.database.store_location import remember_store

if TYPE_CHECKING:
    from gradio import Blocks

    from assistant.chat.chat import Chat

STOP_SECONDS = 2.0
"""Most time that replies have to end when the app stops …"""
LAST_UPDATE_SECONDS = 0.5
"""… and time in which pages and clients get the last of them: a connection with more to say holds the server open."""


def main(settings: Settings) -> None:
    """Serve until interrupted. Raises AssistantError or StoreError if the app cannot start."""
    check_port(settings.host, settings.port)
    if settings.lost_at_restart:
        print(
            "A Space's disk is emptied at each restart, and the feedback with it. Set THUMBTUNE_BACKUP_URL to a "
            "bucket, such as hf://buckets/NAME/BUCKET, or THUMBTUNE_STORE_URL to a PostgreSQL database.",
            file=sys.stderr,
        )
    restore(settings)

    # Imported only now, because they take seconds: a wrong setting or an unreachable backup shows at once.
    with fast_imports():
        from assistant.admin.actions import AdminActions
        from assistant.admin.cycle_runner import CycleRunner, Follower
        from assistant.api.routes import routes
        from assistant.auth.accounts import Accounts
        from assistant.auth.admins import Admins
        from assistant.auth.pseudonyms import Raters
        from assistant.bases.base_source import origin_of
        from assistant.bases.card_lookup import card_of
        from assistant.bases.suggested_sampling import suggested_sampling
        from assistant.chat.chat import Chat
        from assistant.engine_choice import check_engine, engine_for, starter_engine
        from assistant.page import build_page, dashboard, launch_options
        from assistant.registry.first_version import version_to_serve
        from assistant.registry.versions import Versions
        from assistant.sampling_settings import Sampling
        from assistant.tour.shared_starter import SharedStarter

    check_engine(settings)
    registry = Versions(settings.home)
    if settings.store_url is not None:
        remember_store(settings.home, settings.store_url.get_secret_value())
    with backed_up(settings), FeedbackStore.open_home(settings.home) as store:
        engine = engine_for(settings, registry, version_to_serve(settings.home, settings.model))
        runner = CycleRunner(settings.home, settings.policy)
        follower = Follower(runner, store)
        starter = SharedStarter(partial(starter_engine, settings))
        suggested = suggested_sampling(engine.version.manifest.base, settings.home)
        if settings.temperature is not None:
            suggested["temperature"] = settings.temperature
        sampling = Sampling(**suggested, max_new_tokens=settings.max_new_tokens)
        try:
            chat = Chat(store, engine, sampling, registry)
            services = dashboard.AdminServices(
                chat, store, AdminActions(registry, runner), Admins.of(settings)
            )
            accounts = Accounts.of(settings)
            page = build_page(chat, services, accounts, starter)
            base = engine.version.manifest.base.name
            print(
                f"Serving {engine.version.id} from {settings.home}\n"
                f"Model: {card_of(base, settings.home).name}, {origin_of(base, settings.home)}, by {engine.name}",
                flush=True,
            )
            if services.admins.by_password or services.admins.by_name:
                print(f"Dashboard for admins: {dashboard.PATH} on the same address", flush=True)
            page.queue(default_concurrency_limit=None).launch(
                server_name=settings.host,
                server_port=settings.port,
                root_path=settings.root_path or None,  # None: what GRADIO_ROOT_PATH says
                inbrowser=settings.open_browser,
                quiet=True,  # else Gradio offers to share the page by a server of its own
                prevent_thread_lock=True,
                # One process and one port: routes of the API and of the dashboard come before the page's.
                **launch_options(
                    accounts,
                    [*routes(chat, Raters(settings.home), settings.keys), *dashboard.routes(services)],
                    settings.origins,
                ),
            )
            print(f"Open {page.local_url} in a browser; Ctrl-C ends the app", flush=True)
            wait_until_interrupted(page, chat)
        finally:
            follower.close()
            starter.close()
            engine.close()


def wait_until_interrupted(page: "Blocks", chat: "Chat") -> None:
    """Let the launched page serve until Ctrl-C or SIGTERM, and then close it."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        print("Stopping: answers that are being written end here, and are kept as they are", flush=True)
        # While the server still runs, so that whoever waits is told, and the store is open.
        chat.in_progress.close()
        ends = time.monotonic() + STOP_SECONDS
        while chat.in_progress.count and time.monotonic() < ends:
            time.sleep(0.05)
        time.sleep(LAST_UPDATE_SECONDS)
        page.close(verbose=False)


def restore(settings: Settings) -> None:
    """Fill an empty home from its newest backup, if backups are set up. Raises StoreError."""
    if settings.backup_url is None:
        return
    restored = restore_if_empty(settings.home, settings.backup_url)
    if restored is not None:
        for problem in restored.passed_over:
            print(f"A backup was skipped: {problem}", file=sys.stderr)
        print(f"Restored {settings.home} from the backup of {restored.backup.made:%Y-%m-%d %H:%M:%S} UTC")


@contextmanager
def backed_up(settings: Settings) -> Iterator[None]:
    """Make backups at intervals inside the block, and a last one after it."""
    if settings.backup_url is None:
        yield
        return
    schedule = Schedule(settings.home, settings.backup_url, settings.backup_every, settings.backup_keep)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second signal must not cost the last backup
        print("The last backup was made" if schedule.close() else "The last backup failed", flush=True)


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
    # Containers and Spaces stop the app by SIGTERM: end as after Ctrl-C, so that the last backup is made.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main(from_command_line())
    except KeyboardInterrupt:
        sys.exit(130)
    except (AssistantError, StoreError) as error:
        sys.exit(f"thumbtune: {error}")
