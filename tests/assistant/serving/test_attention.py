"""Attention of a batch: each reply sees its own keys, all of them, and no more than its window."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from assistant.serving import attention
from assistant.serving.transformers_compat import attend

HEADS, KEY_HEADS, SIZE = 4, 2, 8


class Cache:
    """The cache as attention sees it: keys by position. `known` are those of earlier steps."""

    def __init__(self, known: torch.Tensor, window: int | None = None) -> None:
        self.known = known
        allocator = SimpleNamespace(index=0, layer_type="full_attention", read_trash_index=0)
        if window is not None:
            allocator.sliding_window = window
        self.layer_to_allocator = {0: allocator}

    def update(self, key_states: Any, value_states: Any, layer_idx: int, kwargs: Any) -> Any:
        (read,) = kwargs["read_index"]
        if not read.numel():
            return key_states, value_states
        return tuple(self.known[which, read].transpose(0, 1)[None] for which in (0, 1))


def attended(
    new: list[int], past: list[int], window: int | None = None
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The output of `attend`, and that of each reply alone by the definition, with a mask written out."""
    torch.manual_seed(0)
    tokens, lengths = sum(new), [a + b for a, b in zip(new, past, strict=True)]
    positions_of = (torch.randperm(sum(lengths)) + 1).split(lengths)
    known = torch.randn(2, sum(lengths) + 1, KEY_HEADS, SIZE)
    known[:, 0] = 1e3  # Padding reads these; they must not matter.
    query = torch.randn(1, HEADS, tokens, SIZE)
    fresh = torch.cat([positions[-count:] for positions, count in zip(positions_of, new, strict=True)])
    key, value = (known[which, fresh].transpose(0, 1)[None] for which in (0, 1))
    read = torch.cat(positions_of) if any(past) else torch.empty(0, dtype=torch.int64)
    kwargs = {
        "cu_seq_lens_q": torch.tensor([0, *new]).cumsum(0),
        "cu_seq_lens_k": {"full_attention": torch.tensor([0, *lengths]).cumsum(0)},
        "read_index": [read],
        "write_index": [fresh],
    }
    module: Any = SimpleNamespace(layer_idx=0)
    output, _ = attend(module, query, key, value, None, scaling=0.3, cache=Cache(known, window), **kwargs)
    expected = []
    for queries, positions in zip(query[0].split(new, dim=1), positions_of, strict=True):
        keys, values = (
            known[which, positions].transpose(0, 1).repeat_interleave(2, dim=0) for which in (0, 1)
        )
        behind = torch.arange(len(positions) - queries.shape[1], len(positions))[:, None] - torch.arange(
            len(positions)
        )
        visible = (behind >= 0) & (behind < (window or 10**9))
        expected.append(scaled_dot_product_attention(queries, keys, values, attn_mask=visible, scale=0.3))
    return output[0].transpose(0, 1), expected


@pytest.mark.parametrize(
    ("new", "past", "window"),
    [
        pytest.param([1, 1, 1], [5, 5, 5], None, id="replies of one length"),
        pytest.param([1, 1, 1, 1], [5, 900, 1, 40], None, id="replies of unlike lengths"),
        pytest.param([1], [9], None, id="a reply alone"),
        pytest.param([7, 3, 1], [0, 0, 0], None, id="prompts, one of a single token"),
        pytest.param([1, 1, 6, 1, 4], [3, 8, 0, 5, 11], None, id="replies, a prompt, the rest of a prompt"),
        pytest.param([6, 9], [0, 2], 4, id="prompts over a sliding window"),
    ],
)
def test_each_reply_attends_to_its_own_keys_alone(
    new: list[int], past: list[int], window: int | None
) -> None:
    output, expected = attended(new, past, window)
    for rows, alone in zip(output.split(new, dim=1), expected, strict=True):
        assert torch.allclose(rows, alone, atol=1e-5)


def test_replies_of_unlike_lengths_are_not_padded_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "MAX_PADDING", 100)
    lengths = [10, 20, 900, 890, 15]
    ends = torch.tensor([0, *lengths]).cumsum(0).tolist()
    step = attention.plan(list(range(6)), ends, torch.arange(1, 1 + sum(lengths)), 0, None)
    assert [group.rows for group in step.groups] == [2, 2, 1]
    assert step.read_index.numel() - sum(lengths) == 10 + 10


@pytest.mark.parametrize("window", [None, 3])
def test_outside_a_batch_one_sequence_is_read_causally(window: int | None) -> None:
    torch.manual_seed(0)
    query = torch.randn(1, HEADS, 7, SIZE)
    key, value = torch.randn(2, 1, KEY_HEADS, 7, SIZE)
    behind = torch.arange(7)[:, None] - torch.arange(7)
    visible = (behind >= 0) & (behind < (window or 7))
    expected = scaled_dot_product_attention(
        query, key.repeat_interleave(2, 1), value.repeat_interleave(2, 1), attn_mask=visible, scale=0.3
    )
    output, _ = attend(torch.nn.Identity(), query, key, value, None, scaling=0.3, sliding_window=window)
    assert torch.allclose(output, expected.transpose(1, 2), atol=1e-5)


def test_outside_a_batch_several_sequences_are_refused() -> None:
    # Attention is not told which of their tokens are padding.
    states = torch.zeros(2, HEADS, 1, SIZE)
    with pytest.raises(ValueError, match="one sequence at a time"):
        attend(torch.nn.Identity(), states, states, states, None)
