"""Telling ops: an alert of our own about ourselves, on the road that every alert takes."""

from __future__ import annotations

import hashlib
from datetime import datetime

from listener.bus import Message
from listener.records import Alert, Event, Severity, encode
from listener.units import format_instant

HEADLINES = {
    "disk_full": {
        "nb": "Disken er full: nye innlegg blir ikke tatt imot. Rydd plass.",
        "en": "The disk is full: new posts are not taken in. Make room.",
    },
    "rule_failed": {
        "nb": "En varslingsregel feiler. De andre virker; regelen prøves igjen.",
        "en": "An alert rule fails. The others work; it is tried again.",
    },
}


def ops_alert(what: str, part: str, since: datetime, at: datetime, *, over: bool = False) -> Message:
    """One state of the ops alert `what` about `part`. The same `since` is the same alert; `over` resolves it."""
    digest = hashlib.sha256(f"ops|{what}|{part}|{format_instant(since)}".encode()).hexdigest()[:16]
    alert = Alert(
        id=digest,
        event=Event.RESOLVED if over else Event.FIRED,
        at=at,
        incident="calm",
        incident_name="Lyttepost",
        rule=f"lyttepost.{what}",
        rule_type="ops",
        severity=Severity.CRITICAL,
        to="ops",
        key=part,
        key_fields=("source",),
        headline=HEADLINES[what],
        count=1,
        reason=what,
        first_seen=since,
    )
    return Message("alerts", alert.id, encode(alert))
