"""Attention over a batch of replies: each reply's tokens attend to its own keys alone.

The library packs all replies of a batch into one sequence. Its own attention without a GPU kernel multiplies every
query with every reply's keys and masks what is not its own, so that a step costs the square of the number of
replies. Here replies that decode one token are gathered into rows of nearly one length, and prompts are taken one by
one; the cost is that of the keys that are really attended to.
"""

import threading
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import repeat_kv

EACH_ITS_OWN = "each_its_own"
"""The name under which the library finds `attend`."""
WASTE = 2048
"""Keys of padding that a group of rows may have: as many as cost about what one more call costs."""


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
    """True where a query sees a key; None where all see all, or `causal` says it."""
    causal: bool

    @property
    def one_each(self) -> bool:
        """Whether each of the replies has one token here."""
        return self.queries.stop - self.queries.start == self.rows


@dataclass(frozen=True)
class Plan:
    """How one step reads its keys, the same for all layers that keep their keys alike."""

    read_index: torch.Tensor
    """Places in the cache, int64, in the order in which the groups want them; empty if nothing is cached yet."""
    groups: list[Group]


def plan(
    query_ends: list[int], key_ends: list[int], read_index: torch.Tensor, padding: int, window: int | None
) -> Plan:
    """Group the replies of one step.

    `query_ends`, `key_ends`: where each reply's tokens and keys end in the packed batch, a 0 before them.
    `read_index`: [keys] places in the cache, or empty. `padding`: a place that may be read and means nothing.
    `window`: how many keys a query sees at most, None for all.
    """
    device, groups, parts, place = read_index.device, [], [], 0
    packed = read_index.numel() == 0
    first, replies = 0, len(query_ends) - 1
    while first < replies:
        last = first + 1
        if not packed and _tokens(query_ends, first) == 1:
            last = _together(query_ends, key_ends, first)
            lengths = [_tokens(key_ends, reply) for reply in range(first, last)]
            longest, rows = max(lengths), last - first
            place_of = torch.full((rows, longest), padding, dtype=read_index.dtype, device=device)
            seen = torch.arange(longest, device=device) < torch.tensor(lengths, device=device)[:, None]
            place_of[seen] = read_index[key_ends[first] : key_ends[last]]
            mask = None if min(lengths) == longest else seen[:, None, None, :]
            parts.append(place_of.flatten())
            keys, causal = rows * longest, False
        else:
            new, keys = _tokens(query_ends, first), _tokens(key_ends, first)
            causal = 1 < new == keys <= (window or keys)
            mask = None if causal or new == 1 else _visible(new, keys, window, device)
            parts.append(read_index[key_ends[first] : key_ends[last]])
        queries = slice(query_ends[first], query_ends[last])
        groups.append(Group(queries, slice(place, place + keys), last - first, mask, causal))
        place, first = place + keys, last
    return Plan(read_index if packed else torch.cat(parts), groups)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    cache: Any = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """The library's attention interface; `query`: [1, heads, tokens, head size], `key` and `value` likewise.

    Returns [1, tokens, heads, head size]. Raises RuntimeError outside a running batch, where nothing says which
    token belongs to which reply.
    """
    if cache is None:
        raise RuntimeError("This model serves a batch. Load it again to ask it directly.")
    step = _plan_of_step(module, cache, kwargs)
    index = cache.layer_to_allocator[module.layer_idx].index
    reading = [step.read_index if at == index else one for at, one in enumerate(kwargs["read_index"])]
    key, value = cache.update(
        key_states=key,
        value_states=value,
        layer_idx=module.layer_idx,
        kwargs={**kwargs, "read_index": reading},
    )
    made = query.new_empty(query.shape[2], query.shape[1], value.shape[-1])
    for group in step.groups:
        made[group.queries] = _answers(group, query[0], key[0], value[0], scaling)
    return made[None], None


def _answers(
    group: Group, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """[tokens of the group, heads, head size], from the whole step's [heads, tokens, head size]."""
    query = query[:, group.queries]
    key, value = (
        whole[:, group.keys].unflatten(1, (group.rows, -1)).transpose(0, 1) for whole in (key, value)
    )
    sharing = query.shape[0] // key.shape[1]
    if group.one_each:
        # The heads that share keys become the queries of one head, and the keys are read once for all of them.
        query = query.transpose(0, 1).unflatten(1, (-1, sharing))
        answers = scaled_dot_product_attention(query, key, value, attn_mask=group.mask, scale=scaling)
        return answers.flatten(1, 2)
    key, value = repeat_kv(key, sharing), repeat_kv(value, sharing)
    answers = scaled_dot_product_attention(
        query[None], key, value, attn_mask=group.mask, scale=scaling, is_causal=group.causal
    )
    return answers[0].transpose(0, 1)


_steps = threading.local()


def _plan_of_step(module: Any, cache: Any, kwargs: dict[str, Any]) -> Plan:
    # Each batch has a thread of its own, and each step a list of its own: while that is held here, none has its id.
    if getattr(_steps, "of", None) is not kwargs["read_index"]:
        _steps.of, _steps.plans = kwargs["read_index"], {}
    allocator = cache.layer_to_allocator[module.layer_idx]
    if allocator.index not in _steps.plans:
        _steps.plans[allocator.index] = plan(
            kwargs["cu_seq_lens_q"].tolist(),
            kwargs["cu_seq_lens_k"][allocator.layer_type].tolist(),
            kwargs["read_index"][allocator.index],
            allocator.read_trash_index,
            getattr(allocator, "sliding_window", None),
        )
    return _steps.plans[allocator.index]


def _tokens(ends: list[int], reply: int) -> int:
    return ends[reply + 1] - ends[reply]


def _together(query_ends: list[int], key_ends: list[int], first: int) -> int:
    """Up to which reply the ones from `first` on make a group: one token each, and lengths nearly alike."""
    last, longest, known = first, 0, 0
    while last < len(query_ends) - 1 and _tokens(query_ends, last) == 1:
        longest, known = max(longest, _tokens(key_ends, last)), known + _tokens(key_ends, last)
        if longest * (last + 1 - first) - known > WASTE:
            break
        last += 1
    return last


def _visible(new: int, keys: int, window: int | None, device: torch.device) -> torch.Tensor:
    """[new tokens, keys]: the last token sees the last key, each one before it a key less; at most `window` of them."""
    behind = torch.arange(keys - new, keys, device=device)[:, None] - torch.arange(keys, device=device)
    return (behind >= 0) & (behind < (window or keys))


AttentionInterface.register(EACH_ITS_OWN, attend)
