"""Alerts about ourselves: made here, whoever raises them, and delivered on the path that every alert takes.

Their texts stand with the other messages, in `config/messages`. What costs money is asked of the person on duty: ops
can repair a machine, but only who leads through the night can say what listening on is worth. The warning before goes
to ops, who see whether the money goes where it should.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from listener.bus.messages import message
from listener.bus.protocol import Message
from listener.model.incidents import Incident
from listener.model.records import ALERTS, Alert, Event, Severity
from listener.settings.files import YamlFile, load_yaml, packaged_config
from listener.units import format_instant

OPS = "ops"
"""The rule type and the usual route of these alerts, and the part of a messages file that holds their texts."""
LANGUAGES = ("nb", "en")

Headlines = Mapping[str, str]
"""Language → the text of one alert. `{key}` in it is filled when the card is made, as in a rule's own headline."""


class OpsAlertType(NamedTuple):
    """`braces`: the names that its text may hold, separated by blanks. `resolves`: whether it is said when it is well
    again."""

    braces: str = "key"
    severity: Severity = Severity.CRITICAL
    to: str = OPS
    resolves: bool = True


_MONEY = "source spent rate hard ceiling left next"

OPS_ALERTS: Mapping[str, OpsAlertType] = {
    "disk_full": OpsAlertType(),
    "source_silent": OpsAlertType(),
    "feeds_unread": OpsAlertType("feeds", Severity.WARNING),
    "source_unauthorized": OpsAlertType(),
    "source_forbidden": OpsAlertType(),
    "source_refused": OpsAlertType(),
    "source_quota_spent": OpsAlertType(),
    "webhook_silent": OpsAlertType(severity=Severity.WARNING),
    "linkedin_refused": OpsAlertType("status"),
    "linkedin_ending": OpsAlertType("what", Severity.WARNING),
    "x_unauthorized": OpsAlertType(),
    "x_forbidden": OpsAlertType(),
    "x_refused": OpsAlertType(),
    "x_field_refused": OpsAlertType("fields"),
    "x_track_refused": OpsAlertType(),
    "x_search_refused": OpsAlertType(),
    "x_silent": OpsAlertType(),
    "x_not_counted": OpsAlertType(),
    "mastodon_server_silent": OpsAlertType("servers", Severity.WARNING),
    "mastodon_unauthorized": OpsAlertType("servers"),
    "x_deletions_unchecked": OpsAlertType(),
    "budget_soft": OpsAlertType(_MONEY, Severity.WARNING),
    "budget_hard": OpsAlertType(_MONEY, to="duty"),
    "budget_ceiling": OpsAlertType(_MONEY, to="duty"),
    "rule_failed": OpsAlertType(),
    "rules_bad": OpsAlertType(),
    "unknown_route": OpsAlertType(severity=Severity.WARNING),
    "policy_gone": OpsAlertType(severity=Severity.WARNING, resolves=False),
    "empty_step": OpsAlertType(severity=Severity.WARNING),
    "all_failed": OpsAlertType(severity=Severity.WARNING, resolves=False),
    "contact_failed": OpsAlertType(severity=Severity.WARNING),
    "card_incomplete": OpsAlertType(severity=Severity.WARNING, resolves=False),
    "unreadable": OpsAlertType(severity=Severity.WARNING, resolves=False),
    "calendar_failed": OpsAlertType(severity=Severity.WARNING),
    "people_bad": OpsAlertType(),
    "highlights_refused": OpsAlertType(severity=Severity.WARNING),
    "highlight_unsure": OpsAlertType(severity=Severity.WARNING),
    "canary": OpsAlertType(severity=Severity.INFO, to="canary", resolves=False),
    "review_due": OpsAlertType("which", Severity.WARNING, "crisis_team", resolves=False),
}


def rule_of(what: str) -> str:
    """The rule that such an alert is said to come from."""
    return f"lyttepost.{what}"


class OpsAlerts:
    """Makes alerts about ourselves in the words of one configuration."""

    def __init__(self, headlines: Mapping[str, Headlines]) -> None:
        self.headlines = headlines

    @classmethod
    def load(cls, folder: Path | None = None) -> OpsAlerts:
        """The texts of a configuration folder, and the packaged one for each that it lacks, as an older copy does.

        Raises ConfigError that names file and line.
        """
        found: dict[str, dict[str, str]] = {what: {} for what in OPS_ALERTS}
        for language in LANGUAGES:
            for each in (folder, packaged_config()):
                path = each / "messages" / f"{language}.yaml" if each is not None else None
                if path is not None and path.exists() and not all(language in texts for texts in found.values()):
                    for what, text in ops_texts(load_yaml(path)).items():
                        found[what].setdefault(language, text)
        return cls(found)

    def message(
        self,
        what: str,
        part: str,
        since: datetime,
        at: datetime,
        *,
        over: bool = False,
        words: Mapping[str, str] | None = None,
        about: Alert | None = None,
        id_: str | None = None,
    ) -> Message:
        """One state of the alert `what` about `part`, for the bus; `over` resolves it. The rest as in `alert`."""
        made = self.alert(what, part, since, at, words=words, incident=about, id_=id_)
        return message(ALERTS, made.model_copy(update={"event": Event.RESOLVED}) if over else made)

    def alert(
        self,
        what: str,
        part: str,
        since: datetime,
        at: datetime,
        *,
        words: Mapping[str, str] | None = None,
        incident: Alert | Incident | None = None,
        id_: str | None = None,
    ) -> Alert:
        """The alert `what` about `part`; `words` fill the braces of its text.

        `incident`: what it belongs to, which may be said by an alert that could not be delivered as it should. Without
        `id_` the same `since` is the same alert.
        """
        its = OPS_ALERTS[what]
        belongs = (incident.incident, incident.incident_name) if isinstance(incident, Alert) else None
        if isinstance(incident, Incident):
            belongs = incident.id, incident.name
        where, name = belongs or ("calm", "Lyttepost")
        return Alert(
            id=id_ or hashlib.sha256(f"ops|{what}|{part}|{format_instant(since)}".encode()).hexdigest()[:16],
            event=Event.FIRED,
            at=at,
            incident=where,
            incident_name=name,
            exercise=incident.exercise if incident else False,
            rule=rule_of(what),
            rule_type=OPS,
            severity=its.severity,
            to=its.to,
            key=part,
            key_fields=("source",),
            headline={lang: text.format_map(words) if words else text for lang, text in self.headlines[what].items()},
            count=1,
            reason=what,
            first_seen=since,
            resolves=its.resolves,
        )


def ops_texts(file: YamlFile) -> Headlines:
    """Name of an alert about ourselves → its text, as a messages file has it. Raises ConfigError."""
    texts = file.data.get(OPS, {}) if isinstance(file.data, dict) else {}
    if not isinstance(texts, dict):
        raise file.error((OPS,), "must be a mapping of texts")
    for what, text in texts.items():
        if what not in OPS_ALERTS:
            raise file.error((OPS, what), "there is no such alert; remove it or correct the spelling")
        if not isinstance(text, str) or not text.strip():
            raise file.error((OPS, what), "must be text; put it in quotes")
        allowed = OPS_ALERTS[what].braces.split()
        if set(re.findall(r"\{([^}]*)\}?", text)) - set(allowed) or text.count("{") != text.count("}"):
            may = ", ".join(f"{{{name}}}" for name in allowed)
            raise file.error((OPS, what), f"may hold {may}, and nothing else in braces")
    return texts
