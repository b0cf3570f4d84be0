"""The journal: one line of the log for each decision, as it is written down on the bus, with the codes of its reasons.

It says what fired, what page was due and why not yet, what became of each send, and what people decided. It names
alerts, rules, incidents, stories and channels, and never what somebody wrote, who wrote it, or whom it went to. Posts
stand as `reference`s. What was on the bus before the process began is history, and no news.

Who stands by keeps silent. When it takes over it says what it read within the last `OVERLAP`, marked, for the one
before may have died before it did.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from datetime import datetime, timedelta
from typing import Any

from listener.model.base import Recorded
from listener.model.decisions import Answer, Correction, Note, Silence, Status, Swap, WayConfirmed, WayTest
from listener.model.deliveries import Delivery, Outcome, Page
from listener.model.highlights import Highlight, HighlightStep, HighlightWord
from listener.model.receipts import Receipt, Received
from listener.model.records import Alert, Decision, DecisionKind
from listener.runtime.logs import event
from listener.units import format_instant

log = logging.getLogger(__name__)

REFERENCE_CHARS = 12


def reference(post: str) -> str:
    """What a post (`source:id`) is called where its id may not stand, for that leads to a person: 12 hex digits."""
    return hashlib.sha256(post.encode()).hexdigest()[:REFERENCE_CHARS]


class Journal:
    """For one process: `since` is when it began."""

    OVERLAP = timedelta(seconds=10)
    """Longer than a lease outlives its holder."""

    def __init__(self, since: datetime) -> None:
        self._since = since
        self._unsaid: deque[tuple[Recorded, datetime]] = deque()

    def take(self, record: Recorded, at: datetime, *, leads: bool = True) -> None:
        """`at`: when it was written on the bus; `leads`: whether this process says what was decided."""
        if at < self._since:
            return
        if leads:
            _say(record)
            return
        self._unsaid.append((record, at))
        self._forget(at)

    def lead(self, now: datetime) -> None:
        """From now on this process says what was decided."""
        self._forget(now)
        for record, _ in self._unsaid:
            _say(record, read_as_standby=True)
        self._unsaid.clear()

    def _forget(self, now: datetime) -> None:
        while self._unsaid and self._unsaid[0][1] < now - self.OVERLAP:
            self._unsaid.popleft()


def _say(record: Recorded, **more: Any) -> None:
    match record:
        case Alert():
            _alert(record, **more)
        case Page():
            _page(record, **more)
        case Delivery() if record.outcome is not None:
            _delivery(record, **more)
        case Receipt():
            _receipt(record, **more)
        case Decision():
            # Of a purge the id is a post's.
            about = reference(record.id) if record.kind is DecisionKind.PURGE else record.id
            _decision(record.kind.value, about, page=record.page, **({"usd": record.usd} if record.usd else {}), **more)
        case Silence():
            _decision("silence", record.id, until=format_instant(record.end), **more)
        case Note():
            _about(record, None, **more)
        case Status():
            _about(record, record.status.value, **more)
        case Answer():
            _about(record, record.verdict.value, **more)
        case Correction():
            kinds = [kind.value for kind in record.kinds]
            _decision(record.type, reference(record.post), story=record.story, kinds=kinds, **more)
        case Swap():
            spans = [[format_instant(each.start), format_instant(each.end)] for each in record.overrides]
            _decision(record.type, "duty", spans=spans, **more)
        case WayTest():
            _decision(record.type, "duty", channels=sorted({way.channel for way in record.ways}), **more)
        case WayConfirmed():
            _decision(record.type, "duty", channels=[record.way.channel], **more)
        case Highlight():
            _decision(record.type, record.id, **more)
        case HighlightWord():
            _decision(record.type, record.id, code=record.word.value, **more)
        case HighlightStep():
            why = record.why and record.why.value
            _decision(record.type, record.id, code=record.step.value, reason=why, **more)


def _decision(what: str, about: str, **fields: Any) -> None:
    event(log, f"decision.{what}", f"decision: {what} of {about}", about=about, **fields)


def _about(said: Note | Status | Answer, code: str | None, **more: Any) -> None:
    _decision(
        said.type, said.story or said.theme, story=said.story, theme=said.theme, incidents=list(said.incidents),
        code=code, **more,
    )  # fmt: skip


def _receipt(told: Receipt, **more: Any) -> None:
    event(
        log, f"receipt.{told.outcome.value}", f"a message by {told.channel}: {told.outcome.value}",
        channel=told.channel, code=told.code, outcome=told.outcome.value,
        level=logging.WARNING if told.outcome is Received.UNDELIVERED else logging.INFO, **more,
    )  # fmt: skip


def _alert(alert: Alert, **more: Any) -> None:
    what = alert.event.value
    event(
        log, f"alert.{what}", f"alert {alert.id} {what}: {alert.rule} ({alert.reason})",
        alert=alert.id, rule=alert.rule, rule_type=alert.rule_type, reason=alert.reason, severity=alert.severity.value,
        incident=alert.incident, exercise=alert.exercise, synthetic=alert.synthetic, count=alert.count,
        heard_late=alert.heard_late, settled=alert.settled, gaps=len(alert.gaps),
        posts=[reference(sample.key) for sample in alert.samples], **more,
    )  # fmt: skip


def _page(page: Page, **more: Any) -> None:
    why = page.deferred.value if page.deferred else page.why.value
    what = "kept" if page.until else "due" if page.person else "unmanned"
    event(
        log, f"page.{what}", f"page {page.id} {what}: {why}",
        page=page.id, why=page.why.value, policy=page.policy, round=page.round, step=page.step,
        alerts=sorted(page.alerts), held=list(page.held), deferred=page.deferred and page.deferred.value,
        until=page.until and format_instant(page.until), exercise=page.exercise, **more,
    )  # fmt: skip


def _delivery(sent: Delivery, **more: Any) -> None:
    outcome = sent.outcome.value if sent.outcome else ""
    reason = f" ({sent.reason})" if sent.reason else ""
    event(
        log, f"delivery.{outcome}", f"page {sent.page} by {sent.channel}: {outcome}{reason}",
        page=sent.page, alert=sent.alert, alerts=list(sent.alerts), channel=sent.channel, step=sent.step,
        attempt=sent.attempt, may_repeat=sent.may_repeat, outcome=outcome, reason=sent.reason, exercise=sent.exercise,
        level=logging.INFO if sent.outcome is Outcome.SENT else logging.WARNING, **more,
    )  # fmt: skip
