"""The process of `warm_process.py` that has the large libraries imported and forks itself for each program.

    python warm_server.py FOLDER PID

It listens on FOLDER/socket and ends with the process PID. A program runs where this file ends, not inside the loop, so
that Python ends it as any other: exit code, functions to run at exit, threads that are waited for.
"""

import gc
import importlib
import json
import os
import runpy
import selectors
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import warm_process

LIBRARIES = (
    *("accelerate", "alembic", "bitsandbytes", "datasets", "gguf", "gradio", "pandas", "peft", "psutil"),
    *("pydantic_settings", "safetensors.torch", "scipy.stats", "sqlalchemy", "torch", "trl", "uvicorn"),
    *(f"transformers.models.auto.{name}_auto" for name in ("configuration", "modeling", "tokenization")),
    *(f"trl.trainer.{stage}_trainer" for stage in ("dpo", "kto", "reward", "rloo", "sft")),
)
SETTINGS = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),
    "GOMP_SPINCOUNT": "500",
    "OMP_WAIT_POLICY": "ACTIVE",
}
"""What our programs set before they import a library that reads it on import."""


class Server:
    """Forks a process for each request: a message with the program, and its standard input, output and error."""

    def __init__(self, folder: Path, owner: int) -> None:
        self.folder = folder
        self.owner = os.pidfd_open(owner)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.running: dict[
            int, tuple[int, socket.socket]
        ] = {}  # by a descriptor: the process and who waits for it
        self.ready = selectors.DefaultSelector()
        self.ready.register(self.listener, selectors.EVENT_READ)
        self.ready.register(self.owner, selectors.EVENT_READ)
        self.listener.bind(str(folder / "socket"))
        self.listener.listen()

    def next_program(self) -> dict[str, object] | None:
        """In a forked process: what it is to run. In the server: None, after the end of its owner."""
        while True:
            for key, _ in self.ready.select():
                if key.fd == self.owner:
                    return None
                if key.fileobj is not self.listener:
                    self._report(key.fd)
                elif (program := self._fork()) is not None:
                    return program

    def _fork(self) -> dict[str, object] | None:
        caller = self.listener.accept()[0]
        message, files, *_ = socket.recv_fds(caller, 1 << 20, 3)
        if pid := os.fork():
            caller.send(str(pid).encode())
            descriptor = os.pidfd_open(pid)
            self.running[descriptor] = (pid, caller)
            self.ready.register(descriptor, selectors.EVENT_READ)
        else:
            for number, file in enumerate(files):
                os.dup2(file, number)
            self.ready.close()
            for connection in (self.listener, caller, *(other for _, other in self.running.values())):
                connection.close()
            for descriptor in (self.owner, *self.running):
                os.close(descriptor)
        for file in files:
            os.close(file)
        return None if pid else dict(json.loads(message))

    def _report(self, descriptor: int) -> None:
        pid, caller = self.running.pop(descriptor)
        self.ready.unregister(descriptor)
        os.close(descriptor)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with caller, suppress(OSError):  # perhaps nobody waits any more
            caller.send(str(code).encode())


def run_program(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run what follows `python` on a command line."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    given = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[1:1] = [path for path in given if path not in sys.path]
    if arguments[0] == "-m":
        sys.path[0], sys.argv = folder, ["-m", *arguments[2:]]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.path[0], sys.argv = "", ["-c", *arguments[2:]]
        main = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(arguments[1], "<string>", "exec"), main.__dict__)
    else:
        sys.path[0], sys.argv = str(Path(arguments[0]).resolve().parent), arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    os.environ.update(SETTINGS)
    gc.disable()
    for library in LIBRARIES:
        importlib.import_module(library)
    # The collection at a program's end would visit what the libraries made, and so copy it: two seconds.
    warm_process.collect_seldom()
    server = Server(Path(sys.argv[1]), int(sys.argv[2]))
    program = server.next_program()
    if program is None:
        shutil.rmtree(server.folder, ignore_errors=True)
    else:
        run_program(**program)  # type: ignore[arg-type]
