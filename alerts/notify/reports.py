"""When the situation report of an open incident is mailed to the crisis team: each `every` after it was opened.

Each is a notice on `alerts` with an id made of its incident and slot, so that it is said once, whoever sends and
however often the dispatcher begins anew. It holds no text: what it says is made when it is sent, by `MakeReport`, which
belongs to a folder that this one may not import and is handed in. It goes only by channels that take documents, which
wake nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from alerts.notify.recipients import CRISIS_TEAM, People
from alerts.notify.state import NOTICE, AlertBook, AlertState
from listener.model.incidents import Incident, State
from listener.model.records import Alert, Event, Severity
from listener.units import format_instant

REPORT = "situation_report"
"""The reason of such a notice."""
CLOSED = "incident_closed"
"""The reason of the notice that incidents, its `key_fields`, were closed."""


class ReportText(NamedTuple):
    """One report, as lines for who reads text, and as a whole document of HTML."""

    text: str
    html: str


MakeReport = Callable[[Alert, People, Callable[[str], bool], datetime], Mapping[str, ReportText]]
"""The notice, the people in force, which channels wake a sleeper, and the time now → language → the report since
`first_seen` of the notice. Called by several threads at once, those that send. Raises LyttepostError where it cannot be
made."""


@dataclass(frozen=True)
class Reports:
    """So often, and by whom they are made."""

    every: timedelta
    make: MakeReport


def due(book: AlertBook, state: State, every: timedelta, now: datetime) -> Iterator[Alert]:
    """For each open incident the newest slot that has come, unless that or a later one was said. It tells of all since
    the last that was said: after a downtime nothing is left out, and one comes instead of many."""
    for incident in state.open:
        slot = _newest(incident, every, now)
        if slot is None or incident.synthetic:
            continue
        last = max((each.at for each in _of(book, incident.id)), default=incident.opened_at)
        if slot > last:
            yield _notice(incident, slot, last)


def is_over(state: AlertState, book: AlertBook) -> bool:
    """Whether nobody is sent it any more: a newer one is due, or its incident was closed."""
    alert = state.alert
    if any(each.at > alert.at for each in _of(book, alert.incident)):
        return True
    return any(
        each.alert.reason == CLOSED and alert.incident in each.alert.key_fields and each.alert.at >= alert.at
        for each in book.notices()
    )


def is_report(alert: Alert) -> bool:
    return alert.rule_type == NOTICE and alert.reason == REPORT


def _newest(incident: Incident, every: timedelta, now: datetime) -> datetime | None:
    """The newest slot that has come; None before the first."""
    passed = (now - incident.opened_at) // every
    return incident.opened_at + passed * every if passed >= 1 else None


def _of(book: AlertBook, incident: str) -> Iterator[Alert]:
    return (each.alert for each in book.notices() if is_report(each.alert) and each.alert.incident == incident)


def _notice(incident: Incident, slot: datetime, since: datetime) -> Alert:
    return Alert(
        id=sha256(f"report|{incident.id}|{format_instant(slot)}".encode()).hexdigest()[:16],
        event=Event.FIRED,
        at=slot,
        incident=incident.id,
        incident_name=incident.name,
        exercise=incident.exercise,
        rule=f"lyttepost.{REPORT}",
        rule_type=NOTICE,
        severity=Severity.INFO,
        to=CRISIS_TEAM,
        count=0,
        reason=REPORT,
        first_seen=since,
    )
