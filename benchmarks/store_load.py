"""The feedback store under load, on SQLite and on PostgreSQL.

    python -m benchmarks.store_load writers [--ratings 100000] [--writers 32] [--no-queue]
    python -m benchmarks.store_load size [--replies 1000000] [--ratings 200000]

`writers`: ratings by many processes at once, none lost and none doubled, and how long one writer waits for one rating.
`size`: a page of history, a snapshot with its memory, and `verify`, in a large store. `--engine` takes one engine
alone. `--no-queue` takes away what feedback_store/database/write_lock.py does before SQLite's own lock, to see what
it is good for.
PostgreSQL is started here, with durable commits, where its programs are installed.
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


def write(place: Path | str, rater: str, replies: list[str], queue: bool, start: Any, answers: Any) -> None:
    """One process: rate every reply; sends what was acknowledged and what was refused."""
    refused = []
    slowest = 0.0
    if not queue:
        sessions.WriteLock = lambda path: contextlib.nullcontext()  # type: ignore[assignment,misc]
    with FeedbackStore.open(place) as store:
        start.wait()
        for number, reply in enumerate(replies):
            began = time.perf_counter()
            try:
                store.rate(reply, rater, 1 if number % 3 else -1)
            except StoreError as error:
                refused.append(str(error))
            slowest = max(slowest, time.perf_counter() - began)
    answers.put((rater, len(replies) - len(refused), refused[:3], slowest))


def writers(place: Path | str, options: argparse.Namespace) -> None:
    each = options.ratings // options.writers
    with FeedbackStore.open(place) as store:
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
        spawn.Process(target=write, args=(place, f"rater{number}", replies, options.queue, start, answers))
        for number in range(options.writers)
    ]
    for process in running:
        process.start()
    start.wait()
    began = time.monotonic()
    heard = [answers.get() for _ in running]
    seconds = time.monotonic() - began
    for process in running:
        process.join()
    acknowledged = sum(number for _, number, _, _ in heard)
    with FeedbackStore.open(place) as store:
        kept = sum(store.counts()["ratings"].values()) - before
        history = store.feedback_count() - before
        problems = store.verify()
    print(
        f"  {options.writers} processes: {each * options.writers:,} ratings sent, {acknowledged:,} acknowledged, "
        f"{kept:,} there, {history:,} in the history; {acknowledged / seconds:,.0f} a second; "
        f"longest wait {max(slowest for _, _, _, slowest in heard):.1f} s; verify: {problems or 'clean'}",
        flush=True,
    )
    for _, _, refused, _ in heard:
        for words in refused[:1]:
            print(f"  REFUSED: {words}")


def fill(store: FeedbackStore, replies: int, ratings: int) -> None:
    """Rows as the store writes them, thousands in one transaction; the rated replies stand at every depth."""
    chance = random.Random(1)
    people = max(10, ratings // 400)
    every = max(1, replies // ratings)
    from datetime import UTC, datetime

    now = datetime(2026, 11, 1, tzinfo=UTC)
    with store._write() as session:
        raters = [{"id": f"rater{number}", "consent": True, "created_at": now} for number in range(people)]
        session.execute(insert(RaterRow), raters)
    for begun in range(0, replies // TURNS, AT_ONCE // TURNS):
        tables: dict[Any, list[dict[str, Any]]] = {
            ConversationRow: [],
            MessageRow: [],
            ReplyRow: [],
            RatingRow: [],
            RatingHistoryRow: [],
        }
        for number in range(begun, min(begun + AT_ONCE // TURNS, replies // TURNS)):
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
            above = None
            for turn in range(TURNS):
                question, reply = f"{name}q{turn}", f"{name}r{turn}"
                text = (
                    f"Tom has {chance.randrange(10**6)} apples and buys {chance.randrange(10**6)}. How many?"
                )
                for message, parent, role, content in (
                    (question, above, "user", text),
                    (reply, question, "assistant", f"He has {chance.randrange(10**6)} apples."),
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
                block, within = divmod(number * TURNS + turn, every)
                if within == block % every:
                    vote = {
                        "reply_id": reply,
                        "rater_id": f"rater{chance.randrange(people)}",
                        "value": chance.choice((1, -1)),
                        "reasons": [],
                        "comment": "",
                        "created_at": now,
                    }
                    tables[RatingRow].append(vote | {"updated_at": now})
                    tables[RatingHistoryRow].append(vote)
                above = reply
        with store._write() as session:
            for table, rows in tables.items():
                session.execute(insert(table), rows)


def timed(work: Any, times: int = 1) -> float:
    """Seconds, the median of `times` runs."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def spent(work: Any) -> str:
    """How long it took, and how much of that a core computed: other programs may want the machine as well."""
    began = time.process_time()
    seconds = timed(work)
    return f"{seconds:.1f} s ({time.process_time() - began:.1f} s of a core)"


def peak() -> float:
    """Most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(place: Path | str, folder: Path, answers: Any) -> None:
    """In a process of its own, so that the peak of memory is the store's and not that of filling it."""
    with FeedbackStore.open(place) as store:
        counts = store.counts()
        print(f"  {counts['replies']:,} replies, {sum(counts['ratings'].values()):,} ratings", flush=True)
        listed = timed(lambda: store.conversations("rater7"), 5)
        shown = timed(lambda: store.messages("c7"), 20)
        number = len(store.conversations("rater7"))
        print(f"  a person's list of {number} conversations: {1e3 * listed:.1f} ms")
        print(f"  a conversation of {2 * TURNS} messages: {1e3 * shown:.1f} ms", flush=True)
        for kinds in (["unpaired"], ["unpaired", "preference", "demonstration"], list(snapshot.KINDS)):
            before = peak()
            took = spent(lambda kinds=kinds: snapshot.take(store, folder / "-".join(kinds), kinds=kinds))
            rows = snapshot.load(folder / "-".join(kinds)).counts
            print(
                f"  snapshot of {', '.join(f'{rows[kind]:,} {kind}' for kind in kinds)}: {took}, "
                f"peak {before:.0f} → {peak():.0f} MB",
                flush=True,
            )
        before = peak()
        took = spent(store.verify)
        print(f"  verify: {took}, peak {before:.0f} → {peak():.0f} MB", flush=True)
    answers.put("done")


def size(place: Path | str, options: argparse.Namespace) -> None:
    with FeedbackStore.open(place) as store:
        seconds = timed(lambda: fill(store, options.replies, options.ratings))
    print(f"  filled in {seconds:.0f} s", flush=True)
    spawn = multiprocessing.get_context("spawn")
    answers = spawn.Queue()
    with tempfile.TemporaryDirectory() as folder:
        measuring = spawn.Process(target=measure, args=(place, Path(folder), answers))
        measuring.start()
        measuring.join()


@contextlib.contextmanager
def a_place(engine: str) -> Iterator[Path | str]:
    if engine == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "feedback.db"
    else:
        with postgres.server(settings=()) as server:
            yield server.url("empty")


def main() -> None:
    """Measure and print."""
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
        with a_place(engine) as place:
            (writers if options.what == "writers" else size)(place, options)


if __name__ == "__main__":
    main()
