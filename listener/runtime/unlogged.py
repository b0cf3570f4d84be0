"""Keeps what HTTP clients log out of every log, where the address that they name holds a key."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHATTY = (
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.response",
    "urllib3.util.retry",
    "requests",
    "apprise",
)
"""Loggers that name addresses, keys or bodies."""

_sending = threading.local()


@contextmanager
def unlogged() -> Iterator[None]:
    """Within it, what the clients log in this thread is thrown away, `--verbose` included."""
    _sending.now = True
    try:
        yield
    finally:
        _sending.now = False


def _passes(record: logging.LogRecord) -> bool:
    return not getattr(_sending, "now", False)


for _name in CHATTY:
    logging.getLogger(_name).addFilter(_passes)
