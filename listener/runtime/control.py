"""Setting and following the mode: append a command, read the fold, report who follows. Imports no pydantic.

Every process follows `control` by itself, from its beginning, and says once a second on `presence` how far it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from listener.bus.protocol import Bus, Consumer, Message, Record
from listener.clock import Clock
from listener.model.incidents import (
    Command,
    Presence,
    State,
    Transition,
    decode_presence,
    encode_command,
    encode_presence,
    fold,
    slug,
)
from listener.model.roles import ROLES, lacking_of, with_parts
from listener.model.topics import TOPICS
from listener.units import format_instant

FRESH = timedelta(seconds=3)
FOLLOW_SECONDS = 2.0
LATE_SECONDS = 10.0
"""So long is waited for processes that say each second that they are there, and have not followed yet."""


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
            self.state = fold(self.state, ((record.offset, record.value or b"") for record in records))
            timeout = 0.0
        return self.state

    def append(self, command: Command) -> Transition:
        """Say it, read up to it, and report what the fold made of it."""
        key = command.incident or slug(command.name) if command.incident or command.name else "all"
        (offset,) = self._bus.publish([Message("control", key, encode_command(command))])
        while self.state.epoch < offset:
            self.refresh(0.1)
        return next(t for t in reversed(self.state.history) if t.offset == offset)


class Follower(NamedTuple):
    """A process that is there, and whether it has applied the epoch asked for."""

    presence: Presence
    follows: bool

    def to_json(self) -> dict[str, Any]:
        p = self.presence
        said = {"process": p.process, "roles": list(p.roles), "host": p.host, "pid": p.pid, "epoch": p.epoch}
        return {**said, "at": format_instant(p.at), "follows": self.follows}


class Presences:
    """Who is there, by the newest word of each process. Who left, or was not heard for 3 s, is not.

    A word that lay there before we began is as old as it says; one from the future too, written before a clock was
    set back, is not fresh. A word that comes while we listen is fresh by our own monotonic clock.
    """

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._clock = clock
        self._reader = bus.reader(["presence"])
        self._listening = False
        self._latest: dict[str, tuple[Presence, float | None]] = {}

    def refresh(self, timeout: float = 0.0) -> list[Presence]:
        while records := self._reader.poll(timeout):
            for record in records:
                self._take(record)
            timeout = 0.0
        self._listening = True
        return [presence for presence, heard in self._latest.values() if self._is_there(presence, heard)]

    def _is_there(self, presence: Presence, heard: float | None) -> bool:
        if heard is None:
            age = abs(self._clock.now() - presence.at)
        else:
            age = timedelta(seconds=self._clock.monotonic() - heard)
        return not presence.leaving and age <= FRESH

    def _take(self, record: Record) -> None:
        try:
            said = decode_presence(record.value or b"")
        except ValueError:
            self._latest.pop(record.key, None)
            return
        self._latest[record.key] = (said, self._clock.monotonic() if self._listening else None)


def say_presence(bus: Bus, presence: Presence) -> None:
    bus.publish([Message("presence", presence.process, encode_presence(presence))])


def followers(presences: Iterable[Presence], epoch: int) -> list[Follower]:
    return [Follower(p, p.epoch >= epoch) for p in sorted(presences, key=lambda p: p.process)]


def missing_roles(found: Iterable[Follower]) -> list[str]:
    """The roles that nobody who follows has."""
    roles = {role for f in found if f.follows for role in f.presence.roles}
    return [lacking for role in ROLES for lacking in lacking_of(role, roles)]


def laggards(found: Iterable[Follower]) -> list[str]:
    """The processes that are there and do not follow."""
    return [f.presence.process for f in found if not f.follows]


def wait_for_followers(
    bus: Bus,
    epoch: int,
    clock: Clock,
    late: Callable[[list[str]], None] = lambda processes: None,
    starting: Callable[[], Collection[str]] = tuple,
) -> list[Follower]:
    """Until every process that is there has applied `epoch` and both roles are among them, at most `FOLLOW_SECONDS`.

    Where nothing is missing but that some are slow, they are named to `late` once, and waited for up to `LATE_SECONDS`
    as long as they go on saying that they are there: a busy machine is no service that hangs. So is who lacks, where it
    is among the roles of processes that are `starting` and have not come to the bus yet.
    """
    presences = Presences(bus, clock)
    began = clock.monotonic()
    at: dict[str, datetime] = {}
    renewed: dict[str, float] = {}
    named = False
    while True:
        found = followers(presences.refresh(0.05), epoch)
        behind = laggards(found)
        if not missing_roles(found) and not behind:
            return found
        now = clock.monotonic()
        for presence, _ in found:
            if at.setdefault(presence.process, presence.at) != presence.at:
                at[presence.process], renewed[presence.process] = presence.at, now
        if now - began < FOLLOW_SECONDS:
            continue
        alive = all(now - renewed.get(process, float("-inf")) < FOLLOW_SECONDS for process in behind)
        absent = missing_roles(Follower(f.presence, True) for f in found)
        come = with_parts(starting()) if absent else set()
        expected = bool(behind or absent) and alive and not any(lacking_of(role, come) for role in absent)
        if not expected or now - began >= LATE_SECONDS:
            return found
        if not named:
            named = True
            late([*behind, *absent])


def source_states(presences: Iterable[Presence]) -> Mapping[str, Mapping[str, Any]]:
    """Source → what its listener says of it."""
    return {name: state for p in presences for name, state in p.sources.items()}
