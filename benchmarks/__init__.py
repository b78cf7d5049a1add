"""The programs that measured every figure in the documents.

Run them from the root of the repository: `python -m benchmarks.loop.hundred_thumbs`, and so on.
"""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The repository."""

# Set here because the libraries read them when they are imported.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
