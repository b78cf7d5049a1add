"""Many people at once: this app, over its API and its page, beside Gradio's usual recipe and `transformers serve`.

    python benchmarks/serving.py [--clients 1,4,16,64] [--tokens 100] [--only app,recipe] [--plot FILE.svg]

One run, one machine, one system after the other, each in a process of its own and all with the starter's weights in
float32. Clients come over HTTP, all at once; each asks once and reads a stream. Peers get a copy of the model that
never ends its reply, so that each writes `--tokens` tokens; on our page a reply may end before, and what was written
is counted. "Engine alone" is the same load without HTTP, page and store.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import httpx  # noqa: E402

TEMPERATURE = 0.3
PATIENCE = 900.0


@dataclass(frozen=True)
class Result:
    """What one system did for so many clients at once."""

    system: str
    clients: int
    tokens_per_second: float
    first_token_p50: float
    first_token_p95: float
    failed: int


Client = Callable[[httpx.AsyncClient, int], Awaitable[tuple[float, int]]]
"""Asks question n; gives the seconds until the first token, and how many tokens there were."""


def question(number: int) -> str:
    """One that no other client asks."""
    return f"What is {347 + number} + {285 + 7 * number}?"


async def over_api(model: str, tokens: int, web: httpx.AsyncClient, number: int) -> tuple[float, int]:
    """One streamed chat completion."""
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question(number)}],
        "max_tokens": tokens,
        "temperature": TEMPERATURE,
        "stream": True,
    }
    if model == "thumbtune":
        body |= {"ignore_eos": True}
    began, first = time.perf_counter(), None
    async with web.stream("POST", "/v1/chat/completions", json=body) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line.removeprefix("data: "))
            if "error" in event:
                raise RuntimeError(event["error"])
            delta = event["choices"][0]["delta"] if event.get("choices") else {}
            if first is None and (delta.get("content") or delta.get("reasoning_content")):
                first = time.perf_counter() - began
    assert first is not None
    return first, tokens


async def over_gradio(
    arguments: list[Any], count: Callable[[Any], int], web: httpx.AsyncClient, number: int
) -> tuple[float, int]:
    """One streamed call of a Gradio app's endpoint `/chat`."""
    began, first, last = time.perf_counter(), None, None
    asked = await web.post("/gradio_api/call/chat", json={"data": [question(number), *arguments]})
    asked.raise_for_status()
    async with web.stream("GET", f"/gradio_api/call/chat/{asked.json()['event_id']}") as answer:
        async for line in answer.aiter_lines():
            if line == "event: error":
                raise RuntimeError("the call failed")
            if line.startswith("data: ["):
                last = json.loads(line.removeprefix("data: "))[0]
                said = last if isinstance(last, str) else last["thought"] + last["answer"]
                if first is None and said:
                    first = time.perf_counter() - began
    assert first is not None
    return first, count(last)


async def measured(system: str, url: str, client: Client, clients: int) -> Result:
    """All clients at once, once each."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE, limits=limits) as web:
        began = time.perf_counter()
        done = await asyncio.gather(
            *(client(web, number) for number in range(clients)), return_exceptions=True
        )
        seconds = time.perf_counter() - began
    return summed(system, done, seconds)


def summed(system: str, done: list[Any], seconds: float) -> Result:
    """One line of the table; `done` has a pair of each client, or its exception."""
    good = [one for one in done if not isinstance(one, BaseException)]
    for error in {repr(one) for one in done if isinstance(one, BaseException)}:
        print(f"  {system}: {error}", file=sys.stderr)
    firsts = sorted(first for first, _ in good) or [float("nan")]
    p50, p95 = (firsts[min(int(len(firsts) * share), len(firsts) - 1)] for share in (0.5, 0.95))
    tokens = sum(count for _, count in good)
    return Result(system, len(done), tokens / seconds, p50, p95, len(done) - len(good))


# The systems, each in a process of its own


def serve_recipe(folder: Path, port: int, tokens: int, at_once: int | None) -> None:
    """The recipe that Gradio's and transformers' guides give for a streaming chat."""
    import gradio as gr
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def chat(message: str, history: list[dict[str, str]]) -> Iterator[str]:
        turns = [*history, {"role": "user", "content": message}]
        inputs = tokenizer.apply_chat_template(
            turns, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        drawing = {"max_new_tokens": tokens, "do_sample": True, "temperature": TEMPERATURE, "pad_token_id": 0}
        threading.Thread(target=model.generate, kwargs={**inputs, "streamer": streamer, **drawing}).start()
        said = ""
        for text in streamer:
            said += text
            yield said

    page = gr.ChatInterface(chat, concurrency_limit=at_once) if at_once else gr.ChatInterface(chat)
    page.launch(server_port=port, quiet=True)


def alone(clients: list[int], tokens: int) -> None:
    """The engine without HTTP, page and store, and `generate`; prints JSON lines."""
    import torch

    from assistant import prompt
    from assistant.engine import Engine
    from assistant.first import version_to_serve
    from assistant.model import load_for_serving, quiet_libraries
    from assistant.sampling import Sampling
    from assistant.versions import Versions

    quiet_libraries()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        engine = Engine(Versions(home), version_to_serve(home, None))
        model = load_for_serving(engine.version, home)

        def ids_of(number: int) -> list[int]:
            return prompt.render(model.tokenizer, [{"role": "user", "content": question(number)}], True)

        async def stream(ids: list[int], seed: int, most: int = tokens) -> tuple[float, int]:
            began, first, count = time.perf_counter(), None, 0
            sampling = Sampling(temperature=TEMPERATURE, seed=seed, max_new_tokens=most, ignore_eos=True)
            with engine.lease() as served:
                async for chunk in served.stream(ids, sampling):
                    first = time.perf_counter() - began if first is None else first
                    count += len(chunk.token_ids)
            assert first is not None
            return first, count

        async def together(count: int) -> list[Any]:
            return list(await asyncio.gather(*(stream(ids_of(number), number) for number in range(count))))

        asyncio.run(together(2))
        for count in clients:
            began = time.perf_counter()
            done = asyncio.run(together(count))
            print(json.dumps(asdict(summed("engine alone", done, time.perf_counter() - began))), flush=True)

        drawing = {"max_new_tokens": tokens, "do_sample": True, "temperature": TEMPERATURE, "pad_token_id": 0}
        rates = []
        for number in range(4):
            asked = torch.tensor([ids_of(number)])
            began = time.perf_counter()
            model.model.generate(asked, min_new_tokens=tokens, **drawing)
            rates.append(tokens / (time.perf_counter() - began))
        print(json.dumps(asdict(Result("generate", 1, sorted(rates)[2], float("nan"), float("nan"), 0))))

        # A long conversation, and its next turn: most of it has been read before.
        past = torch.randint(50, 4000, (12, 850), generator=torch.Generator().manual_seed(0)).tolist()
        cold, warm = [], []
        for number in range(1, 12):
            cold.append(asyncio.run(stream(past[number], 0, 8))[0])
            warm.append(asyncio.run(stream([*past[number], *past[0][:40]], 0, 8))[0])
        for name, seconds in (("long conversation, first read", cold), ("its next turn", warm)):
            print(
                json.dumps(asdict(summed(name, [(one, 8) for one in seconds[1:]], sum(seconds)))), flush=True
            )
        engine.close()


@contextmanager
def process(command: list[str], url: str, path: str) -> Iterator[None]:
    """A server, from when it answers at `path` on."""
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            deadline = time.monotonic() + 300
            while True:
                try:
                    if httpx.get(url + path, timeout=5).status_code < 500:
                        break
                except httpx.HTTPError:
                    pass
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(log.read().decode()[-2000:])
                time.sleep(0.2)
            yield
        finally:
            server.terminate()
            server.wait()


def endless_model(folder: Path) -> None:
    """The starter as one model without an END, for the peers."""
    import torch

    from assistant.first import version_to_serve
    from assistant.model import load_for_serving, quiet_libraries

    quiet_libraries()
    loaded = load_for_serving(version_to_serve(folder / "home", None), folder / "home")
    loaded.model.to(torch.float32)
    loaded.model.config.eos_token_id = loaded.model.generation_config.eos_token_id = None
    loaded.model.save_pretrained(folder / "model")
    loaded.tokenizer.save_pretrained(folder / "model")


def run(clients: list[int], tokens: int, only: list[str], show: Callable[[Result], None]) -> None:
    """Every system, or those named in `only`, for every number of clients."""
    from running_app import command, free_port

    from feedback_store import FeedbackStore

    here = [sys.executable, __file__, "--tokens", str(tokens)]
    lines = subprocess.run(
        [*here, "--alone", "--clients", ",".join(map(str, clients))],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.splitlines()
    for line in lines:
        show(Result(**json.loads(line)))
    with tempfile.TemporaryDirectory() as temporary:
        folder, port = Path(temporary), free_port()
        endless_model(folder)
        url, model = f"http://127.0.0.1:{port}", str(folder / "model")

        def written(update: Any) -> int:
            with FeedbackStore.open(folder / "ours" / "feedback.db") as store:
                return len(store.reply(update["reply_id"]).completion_ids)

        ours = command("--home", str(folder / "ours"), "--port", str(port), "--max-new-tokens", str(tokens))
        serve = [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve"]
        serve += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32", model]
        recipe = [*here, "--recipe", model, "--port", str(port)]
        api = partial(over_api, model, tokens)
        gradio = partial(over_gradio, [], lambda said: tokens)
        systems: list[tuple[list[str], str, list[tuple[str, Any]]]] = [
            (
                ours,
                "/health",
                [
                    ("our app, API", partial(over_api, "thumbtune", tokens)),
                    ("our app, page's endpoint", partial(over_gradio, [True, None], written)),
                ],
            ),
            (recipe, "/", [("recipe", gradio)]),
            ([*recipe, "--at-once", "16"], "/", [("recipe, 16 at once", gradio)]),
            (serve, "/health", [("transformers serve", api)]),
            ([*serve, "--continuous-batching"], "/health", [("transformers serve, batching", api)]),
        ]
        for started, path, ways in systems:
            if only and not any(name in ways[0][0] for name in only):
                continue
            try:
                with process(started, url, path):
                    for name, client in ways:
                        asyncio.run(measured(name, url, client, 1))  # Fills what is filled once.
                        for count in clients:
                            show(asyncio.run(measured(name, url, client, count)))
            except RuntimeError as error:
                print(f"  {ways[0][0]}: {error}", file=sys.stderr)


def plot(results: list[Result], path: Path) -> None:
    """Tokens a second and the first token's p95 over the clients."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    names = dict.fromkeys(one.system for one in results if one.clients > 1 and one.first_token_p50 < 1e9)
    for name in names:
        of_it = [one for one in results if one.system == name and one.tokens_per_second > 0]
        counts = [one.clients for one in of_it]
        axes[0].plot(counts, [one.tokens_per_second for one in of_it], marker="o", label=name)
        axes[1].plot(counts, [one.first_token_p95 for one in of_it], marker="o", label=name)
    for axis, title in zip(axes, ("tokens a second, all clients", "first token, p95, seconds"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="clients at once", title=title)
    axes[0].legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    """Print the table, write the plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", default="1,4,16,64")
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument(
        "--only", help="parts of systems' names, by commas; the engine alone is always measured"
    )
    parser.add_argument("--plot", type=Path, help="SVG to write")
    parser.add_argument("--alone", action="store_true", help="the engine and generate only, as JSON lines")
    parser.add_argument("--recipe", type=Path, help="serve Gradio's recipe over this model")
    parser.add_argument("--at-once", type=int, help="the recipe's concurrency limit")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    clients = [int(count) for count in options.clients.split(",")]
    if options.recipe:
        return serve_recipe(options.recipe, options.port, options.tokens, options.at_once)
    if options.alone:
        return alone(clients, options.tokens)
    print("| System | Clients | Tokens/s | First token p50 | p95 | Failed |\n|---|---|---|---|---|---|")
    results: list[Result] = []

    def show(one: Result) -> None:
        results.append(one)
        print(
            f"| {one.system} | {one.clients} | {one.tokens_per_second:,.0f} | {one.first_token_p50:.3f} s "
            f"| {one.first_token_p95:.3f} s | {one.failed} |",
            flush=True,
        )

    run(clients, options.tokens, options.only.split(",") if options.only else [], show)
    if options.plot:
        plot(results, options.plot)
    return None


if __name__ == "__main__":
    main()
