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

from alerts.annotate.themes import Theme, load_themes, theme_names, themes_file
from alerts.notify.channels.text import one_line
from alerts.rules.verdict import Reason
from listener.errors import ConfigError
from listener.model.answers import Verdict
from listener.model.records import Kind, Severity
from listener.runtime.ops_alerts import LANGUAGES, OPS, ops_texts
from listener.settings.files import load_yaml
from listener.settings.zone import DEFAULT_ZONE, find_zone

PLACE = re.compile(r"\{(\w+)\}")
TIMES = frozenset({"time", "start", "end"})
ENDS, BEGINS = re.compile(r"\b(?:since|until|from|up to) $", re.IGNORECASE), re.compile(r"^(?:at|on) (?=\d)")
BARS = "▁▂▃▄▅▆▇█"
CHANGE = timedelta(hours=12)
"""So long before and after clocks are changed, times name their zone."""

BRACES: Mapping[str, frozenset[str]] = {
    name: frozenset(allowed.split())
    for name, allowed in {
        "headline_missing": "rule",
        "more_below": "count",
        "trend": "arrow count span",
        "trend_at": "arrow count span",
        "trend_only": "arrow direction",
        "baseline_usual": "baseline",
        "baseline_before": "baseline",
        "baseline_limit": "baseline",
        "in_timeframe": "hits timeframe",
        "first_seen": "time",
        "mode_crisis": "incident",
        "answer": "way",
        "answer_code": "code",
        "answer_link": "link",
        "answer_command": "id",
        "acknowledged": "name time",
        "closed": "name time",
        "covers": "alerts",
        "member": "severity headline time",
        "command": "command",
        "spark": "span spark top part",
        "graph": "span",
        "people": "counted",
        "people_unknown": "counted",
        "kinds": "kinds",
        "themes_counted": "themes",
        "answered": "time name verdict",
        "answered_elsewhere": "time name",
        "dismissed": "time name",
        "heard_late": "posted found",
        "gaps": "gaps",
        "gap": "source span",
        "gap_lasts": "source start",
        "has_passed": "time",
        "tiltakskort": "link",
        "told": "people",
        "told_one": "name channel time",
        "board": "link",
        "about": "key",
        "rule": "rule id",
        "times": "zone",
        "incomplete": "fields id",
        "reason": "reason",
        "note": "name time text",
        "sample": "text key",
        "sample_gone": "key",
        "hours": "n",
        "minutes": "n",
        "seconds": "n",
        "clock_span": "start end",
    }.items()
}
"""What each text must name in braces, neither more nor less."""

NOTICE_BRACES: Mapping[str, frozenset[str]] = {
    name: frozenset(allowed.split())
    for name, allowed in {
        "has_it": "name what",
        "has_it_text": "name time",
        "opened": "name time",
        "opened_text": "",
        "incident_closed": "name time",
        "alerts_closed": "count",
        "report": "time",
        "report_where": "where",
        "report_failed": "",
        "silence_ends": "time what",
        "silence_ends_text": "",
        "silence_ends_how": "id",
        "reply_help": "",
        "reply_help_text": "",
        "reply_help_none": "",
        "test": "code",
        "test_text": "name channel",
        "test_reply": "code",
        "test_how": "code",
        "test_command": "code person",
    }.items()
}
"""The same of each text under `notices`."""

WHY_BRACES: Mapping[str, frozenset[str]] = {
    name: frozenset(allowed.split())
    for name, allowed in {
        "step": "",
        "changed": "",
        "digest": "count",
        "quiet_hours_over": "",
        "last_resort": "",
        "assigned": "name",
        "unacknowledged": "name time length",
    }.items()
}
"""The same of each text under `why`: why somebody is sent a card that is not the first of its alert."""

PAGE_BRACES: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(
        (
            "who", "other", "name", "button", "done", "shown_only", "choose", "also_open", "history", "over",
            "withdrawn", "withdrawn_text", "unknown", "unknown_text", "away", "away_text", "unsure", "unsure_text",
            "call_nobody", "samples", "sample_withheld", "sample_removed", "samples_veiled", "held",
        ),
        frozenset[str](),
    ),
    **dict.fromkeys(("over_text", "reopened"), frozenset({"time"})),
    **dict.fromkeys(("called", "calling", "call_failed"), frozenset({"name", "channel", "time"})),
    **dict.fromkeys(("silenced", "resolved", "noted"), frozenset({"name", "time"})),
    "assigned": frozenset({"name", "to", "time"}),
    "call": frozenset({"call"}),
}  # fmt: skip
"""The same of each text under `page`: the page that a link opens."""

UNITS = ("hit", "post", "repost", "sender", "alert")
"""What is counted on a card."""

PARTS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "notices": NOTICE_BRACES,
    "page": PAGE_BRACES,
    "why": WHY_BRACES,
}


class Direction(StrEnum):
    """Whether more is written in the newest stretch than in the one before it."""

    RISING = "rising"
    STEADY = "steady"
    FALLING = "falling"


ARROWS: Mapping[Direction, str] = {Direction.RISING: "↑", Direction.STEADY: "→", Direction.FALLING: "↓"}


class Messages(BaseModel):
    """`clock`, `hour` and `date` are strftime patterns of the hospital's own time, which is that of `zone`.

    `themes`: id → what people call it. Of `kind` and `counted` each has a word for one and one for many.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: Literal["nb", "en"]
    zone: str = DEFAULT_ZONE
    themes: Mapping[str, str] = Field(default_factory=dict)
    exercise: str
    passed: str
    may_repeat: str
    digest: str
    unanswered: str
    severity: Mapping[Severity, str]
    headline_missing: str
    one_topic: str
    at_least: str
    more_below: str
    trend: str
    trend_at: str
    trend_only: str
    direction: Mapping[Direction, str]
    baseline_usual: str
    baseline_before: str
    baseline_limit: str
    in_timeframe: str
    first_seen: str
    mode_crisis: str
    mode_calm: str
    answer: str
    answer_code: str
    answer_link: str
    answer_command: str
    answer_or: str
    answer_button: str
    acknowledged: str
    closed: str
    covers: str
    member: str
    what_to_do: str
    what_we_do_not_know: str
    who_was_called: str
    command: str
    spark: str
    graph: str
    people: str
    people_unknown: str
    kinds: str
    themes_counted: str
    answered: str
    answered_elsewhere: str
    dismissed: str
    verdict: Mapping[Verdict, str]
    heard_late: str
    gaps: str
    gap: str
    gap_lasts: str
    no_gaps: str
    not_all_heard: str
    has_passed: str
    tiltakskort: str
    told: str
    told_one: str
    told_nobody: str
    not_acknowledged: str
    board: str
    about: str
    rule: str
    times: str
    incomplete: str
    reason: str
    note: str
    sample: str
    sample_gone: str
    hours: str
    minutes: str
    seconds: str
    decimal: str
    clock: str
    hour: str
    clock_span: str
    date: str
    kind: Mapping[Kind, tuple[str, str]]
    counted: Mapping[str, tuple[str, str]]
    channels: Mapping[str, str]
    why: Mapping[str, str]
    notices: Mapping[str, str]
    page: Mapping[str, str]
    reasons: Mapping[Reason, str]

    @model_validator(mode="after")
    def _complete(self) -> Messages:
        words: tuple[tuple[str, Iterable[str]], ...] = (
            ("severity", Severity), ("verdict", Verdict), ("kind", Kind), ("reasons", Reason),
            ("direction", Direction), ("counted", UNITS), ("why", WHY_BRACES), ("notices", NOTICE_BRACES),
            ("page", PAGE_BRACES),
        )  # fmt: skip
        missing = [f"{name}.{word}" for name, members in words for word in members if word not in getattr(self, name)]
        if missing:
            raise ValueError(f"no text for {', '.join(missing)}")
        for name, allowed in BRACES.items():
            _check_braces(name, getattr(self, name), allowed)
        for part, braces in PARTS.items():
            for name, text in getattr(self, part).items():
                if name not in braces:
                    raise ValueError(f"{part}.{name}: there is no such text; remove it or correct the spelling")
                _check_braces(f"{part}.{name}", text, braces[name])
        return self

    def say(self, message: str, /, **values: object) -> str:
        """One of the texts, with its braces filled in, each value on one line."""
        return _filled(getattr(self, message), values)

    def notice(self, name: str, /, **values: object) -> str:
        """One of the texts under `notices`."""
        return _filled(self.notices[name], values)

    def on_page(self, name: str, /, **values: object) -> str:
        """One of the texts under `page`."""
        return _filled(self.page[name], values)

    def because(self, name: str, /, **values: object) -> str:
        """One of the texts under `why`."""
        return _filled(self.why[name], values)

    def time(self, at: datetime, now: datetime) -> str:
        """On the hospital's wall clock; the date unless it is today's; the zone when clocks are changed that night."""
        local, today = self._local(at), self._local(now).date()
        text = local.strftime(self.clock if local.date() == today else self.date)
        return f"{text} {local.tzname()}" if self._changes(at) else text

    def span(self, start: datetime, end: datetime, now: datetime) -> str:
        """`kl. 02.45–03.00`, `14.03. kl. 22.39–22.49`; both in full where they are of two days, or in doubt."""
        first, last = self._local(start), self._local(end)
        if first.date() == last.date() == self._local(now).date() and not self._changes(start):
            return fill(self.clock_span, {"start": first.strftime(self.hour), "end": last.strftime(self.hour)})
        if first.date() == last.date() and not self._changes(start):
            return f"{self.time(start, now)}–{last.strftime(self.hour)}"
        return f"{self.time(start, now)} – {self.time(end, now)}"

    def hour_of(self, at: datetime) -> str | None:
        """The hour that begins at this instant on the hospital's wall clock; None where none does."""
        local = self._local(at)
        return None if local.minute or local.second else local.strftime(self.hour)

    def zone_shown(self, at: datetime) -> str:
        """`Europe/Oslo (CET)`: for who may read it elsewhere."""
        name = self._local(at).tzname()
        return self.zone if name in (None, self.zone) else f"{self.zone} ({name})"

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(find_zone(self.zone))

    def _changes(self, at: datetime) -> bool:
        """Whether a clock time is in doubt: it is UTC's, or clocks are changed within half a day of it."""
        around = [self._local(at + shift).utcoffset() for shift in (-CHANGE, CHANGE)]
        return self._local(at).tzname() == "UTC" or around[0] != around[1]

    def kinds_counted(self, kind: Kind, count: int) -> str:
        """`1 øyenvitneskildring`, `14 spørsmål`."""
        return _with_word(count, self.kind[kind])

    def number_of(self, unit: str, count: int) -> str:
        """`1 treff`, `14 avsendere`: a unit of `UNITS`."""
        return _with_word(count, self.counted[unit])

    def channel(self, name: str) -> str:
        """A channel as people call it."""
        return self.channels.get(name, name)

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
    """`{name}` → its value; an unknown name stays as it is. No attribute, index or format is looked at.

    A time that English begins with a word of its own (`at 14:00`) loses it behind another: `since 14:00`.
    """

    def value(found: re.Match[str]) -> str:
        its = values.get(found[1], found[0])
        behind = found[1] in TIMES and ENDS.search(template[: found.start()]) is not None
        return BEGINS.sub("", its) if behind else its

    return PLACE.sub(value, template)


def _filled(template: str, values: Mapping[str, object]) -> str:
    return fill(template, {name: one_line(str(value)) for name, value in values.items()})


def _with_word(count: int, words: tuple[str, str]) -> str:
    return f"{count} {words[0] if count == 1 else words[1]}"


def _check_braces(name: str, text: str, allowed: frozenset[str]) -> None:
    if set(re.findall(r"\{(\w*)\}", text)) != allowed:
        wanted = ", ".join(f"{{{each}}}" for each in sorted(allowed)) or "no name in braces"
        raise ValueError(f"{name} must name {wanted} and nothing else")


def sparkline(counts: Sequence[int]) -> str:
    """Counts → small bars, the newest 30, from zero to the highest."""
    newest = counts[-30:]
    top = max([*newest, 1])
    return "".join(BARS[max(0, count) * (len(BARS) - 1) // top] for count in newest)


def load_messages(folder: Path, language: str, zone: str = DEFAULT_ZONE) -> Messages:
    """`messages/nb.yaml` of a configuration folder. Raises ConfigError that names file and line.

    The texts of alerts about ourselves are only checked: who makes such an alert reads them, with `OpsAlerts.load`.
    """
    return _load(folder, language, zone, load_themes(themes_file(folder)))


def load_all_messages(folder: Path, zone: str = DEFAULT_ZONE) -> dict[str, Messages]:
    """Language → its messages, for every language that people.yaml may give a person. Raises ConfigError."""
    themes = load_themes(themes_file(folder))
    return {language: _load(folder, language, zone, themes) for language in LANGUAGES}


def _load(folder: Path, language: str, zone: str, themes: Mapping[str, Theme]) -> Messages:
    path = folder / "messages" / f"{language}.yaml"
    file = load_yaml(path)
    if not isinstance(file.data, dict):
        raise ConfigError(f"{path}:1: must be a mapping of texts")
    ops_texts(file)
    named = theme_names(themes, language)
    try:
        texts = {name: text for name, text in file.data.items() if name != OPS}
        return Messages.model_validate({**texts, "language": language, "zone": zone, "themes": named})
    except ValidationError as error:
        raise file.explain(error) from None
