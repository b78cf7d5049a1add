"""What a base is: the frozen model under a version's adapter, named and told from others of its name."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from feedback_store.hashing import sha256_file

STARTER = "starter"
"""Name of the embedded base; its files lie in `assistant/starter`."""

SMOLLM2 = "smollm2"
"""Name of the default base, SmolLM2-135M-Instruct; its GGUF file lies in an installed package or on the Hub."""

STARTER_FOLDER = Path(__file__).parents[1] / "starter"

Bits = Literal["4bit", "8bit"]
"""How many bits a weight has that bitsandbytes quantizes."""

FileBits = Literal["q8_0", "q4_1", "file"]
"""How llama.cpp's weights are rounded: 8.5 or 5 bits a weight, or as they are in the GGUF file that was given."""


@dataclass(frozen=True)
class Base:
    """The frozen model under an adapter."""

    name: str
    """`starter`, `smollm2`, a Hub id, or a folder (absolute, or relative to the home); of a base in a GGUF file the
    file's path, or HUB-ID:FILE.gguf."""
    revision: str
    """SHA-256 of the weight files for a folder, of the file for GGUF, else the Hub commit. Empty: not yet known."""
    quantize: Bits | None = None
    """Set if adapters were trained on the base so rounded: they are right on no other."""


def folder_hash(folder: Path) -> str:
    """SHA-256 over the safetensors files of a model folder in the order of their names; "" if there are none."""
    weights = sorted(folder.glob("*.safetensors"))
    digest = hashlib.sha256()
    for path in weights:
        digest.update(f"{path.name}:{sha256_file(path)}\n".encode())
    return digest.hexdigest() if weights else ""
