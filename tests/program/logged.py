"""The log of a test's own process, as `run` sets it up, and as it was before afterwards."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from listener.clock import Clock
from listener.runtime.logs import LogFormat, set_up


@contextmanager
def logged(clock: Clock, form: LogFormat = LogFormat.TEXT) -> Iterator[io.StringIO]:
    """What is logged within."""
    stream, root = io.StringIO(), logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers.clear()
    set_up(stream, clock, form=form)
    try:
        yield stream
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
