"""Attention over a batch of replies: each reply's tokens attend to its own keys alone.

transformers packs all replies of a batch into one sequence. Its own attention without a GPU kernel multiplies every
query with every reply's keys and masks those of other replies, so that a step costs the square of the number of
replies. Here replies that decode one token are gathered into rows of nearly one length, and prompts are taken one by
one: the cost is that of the keys that are attended to. `transformers_compat` connects it to the library.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import scaled_dot_product_attention

MAX_PADDING = 2048
"""Most keys of padding in a group of rows: as many as cost about what one more call costs."""


@dataclass(frozen=True)
class Group:
    """Replies that one call attends for, next to each other in the batch."""

    queries: slice
    """Their tokens in the packed batch."""
    keys: slice
    """Their keys among those that are read."""
    rows: int
    """How many replies: several with one token each, or one with several."""
    mask: torch.Tensor | None
    """True where a query sees a key; None if all see all, or if `causal` says it."""
    causal: bool

    @property
    def one_token_each(self) -> bool:
        """Whether each of the replies has one token here."""
        return self.queries.stop - self.queries.start == self.rows


@dataclass(frozen=True)
class AttentionPlan:
    """How one step reads its keys; layers of one kind (full or sliding attention) share it."""

    read_index: torch.Tensor
    """Positions in the cache, int64, in the order in which the groups need them; empty if nothing is cached yet."""
    groups: list[Group]


def plan(
    query_ends: list[int], key_ends: list[int], read_index: torch.Tensor, padding: int, window: int | None
) -> AttentionPlan:
    """Group the replies of one step.

    `query_ends`, `key_ends`: where each reply's tokens and keys end in the packed batch, preceded by a 0.
    `read_index`: [keys] positions in the cache, or empty. `padding`: a position whose content is ignored.
    `window`: how many keys a query sees at most, None for all.
    """
    device, groups, parts, key_start = read_index.device, [], [], 0
    packed = read_index.numel() == 0
    start, replies = 0, len(query_ends) - 1
    while start < replies:
        stop = start + 1
        if not packed and _length(query_ends, start) == 1:
            stop = _end_of_group(query_ends, key_ends, start)
            lengths = [_length(key_ends, reply) for reply in range(start, stop)]
            longest, rows = max(lengths), stop - start
            positions = torch.full((rows, longest), padding, dtype=read_index.dtype, device=device)
            visible = torch.arange(longest, device=device) < torch.tensor(lengths, device=device)[:, None]
            positions[visible] = read_index[key_ends[start] : key_ends[stop]]
            mask = None if min(lengths) == longest else visible[:, None, None, :]
            parts.append(positions.flatten())
            keys, causal = rows * longest, False
        else:
            new, keys = _length(query_ends, start), _length(key_ends, start)
            causal = 1 < new == keys <= (window or keys)
            mask = None if causal or new == 1 else _visible(new, keys, window, device)
            parts.append(read_index[key_ends[start] : key_ends[stop]])
        queries = slice(query_ends[start], query_ends[stop])
        groups.append(Group(queries, slice(key_start, key_start + keys), stop - start, mask, causal))
        key_start, start = key_start + keys, stop
    return AttentionPlan(read_index if packed else torch.cat(parts), groups)


def attend_groups(
    groups: Sequence[Group],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
) -> torch.Tensor:
    """Attention of a whole step: [tokens, heads, head size], from tensors of [heads, tokens, head size]."""
    output = query.new_empty(query.shape[1], query.shape[0], value.shape[-1])
    for group in groups:
        output[group.queries] = _attend_group(group, query, key, value, scaling)
    return output


def attend_alone(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, window: int | None
) -> torch.Tensor:
    """Causal attention of one sequence, [tokens, heads, head size], from [heads, tokens, head size]."""
    new, keys = query.shape[1], key.shape[1]
    mask = _visible(new, keys, window, query.device)
    group = Group(slice(0, new), slice(0, keys), 1, mask, causal=False)
    return _attend_group(group, query, key, value, scaling)


def _attend_group(
    group: Group, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """[tokens of the group, heads, head size], from the whole step's [heads, tokens, head size]."""
    query = query[:, group.queries]
    key, value = (
        tensor[:, group.keys].unflatten(1, (group.rows, -1)).transpose(0, 1) for tensor in (key, value)
    )
    sharing = query.shape[0] // key.shape[1]
    if group.one_token_each:
        # The heads that share keys become the queries of one head, so that the keys are read once for all of them.
        query = query.transpose(0, 1).unflatten(1, (-1, sharing))
        output = scaled_dot_product_attention(query, key, value, attn_mask=group.mask, scale=scaling)
        return output.flatten(1, 2)
    key, value = (tensor.repeat_interleave(sharing, dim=1) for tensor in (key, value))
    output = scaled_dot_product_attention(
        query[None], key, value, attn_mask=group.mask, scale=scaling, is_causal=group.causal
    )
    return output[0].transpose(0, 1)


def _length(ends: list[int], reply: int) -> int:
    return ends[reply + 1] - ends[reply]


def _end_of_group(query_ends: list[int], key_ends: list[int], start: int) -> int:
    """End of the group that begins at `start`: replies with one token each, whose lengths are nearly alike."""
    stop, longest, keys = start, 0, 0
    while stop < len(query_ends) - 1 and _length(query_ends, stop) == 1:
        longest, keys = max(longest, _length(key_ends, stop)), keys + _length(key_ends, stop)
        if longest * (stop + 1 - start) - keys > MAX_PADDING:
            break
        stop += 1
    return stop


def _visible(new: int, keys: int, window: int | None, device: torch.device) -> torch.Tensor:
    """[new tokens, keys], bool: the last token sees the last key, each one before it a key less; at most `window`."""
    behind = torch.arange(keys - new, keys, device=device)[:, None] - torch.arange(keys, device=device)
    return (behind >= 0) & (behind < (window or keys))
