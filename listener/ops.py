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
    "x_unauthorized": {
        "nb": "X godtar ikke nøkkelen vår: X blir ikke hørt. Sett en gyldig x.bearer_token og start på nytt.",
        "en": "X does not accept our key: X is not heard. Set a valid x.bearer_token and restart.",
    },
    "x_forbidden": {
        "nb": "X nekter kontoen vår dette: X blir ikke hørt. Se avtalen med X.",
        "en": "X forbids our account this: X is not heard. See the plan with X.",
    },
    "x_track_refused": {
        "nb": "X lytter ikke etter alle søkeordene. Se `lyttepost mode --json`.",
        "en": "X does not listen for all tracks. See `lyttepost mode --json`.",
    },
    "x_silent": {
        "nb": "X har ikke vært hørt på over ett minutt. Det prøves igjen.",
        "en": "X has not been heard for more than a minute. It is tried again.",
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
