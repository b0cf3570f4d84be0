"""The alert that a burst makes: how loud, against what, since when; in calm with the command to open an incident."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import NamedTuple

from alerts.rules.conditions.burst_detector import BurstReading
from alerts.rules.conditions.series import MINUTE, Judged
from alerts.rules.judge import IncidentInfo
from alerts.rules.report import BINS, alert_id
from alerts.rules.texts import Counted, spell
from alerts.rules.types.burst import BurstSpec
from alerts.rules.verdict import Reason
from listener.model.keys import of_source
from listener.model.records import Alert, Event, Gap
from listener.model.tracks import TrackKind, is_total, parse, total_of

CALM = IncidentInfo("calm", "Lyttepost")
OPTIONS = {TrackKind.ACCOUNT: "--account", TrackKind.PLACE: "--place"}
"""Kind of track → the option of `lyttepost mode crisis` that takes it; words and hashtags are `--track`."""
MAX_NAMED = 3
"""Tracks of a total that are named; of the others it is said how many there are."""


class Words(NamedTuple):
    loud: str
    question: str
    standing: str
    quoted: str
    command: str


WORDS: Mapping[str, Words] = {
    "nb": Words(
        "{count} innlegg på {timeframe} om {key}, ventet {expected}.",
        "Er det en krise?",
        "det vi alltid lytter etter",
        "«{}»",
        "lyttepost mode crisis --name NAVN{tracks} --why GRUNN",
    ),
    "en": Words(
        "{count:post|posts} in {timeframe} about {key}, {expected} expected.",
        "Is it a crisis?",
        "what we always listen for",
        "“{}”",
        "lyttepost mode crisis --name NAME{tracks} --why REASON",
    ),
}


def alert_of(
    rule: BurstSpec,
    source: str,
    track: str,
    judged: Judged,
    *,
    incident: IncidentInfo = CALM,
    standing: Sequence[str] = (),
    held: bool = False,
    gaps: Iterable[Gap] = (),
) -> Alert:
    """`incident`: in whose crisis it is loud. `held`: another was sent within the rule's `realert`. `standing`: the
    tracks that a total counts. `gaps`: those that are known."""
    reading, at = judged.readings[rule.tuning], judged.minute
    key, count, first = of_source(source, track), round(reading.count), reading.since or judged.minute
    return Alert(
        id=alert_id(incident.id, rule.name, key, at, ""),
        event=Event.SUPPRESSED if held else Event.FIRED,
        at=at,
        incident=incident.id,
        incident_name=incident.name,
        exercise=incident.exercise,
        synthetic=incident.synthetic,
        rule=rule.name,
        rule_type=rule.type,
        severity=rule.severity,
        to=rule.to,
        key=of_source(source, _named(track, standing) or "*"),
        key_fields=("source", "track"),
        headline={each: _headline(rule, track, reading, standing, each, incident) for each in WORDS},
        tiltakskort=rule.tiltakskort,
        count=count,
        baseline=round(reading.expected, 1),
        timeframe_seconds=reading.window.total_seconds(),
        reason=(Reason.REALERT if held else Reason.BURST).value,
        first_seen=first,
        posts=count,
        spark=_spark(judged.last_hour),
        gaps=tuple(
            gap
            for gap in gaps
            if gap.source == source and gap.start < at + MINUTE and (gap.end is None or gap.end > at - reading.window)
        ),
        command={each: command(track, each) for each in WORDS} if incident is CALM else {},
        resolves=False,
    )


def command(track: str, language: str) -> str:
    """What the crisis team types. The standing tracks, which the total counts, join every incident by themselves."""
    if is_total(track):
        option = ""
    else:
        parsed = parse(track)
        name = f"@{parsed.text}" if parsed.kind is TrackKind.ACCOUNT else parsed.text
        word = name if parsed.kind in OPTIONS else track
        option = f" {OPTIONS.get(parsed.kind, '--track')} {shlex.quote(word)}"
    return WORDS[language].command.format(tracks=option)


def _named(track: str, standing: Sequence[str]) -> str:
    """A track as people know it: a total by the tracks that it counts, or nothing if those are standing no more."""
    if not is_total(track):
        return track
    if track != total_of(standing):
        return ""
    named, more = ", ".join(standing[:MAX_NAMED]), len(standing) - MAX_NAMED
    return f"{named} + {more}" if more > 0 else named


def _headline(
    rule: BurstSpec, track: str, reading: BurstReading, standing: Sequence[str], language: str, incident: IncidentInfo
) -> str:
    words, named = WORDS[language], _named(track, standing)
    own = rule.texts.get(language)  # type: ignore[call-overload]
    text = own or (f"{words.loud} {words.question}" if incident is CALM else words.loud)
    number = Counted(round(reading.count))
    values = {"count": number, "posts": number, "authors": Counted(None)}
    return str(
        text.format(
            **values,
            timeframe=spell(reading.window, language),
            key=words.quoted.format(named) if named else words.standing,
            expected=round(reading.expected),
            theme="{theme}",
        )
    )


def _spark(last_hour: Sequence[float]) -> tuple[int, ...]:
    size = timedelta(hours=1) // timedelta(minutes=1) // BINS
    return tuple(round(sum(last_hour[i : i + size])) for i in range(0, len(last_hour), size))
