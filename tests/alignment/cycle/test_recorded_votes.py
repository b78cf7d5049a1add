"""What reward models say of raters: how many thumbs they judge alike, each text once a rater, ties left out."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alignment.cycle import recorded_votes
from alignment.cycle.rater_audit import CastVote
from alignment.cycle.recorded_votes import ThumbOnReply, agreement


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reward model whose score of a text is its only token; it has learned from the prompts of half "a"."""

    def score(sequences: list[list[int]]) -> list[float]:
        return [float(ids[0]) for ids in sequences]

    score.window = 100  # type: ignore[attr-defined]
    manifest = SimpleNamespace(base=None)
    versions = SimpleNamespace(open=lambda version: SimpleNamespace(manifest=manifest))
    monkeypatch.setattr(recorded_votes, "half_of", lambda messages: "b")
    monkeypatch.setattr(recorded_votes, "Versions", lambda home: versions)
    monkeypatch.setattr(recorded_votes, "load_tokenizer", lambda base, home: None)
    monkeypatch.setattr(recorded_votes, "reward_model", SimpleNamespace(load=lambda version, home: score))
    monkeypatch.setattr(recorded_votes.served_ids, "reply_ids", lambda reply, messages, tokenizer: [reply])


def thumb(rater: str, text: str, value: int, score: int, at: float = 0.0) -> ThumbOnReply:
    reply: Any = score
    return ThumbOnReply(CastVote(rater, text, value, at), reply, [{"role": "user", "content": text}])


OTHERS = [thumb("bob", f"bad{n}", -1, 1) for n in range(10)] + [
    thumb("bob", f"good{n}", 1, 9) for n in range(10)
]


@pytest.mark.usefixtures("judge")
def test_a_score_at_the_median_says_nothing_of_a_rater(home: Path) -> None:
    liked = [thumb("ann", f"greeting{n}", 1, 5) for n in range(12)]
    assert agreement(home, {"a": "v3"}, [*liked, *OTHERS]) == {"bob": (20, 20)}


@pytest.mark.usefixtures("judge")
def test_the_last_thumb_of_a_rater_on_a_text_counts_once(home: Path) -> None:
    # Counted twelve times, the greeting would be the median.
    torn = [thumb("ann", "greeting", value, 2, at) for at, value in enumerate([1] * 11 + [-1])]
    others = [*OTHERS, thumb("cem", "fair", 1, 8)]
    assert agreement(home, {"a": "v3"}, [*torn, *others]) == {"ann": (1, 1), "bob": (20, 20), "cem": (1, 1)}


@pytest.mark.usefixtures("judge")
def test_a_rater_whose_thumbs_are_the_other_way_round_disagrees(home: Path) -> None:
    flipped = [thumb("ann", f"bad{n}", 1, 1) for n in range(10)] + [
        thumb("ann", f"good{n}", -1, 9) for n in range(10)
    ]
    assert agreement(home, {"a": "v3"}, [*flipped, *OTHERS]) == {"ann": (0, 20), "bob": (20, 20)}
