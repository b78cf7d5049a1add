"""The engine on llama.cpp: one base in memory, an adapter for each request."""

import os

# llama.cpp's threads wait for each other hundreds of times a token. If they wait busily for long, as by default, a
# reply takes up to ten times as long where another program has a core; if they sleep at once, up to twice as long on a
# machine that is slow to wake them. So they turn for some microseconds and then sleep (docs/serving.md), also where two
# versions are served and there are more threads than cores, for which OpenMP else has another number, unless waiting is
# said to be active. OpenMP reads this when it is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "500")
os.environ.setdefault("OMP_WAIT_POLICY", "ACTIVE")
