"""Which store a home uses, errors of a database server, and ids that are invalid."""

import stat
from pathlib import Path
from typing import Any

import pytest
from helpers import postgres
from helpers.store_fixtures import StoreLocation, new_reply, one_turn, sql
from sqlalchemy import text

from assistant.settings import from_command_line
from feedback_store import (
    FeedbackStore,
    InvalidMessage,
    StoreUnavailable,
    StoreUnwritable,
    UnknownConversation,
    UnknownMessage,
    UnknownRater,
    UnknownReply,
    UnknownSnapshot,
)
from feedback_store.__main__ import main
from feedback_store.database.store_location import has_store, remember_store, store_of
from feedback_store.rows import unpaired_rows
from feedback_store.rows.snapshot import take

# Which store a home uses


def test_a_home_keeps_its_feedback_in_a_file_of_its_own_by_default(home: Path) -> None:
    assert store_of(home) == home / "feedback.db"
    assert not has_store(home)
    FeedbackStore.open_home(home).close()
    assert has_store(home)


def test_a_home_remembers_the_database_it_was_given(
    home: Path, place: StoreLocation, capsys: pytest.CaptureFixture[str]
) -> None:
    url = place if isinstance(place, str) else f"sqlite:///{place}"
    home = home / "another"
    remember_store(home, url)
    assert has_store(home)
    with FeedbackStore.open_home(home, create=False) as store:
        store.rate(one_turn(store).id, "ann", 1)
    assert not (home / "feedback.db").exists()
    assert main(["verify", "--home", str(home)]) == 0
    assert main(["stats", "--json", "--store-url", url]) == 0
    assert '"up": 1' in capsys.readouterr().out


def test_the_note_may_hold_a_password_and_is_its_owners_alone(home: Path) -> None:
    remember_store(home, "postgresql://ann:secret@host/name")
    assert store_of(home) == "postgresql+psycopg://ann:secret@host/name"
    assert stat.S_IMODE((home / "store.url").stat().st_mode) == 0o600
    assert [path.name for path in home.iterdir()] == ["store.url"]


def test_a_relative_file_is_remembered_by_its_full_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir()
    monkeypatch.chdir(home)
    remember_store(home, "sqlite:///mine.db")
    assert store_of(home) == f"sqlite:///{home}/mine.db"


def test_a_url_that_can_hold_no_store_is_not_remembered(home: Path) -> None:
    for url in ("nonsense", "mysql://host/name", "sqlite://"):
        with pytest.raises(StoreUnavailable):
            remember_store(home, url)
    assert not home.exists()
    (home.parent / "file").write_text("in the way")
    with pytest.raises(StoreUnwritable):
        remember_store(home.parent / "file", "postgresql://host/name")


def test_the_apps_settings_take_a_url_and_do_not_show_it(tmp_path: Path) -> None:
    settings = from_command_line(
        ["--home", str(tmp_path), "--store-url", "postgresql://ann:secret@host/name"]
    )
    assert settings.store_url is not None
    assert settings.store_url.get_secret_value() == "postgresql://ann:secret@host/name"
    assert "secret" not in repr(settings)


# Database servers


@pytest.mark.parametrize(
    "url",
    ["postgresql://ann:secret@127.0.0.1:1/name", "postgresql://ann:secret@/name?host=/nowhere"],
)
def test_a_server_that_is_not_there_is_named_without_the_password(url: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreUnavailable, match="did not answer") as caught:
        FeedbackStore.open(url)
    assert "secret" not in str(caught.value)


def test_a_url_that_cannot_be_read_is_not_repeated() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        FeedbackStore.open("postgresql//ann:secret@host/name")
    assert "secret" not in str(caught.value)


def test_a_restarted_servers_dropped_connections_are_noticed(postgresql: postgres.Server) -> None:
    database = postgresql.new_database("empty")
    try:
        with FeedbackStore.open(postgresql.url(database)) as store:
            reply = one_turn(store)
            postgresql.run(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
            )
            store.rate(reply.id, "ann", 1)
            assert store.counts()["ratings"]["up"] == 1
    finally:
        postgresql.drop(database)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_language_is_refused(
    postgresql: postgres.Server, encoding: str
) -> None:
    postgresql.run(f"CREATE DATABASE latin TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
    try:
        with pytest.raises(StoreUnavailable, match="encoding=UTF8"):
            FeedbackStore.open(postgresql.url("latin"))
    finally:
        postgresql.drop("latin")


def test_both_engines_freeze_the_same_feedback_to_the_same_snapshot(
    postgresql: postgres.Server, tmp_path: Path
) -> None:
    pytest.importorskip("pyarrow")
    database = postgresql.new_database("empty")
    snapshots = []
    for number, place in enumerate((tmp_path / "feedback.db", postgresql.url(database))):
        with FeedbackStore.open(place) as store:
            for rater in ("zoë", "Bob", "ann", "陈"):
                reply = one_turn(store, rater, id=f"reply of {rater}")
                store.rate(reply.id, "ann", 1)
                store.rate(reply.id, "Zed", -1 if rater == "ann" else 1)
                retry = new_reply(reply.conversation_id, reply.parent_id, id=f"retry of {rater}", answer="5")
                store.compare(reply.id, store.add_reply(retry).id, "陈", "left", blind=True, how="resample")
            # Random in each store, and not part of any row.
            snapshots.append(
                (
                    take(store, tmp_path / str(number), kinds=["unpaired", "preference"]).id,
                    unpaired_rows(store),
                )
            )
    postgresql.drop(database)
    assert snapshots[0] == snapshots[1]


# Invalid ids

IMPOSSIBLE = ["", "x" * 1_000, "a\x00b", "\ud800", 3, "' OR 1=1 --"]


@pytest.mark.parametrize("name", IMPOSSIBLE, ids=ascii)
def test_an_id_that_nothing_can_have_is_unknown(store: FeedbackStore, name: Any) -> None:
    reply = one_turn(store)
    before = store.counts()
    for error, work in (
        (UnknownReply, lambda: store.reply(name)),
        (UnknownReply, lambda: store.rate(name, "ann", 1)),
        (UnknownReply, lambda: store.correct(name, "ann", "better")),
        (UnknownReply, lambda: store.compare(reply.id, name, "ann", "left", blind=True, how="resample")),
        (UnknownMessage, lambda: store.path(name)),
        (UnknownMessage, lambda: store.siblings(name)),
        (UnknownMessage, lambda: store.set_head(reply.conversation_id, name)),
        (UnknownMessage, lambda: store.add_message(reply.conversation_id, name, "user", "hello")),
        (UnknownConversation, lambda: store.conversation(name)),
        (UnknownConversation, lambda: store.add_message(name, None, "user", "hello")),
        (UnknownConversation, lambda: store.forget_conversation(name)),
        (UnknownRater, lambda: store.forget(name)),
        (UnknownRater, lambda: store.consent(name)),
        (UnknownSnapshot, lambda: store.snapshot(name)),
        (UnknownSnapshot, lambda: store.record_use("v2", name)),
    ):
        with pytest.raises(error):
            work()
    assert store.rating(name, "ann") is None
    assert store.correction(reply.id, name) is None
    assert store.comparison(name, reply.id, "ann") is None
    assert store.conversations(name) == []
    assert store.transcripts([name]) == {}
    assert store.counts() == before


def test_votes_on_a_forgotten_reply_are_named_errors_and_leave_nothing(store: FeedbackStore) -> None:
    gone, kept = one_turn(store), one_turn(store)
    store.rate(gone.id, "bob", 1)
    store.forget_conversation(gone.conversation_id)
    before = store.counts()
    with pytest.raises(UnknownReply, match="forgotten"):
        store.rate(gone.id, "bob", -1)
    with pytest.raises(UnknownReply):
        store.correct(gone.id, "new person", "better")
    with pytest.raises(UnknownReply):
        store.compare(kept.id, gone.id, "bob", "left", blind=True, how="resample")
    assert store.counts() == before
    assert store.verify() == []


def test_an_id_is_taken_once(store: FeedbackStore) -> None:
    conversation = store.new_conversation("ann", "mine")
    assert conversation == "mine"
    with pytest.raises(InvalidMessage, match="exists already"):
        store.new_conversation("bob", "mine")
    for name in ("", "x" * 65, "a\x00b", "\ud800"):
        with pytest.raises(InvalidMessage):
            store.new_conversation("ann", name)
    assert store.conversation("mine").rater == "ann"


@pytest.mark.parametrize(
    "changes",
    [
        {"sampling": {"stop": "\ud800"}},
        {"sampling": ["temperature"]},
        {"seconds": 10**400},
        {"prompt_ids": [2**31]},
        {"completion_ids": [2**70]},
    ],
    ids=["surrogate", "list", "seconds", "token", "large token"],
)
def test_fields_that_one_engine_could_not_give_back_are_refused(
    store: FeedbackStore, changes: dict[str, Any]
) -> None:
    reply = one_turn(store)
    with pytest.raises(InvalidMessage):
        store.add_reply(new_reply(reply.conversation_id, reply.parent_id, **changes))


def test_keys_that_were_broken_by_hand_are_found_in_every_table(
    store: FeedbackStore, place: StoreLocation
) -> None:
    one_turn(store)
    with sql(place) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text(
                "INSERT INTO version_snapshots (version, snapshot_id, created_at)"
                " VALUES ('v2', 'gone', '2026-01-01 00:00:00.000000')"
            )
        )
    assert store.verify() == [
        "Row v2, gone of version_snapshots refers to a row of snapshots that does not exist."
    ]
