"""The hosts of Jetstream, what is asked of one, and where to begin there. Pure.

A number of a host's log means nothing on another; there, and on version 1, we begin by time, `OVERLAP` before what was
read last, and whatever comes twice is known by its id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from listener.sources.bluesky.frames import POSTS, Place

WIRE: Final = logging.getLogger(f"{__name__}.wire")
"""The client's own log: below a warning it writes what comes, and what comes are people's words."""
WIRE.setLevel(logging.WARNING)

V2: Final = ("wss://jetstream.us-east.bsky.network", "wss://jetstream.us-west.bsky.network")
V1: Final = (
    "wss://jetstream1.us-east.bsky.network",
    "wss://jetstream2.us-east.bsky.network",
    "wss://jetstream1.us-west.bsky.network",
    "wss://jetstream2.us-west.bsky.network",
)
OVERLAP: Final = 10_000_000
"""Microseconds: clocks of hosts differ, and they hear of a post at different times."""
LARGEST: Final = 2_000_000
"""Bytes of a message: a post has a few thousand. Larger ones the host leaves out."""

_FIRST: Final = 1.0
_LONGEST: Final = 60.0
_JITTER: Final = 0.3
PROVEN: Final = 30.0
"""Seconds that a connection must have been heard for its end to count as the first."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin at a host. `cursor` None: with what comes from now on. `by_time`: the cursor is microseconds."""

    host: str
    cursor: int | None
    by_time: bool = False


def start_at(host: str, read_from: str, place: Place | None, now: int, *, version: int, by_time: bool = False) -> Start:
    """`place`: where the stream of `read_from` was read to, None: nothing yet. `by_time`: its number counts no more.
    `now` is in microseconds: to another host nothing lies ahead of it, whatever the clock of the one before said."""
    if place is None:
        return Start(host, None)
    if host == read_from and place.seq is not None and version == 2 and not by_time:
        return Start(host, place.seq)
    return Start(host, max(0, min(place.us, now) - OVERLAP), by_time=True)


def url_of(start: Start, version: int) -> str:
    query: list[tuple[str, str]]
    if version == 2:
        path = "/xrpc/network.bsky.jetstream.subscribeEvents"
        query = [("kinds", "commit"), ("kinds", "account"), ("collections", POSTS)]
    else:
        path, query = "/subscribe", [("wantedCollections", POSTS)]
    query.append(("maxMessageSizeBytes", str(LARGEST)))
    if start.cursor is not None:
        query.append(("cursor", str(start.cursor)))
    parts = urlsplit(start.host)
    scheme = {"https": "wss", "http": "ws"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{path}?{urlencode(query)}"


class Rotation:
    """Which host is tried next, and after how many seconds: each at once after the one before, then with pauses that
    double. `chance` gives numbers from 0 to 1."""

    def __init__(self, hosts: Sequence[str], chance: Callable[[], float]) -> None:
        self._hosts = tuple(hosts)
        self._chance = chance
        self._at = 0
        self._failures = 0

    @property
    def host(self) -> str:
        return self._hosts[self._at]

    def begin_with(self, host: str) -> None:
        """Where the cursor counts, if it is still one of ours."""
        if host in self._hosts:
            self._at = self._hosts.index(host)

    def ended(self, heard: float, *, stay: bool = False) -> float:
        """A connection was heard for so many seconds and ended. `stay`: there is no fault of the host's. Seconds to
        wait before the next."""
        if heard >= PROVEN:
            self._failures = 0
        if not stay:
            self._at = (self._at + 1) % len(self._hosts)
        self._failures += 1
        rounds = (self._failures - 1) // len(self._hosts)
        if rounds == 0:
            return 0.25 * self._chance()
        wait = min(_FIRST * 2.0 ** min(rounds - 1, 10), _LONGEST)
        return wait * (1 - _JITTER * self._chance())
