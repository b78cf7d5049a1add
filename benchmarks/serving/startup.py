"""Measure the time from `python app.py` to the first streamed token, and that of its imports.

    python -m benchmarks.serving.startup [--runs 5] [--model starter]

The first start of a home, which converts the model, stands apart from those after it. Prints medians in seconds.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPORTS = ("numpy", "gguf", "tokenizers", "xllamacpp", "gradio", "sqlalchemy", "alembic")


def first_token(home: Path, model: str) -> tuple[float, float]:
    """Seconds until the page answers, and until the first token has arrived at a client."""
    from gradio_client import Client

    from tests.helpers.running_app import running_app

    began = time.monotonic()
    with running_app(home, "--model", model) as address:
        answering = time.monotonic() - began
        client = Client(address, verbose=False)
        for update in client.submit("What is rain?", False, None, api_name="/chat"):
            if update["thought"] or update["answer"]:
                return answering, time.monotonic() - began
    raise RuntimeError("The reply had no text.")


def import_seconds(module: str) -> float:
    """Seconds to import one module after those before it in IMPORTS, in a new process."""
    before = ", ".join(IMPORTS[: IMPORTS.index(module)])
    code = (
        f"{'import ' + before if before else ''}\n"
        f"import time; began = time.perf_counter()\nimport {module}\nprint(time.perf_counter() - began)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the medians of startup, first token and imports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--model", default="smollm2")
    options = parser.parse_args()
    runs = options.runs
    with tempfile.TemporaryDirectory() as warm, tempfile.TemporaryDirectory() as folder:
        first_token(Path(warm) / "home", options.model)  # Warm up the disk cache.
        home = Path(folder) / "home"
        _, first = first_token(home, options.model)
        times = [first_token(home, options.model) for _ in range(runs)]
    print(f"first start       {first:6.2f} s   to the first token")
    print(f"page answers      {statistics.median(answering for answering, _ in times):6.2f} s")
    print(f"first token       {statistics.median(token for _, token in times):6.2f} s   (median of {runs})")
    print("of that, imports:")
    for module in IMPORTS:
        print(
            f"  {module.split('.')[0]:<15} {statistics.median(import_seconds(module) for _ in range(3)):6.2f} s"
        )


if __name__ == "__main__":
    main()
