"""The journal: one line of the log for each decision, as it is written down on the bus, with the codes of its reasons.

It says what fired, what page was due and why not yet, what became of each send, and what people decided. It names
alerts, rules, incidents and channels, and never what somebody wrote, who wrote it, or whom it went to. Posts stand as
`reference`s. What was on the bus before the process began is history, and no news.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import datetime

from listener.model.base import Recorded
from listener.model.decisions import Silence
from listener.model.deliveries import Delivery, Outcome, Page
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

    def __init__(self, since: datetime) -> None:
        self._since = since

    def take(self, record: Recorded, at: datetime) -> None:
        """`at`: when it was written on the bus."""
        if at < self._since:
            return
        match record:
            case Alert():
                _alert(record)
            case Page():
                _page(record)
            case Delivery() if record.outcome is not None:
                _delivery(record)
            case Decision():
                # Of a purge the id is a post's.
                about = reference(record.id) if record.kind is DecisionKind.PURGE else record.id
                event(
                    log, f"decision.{record.kind.value}", f"decision: {record.kind.value} of {about}",
                    about=about, page=record.page,
                )  # fmt: skip
            case Silence():
                event(
                    log, "decision.silence", f"decision: silence {record.id} until {format_instant(record.end)}",
                    about=record.id, until=format_instant(record.end),
                )  # fmt: skip


def _alert(alert: Alert) -> None:
    what = alert.event.value
    event(
        log, f"alert.{what}", f"alert {alert.id} {what}: {alert.rule} ({alert.reason})",
        alert=alert.id, rule=alert.rule, rule_type=alert.rule_type, reason=alert.reason, severity=alert.severity.value,
        incident=alert.incident, exercise=alert.exercise, synthetic=alert.synthetic, count=alert.count,
        heard_late=alert.heard_late, gaps=len(alert.gaps), posts=[reference(sample.key) for sample in alert.samples],
    )  # fmt: skip


def _page(page: Page) -> None:
    why = page.deferred.value if page.deferred else page.why.value
    what = "kept" if page.until else "due" if page.person else "unmanned"
    event(
        log, f"page.{what}", f"page {page.id} {what}: {why}",
        page=page.id, why=page.why.value, policy=page.policy, round=page.round, step=page.step,
        alerts=sorted(page.alerts), held=list(page.held), deferred=page.deferred and page.deferred.value,
        until=page.until and format_instant(page.until), exercise=page.exercise,
    )  # fmt: skip


def _delivery(sent: Delivery) -> None:
    outcome = sent.outcome.value if sent.outcome else ""
    reason = f" ({sent.reason})" if sent.reason else ""
    event(
        log, f"delivery.{outcome}", f"page {sent.page} by {sent.channel}: {outcome}{reason}",
        page=sent.page, alert=sent.alert, alerts=list(sent.alerts), channel=sent.channel, step=sent.step,
        attempt=sent.attempt, may_repeat=sent.may_repeat, outcome=outcome, reason=sent.reason, exercise=sent.exercise,
        level=logging.INFO if sent.outcome is Outcome.SENT else logging.WARNING,
    )  # fmt: skip
