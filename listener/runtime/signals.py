"""Signals that end the program as an exception does, so that whoever is at work tidies up on the way out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


@contextmanager
def ended_by(*numbers: signal.Signals, code: Callable[[int], int]) -> Iterator[None]:
    """Within, each of these signals raises SystemExit with `code(number)`; afterwards they mean what they meant."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        sys.exit(code(number))

    kept = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
