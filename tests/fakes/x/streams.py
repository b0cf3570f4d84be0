"""The open streams: who holds one, what is on its way to them, and the thread's loop that writes it.

A connection's loop runs in the thread of its request. Others only append to its queues and wake it.
"""

from __future__ import annotations

import json
import random
import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from .faults import Faults
from .shapes import Ask
from .times import Clock, real_wait, rfc3339
from .world import Offer, Post, World

KEEP_ALIVE = b"\r\n"
_BATCH = 500
"""Most lines in one write."""
_BACKLOG = 50_000
"""Lines on their way to one reader; with more it is too slow and is put out, as X does."""


class End(StrEnum):
    """How a connection ends, as its reader sees it."""

    CLOSE = "close"
    """The body ends as it should."""
    ABORT = "abort"
    """The socket is closed with the body unended."""
    RESET = "reset"
    """A TCP reset."""
    GONE = "gone"
    """The reader left."""


@dataclass
class _Line:
    post: Post
    kind: str
    not_before: datetime


@dataclass
class Connection:
    """One open stream."""

    id: str
    ask: Ask
    opened_at: datetime
    client: str
    alive: Callable[[], bool] = field(repr=False)
    ended_at: datetime | None = None
    reason: str | None = None
    lines: deque[_Line] = field(default_factory=deque, repr=False)
    raw: deque[bytes] = field(default_factory=deque, repr=False)
    """Bytes to be sent as they are, before any waiting line."""
    ending: End | None = None
    silent_until: datetime | None = None
    loses: bool = False
    """What comes while it is silent is lost, not late."""
    wake: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def end(self, how: End, reason: str) -> None:
        with self.wake:
            if self.ending is None:
                self.ending, self.reason = how, reason
            self.wake.notify()

    def send(self, raw: bytes) -> None:
        with self.wake:
            self.raw.append(raw)
            self.wake.notify()

    def shown(self) -> dict[str, str]:
        """As `GET /2/connections` tells it."""
        out = {"id": self.id, "endpoint_name": "filtered_stream", "connected_at": rfc3339(self.opened_at)}
        out["client_ip"] = self.client
        if self.ended_at is not None:
            out |= {"disconnected_at": rfc3339(self.ended_at), "disconnect_reason": self.reason or "unknown"}
        return out


class Streams:
    """All connections, open and past, and how their lines are written. `keep_alive` is in seconds of the clock."""

    def __init__(self, world: World, faults: Faults, clock: Clock, keep_alive: float, seed: int) -> None:
        self.world = world
        self.faults = faults
        self.keep_alive = keep_alive
        self.all: list[Connection] = []
        self._clock = clock
        self._rng = random.Random(seed)
        world.on_publish = self.deliver

    @property
    def open(self) -> list[Connection]:
        with self.world.lock:
            return [c for c in self.all if c.ended_at is None]

    def count(self) -> int:
        """Connections X counts: open ones whose reader is still there, and stuck ones."""
        with self.world.lock:
            for connection in self.open:
                if connection.ending is not None or not connection.alive():
                    self.closed(connection, End.GONE)
            return len(self.open) + self.faults.stuck_now(self._clock.now())

    def connect(self, ask: Ask, client: str, alive: Callable[[], bool], backfill: int) -> Connection:
        """Open a stream; `backfill` minutes of posts that matched come first."""
        with self.world.lock:
            now = self._clock.now()
            connection = Connection(str(uuid.UUID(int=self._rng.getrandbits(128))), ask, now, client, alive)
            if backfill:
                missed = self.world.between(now - timedelta(minutes=backfill), None)
                connection.lines.extend(_Line(p, "backfill", now) for p in missed if p.matched)
            self.all.append(connection)
            return connection

    def closed(self, connection: Connection, how: End) -> None:
        with self.world.lock:
            if connection.ended_at is None:
                connection.ended_at = self._clock.now()
                connection.reason = connection.reason or ("client disconnected" if how is End.GONE else how.value)

    def deliver(self, post: Post, kind: str = "live") -> None:
        """Queue a post for every open stream, as often as the faults say."""
        now = self._clock.now()
        due = now + timedelta(seconds=self.faults.delay)
        times = 1
        if kind == "live" and self.faults.twice > 0:
            self.faults.twice, times = self.faults.twice - 1, 2
        for connection in self.open:
            if connection.loses and connection.silent_until is not None and now < connection.silent_until:
                continue
            with connection.wake:
                connection.lines.append(_Line(post, kind, due))
                connection.lines.extend(_Line(post, "duplicate", due) for _ in range(times - 1))
                if len(connection.lines) > _BACKLOG and connection.ending is None:
                    connection.ending, connection.reason = End.CLOSE, "slow reader"
                connection.wake.notify()

    def serve(self, connection: Connection, write: Callable[[bytes], None], stopping: threading.Event) -> End:
        """Write lines, keep-alives and what is commanded until the connection ends. `write` sends one or more chunks.

        OSError of `write` goes up: the reader left.
        """
        written = connection.opened_at
        while not stopping.is_set():
            now = self._clock.now()
            silent = connection.silent_until is not None and now < connection.silent_until
            out, lines, ending = self._take(connection, now, silent)
            if out or lines:
                ending = self._write(connection, out, lines, write) or ending
                written = self._clock.now()
            elif ending is None and not silent and (now - written).total_seconds() >= self.keep_alive:
                write(_chunk(KEEP_ALIVE))
                written = now
            if ending is not None:
                return ending
            if not (out or lines):
                if not connection.alive():
                    return End.GONE
                with connection.wake:
                    if not (connection.raw or connection.ending) and (silent or not connection.lines):
                        connection.wake.wait(real_wait(self._clock, self.keep_alive))
                    elif connection.lines and not connection.raw and not connection.ending:
                        wait = (connection.lines[0].not_before - self._clock.now()).total_seconds()
                        connection.wake.wait(max(real_wait(self._clock, wait), 0.005))
        return End.CLOSE

    def _take(self, c: Connection, now: datetime, silent: bool) -> tuple[list[bytes], list[_Line], End | None]:
        with c.wake:
            raw = list(c.raw)
            c.raw.clear()
            lines: list[_Line] = []
            if not silent and c.ending is None and self._may_go(c, now):
                while c.lines and len(lines) < _BATCH and c.lines[0].not_before <= now:
                    lines.append(c.lines.popleft())
            return raw, lines, c.ending

    def _may_go(self, c: Connection, now: datetime) -> bool:
        """False while lines are held to be mixed; mixes them when there are enough, or time is up."""
        if not self.faults.shuffle or not c.lines:
            return True
        until = self.faults.shuffle_until
        if len(c.lines) < self.faults.shuffle and (until is None or now < until):
            return False
        held = list(c.lines)
        self._rng.shuffle(held)
        if all(a is b for a, b in zip(held, c.lines, strict=True)):
            held.reverse()
        for line in held:
            line.not_before = now
        c.lines = deque(held)
        self.faults.shuffle = 0
        return True

    def _write(self, c: Connection, raw: list[bytes], lines: list[_Line], write: Callable[[bytes], None]) -> End | None:
        chunks = [_chunk(piece) for piece in raw]
        sent: list[_Line] = []
        ending: End | None = None
        for line in lines:
            if line.post.deleted_at is not None:
                continue
            text = self._render(c, line)
            if self.faults.half is not None:
                ending, self.faults.half = End(self.faults.half), None
                c.reason = "half a line"
                chunks.append(_chunk(text[: len(text) // 2]))
                self.world.cut.append((c.id, line.post.id))
                break
            chunks.append(_chunk(text + b"\r\n"))
            sent.append(line)
        # On record first: a reader that asks what it was offered as soon as it has it must not be told "nothing".
        with self.world.lock:
            now = self._clock.now()
            offers = [Offer(c.id, s.post.id, tuple(r.id for r in s.post.matched), now, s.kind) for s in sent]
            self.world.offers.extend(offers)
            self.world.count_read(line.post.id for line in sent)
        try:
            if chunks:
                write(b"".join(chunks))
        except OSError:
            with self.world.lock:
                mine = set(map(id, offers))
                self.world.offers[:] = [o for o in self.world.offers if id(o) not in mine]
                self.world.cut.extend((c.id, line.post.id) for line in sent)
            raise
        return ending

    def _render(self, c: Connection, line: _Line) -> bytes:
        with self.world.lock:
            (data,), includes = c.ask.answer([line.post.data], self.world.known)
        matched = [{"id": r.id, "tag": r.tag or ""} for r in line.post.matched]
        if self.faults.untagged > 0:
            self.faults.untagged -= 1
            matched = [{"id": r["id"]} for r in matched]
        body: dict[str, object] = {"data": data}
        if includes:
            body["includes"] = includes
        if self.faults.unmatched > 0:
            self.faults.unmatched -= 1
        else:
            body["matching_rules"] = matched
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _chunk(payload: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(payload), payload)
