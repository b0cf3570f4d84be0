"""What came and passed while it was silenced is told at the silence's end, as one alert that names it all.

What still is open and fires then is paged by itself; this is for what nobody would ever have heard of.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import sha256

from alerts.notify.held import Holding
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook, AlertState
from listener.model.deliveries import PageWhy
from listener.model.records import Alert, Event

RULE = "lyttepost.silence_ended"
TOLD_FOR = timedelta(days=1)
"""After that the end of a silence is no news."""


def silence_ended(book: AlertBook, people: People, now: datetime) -> list[Alert]:
    """One alert for each silence that ended of late and under which something came and passed unheard."""
    ended = [silence for silence in book.silences.all() if silence.end <= now < silence.end + TOLD_FOR]
    if not ended:
        return []
    out: list[Alert] = []
    holding = Holding(people.inhibit, book.silences, book.all())
    for silence in ended:
        id_ = sha256(f"silence_ended|{silence.id}".encode()).hexdigest()[:16]
        if book.get(id_) is not None:
            continue
        unheard = [
            state
            for state in book.open()
            if _passed_within(state, silence.start, silence.end)
            and holding.silenced(state, state.fired_at)
            and silence.holds(holding.fields(state))
            and not _was_paged(book, state)
            and book.covering(state.id) is None
            and not holding.held(state, now)
        ]
        if unheard:
            out.append(_alert(id_, unheard, silence.end))
    return out


def _passed_within(state: AlertState, start: datetime, end: datetime) -> bool:
    return state.resolved_at is not None and start <= state.resolved_at <= end and state.alert.rule != RULE


def _was_paged(book: AlertBook, state: AlertState) -> bool:
    return any(each.is_sent and each.page.why is not PageWhy.NOTICE for each in book.pages.naming(state.id))


def _alert(id_: str, unheard: list[AlertState], at: datetime) -> Alert:
    worst = min(unheard, key=lambda state: (state.alert.severity.rank, state.fired_at, state.id)).alert
    return Alert(
        id=id_,
        event=Event.FIRED,
        at=at,
        incident=worst.incident,
        incident_name=worst.incident_name,
        exercise=all(state.alert.exercise for state in unheard),
        rule=RULE,
        rule_type="ops",
        severity=worst.severity,
        to=worst.to,
        headline={
            "nb": "Varsler kom og gikk over mens de var dempet: {count}",
            "en": "Alerts came and passed while they were silenced: {count}",
        },
        count=len(unheard),
        reason="silence_ended",
        first_seen=min(state.fired_at for state in unheard),
        covers=tuple(state.id for state in unheard),
        resolves=False,
    )
