"""Compare this app under concurrent clients with the usual Gradio recipe and `transformers serve`.

    python -m benchmarks.serving.many_clients [--clients 1,4,16,64] [--tokens 100] [--only app,recipe] [--plot FILE.svg]

All systems run on one machine, one after the other, each in a process of its own, and with the same model: the merged
starter in float32 without an end token, so that every reply has `--tokens` tokens. All clients ask at the same time
over HTTP, once each, and read a stream. A load is repeated three times unless that takes too long. The rate is the
median of the rounds; first tokens are those of all rounds. "Engine alone": the same load without HTTP, page and store.
"""

import argparse
import asyncio
import json
import math
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks.serving.clients import (
    TEMPERATURE,
    Result,
    measured,
    over_api,
    over_gradio,
    question,
    repeated,
)

# The systems, each in its own process


def serve_recipe(folder: Path, port: int, tokens: int, at_once: int | None) -> None:
    """Serve the streaming chat that the guides of Gradio and transformers recommend."""
    import gradio as gr
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, TextIteratorStreamer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def chat(message: str, history: list[dict[str, str]]) -> Iterator[str]:
        messages = [*history, {"role": "user", "content": message}]
        inputs = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        drawing = {"max_new_tokens": tokens, "do_sample": True, "temperature": TEMPERATURE, "pad_token_id": 0}
        threading.Thread(target=model.generate, kwargs={**inputs, "streamer": streamer, **drawing}).start()
        answer = ""
        for text in streamer:
            answer += text
            yield answer

    page = gr.ChatInterface(chat, concurrency_limit=at_once) if at_once else gr.ChatInterface(chat)
    page.launch(server_port=port, quiet=True)


def alone(folder: Path, clients: list[int], tokens: int) -> None:
    """Measure the engine without HTTP, page and store, and plain `generate`; prints results as JSON Lines."""
    import torch

    from assistant.registry.first_version import version_to_serve
    from assistant.registry.versions import Versions
    from assistant.sampling_settings import Sampling
    from assistant.serving import prompt
    from assistant.serving.loading import load_for_serving, quiet_libraries
    from assistant.serving.transformers_engine import TransformersEngine

    def show(result: Result) -> None:
        print(json.dumps(asdict(result)), flush=True)

    quiet_libraries()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        version = version_to_serve(home, str(folder))
        engine = TransformersEngine(Versions(home), version)
        tokenizer = engine._released.tokenizer

        def ids_of(number: int) -> list[int]:
            return prompt.render(tokenizer, [{"role": "user", "content": question(number)}], True)

        async def stream(ids: list[int], seed: int, max_tokens: int = tokens) -> float:
            began, first_token_seconds = time.perf_counter(), None
            sampling = Sampling(temperature=TEMPERATURE, seed=seed, max_new_tokens=max_tokens)
            with engine.lease() as served:
                async for _ in served.stream(ids, sampling):
                    first_token_seconds = (
                        time.perf_counter() - began if first_token_seconds is None else first_token_seconds
                    )
            assert first_token_seconds is not None
            return first_token_seconds

        async def together(count: int, number: int) -> list[float | BaseException]:
            numbers = range(number * count, (number + 1) * count)
            return await asyncio.gather(
                *(stream(ids_of(question_number), question_number) for question_number in numbers),
                return_exceptions=True,
            )

        asyncio.run(together(2, 0))
        for count in clients:
            show(asyncio.run(repeated("engine alone", partial(together, count), tokens)))

        # A long conversation and its next message: most of that prompt is already in the cache.
        past = torch.randint(50, 4000, (12, 850), generator=torch.Generator().manual_seed(0)).tolist()
        cold, warm = [], []
        for number in range(1, 12):
            cold.append(asyncio.run(stream(past[number], 0, 8)))
            warm.append(asyncio.run(stream([*past[number], *past[0][:40]], 0, 8)))
        for name, firsts in (("long conversation, first read", cold[1:]), ("its next turn", warm[1:])):
            show(Result(name, 1, float("nan"), sorted(firsts)[5], max(firsts), 0))
        engine.close()

        drawing = {"max_new_tokens": tokens, "do_sample": True, "temperature": TEMPERATURE, "pad_token_id": 0}
        cores = torch.get_num_threads()
        for threads in sorted({1, cores}):
            torch.set_num_threads(threads)
            model, rates = load_for_serving(version, home).model, []
            for number in range(6):
                prompt_ids = torch.tensor([ids_of(number)])
                began = time.perf_counter()
                model.generate(prompt_ids, min_new_tokens=tokens, **drawing)
                rates.append(tokens / (time.perf_counter() - began))
            name = f"generate, {threads} core{'s' * (threads > 1)}"
            show(Result(name, 1, statistics.median(rates[1:]), float("nan"), float("nan"), 0))


@contextmanager
def process(command: list[str], url: str, path: str) -> Iterator[None]:
    """Run a server; enters once it answers at `path`."""
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
    """Save the starter as one merged model without an end token, for the other systems."""
    import torch

    from assistant.registry.first_version import version_to_serve
    from assistant.serving.loading import load_for_serving, quiet_libraries

    quiet_libraries()
    loaded = load_for_serving(version_to_serve(folder / "home", "starter"), folder / "home")
    loaded.model.to(torch.float32)
    loaded.model.config.eos_token_id = loaded.model.generation_config.eos_token_id = None
    loaded.tokenizer.eos_token = None
    loaded.model.save_pretrained(folder / "model")
    loaded.tokenizer.save_pretrained(folder / "model")


def run(clients: list[int], tokens: int, only: list[str], show: Callable[[Result], None]) -> None:
    """Measure every system, or those named in `only`, with each number of clients."""
    from tests.helpers.running_app import command, free_port

    here = [sys.executable, "-m", "benchmarks.serving.many_clients", "--tokens", str(tokens)]
    with tempfile.TemporaryDirectory() as temporary:
        folder, port = Path(temporary), free_port()
        endless_model(folder)
        url, model = f"http://127.0.0.1:{port}", str(folder / "model")
        lines = subprocess.run(
            [*here, "--alone", model, "--clients", ",".join(map(str, clients))],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout.splitlines()
        for line in lines:
            show(Result(**json.loads(line)))

        home = folder / "ours"
        ours = command("--home", str(home), "--port", str(port), "--model", model, "--dtype", "fp32")
        ours += ["--max-new-tokens", str(tokens), "--temperature", str(TEMPERATURE)]
        serve = [sys.executable, "-c", "from transformers.cli.transformers import main; main()", "serve"]
        serve += ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32", model]
        recipe = [*here, "--recipe", model, "--port", str(port)]
        api = partial(over_api, model, tokens)
        gradio = partial(over_gradio, [])
        systems: list[tuple[list[str], str, list[tuple[str, Any]]]] = [
            (
                ours,
                "/health",
                [
                    ("our app, API", partial(over_api, "thumbtune", tokens)),
                    ("our app, page's endpoint", partial(over_gradio, [True, None])),
                ],
            ),
            (recipe, "/", [("recipe", gradio)]),
            ([*recipe, "--at-once", "16"], "/", [("recipe, 16 at once", gradio)]),
            (serve, "/health", [("transformers serve", api)]),
            ([*serve, "--continuous-batching"], "/health", [("transformers serve, batching", api)]),
        ]
        for server_command, path, clients_by_name in systems:
            if only and not any(name in clients_by_name[0][0] for name in only):
                continue
            try:
                with process(server_command, url, path):
                    for name, client in clients_by_name:
                        asyncio.run(measured(name, url, client, 1, tokens))  # Warm up caches.
                        for count in clients:
                            show(asyncio.run(measured(name, url, client, count, tokens)))
                if server_command is ours:
                    check_lengths(home, tokens)
            except RuntimeError as error:
                print(f"  {clients_by_name[0][0]}: {error}", file=sys.stderr)


def check_lengths(home: Path, tokens: int) -> None:
    """Check that every reply in the store has `tokens` tokens, as the rates assume. Raises RuntimeError."""
    with closing(sqlite3.connect(home / "feedback.db")) as store:
        lengths = {
            length for (length,) in store.execute("SELECT json_array_length(completion_ids) FROM replies")
        }
    if lengths != {tokens}:
        raise RuntimeError(f"replies of {sorted(lengths)} tokens, not all of {tokens}")


def cell(value: float, form: str, unit: str = "") -> str:
    """A cell of the table: the value, or a dash if it was not measured (NaN)."""
    return "–" if math.isnan(value) else f"{value:{form}}{unit}"


def plot(results: list[Result], path: Path) -> None:
    """Plot tokens per second and the p95 of the first token against the number of clients."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    names = dict.fromkeys(result.system for result in results if result.clients > 1)
    for name in names:
        shown = [result for result in results if result.system == name and result.tokens_per_second > 0]
        counts = [result.clients for result in shown]
        axes[0].plot(counts, [result.tokens_per_second for result in shown], marker="o", label=name)
        axes[1].plot(counts, [result.first_token_p95 for result in shown], marker="o", label=name)
    for axis, title in zip(axes, ("tokens a second, all clients", "first token, p95, seconds"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="clients at once", title=title)
    axes[0].legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main() -> None:
    """Measure, print the table, and write the plot."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", default="1,4,16,64")
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument(
        "--only", help="parts of system names, separated by commas; the engine alone is always measured"
    )
    parser.add_argument("--plot", type=Path, help="SVG to write")
    parser.add_argument(
        "--alone", type=Path, help="measure only the engine and generate with this model, as JSON Lines"
    )
    parser.add_argument("--recipe", type=Path, help="serve this model with Gradio's recipe")
    parser.add_argument("--at-once", type=int, help="the recipe's concurrency limit")
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    clients = [int(count) for count in options.clients.split(",")]
    if options.recipe:
        return serve_recipe(options.recipe, options.port, options.tokens, options.at_once)
    if options.alone:
        return alone(options.alone, clients, options.tokens)
    print("| System | Clients | Tokens/s | First token p50 | p95 | Failed |\n|---|---|---|---|---|---|")
    results: list[Result] = []

    def show(result: Result) -> None:
        results.append(result)
        rate = cell(result.tokens_per_second, ",.0f")
        p50, p95 = (cell(value, ".3f", " s") for value in (result.first_token_p50, result.first_token_p95))
        print(
            f"| {result.system} | {result.clients} | {rate} | {p50} | {p95} | {result.failed} |", flush=True
        )

    run(clients, options.tokens, options.only.split(",") if options.only else [], show)
    if options.plot:
        plot(results, options.plot)
    return None


if __name__ == "__main__":
    main()
