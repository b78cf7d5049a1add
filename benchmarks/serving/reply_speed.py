"""How fast an engine writes one reply. No model library is imported here: the app serves without."""

import time

from assistant.sampling_settings import Sampling
from assistant.serving.engine import Engine


async def speed(engine: Engine, tokens: int) -> float:
    """Tokens per second of one reply, after its first token."""
    with engine.lease() as served:
        times = []
        sampling = Sampling(temperature=0.0, max_new_tokens=tokens, ignore_eos=True)
        async for chunk in served.stream(list(range(5, 37)), sampling):
            times.append((time.perf_counter(), len(chunk.token_ids)))
    return sum(count for _, count in times[1:]) / (times[-1][0] - times[0][0])
