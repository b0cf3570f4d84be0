"""What people silence, checked and written down: what is to match, until when, and what that does not hold back.

As in `alerts.notify.words`: `book` is as the log stands, `named` are the accounts that keep their name, `fields` is
what whoever calls it calls the parameters that a message may name.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from alerts.duty.policy import fits
from alerts.duty.wall import entered
from alerts.notify.held import ALWAYS, fields_of
from alerts.notify.silences import Silences, SilenceState
from alerts.notify.state import AlertBook
from alerts.notify.words import Named
from listener.bus import hashchain
from listener.bus.protocol import Bus
from listener.errors import Refusal, Refused, UsageError
from listener.model.decisions import DECISIONS, Silence
from listener.model.entered import AS_THEY_ARE, Fields, duration, field_of, reason
from listener.model.records import Decision, DecisionKind, Severity
from listener.privacy.team_words import TeamWords, Written, team_words
from listener.settings.zone import shown
from listener.units import format_instant

LONGEST = timedelta(days=7)


@dataclass(frozen=True)
class Silenced:
    """A silence that was written down, and what somebody might think otherwise of it.

    `held`: the open alerts that it holds back now. `critical_is_paged`: what is critical is paged all the same, for the
    matcher does not name it; `loud` are the open alerts of which that is so. `unknown`: fields that no alert has yet.
    """

    state: SilenceState
    masked: bool
    held: tuple[str, ...]
    critical_is_paged: bool
    loud: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class Unsilenced:
    """`written` is None where it had ended already, as `state` says. `held`: the open alerts that it held back."""

    state: SilenceState
    written: Written[Decision] | None
    held: tuple[str, ...] = ()


def silence(
    bus: Bus, book: AlertBook, match: Mapping[str, str], why: str, *, end: datetime, by: str, now: datetime,
    named: Named, fields: Fields = AS_THEY_ARE,
) -> Silenced:  # fmt: skip
    """Let what fits page nobody until `end`. `match` as `matcher_of` gives it, `end` as `end_of` does."""
    if "alert" in match:
        match = {**match, "alert": book.find(match["alert"]).id}
    its = _reason(why, named, now, fields)
    said = hashchain.append(
        bus, DECISIONS.name,
        Silence(id=_fresh(book.silences), at=now, by=by, why=its.text, match=match, start=now, end=end),
    )  # fmt: skip
    state, opens = SilenceState(said, end), book.open()
    critical = not state.holds({**match, "severity": Severity.CRITICAL.value}) and "severity" not in match
    loud = [s.id for s in opens if fits(match, fields_of(s)) and not state.holds(fields_of(s))] if critical else []
    known = {name for s in book.all() for name in fields_of(s)} | set(ALWAYS)
    return Silenced(
        state,
        its.masked,
        held=held_by(book, state),
        critical_is_paged=critical,
        loud=tuple(loud),
        unknown=tuple(name for name in match if name not in known),
    )


def unsilence(
    bus: Bus, book: AlertBook, id_: str, why: str, *, by: str, now: datetime, named: Named,
    fields: Fields = AS_THEY_ARE,
) -> Unsilenced:  # fmt: skip
    """End a silence now, by the beginning of its id: what it held back and is still open is paged at once."""
    state = find(book.silences, id_)
    if state.end <= now:
        return Unsilenced(state, None)
    held, its = held_by(book, state), _reason(why, named, now, fields)
    word = Decision(kind=DecisionKind.UNSILENCE, id=state.id, at=now, by=by, why=its.text)
    return Unsilenced(state, Written(hashchain.append(bus, DECISIONS.name, word), its.masked), held)


def matcher_of(words: Sequence[str], field: str) -> dict[str, str]:
    """`FIELD=VALUE`, each. Raises UsageError for none, and for one that could never fit."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        if not (name and equals and value):
            raise UsageError(f"{word!r} is no matcher; write one like rule=volume", field, Refusal.NO_MATCHER)
        if found.setdefault(name, value) != value:
            problem = f"{name} cannot be {found[name]!r} and {value!r}; make two silences"
            raise UsageError(problem, field, Refusal.NO_MATCHER)
    if not found:
        problem = f"name at least one field, such as {field} rule=volume: else it would hold back all"
        raise UsageError(problem, field, Refusal.NO_MATCHER)
    if found.get("severity", Severity.INFO) not in set(Severity):
        raise UsageError(f"severity is one of {', '.join(Severity)}", field, Refusal.NO_MATCHER)
    return found


def end_of(
    length: str, until: str, now: datetime, zone: Callable[[], tzinfo], fields: Fields = AS_THEY_ARE
) -> datetime:
    """After so long, or at a time, which without an offset is one of that zone. Raises UsageError, and Refused where it
    is past."""
    lasting, ending = field_of(fields, "length"), field_of(fields, "until")
    if bool(length) == bool(until):
        raise UsageError(f"say how long: either {lasting} 1h or {ending} TIME", refusal=Refusal.SILENCE_LENGTH)
    end = now + duration(length, lasting) if length else entered(until, ending, zone)
    if end <= now:
        problem = f"that time is over since {shown(end, zone())}; nothing was written"
        raise Refused(problem, Refusal.SILENCE_PAST)
    if end - now > LONGEST:
        problem = f"a silence lasts {LONGEST.days} days at most; what is never wanted belongs out of the rules"
        raise UsageError(problem, refusal=Refusal.SILENCE_TOO_LONG, days=LONGEST.days)
    return end


def find(known: Silences, prefix: str) -> SilenceState:
    """By id, or by the beginning of one. Raises UsageError when none or several fit."""
    found = [s for s in known.all() if prefix and s.id.startswith(prefix)]
    exact = known.get(prefix)
    if exact is None and len(found) != 1:
        what = "fits several silences; write more of the id" if found else "begins no silence's id"
        refusal = Refusal.SEVERAL if found else Refusal.NO_SILENCE
        raise UsageError(f"{prefix!r} {what}; `lyttepost alerts silences` lists them", refusal=refusal, text=prefix)
    return exact or found[0]


def held_by(book: AlertBook, state: SilenceState) -> tuple[str, ...]:
    """The open alerts that it holds back; never a canary."""
    return tuple(s.id for s in book.open() if not s.alert.synthetic and state.holds(fields_of(s)))


def as_json(book: AlertBook, state: SilenceState, now: datetime) -> dict[str, Any]:
    """What `lyttepost alerts silences --json` prints for it."""
    its = state.silence
    return {
        "id": state.id,
        "from": format_instant(state.start),
        "until": format_instant(state.end),
        "by": its.by,
        "why": its.why,
        "match": dict(its.match),
        "active": state.at(now),
        "holds": list(held_by(book, state)) if state.at(now) else [],
        "ended_by": state.ended.by if state.ended else None,
        "ended_why": state.ended.why if state.ended else None,
    }


def _reason(why: str, named: Named, now: datetime, fields: Fields) -> TeamWords:
    field = field_of(fields, "why")
    return team_words(reason(why, field), field, named, now)


def _fresh(known: Silences) -> str:
    """Short enough to type, and never given out before."""
    while known.get(id_ := secrets.token_hex(4)) is not None:
        pass
    return id_
