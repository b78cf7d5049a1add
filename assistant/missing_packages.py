"""Packages that only some installations have, and which file of requirements brings them.

`requirements.txt` serves by llama.cpp or another server. `requirements-gpu.txt` adds the engine on transformers, and
`requirements-train.txt` adds training. Standard library only, so that a missing package is reported before any import.
"""

from collections.abc import Iterable
from importlib.util import find_spec

from assistant.errors import PackagesMissing

ENGINE = ("torch", "transformers", "peft", "accelerate")
"""What the engine on transformers imports."""
TRAINING = (*ENGINE, "datasets", "scipy", "trl")
"""What training, evaluation and cycles import; some stages can do without some of them."""


def missing(packages: Iterable[str]) -> list[str]:
    """Those of `packages` that are not installed here."""
    return [name for name in packages if find_spec(name) is None]


def need_engine_packages() -> None:
    """Raises PackagesMissing if this installation lacks the engine on transformers."""
    if absent := missing(ENGINE):
        raise PackagesMissing(
            f"The engine on transformers needs packages that are not installed here: {', '.join(absent)}. Install them "
            "with `pip install -r requirements-gpu.txt`, or serve a Llama, Mistral, Qwen, Gemma 3 or SmolLM3 model "
            "with --engine llama.cpp."
        )


def need_training_packages() -> None:
    """Raises PackagesMissing if this installation cannot train."""
    if absent := missing(TRAINING):
        raise PackagesMissing(
            f"This command needs packages that are not installed here: {', '.join(absent)}. Install them with "
            "`pip install -r requirements-train.txt`, or run it on another machine, on a copy of the home."
        )
