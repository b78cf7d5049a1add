"""A stopped run is continued only with the rows that it began with, those that choose the weights among them."""

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import pair_rows
from helpers.feedback import apples, rate_replies
from helpers.tiny_home import tiny_home

from alignment.__main__ import main
from alignment.cycle.candidates import STAGES
from alignment.data.splits import is_held_out
from alignment.stages import rloo
from feedback_store import FeedbackStore
from feedback_store.rows import unpaired_rows


class Stopped(BaseException):
    """Stands for a kill before anything is trained."""


@pytest.fixture
def work_folders(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The work folder of every stage that begins. None of them trains."""
    folders: list[Path] = []

    for module in (*(STAGES[stage].__globals__ for stage in STAGES), vars(rloo)):
        original = module["work_folder"]

        def stop(*arguments: Any, original: Any = original) -> None:
            folders.append(original(*arguments))
            raise Stopped

        monkeypatch.setitem(module, "work_folder", stop)
    return folders


def begin(stage: str, home: Path, *flags: str) -> None:
    with pytest.raises(Stopped):
        main([stage, "--home", str(home), *flags])


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def question(held_out: bool, number: int) -> str:
    """A question that is held out from training, or is not."""
    texts = (f"Tom has {n} pears. How many has he?" for n in range(1000))
    matching = [text for text in texts if is_held_out([{"role": "user", "content": text}]) == held_out]
    return matching[number]


def test_a_thumb_on_a_held_out_prompt_begins_kto_anew(home: Path, work_folders: list[Path]) -> None:
    rate_replies(tiny_home(home), apples(20))
    begin("kto", home)
    begin("kto", home)
    rate_replies(home, [(question(True, 0), "12", 1)])
    begin("kto", home)
    assert [folder == work_folders[0] for folder in work_folders] == [True, True, False]


@pytest.mark.parametrize("stage", ["dpo", "reward"])
def test_another_held_out_pair_begins_a_stage_anew(
    home: Path, tmp_path: Path, stage: str, work_folders: list[Path]
) -> None:
    tiny_home(home)
    rows = [pair_rows.row(number) for number in pair_rows.numbers(False, 8)]
    held_out = [pair_rows.row(number) for number in pair_rows.numbers(True, 2)]
    pairs = write(tmp_path / "pairs.jsonl", [*rows, held_out[0]])
    begin(stage, home, f"--pairs={pairs}")
    begin(stage, home, f"--pairs={pairs}")
    write(pairs, [*rows, held_out[1]])
    begin(stage, home, f"--pairs={pairs}")
    assert [folder == work_folders[0] for folder in work_folders] == [True, True, False]


@pytest.mark.parametrize(("stage", "asks_held_out"), [("ppo", True), ("rloo", False)])
def test_other_answers_to_tasks_begin_a_stage_anew_and_so_do_held_out_prompts_that_it_asks(
    home: Path, tmp_path: Path, stage: str, asks_held_out: bool, work_folders: list[Path]
) -> None:
    tiny_home(home)

    def begin_with(answer: int, held_out: int) -> None:
        task = {
            "id": "pears",
            "kind": "own",
            "language": "en",
            "messages": [{"role": "user", "content": question(False, 0)}],
            "answer": str(answer),
            "checks": {"correct": [{"checker": "number", "value": answer}]},
        }
        rows = [task, {"prompt": question(True, held_out)}]
        prompts = write(tmp_path / "prompts.jsonl", rows)
        begin(
            stage,
            home,
            f"--prompts={prompts}",
            "--reward_functions=helpers.tiny_ppo:evens",
            "--max_new_tokens=4",
            "--thinking=off",
        )

    begin_with(12, 0)
    begin_with(12, 0)
    begin_with(13, 0)
    begin_with(12, 1)
    same = [folder == work_folders[0] for folder in work_folders]
    assert same == [True, True, False, not asks_held_out]


def test_correct_does_not_go_on_with_anchors_of_a_reply_that_is_not_there_any_more(
    home: Path, work_folders: list[Path]
) -> None:
    rate_replies(tiny_home(home), [("What is the capital of Brazil?", "Rio.", -1), ("How many?", "7", 1)])
    with FeedbackStore.open_home(home) as store:
        replies = {row.answer: row.reply_id for row in unpaired_rows(store)}
        store.correct(replies["Rio."], "tester", "Brasília.")
    for flags in ([], [], ["--anchor_weight=0"]):
        begin("correct", home, *flags)
    with FeedbackStore.open_home(home) as store:
        store.forget_conversation(store.reply(replies["7"]).conversation_id)
    for flags in ([], ["--anchor_weight=0"]):
        begin("correct", home, *flags)
    first, again, without, later, later_without = work_folders
    assert (first == again, first == later) == (True, False)
    # Without anchors, no liked reply decides anything.
    assert without == later_without
