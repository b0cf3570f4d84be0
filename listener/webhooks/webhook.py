"""One platform's webhook: the path that it calls, how a call proves where it comes from, and what came.

A source makes it and takes from its `mailbox`; the worker `webhooks` serves it while that is open.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple, Protocol

from listener.webhooks.mailbox import Mailbox


class CallOutcome(StrEnum):
    """What came of a call, for the metrics."""

    TAKEN = "taken"
    """What it brought is durable: 200."""
    HANDSHAKE = "handshake"
    """The platform asked whether the address is ours: 200."""
    REFUSED = "refused"
    """The signature, or the handshake's token, is wrong or not there: 401. Nothing of it is kept."""
    TOO_LARGE = "too_large"
    """413, or 408 where it came too slowly."""
    FAILED = "failed"
    """It could not be made durable in time, or another process has the source: 503, and the platform tries again."""


class Greeting(NamedTuple):
    """What a handshake is answered with."""

    body: str
    media_type: str = "text/plain"


class Guard(Protocol):
    """How one platform's calls prove that they are its own. Compares in constant time, and knows no web server."""

    def greet(self, query: Mapping[str, str]) -> Greeting | None:
        """A handshake's answer; None where it proves nothing. `query`: the parameters of its address."""

    def signed(self, headers: Mapping[str, str]) -> bool:
        """There is a signature of the right form: only then is a body read at all. Names are in lower case."""

    def is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        """The signature is that of these very bytes."""


class Webhook:
    """`source` is the path too: `/facebook`."""

    def __init__(self, source: str, guard: Guard, bell: threading.Event) -> None:
        """`bell` is set whenever a call waits."""
        self.source = source
        self.guard = guard
        self.mailbox = Mailbox(bell)
