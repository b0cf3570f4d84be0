"""What a rule says of its findings, and why; and the alert record made of it.

Numbers, ids and digests only, never a post's text.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from heapq import nsmallest
from operator import attrgetter
from typing import TYPE_CHECKING

from alerts.rules.texts import headline
from listener.model.records import Alert, Event, Gap, Kind, Origin, Sample
from listener.units import format_instant

if TYPE_CHECKING:
    from alerts.rules.conditions.window import Entry
    from alerts.rules.judge import IncidentInfo, Scene
    from alerts.rules.spec import RuleSpec

BINS = 12
_AUTHOR, _WEIGHT = attrgetter("author"), attrgetter("weight")
SAMPLES = 3


class Reason(StrEnum):
    """Why a rule fired, resolved or held its tongue. `REASONS` explains each."""

    MATCHED = "matched"
    BLACKLISTED = "blacklisted"
    NOT_WHITELISTED = "not_whitelisted"
    CHANGED = "changed"
    NUM_EVENTS = "num_events"
    NUM_EVENTS_NO_AUTHORS = "num_events_no_authors"
    NEW_TERM = "new_term"
    MAX_PASSED = "max_passed"
    MIN_PASSED = "min_passed"
    WITHIN_BOUNDS = "within_bounds"
    KEY_FORGOTTEN = "key_forgotten"
    HEARD_LATE = "heard_late"
    BELOW_NUM_EVENTS = "below_num_events"
    SPIKE_UP = "spike_up"
    SPIKE_DOWN = "spike_down"
    SPIKE_OVER = "spike_over"
    FLATLINE = "flatline"
    FLATLINE_OVER = "flatline_over"
    BURST = "burst"
    REALERT = "realert"
    AGGREGATED = "aggregated"
    AGGREGATED_OVER = "aggregated_over"
    GAP = "gap"
    LOOKBACK_ONLY = "lookback_only"
    LEARNING = "learning"


REASONS: Mapping[Reason, str] = {
    Reason.MATCHED: "a finding passed the rule's filter",
    Reason.BLACKLISTED: "a finding has a value of the rule's blacklist",
    Reason.NOT_WHITELISTED: "a finding has a value that is not on the rule's whitelist",
    Reason.CHANGED: "a key's findings said one thing, and now another",
    Reason.NUM_EVENTS: "num_events was reached within the timeframe",
    Reason.NUM_EVENTS_NO_AUTHORS: "num_events was reached; no author is known, so posts without reposts were counted",
    Reason.NEW_TERM: "enough persons used a term that nobody had used before",
    Reason.MAX_PASSED: "what is measured within the timeframe rose above the rule's maximum",
    Reason.MIN_PASSED: "what is measured within the timeframe fell below the rule's minimum, and all of it was heard",
    Reason.WITHIN_BOUNDS: "what is measured is within the rule's bounds again, or is no longer enough to judge by",
    Reason.KEY_FORGOTTEN: "nothing was heard under this key for two timeframes, and it is no longer watched",
    Reason.HEARD_LATE: "a post that was found late completed the condition at the time it was posted",
    Reason.BELOW_NUM_EVENTS: "fewer than num_events are left within the timeframe",
    Reason.SPIKE_UP: "spike_height times as many as in the timeframe before, or more",
    Reason.SPIKE_DOWN: "spike_height times fewer than in the timeframe before, or less",
    Reason.SPIKE_OVER: "no longer so many, or so few, as against the timeframe before",
    Reason.FLATLINE: "fewer than the threshold within the timeframe, all of which we heard",
    Reason.FLATLINE_OVER: "the threshold is reached again",
    Reason.BURST: "louder than is to be expected of this track at this hour",
    Reason.REALERT: "held: the last alarm is less than `realert` ago",
    Reason.AGGREGATED: "held: it joins the alarm of this rule that came less than `aggregation` before",
    Reason.AGGREGATED_OVER: "held: a condition has passed in an aggregated alarm, in which others still stand",
    Reason.GAP: "held: we could not hear all of that time, and what we did not hear is not silence",
    Reason.LOOKBACK_ONLY: "held: only posts from before the incident completed the condition; a live one will fire it",
    Reason.LEARNING: "held: the incident is young, and what is said now is learnt as known",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One thing that happened. `at` is event time, as all times but `found_at`.

    `authors` is None when no finding of the window has one. `spark` holds the posts in `BINS` equal parts of the
    window, oldest first; empty for types without a window. A `resolved` carries the alert id of what it resolves.
    """

    at: datetime
    event: Event
    rule: str
    key: str
    key_fields: tuple[str, ...]
    count: int
    baseline: float | None = None
    reason: Reason
    alert_id: str
    first_seen: datetime
    authors: int | None
    posts: int
    reposts: int
    kinds: Mapping[Kind, int] = field(default_factory=dict)
    spark: tuple[int, ...] = ()
    samples: tuple[Sample, ...] = ()
    heard_late: bool = False
    posted_at: datetime | None = None
    found_at: datetime | None = None
    gaps: tuple[Gap, ...] = ()


def alert_id(incident: str, rule: str, key: str, at: datetime, post_key: str) -> str:
    """16 hex digits, the same for the same event however often it is judged."""
    parts = "\x1f".join((incident, rule, key, format_instant(at), post_key))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def spoken(
    scene: Scene,
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
        scene, spec, key, by.at, window,
        event=event, reason=reason, count=count,
        alert_id=alert_id(scene.incident.id, spec.name, key, by.at, by.post_key),
        first_seen=window[0].at,
        key_fields=key_fields or spec.query_key,
        late=late,
        baseline=baseline,
    )  # fmt: skip


def noticed(
    scene: Scene,
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
        scene, spec, key, at, window,
        event=event, reason=reason, count=count,
        alert_id=alert_id(scene.incident.id, spec.name, key, at, ""),
        first_seen=since, key_fields=spec.query_key, late=late, baseline=baseline,
    )  # fmt: skip


def resolved(
    scene: Scene,
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
        scene, spec, key, at, window,
        event=Event.RESOLVED, reason=reason, count=count,
        alert_id=alert, first_seen=first, key_fields=spec.query_key, late=None, baseline=baseline,
    )  # fmt: skip


def _verdict(
    scene: Scene, spec: RuleSpec, key: str, at: datetime, window: Sequence[Entry], *,
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
        spark=_spark(window, start, spec.window) if spec.window else (),
        samples=_samples(window),
        heard_late=late is not None,
        posted_at=late.at if late else None,
        found_at=late.captured_at if late else None,
        gaps=_overlapping(scene.gaps.values(), start, at),
    )


def _kinds(window: Sequence[Entry]) -> dict[Kind, int]:
    # By the value's own text: an enum's hash is computed in Python, and a window may hold many thousand posts.
    counts: dict[str, int] = {}
    for entry in window:
        for kind in entry.kinds:
            counts[kind._value_] = counts.get(kind._value_, 0) + entry.weight
    return {kind: counts[kind._value_] for kind in Kind if kind._value_ in counts}


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
        spark=verdict.spark,
        samples=verdict.samples,
        heard_late=verdict.heard_late,
        posted_at=verdict.posted_at,
        found_at=verdict.found_at,
        gaps=verdict.gaps,
    )
