"""The programs that measure the numbers in the documentation.

Run them from the root of the repository: `python -m benchmarks.loop.hundred_thumbs`, and so on.
"""

import logging
import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""Root of the repository."""

# Set before the libraries are imported, because they read these variables then.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
# At its import, it reports a missing kernel that nothing here needs.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
