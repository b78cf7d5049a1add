"""Every figure in the documents, by one command each: `python -m benchmarks.NAME`, from the repository's root."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The repository."""

# Here, because the libraries read them when they are imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
