"""Rows for tests of DPO, the reward model and quantized bases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from alignment.data.splits import is_held_out


def row(number: int) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": f"Tom has {number} apples and buys 2 more. How many has he?"}
        ],
        "think": False,
        "chosen": {"thought": "", "answer": f"{number + 2} apples"},
        "rejected": {"thought": "", "answer": f"{number + 2}"},
    }


def numbers(held_out: bool, count: int) -> list[int]:
    """The first numbers whose rows are held out, or are not."""
    matches = [number for number in range(1000) if is_held_out(row(number)["messages"]) == held_out]
    return matches[:count]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in rows), encoding="utf-8")
    return path
