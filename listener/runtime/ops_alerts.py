"""Telling ops: an alert of our own about ourselves, by the way that every alert takes.

What costs money is asked of the person on duty: ops can fix a machine, but only who leads through the night can say
what hearing on is worth. The warning before goes to ops, who see whether the money goes where it should.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime

from listener.bus.protocol import Message
from listener.model.records import Alert, Event, Severity, encode
from listener.units import format_instant

HEADLINES = {
    "disk_full": {
        "nb": "Disken er full: nye innlegg blir ikke tatt imot. Rydd plass.",
        "en": "The disk is full: new posts are not taken in. Make room.",
    },
    "x_unauthorized": {
        "nb": "X godtar ikke nøkkelen vår: X blir ikke hørt. Det prøves igjen. Legg en gyldig nøkkel i "
        "x.bearer_token_file.",
        "en": "X does not accept our key: X is not heard. It is tried again. Put a valid one into x.bearer_token_file.",
    },
    "x_forbidden": {
        "nb": "X nekter kontoen vår dette: X blir ikke hørt. Det prøves igjen. Se avtalen med X.",
        "en": "X forbids our account this: X is not heard. It is tried again. See the plan with X.",
    },
    "x_refused": {
        "nb": "X avslår forespørselen vår: X blir ikke hørt. Det prøves igjen. Hvorfor: `lyttepost mode --json`.",
        "en": "X refuses our request: X is not heard. It is tried again. Why: `lyttepost mode --json`.",
    },
    "x_field_refused": {
        "nb": "X gir oss ikke lenger alle felt ({fields}): vi lytter videre uten. Finnes en nyere Lyttepost?",
        "en": "X no longer gives us all fields ({fields}): we listen on without. Is there a newer Lyttepost?",
    },
    "x_track_refused": {
        "nb": "X lytter ikke etter alle søkeordene. Se `lyttepost mode --json`.",
        "en": "X does not listen for all tracks. See `lyttepost mode --json`.",
    },
    "x_search_refused": {
        "nb": "X nekter oss å søke: hull i lyttingen blir ikke fylt. Se `lyttepost x check` og avtalen med X.",
        "en": "X refuses to search for us: gaps are not filled. See `lyttepost x check` and the plan with X.",
    },
    "x_silent": {
        "nb": "X har ikke vært hørt på over ett minutt. Det prøves igjen.",
        "en": "X has not been heard for more than a minute. It is tried again.",
    },
    "x_not_counted": {
        "nb": "X har ikke gitt tall på over en halv time: nå følger vi ikke med på X. Det prøves igjen.",
        "en": "X has given no counts for more than half an hour: X is not watched now. It is tried again.",
    },
    "budget_soft": {
        "nb": "{source} har kostet {spent} USD denne måneden, nå {rate} USD/t. Taket er {hard} USD. "
        "Se: lyttepost x budget",
        "en": "{source} has cost {spent} USD this month, {rate} USD/h now. The cap is {hard} USD. "
        "See: lyttepost x budget",
    },
    "budget_hard": {
        "nb": "{source} har kostet {spent} USD. Lytter ennå, men stopper ved {ceiling} USD, om {left}. "
        "For å fortsette: lyttepost x budget raise --to {next} --why GRUNN",
        "en": "{source} has cost {spent} USD. Still listening, but stops at {ceiling} USD, in {left}. "
        "To go on: lyttepost x budget raise --to {next} --why REASON",
    },
    "budget_ceiling": {
        "nb": "{source} BLIR IKKE HØRT: {spent} USD er brukt, mer er ikke lov. "
        "For å lytte igjen: lyttepost x budget raise --to {next} --why GRUNN",
        "en": "{source} IS NOT HEARD: {spent} USD are spent, no more is allowed. "
        "To listen again: lyttepost x budget raise --to {next} --why REASON",
    },
    "rule_failed": {
        "nb": "En varslingsregel feiler. De andre virker; regelen prøves igjen.",
        "en": "An alert rule fails. The others work; it is tried again.",
    },
    "rules_bad": {
        "nb": "Varslingsreglene er endret og har feil: de gamle gjelder ennå. Se: lyttepost rules check",
        "en": "The alert rules were edited and have faults: the old ones stay in force. See: lyttepost rules check",
    },
}


ROUTES = {"budget_hard": "duty", "budget_ceiling": "duty"}
"""Who is notified, where it is not ops."""
MILD = frozenset({"budget_soft"})


def ops_alert(
    what: str, part: str, since: datetime, at: datetime, *, over: bool = False, words: Mapping[str, str] | None = None
) -> Message:
    """One state of the ops alert `what` about `part`. The same `since` is the same alert; `over` resolves it. `words`
    fill the braces of its headline."""
    digest = hashlib.sha256(f"ops|{what}|{part}|{format_instant(since)}".encode()).hexdigest()[:16]
    alert = Alert(
        id=digest,
        event=Event.RESOLVED if over else Event.FIRED,
        at=at,
        incident="calm",
        incident_name="Lyttepost",
        rule=f"lyttepost.{what}",
        rule_type="ops",
        severity=Severity.WARNING if what in MILD else Severity.CRITICAL,
        to=ROUTES.get(what, "ops"),
        key=part,
        key_fields=("source",),
        headline={lang: text.format_map(words) if words else text for lang, text in HEADLINES[what].items()},
        count=1,
        reason=what,
        first_seen=since,
    )
    return Message("alerts", alert.id, encode(alert))
