"""What Prometheus reads at `/metrics`: its text format, version 0.0.4 (prometheus.io/docs, "Exposition formats")."""

from collections import Counter
from collections.abc import Iterable, Iterator

from assistant.chat.in_progress import RepliesInProgress
from assistant.chat.reply_totals import SECONDS, Histogram

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Requests = Counter[tuple[str, str, int]]
"""Answered requests by method, route and status."""


def exposition(requests: Requests, replies: RepliesInProgress, released: str, running: bool) -> str:
    """All metrics. `released`: id of the released version. `running`: whether replies can be generated now."""
    totals = replies.totals
    lines = [
        *_lines("up", "gauge", "Whether replies can be generated now.", [({}, int(running))]),
        *_lines("released_version", "gauge", "The released version.", [({"version": released}, 1)]),
        *_lines(
            "requests_total",
            "counter",
            "Requests to the API that were answered.",
            [
                ({"method": method, "path": path, "status": str(status)}, count)
                for (method, path, status), count in sorted(requests.items())
            ],
        ),
        *_lines("replies_in_progress", "gauge", "Replies that are being written.", [({}, replies.count)]),
        *_lines(
            "replies_total",
            "counter",
            "Replies of the page and the API that have ended.",
            [
                ({"version": version, "finish_reason": reason}, count)
                for (version, reason), count in sorted(totals.ended.items())
            ],
        ),
        *_lines("prompt_tokens_total", "counter", "Tokens of their prompts.", [({}, totals.prompt_tokens)]),
        *_lines("completion_tokens_total", "counter", "Their tokens.", [({}, totals.completion_tokens)]),
        *_histogram("first_token_seconds", "Seconds to a reply's first token.", totals.first_token),
        *_histogram("reply_seconds", "Seconds to a reply's end.", totals.whole),
    ]
    return "\n".join(lines) + "\n"


def _lines(
    name: str, kind: str, meaning: str, samples: Iterable[tuple[dict[str, str], float]]
) -> Iterator[str]:
    yield from _head(name, kind, meaning)
    for labels, value in samples:
        yield f"thumbtune_{name}{_labels(labels)} {value}"


def _histogram(name: str, meaning: str, histogram: Histogram) -> Iterator[str]:
    yield from _head(name, "histogram", meaning)
    below = 0
    for bound, count in zip((*map(str, SECONDS), "+Inf"), histogram.counts, strict=True):
        below += count
        yield f"thumbtune_{name}_bucket{_labels({'le': bound})} {below}"
    yield f"thumbtune_{name}_sum {histogram.total}"
    yield f"thumbtune_{name}_count {below}"


def _head(name: str, kind: str, meaning: str) -> Iterator[str]:
    yield f"# HELP thumbtune_{name} {meaning}"
    yield f"# TYPE thumbtune_{name} {kind}"


def _labels(labels: dict[str, str]) -> str:
    pairs = [f'{name}="{_escaped(value)}"' for name, value in labels.items()]
    return "{" + ",".join(pairs) + "}" if pairs else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
