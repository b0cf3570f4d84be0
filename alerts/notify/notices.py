"""Messages that are no alerts: who has it, an incident that began or ended, a silence that ends, a test, help.

Each function makes one card, in the words under `notices` of the messages; it wakes nobody and asks for an answer only
where it says so. Nothing of a post is in any of them, so that they may leave the site; what a person wrote as a reason
is left out too, for the same words lie on the log, where those who may read it find it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from alerts.notify.channels.card import Card
from alerts.notify.channels.text import one_line
from alerts.notify.html import as_html
from alerts.notify.layout import HowToAnswer, Layout, Line, Section, labelled, texts
from alerts.notify.messages import Messages
from alerts.notify.reports import REPORT, ReportText, is_report
from alerts.notify.state import AlertState
from alerts.notify.subject import LONGEST_FOR_SMS, first_line
from alerts.notify.wording import Wording
from listener.model.records import Alert, Severity
from listener.units import format_instant

LISTED = 10
"""Alerts that one notice lists; of the others it says how many there are."""


def has_it(
    states: Sequence[AlertState], name: str, at: datetime, messages: Messages, *, now: datetime,
    may_repeat: bool = False,
) -> Card:  # fmt: skip
    """Somebody acknowledged these alerts: to all others who were called. `at`: when the person said so."""
    said = [Wording(state, messages, now, False) for state in states]
    leading = said[0]
    what = leading.headline[0]
    more = messages.say("more_below", count=len(said) - 1) if len(said) > 1 else ""
    incident = _incident(state.alert.incident_name for state in states)
    text = messages.notice("has_it_text", name=name, time=messages.time(at, now))
    return _notice(
        messages, "has_it", messages.notice("has_it", name=name, what=what), now,
        incident=incident, exercise=all(each.alert.exercise for each in said), more=more, may_repeat=may_repeat,
        dispensable=True, notes=[text],
        lines=texts(each.member(marked=False) for each in said[:LISTED]) if more else (),
        fields={"by": name, "alerts": [state.id for state in states]},
    )  # fmt: skip


def incident_opened(
    incident: str, name: str, at: datetime, messages: Messages, *, now: datetime, exercise: bool = False,
    may_repeat: bool = False,
) -> Card:  # fmt: skip
    """A person opened an incident: to the crisis team."""
    said = messages.notice("opened", name=name, time=messages.time(at, now))
    notes = [messages.notice("opened_text")]
    return _notice(
        messages, "incident_opened", said, now,
        incident=incident, exercise=exercise, may_repeat=may_repeat, notes=notes, fields={"by": name},
    )  # fmt: skip


def incident_closed(
    incident: str, name: str, at: datetime, messages: Messages, *, now: datetime, exercise: bool = False,
    closed: int = 0, may_repeat: bool = False, fields: dict[str, Any] | None = None,
) -> Card:  # fmt: skip
    """A person closed an incident, and with it `closed` alerts that nobody had acknowledged."""
    said = messages.notice("incident_closed", name=name, time=messages.time(at, now))
    notes = [messages.notice("alerts_closed", count=closed)] if closed else []
    return _notice(
        messages, "incident_closed", said, now, incident=incident,
        exercise=exercise, may_repeat=may_repeat, notes=notes,
        fields={"by": name, "count": closed, **(fields or {})},
    )  # fmt: skip


def situation_report(
    alert: Alert, messages: Messages, *, now: datetime, board_url: str | None = None, report: ReportText | None = None,
    failed: bool = False, may_repeat: bool = False,
) -> Card:  # fmt: skip
    """The situation report of an open incident: to the crisis team. Without a `report` it says where it is found, and
    where it `failed` that it could not be made."""
    said = messages.notice("report", time=messages.time(alert.at, now))
    where = messages.notice("report_where", where=board_url or "lyttepost report")
    card = _notice(
        messages, REPORT, said, now, incident=alert.incident_name, exercise=alert.exercise, may_repeat=may_repeat,
        notes=[messages.notice("report_failed")] if failed else [], lines=[Line(where, link=board_url or "")],
        fields={"alert_id": alert.id, "incident": alert.incident, "synthetic": alert.synthetic},
    )  # fmt: skip
    if report is None:
        return card
    # The marks stand in the subject, and so before everything else here too.
    lines = (card.subject, "", *report.text.splitlines())
    return replace(card, lines=lines, html=report.html, fields={**card.fields, "text": "\n".join(lines)})


def of_incident(
    alert: Alert, messages: Messages, *, now: datetime, board_url: str | None = None, may_repeat: bool = False
) -> Card:
    """Any of them, of the record that stands for such a notice on `alerts`."""
    if is_report(alert):
        return situation_report(alert, messages, now=now, board_url=board_url, may_repeat=may_repeat)
    if alert.reason == "incident_opened":
        return incident_opened(
            alert.incident_name, alert.key, alert.at, messages,
            now=now, exercise=alert.exercise, may_repeat=may_repeat,
        )  # fmt: skip
    ours = {"alert_id": alert.id, "incident": alert.incident, "synthetic": alert.synthetic}
    return incident_closed(
        alert.incident_name, alert.key, alert.at, messages,
        now=now, exercise=alert.exercise, closed=alert.count, may_repeat=may_repeat, fields=ours,
    )  # fmt: skip


def silence_ends(
    silence: str, what: str, end: datetime, messages: Messages, *, now: datetime, open_: Sequence[AlertState] = (),
    may_repeat: bool = False,
) -> Card:  # fmt: skip
    """A silence is about to end: to its owner. `what`: its matcher in words; `open_`: what it holds back."""
    said = messages.notice("silence_ends", time=messages.time(end, now), what=what)
    notes = [messages.notice("silence_ends_text")]
    how = messages.notice("silence_ends_how", id=silence)
    members = texts(Wording(state, messages, now, False).member() for state in open_[:LISTED])
    return _notice(
        messages, "silence_ends", said, now, notes=notes, may_repeat=may_repeat,
        lines=[*members, labelled(messages.notices["silence_ends_how"], how)],
        fields={"silence": silence, "end": format_instant(end), "alerts": [state.id for state in open_]},
    )  # fmt: skip


def reply_help(
    states: Sequence[AlertState], messages: Messages, *, now: datetime, code: str | None = None,
    link: str | None = None, may_repeat: bool = False,
) -> Card:  # fmt: skip
    """To somebody whose reply we do not understand: how to answer what waits for them; `states` is empty when nothing
    does."""
    notes = [messages.notice("reply_help_text" if states else "reply_help_none")]
    members = texts(Wording(state, messages, now, False).member() for state in states[:LISTED])
    return _notice(
        messages, "reply_help", messages.notice("reply_help"), now, notes=notes, lines=members, may_repeat=may_repeat,
        exercise=bool(states) and all(state.alert.exercise for state in states),
        answer=HowToAnswer(code, link) if states else None, fields={"alerts": [state.id for state in states]},
    )  # fmt: skip


def reach_test(
    name: str, person: str, channel: str, code: str, messages: Messages, *, now: datetime, replies: bool
) -> Card:
    """A marked test of one way to reach a person, which rings as an alert does: that is what is tried. `person`: the
    key in people.yaml. `replies`: whether an answer by the same way reaches us."""
    notes = [messages.notice("test_text", name=name, channel=messages.channel(channel))]
    notes.append(messages.notice("test_reply" if replies else "test_how", code=code))
    command = messages.notice("test_command", code=code, person=person)
    return _notice(
        messages, "test", messages.notice("test", code=code), now, incident="", notes=notes, urgent=True,
        lines=[] if replies else texts([command]),
        fields={"type": "test", "channel": channel, "code": code, "person": person},
    )  # fmt: skip


def _incident(names: Iterable[str]) -> str:
    first, *more = dict.fromkeys(name.strip() or "?" for name in names)
    return f"{first} +{len(more)}" if more else first


def _notice(
    messages: Messages, what: str, said: str, now: datetime, *,
    incident: str = "Lyttepost", exercise: bool = False, may_repeat: bool = False, level: Severity = Severity.INFO,
    more: str = "", notes: Sequence[str] = (), title: str = "", lines: Sequence[Line] = (),
    answer: HowToAnswer | None = None, urgent: bool = False, dispensable: bool = False,
    fields: dict[str, Any] | None = None,
) -> Card:  # fmt: skip
    """`dispensable`: the incident's name gives way in the first line before what is said does."""
    marks = [messages.exercise] * exercise + [messages.may_repeat] * may_repeat
    incident = one_line(incident)
    subject = first_line(marks, incident, said, more=more, dispensable=dispensable)
    page = Layout(
        messages=messages,
        subject=subject,
        headline="" if said in subject else said,
        said=", ".join(filter(None, (said, more))),
        marks=tuple(marks),
        level=level,
        severity="",
        amount="",
        place=incident,
        notes=tuple(notes),
        answer=answer or HowToAnswer(),
        sections=(Section(title, tuple(lines)),) if lines else (),
        footer=(Line(messages.say("times", zone=messages.zone_shown(now))),),
        short_head=first_line(marks, incident, said, more=more, longest=LONGEST_FOR_SMS, dispensable=dispensable),
        short=tuple(notes),
    )
    text = page.lines()
    common = {
        "v": 1,
        "notice": what,
        "rule": f"lyttepost.{what}",
        "severity": level.value,
        "exercise": exercise,
        "may_repeat": may_repeat,
        "incident_name": incident,
    }
    told = {"subject": page.subject, "text": "\n".join(text), "short": page.as_short(), "headline": said}
    asked = {"reply_code": page.answer.code, "reply_link": page.answer.link}
    return Card(
        page.subject,
        text,
        {**common, **(fields or {}), **told, **asked},
        urgent=urgent,
        short=page.as_short(),
        html=as_html(page),
    )
