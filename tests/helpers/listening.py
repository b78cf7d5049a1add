"""A small web application on a real port, and whether a server answers."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from helpers.running_app import free_port
from starlette.applications import Starlette


@contextmanager
def listening(application: Starlette) -> Iterator[str]:
    """Serve an application in a thread; yields its address once it listens."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(application, "127.0.0.1", port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def is_healthy(url: str) -> bool:
    """Whether the server at an address says that it is well."""
    try:
        return httpx.get(f"{url}/health", timeout=5).is_success
    except httpx.HTTPError:
        return False
