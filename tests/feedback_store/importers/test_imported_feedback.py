"""What a row of another system means for the feedback that is in the store already: later, withdrawn, or undated."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from helpers.import_cases import added, reply, user
from helpers.system_cases import open_webui

from feedback_store import FeedbackStore
from feedback_store.errors import NothingUsable
from feedback_store.importers import Report, import_file


def import_rows(store: FeedbackStore, folder: Path, system: str, rows: list[Any]) -> Report:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return import_file(store, system, path)


def test_a_vote_from_the_future_does_not_block_the_next_one(store: FeedbackStore, tmp_path: Path) -> None:
    (row,) = open_webui({"content": "Four."})
    import_rows(store, tmp_path, "open-webui", [row | {"updated_at": 4_000_000_000}])
    ((future, _),) = store.ratings()
    assert future.updated_at <= datetime.now(UTC)
    later = row | {"updated_at": datetime.now(UTC).timestamp() + 60, "data": {"rating": -1}}
    for _ in range(2):
        import_rows(store, tmp_path, "open-webui", [later])
        assert added(store)["down"] == ["Four."]
    assert (
        import_rows(store, tmp_path, "open-webui", [row | {"updated_at": 4_000_000_000}]).added.total() == 0
    )
    assert store.verify() == []


def test_a_rating_of_zero_takes_a_thumb_back(store: FeedbackStore, tmp_path: Path) -> None:
    def row(rating: int, minute: int) -> dict[str, Any]:
        return {
            "conversation_id": "c",
            "conversation": [user("Hi", rating=0), reply("Yo", rating=rating)],
            "timestamp": f"2026-02-03T04:{minute:02}:00",
        }

    import_rows(store, tmp_path, "feel", [row(0, 1), row(1, 2)])
    assert added(store)["up"] == ["Yo"]
    import_rows(store, tmp_path, "feel", [row(0, 3)])
    assert added(store)["up"] == []
    assert import_rows(store, tmp_path, "feel", [row(1, 2)]).added.total() == 0
    assert store.verify() == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("system", "row"),
    [
        ("trl", {"prompt": ""}),
        ("trl", {"prompt": [user(" ")]}),
        ("trl", {"prompt": "", "completion": "a", "label": True}),
        ("trl", {"messages": [user(""), reply("a")]}),
        ("llama-factory", {"instruction": " ", "output": "a"}),
        ("llama-factory", {"conversations": [{"from": "human", "value": ""}, {"from": "gpt", "value": "a"}]}),
        ("chat-ui", {"messages": [{"from": "user", "content": " "}, {"from": "assistant", "content": "a"}]}),
        ("hh-rlhf", {"chosen": "\n\nHuman: \n\nAssistant: a", "rejected": "\n\nHuman: \n\nAssistant: b"}),
    ],
)
def test_an_empty_prompt_is_not_kept(
    store: FeedbackStore, tmp_path: Path, system: str, row: dict[str, Any]
) -> None:
    with pytest.raises(NothingUsable, match="empty"):
        import_rows(store, tmp_path, system, [row])
    assert store.counts()["messages"] == 0


DIALOGUE = "\n\nHuman: 1?\n\nAssistant: 1.\n\nHuman: 2?\n\nAssistant: "
CONTEXT = [user("1?"), reply("1."), user("2?")]


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("system", "row"),
    [
        ("trl", {"prompt": CONTEXT, "chosen": "a", "rejected": "b"}),
        (
            "hh-rlhf",
            {side: DIALOGUE + side for side in ("chosen", "rejected")},
        ),
        ("helpsteer3", {"context": CONTEXT, "response1": "a", "response2": "b", "overall_preference": 1}),
        ("langfuse", {"id": "t", "timestamp": "2026-05-01", "input": CONTEXT, "output": "a"}),
        (
            "argilla",
            {
                "fields": {"prompt": CONTEXT, "response_1": "a", "response_2": "b"},
                "responses": {"best": [{"value": "response_1", "user_id": "u"}]},
            },
        ),
    ],
)
def test_only_the_question_that_a_row_is_about_becomes_a_prompt(
    store: FeedbackStore, tmp_path: Path, system: str, row: dict[str, Any]
) -> None:
    import_rows(store, tmp_path, system, [row])
    assert len({prompt.message_id for prompt in store.answered_prompts()}) == 1
    assert store.verify() == []
