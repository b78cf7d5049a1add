"""What samples of other systems give, which system a file is of, and tables that are read by their columns."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from helpers.dataset_cases import DATASETS
from helpers.import_cases import added
from helpers.import_samples import SAMPLES, sample
from helpers.system_cases import CHATS

from feedback_store import FeedbackStore
from feedback_store.__main__ import main
from feedback_store.errors import FileDamaged, ImportFailed
from feedback_store.importers import SYSTEMS, import_file
from feedback_store.importers.detect import SHAPES, system_of

# What is read is the same on every database engine.
READING = pytest.mark.parametrize("engine_name", ["sqlite"])
NOTHING: dict[str, Any] = {"up": [], "down": [], "pairs": [], "demos": [], "prompts": 0}
GIVES: dict[str, dict[str, Any]] = {
    "alpaca-eval": {"pairs": ["A minnow. > A whale.", "A wren. > A trout.", "An elm. = An oak."]},
    "chatgpt": {},
    "claude": {},
    "helpsteer3": {"pairs": ["Io. > Pluto.", "Mars. > The Moon.", "Vega. = Rigel."]},
    "label-studio": {"pairs": ["Coal. > Tin.", "Tin. > Coal."]},
    "langfuse": {"up": ["The North Sea."], "down": ["A pond."]},
    "lmarena": {"pairs": ["A = B", "Hello! > What?"]},
    "openai": {"demos": ["A penny."], "pairs": ["The left bank. > No."]},
    "phoenix": {"up": ["A hazel."], "down": ["A nut."]},
}


@READING
@pytest.mark.parametrize("system", GIVES)
def test_a_sample_gives_what_it_says(store: FeedbackStore, tmp_path: Path, system: str) -> None:
    import_file(store, system, sample(system, tmp_path))
    assert added(store) == NOTHING | GIVES[system]
    assert store.verify() == []


@READING
def test_chatgpts_thoughts_and_branches_are_kept(store: FeedbackStore) -> None:
    report = import_file(store, "chatgpt", SAMPLES / "chatgpt.json")
    (prompt, *_) = store.answered_prompts()
    replies = [message.reply for message in store.messages(prompt.conversation_id) if message.reply]
    assert [(reply.answer, reply.thought) for reply in replies] == [
        ("Jane Austen.", "A novel of 1815."),
        ("Mary Shelley.", None),
    ]
    assert replies[0].version == "imported:chatgpt:gpt-5"
    assert report.left_out.total() == 2


FEEDBACK = [
    {
        "id": "a1",
        "conversation_id": "cg-1",
        "user_id": "user-1",
        "rating": "thumbs_up",
        "content": '{"tags": ["right"], "text": "yes"}',
        "create_time": "2026-05-01T10:00:00Z",
    },
    {"id": "a2", "conversation_id": "cg-1", "rating": "thumbs_down", "content": "{}"},
    {"id": "gone", "conversation_id": "cg-9", "rating": "thumbs_down"},
    {"message_id": "a2", "rating": "thumbs_down"},
]


@READING
@pytest.mark.parametrize("packed", [False, True])
def test_chatgpts_ratings_come_from_the_file_beside_or_in_the_archive(
    store: FeedbackStore, tmp_path: Path, packed: bool
) -> None:
    data = (SAMPLES / "chatgpt.json").read_text(encoding="utf-8")
    path = tmp_path / ("export.zip" if packed else "conversations.json")
    if packed:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("user.json", "{}")
            archive.writestr("conversations-000.json", data)
            archive.writestr("conversations-001.json", "[]")
            archive.writestr("message_feedback.json", json.dumps(FEEDBACK))
    else:
        path.write_text(data, encoding="utf-8")
        (tmp_path / "message_feedback.json").write_text(json.dumps(FEEDBACK))
    report = import_file(store, None, path)
    assert added(store) == NOTHING | {"up": ["Jane Austen."], "down": ["Mary Shelley."]}
    assert report.skipped == {
        "no messages": 1,
        "a rating of a message that is not here, or was left out": 1,
        "a rating without the id of its message": 1,
    }
    ((up, _), (_, _)) = store.ratings()
    assert (up.reasons, up.comment) == (("right",), "yes")
    assert store.verify() == []


def test_a_rating_that_is_no_thumb_is_counted(store: FeedbackStore, tmp_path: Path) -> None:
    shutil.copy(SAMPLES / "chatgpt.json", tmp_path / "conversations.json")
    rows = [{"id": "a1", "rating": "thumbs_up"}, {"id": "a2", "rating": "thumbs_sideways"}]
    (tmp_path / "message_feedback.json").write_text(json.dumps(rows))
    report = import_file(store, "chatgpt", tmp_path / "conversations.json")
    assert added(store)["up"] == ["Jane Austen."]
    assert report.left_out["a rating that is neither up nor down"] == 1


@READING
def test_a_damaged_archive_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("conversations.json", (SAMPLES / "chatgpt.json").read_text(encoding="utf-8"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"Jane Austen", b"Jane Austin"))
    with pytest.raises(ImportFailed, match="cannot be unpacked"):
        import_file(store, "chatgpt", path)
    path.write_bytes(data[:-30])
    with pytest.raises(ImportFailed):
        import_file(store, "chatgpt", path)
    assert store.counts()["messages"] == 0


@READING
def test_langfuses_scores_beside_the_traces_are_read(store: FeedbackStore, tmp_path: Path) -> None:
    (tmp_path / "my-traces.csv").write_text(
        "id,timestamp,name,userId,input,output,scores\n"
        't1,2026-05-01T10:00:00Z,chat,u1,"{""messages"": [{""role"": ""user"", ""content"": ""Hi""}]}",Yo,"[]"\n'
        "t2,2026-05-01T10:00:00Z,chat,u1,Hi,Ha,\n"
    )
    scores = [
        {"traceId": "t1", "name": "user-feedback", "value": 1, "dataType": "NUMERIC", "comment": "good"},
        {"traceId": "t2", "name": "a", "value": 1},
        {"traceId": "t2", "name": "b", "value": -1},
    ]
    (tmp_path / "my-scores.jsonl").write_text("\n".join(map(json.dumps, scores)))
    report = import_file(store, None, tmp_path / "my-traces.csv")
    assert added(store) == NOTHING | {"up": ["Yo"]}
    assert [rating.comment for rating, _ in store.ratings()] == ["good"]
    assert report.skipped == {"scores that disagree": 1}
    with pytest.raises(ImportFailed, match="import the traces"):
        import_file(store, None, tmp_path / "my-scores.jsonl")


# Which system a file is of


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_file_says_which_system_it_is_of(tmp_path: Path, system: str) -> None:
    assert system_of(sample(system, tmp_path)) == system


def test_every_system_has_a_shape() -> None:
    assert set(SHAPES) == set(SYSTEMS)


@pytest.mark.parametrize("name", DATASETS | CHATS)
def test_a_file_that_was_once_read_wrongly_says_which_system_it_is_of(tmp_path: Path, name: str) -> None:
    case = (DATASETS | CHATS)[name]
    expected = (
        {case.system, "alpaca-eval", "openai"} if case.system in ("llama-factory", "trl") else {case.system}
    )
    assert system_of(case.write(tmp_path)) in expected


def test_a_file_described_by_a_dataset_info_is_llama_factorys() -> None:
    assert system_of(SAMPLES / "llama-factory-renamed.json") == "llama-factory"


def test_the_two_likeliest_systems_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"context": "c", "response1": "a", "winner": 1}\n')
    with pytest.raises(ImportFailed, match=r"helpsteer3 or lmarena\. .*columns: context, response1, winner"):
        system_of(path)
    path.write_text("prompt,chosen,rejected\np,a,b\n")
    with pytest.raises(ImportFailed, match=r"--map .*columns: chosen, prompt, rejected"):
        system_of(path)
    path.write_text('{"a": 1}\n')
    with pytest.raises(ImportFailed, match=r"comes from\. Name it"):
        system_of(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"prompt,answer\n"], ids=repr)
def test_a_file_without_rows_is_said_to_have_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "export"
    path.write_bytes(content)
    with pytest.raises(ImportFailed, match="has no rows"):
        system_of(path)


def test_a_picture_is_said_to_be_no_text(tmp_path: Path) -> None:
    path = tmp_path / "screenshot.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    with pytest.raises(FileDamaged, match="cannot be read as text"):
        system_of(path)


def test_the_command_needs_no_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["import", str(SAMPLES / "feel.jsonl"), "--home", str(tmp_path / "home"), "--quiet"]
    assert main(command) == 0
    assert "read as       feel" in capsys.readouterr().out


# Columns


def import_columns(folder: Path, text: str, *maps: str) -> int:
    path = folder / "table"
    path.write_text(text, encoding="utf-8")
    options = [part for pair in maps for part in ("--map", pair)]
    return main(["import", str(path), "--home", str(folder / "home"), "--quiet", *options])


@pytest.mark.parametrize(
    "text",
    [
        "q,a,vote,why,who\nHi,Yo,\N{THUMBS UP SIGN},nice,ann\nHi,No,Thumbs-down,,bob\nHi,Eh,maybe,,bob\n",
        '{"q": "Hi", "a": "Yo", "vote": 1, "why": "nice", "who": "ann"}\n'
        '{"q": "Hi", "a": "No", "vote": false, "who": "bob"}\n{"q": "Hi", "a": "Eh", "vote": 0}\n',
    ],
)
def test_any_table_is_read_by_its_columns(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_columns(tmp_path, text, "prompt=q,answer=a,rating=vote", "comment=why,user=who") == 0
    assert "1  vote is neither up nor down (first: row 3)" in capsys.readouterr().out
    with FeedbackStore.open_home(tmp_path / "home") as store:
        assert added(store) == NOTHING | {"up": ["Yo"], "down": ["No"]}
        assert {rating.comment for rating, _ in store.ratings()} == {"nice", ""}
        assert len({rating.rater for rating, _ in store.ratings()}) == 2
    forget = ["forget", "--from", "columns", "--user", "ann", "--yes", "--home", str(tmp_path / "home")]
    assert main(forget) == 0
    with FeedbackStore.open_home(tmp_path / "home") as store:
        assert added(store) == NOTHING | {"down": ["No"]}


@pytest.mark.parametrize(
    ("maps", "gives"),
    [
        ("prompt=d.q,chosen=d.x,rejected=d.y", {"pairs": ["1 > 2"]}),
        ("prompt=d.q,answer=d.x", {"demos": ["1"]}),
        ("prompt=d.q", {"prompts": 1}),
    ],
)
def test_what_a_mapping_names_decides_what_a_row_becomes(
    tmp_path: Path, maps: str, gives: dict[str, Any]
) -> None:
    assert import_columns(tmp_path, '{"d": {"q": "Hi", "x": "1", "y": "2"}}', maps) == 0
    with FeedbackStore.open_home(tmp_path / "home") as store:
        assert added(store) == NOTHING | gives


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_are_divided_by_what_the_header_has_most_of(tmp_path: Path, delimiter: str) -> None:
    lines = [
        ["q", "a", "vote, or not"],
        ["1; or 2?", '"2,5; yes"', "赞"],
        ["Hi", "No", "\N{THUMBS DOWN SIGN}\ufe0f"],
    ]
    text = "".join(
        delimiter.join(f'"{cell}"' if cell[0] != '"' else cell for cell in line) + "\r\n" for line in lines
    )
    assert import_columns(tmp_path, text, "prompt=q", "answer=a", "rating=vote, or not") == 0
    with FeedbackStore.open_home(tmp_path / "home") as opened:
        assert added(opened) == NOTHING | {"up": ["2,5; yes"], "down": ["No"]}


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ("question=q", "not of the form"),
        ("prompt", "not of the form"),
        ("answer=a", "names the prompt"),
        ("prompt=q,chosen=a", "only together"),
        ("prompt=q,rating=a", "the answer that was rated"),
        ("prompt=nowhere", "no column nowhere among q, a). Nothing was imported. Check the mapping."),
    ],
)
def test_a_wrong_mapping_is_refused(
    tmp_path: Path, maps: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_columns(tmp_path, "q,a\nHi,Yo\n", maps) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "home").exists()
