"""What `stats` shows: how much was said, when, of which version, for which reasons, and whether people agree.

Shares come with Wilson's 95 % interval. Agreement is Krippendorff's alpha for nominal values ("Content Analysis", 2004,
ch. 11): 1 where all who judged a text agree, 0 where they agree as often as chance would have it, below 0 where they
agree less. A text is here what it is for training rows: the same answer to nearly the same prompt.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from feedback_store.errors import MissingDependency
from feedback_store.optional_packages import optional_package
from feedback_store.progress_bars import ShowProgress, no_progress
from feedback_store.rows.prompt_matching import digest, prompt_key
from feedback_store.stats.intervals import wilson
from feedback_store.store.open_store import FeedbackStore

SPAN_NAMES = {
    3_600: "hour",
    86_400: "day",
    7 * 86_400: "week",
    28 * 86_400: "4 weeks",
    364 * 86_400: "52 weeks",
}
MOST_SPANS = 30
LONGEST_BAR = 50  # characters


@dataclass(frozen=True)
class TimeSpan:
    """Thumbs first given from `start` on (seconds since 1970, UTC)."""

    start: int
    up: int
    down: int


@dataclass(frozen=True)
class Agreement:
    """How far people agree about the `texts` that at least two of them judged, by `thumbs` in all.

    `alpha` is None where it is not defined: nothing was judged twice, or all these thumbs point the same way.
    """

    alpha: float | None
    texts: int
    thumbs: int


@dataclass(frozen=True)
class Stats:
    """`counts` as of `FeedbackStore.counts`; `over_time` in spans of `seconds`, empty ones included.

    `agreement` by version, and of all under "": a text that several versions wrote is one text there. It is empty
    where NLTK, which works it out, is not installed.
    """

    counts: dict[str, Any]
    seconds: int
    over_time: list[TimeSpan]
    agreement: dict[str, Agreement]

    def plain(self) -> dict[str, Any]:
        """For JSON: the counts, with `up_share`, `over_time` and `agreement` added."""
        shares = {
            version: asdict(wilson(of["up"], of["up"] + of["down"]))
            for version, of in self.counts["versions"].items()
            if of["up"] + of["down"]
        }
        return self.counts | {
            "up_share": shares,
            "over_time": {"seconds": self.seconds, "spans": [asdict(one) for one in self.over_time]},
            "agreement": {version: asdict(one) for version, one in self.agreement.items()},
        }


def gather(store: FeedbackStore, progress: ShowProgress = no_progress) -> Stats:
    """Ask the store."""
    counts = store.counts()
    seconds, spans = _over_time(store)
    return Stats(counts, seconds, spans, _agreements_of(store, progress))


def _over_time(store: FeedbackStore) -> tuple[int, list[TimeSpan]]:
    hours = store.thumbs_over_time(min(SPAN_NAMES))
    if not hours:
        return min(SPAN_NAMES), []
    first, last = hours[0][1], hours[-1][1]
    seconds = next((one for one in SPAN_NAMES if last // one - first // one < MOST_SPANS), max(SPAN_NAMES))
    up, down = Counter[int](), Counter[int]()
    for _, start, more_up, more_down in hours:
        up[start // seconds] += more_up
        down[start // seconds] += more_down
    numbers = range(first // seconds, last // seconds + 1)
    return seconds, [TimeSpan(number * seconds, up[number], down[number]) for number in numbers]


def _agreements_of(store: FeedbackStore, progress: ShowProgress) -> dict[str, Agreement]:
    try:
        task = optional_package("nltk.metrics.agreement", "Figures of agreement").AnnotationTask
    except MissingDependency:
        return {}
    by_version: dict[str, dict[tuple[bytes, str], int]] = {"": {}}
    for version, text, rater, value in _judged(store, progress):
        for name in ("", version):
            by_version.setdefault(name, {})[text, rater] = value  # the last word on a text
    return {version: _agreement(task, votes) for version, votes in sorted(by_version.items())}


def _judged(store: FeedbackStore, progress: ShowProgress) -> Iterator[tuple[str, bytes, str, int]]:
    """(version, text, rater, value) of every thumb."""
    thumbs = progress(store.thumbs(), "comparing thumbs")
    for thumb, messages in store.with_transcripts(thumbs, lambda thumb: thumb.parent_id):
        text = digest(prompt_key(messages, thumb.think), thumb.thought or "", thumb.answer)
        yield thumb.version, text, thumb.rater, thumb.value


def _agreement(task: Any, votes: dict[tuple[bytes, str], int]) -> Agreement:
    raters = Counter(text for text, _ in votes)
    shared = [(rater, text, value) for (text, rater), value in votes.items() if raters[text] > 1]
    texts = len({text for _, text, _ in shared})
    differ = len({value for _, _, value in shared}) > 1
    return Agreement(float(task(shared).alpha()) if differ else None, texts, len(shared))


def lines(stats: Stats) -> Iterator[str]:
    """The figures in words and bars, for a terminal of any encoding as far as the names allow it."""
    counts = stats.counts
    for name in ("raters", "conversations", "messages", "replies"):
        yield f"{name:<15}{counts[name]:>9,}"
    yield ""
    yield from _versions(counts)
    yield f"\ncorrections{counts['corrections']:>13,}"
    yield "comparisons   " + "".join(f"{name:>11}" for name in counts["comparisons"])
    yield " " * 14 + "".join(f"{number:>11,}" for number in counts["comparisons"].values())
    if stats.over_time:
        yield f"\nthumbs by when they were first given, each {SPAN_NAMES[stats.seconds]} (UTC; + up, - down)"
        most = max(one.up + one.down for one in stats.over_time)
        for one in stats.over_time:
            bar = _bar(one.up, most, "+") + _bar(one.down, most, "-")
            yield f"{moment(one.start, stats.seconds)}  {bar.ljust(LONGEST_BAR + 1)} {one.up:,} up, {one.down:,} down"
    if counts["reasons"]:
        yield "\nreasons"
        most = max(counts["reasons"].values())
        for reason, number in counts["reasons"].items():
            yield f"{number:>9,}  {_bar(number, most, '#').ljust(LONGEST_BAR)}  {reason}"
    if counts["ratings"]["up"] + counts["ratings"]["down"]:
        yield from _agreements(stats.agreement)


def moment(start: int, seconds: int) -> str:
    """When a span begins, in UTC."""
    return datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M" if seconds < 86_400 else "%Y-%m-%d")


def _versions(counts: dict[str, Any]) -> Iterator[str]:
    names = ("replies", "up", "down", "withdrawn")
    width = max([len("version"), *map(len, counts["versions"])])
    yield "version".ljust(width) + "".join(f"{name:>11}" for name in names) + "   up of thumbs, 95 % interval"
    total = {"replies": counts["replies"], **counts["ratings"]}
    for version, of in [*counts["versions"].items(), ("all", total)]:
        share = ""
        if of["up"] + of["down"]:
            one = wilson(of["up"], of["up"] + of["down"])
            share = f"   {100 * one.value:5.1f} %  [{100 * one.low:.1f}, {100 * one.high:.1f}]"
        yield version.ljust(width) + "".join(f"{of[name]:>11,}" for name in names) + share


def _agreements(found: dict[str, Agreement]) -> Iterator[str]:
    if not found:
        yield "\nfor the agreement between raters: pip install -r requirements-train.txt"
        return
    yield "\nagreement between raters (Krippendorff's alpha: 1 always, 0 as by chance)"
    for version, one in found.items():
        if one.alpha is not None:
            said = f"{one.alpha:6.2f}"
        elif one.texts:
            said = "not defined: all these thumbs point the same way"
        else:
            said = "not defined: no text was judged by two people"
        of = f", {one.texts:,} texts, {one.thumbs:,} thumbs" if one.texts else ""
        if not version or one.texts:
            yield f"{version or 'all'}: {said}{of}"


def _bar(number: int, most: int, sign: str) -> str:
    # Whatever is not nothing is seen.
    return sign * max(round(LONGEST_BAR * number / most), number > 0)
