"""How sure a share is: the 95 % interval of Wilson (1927, "Probable inference, the law of succession, and statistical
inference", Journal of the American Statistical Association 22), without continuity correction."""

import math
from dataclasses import dataclass

Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True)
class Share:
    """`count` of `of` as a share `value`, with its confidence interval from `low` to `high`; all from 0 to 1."""

    count: int
    of: int
    value: float
    low: float
    high: float


def wilson(count: int, of: int) -> Share:
    """The share `count` of `of` with its 95 % interval. Raises ValueError unless 0 <= `count` <= `of` and `of` > 0."""
    if not 0 <= count <= of or of == 0:
        raise ValueError(f"{count} of {of} is no share")
    share, square = count / of, Z * Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    # For a share of 0 or 1 that bound is the share itself; the minimum and maximum remove rounding errors.
    return Share(count, of, share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))
