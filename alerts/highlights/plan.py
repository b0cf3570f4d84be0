"""What becomes of the highlights at an instant: a pure function of the fold, of the mode and of the time.

**In a crisis every approved highlight is held, from the moment at which its command stands on `control`**, and stays
so: an approval names the last command that whoever gave it knew of (`epoch`), and any crisis that was open then or has
been since holds it until a person releases it. No clock is asked, so no clock that is wrong can publish anything. An
exercise holds them too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import NamedTuple

from alerts.highlights.state import Highlights, HighlightState, Stage
from listener.model.highlights import Why
from listener.model.incidents import Mode, Result, State

SENDING_SECONDS = 30.0
"""A send that has no outcome after so long may have reached X: longer than any takes."""
WAITS = timedelta(days=3)
"""What was approved without a time of its own, and could not be published in so long, is held as late."""
PROPOSED_FOR = timedelta(days=14)
"""So long a proposal is listed that nobody says anything of."""
_NOT_DONE = frozenset({Result.REFUSED, Result.UNREADABLE})


@dataclass(frozen=True)
class Schedule:
    """When highlights are published that name no time: within these hours of the day, at least so far apart.

    `late`: one that names a time is held when it could not be published so long after it.
    """

    hours: tuple[time, time] | None
    apart: timedelta
    late: timedelta
    zone: tzinfo


class Standing(NamedTuple):
    """How a highlight stands now. `since`: for so long. `why`: why it is held."""

    stage: Stage
    why: Why | None
    since: datetime


@dataclass(frozen=True)
class Plan:
    """`holds`: what is held and not written down as such. `due`: what is to be sent now. `when`: id → when each that is
    approved goes out, as far as it can be foreseen."""

    holds: Sequence[tuple[HighlightState, Why]]
    due: HighlightState | None
    when: Mapping[str, datetime]


def crisis_since(control: State, epoch: int) -> datetime | None:
    """When the first crisis was opened that was open at `epoch` or after it; None where it was calm all the time."""
    for transition in control.history:
        if transition.offset <= epoch or transition.result in _NOT_DONE:
            continue
        real = [its for its in map(control.incidents.get, transition.incidents) if its and not its.synthetic]
        if real:
            return min(its.opened_at for its in real)
    return control.since if control.mode is Mode.CRISIS else None


def standing(its: HighlightState, control: State, schedule: Schedule, now: datetime) -> Standing:
    """What a person is shown of it."""
    if its.stage is Stage.APPROVED and (found := _held(its, control, schedule, now)) is not None:
        return Standing(Stage.HELD, *found)
    if its.stage is Stage.SENDING and abs((now - its.since).total_seconds()) > SENDING_SECONDS:
        return Standing(Stage.UNSURE, None, its.since)
    return Standing(its.stage, its.why if its.stage is Stage.HELD else None, its.since)


def is_shown(its: HighlightState, now: datetime) -> bool:
    """Proposals that nobody looks at make room for new ones."""
    return its.stage is not Stage.PROPOSED or now - its.since <= PROPOSED_FOR


def held(highlights: Highlights, control: State) -> int:
    """How many are held now, whether or not that is written down yet; lateness alone is left to who knows the hours."""
    return sum(
        its.stage is Stage.HELD or (its.stage is Stage.APPROVED and crisis_since(control, its.epoch) is not None)
        for its in highlights.waiting.values()
    )


def plan(highlights: Highlights, control: State, schedule: Schedule, now: datetime) -> Plan:
    """What is to be done now. Nothing is due while the mode is not known as far as an approval knew it."""
    approved = [its for its in highlights.waiting.values() if its.stage is Stage.APPROVED]
    holds, going = [], []
    for its in approved:
        found = _held(its, control, schedule, now)
        if found is not None:
            holds.append((its, found[0]))
        elif its.epoch <= control.epoch and _may_go(its, highlights):
            going.append(its)
    when = _timetable(going, highlights, schedule, now)
    due = [its for its in going if when[its.id] <= now]
    due.sort(key=lambda its: (when[its.id], its.decided))
    return Plan(holds, due[0] if due else None, when)


def _held(its: HighlightState, control: State, schedule: Schedule, now: datetime) -> tuple[Why, datetime] | None:
    """Why an approved one is not published, and since when."""
    decided = its.decided_at or its.at
    if (since := crisis_since(control, its.epoch)) is not None:
        return Why.CRISIS, since
    starts = its.proposal.starts
    if starts is not None and decided < starts <= now:
        # Who releases it after that knows that it has begun.
        return Why.OVER, starts
    last = decided + WAITS if its.when is None else its.when + schedule.late
    return (Why.LATE, last) if now > last else None


def _may_go(its: HighlightState, highlights: Highlights) -> bool:
    """X refuses us until a person has put that right and says so by a release."""
    refusal = highlights.refusal
    return not highlights.stopped or (refusal is not None and its.decided > refusal.place)


def _timetable(
    going: Sequence[HighlightState], highlights: Highlights, schedule: Schedule, now: datetime
) -> dict[str, datetime]:
    """Id → when it goes out. One that names a time does so then; the others follow each other, as they were decided."""
    limited = highlights.limited_until
    when: dict[str, datetime] = {}
    free = None if highlights.last_sent is None else highlights.last_sent + schedule.apart
    for its in sorted(going, key=lambda each: each.decided):
        earliest = [at for at in (limited, its.not_before) if at is not None]
        if its.when is not None:
            when[its.id] = max([its.when, *earliest])
            continue
        decided = its.decided_at or its.at
        at = within_hours(max([decided, *earliest, *([free] if free else [])]), schedule)
        # What could have gone out before now goes out now, where the hours allow that.
        when[its.id] = at if at > now else within_hours(now, schedule)
        free = when[its.id] + schedule.apart
    return when


def within_hours(at: datetime, schedule: Schedule) -> datetime:
    """`at`, or the next time after it at which the hours allow something to be published."""
    if schedule.hours is None:
        return at
    first, last = schedule.hours
    there = at.astimezone(schedule.zone)
    today = there.replace(hour=first.hour, minute=first.minute, second=0, microsecond=0)
    if there < today:
        return today.astimezone(at.tzinfo)
    if there.time() < last or last == time():
        return at
    return (today + timedelta(days=1)).astimezone(at.tzinfo)
