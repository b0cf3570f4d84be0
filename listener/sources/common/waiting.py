"""How a live source waits in `read`: it looks again and again, woken by whoever brings something."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from listener.clock import Clock
from listener.sources.contract import Batch

LONGEST: Final = 0.25
"""Seconds after which it is looked again, whether anybody rang or not."""


def first_batch(
    look: Callable[[], Batch | None],
    timeout: float,
    clock: Clock,
    bell: threading.Event,
    leaving: Callable[[], bool],
) -> Batch | None:
    """The first batch that `look` gives within `timeout` seconds; None where there is none, or the source is closed.

    `look` is called once at least. The bell is silenced before it looks, so that what comes meanwhile is not overheard.
    """
    deadline = clock.monotonic() + timeout
    while not leaving():
        bell.clear()
        if (batch := look()) is not None:
            return batch
        left = deadline - clock.monotonic()
        if left <= 0:
            return None
        clock.wait(min(left, LONGEST), bell)
    return None
