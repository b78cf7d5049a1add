"""Snapshots: equal stores give equal hashes, damage is detected, and forgotten raters are traced."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers.store_fixtures import StoreLocation, new_reply, one_turn, sql, without_guards
from sqlalchemy import text

from feedback_store import FeedbackStore, MissingDependency, SnapshotDamaged, SnapshotError, UnknownSnapshot
from feedback_store.rows import Rules, demonstrations, preferences, prompts, snapshot, unpaired_rows

pytest.importorskip("pyarrow", reason="snapshots are Parquet files: pip install -r requirements-train.txt")


def fill(store: FeedbackStore) -> None:
    """A store with conversations of ann and bob, and feedback of every kind by carol and ann."""
    for number, holder in enumerate(("ann", "bob", "bob")):
        text = f"Question {number}?"
        good = one_turn(store, holder, text, id=f"good{number}", thought=None, prompt_ids=[])
        bad = store.add_reply(
            new_reply(good.conversation_id, good.parent_id, id=f"bad{number}", answer="五", prompt_ids=[])
        )
        store.rate(good.id, "carol", 1)
        store.rate(bad.id, "carol", -1)
        store.correct(bad.id, "carol", f"better {number}")
    store.compare("good0", "bad0", "ann", "left", blind=True, how="resample")


def test_a_snapshot_gives_back_every_row_as_it_was(store: FeedbackStore, home: Path) -> None:
    fill(store)
    taken = snapshot.take(store, home / "snapshots" / "one")
    opened = snapshot.load(home / "snapshots" / "one")
    assert opened == taken
    assert list(opened.rows("unpaired")) == unpaired_rows(store)
    assert list(opened.rows("preference")) == preferences(store)
    assert list(opened.rows("demonstration")) == demonstrations(store)
    assert list(opened.rows("prompt")) == prompts(store)
    assert opened.counts == {"unpaired": 6, "preference": 6, "demonstration": 3, "prompt": 3}
    assert store.verify() == []


def test_the_same_store_gives_the_same_hash(
    store: FeedbackStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    taken = snapshot.take(store, home / "one")
    monkeypatch.setattr("feedback_store.database.sessions.ROWS_AT_ONCE", 2)
    monkeypatch.setattr("feedback_store.rows.parquet.ROWS_AT_ONCE", 2)
    monkeypatch.setattr("feedback_store.store.conversations.TRANSCRIPTS_AT_ONCE", 2)
    assert snapshot.take(store, home / "two").id == taken.id
    assert snapshot.content_hash(snapshot.load(home / "one")) == taken.id
    assert len(store.snapshots()) == 1
    assert store.snapshot(taken.id).folder == home / "two"


def test_the_hash_is_the_same_in_every_release(store: FeedbackStore, home: Path) -> None:
    # A snapshot can be reproduced in later releases. If this hash has to change, raise snapshot.FORMAT.
    odd = 'quote " back \\ tab \t line \n bell \x07 delete \x7f separator \u2028 三 🍎 é'
    good = one_turn(store, "ann", odd, id="good", thought=odd, prompt_ids=[0, 2**31 - 1])
    bad = store.add_reply(new_reply(good.conversation_id, good.parent_id, id="bad", answer=odd, thought=None))
    store.rate(good.id, "bob", 1)
    store.rate(bad.id, "bob", -1)
    store.correct(bad.id, "carol", f"better: {odd}")
    taken = snapshot.take(store, home / "one", kinds=["unpaired", "preference", "demonstration"])
    assert taken.counts == {"unpaired": 2, "preference": 2, "demonstration": 1}
    assert taken.id == "04a7ddc44305dcb79eb9b1c677bf7222885da231c98f541f1256a6647f83e841"


@pytest.mark.parametrize("change", ["vote", "rules", "version", "kinds"])
def test_another_vote_rule_or_query_gives_another_hash(store: FeedbackStore, home: Path, change: str) -> None:
    fill(store)
    taken = snapshot.take(store, home / "one")
    options: dict[str, Any] = {}
    if change == "vote":
        store.rate("good0", "carol", 1)  # no change
        assert snapshot.take(store, home / "same").id == taken.id
        store.rate("good0", "dave", 1)
    elif change == "rules":
        options["rules"] = Rules(most_per_rater=999)
    elif change == "version":
        options["version"] = "v1"
    else:
        options["kinds"] = ["unpaired"]
    assert snapshot.take(store, home / "two", **options).id != taken.id


def test_the_manifest_tells_how_the_rows_came_about(store: FeedbackStore, home: Path) -> None:
    fill(store)
    taken = snapshot.take(store, home / "one", Rules(most_per_rater=4), kinds=["unpaired", "preference"])
    manifest = json.loads((home / "one" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["query"] == {"version": None, "kinds": ["unpaired", "preference"], "consented": True}
    assert manifest["rules"]["most_per_rater"] == 4
    assert manifest["counts"] == {"unpaired": 4, "preference": 5}
    assert manifest["left_out"]["unpaired"] == {"most_per_rater": 2}
    assert manifest["balance"]["up"] == manifest["balance"]["down"] == 2
    assert set(manifest["replies"]) == {"good0", "bad0", "good1", "bad1", "bad2"}
    assert snapshot.vote_id("rating", "carol", ["good0"]) in manifest["ratings"]
    assert snapshot.vote_id("comparison", "ann", ["bad0", "good0"]) in manifest["ratings"]
    assert "carol" not in (home / "one" / "manifest.json").read_text(encoding="utf-8")
    with pytest.raises(SnapshotError, match="no 'prompt' rows"):
        list(taken.rows("prompt"))


def test_an_empty_store_freezes_too(store: FeedbackStore, home: Path) -> None:
    taken = snapshot.take(store, home / "one")
    assert set(taken.counts.values()) == {0}
    assert list(taken.rows("preference")) == []


def test_nothing_without_consent_is_frozen(store: FeedbackStore, home: Path) -> None:
    fill(store)
    store.set_consent("bob", False)
    taken = snapshot.take(store, home / "one")
    assert {row.reply_id for row in taken.rows("unpaired")} == {"good0", "bad0"}
    assert taken.counts["prompt"] == 1


# Forgetting


@pytest.mark.parametrize("forgotten", ["ann", "carol", "conversation"])
def test_forgetting_marks_every_snapshot_and_version_that_used_it(
    store: FeedbackStore, home: Path, forgotten: str
) -> None:
    fill(store)
    reply = store.reply("good0")
    everything = snapshot.take(store, home / "all")
    store.record_use("v2", everything.id, parent="v1")
    store.record_use("v2", everything.id, parent="v1")
    store.set_consent("ann", False)
    store.set_consent("carol", False)
    without = snapshot.take(store, home / "without", kinds=["prompt"])
    store.record_use("v3", without.id, parent="v1")
    store.record_use("v4", without.id, parent="v2")
    assert store.versions_to_retrain() == []
    assert store.snapshot(everything.id).versions == ("v2",)

    if forgotten == "conversation":
        store.forget_conversation(reply.conversation_id)
    else:
        store.forget(forgotten)
    assert store.snapshot(everything.id).forgotten_at is not None
    assert store.snapshot(without.id).forgotten_at is None
    assert store.versions_to_retrain() == ["v2", "v4"]  # v2 is the parent of v4
    assert store.verify() == []


def test_forgetting_somebody_while_a_snapshot_is_taken_leaves_none(
    store: FeedbackStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(store)
    write = snapshot._write

    def write_and_forget(*arguments: Any) -> Any:
        people = write(*arguments)
        store.forget("ann")
        return people

    monkeypatch.setattr(snapshot, "_write", write_and_forget)
    with pytest.raises(SnapshotError, match="forgotten while it was taken"):
        snapshot.take(store, home / "snapshots" / "one")
    assert store.snapshots() == []
    assert list((home / "snapshots").iterdir()) == []


def test_a_use_of_an_unknown_snapshot_is_refused(store: FeedbackStore) -> None:
    with pytest.raises(UnknownSnapshot):
        store.record_use("v2", "nothing")
    with pytest.raises(UnknownSnapshot):
        store.snapshot("nothing")


# Folders


def test_a_folder_with_something_else_is_left_alone(store: FeedbackStore, home: Path) -> None:
    fill(store)
    (home / "notes").mkdir(parents=True)
    (home / "notes" / "note.txt").write_text("mine")
    with pytest.raises(SnapshotError, match="something else"):
        snapshot.take(store, home / "notes")
    snapshot.take(store, home / "one")
    store.rate("good0", "dave", 1)
    with pytest.raises(SnapshotError, match="snapshots never change"):
        snapshot.take(store, home / "one")
    (home / "file").write_text("in the way")
    with pytest.raises(SnapshotError):
        snapshot.take(store, home / "file" / "one")
    with pytest.raises(SnapshotError, match="Kinds of rows"):
        snapshot.take(store, home / "two", kinds=["songs"])
    assert sorted(path.name for path in home.iterdir() if path.is_dir()) == ["notes", "one"]
    assert len(store.snapshots()) == 1


def test_taking_the_same_snapshot_again_leaves_it_as_it_is(store: FeedbackStore, home: Path) -> None:
    fill(store)
    taken = snapshot.take(store, home / "one")
    assert snapshot.take(store, home / "one") == taken


def test_a_home_can_be_moved_whole(home: Path) -> None:
    store = FeedbackStore.open_home(home)
    fill(store)
    taken = snapshot.take(store, home / "snapshots" / "one")
    store.close()
    moved = home.rename(home.with_name("moved"))
    with FeedbackStore.open(moved / "feedback.db") as opened:
        assert opened.snapshot(taken.id).folder == moved / "snapshots" / "one"
        assert opened.verify() == []


def test_without_pyarrow_the_error_names_what_to_install(
    store: FeedbackStore, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependency, match=r"pip install -r requirements-train\.txt"):
        snapshot.take(store, home / "one")
    assert not (home / "one").exists()


# Damage


def test_a_folder_that_is_no_snapshot_says_so(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="no snapshot"):
        snapshot.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(SnapshotDamaged, match="cannot be read"):
        snapshot.load(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(SnapshotDamaged, match="does not know"):
        snapshot.load(tmp_path)


@pytest.mark.parametrize("damage", ["rows", "lost rows", "manifest", "lost manifest", "id"])
def test_verify_and_load_find_a_snapshot_that_was_changed(
    store: FeedbackStore, place: StoreLocation, home: Path, damage: str
) -> None:
    fill(store)
    snapshot.take(store, home / "one")
    manifest, rows = home / "one" / "manifest.json", home / "one" / "prompt.parquet"
    if damage == "rows":
        rows.write_bytes(rows.read_bytes().replace(b"PAR1", b"PAR2", 1))
    elif damage == "lost rows":
        rows.unlink()
    elif damage == "manifest":
        manifest.write_text(manifest.read_text().replace('"most_per_rater": 1000', '"most_per_rater": 1001'))
    elif damage == "lost manifest":
        manifest.unlink()
    else:
        with sql(place) as connection:
            without_guards(connection)
            connection.execute(text("UPDATE snapshots SET id = 'other'"))
    assert any("The snapshot in" in problem for problem in store.verify())
    if damage in ("rows", "lost rows"):
        with pytest.raises(SnapshotDamaged, match=r"prompt\.parquet"):
            snapshot.load(home / "one")


def test_a_snapshot_whose_folder_was_deleted_is_no_damage(store: FeedbackStore, home: Path) -> None:
    fill(store)
    taken = snapshot.take(store, home / "one")
    taken.folder.rename(home / "elsewhere")
    assert store.verify() == []
