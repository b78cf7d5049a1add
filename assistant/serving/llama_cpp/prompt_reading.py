"""Long prompts are read in pieces, so that they hold up nobody: not other replies, nor who comes after one that left.

llama.cpp reads a prompt that it was given to its end, also when nobody waits for the reply any more, and no other
prompt before it has: on two cores one of 8,000 tokens takes a minute. So it is given a piece more each time. Between
two pieces other prompts are read, replies that are being drawn go on, and a reply that was left ends.
"""

import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from assistant.serving.llama_cpp.completion_request import Complete, CompletionRequest, lora
from assistant.serving.llama_cpp.llama_base import MAX_REPLIES

PIECE = 256
"""Tokens of a prompt that are read at once: half as many make reading slower by a tenth."""
REMEMBERED = 4 * MAX_REPLIES
"""Sequences that are remembered; llama.cpp keeps at most one for each reply that it can generate at once."""
LOOK_SECONDS = 0.02
"""How often somebody who rests looks whether there is still a reason to."""


class PromptReading:
    """The prompts that one llama.cpp reads, and those that it has read.

    Which tokens it still has cannot be asked. Only time depends on what is remembered of that here: where it has
    dropped a sequence, its first piece is as long as what was remembered.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._turns: deque[CompletionRequest] = deque()
        self._sequences: deque[tuple[int | None, array[int]]] = deque(maxlen=REMEMBERED)

    def read(self, request: CompletionRequest, complete: Complete, is_drawing: Callable[[], bool]) -> bool:
        """Read a prompt up to its last piece; returns whether its reply is still wanted.

        After each piece llama.cpp is left to the replies that are drawn, if there are any, for as long as it took.
        """
        ids = request.prompt_ids
        done = self._known(request)
        while done + PIECE < len(ids) and not request.has_ended:
            with self._turn(request):
                if request.has_ended:
                    break
                began = time.monotonic()
                _read_piece(request, done + PIECE, complete)
                done += PIECE
                until = 2 * time.monotonic() - began
                while time.monotonic() < until and is_drawing() and not request.has_ended:
                    time.sleep(LOOK_SECONDS)
        request.read = len(ids) if done + PIECE >= len(ids) else done
        return not request.has_ended

    def remember(self, request: CompletionRequest) -> None:
        """Remember what was read and drawn for a reply."""
        sequence = array("q", [*request.prompt_ids[: request.read], *request.generated])
        with self._condition:
            # A conversation goes on from its last turn, which is then held no more by itself.
            kept = [
                (adapter, earlier)
                for adapter, earlier in self._sequences
                if adapter != request.adapter or sequence[: len(earlier)] != earlier
            ]
            self._sequences = deque([*kept, (request.adapter, sequence)], maxlen=REMEMBERED)

    def _known(self, request: CompletionRequest) -> int:
        """Tokens at the beginning of a prompt that were read with the same adapter before."""
        ids = array("q", request.prompt_ids)
        with self._condition:
            return max(
                (_same(earlier, ids) for adapter, earlier in self._sequences if adapter == request.adapter),
                default=0,
            )

    @contextmanager
    def _turn(self, request: CompletionRequest) -> Iterator[None]:
        """Wait until nobody else reads. In the order of asking: prompts that are read together share the time."""
        with self._condition:
            self._turns.append(request)
            self._condition.wait_for(lambda: self._turns[0] is request)
        try:
            yield
        finally:
            with self._condition:
                self._turns.popleft()
                self._condition.notify_all()


def _read_piece(request: CompletionRequest, end: int, complete: Complete) -> None:
    """Have the first `end` tokens of a prompt read; what was read before is in the cache."""

    def each(part: dict[str, Any]) -> bool:
        if "choices" not in part:
            request.fail(str(part.get("error", part)))
        return True

    body = {"prompt": request.prompt_ids[:end], "n_predict": 0, "stream": True, "cache_prompt": True}
    complete(body | lora(request.adapter, request.adapters), each)


def _same(one: "array[int]", other: "array[int]") -> int:
    """Items before the first that differs, found by halving: slices are compared far faster than items."""
    same, longest = 0, min(len(one), len(other))
    while same < longest:
        middle = (same + longest + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            longest = middle - 1
    return same
