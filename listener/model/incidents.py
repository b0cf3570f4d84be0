"""Calm or crisis: a pure fold of the commands on `control`, in offset order. The offset is the epoch.

Nothing here imports pydantic: a mode switch must be done before a hand leaves the keyboard. The classes are
standard frozen dataclasses, which `listener.model.records` lends to pydantic for validation and JSON Schema.

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
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from listener.model.codec import flag, instant, reader, seconds, sources, text, texts, whole
from listener.units import format_instant


class Mode(StrEnum):
    CALM = "calm"
    CRISIS = "crisis"


class Action(StrEnum):
    OPEN = "open"
    CHANGE = "change"
    CLOSE = "close"
    REVIEW = "review"


class Result(StrEnum):
    """What the fold made of a command."""

    OPENED = "opened"
    JOINED = "joined"
    """The incident of that name was open: its tracks grew, it looks back further, or its review moved."""
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    CLOSED = "closed"
    REVIEWED = "reviewed"
    """Somebody looked whether it still is a crisis: the next review is later."""
    REFUSED = "refused"
    """It names an incident that is not open."""
    UNREADABLE = "unreadable"
    """No such command, or one of a newer schema: kept in the history, not guessed at."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One word on `control`: who wants what, when and why. `lookback` and `review_after` are seconds.

    They are there for the case that the incident is opened; `…_asked` says that a person named them, so that an
    incident which is open already follows them too. Of a review, `review_after` is when to ask again; where nobody
    named it, the incident's own counts.
    """

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
    lookback_asked: bool = False
    review_asked: bool = False
    exercise: bool = False
    synthetic: bool = False
    type: Literal["command"] = "command"
    v: Literal[1] = 1


@dataclass(frozen=True, kw_only=True)
class Incident:
    """One crisis: what we listen for, who opened it, when, why; open until `closed_at` is set.

    `review_at`: when the crisis team is asked whether it still is one, and again every `review_after` seconds; at 0
    nobody is asked.
    """

    id: str
    name: str
    tracks: tuple[str, ...]
    opened_at: datetime
    opened_by: str
    why: str
    review_at: datetime
    review_after: float = 0.0
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


class Transition(NamedTuple):
    """One line of the history: the command, where it stands, and what came of it."""

    offset: int
    result: Result
    incidents: tuple[str, ...]
    command: Command | None
    detail: str = ""


class State(NamedTuple):
    """What all commands up to `epoch` amount to. `incidents` holds open and closed ones, in order of opening."""

    epoch: int = -1
    incidents: Mapping[str, Incident] = MappingProxyType({})
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
    """(offset, value) pairs of `control` in offset order → the state after them.

    Never raises on a bad record: it becomes history. An offset that the state has behind it changes nothing.
    """
    incidents, history = dict(state.incidents), list(state.history)
    going = {i.id: i for i in state.listening}
    epoch, since, crisis = state.epoch, state.since, _is_crisis(going)
    for offset, value in values:
        if offset <= epoch:
            continue
        epoch = offset
        try:
            command = decode_command(value)
        except ValueError as error:
            history.append(Transition(offset, Result.UNREADABLE, (), None, str(error)))
            continue
        result, touched = _HANDLERS[command.action](going, offset, command)
        if result is Result.REFUSED:
            history.append(Transition(offset, result, (command.incident,), command, "not open"))
            continue
        history.append(Transition(offset, result, tuple(i.id for i in touched), command))
        for incident in touched:
            incidents[incident.id] = incident
            if incident.open:
                going[incident.id] = incident
            else:
                del going[incident.id]
        if crisis is not (crisis := _is_crisis(going)):
            since = command.at
    return State(epoch, incidents, since, tuple(history))


def apply(state: State, offset: int, value: bytes) -> State:
    """One record of `control` → the next state."""
    return fold(state, [(offset, value)])


def _is_crisis(going: Mapping[str, Incident]) -> bool:
    return any(not i.synthetic for i in going.values())


Touched = tuple[Result, tuple[Incident, ...]]
"""What came of a command, and the incidents it names as they are after it."""


def _open(going: Mapping[str, Incident], offset: int, command: Command) -> Touched:
    same = _same(going, command)
    if same is None:
        incident = Incident(
            id=f"{slug(command.name)}-{offset}",
            name=command.name,
            tracks=_merge((), command.add),
            opened_at=command.at,
            opened_by=command.by,
            why=command.why,
            review_at=command.at + timedelta(seconds=command.review_after),
            review_after=command.review_after,
            lookback=command.lookback,
            exercise=command.exercise,
            synthetic=command.synthetic,
        )
        return Result.OPENED, (incident,)
    joined = replace(
        same,
        tracks=_merge(same.tracks, command.add),
        # What was looked back over is there: it can only become more.
        lookback=max(same.lookback, command.lookback) if command.lookback_asked else same.lookback,
    )
    if command.review_asked:
        joined = replace(_reviewed(joined, command.at, command.review_after), review_after=command.review_after)
    elif joined != same:
        joined = _seen_to(joined, command.at)
    return (Result.UNCHANGED if joined == same else Result.JOINED), (joined,)


def _change(going: Mapping[str, Incident], offset: int, command: Command) -> Touched:
    incident = going.get(command.incident)
    if incident is None:
        return Result.REFUSED, ()
    drop = {track.casefold() for track in command.drop}
    tracks = _merge(tuple(t for t in incident.tracks if t.casefold() not in drop), command.add)
    if tracks == incident.tracks:
        return Result.UNCHANGED, (incident,)
    return Result.CHANGED, (_seen_to(replace(incident, tracks=tracks), command.at),)


def _review(going: Mapping[str, Incident], offset: int, command: Command) -> Touched:
    named = _named(going, command)
    if named is None:
        return Result.REFUSED, ()
    its = command.review_after
    reviewed = tuple(
        _reviewed(i, command.at, its if command.review_asked or not i.review_after else i.review_after) for i in named
    )
    return (Result.UNCHANGED if reviewed == named else Result.REVIEWED), reviewed


def _reviewed(incident: Incident, at: datetime, after: float) -> Incident:
    return replace(incident, review_at=at + timedelta(seconds=after))


def _seen_to(incident: Incident, at: datetime) -> Incident:
    """Who changes an incident whose review is due has looked at it: no review is asked for after that."""
    due = incident.review_after > 0 and at >= incident.review_at
    return _reviewed(incident, at, incident.review_after) if due else incident


def _named(going: Mapping[str, Incident], command: Command) -> tuple[Incident, ...] | None:
    """The open incidents that a command is about: the one that it names, or all but canaries'. None: it is not open."""
    if not command.incident:
        return tuple(i for i in going.values() if not i.synthetic)
    return (going[command.incident],) if command.incident in going else None


def _close(going: Mapping[str, Incident], offset: int, command: Command) -> Touched:
    closing = _named(going, command)
    if closing is None:
        return Result.REFUSED, ()
    if not closing:
        return Result.UNCHANGED, ()
    # A clock that was set back must not close an incident before it was opened.
    return Result.CLOSED, tuple(
        replace(i, closed_at=max(command.at, i.opened_at), closed_by=command.by) for i in closing
    )


_HANDLERS = {Action.OPEN: _open, Action.CHANGE: _change, Action.CLOSE: _close, Action.REVIEW: _review}


def _same(going: Mapping[str, Incident], command: Command) -> Incident | None:
    """The open incident of that name. An exercise, a real crisis and a canary of one name are three: none hides
    another."""
    name = _spoken(command.name)
    return next(
        (
            i
            for i in going.values()
            if i.exercise is command.exercise and i.synthetic is command.synthetic and _spoken(i.name) == name
        ),
        None,
    )


def _spoken(name: str) -> str:
    """A name as it sounds: without case, spare white space, and however its letters are composed."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


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
    spelled = unicodedata.normalize("NFC", name).casefold().replace("å", "aa").replace("ø", "o").replace("æ", "ae")
    plain = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:40].strip("-") or "incident"


def encode_command(command: Command) -> bytes:
    return _encode(command)


def decode_command(value: bytes) -> Command:
    """Bytes → command. Raises ValueError, which names what is wrong and no value."""
    read = reader(value, "command")
    command = Command(
        action=read("action", Action),
        at=read("at", instant),
        by=read("by", text),
        why=read("why", text),
        name=read("name", text, ""),
        incident=read("incident", text, ""),
        add=read("add", texts, ()),
        drop=read("drop", texts, ()),
        lookback=read("lookback", seconds, 0.0),
        review_after=read("review_after", seconds, 0.0),
        lookback_asked=read("lookback_asked", flag, False),
        review_asked=read("review_asked", flag, False),
        exercise=read("exercise", flag, False),
        synthetic=read("synthetic", flag, False),
    )
    if command.action is Action.OPEN and not command.name.strip():
        raise ValueError("a command that opens an incident without a name")
    return command


def encode_presence(presence: Presence) -> bytes:
    return _encode(presence)


def decode_presence(value: bytes) -> Presence:
    """Bytes → presence. Raises ValueError."""
    read = reader(value, "presence")
    return Presence(
        process=read("process", text),
        roles=read("roles", texts),
        host=read("host", text),
        pid=read("pid", whole),
        epoch=read("epoch", whole),
        at=read("at", instant),
        sources=read("sources", sources, {}),
        leaving=read("leaving", flag, False),
    )


def _encode(record: Command | Presence) -> bytes:
    return json.dumps(asdict(record), default=_plain, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return format_instant(value)
    raise TypeError(f"{type(value).__name__} has no place on the bus")
