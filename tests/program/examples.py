"""On how many examples a property is tried."""

from __future__ import annotations

import os
from typing import Any, Final

from hypothesis import settings

VARIABLE: Final = "LYTTEPOST_EXAMPLES"
SHARE: Final = 5
FEWEST: Final = 4


def examples(number: int, **more: Any) -> settings:
    """`number` of them with LYTTEPOST_EXAMPLES=all, as on CI; else a fifth, so that one runs the tests gladly.

    Each run tries others: what a fifth misses today the next may find. `more`: settings of Hypothesis.
    """
    every = os.environ.get(VARIABLE) == "all"
    return settings(max_examples=number if every else max(min(number, FEWEST), number // SHARE), **more)
