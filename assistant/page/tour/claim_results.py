"""What was measured of each claim: `docs/claims/summary.json`, which `benchmarks.claims` writes, and the plots.

An installed package has no `docs`; then the tour says where they are.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

log = logging.getLogger(__name__)

DOCS = Path(__file__).parents[3] / "docs"
_PLOT = re.compile(r"[a-z_]+(\.zh)?\.svg")

Verdict = Literal["held", "partly", "not held", "untested"]
"""Untested: what the claim needs to be put to the test was not seen, such as a model that has learned something."""


@dataclass(frozen=True)
class ClaimResult:
    """The result of one claim, as the tour shows it."""

    verdict: Verdict
    plain: str
    """What was seen, in words for everybody, in the language that was asked for."""
    conditions: Sequence[tuple[str, bool]]
    """What had to be seen for the claim to hold, and whether it was."""
    finding: str
    """The figures that decide, with their intervals."""
    command: str
    date: str
    plot: str
    """Name of the plot's file, "" if there is none."""


def are_docs_here() -> bool:
    """Whether the documents lie beside the package."""
    return (DOCS / "explanation.md").is_file()


def claim_results(language: str) -> dict[str, ClaimResult]:
    """The results that are there, by the names of their claims; what cannot be read is left out."""
    path = DOCS / "claims" / "summary.json"
    try:
        return {
            name: ClaimResult(
                result["verdict"],
                result["plain"][language],
                [(each[language], bool(each["is_met"])) for each in result["conditions"]],
                result["finding"][language],
                result["command"],
                result["date"],
                plot(name, language),
            )
            for name, result in json.loads(path.read_text(encoding="utf-8")).items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        log.exception("The results of the claims cannot be read from %s", path)
        return {}


def plot(name: str, language: str) -> str:
    """Name of the plot of a claim in this language, else in English, "" if there is none."""
    names = [f"{name}.{language}.svg", f"{name}.svg"]
    return next((file for file in names if (DOCS / "images" / "claims" / file).is_file()), "")


def plot_route() -> Route:
    """GET /tour/plots/NAME, to be placed before Gradio's routes."""

    async def send(request: Request) -> Response:
        name = request.path_params["name"]
        path = DOCS / "images" / "claims" / name
        if not _PLOT.fullmatch(name) or not path.is_file():
            return Response(status_code=404)
        return FileResponse(path, media_type="image/svg+xml", headers={"Cache-Control": "no-cache"})

    return Route("/tour/plots/{name}", send, methods=["GET"])
