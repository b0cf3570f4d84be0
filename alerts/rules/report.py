"""Makes a rule's verdicts from the posts in its window, and the records for the `alerts` topic from verdicts."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from heapq import nsmallest
from operator import attrgetter
from typing import TYPE_CHECKING

from alerts.rules.bearing import bearing_of
from alerts.rules.table import TYPES
from alerts.rules.texts import headline
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Alert, Event, Gap, Kind, Origin, Sample
from listener.plugins import load
from listener.units import format_instant

if TYPE_CHECKING:
    from alerts.rules.entry import Entry
    from alerts.rules.judge import IncidentInfo, RuleContext
    from alerts.rules.spec import RuleSpec, RuleType

BINS = 12
"""Equal parts of a window in which an alert counts its posts (`spark`)."""
SAMPLES = 3
"""Posts that an alert points to."""

_AUTHOR, _WEIGHT = attrgetter("author"), attrgetter("weight")


def alert_id(incident: str, rule: str, key: str, at: datetime, post_key: str) -> str:
    """16 hex digits, the same for the same event however often it is judged."""
    parts = "\x1f".join((incident, rule, key, format_instant(at), post_key))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def nth_id(incident: str, rule: str, key: str, nth: int) -> str:
    """The same of an alarm that is known by its number alone, whichever post completes it."""
    return hashlib.sha256("\x1f".join((incident, rule, key, f"#{nth}")).encode()).hexdigest()[:16]


def spoken(
    context: RuleContext,
    spec: RuleSpec,
    key: str,
    by: Entry,
    window: Sequence[Entry],
    *,
    event: Event,
    reason: Reason,
    count: int,
    late: Entry | None = None,
    key_fields: tuple[str, ...] = (),
    baseline: float | None = None,
) -> Verdict:
    """A verdict on the window that the finding `by` completed; `late` is the one that was found late, if any."""
    if late is None and by.origin is Origin.GAP_FILL:
        late = by
    return _verdict(
        context, spec, key, by.at, window,
        event=event, reason=reason, count=count,
        alert_id=alert_id(context.incident.id, spec.name, key, by.at, by.post_key),
        first_seen=window[0].at,
        key_fields=key_fields or spec.query_key,
        late=late,
        baseline=baseline,
    )  # fmt: skip


def noticed(
    context: RuleContext,
    spec: RuleSpec,
    key: str,
    at: datetime,
    window: Sequence[Entry],
    *,
    event: Event,
    reason: Reason,
    count: int,
    since: datetime,
    baseline: float | None = None,
    late: Entry | None = None,
) -> Verdict:
    """A verdict that no post completed but time that went by: it began at `since`, and its window may be empty."""
    return _verdict(
        context, spec, key, at, window,
        event=event, reason=reason, count=count,
        alert_id=alert_id(context.incident.id, spec.name, key, at, ""),
        first_seen=since, key_fields=spec.query_key, late=late, baseline=baseline,
    )  # fmt: skip


def resolved(
    context: RuleContext,
    spec: RuleSpec,
    key: str,
    at: datetime,
    window: Sequence[Entry],
    *,
    count: int,
    alert: str,
    first: datetime,
    reason: Reason = Reason.BELOW_NUM_EVENTS,
    baseline: float | None = None,
) -> Verdict:
    """The word that a condition has passed."""
    return _verdict(
        context, spec, key, at, window,
        event=Event.RESOLVED, reason=reason, count=count,
        alert_id=alert, first_seen=first, key_fields=spec.query_key, late=None, baseline=baseline,
    )  # fmt: skip


def _verdict(
    context: RuleContext, spec: RuleSpec, key: str, at: datetime, window: Sequence[Entry], *,
    event: Event, reason: Reason, count: int, alert_id: str, first_seen: datetime,
    key_fields: tuple[str, ...], late: Entry | None, baseline: float | None,
) -> Verdict:  # fmt: skip
    authors = set(map(_AUTHOR, window)) - {None, ""}
    start = at - spec.window if spec.window else at
    return Verdict(
        at=at,
        event=event,
        rule=spec.name,
        key=key,
        key_fields=key_fields,
        count=count,
        baseline=baseline,
        reason=reason,
        alert_id=alert_id,
        first_seen=first_seen,
        authors=len(authors) if authors else None,
        posts=sum(map(_WEIGHT, window)),
        reposts=sum(entry.weight for entry in window if entry.repost),
        kinds=_kinds(window),
        themes=_themes(window),
        spark=_spark(window, start, spec.window) if spec.window else (),
        samples=_samples(window),
        heard_late=late is not None,
        posted_at=late.at if late else None,
        found_at=late.captured_at if late else None,
        gaps=_overlapping(context.gaps.values(), start, at),
        answer=context.answers.shown(bearing_of(spec), key, at) if context.answers else None,
    )


def _kinds(window: Sequence[Entry]) -> dict[Kind, int]:
    # By the value's own text: an enum's hash is computed in Python, and a window may hold many thousand posts.
    counts: dict[str, int] = {}
    for entry in window:
        for kind in entry.kinds:
            counts[kind._value_] = counts.get(kind._value_, 0) + entry.weight
    return {kind: counts[kind._value_] for kind in Kind if kind._value_ in counts}


def _themes(window: Sequence[Entry]) -> dict[str, int]:
    """Main theme → posts, the most first."""
    counts: dict[str, int] = {}
    for entry in window:
        if entry.theme is not None:
            counts[entry.theme] = counts.get(entry.theme, 0) + entry.weight
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _spark(window: Sequence[Entry], start: datetime, length: timedelta) -> tuple[int, ...]:
    # The window is open at its start and closed at its end, and so is each bin. Its posts are in order.
    bins = [0] * BINS
    begin = 0
    for place in range(BINS):
        last = place == BINS - 1
        end = len(window) if last else bisect_left(window, True, begin, key=partial(_is_after, start, length, place))
        bins[place] = sum(map(_WEIGHT, window[begin:end]))
        begin = end
    return tuple(bins)


def _is_after(start: datetime, length: timedelta, place: int, entry: Entry) -> bool:
    """Whether a post belongs to a bin after the one at `place`."""
    return -((start - entry.at) * BINS // length) - 1 > place


def _samples(window: Sequence[Entry]) -> tuple[Sample, ...]:
    """The widest stories, each by its first post that is no repost."""
    spread: dict[str, int] = {}
    first: dict[str, Entry] = {}
    for entry in window:
        story = entry.story
        if story in spread:
            spread[story] += entry.weight
            if not entry.repost and first[story].repost:
                first[story] = entry
        else:
            spread[story] = entry.weight
            first[story] = entry
    widest = nsmallest(SAMPLES, first.values(), key=lambda e: (-spread[e.story], e.at, e.post_key))
    return tuple(Sample(key=entry.post_key, digest=entry.digest) for entry in widest)


def _overlapping(gaps: Iterable[Gap], start: datetime, end: datetime) -> tuple[Gap, ...]:
    """The stretches within [start, end] in which we could not hear, oldest first."""
    heard_not = (gap for gap in gaps if gap.start <= end and (gap.end is None or gap.end > start))
    return tuple(sorted(heard_not, key=lambda gap: (gap.start, gap.id)))


def to_alert(verdict: Verdict, spec: RuleSpec, incident: IncidentInfo) -> Alert:
    """A verdict → the record for the `alerts` topic."""
    return Alert(
        id=verdict.alert_id,
        event=verdict.event,
        at=verdict.at,
        incident=incident.id,
        incident_name=incident.name,
        exercise=incident.exercise,
        synthetic=incident.synthetic,
        rule=spec.name,
        rule_type=spec.type,
        severity=spec.severity,
        to=spec.to,
        key=verdict.key,
        key_fields=verdict.key_fields,
        headline=headline(verdict, spec),
        tiltakskort=spec.tiltakskort,
        count=verdict.count,
        baseline=verdict.baseline,
        timeframe_seconds=spec.window.total_seconds() if spec.window else None,
        reason=verdict.reason.value,
        first_seen=verdict.first_seen,
        authors=verdict.authors,
        posts=verdict.posts,
        reposts=verdict.reposts,
        kinds=verdict.kinds,
        themes=verdict.themes,
        spark=verdict.spark,
        samples=verdict.samples,
        heard_late=verdict.heard_late,
        posted_at=verdict.posted_at,
        found_at=verdict.found_at,
        gaps=verdict.gaps,
        answer=verdict.answer,
        nth=verdict.nth,
        settled=verdict.settled,
        resolves=_resolves(spec.type) and spec.passes,
    )


@cache
def _resolves(type_: str) -> bool:
    """Whether conditions of this type ever pass."""
    its: RuleType = load(TYPES[type_])
    return its.resolves
