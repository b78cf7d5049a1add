"""Importing a sample file of each system adds the expected conversations, ratings, corrections and comparisons."""

import gzip
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from helpers.import_samples import SAMPLES, STORED, everything, sample
from helpers.paths import ROOT

from feedback_store import FeedbackStore
from feedback_store.errors import ImportFailed
from feedback_store.importers import SYSTEMS, Report, import_file
from feedback_store.importers.datasets import training_rows


def import_sample(store: FeedbackStore, system: str, folder: Path) -> Report:
    """Import the sample file of a system, and check the store and the counts of the report."""
    report = import_file(store, system, sample(system, folder))
    assert store.verify() == []
    assert report.read == report.kept + report.skipped.total()
    return report


def prompt_of(store: FeedbackStore, message_id: str) -> list[str]:
    """The texts of a message and of all messages before it."""
    return [message["content"] for message in store.transcripts([message_id])[message_id]]


def rated_branches(store: FeedbackStore) -> list[tuple[list[str], int]]:
    """The texts of the branch up to each rated reply, and the value of the rating."""
    return [(prompt_of(store, reply.id), rating.value) for rating, reply in store.ratings()]


def comparisons(store: FeedbackStore) -> list[tuple[str, str, str]]:
    """(left answer, choice, right answer) of each comparison."""
    return [(left.answer, comparison.choice, right.answer) for comparison, left, right in store.comparisons()]


def corrections(store: FeedbackStore) -> list[tuple[str, str]]:
    """(answer, corrected text) of each correction."""
    return [(reply.answer, correction.text) for correction, reply in store.corrections()]


def test_open_webui_ratings_keep_reasons_details_and_siblings(store: FeedbackStore, tmp_path: Path) -> None:
    report = import_sample(store, "open-webui", tmp_path)
    question, lima = "What is the capital of Peru?", "Lima."
    assert rated_branches(store) == [
        ([question, lima], 1),
        ([question, lima], 1),
        ([question, "Cusco."], -1),
        ([question, lima, "And of Chile?", "Santiago."], 1),
    ]
    by_value = {rating.value: (rating, reply) for rating, reply in store.ratings() if rating.comment}
    up, lima_reply = by_value[1]
    assert up.reasons == ("accurate_information", "geography", "score 9 of 10")
    assert up.comment == "Right."
    assert up.created_at == datetime.fromtimestamp(1760000100, UTC)
    assert lima_reply.thought == "Peru lies in South America.\nIts capital is Lima."
    assert lima_reply.version == "imported:open-webui:qwen3"
    down, _ = by_value[-1]
    assert down.reasons == () and down.comment.startswith("Das ist eine lange")
    assert comparisons(store) == [("Lima.", "left", "Cusco.")]
    ((arena, _, _),) = store.comparisons()
    assert arena.blind and arena.how == "versions"
    assert report.skipped == {"no snapshot of the chat": 1}
    assert report.first == {"no snapshot of the chat": 5}
    (conversation,) = store.conversations(down.rater)
    assert conversation.title == "Capital cities"
    assert conversation.created_at == datetime.fromtimestamp(1760000000, UTC)


def test_people_of_other_systems_are_pseudonyms_and_can_be_forgotten(
    store: FeedbackStore, tmp_path: Path
) -> None:
    import_sample(store, "open-webui", tmp_path)
    raters = {rating.rater for rating, _ in store.ratings()}
    assert len(raters) == 2
    assert not any("ann" in rater or "bob" in rater for rater in raters)
    for rater in raters:
        store.forget(rater)
    assert store.counts()["messages"] == 0


@pytest.mark.parametrize("nested", [False, True])
def test_librechat_thumbs_of_sibling_replies(store: FeedbackStore, tmp_path: Path, nested: bool) -> None:
    chat = json.loads((SAMPLES / "librechat.json").read_text(encoding="utf-8"))
    if nested:
        root, *answers = chat["messages"]
        chat["messages"] = [root | {"children": answers}]
    path = tmp_path / "chat.json"
    path.write_text(json.dumps(chat, indent=2), encoding="utf-8")
    import_file(store, "librechat", path)
    question = "At what temperature does water boil?"
    assert rated_branches(store) == [([question, "At 100 °C."], 1), ([question, "At 90 °C."], -1)]
    (up, reply), (down, _) = store.ratings()
    assert (up.reasons, up.comment) == (("accurate_reliable",), "Short.")
    assert (down.reasons, down.comment) == (("inaccurate",), "")
    assert (reply.thought, reply.version) == ("At sea level.", "imported:librechat:gpt-oss")
    assert up.rater == down.rater
    assert store.verify() == []


def test_librechats_messages_collection_is_imported_row_by_row(store: FeedbackStore, tmp_path: Path) -> None:
    chat = json.loads((SAMPLES / "librechat.json").read_text(encoding="utf-8"))
    path = tmp_path / "messages.jsonl"
    orphan = chat["messages"][1] | {"messageId": "m9", "parentMessageId": "gone"}
    path.write_text("".join(json.dumps(row) + "\n" for row in [*chat["messages"], orphan]))
    report = import_file(store, "librechat", path)
    assert [value for _, value in rated_branches(store)] == [1, -1]
    assert report.skipped == {"a message whose parent is missing": 1}
    assert store.counts()["conversations"] == 1


def test_chat_ui_scores_and_thoughts(store: FeedbackStore, tmp_path: Path) -> None:
    report = import_sample(store, "chat-ui", tmp_path)
    first = ["What is 5 + 3?", "8"]
    assert rated_branches(store) == [(first, 1), ([*first, "And 9 + 9?", "19"], -1)]
    assert [reply.thought for _, reply in store.ratings()] == ["5 and 3", None]
    assert report.skipped == {"a reply that does not follow a user message": 1}


def test_open_assistant_ranks_become_comparisons(store: FeedbackStore, tmp_path: Path) -> None:
    report = import_sample(store, "open-assistant", tmp_path)
    assert set(comparisons(store)) == {
        ("Red.", "left", "Green."),
        ("Red.", "left", "A colour."),
        ("Green.", "left", "A colour."),
    }
    assert rated_branches(store) == []
    assert store.counts()["messages"] == 6, "a deleted reply is not imported"
    assert "imported:open-assistant:oa-7b" in store.counts()["versions"]
    assert report.skipped.total() == 1


def test_argillas_labels_and_rankings_are_read_and_nothing_is_guessed(
    store: FeedbackStore, tmp_path: Path
) -> None:
    report = import_sample(store, "argilla", tmp_path)
    assert sorted(comparisons(store)) == [
        ("Hello!", "left", "What?"),
        ("What?", "left", "Hello!"),
        ("three", "left", "one"),
        ("three", "left", "two"),
    ]
    assert corrections(store) == [], "a text is no correction because its question is called one"
    assert rated_branches(store) == [(["Add 2 and 3.", "6"], -1)]
    assert next(store.ratings())[0].comment == "5\nOff by one."
    assert report.skipped == {
        "answers without a label or ranking of the replies, or that disagree": 1,
        "no submitted answer": 1,
    }


def test_gradio_flags_are_read_by_position(store: FeedbackStore, tmp_path: Path) -> None:
    report = import_sample(store, "gradio", tmp_path)
    assert rated_branches(store) == [(["Hi", "Hello, how are you?"], 1), (["Hi", "Go away."], -1)]
    assert next(store.ratings())[1].thought == "Greet back."
    assert next(store.ratings())[0].created_at == datetime(2026, 2, 1, 9, 0, 0, 1, UTC)
    assert report.skipped == {"a flag that is neither Like nor Dislike": 1}


def test_feel_rows_of_one_conversation_become_one_tree(store: FeedbackStore, tmp_path: Path) -> None:
    report = import_sample(store, "feel", tmp_path)
    before = ["Antwoord in het Nederlands.", "Hoe heet de zee?"]
    assert rated_branches(store) == [([*before, "De Oostzee."], -1), ([*before, "De Noordzee."], 1)]
    assert corrections(store) == [("De Oostzee.", "De Noordzee.")]
    counts = store.counts()
    assert (counts["conversations"], counts["messages"]) == (1, 6)
    assert report.skipped == {"a message has a part that is not text": 1}


def test_hh_rlhf_pairs_share_their_prompt(store: FeedbackStore, tmp_path: Path) -> None:
    report = import_sample(store, "hh-rlhf", tmp_path)
    assert comparisons(store) == [("Eight minutes in boiling water.", "left", "No.")]
    ((_, chosen, _),) = store.comparisons()
    assert prompt_of(store, chosen.parent_id) == ["Hi", "Hello.", "How do I boil an egg?"]
    assert report.skipped.total() == 2


def test_llama_factory_rows_of_every_kind(store: FeedbackStore, tmp_path: Path) -> None:
    report = import_sample(store, "llama-factory", tmp_path)
    assert comparisons(store) == [("5", "left", "3"), ("Neon.", "left", "Lead.")]
    assert rated_branches(store) == [(["Spell cat.", "k-a-t"], -1), (["Name a tree.", "Oak."], 1)]
    assert corrections(store) == [("hallo", "hallo"), ("Guten Morgen", "Guten Morgen"), ("Iron.", "Iron.")]
    _, (_, translated), _ = store.corrections()
    assert translated.thought == "A greeting."
    assert prompt_of(store, translated.parent_id) == [
        "You translate.",
        "hello",
        "hallo",
        "Translate into German:\ngood morning",
    ]
    assert report.skipped == {"a tool": 1}
    assert store.counts()["conversations"] == 7


def test_llama_factorys_dataset_info_renames_columns_and_tags(store: FeedbackStore, tmp_path: Path) -> None:
    import_file(store, "llama-factory", SAMPLES / "llama-factory-renamed.json")
    assert comparisons(store) == [("Four.", "left", "Five.")]


def test_an_invalid_dataset_info_is_reported(store: FeedbackStore, tmp_path: Path) -> None:
    path = Path(shutil.copy(SAMPLES / "llama-factory.json", tmp_path))
    (tmp_path / "dataset_info.json").write_text("{")
    with pytest.raises(ImportFailed, match="cannot be read"):
        import_file(store, "llama-factory", path)


def test_trl_rows_of_every_kind(store: FeedbackStore, tmp_path: Path) -> None:
    report = import_sample(store, "trl", tmp_path)
    assert corrections(store) == [("The Nile.", "The Nile."), ("Lake Como.", "Lake Como.")]
    assert comparisons(store) == [
        ("Primrose Hill.", "left", "The sea."),
        ("The Red Sea.", "left", "A river."),
    ]
    assert rated_branches(store) == [(["Name a wood.", "Sherwood."], 1), (["Name a field.", "No."], -1)]
    _, wood = next(store.ratings())
    assert (wood.think, wood.thought) == (True, "Trees.")
    assert report.skipped == {"a label that is neither true nor false": 1}
    assert store.counts()["conversations"] == 7, "a prompt alone is a conversation without a reply"


@pytest.mark.parametrize(("engine_name", "system"), STORED)
def test_importing_a_file_twice_adds_nothing(store: FeedbackStore, tmp_path: Path, system: str) -> None:
    first = import_sample(store, system, tmp_path)
    before = everything(store)
    again = import_sample(store, system, tmp_path)
    assert everything(store) == before
    assert first.kept > 0 and first.unchanged < first.kept
    assert (again.kept, again.unchanged) == (first.kept, first.kept)
    assert again.added.total() == 0


@pytest.mark.parametrize(("engine_name", "system"), STORED)
def test_a_file_compressed_with_gzip_imports_the_same_rows(
    store: FeedbackStore, tmp_path: Path, system: str
) -> None:
    plain = sample(system, tmp_path)
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    first = import_file(store, system, plain)
    if system == "llama-factory":
        assert import_file(store, system, packed).added.total() == 0
    elif system == "chat-ui":
        with pytest.raises(ImportFailed):
            import_file(store, system, packed)
    else:
        assert import_file(store, system, packed).unchanged == first.kept


def test_a_conversation_that_grew_is_extended(store: FeedbackStore, tmp_path: Path) -> None:
    chat = json.loads((SAMPLES / "librechat.json").read_text(encoding="utf-8"))
    path = tmp_path / "chat.json"
    messages = chat["messages"]
    chat["messages"] = messages[:2]
    path.write_text(json.dumps(chat))
    import_file(store, "librechat", path)
    chat["messages"] = messages
    path.write_text(json.dumps(chat))
    report = import_file(store, "librechat", path)
    assert dict(+report.added) == {"messages": 1, "replies": 1, "ratings": 1}
    assert store.verify() == []


def test_a_later_rating_replaces_an_earlier_one_but_not_the_other_way_round(
    store: FeedbackStore, tmp_path: Path
) -> None:
    rows = json.loads((SAMPLES / "open-webui.json").read_text(encoding="utf-8"))[:1]
    path = tmp_path / "export.json"
    for value, at in [(1, 1760000100), (-1, 1760000200), (1, 1760000150)]:
        rows[0]["data"]["rating"], rows[0]["updated_at"] = value, at
        path.write_text(json.dumps(rows))
        import_file(store, "open-webui", path)
    ((rating, _),) = store.ratings()
    assert rating.value == -1
    assert rating.updated_at == datetime.fromtimestamp(1760000200, UTC)
    assert store.verify() == []


def test_the_keys_of_training_rows_do_not_change() -> None:
    # Stored conversations are recognised by these keys: if they changed, a file would be imported a second time.
    prompt = training_rows.prompt_of("What is 2+2?")
    reply, other = training_rows.reply_to(prompt, "4"), training_rows.reply_to(prompt, "5")
    assert training_rows.unpaired(prompt, reply, True).key == "517851eba638b99fd39f6b41a64c4e19"
    assert training_rows.demonstration(prompt, reply).key == "8a34cf3dc8ab9e135037221d2c55baa6"
    assert training_rows.preference(prompt, reply, other).key == "af652ae3ce67f198d4945b532ac1a931"


def test_every_system_is_documented() -> None:
    page = (ROOT / "docs" / "importing.md").read_text(encoding="utf-8")
    for system in SYSTEMS:
        assert f"| `{system}` |" in page
