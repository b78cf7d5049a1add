"""How sure a share is: the 95 % interval of Wilson (1927, "Probable inference, the law of succession, and statistical
inference", Journal of the American Statistical Association 22), without continuity correction."""

import math
from dataclasses import dataclass

Z = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True)
class Share:
    """So many of so many, and the interval that holds the true share: all from 0 to 1."""

    count: int
    of: int
    value: float
    low: float
    high: float


def wilson(count: int, of: int) -> Share:
    """The share `count` of `of` with its interval. Raises ValueError where there is nothing to take a share of."""
    if not 0 <= count <= of or of == 0:
        raise ValueError(f"{count} of {of} is no share")
    share, square = count / of, Z * Z
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    # Of none or of all the bound is the share itself, up to rounding.
    return Share(count, of, share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half)))
