"""How duty stands, in numbers that may be shown to anybody: pure functions of people, rosters and what was decided.

No name is in it, for it becomes metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from alerts.duty.check import never_confirmed
from alerts.duty.decided import Decided
from alerts.duty.people import People, with_role
from alerts.duty.roster import Roster, Rosters, on_duty, turns

AHEAD = timedelta(days=7)
"""So far ahead a gap is looked for."""


class DutyOutlook(NamedTuple):
    """`on_duty`: role → how many stand there now. `gaps`: role → from when on nobody stands there whom anything wakes,
    within `AHEAD`; None where there is no such time. `confirmed`, `unconfirmed`: people who are reached by more than
    the console, by whether they ever confirmed a test message."""

    on_duty: Mapping[str, int]
    gaps: Mapping[str, datetime | None]
    confirmed: int
    unconfirmed: int


def outlook(people: People, rosters: Rosters, decided: Decided, at: datetime) -> DutyOutlook:
    """How it stands at an instant. A role without a roster is held by all who have it, at every time."""
    awake = frozenset(key for key, person in people.items() if any(way.wakes for way in person.ways))
    roles = on_duty(rosters, people, at).roles
    gaps = {
        role: _gap(rosters[role], awake, at) if role in rosters else _unheld(role, people, awake, at) for role in roles
    }
    reached = sum(any(way.channel != "console" for way in person.ways) for person in people.values())
    unconfirmed = len(never_confirmed(people, decided))
    return DutyOutlook({role: len(who) for role, who in roles.items()}, gaps, reached - unconfirmed, unconfirmed)


def _gap(roster: Roster, awake: frozenset[str], at: datetime) -> datetime | None:
    """When the first turn begins in which nobody is woken; the instant itself where it has begun."""
    return next((turn.start for turn in turns(roster, at, at + AHEAD) if awake.isdisjoint(turn.who)), None)


def _unheld(role: str, people: People, awake: frozenset[str], at: datetime) -> datetime | None:
    return at if awake.isdisjoint(with_role(people, role)) else None
