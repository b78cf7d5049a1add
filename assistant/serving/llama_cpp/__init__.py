"""The engine on llama.cpp: one base in memory, an adapter for each request."""

import os

# llama.cpp's threads wait for each other hundreds of times a token. By default they do so busily, and where another
# program has a core, a reply takes up to ten times as long (docs/serving.md). OpenMP reads this when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
