"""The alert that proposes crisis mode: how loud, since when, and the command that opens an incident."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from alerts.burst import Reading
from alerts.rules.burst import BurstSpec
from alerts.rules.texts import spell
from alerts.rules.verdict import BINS, Reason, alert_id
from listener.records import Alert, Event, Volume
from listener.tracks import TrackKind, is_total, parse

CALM = "calm"
OPTIONS = {TrackKind.ACCOUNT: "--account", TrackKind.PLACE: "--place"}
"""Kind of track → the option of `lyttepost mode crisis` that takes it; words and hashtags are `--track`."""
TEXTS: Mapping[str, tuple[str, str, str]] = {
    "nb": (
        "{count} innlegg på {timeframe} om {what}, mot ventet {expected}. Er det en krise?",
        "det vi alltid lytter etter",
        "lyttepost mode crisis --name NAVN{track} --why GRUNN",
    ),
    "en": (
        "{count} posts in {timeframe} about {what}, against {expected} expected. Is it a crisis?",
        "what we always listen for",
        "lyttepost mode crisis --name NAME{track} --why REASON",
    ),
}
"""Language → the question, what the total is called, and the command."""


def propose(
    rule: BurstSpec, volume: Volume, at: datetime, reading: Reading, last_hour: Sequence[float], *, held: bool
) -> Alert:
    """`at`: the minute that was loud. `held`: another was told within the rule's `realert`."""
    key = f"{volume.source}:{volume.track}"
    count = round(reading.count)
    return Alert(
        id=alert_id(CALM, rule.name, key, at, ""),
        event=Event.SUPPRESSED if held else Event.FIRED,
        at=at,
        incident=CALM,
        incident_name="Lyttepost",
        rule=rule.name,
        rule_type=rule.type,
        severity=rule.severity,
        to=rule.to,
        key=key,
        key_fields=("source", "track"),
        headline={language: _headline(rule, volume.track, reading, language) for language in TEXTS},
        tiltakskort=rule.tiltakskort,
        count=count,
        baseline=round(reading.expected, 1),
        timeframe_seconds=reading.window.total_seconds(),
        reason=(Reason.REALERT if held else Reason.BURST).value,
        first_seen=reading.since or at,
        posts=count,
        spark=_spark(last_hour),
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
    return TEXTS[language][2].format(track=option)


def _headline(rule: BurstSpec, track: str, reading: Reading, language: str) -> str:
    question, total, _ = TEXTS[language]
    what = total if is_total(track) else f"«{track}»"
    window = spell(reading.window, language)
    own = rule.texts.get(language)  # type: ignore[call-overload]
    if own is not None:
        words = own.format(
            count=round(reading.count), posts=round(reading.count), authors="?", timeframe=window, key=what
        )
    else:
        words = question.format(
            count=round(reading.count), timeframe=window, what=what, expected=round(reading.expected)
        )
    return f"{words} {command(track, language)}"


def _spark(last_hour: Sequence[float]) -> tuple[int, ...]:
    size = timedelta(hours=1) // timedelta(minutes=1) // BINS
    return tuple(round(sum(last_hour[i : i + size])) for i in range(0, len(last_hour), size))
