"""What is bad about rows, losses, parents and disks is said in plain words, by every stage, and writes no version."""

import errno
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.feedback import rate_replies
from helpers.tiny_home import tiny_home
from safetensors import SafetensorError

from alignment.__main__ import main
from alignment.data.judgements import JudgedCompletion, sort_judgements
from alignment.ppo import run_state
from alignment.training import output_version
from assistant.registry.versions import Versions
from feedback_store import FeedbackStore

FILES = {
    "pretrain": "--text",
    "sft": "--demonstrations",
    "reward": "--pairs",
    "dpo": "--pairs",
    "ppo": "--prompts",
    "rloo": "--prompts",
}
LONG = "word " * 400
"""More than the tiny model's window of 256 tokens."""


def ask(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def good(name: str, text: str) -> dict[str, Any]:
    """A row that the stage can learn from."""
    if name == "pretrain":
        return {"text": f"{text} is what was asked. " * 4}
    if name == "sft":
        return {"messages": ask(text), "think": False, "thought": "", "answer": "5 apples"}
    if name in ("ppo", "rloo"):
        return {"messages": ask(text), "think": False}
    sides = {
        side: {"thought": "", "answer": said} for side, said in (("chosen", "5 apples"), ("rejected", "5"))
    }
    return {"messages": ask(text), "think": False, **sides}


def flags(name: str) -> list[str]:
    """A short run."""
    if name == "pretrain":
        return ["--block_length=16", "--batch_size=2", "--save_steps=1"]
    if name == "sft":
        return ["--batch_size=4", "--save_steps=1", "--epochs=4"]
    if name in ("ppo", "rloo"):
        score = ["--reward_functions=helpers.ppo_parts:evens", "--updates=4", "--max_new_tokens=8"]
        if name == "rloo":
            return [*score, "--batch_size=2", "--answers=2"]
        return [*score, "--batch_size=4", "--preflight_prompts=2", "--preflight_samples=2", "--minibatches=1"]
    return ["--min_steps=4", "--epochs=1", "--batch_size=4", "--evaluations=4"]


def run(home: Path, name: str, rows: list[Any], *more: str) -> int:
    """The stage on a file of `rows`, texts as they are."""
    home.mkdir(exist_ok=True)
    file = home / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return main([name, "--home", str(home), FILES[name], str(file), *flags(name), *more])


def refused(home: Path, capsys: pytest.CaptureFixture[str], ended: int, why: str) -> None:
    """Ended with 2 and these words, and left no version behind, not even half of one."""
    said = capsys.readouterr().err
    assert ended == 2, said
    assert re.search(why, said), said
    assert sorted(path.name for path in (home / "versions").iterdir()) == ["released.json", "v1"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_rows_is_named(home: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    why = "0 tokens, fewer than one block" if name == "pretrain" else r"rows.jsonl holds no"
    refused(home, capsys, run(tiny_home(home), name, [""]), why)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pretrain", {"text": 5}),
        ("sft", {"messages": "What is 3 + 2?"}),
        ("sft", {"answer": 5}),
        ("dpo", {"messages": []}),
        ("reward", {"chosen": {"answer": None}}),
        ("ppo", {"messages": ask("  ")}),
        ("rloo", {"messages": [{"role": "user"}]}),
    ],
)
def test_a_row_of_another_shape_is_named_by_its_line(
    home: Path, capsys: pytest.CaptureFixture[str], name: str, change: dict[str, Any]
) -> None:
    rows = [good(name, "What is 3 + 2?"), {**good(name, "What is 3 + 2?"), **change}]
    refused(home, capsys, run(tiny_home(home), name, rows), r"rows.jsonl, line 2: expected")


@pytest.mark.parametrize("name", [name for name in FILES if name != "pretrain"])
def test_rows_longer_than_the_window_are_counted_and_not_cut(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    rows = [good(name, f"{LONG} {number}?") for number in range(3)]
    why = r"None of the 3 \w+ can be trained on.* 3 (are longer than the context|leave no room)"
    refused(home, capsys, run(tiny_home(home), name, rows), why)
    assert run(home, name, [*rows, *(good(name, f"What is {n} + 2?") for n in range(9))], "--dry_run") == 0
    assert "3 too long" in capsys.readouterr().out


def test_blocks_of_text_longer_than_the_window_are_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run(tiny_home(home), "pretrain", [good("pretrain", "This")], "--block_length=512")
    refused(home, capsys, ended, "512 tokens are longer than the model's window of 256")


@pytest.mark.parametrize("name", FILES)
def test_what_is_said_twice_is_learned_once_and_counted(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    rows = [good(name, f"What is {number} + 2?") for number in (3, 4, 5, 6, 7, 8)]
    assert run(tiny_home(home), name, [*rows, *rows[:4]], "--dry_run") == 0
    assert re.search(r"\b4 repeated", capsys.readouterr().out)


@pytest.mark.parametrize("name", ["dpo", "reward"])
def test_preferences_that_contradict_each_other_are_ties(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    one = good(name, "What is 3 + 2?")
    other = {**one, "chosen": one["rejected"], "rejected": one["chosen"]}
    same = {**one, "rejected": one["chosen"]}
    refused(home, capsys, run(tiny_home(home), name, [one, other, same]), "3 are tied")
    assert run(home, name, [one, other, one], "--dry_run") == 0
    assert "1 pairs" in capsys.readouterr().out


def test_a_thumb_against_the_same_reply_as_another_is_a_tie() -> None:
    def thumb(sign: int) -> JudgedCompletion:
        return JudgedCompletion(ask("What is 3 + 2?"), 1, [1, 2], None, sign)

    found = sort_judgements(
        [thumb(1), thumb(-1), thumb(1), JudgedCompletion(ask("What is 4 + 2?"), 1, [1, 3], None, -1)], 10
    )
    assert [one.sign for one in found.training] == [1, -1]
    assert (found.tied, found.repeated) == (0, 2)


@pytest.mark.parametrize("name", ["kto", "reward"])
def test_ratings_of_which_every_one_is_a_tie_are_called_ties(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    rate_replies(tiny_home(home), [("What is 3 + 2?", "5 apples", 1), ("What is 4 + 2?", "6", -1)])
    with FeedbackStore.open_home(home) as store:
        for rating, reply in list(store.ratings()):
            store.rate(reply.id, "another", -rating.value)
    refused(home, capsys, main([name, "--home", str(home)]), "left out by the store's rules: 2 by majority")


def test_answers_that_all_score_alike_end_rloo(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [good("rloo", f"What is {number} + 2?") for number in range(4)]
    ended = run(tiny_home(home), "rloo", rows, "--reward_functions=helpers.ppo_parts:never", "--updates=2")
    refused(home, capsys, ended, "All answers to each prompt of the first 2 updates have the same score")


@pytest.mark.parametrize("name", [*FILES, "kto"])
def test_a_loss_that_is_no_number_ends_the_stage_and_names_the_batch(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    tiny_home(home)
    # What a step moves must still be a number, and what it leads to none. A judge takes more.
    rate = "--learning_rate=1e38" if name == "reward" else "--learning_rate=1e36"
    if name == "kto":
        rate_replies(home, [(f"What is {n} + 2?", f"{n + 2}", 1 if n % 2 else -1) for n in range(16)])
        ended = main(["kto", "--home", str(home), *flags("kto"), rate])
    else:
        ended = run(home, name, [good(name, f"What is {number} + 2?") for number in range(16)], rate)
    refused(home, capsys, ended, r"(batch|update) \d.*not .*finite number")
    kept = home / "training" / name
    assert list(kept.glob("*/checkpoint-*/trainer_state.json")) or list(kept.glob(f"*/{run_state.STATE}"))


@pytest.mark.parametrize("name", ["dpo", "reward", "ppo"])
def test_a_base_that_is_not_the_recorded_one_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    weights = tiny_home(home) / "tiny" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    ended = run(home, name, [good(name, "What is 3 + 2?")])
    refused(home, capsys, ended, "not the one this version was made on: its weights differ")


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_for_safetensors(*_: Any, **__: Any) -> None:
    raise SafetensorError("I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("name", "place", "what"),
    [
        ("dpo", (output_version, "save_adapter"), full_for_safetensors),
        ("pretrain", (output_version, "save_base"), full),
        ("reward", (Versions, "add"), full),
        ("sft", (output_version, "write_curves"), full),
        ("ppo", (run_state, "save_file"), full_for_safetensors),
    ],
)
def test_a_full_disk_is_called_that_and_leaves_no_half_version(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    place: tuple[Any, str],
    what: Callable[..., None],
) -> None:
    tiny_home(home)
    monkeypatch.setattr(*place, what)
    rows = [good(name, f"What is {number} + 2?") for number in range(12)]
    refused(home, capsys, run(home, name, rows), "The disk is full. No version was written")


def test_a_tracker_that_is_none_or_is_not_installed_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alignment.training.flags.find_spec", lambda name: None)
    for tracker, why in (("papyrus", "no tracker 'papyrus'"), ("trackio", "pip install trackio")):
        ended = run(tiny_home(home / tracker), "dpo", [], f"--report_to={tracker}")
        refused(home / tracker, capsys, ended, why)
