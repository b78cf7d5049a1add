"""Measure the feedback store under load, on SQLite and on PostgreSQL.

    python -m benchmarks.store_load writers [--ratings 100000] [--writers 32] [--no-queue]
    python -m benchmarks.store_load size [--replies 1000000] [--ratings 200000]

`writers`: many processes write ratings at the same time; counts what is stored, and times the ratings of one writer.
`size`: times a list of conversations, snapshots (with their memory) and `verify` in a large store. `--engine` selects
one engine. `--no-queue` disables the lock of feedback_store/database/write_lock.py, to compare with SQLite's own lock.
The benchmark starts PostgreSQL itself, with durable commits, if its programs are installed.
"""

import argparse
import contextlib
import multiprocessing
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from feedback_store import FeedbackStore, NewReply, StoreError
from feedback_store.database import sessions
from feedback_store.database.tables import (
    ConversationRow,
    MessageRow,
    RaterRow,
    RatingHistoryRow,
    RatingRow,
    ReplyRow,
)
from feedback_store.rows import snapshot
from tests.helpers import postgres

TURNS = 5  # replies in a conversation
AT_ONCE = 2_000


def new_reply(conversation: str, parent: str, name: str) -> NewReply:
    """A reply of about the starter's length."""
    return NewReply(
        id=name,
        conversation_id=conversation,
        parent_id=parent,
        thought=None,
        answer="It is 42 apples.",
        think=False,
        sampling={"temperature": 0.3},
        seed=1,
        version="v1",
        prompt_ids=list(range(60)),
        completion_ids=list(range(40)),
        finish_reason="end",
        first_token_seconds=0.1,
        seconds=0.5,
        thought_seconds=None,
    )


def write(
    location: Path | str, rater: str, replies: list[str], queue: bool, start: Any, answers: Any
) -> None:
    """Rate every reply in one process; puts (rater, acknowledged ratings, refusals, longest wait) into `answers`."""
    refused = []
    slowest = 0.0
    if not queue:
        sessions.WriteLock = lambda path: contextlib.nullcontext()  # type: ignore[assignment,misc]
    with FeedbackStore.open(location) as store:
        start.wait()
        for number, reply in enumerate(replies):
            began = time.perf_counter()
            try:
                store.rate(reply, rater, 1 if number % 3 else -1)
            except StoreError as error:
                refused.append(str(error))
            slowest = max(slowest, time.perf_counter() - began)
    answers.put((rater, len(replies) - len(refused), refused[:3], slowest))


def writers(location: Path | str, options: argparse.Namespace) -> None:
    """Measure one writer, then many at the same time; print the counts, the rate and any refusal."""
    each = options.ratings // options.writers
    with FeedbackStore.open(location) as store:
        conversation = store.new_conversation("asker")
        message = store.add_message(conversation, None, "user", "How many apples?")
        replies = [
            store.add_reply(new_reply(conversation, message.id, f"reply{number}")).id
            for number in range(each)
        ]
        waits = []
        for number in range(2_000):
            began = time.perf_counter()
            store.rate(replies[number % each], f"single{number // each}", 1)
            waits.append(time.perf_counter() - began)
        waits.sort()
        print(
            f"  one writer: median {1e3 * statistics.median(waits):.2f} ms, "
            f"p95 {1e3 * waits[int(0.95 * len(waits))]:.2f} ms, p99 {1e3 * waits[int(0.99 * len(waits))]:.2f} ms",
            flush=True,
        )
        before = sum(store.counts()["ratings"].values())
    spawn = multiprocessing.get_context("spawn")
    start, answers = spawn.Barrier(options.writers + 1), spawn.Queue()
    running = [
        spawn.Process(target=write, args=(location, f"rater{number}", replies, options.queue, start, answers))
        for number in range(options.writers)
    ]
    for process in running:
        process.start()
    start.wait()
    began = time.monotonic()
    outcomes = [answers.get() for _ in running]
    seconds = time.monotonic() - began
    for process in running:
        process.join()
    acknowledged = sum(number for _, number, _, _ in outcomes)
    with FeedbackStore.open(location) as store:
        stored = sum(store.counts()["ratings"].values()) - before
        history = store.feedback_count() - before
        problems = store.verify()
    print(
        f"  {options.writers} processes: {each * options.writers:,} ratings sent, {acknowledged:,} acknowledged, "
        f"{stored:,} there, {history:,} in the history; {acknowledged / seconds:,.0f} a second; "
        f"longest wait {max(slowest for _, _, _, slowest in outcomes):.1f} s; verify: {problems or 'clean'}",
        flush=True,
    )
    for _, _, refused, _ in outcomes:
        for message in refused[:1]:
            print(f"  REFUSED: {message}")


def fill(store: FeedbackStore, replies: int, ratings: int) -> None:
    """Insert the rows that the store would write, thousands per transaction; rated replies occur at every depth."""
    rng = random.Random(1)
    people = max(10, ratings // 400)
    every = max(1, replies // ratings)
    from datetime import UTC, datetime

    now = datetime(2026, 11, 1, tzinfo=UTC)
    with store._write() as session:
        raters = [{"id": f"rater{number}", "consent": True, "created_at": now} for number in range(people)]
        session.execute(insert(RaterRow), raters)
    for start in range(0, replies // TURNS, AT_ONCE // TURNS):
        tables: dict[Any, list[dict[str, Any]]] = {
            ConversationRow: [],
            MessageRow: [],
            ReplyRow: [],
            RatingRow: [],
            RatingHistoryRow: [],
        }
        for number in range(start, min(start + AT_ONCE // TURNS, replies // TURNS)):
            name = f"c{number}"
            tables[ConversationRow].append(
                {
                    "id": name,
                    "rater_id": f"rater{number % people}",
                    "title": f"Apples {number}",
                    "head_id": f"{name}r{TURNS - 1}",
                    "created_at": now,
                    "updated_at": now,
                }
            )
            parent_reply = None
            for depth in range(TURNS):
                question, reply = f"{name}q{depth}", f"{name}r{depth}"
                text = f"Tom has {rng.randrange(10**6)} apples and buys {rng.randrange(10**6)}. How many?"
                for message, parent, role, content in (
                    (question, parent_reply, "user", text),
                    (reply, question, "assistant", f"He has {rng.randrange(10**6)} apples."),
                ):
                    tables[MessageRow].append(
                        {
                            "id": message,
                            "conversation_id": name,
                            "parent_id": parent,
                            "role": role,
                            "content": content,
                            "created_at": now,
                        }
                    )
                new = new_reply(name, question, reply)
                left_out = ("conversation_id", "parent_id", "answer")
                tables[ReplyRow].append(
                    {key: value for key, value in vars(new).items() if key not in left_out}
                )
                block, within = divmod(number * TURNS + depth, every)
                if within == block % every:
                    rating = {
                        "reply_id": reply,
                        "rater_id": f"rater{rng.randrange(people)}",
                        "value": rng.choice((1, -1)),
                        "reasons": [],
                        "comment": "",
                        "created_at": now,
                    }
                    tables[RatingRow].append(rating | {"updated_at": now})
                    tables[RatingHistoryRow].append(rating)
                parent_reply = reply
        with store._write() as session:
            for table, rows in tables.items():
                session.execute(insert(table), rows)


def timed(work: Any, times: int = 1) -> float:
    """Seconds that `work` takes, the median of `times` runs."""
    durations = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        durations.append(time.perf_counter() - began)
    return statistics.median(durations)


def spent(work: Any) -> str:
    """The wall time and the processor time of `work`; they differ if other programs use the machine too."""
    began = time.process_time()
    seconds = timed(work)
    return f"{seconds:.1f} s ({time.process_time() - began:.1f} s of a core)"


def peak() -> float:
    """Peak memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(location: Path | str, folder: Path, answers: Any) -> None:
    """Time reads of a full store. Runs in its own process, so that peak memory excludes the filling."""
    with FeedbackStore.open(location) as store:
        counts = store.counts()
        print(f"  {counts['replies']:,} replies, {sum(counts['ratings'].values()):,} ratings", flush=True)
        list_seconds = timed(lambda: store.conversations("rater7"), 5)
        conversation_seconds = timed(lambda: store.messages("c7"), 20)
        number = len(store.conversations("rater7"))
        print(f"  a person's list of {number} conversations: {1e3 * list_seconds:.1f} ms")
        print(f"  a conversation of {2 * TURNS} messages: {1e3 * conversation_seconds:.1f} ms", flush=True)
        for kinds in (["unpaired"], ["unpaired", "preference", "demonstration"], list(snapshot.KINDS)):
            before = peak()
            duration = spent(lambda kinds=kinds: snapshot.take(store, folder / "-".join(kinds), kinds=kinds))
            rows = snapshot.load(folder / "-".join(kinds)).counts
            print(
                f"  snapshot of {', '.join(f'{rows[kind]:,} {kind}' for kind in kinds)}: {duration}, "
                f"peak {before:.0f} → {peak():.0f} MB",
                flush=True,
            )
        before = peak()
        duration = spent(store.verify)
        print(f"  verify: {duration}, peak {before:.0f} → {peak():.0f} MB", flush=True)
    answers.put("done")


def size(location: Path | str, options: argparse.Namespace) -> None:
    """Fill a store, then measure it in another process."""
    with FeedbackStore.open(location) as store:
        seconds = timed(lambda: fill(store, options.replies, options.ratings))
    print(f"  filled in {seconds:.0f} s", flush=True)
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    with tempfile.TemporaryDirectory() as folder:
        measuring = spawn.Process(target=measure, args=(location, Path(folder), answers))
        measuring.start()
        measuring.join()


@contextlib.contextmanager
def database(engine: str) -> Iterator[Path | str]:
    """The location of a new, empty store on an engine; it is deleted on exit."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "feedback.db"
    else:
        with postgres.server(settings=()) as server:
            yield server.url("empty")


def main() -> None:
    """Run one of the loads on each engine."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["writers", "size"])
    parser.add_argument("--engine", choices=["sqlite", "postgresql"], action="append")
    parser.add_argument("--writers", type=int, default=32)
    parser.add_argument("--no-queue", dest="queue", action="store_false")
    parser.add_argument("--replies", type=int, default=1_000_000)
    parser.add_argument("--ratings", type=int)
    options = parser.parse_args()
    options.ratings = options.ratings or (100_000 if options.what == "writers" else 200_000)
    for engine in options.engine or ["sqlite", "postgresql"]:
        if engine == "postgresql" and (reason := postgres.missing()):
            print(f"{engine}: {reason}")
            continue
        print(engine, flush=True)
        with database(engine) as location:
            (writers if options.what == "writers" else size)(location, options)


if __name__ == "__main__":
    main()
