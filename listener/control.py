"""Saying and following the mode: append a command, read the fold, tell who follows. Imports no pydantic.

Every process follows `control` by itself, from its beginning, and says once a second on `presence` how far it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from listener.bus import Bus, Consumer, Message, Record
from listener.bus.topics import TOPICS
from listener.clock import Clock
from listener.mode import (
    Command,
    Presence,
    State,
    Transition,
    apply,
    decode_presence,
    encode_command,
    encode_presence,
    slug,
)
from listener.units import format_instant, from_ms

FRESH = timedelta(seconds=3)
FOLLOW_SECONDS = 2.0


class Control:
    """One process's view of `control`."""

    def __init__(self, bus: Bus) -> None:
        bus.ensure([TOPICS["control"], TOPICS["presence"]])
        self._bus = bus
        self._reader: Consumer = bus.reader(["control"])
        self.state = State()

    def refresh(self, timeout: float = 0.0) -> State:
        """Fold what is new, waiting at most `timeout` seconds for it."""
        while records := self._reader.poll(timeout):
            for record in records:
                self.state = apply(self.state, record.offset, record.value or b"")
            timeout = 0.0
        return self.state

    def append(self, command: Command) -> Transition:
        """Say it, read up to it, and report what the fold made of it."""
        key = command.incident or slug(command.name) if command.incident or command.name else "all"
        (offset,) = self._bus.publish([Message("control", key, encode_command(command))])
        while self.state.epoch < offset:
            self.refresh(0.1)
        return next(t for t in reversed(self.state.history) if t.offset == offset)


@dataclass(frozen=True)
class Follower:
    """A process that is there, and whether it has applied the epoch asked for."""

    presence: Presence
    follows: bool

    def to_json(self) -> dict[str, Any]:
        said = asdict(self.presence)
        kept = {name: said[name] for name in ("process", "roles", "host", "pid", "epoch")}
        return {**kept, "at": format_instant(self.presence.at), "follows": self.follows}


class Presences:
    """Who is there, by the newest word of each process. Who left, or was not heard for 3 s, is not."""

    def __init__(self, bus: Bus) -> None:
        self._reader = bus.reader(["presence"])
        self._latest: dict[str, tuple[datetime, Presence]] = {}

    def refresh(self, now: datetime, timeout: float = 0.0) -> list[Presence]:
        while records := self._reader.poll(timeout):
            for record in records:
                self._take(record)
            timeout = 0.0
        return [p for heard, p in self._latest.values() if not p.leaving and now - heard <= FRESH]

    def _take(self, record: Record) -> None:
        if record.value is None:
            self._latest.pop(record.key, None)
            return
        try:
            self._latest[record.key] = (from_ms(record.time_ms), decode_presence(record.value))
        except ValueError:
            self._latest.pop(record.key, None)


def say_presence(bus: Bus, presence: Presence) -> None:
    bus.publish([Message("presence", presence.process, encode_presence(presence))])


def followers(presences: list[Presence], epoch: int) -> list[Follower]:
    return [Follower(p, p.epoch >= epoch) for p in sorted(presences, key=lambda p: p.process)]


def missing_roles(found: list[Follower]) -> list[str]:
    """The roles that nobody who follows has."""
    roles = {role for f in found if f.follows for role in f.presence.roles}
    return [role for role in ("listener", "alerts") if role not in roles]


def wait_for_followers(bus: Bus, epoch: int, clock: Clock, seconds: float = FOLLOW_SECONDS) -> list[Follower]:
    """Until every process that is there has applied `epoch` and both roles are among them, at most `seconds`."""
    presences = Presences(bus)
    deadline = clock.monotonic() + seconds
    while True:
        found = followers(presences.refresh(clock.now(), 0.05), epoch)
        settled = not missing_roles(found) and all(f.follows for f in found)
        if settled or clock.monotonic() >= deadline:
            return found


def source_states(presences: list[Presence]) -> Mapping[str, Mapping[str, Any]]:
    """Source → what its listener says of it."""
    return {name: state for p in presences for name, state in p.sources.items()}
