"""Calm and crisis switched by a person, checked and written down: open, change, close, review. Imports no pydantic.

The functions named `…_command` make a command of what was entered; `switch` asks whether it can be, and puts it on
`control`. To wait for who follows is the caller's matter (`listener.runtime.control.wait_for_followers`).

`by` is who decides. `fields` is what whoever calls it calls the parameters that a message may name: what is off raises
BadValue or UsageError, what a state forbids Refused, a setting that is wrong ConfigError. Then nothing was written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from listener.errors import BadValue, Refusal, Refused, Unfit
from listener.model.codec import LONGEST, MAX_LOOKBACK, MAX_REVIEW, MAX_TRACKS, MIN_REVIEW
from listener.model.entered import AS_THEY_ARE, Fields, duration, field_of, is_silent, reason, require_known, storable
from listener.model.incidents import (
    Action,
    Command,
    Incident,
    Presence,
    Result,
    State,
    Transition,
    apply,
    encode_command,
)
from listener.model.tracks import LONGEST as LONGEST_TRACK
from listener.model.tracks import account_track, canonical, common_word, place_track, too_common
from listener.runtime.control import Control, source_states
from listener.settings.files import RawSettings, raw_settings
from listener.settings.followed import allowed_accounts, persons_among, refusal
from listener.units import format_duration

BOUNDS = {"lookback": (timedelta(), MAX_LOOKBACK), "review_after": (MIN_REVIEW, MAX_REVIEW)}
"""What the settings may say; a person may say more."""
DEFAULTS = {"lookback": "6h", "review_after": "4h"}
"""Where the settings say nothing."""

ReadSettings = Callable[[], RawSettings]
"""The settings, for the durations that a person did not name."""
There = Callable[[], Iterable[Presence]]
"""The processes that are there now."""


class Doubt(StrEnum):
    """What somebody who switches might not know."""

    REACH = "reach"
    """The source can search no further back than so many `seconds`: no further is looked."""
    COMMON = "common"
    """The track is in a large share of everything that is said, or, with a `word`, finds that word too."""
    NOT_DROPPED = "not_dropped"
    """The track is none of the incident's `tracks`: to drop it changes nothing."""


class Warned(NamedTuple):
    """`about`: a source or a track."""

    doubt: Doubt
    about: str
    seconds: float = 0.0
    word: str = ""
    tracks: tuple[str, ...] = ()


class Switched(NamedTuple):
    """What came of a command; the state after it is the `state` of `Control`. `warnings`: what was found before it."""

    transition: Transition
    warnings: tuple[Warned, ...]


class TooCommon(Refused):
    """A track that is in a large share of everything (`word` as in `Warned`), on `sources` that bill every post. It is
    taken where `anyway` is said."""

    def __init__(self, track: str, sources: Sequence[str], field: str) -> None:
        super().__init__(
            f"{track!r} {too_common(track)}, and {', '.join(sources)} bills every post that has it; name what it is "
            f"about, or add {field}",
            Refusal.TOO_COMMON, track=track, sources=", ".join(sources), anyway=field,
        )  # fmt: skip
        self.track = track
        self.word = common_word(track) or ""
        self.sources = tuple(sources)


def open_command(
    name: str, *, why: str, by: str, now: datetime, tracks: Iterable[str] = (), accounts: Iterable[str] = (),
    places: Iterable[str] = (), lookback: str | None = None, review_after: str | None = None, exercise: bool = False,
    settings: ReadSettings = raw_settings, fields: Fields = AS_THEY_ARE,
) -> Command:  # fmt: skip
    """Open an incident; the same name again adds tracks to it. A duration that is None is the settings'."""
    named = field_of(fields, "name")
    called = " ".join(storable(name, named).split())
    if is_silent(called):
        raise BadValue("give the incident a name", named, Refusal.NO_NAME)
    command = Command(
        action=Action.OPEN,
        at=now,
        by=by,
        why=reason(why, field_of(fields, "why")),
        name=called,
        add=(
            *_tracks(canonical, tracks, field_of(fields, "tracks")),
            *_tracks(account_track, accounts, field_of(fields, "accounts")),
            *_tracks(place_track, places, field_of(fields, "places")),
        ),
        lookback=_seconds("lookback", lookback, field_of(fields, "lookback"), settings),
        review_after=_seconds("review_after", review_after, field_of(fields, "review_after"), settings),
        lookback_asked=lookback is not None,
        review_asked=review_after is not None,
        exercise=exercise,
    )
    _require_few(command.add, fields)
    _require_no_person(command.add, settings, field_of(fields, "accounts"))
    return command


def change_command(
    incident: str, *, why: str, by: str, now: datetime, add: Iterable[str] = (), drop: Iterable[str] = (),
    settings: ReadSettings = raw_settings, fields: Fields = AS_THEY_ARE,
) -> Command:  # fmt: skip
    """Add tracks to an open incident, by its id, or drop some."""
    adding, dropping = field_of(fields, "add"), field_of(fields, "drop")
    command = Command(
        action=Action.CHANGE,
        at=now,
        by=by,
        why=reason(why, field_of(fields, "why")),
        incident=storable(incident, field_of(fields, "incident")),
        add=_tracks(canonical, add, adding),
        drop=_tracks(canonical, drop, dropping),
    )
    if not command.add and not command.drop:
        raise BadValue("name at least one track", f"{adding}, {dropping}", Refusal.NO_TRACK)
    _require_few(command.add, fields)
    _require_no_person(command.add, settings, adding)
    return command


def close_command(incident: str = "", *, why: str, by: str, now: datetime, fields: Fields = AS_THEY_ARE) -> Command:
    """Close one incident, by its id, or all that are open: then it is calm."""
    named = _which(incident, "closed", field_of(fields, "incident"))
    return Command(action=Action.CLOSE, at=now, by=by, why=reason(why, field_of(fields, "why")), incident=named)


def review_command(
    incident: str = "", *, why: str, by: str, now: datetime, after: str | None = None,
    settings: ReadSettings = raw_settings, fields: Fields = AS_THEY_ARE,
) -> Command:  # fmt: skip
    """Say that it still is a crisis, of one incident or of all that are open. `after`: when to ask again; None: after
    as long as before."""
    named = _which(incident, "reviewed", field_of(fields, "incident"))
    return Command(
        action=Action.REVIEW,
        at=now,
        by=by,
        why=reason(why, field_of(fields, "why")),
        incident=named,
        review_after=_seconds("review_after", after, field_of(fields, "after"), settings),
        review_asked=after is not None,
    )


def switch(
    control: Control, command: Command, *, there: There, bills: Callable[[], Sequence[str]], anyway: bool = False,
    fields: Fields = AS_THEY_ARE,
) -> Switched:  # fmt: skip
    """Durable when this returns. The rest as in `doubts`."""
    warnings = tuple(doubts(control, command, there=there, bills=bills, anyway=anyway, fields=fields))
    return Switched(give(control, command), warnings)


def doubts(
    control: Control, command: Command, *, there: There, bills: Callable[[], Sequence[str]], anyway: bool = False,
    fields: Fields = AS_THEY_ARE,
) -> Iterator[Warned]:  # fmt: skip
    """Whether it can be, and what whoever gives it might not know.

    `there`: `Presences.refresh`, asked only where sources matter. `bills`: the sources that bill each post by the
    settings here, asked only where no listener runs that says so. `anyway`: a track is taken too that is in every other
    sentence, whatever it costs; else TooCommon is raised.
    """
    _require_few(command.add, fields)
    if command.incident or command.action is Action.CHANGE:
        _require_open(control.refresh(), command.incident, field_of(fields, "incident"))
        yield from _not_dropped(control.state, command)
    if command.add:
        state = control.refresh()
        after = apply(state, state.epoch + 1, encode_command(command))
        for incident in after.listening:
            _require_few(incident.tracks, fields, state.incidents.get(incident.id))
    yield from _of_sources(command, there, bills, None if anyway else field_of(fields, "anyway"))


def give(control: Control, command: Command) -> Transition:
    """Put it on `control`. Raises Refused where the incident is not open any more."""
    transition = control.append(command)
    if transition.result is Result.REFUSED:
        problem = f"{command.incident} is not open any more; `lyttepost mode` lists what is"
        its = control.state.incidents.get(command.incident)
        name, by = (its.name, its.closed_by) if its else (command.incident, "")
        raise Refused(problem, Refusal.INCIDENT_CLOSED, incident=name, name=by or "?")
    return transition


def _tracks(read: Callable[[str], str], written: Iterable[str], field: str) -> tuple[str, ...]:
    try:
        return tuple(read(storable(one, field, LONGEST_TRACK)) for one in written)
    except Unfit as error:
        raise BadValue.of(error, field) from None


def _which(incident: str, otherwise: str, field: str) -> str:
    """The incident that is named; empty where none is. `otherwise`: what then becomes of all."""
    named = storable(incident, field)
    if incident and not named:
        raise BadValue(f"which one? Without {field} all are {otherwise}", field, Refusal.WHICH_INCIDENT)
    return named


def _seconds(setting: str, given: str | None, field: str, settings: ReadSettings) -> float:
    """A duration as it was entered, else by the setting. Raises ConfigError when the setting is what is wrong."""
    raw = settings()
    try:
        found = duration(given or str(raw.get(f"mode.{setting}", DEFAULTS[setting])), field)
        seconds = found.total_seconds()
        if seconds > LONGEST:
            raise BadValue("is longer than ten years", field, Refusal.DURATION_TOO_LONG, text=given or found)
        least, most = BOUNDS[setting]
        if not given and not least <= found <= most:
            between = {"least": format_duration(least), "most": format_duration(most)}
            problem = f"must be between {between['least']} and {between['most']}"
            raise BadValue(problem, field, Refusal.DURATION_BOUNDS, least=between["least"], most=between["most"])
    except BadValue as error:
        if given:
            raise
        raise raw.error(("mode", setting), f"{error.problem}; correct it, or give {field}") from None
    return seconds


def _require_few(tracks: Sequence[str], fields: Fields, before: Incident | None = None) -> None:
    """Raises BadValue for an incident that would grow beyond what it may have."""
    if len(tracks) > max(MAX_TRACKS, len(before.tracks) if before else 0):
        many = f"{len(tracks):,} tracks; an incident has at most {MAX_TRACKS:,}. Choose those that people would write"
        named = field_of(fields, "tracks")
        raise BadValue(many, named, Refusal.TOO_MANY_TRACKS, count=len(tracks), most=MAX_TRACKS)


def _require_no_person(tracks: Sequence[str], settings: ReadSettings, field: str) -> None:
    """Raises Refused for an account that is no named public body's or newsroom's, and for which no basis is written."""
    if not any(track[:1] == "@" for track in tracks):
        return
    for track in persons_among(tracks, allowed_accounts(settings())):
        raise Refused(f"{field}: {refusal(track)}", Refusal.FOLLOWS_PERSON, track=track)


def _require_open(state: State, incident: str, field: str) -> None:
    require_known(incident, state, field)
    its = state.incidents[incident]
    if not its.open:
        problem = f"{incident} is closed; open: {', '.join(i.id for i in state.open) or 'none'}"
        raise Refused(problem, Refusal.INCIDENT_CLOSED, incident=its.name, name=its.closed_by or "?")


def _not_dropped(state: State, command: Command) -> Iterator[Warned]:
    """Of a track that is not there, dropping changes nothing: whoever asks for it means another."""
    its = state.incidents[command.incident].tracks
    there = {track.casefold() for track in its}
    for track in command.drop:
        if track.casefold() not in there:
            yield Warned(Doubt.NOT_DROPPED, track, tracks=its)


def _of_sources(
    command: Command, there: There, bills: Callable[[], Sequence[str]], anyway: str | None
) -> Iterator[Warned]:
    """Whether the sources can do what is asked, and at what cost. The running listener is asked, and the settings here
    only where none runs. `anyway`: the field that takes what is too common; None where it was said."""
    common = {track: word for track in command.add if (word := common_word(track)) is not None}
    if not common and not command.lookback_asked:
        return
    sources = source_states(there())
    if command.lookback_asked:
        for name, source in sources.items():
            reach = source.get("reach")
            if isinstance(reach, int | float) and command.lookback > reach:
                yield Warned(Doubt.REACH, name, seconds=reach)
    paid: Sequence[str] = [name for name, source in sources.items() if source.get("caps")]
    if common and not paid:
        paid = bills()
    for track, word in common.items():
        if paid and anyway is not None:
            raise TooCommon(track, paid, anyway)
        yield Warned(Doubt.COMMON, track, word=word)
