"""Packages that serving does not need: imported when a feature is used."""

import importlib
from typing import Any

from feedback_store.errors import MissingDependency


def optional_package(module: str, purpose: str, install: str | None = None) -> Any:
    """Import `module`, which is needed for `purpose` (a plural noun, such as "Parquet files").

    Raises MissingDependency with the command `pip install INSTALL` (default: the package itself) if it is not
    installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependency(
            f"{purpose} need the package {package}: pip install {install or package}"
        ) from error
