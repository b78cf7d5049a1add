"""Raters who vote as nobody means to are named with their figures; honest ones, who err now and then, are not."""

import random

from alignment.cycle.rater_audit import CastVote, Suspect, find


def honest(raters: int, texts: int, seed: int = 1, noise: float = 0.1) -> list[CastVote]:
    """Every rater judges every text once, minutes apart. Even texts are good; a share of the votes are mistakes."""
    rng = random.Random(seed)
    return [
        CastVote(
            f"rater{rater}",
            f"text{text}",
            (1 if text % 2 == 0 else -1) * (-1 if rng.random() < noise else 1),
            60.0 * (text * raters + rater),
        )
        for rater in range(raters)
        for text in range(texts)
    ]


def named(suspects: list[Suspect]) -> set[tuple[str, str]]:
    return {(suspect.rater, suspect.what) for suspect in suspects}


def test_honest_raters_who_err_sometimes_are_not_named() -> None:
    for seed in range(20):
        assert find(honest(6, 30, seed)) == []


def test_raters_who_vote_at_random_are_rarely_named() -> None:
    assert sum(bool(find(honest(6, 40, seed, noise=0.5))) for seed in range(100)) <= 3


def test_a_rater_with_flipped_labels_is_named_with_the_numbers() -> None:
    votes = [
        CastVote(vote.rater, vote.text, -vote.value if vote.rater == "rater3" else vote.value, vote.at)
        for vote in honest(6, 30, noise=0.05)
    ]
    (suspect,) = find(votes)
    assert (suspect.rater, suspect.what) == ("rater3", "against the others")
    assert "of 30 votes" in suspect.text


def test_reward_models_reveal_flipped_labels_where_no_text_was_judged_twice() -> None:
    votes = [CastVote(f"rater{n % 4}", f"text{n}", 1, 60.0 * n) for n in range(80)]
    assert find(votes) == []
    suspects = find(votes, {"rater0": (17, 20), "rater1": (3, 20), "rater2": (12, 20), "rater3": (1, 4)})
    assert named(suspects) == {("rater1", "against the judges")}
    assert "3 of 20" in suspects[0].text


def test_a_rater_who_likes_what_everybody_else_dislikes_is_named_after_a_few_votes() -> None:
    def votes(ups: dict[int, int]) -> list[CastVote]:
        """Twenty raters with eight votes each on texts of their own; `ups`: how many of them are up."""
        return [
            CastVote(
                f"rater{rater}",
                f"text{rater}-{n}",
                1 if n < ups.get(rater, 1) else -1,
                60.0 * (8 * rater + n),
            )
            for rater in range(20)
            for n in range(8)
        ]

    (suspect,) = find(votes({0: 8}))
    assert (suspect.rater, suspect.what) == ("rater0", "the other way round")
    assert "gave 8 of 8 votes up, all others 12 % of theirs" in suspect.text
    # Who is only kinder than others is not named, nor who stands alone.
    assert find(votes({0: 5})) == [] and find(votes({})) == []
    assert find([CastVote("me", f"text{n}", 1, 60.0 * n) for n in range(30)]) == []


def test_a_flood_is_named_by_its_share_and_by_its_speed() -> None:
    calm = honest(5, 20)
    loud = [CastVote("loud", f"other{n}", 1, 1e6 + 60.0 * n) for n in range(200)]
    fast = [CastVote("fast", f"more{n}", 1, 2e6 + n) for n in range(25)]
    suspects = find([*calm, *loud, *fast])
    assert named(suspects) == {("loud", "flood"), ("fast", "flood")}
    assert "200 of all 325 votes" in next(suspect.text for suspect in suspects if suspect.rater == "loud")
    assert "25 votes within 60 seconds" in next(
        suspect.text for suspect in suspects if suspect.rater == "fast"
    )


def test_the_only_rater_of_a_home_is_no_flood() -> None:
    assert find([CastVote("me", f"text{n}", 1, 60.0 * n) for n in range(300)]) == []


def test_neither_of_two_raters_is_a_flood_by_their_share() -> None:
    def votes(counts: dict[str, int]) -> list[CastVote]:
        return [
            CastVote(rater, f"{rater}'s text {n}", 1 if n % 2 else -1, 100.0 * n)
            for rater, count in counts.items()
            for n in range(count)
        ]

    assert find(votes({"ann": 13, "bob": 12})) == find(votes({"ann": 40, "bob": 4})) == []
    # Half of all votes is a lot once there are three.
    (suspect,) = find(votes({"ann": 13, "bob": 7, "cem": 6}))
    assert (suspect.rater, suspect.what) == ("ann", "flood")
    assert find(votes({"ann": 12, "bob": 7, "cem": 6})) == []


def test_copies_of_one_text_and_of_another_rater_are_named() -> None:
    calm = honest(5, 20, noise=0.3)
    again = [CastVote("again", "text0", 1, 1e6 + 60.0 * n) for n in range(12)]
    twin = [CastVote("twin", vote.text, vote.value, vote.at + 2e6) for vote in calm if vote.rater == "rater2"]
    suspects = find([*calm, *again, *twin])
    assert {("again", "copies"), ("twin", "copies")} <= named(suspects)
    assert "rater2" in next(suspect.text for suspect in suspects if suspect.rater == "twin")
    assert all(suspect.rater in ("again", "twin") for suspect in suspects)


def test_a_rater_who_contradicts_themselves_is_named() -> None:
    torn = [CastVote("torn", f"text{n % 8}", 1 if n < 8 else -1, 1e6 + 60.0 * n) for n in range(16)]
    suspects = find([*honest(4, 20), *torn])
    assert ("torn", "contradicts themselves") in named(suspects)
    assert "8 of 8" in next(suspect.text for suspect in suspects if suspect.what == "contradicts themselves")


def test_no_votes_name_nobody() -> None:
    assert find([]) == []
