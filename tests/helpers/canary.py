"""Checks that an internal of a library is still there: a failure names the library and the installed version."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import pytest


def gone(library: str, what: str) -> None:
    """Fail: the installed version of `library` has no `what`, which a `*_compat.py` uses."""
    pytest.fail(
        f"{library} {version(library)} has no {what}. Adapt the *_compat.py that uses it, or pin another version.",
        pytrace=False,
    )


def internal(library: str, module: str, *path: str) -> Any:
    """The attribute at `path` of a module. Fails if module or attribute is gone."""
    try:
        found = importlib.import_module(module)
    except ImportError:
        gone(library, f"module {module}")
    for number, name in enumerate(path):
        if not hasattr(found, name):
            gone(library, f"{module}.{'.'.join(path[: number + 1])}")
        found = getattr(found, name)
    return found


def source_mentions(library: str, function: Any, names: Iterable[str]) -> None:
    """Fails unless the source of a function or class still mentions each of `names`."""
    source = inspect.getsource(function)
    for name in names:
        if name not in source:
            gone(library, f"{name!r} in {function.__module__}.{function.__qualname__}")


def takes(library: str, function: Any, names: Iterable[str]) -> None:
    """Fails unless a function takes parameters of these names."""
    parameters = inspect.signature(function).parameters
    for name in names:
        if name not in parameters:
            gone(library, f"parameter {name!r} of {function.__module__}.{function.__qualname__}")
