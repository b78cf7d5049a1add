"""Measure the time from `python app.py` to the first streamed token of the starter, and that of its imports.

    python -m benchmarks.serving.startup [--runs 5]

Each run starts a new process on a new home. Prints medians in seconds.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

IMPORTS = ("torch", "transformers.models.qwen3.modeling_qwen3", "peft", "gradio", "sqlalchemy", "alembic")


def first_token() -> tuple[float, float]:
    """Seconds until the page answers, and until the first token has arrived at a client."""
    from gradio_client import Client

    from tests.helpers.running_app import running_app

    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        with running_app(Path(folder) / "home") as address:
            answering = time.monotonic() - began
            client = Client(address, verbose=False)
            for update in client.submit("What is 347 + 285?", True, None, api_name="/chat"):
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
    runs = parser.parse_args().runs
    first_token()  # Warm up the disk cache.
    times = [first_token() for _ in range(runs)]
    print(f"page answers      {statistics.median(answering for answering, _ in times):6.2f} s")
    print(f"first token       {statistics.median(token for _, token in times):6.2f} s   (median of {runs})")
    print("of that, imports:")
    for module in IMPORTS:
        print(
            f"  {module.split('.')[0]:<15} {statistics.median(import_seconds(module) for _ in range(3)):6.2f} s"
        )


if __name__ == "__main__":
    main()
