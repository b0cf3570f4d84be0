"""Calm or crisis: a pure fold of the commands on `control`, in offset order. The offset is the epoch.

Nothing here imports pydantic: a mode switch must be done before a hand leaves the keyboard. The classes are
standard frozen dataclasses, which `listener.records` lends to pydantic for validation and JSON Schema.

Mode is `crisis` while any incident is open, else `calm`; a canary's incident (`synthetic`) makes no crisis.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from listener.units import format_instant, parse_instant

SCHEMA_VERSION = 1


class Mode(StrEnum):
    CALM = "calm"
    CRISIS = "crisis"


class Action(StrEnum):
    OPEN = "open"
    CHANGE = "change"
    CLOSE = "close"


class Result(StrEnum):
    """What the fold made of a command."""

    OPENED = "opened"
    JOINED = "joined"
    """The incident of that name was open: its tracks grew."""
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    CLOSED = "closed"
    REFUSED = "refused"
    """It names an incident that is not open."""
    UNREADABLE = "unreadable"
    """No such command, or one of a newer schema: kept in the history, not guessed at."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One word on `control`: who wants what, when and why. `lookback` and `review_after` are seconds."""

    action: Action
    at: datetime
    by: str
    why: str
    name: str = ""
    incident: str = ""
    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    lookback: float = 0.0
    review_after: float = 0.0
    exercise: bool = False
    synthetic: bool = False
    type: Literal["command"] = "command"
    v: Literal[1] = 1


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One crisis: what we listen for, who opened it, when, why; open until `closed_at` is set."""

    id: str
    name: str
    tracks: tuple[str, ...]
    opened_at: datetime
    opened_by: str
    why: str
    review_at: datetime
    lookback: float = 0.0
    exercise: bool = False
    synthetic: bool = False
    closed_at: datetime | None = None
    closed_by: str | None = None
    v: Literal[1] = 1

    @property
    def open(self) -> bool:
        return self.closed_at is None


@dataclass(frozen=True, kw_only=True)
class Presence:
    """What a process says of itself each second: the epoch it has applied and how its sources are."""

    process: str
    roles: tuple[str, ...]
    host: str
    pid: int
    epoch: int
    at: datetime
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    leaving: bool = False
    type: Literal["presence"] = "presence"
    v: Literal[1] = 1


@dataclass(frozen=True)
class Transition:
    """One line of the history: the command, where it stands, and what came of it."""

    offset: int
    result: Result
    incidents: tuple[str, ...]
    command: Command | None
    detail: str = ""


@dataclass(frozen=True)
class State:
    """What all commands up to `epoch` amount to. `incidents` holds open and closed ones, in order of opening."""

    epoch: int = -1
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    since: datetime | None = None
    history: tuple[Transition, ...] = ()

    @property
    def open(self) -> tuple[Incident, ...]:
        """Open incidents, canaries' left out."""
        return tuple(i for i in self.incidents.values() if i.open and not i.synthetic)

    @property
    def listening(self) -> tuple[Incident, ...]:
        """Open incidents, canaries' included: whatever a post may match."""
        return tuple(i for i in self.incidents.values() if i.open)

    @property
    def mode(self) -> Mode:
        return Mode.CRISIS if self.open else Mode.CALM


def fold(state: State, values: Iterable[tuple[int, bytes]]) -> State:
    """(offset, value) pairs of `control` in offset order → the state after them."""
    for offset, value in values:
        state = apply(state, offset, value)
    return state


def apply(state: State, offset: int, value: bytes) -> State:
    """One record of `control` → the next state. Never raises on a bad record: it becomes history."""
    try:
        command = decode_command(value)
    except ValueError as error:
        transition = Transition(offset, Result.UNREADABLE, (), None, str(error))
        return replace(state, epoch=offset, history=(*state.history, transition))
    before = state.mode
    incidents, transition = _HANDLERS[command.action](state, offset, command)
    after = replace(state, epoch=offset, incidents=incidents, history=(*state.history, transition))
    return after if after.mode is before else replace(after, since=command.at)


def _open(state: State, offset: int, command: Command) -> tuple[Mapping[str, Incident], Transition]:
    same = find_open(state, command.name, command.exercise)
    if same is None:
        incident = Incident(
            id=f"{slug(command.name)}-{offset}",
            name=command.name,
            tracks=_merge((), command.add),
            opened_at=command.at,
            opened_by=command.by,
            why=command.why,
            review_at=command.at + timedelta(seconds=command.review_after),
            lookback=command.lookback,
            exercise=command.exercise,
            synthetic=command.synthetic,
        )
        return {**state.incidents, incident.id: incident}, Transition(offset, Result.OPENED, (incident.id,), command)
    tracks = _merge(same.tracks, command.add)
    if tracks == same.tracks:
        return state.incidents, Transition(offset, Result.UNCHANGED, (same.id,), command)
    changed = {**state.incidents, same.id: replace(same, tracks=tracks)}
    return changed, Transition(offset, Result.JOINED, (same.id,), command)


def _change(state: State, offset: int, command: Command) -> tuple[Mapping[str, Incident], Transition]:
    incident = state.incidents.get(command.incident)
    if incident is None or not incident.open:
        return state.incidents, Transition(offset, Result.REFUSED, (command.incident,), command, "not open")
    drop = {track.casefold() for track in command.drop}
    tracks = _merge(tuple(t for t in incident.tracks if t.casefold() not in drop), command.add)
    if tracks == incident.tracks:
        return state.incidents, Transition(offset, Result.UNCHANGED, (incident.id,), command)
    changed = {**state.incidents, incident.id: replace(incident, tracks=tracks)}
    return changed, Transition(offset, Result.CHANGED, (incident.id,), command)


def _close(state: State, offset: int, command: Command) -> tuple[Mapping[str, Incident], Transition]:
    if command.incident:
        named = state.incidents.get(command.incident)
        if named is None or not named.open:
            return state.incidents, Transition(offset, Result.REFUSED, (command.incident,), command, "not open")
        closing: tuple[Incident, ...] = (named,)
    else:
        closing = state.open
    if not closing:
        return state.incidents, Transition(offset, Result.UNCHANGED, (), command)
    closed = {i.id: replace(i, closed_at=command.at, closed_by=command.by) for i in closing}
    return {**state.incidents, **closed}, Transition(offset, Result.CLOSED, tuple(closed), command)


_HANDLERS = {Action.OPEN: _open, Action.CHANGE: _change, Action.CLOSE: _close}


def find_open(state: State, name: str, exercise: bool) -> Incident | None:
    """The open incident of that name. An exercise and a real crisis of one name are two: neither hides the other."""
    wanted = name.strip().casefold()
    return next(
        (
            i
            for i in state.incidents.values()
            if i.open and i.exercise == exercise and i.name.strip().casefold() == wanted
        ),
        None,
    )


def _merge(tracks: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    seen = {track.casefold() for track in tracks}
    out = list(tracks)
    for track in more:
        if track.casefold() not in seen:
            seen.add(track.casefold())
            out.append(track)
    return tuple(out)


def slug(name: str) -> str:
    """A name → what may stand in an id: `Brann, Ullevål` → `brann-ullevaal`."""
    spelled = name.casefold().replace("å", "aa").replace("ø", "o").replace("æ", "ae")
    plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "incident"


def encode_command(command: Command) -> bytes:
    return _encode(command)


def decode_command(value: bytes) -> Command:
    """Bytes → command. Raises ValueError, which names what is wrong and no value."""
    raw = _decode(value, "command")
    try:
        return Command(
            action=Action(raw["action"]),
            at=parse_instant(raw["at"]),
            by=str(raw["by"]),
            why=str(raw["why"]),
            name=str(raw.get("name", "")),
            incident=str(raw.get("incident", "")),
            add=tuple(map(str, raw.get("add", ()))),
            drop=tuple(map(str, raw.get("drop", ()))),
            lookback=float(raw.get("lookback", 0)),
            review_after=float(raw.get("review_after", 0)),
            exercise=raw.get("exercise") is True,
            synthetic=raw.get("synthetic") is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a command with a bad or missing field ({type(error).__name__})") from None


def encode_presence(presence: Presence) -> bytes:
    return _encode(presence)


def decode_presence(value: bytes) -> Presence:
    """Bytes → presence. Raises ValueError."""
    raw = _decode(value, "presence")
    try:
        return Presence(
            process=str(raw["process"]),
            roles=tuple(map(str, raw["roles"])),
            host=str(raw["host"]),
            pid=int(raw["pid"]),
            epoch=int(raw["epoch"]),
            at=parse_instant(raw["at"]),
            sources=raw.get("sources", {}),
            leaving=raw.get("leaving") is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"a presence with a bad or missing field ({type(error).__name__})") from None


def _encode(record: Command | Presence) -> bytes:
    return json.dumps(asdict(record), default=_plain, ensure_ascii=False, separators=(",", ":")).encode()


def _decode(value: bytes, kind: str) -> dict[str, Any]:
    try:
        raw = json.loads(value)
    except ValueError:
        raise ValueError("not JSON") from None
    if not isinstance(raw, dict) or raw.get("type") != kind:
        raise ValueError(f"not a {kind}")
    if raw.get("v") != SCHEMA_VERSION:
        raise ValueError(f"a {kind} of schema version {raw.get('v')!r}; this program knows {SCHEMA_VERSION}")
    return raw


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return format_instant(value)
    raise TypeError(f"{type(value).__name__} has no place on the bus")
