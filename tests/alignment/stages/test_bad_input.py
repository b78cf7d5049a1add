"""Bad rows, losses, parents and disks: every stage reports them in plain words, and writes no version."""

import errno
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.feedback import rate_replies
from helpers.tiny_home import tiny_home
from safetensors import SafetensorError

from alignment.__main__ import main
from alignment.ppo import run_state
from alignment.stages import sft
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
PREFLIGHT = ("--preflight_prompts=2", "--preflight_samples=2")
LONG = "word " * 400
"""More than the tiny model's window of 256 tokens."""


def messages_of(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def good(name: str, text: str) -> dict[str, Any]:
    """A row that the stage can learn from."""
    if name == "pretrain":
        return {"text": f"{text} is a sentence. " * 4}
    if name == "sft":
        return {"messages": messages_of(text), "think": False, "thought": "", "answer": "5 apples"}
    if name in ("ppo", "rloo"):
        return {"messages": messages_of(text), "think": False}
    sides = {
        side: {"thought": "", "answer": answer}
        for side, answer in (("chosen", "5 apples"), ("rejected", "5"))
    }
    return {"messages": messages_of(text), "think": False, **sides}


def flags(name: str) -> list[str]:
    """A short run."""
    if name == "pretrain":
        return ["--block_length=16", "--batch_size=2", "--save_steps=1"]
    if name == "sft":
        return ["--batch_size=4", "--save_steps=1", "--epochs=4"]
    if name in ("ppo", "rloo"):
        score = ["--reward_functions=helpers.tiny_ppo:evens", "--updates=4", "--max_new_tokens=8"]
        if name == "rloo":
            return [*score, *PREFLIGHT, "--batch_size=2", "--answers=2"]
        return [*score, *PREFLIGHT, "--batch_size=4", "--minibatches=1"]
    return ["--min_steps=4", "--epochs=1", "--batch_size=4", "--evaluations=4"]


def run(home: Path, name: str, rows: list[Any], *more: str) -> int:
    """The stage on a file of `rows`, texts as they are."""
    home.mkdir(exist_ok=True)
    file = home / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return main([name, "--home", str(home), FILES[name], str(file), *flags(name), *more])


def assert_refused(home: Path, capsys: pytest.CaptureFixture[str], exit_code: int, message: str) -> None:
    """The stage ended with 2 and this message, and left no version behind, not even an incomplete one."""
    error = capsys.readouterr().err
    assert exit_code == 2, error
    assert re.search(message, error), error
    names = [path.name for path in (home / "versions").iterdir() if not path.name.startswith(".")]
    assert sorted(names) == ["given_ids.json", "released.json", "v1"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_without_rows_is_named(home: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    message = "0 tokens, fewer than one block" if name == "pretrain" else r"rows.jsonl holds no"
    assert_refused(home, capsys, run(tiny_home(home), name, [""]), message)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("pretrain", {"text": 5}),
        ("sft", {"messages": "What is 3 + 2?"}),
        ("sft", {"answer": 5}),
        ("dpo", {"messages": []}),
        ("reward", {"chosen": {"answer": None}}),
        ("ppo", {"messages": messages_of("  ")}),
        ("rloo", {"messages": [{"role": "user"}]}),
    ],
)
def test_a_row_of_another_shape_is_named_by_its_line(
    home: Path, capsys: pytest.CaptureFixture[str], name: str, change: dict[str, Any]
) -> None:
    rows = [good(name, "What is 3 + 2?"), {**good(name, "What is 3 + 2?"), **change}]
    assert_refused(home, capsys, run(tiny_home(home), name, rows), r"rows.jsonl, line 2: expected")


@pytest.mark.parametrize("name", [name for name in FILES if name != "pretrain"])
def test_rows_longer_than_the_window_are_counted_and_not_cut(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    rows = [good(name, f"{LONG} {number}?") for number in range(3)]
    message = r"None of the 3 \w+ can be trained on.* 3 (are longer than the context|leave no room)"
    assert_refused(home, capsys, run(tiny_home(home), name, rows), message)
    assert run(home, name, [*rows, *(good(name, f"What is {n} + 2?") for n in range(9))], "--dry_run") == 0
    assert "3 too long" in capsys.readouterr().out


def test_blocks_of_text_longer_than_the_window_are_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = run(tiny_home(home), "pretrain", [good("pretrain", "This")], "--block_length=512")
    assert_refused(home, capsys, exit_code, "512 tokens are longer than the model's window of 256")


@pytest.mark.parametrize("name", FILES)
def test_repeated_rows_are_learned_once_and_counted(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    rows = [good(name, f"What is {number} + 2?") for number in (3, 4, 5, 6, 7, 8)]
    assert run(tiny_home(home), name, [*rows, *rows[:4]], "--dry_run") == 0
    assert re.search(r"\b4 repeated", capsys.readouterr().out)


@pytest.mark.parametrize("name", ["dpo", "reward"])
def test_preferences_that_contradict_each_other_are_ties(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    row = good(name, "What is 3 + 2?")
    opposite = {**row, "chosen": row["rejected"], "rejected": row["chosen"]}
    equal = {**row, "rejected": row["chosen"]}
    assert_refused(home, capsys, run(tiny_home(home), name, [row, opposite, equal]), "3 are tied")
    assert run(home, name, [row, opposite, row], "--dry_run") == 0
    assert "1 pairs" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["kto", "reward"])
def test_ratings_that_are_all_tied_are_reported_as_ties(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    rate_replies(tiny_home(home), [("What is 3 + 2?", "5 apples", 1), ("What is 4 + 2?", "6", -1)])
    with FeedbackStore.open_home(home) as store:
        for rating, reply in list(store.ratings()):
            store.rate(reply.id, "another", -rating.value)
    assert_refused(
        home, capsys, main([name, "--home", str(home)]), "left out by the store's rules: 2 by majority"
    )


@pytest.mark.parametrize("name", ["ppo", "rloo"])
def test_answers_of_which_none_is_good_end_reinforcement_before_it_begins(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    rows = [good(name, f"What is {number} + 2?") for number in range(4)]
    exit_code = run(tiny_home(home), name, rows, "--reward_functions=helpers.tiny_ppo:never")
    assert_refused(
        home, capsys, exit_code, "None of 4 answers to 2 prompts is good by 'helpers.tiny_ppo:never'"
    )


@pytest.mark.parametrize("name", [*FILES, "kto"])
def test_a_loss_that_is_not_finite_ends_the_stage_and_names_the_batch(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    tiny_home(home)
    # After a step the weights must still be finite, and the next loss not. A reward model needs a higher rate.
    rate = "--learning_rate=1e38" if name == "reward" else "--learning_rate=1e36"
    if name == "kto":
        rate_replies(home, [(f"What is {n} + 2?", f"{n + 2}", 1 if n % 2 else -1) for n in range(16)])
        exit_code = main(["kto", "--home", str(home), *flags("kto"), rate])
    else:
        exit_code = run(home, name, [good(name, f"What is {number} + 2?") for number in range(16)], rate)
    assert_refused(home, capsys, exit_code, r"(batch|update) \d.*not .*finite number")
    work = home / "training" / name
    assert list(work.glob("*/checkpoint-*/trainer_state.json")) or list(work.glob(f"*/{run_state.STATE}"))


@pytest.mark.parametrize("name", ["dpo", "reward", "ppo"])
def test_a_base_other_than_the_recorded_one_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    weights = tiny_home(home) / "tiny" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    exit_code = run(home, name, [good(name, "What is 3 + 2?")])
    assert_refused(home, capsys, exit_code, "not the one this version was made on: its weights differ")


@pytest.mark.parametrize("name", [name for name in FILES if name != "pretrain"])
def test_every_row_is_counted_once(home: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    questions = [f"What is {number} + 2?" for number in range(30)]
    rows = [good(name, question) for question in (*questions, questions[0], questions[0])]
    rows += [good(name, f"{LONG} {number}?") for number in range(30)]
    assert run(tiny_home(home), name, rows, "--dry_run") == 0
    line = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith(("rows:", "prompts:"))
    )
    line = line.partition("; scored by")[0].partition("; 4 updates")[0]
    counted = re.findall(r"(\d+)(?= (?:used|pairs|up|down|held|more|too|tied|empty|rep))", line)
    prompts = re.search(r"^prompts: (\d+)", line)
    assert sum(map(int, counted)) + (int(prompts[1]) if prompts else 0) == len(rows), line
    assert "30 too long (over " in line


def test_every_thumb_is_counted_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rate_replies(tiny_home(home), [(f"What is {n} + 2?", f"{n + 2}", 1 if n % 2 else -1) for n in range(30)])
    rate_replies(home, [(f"{LONG} {n}?", f"{n + 2}", 1) for n in range(30)])
    assert main(["kto", "--home", str(home), "--dry_run"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("rows:"))
    counts = re.findall(r"(\d+)(?= (?:up|down|held|too|empty))", line)
    assert sum(map(int, counts)) == 60 and "30 too long (over 256 tokens: the model's window)" in line


def test_few_thumbs_are_trained_on_with_a_word(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rate_replies(
        tiny_home(home), [("What is 0 + 2?", "2", 1), ("What is 3 + 2?", "5", 1), ("What is 4 + 2?", "", -1)]
    )
    rate_replies(home, [("What is 5 + 2?", "8", -1)])
    assert main(["kto", "--home", str(home), "--dry_run"]) == 0
    assert "few rows: each is passed over 24 times" in capsys.readouterr().out


def test_thumbs_of_one_kind_are_refused(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rate_replies(tiny_home(home), [("What is 3 + 2?", "5 apples", 1)])
    assert_refused(home, capsys, main(["kto", "--home", str(home)]), "All 1 rated replies have thumbs up")


def test_a_released_parent_that_was_deleted_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(tiny_home(home) / "versions" / "v1")
    assert run(home, "sft", [good("sft", "What is 3 + 2?")]) == 2
    assert "no version 'v1'" in (error := capsys.readouterr().err) and "It is the released one" in error


def test_a_release_in_the_middle_of_a_training_changes_neither(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [good("sft", f"What is {number} + 2?") for number in range(3)]
    assert run(tiny_home(home), "sft", rows) == 0
    train = sft.train

    def train_while_another_is_released(*arguments: Any, **options: Any) -> dict[str, float]:
        metrics = train(*arguments, **options)
        Versions(home).release("v2")
        return metrics

    monkeypatch.setattr(sft, "train", train_while_another_is_released)
    assert run(home, "sft", rows, "--seed=2") == 0
    assert Versions(home).released() == "v2"
    assert Versions(home).open("v3").manifest.parent == "v1"


def test_memory_that_runs_out_is_reported(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(*_: Any, **__: Any) -> None:
        raise RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
            "allocate 150994944 bytes. Error code 12 (Cannot allocate memory)"
        )

    monkeypatch.setattr("alignment.stages.sft.load_model", too_much)
    exit_code = run(tiny_home(home), "sft", [good("sft", f"What is {n} + 2?") for n in range(3)])
    assert_refused(home, capsys, exit_code, "Memory ran out. No version was written.*--max_length")


def disk_full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def disk_full_for_safetensors(*_: Any, **__: Any) -> None:
    raise SafetensorError("I/O error: No space left on device (os error 28)")


@pytest.mark.parametrize(
    ("name", "target", "failure"),
    [
        ("dpo", (output_version, "save_adapter"), disk_full_for_safetensors),
        ("pretrain", (output_version, "save_base"), disk_full),
        ("reward", (Versions, "add"), disk_full),
        ("sft", (output_version, "write_curves"), disk_full),
        ("ppo", (run_state, "save_file"), disk_full_for_safetensors),
    ],
)
def test_a_full_disk_is_reported_and_leaves_no_incomplete_version(
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    target: tuple[Any, str],
    failure: Callable[..., None],
) -> None:
    tiny_home(home)
    monkeypatch.setattr(*target, failure)
    rows = [good(name, f"What is {number} + 2?") for number in range(12)]
    assert_refused(home, capsys, run(home, name, rows), "The disk is full. No version was written")


def test_a_tracker_that_is_unknown_or_not_installed_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alignment.training.flags.find_spec", lambda name: None)
    for tracker, message in (("papyrus", "no tracker 'papyrus'"), ("trackio", "pip install trackio")):
        exit_code = run(tiny_home(home / tracker), "dpo", [], f"--report_to={tracker}")
        assert_refused(home / tracker, capsys, exit_code, message)
