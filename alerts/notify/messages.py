"""The words that people read, in the language of `people.yaml`: strictly typed, so that a missing word or a
misspelt name in braces is found at start and not at three in the morning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from alerts.annotate.themes import Themes, themes_file
from alerts.notify.channels.text import one_line
from alerts.rules.verdict import Reason
from listener.errors import ConfigError
from listener.model.answers import Verdict
from listener.model.records import Kind, Severity
from listener.runtime.ops_alerts import OPS, ops_texts
from listener.settings.files import load_yaml
from listener.settings.zone import DEFAULT_ZONE, find_zone

PLACE = re.compile(r"\{(\w+)\}")
BARS = "▁▂▃▄▅▆▇█"


BRACES: Mapping[str, frozenset[str]] = {
    name: frozenset(allowed.split())
    for name, allowed in {
        "reminder": "step",
        "headline_missing": "rule",
        "count": "count",
        "count_timeframe": "count timeframe",
        "against": "baseline",
        "first_seen": "time",
        "mode_crisis": "incident",
        "acknowledge": "id",
        "acknowledged": "name time",
        "closed": "name time",
        "incident_opened": "incident name time",
        "incident_closed": "incident name time",
        "alerts_closed": "count",
        "command": "command",
        "spark": "spark",
        "people": "authors posts reposts",
        "people_unknown": "posts reposts",
        "kinds": "kinds",
        "answered": "time name verdict",
        "answered_elsewhere": "time name",
        "dismissed": "time name",
        "heard_late": "posted found",
        "gaps": "gaps",
        "gap": "source start end",
        "gap_lasts": "source start",
        "has_passed": "time",
        "tiltakskort": "link",
        "told": "people",
        "told_one": "name channel time",
        "board": "link",
        "about": "key",
        "rule": "rule id",
        "incomplete": "fields id",
        "reason": "reason",
        "sample": "text key",
        "sample_gone": "key",
        "hours": "n",
        "minutes": "n",
        "seconds": "n",
    }.items()
}
"""What each text must name in braces, neither more nor less."""


class Messages(BaseModel):
    """`clock` and `date` are strftime patterns of the hospital's own time, which is that of `zone`.

    `themes`: id → what people call it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: Literal["nb", "en"]
    zone: str = DEFAULT_ZONE
    themes: Mapping[str, str] = Field(default_factory=dict)
    exercise: str
    passed: str
    may_repeat: str
    reminder: str
    severity: Mapping[Severity, str]
    headline_missing: str
    one_topic: str
    count: str
    count_timeframe: str
    against: str
    first_seen: str
    mode_crisis: str
    mode_calm: str
    acknowledge: str
    acknowledged: str
    closed: str
    incident_opened: str
    incident_closed: str
    alerts_closed: str
    command: str
    spark: str
    people: str
    people_unknown: str
    kinds: str
    answered: str
    answered_elsewhere: str
    dismissed: str
    verdict: Mapping[Verdict, str]
    heard_late: str
    gaps: str
    gap: str
    gap_lasts: str
    no_gaps: str
    has_passed: str
    tiltakskort: str
    no_tiltakskort: str
    told: str
    told_one: str
    told_nobody: str
    not_acknowledged: str
    board: str
    about: str
    rule: str
    incomplete: str
    reason: str
    sample: str
    sample_gone: str
    hours: str
    minutes: str
    seconds: str
    decimal: str
    clock: str
    date: str
    kind: Mapping[Kind, tuple[str, str]]
    reasons: Mapping[Reason, str]

    @model_validator(mode="after")
    def _complete(self) -> Messages:
        for name, allowed in BRACES.items():
            if set(re.findall(r"\{(\w*)\}", getattr(self, name))) != allowed:
                raise ValueError(f"{name} must name {', '.join(f'{{{a}}}' for a in sorted(allowed))} and nothing else")
        words: tuple[tuple[str, Iterable[StrEnum]], ...] = (
            ("severity", Severity), ("verdict", Verdict), ("kind", Kind), ("reasons", Reason),
        )  # fmt: skip
        missing = [f"{name}.{word}" for name, members in words for word in members if word not in getattr(self, name)]
        if missing:
            raise ValueError(f"no text for {', '.join(missing)}")
        return self

    def say(self, message: str, /, **values: object) -> str:
        """One of the texts, with its braces filled in, each value on one line."""
        return fill(str(getattr(self, message)), {name: one_line(str(value)) for name, value in values.items()})

    def time(self, at: datetime, now: datetime) -> str:
        """On the hospital's wall clock; the date unless it is today's; the zone in the hour that comes twice."""
        zone = find_zone(self.zone)
        local, today = at.astimezone(zone), now.astimezone(zone).date()
        text = local.strftime(self.clock if local.date() == today else self.date)
        twice = local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()
        return f"{text} {local.tzname()}" if twice or local.tzname() == "UTC" else text

    def kinds_counted(self, kind: Kind, count: int) -> str:
        """`1 øyenvitne`, `14 spørsmål`."""
        one, many = self.kind[kind]
        return f"{count} {one if count == 1 else many}"

    def reason_of(self, word: str) -> str:
        """A rule's reason in words for people; ops alerts bear words of their own."""
        return self.reasons[Reason(word)] if word in set(Reason) else word

    def number(self, value: float) -> str:
        return f"{value:.1f}".removesuffix(".0").replace(".", self.decimal)

    def duration(self, value: timedelta) -> str:
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        hours, minutes = divmod(minutes, 60)
        parts = (("hours", hours), ("minutes", minutes), ("seconds", seconds))
        return " ".join(self.say(name, n=n) for name, n in parts if n) or self.say("seconds", n=0)


def fill(template: str, values: Mapping[str, str]) -> str:
    """`{name}` → its value; an unknown name stays as it is. No attribute, index or format is looked at."""
    return PLACE.sub(lambda found: values.get(found[1], found[0]), template)


def sparkline(counts: Sequence[int]) -> str:
    """Counts → small bars, the newest 30, from zero to the highest."""
    newest = counts[-30:]
    top = max([*newest, 1])
    return "".join(BARS[max(0, count) * (len(BARS) - 1) // top] for count in newest)


def load_messages(folder: Path, language: str, zone: str = DEFAULT_ZONE) -> Messages:
    """`messages/nb.yaml` of a configuration folder. Raises ConfigError that names file and line.

    The texts of alerts about ourselves are only checked: who makes such an alert reads them, with `OpsAlerts.load`.
    """
    path = folder / "messages" / f"{language}.yaml"
    themes = Themes.load(themes_file(folder)).names(language)
    file = load_yaml(path)
    if not isinstance(file.data, dict):
        raise ConfigError(f"{path}:1: must be a mapping of texts")
    ops_texts(file)
    try:
        texts = {name: text for name, text in file.data.items() if name != OPS}
        return Messages.model_validate({**texts, "language": language, "zone": zone, "themes": themes})
    except ValidationError as error:
        raise file.explain(error) from None
