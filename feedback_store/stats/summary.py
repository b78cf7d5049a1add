"""Statistics of a store: feedback by version and over time, reasons, and agreement between raters.

Shares have Wilson's 95 % interval. Agreement is Krippendorff's alpha for nominal values ("Content Analysis", 2004,
ch. 11): 1 if all raters of each text agree, 0 if they agree as often as by chance, below 0 if they agree less often.
As for training rows, a text is the same answer to nearly the same prompt.
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
    """Number of thumbs up and down that were first given in the span from `start` (seconds since 1970, UTC)."""

    start: int
    up: int
    down: int


@dataclass(frozen=True)
class Agreement:
    """Agreement about the `texts` that at least two people rated, with `thumbs` ratings in total.

    `alpha` is None if it is not defined: no text has two raters, or all thumbs are the same.
    """

    alpha: float | None
    texts: int
    thumbs: int


@dataclass(frozen=True)
class Stats:
    """All statistics. `counts` is from `FeedbackStore.counts`; `over_time` has spans of `seconds`, also empty ones.

    `agreement` is by version, and for all versions under "", where a text that several versions wrote is one text.
    It is empty if NLTK, which computes it, is not installed.
    """

    counts: dict[str, Any]
    seconds: int
    over_time: list[TimeSpan]
    agreement: dict[str, Agreement]

    def plain(self) -> dict[str, Any]:
        """Values for JSON: the counts, and in addition `up_share`, `over_time` and `agreement`."""
        shares = {
            version: asdict(wilson(of["up"], of["up"] + of["down"]))
            for version, of in self.counts["versions"].items()
            if of["up"] + of["down"]
        }
        return self.counts | {
            "up_share": shares,
            "over_time": {"seconds": self.seconds, "spans": [asdict(span) for span in self.over_time]},
            "agreement": {version: asdict(value) for version, value in self.agreement.items()},
        }


def gather(store: FeedbackStore, progress: ShowProgress = no_progress) -> Stats:
    """Compute the statistics of a store."""
    counts = store.counts()
    seconds, spans = _over_time(store)
    return Stats(counts, seconds, spans, _agreements_of(store, progress))


def _over_time(store: FeedbackStore) -> tuple[int, list[TimeSpan]]:
    hours = store.thumbs_over_time(min(SPAN_NAMES))
    if not hours:
        return min(SPAN_NAMES), []
    earliest, latest = hours[0][1], hours[-1][1]
    seconds = next(
        (span for span in SPAN_NAMES if latest // span - earliest // span < MOST_SPANS), max(SPAN_NAMES)
    )
    up, down = Counter[int](), Counter[int]()
    for _, start, more_up, more_down in hours:
        up[start // seconds] += more_up
        down[start // seconds] += more_down
    numbers = range(earliest // seconds, latest // seconds + 1)
    return seconds, [TimeSpan(number * seconds, up[number], down[number]) for number in numbers]


def _agreements_of(store: FeedbackStore, progress: ShowProgress) -> dict[str, Agreement]:
    try:
        task = optional_package("nltk.metrics.agreement", "Figures of agreement").AnnotationTask
    except MissingDependency:
        return {}
    by_version: dict[str, dict[tuple[bytes, str], int]] = {"": {}}
    for version, text, rater, value in _judged(store, progress):
        for name in ("", version):
            by_version.setdefault(name, {})[text, rater] = value  # the latest rating of a text counts
    return {version: _agreement(task, votes) for version, votes in sorted(by_version.items())}


def _judged(store: FeedbackStore, progress: ShowProgress) -> Iterator[tuple[str, bytes, str, int]]:
    """(version, key of the text, rater, value) of every thumb."""
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
    """The statistics as lines of text, with bars of ASCII characters."""
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
        most = max(span.up + span.down for span in stats.over_time)
        for span in stats.over_time:
            bar = _bar(span.up, most, "+") + _bar(span.down, most, "-")
            start = moment(span.start, stats.seconds)
            yield f"{start}  {bar.ljust(LONGEST_BAR + 1)} {span.up:,} up, {span.down:,} down"
    if counts["reasons"]:
        yield "\nreasons"
        most = max(counts["reasons"].values())
        for reason, number in counts["reasons"].items():
            yield f"{number:>9,}  {_bar(number, most, '#').ljust(LONGEST_BAR)}  {reason}"
    if counts["ratings"]["up"] + counts["ratings"]["down"]:
        yield from _agreements(stats.agreement)


def moment(start: int, seconds: int) -> str:
    """The date, or date and time for short spans, at which a span starts, in UTC."""
    return datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M" if seconds < 86_400 else "%Y-%m-%d")


def _versions(counts: dict[str, Any]) -> Iterator[str]:
    names = ("replies", "up", "down", "withdrawn")
    width = max([len("version"), *map(len, counts["versions"])])
    yield "version".ljust(width) + "".join(f"{name:>11}" for name in names) + "   up of thumbs, 95 % interval"
    total = {"replies": counts["replies"], **counts["ratings"]}
    for version, of in [*counts["versions"].items(), ("all", total)]:
        share = ""
        if of["up"] + of["down"]:
            up = wilson(of["up"], of["up"] + of["down"])
            share = f"   {100 * up.value:5.1f} %  [{100 * up.low:.1f}, {100 * up.high:.1f}]"
        yield version.ljust(width) + "".join(f"{of[name]:>11,}" for name in names) + share


def _agreements(agreement: dict[str, Agreement]) -> Iterator[str]:
    if not agreement:
        yield "\nfor the agreement between raters: pip install -r requirements-train.txt"
        return
    yield "\nagreement between raters (Krippendorff's alpha: 1 always, 0 as by chance)"
    for version, value in agreement.items():
        if value.alpha is not None:
            alpha = f"{value.alpha:6.2f}"
        elif value.texts:
            alpha = "not defined: all these thumbs point the same way"
        else:
            alpha = "not defined: no text was judged by two people"
        of = f", {value.texts:,} texts, {value.thumbs:,} thumbs" if value.texts else ""
        if not version or value.texts:
            yield f"{version or 'all'}: {alpha}{of}"


def _bar(number: int, most: int, sign: str) -> str:
    """One character for each, or fewer if the longest bar would not fit; a number above 0 gets at least one."""
    return sign * max(round(LONGEST_BAR * number / max(most, LONGEST_BAR)), number > 0)
