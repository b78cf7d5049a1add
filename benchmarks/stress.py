"""Long loads that must leave nothing broken: versions swapped all the while, and memory that stays as it is.

    python benchmarks/stress.py swaps [--count 1000]
    python benchmarks/stress.py memory [--count 10000]

`swaps` releases two versions in turn while eight readers ask without a pause, and compares each reply with what its
version says alone. `memory` sends requests to the API, sixteen at once, and looks at the process's memory. Exit
code 1 if a reply failed or was mixed, a swap took over 2 seconds, or memory grew by more than 5 %.
"""

import argparse
import asyncio
import gc
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import httpx  # noqa: E402
import psutil  # noqa: E402

READERS = 8
AT_ONCE = 16


async def swaps(count: int, home: Path) -> bool:
    """Whether every reply was its version's own, and every swap within 2 seconds."""
    from test_engine_versions import changed

    from assistant import engine as engine_module
    from assistant import prompt
    from assistant.engine import Engine
    from assistant.first import version_to_serve
    from assistant.sampling import Sampling
    from assistant.versions import Versions

    # A version that was replaced goes at once, so that the next swap to it loads it anew.
    engine_module.IDLE_SECONDS = 0.0
    versions = Versions(home)
    engine = Engine(versions, version_to_serve(home, None))
    names = (engine.version.id, changed(engine.version, versions, 8.0).id)
    greedy = Sampling(temperature=0.0, max_new_tokens=40)

    async def say(number: int, name: str | None = None) -> tuple[str, list[int]]:
        with engine.lease(name) as served:
            asked = [{"role": "user", "content": f"What is {12 + number} + 7?"}]
            ids = prompt.render(served.loaded.tokenizer, asked, True)
            tokens = [token async for chunk in served.stream(ids, greedy) for token in chunk.token_ids]
            return served.version.id, tokens

    expected = {(name, number): (await say(number, name))[1] for name in names for number in range(READERS)}
    ended, replies, failed, mixed = asyncio.Event(), 0, 0, 0

    async def read(number: int) -> None:
        nonlocal replies, failed, mixed
        while not ended.is_set():
            try:
                name, tokens = await say(number)
            except Exception as error:
                failed += 1
                print(f"failed: {error!r}", flush=True)
                await asyncio.sleep(0.1)
                continue
            replies += 1
            mixed += tokens != expected[name, number]

    readers = [asyncio.create_task(read(number)) for number in range(READERS)]
    took: list[float] = []
    try:
        for number in range(1, count + 1):
            wanted = names[number % 2]
            # The one before has stopped first, so that each swap loads its version anew.
            while engine.loaded != [engine.version.id]:
                await asyncio.sleep(0.02)
            began = time.monotonic()
            await asyncio.to_thread(versions.release, wanted)
            while engine.version.id != wanted:
                await asyncio.sleep(0.01)
            took.append(time.monotonic() - began)
            if number % max(1, count // 20) == 0:
                print(f"{number} swaps, {replies} replies, {failed} failed, {mixed} mixed", flush=True)
    finally:
        ended.set()
        await asyncio.gather(*readers)
        await asyncio.to_thread(engine.close)
    p95 = sorted(took)[int(len(took) * 0.95)]
    print(f"swap: median {statistics.median(took):.2f} s, p95 {p95:.2f} s, longest {max(took):.2f} s")
    print(f"{count} swaps, {replies} replies, {failed} failed, {mixed} mixed")
    return not failed and not mixed and max(took) <= 2.0 and replies > count


async def memory(count: int, home: Path) -> bool:
    """Whether every request was answered, and memory grew by no more than 5 % after the first fifth."""
    from api_server import serving_api

    sizes: list[float] = []
    failed = 0
    with serving_api(home) as serving:
        async with httpx.AsyncClient(base_url=serving.url, timeout=120) as web:

            async def ask(number: int) -> None:
                nonlocal failed
                asked = [{"role": "user", "content": f"What is {number} + 7?"}]
                body = {
                    "model": "thumbtune",
                    "messages": asked,
                    "max_tokens": 8,
                    "user": f"person {number % 50}",
                }
                failed += (await web.post("/v1/chat/completions", json=body)).status_code != 200

            async def some(numbers: range) -> None:
                for number in numbers:
                    await ask(number)

            part = max(AT_ONCE, count // 20)
            for start in range(0, count, part):
                await asyncio.gather(
                    *(some(range(start + lane, start + part, AT_ONCE)) for lane in range(AT_ONCE))
                )
                gc.collect()
                sizes.append(psutil.Process().memory_info().rss / 2**20)
                print(f"{start + part} requests: {sizes[-1]:,.0f} MiB, {failed} failed", flush=True)
    before, after = sizes[len(sizes) // 5], sizes[-1]
    print(f"grown by {after - before:+,.0f} MiB ({(after / before - 1) * 100:+.1f} %) after the first fifth")
    return not failed and after <= 1.05 * before


def main() -> None:
    """Run one of the loads; exit code 1 if something broke."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("load", choices=("swaps", "memory"))
    parser.add_argument("--count", type=int)
    options = parser.parse_args()
    from assistant.model import quiet_libraries

    quiet_libraries()
    count = options.count or {"swaps": 1000, "memory": 10000}[options.load]
    with tempfile.TemporaryDirectory() as folder:
        held = asyncio.run((swaps if options.load == "swaps" else memory)(count, Path(folder) / "home"))
    sys.exit(not held)


if __name__ == "__main__":
    main()
