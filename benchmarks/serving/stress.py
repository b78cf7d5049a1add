"""Long loads under which no reply may fail: versions that are swapped repeatedly, and memory that must not grow.

    python -m benchmarks.serving.stress swaps [--count 1000] [--engine llama.cpp]
    python -m benchmarks.serving.stress memory [--count 10000]
    python -m benchmarks.serving.stress page-memory [--count 10000]

`swaps` releases versions in turn while eight readers ask without a pause, and compares each reply with the reply that
its version gives without load. There are more versions than an engine keeps, so that each release has to be loaded.
`memory` sends requests to the app's API, sixteen at once, and records the app's memory; `page-memory` calls the
page's endpoint instead, each time in a new session. Exit code 1 if a reply failed or was mixed, a swap took over 2
seconds, or memory grew by more than 5 % after the first fifth.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import httpx
import psutil

EngineName = Literal["llama.cpp", "transformers"]
READERS = 8
AT_ONCE = 16


@dataclass
class Swaps:
    """Counts and times of swaps under load."""

    replies: int = 0
    failed: int = 0
    mixed: int = 0
    """Replies that begin more like another version's reply without load than like their own version's."""
    rounded: int = 0
    """Replies that begin like their own version's and then differ from it: llama.cpp multiplies several replies in
    another order than one, and of two tokens that are about as likely the other may win."""
    seconds: list[float] = field(default_factory=list)
    """Seconds from each release until the engine serves it."""


@dataclass
class Memory:
    """Failures and memory over many requests."""

    failed: int = 0
    mebibytes: list[float] = field(default_factory=list)
    """The app's resident memory after each twentieth of the requests."""


def shared_tokens(one: list[int], other: list[int]) -> int:
    """How many tokens both begin with."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


async def swaps(count: int, home: Path, engine_name: EngineName) -> Swaps:
    """Release one version after another, `count` times, while READERS clients ask."""
    from assistant.engine_choice import engine_for
    from assistant.registry.first_version import version_to_serve
    from assistant.registry.versions import Versions
    from assistant.sampling_settings import Sampling
    from assistant.serving import prompt
    from assistant.serving import transformers_engine as engine_module
    from assistant.serving.llama_cpp.llama_cpp_engine import MAX_ADAPTERS
    from assistant.settings import Settings
    from tests.helpers.changed_version import changed

    # Unload a replaced version at once, so that the next swap to it loads it again.
    engine_module.IDLE_SECONDS = 0.0
    versions = Versions(home)
    first = version_to_serve(home, "starter")
    others = [changed(first, versions, 8.0 + number).id for number in range(MAX_ADAPTERS + 1)]
    names = (first.id, *others)
    engine = engine_for(Settings(engine=engine_name, home=home), versions, first)
    greedy = Sampling(temperature=0.0, max_new_tokens=40)

    async def reply_to(number: int, name: str | None = None) -> tuple[str, list[int]]:
        with engine.lease(name) as served:
            messages = [{"role": "user", "content": f"What is {12 + number} + 7?"}]
            ids = prompt.render(served.tokenizer, messages, True)
            tokens = [token async for chunk in served.stream(ids, greedy) for token in chunk.token_ids]
            return served.version.id, tokens

    expected = {
        (name, number): (await reply_to(number, name))[1] for name in names for number in range(READERS)
    }
    ended, outcome = asyncio.Event(), Swaps()

    async def read(number: int) -> None:
        while not ended.is_set():
            try:
                name, tokens = await reply_to(number)
            except Exception as error:
                outcome.failed += 1
                print(f"failed: {error!r}", flush=True)
                await asyncio.sleep(0.1)
                continue
            outcome.replies += 1
            if tokens != expected[name, number]:
                shared = {other: shared_tokens(tokens, expected[other, number]) for other in names}
                mixed = shared[name] < max(shared.values())
                outcome.mixed += mixed
                outcome.rounded += not mixed

    readers = [asyncio.create_task(read(number)) for number in range(READERS)]
    try:
        for number in range(1, count + 1):
            wanted = names[number % len(names)]
            # Wait until the replaced version is unloaded, so that each swap loads its version again.
            while isinstance(engine, engine_module.TransformersEngine) and len(engine.in_memory) > 1:
                await asyncio.sleep(0.02)
            began = time.monotonic()
            await asyncio.to_thread(versions.release, wanted)
            while engine.version.id != wanted:
                await asyncio.sleep(0.01)
            outcome.seconds.append(time.monotonic() - began)
            if number % max(1, count // 20) == 0:
                print(
                    f"{number} swaps, {outcome.replies} replies, {outcome.failed} failed, {outcome.mixed} mixed, "
                    f"{outcome.rounded} rounded otherwise",
                    flush=True,
                )
    finally:
        ended.set()
        await asyncio.gather(*readers)
        await asyncio.to_thread(engine.close)
    return outcome


async def memory(count: int, home: Path, engine: EngineName, page: bool = False) -> Memory:
    """Send `count` requests to the API, or to the page's endpoint, AT_ONCE at a time."""
    from tests.helpers.running_app import running_app

    outcome = Memory()
    with running_app(home, "--model", "starter", "--engine", engine, "--max-new-tokens", "8") as url:
        (app,) = psutil.Process().children()
        async with httpx.AsyncClient(base_url=url, timeout=120) as web:
            part = max(AT_ONCE, count // 20)
            for start in range(0, count, part):
                lanes = (range(start + lane, start + part, AT_ONCE) for lane in range(AT_ONCE))
                failures = await asyncio.gather(*(ask_in_turn(lane, web, page) for lane in lanes))
                outcome.failed += sum(failures)
                outcome.mebibytes.append(app.memory_info().rss / 2**20)
                print(
                    f"{start + part} requests: {outcome.mebibytes[-1]:,.0f} MiB, {outcome.failed} failed",
                    flush=True,
                )
    return outcome


async def ask_in_turn(numbers: range, web: httpx.AsyncClient, page: bool) -> int:
    """Send one request after the other; returns how many failed."""
    failed = 0
    for number in numbers:
        try:
            await (over_page if page else over_api)(web, f"What is {number} + 7?", f"person {number % 50}")
        except (httpx.HTTPError, RuntimeError) as error:
            failed += 1
            print(f"failed: {error!r}", flush=True)
    return failed


async def over_api(web: httpx.AsyncClient, question: str, user: str) -> None:
    """Request one completion without streaming. Raises httpx.HTTPError."""
    messages = [{"role": "user", "content": question}]
    answer = await web.post(
        "/v1/chat/completions", json={"model": "thumbtune", "messages": messages, "user": user}
    )
    answer.raise_for_status()


async def over_page(web: httpx.AsyncClient, question: str, user: str) -> None:
    """Call the endpoint `/chat` once, as a new Gradio session. Raises RuntimeError if the call fails."""
    event = await web.post("/gradio_api/call/chat", json={"data": [question, True, None]})
    answer = await web.get(f"/gradio_api/call/chat/{event.raise_for_status().json()['event_id']}")
    if "event: complete" not in answer.text:
        raise RuntimeError(answer.text[-300:])


def passes(outcome: Swaps | Memory) -> bool:
    """Print a summary; returns whether the outcome is within the limits."""
    if isinstance(outcome, Swaps):
        p95 = sorted(outcome.seconds)[int(len(outcome.seconds) * 0.95)]
        print(
            f"swap: median {statistics.median(outcome.seconds):.2f} s, p95 {p95:.2f} s, "
            f"longest {max(outcome.seconds):.2f} s"
        )
        print(
            f"{len(outcome.seconds)} swaps, {outcome.replies} replies, {outcome.failed} failed, {outcome.mixed} mixed, "
            f"{outcome.rounded} rounded otherwise"
        )
        return not outcome.failed and not outcome.mixed and max(outcome.seconds) <= 2.0
    before, after = outcome.mebibytes[len(outcome.mebibytes) // 5], outcome.mebibytes[-1]
    print(f"grown by {after - before:+,.0f} MiB ({(after / before - 1) * 100:+.1f} %) after the first fifth")
    return not outcome.failed and after <= 1.05 * before


def main() -> None:
    """Run one of the loads. Exit code 1 if its outcome is outside the limits."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("load", choices=("swaps", "memory", "page-memory"))
    parser.add_argument("--count", type=int)
    parser.add_argument("--engine", choices=("llama.cpp", "transformers"), default="llama.cpp")
    options = parser.parse_args()
    from assistant.serving.loading import quiet_libraries

    quiet_libraries()
    count = options.count or (1000 if options.load == "swaps" else 10000)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        if options.load == "swaps":
            outcome: Swaps | Memory = asyncio.run(swaps(count, home, options.engine))
        else:
            outcome = asyncio.run(memory(count, home, options.engine, page=options.load == "page-memory"))
    sys.exit(not passes(outcome))


if __name__ == "__main__":
    main()
