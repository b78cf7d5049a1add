"""Where a claim's finished parts are kept, and how it trains and loads versions."""

import importlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.registry.first_version import version_to_serve
from assistant.registry.versions import Versions
from assistant.serving.loading import Loaded, load_for_serving
from feedback_store.atomic_files import write_atomically


@dataclass(frozen=True)
class Context:
    """One claim's measurement: a full one, or a quick one that only shows that the program works."""

    folder: Path
    """Keeps the results of finished parts, and the homes in which versions are trained."""
    quick: bool = False
    seed: int | None = None
    """Only the parts of this seed are measured, for a process beside others. A context without one gathers them."""

    @property
    def _parts(self) -> Path:
        return self.folder / "parts"

    @property
    def shared(self) -> Path:
        """Keeps the models with which several claims begin."""
        return self.folder.parent / "shared"

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of every trained figure."""
        if self.seed is not None:
            return (self.seed,)
        return (1,) if self.quick else (1, 2, 3)

    def once(self, name: str, make: Callable[..., Any], *arguments: Any) -> Any:
        """The JSON value that `make` returns: made once and kept as the part `name`, a file name without its end."""
        path = self._parts / f"{name}.json"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            print(f"{time.strftime('%H:%M:%S')} {self.folder.name}: {name}", flush=True)
            # Of the processor, so that other work beside it does not count.
            began = time.process_time()
            result = make(*arguments)
            part = {"ended": time.time(), "seconds": time.process_time() - began, "result": result}
            write_atomically(path, json.dumps(part, ensure_ascii=False) + "\n")
        return json.loads(path.read_text(encoding="utf-8"))["result"]

    def parts(self) -> list[dict[str, Any]]:
        """The finished parts, without their results, in the order in which they ended."""
        parts = []
        for path in self._parts.rglob("*.json"):
            part = json.loads(path.read_text(encoding="utf-8"))
            name = path.relative_to(self._parts).with_suffix("").as_posix()
            parts.append({"part": name, "seconds": round(part["seconds"], 1), "ended": part["ended"]})
        return sorted(parts, key=lambda part: part["ended"])

    def home(self, name: str, model: str = "starter") -> Path:
        """The home `name` below the folder, whose v1 is `model`."""
        home = self.folder / "homes" / name
        version_to_serve(home, model)
        return home


def run_stage(stage: str, home: Path, *flags: str) -> str:
    """Train a version by a stage; returns its id. Started again, it goes on from the last checkpoint.

    Raises what the stage does: an AlignmentError that says why nothing was trained.
    """
    module = importlib.import_module(f"alignment.stages.{stage}")
    version: str = module.main(["--home", str(home), *flags])
    return version


def load(home: Path, version: str = "v1") -> Loaded:
    """A version of a home, its adapter merged."""
    return load_for_serving(Versions(home).open(version), home)
