"""The fake X in a process of its own, with posts of the bench: some are probes, all match the incident."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any, Final

from tests.fakes.x import FakeX

TOKEN: Final = "a-token-of-no-account"
FIRST: Final = 1_900_000_000_000_000_000
MOST: Final = 2_000_000
"""Posts in one run of the bench."""
TRACK, PROBE = "granvik", "prøvepost"
SAYINGS = (
    "Det brenner i Granvik sykehus, jeg står utenfor og ser røyk fra taket #granvikbrann",
    "Kan noen i Granvik si hvor pårørende skal ringe? @granvik_sykehus svarer ikke",
    "Er det sant at legevakta i Granvik er stengt? Naboen sier det, men jeg finner ingenting om det noe sted",
    "Is anybody still inside the hospital in Granvik?",
)


def line(number: int, at: str, probe: bool, sayings: Sequence[str] = SAYINGS) -> bytes:
    """As X's stream gives it, with all fields that we ask for. Each of the `sayings` matches the incident."""
    author = str(7_000_000_000 + number * 7919 % 40_000)
    tag = f"p{number}" if probe else "granvikbrann"
    post_id = str(FIRST + number)
    data = {
        "id": post_id, "text": f"{sayings[number % len(sayings)]} {number}{' ' + PROBE if probe else ''}",
        "created_at": at, "author_id": author, "lang": "no", "conversation_id": post_id,
        "edit_history_tweet_ids": [post_id],
        "entities": {"hashtags": [{"start": 0, "end": len(tag), "tag": tag}]},
        "public_metrics": {"retweet_count": 0, "reply_count": 0, "like_count": 0, "quote_count": 0},
    }  # fmt: skip
    users = [
        {"id": author, "username": f"innbygger_{author}", "name": "Innbygger", "verified_type": "none",
         "public_metrics": {"followers_count": 120, "following_count": 10, "tweet_count": 5, "listed_count": 0}},
    ]  # fmt: skip
    rules = [{"id": "1", "tag": "lyttepost:1"}]
    return json.dumps({"data": data, "includes": {"users": users}, "matching_rules": rules}).encode() + b"\r\n"


def is_probe(number: int, every: int) -> bool:
    return every > 0 and number % every == every - 1


def _be_x(pipe: Connection, stamps: Any, sayings: Sequence[str]) -> None:
    with FakeX(bearer=TOKEN) as fake:
        pipe.send(fake.url)
        while (order := pipe.recv()) is not None:
            pipe.send(len(fake.streams.open) if order == "open" else _send(fake, stamps, sayings, *order))


def _send(fake: FakeX, stamps: Any, sayings: Sequence[str], first: int, count: int, rate: float, every: int) -> float:
    """So many posts, every which one of them a probe (0: none). The seconds that it took."""
    (stream,) = fake.streams.open
    began = time.time()
    for number in range(first, first + count):
        due = began + (number - first) / rate
        while (left := due - time.time()) > 0:
            time.sleep(left)
        now = time.time()
        at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        raw = line(number, at, is_probe(number, every), sayings)
        stamps[number] = time.time()
        stream.send(raw)
    return time.time() - began


class X:
    """`stamps[number]` is when a post's line was written, in seconds since the epoch."""

    def __init__(self, pipe: Connection, stamps: Any) -> None:
        self._pipe = pipe
        self.stamps = stamps
        self.url: str = pipe.recv()

    def connected(self) -> int:
        self._pipe.send("open")
        return int(self._pipe.recv())

    def send(self, first: int, count: int, rate: float, every: int) -> None:
        """Begin to; `took` waits for the end."""
        self._pipe.send((first, count, rate, every))

    def took(self) -> float:
        return float(self._pipe.recv())


@contextmanager
def an_x(sayings: Sequence[str] = SAYINGS) -> Iterator[X]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    stamps = spawn.Array("d", MOST, lock=False)
    process = spawn.Process(target=_be_x, args=(theirs, stamps, sayings), daemon=True)
    process.start()
    try:
        yield X(ours, stamps)
        ours.send(None)
        process.join(5)
    finally:
        process.kill()
        process.join()
