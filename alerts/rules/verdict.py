"""A verdict: one thing that a rule says of its findings, with its reason. Data only.

It holds numbers, ids and digests, never a post's text. `alerts.rules.report` makes verdicts, and alerts of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from listener.model.answers import AnswerGiven
from listener.model.records import WITHDRAWN as WITHDRAWN_REASON
from listener.model.records import Event, Gap, Kind, Sample


class Reason(StrEnum):
    """Why a rule fired, resolved or stayed silent. `REASONS` explains each."""

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
    ANSWERED = "answered"
    ANSWERED_OVER = "answered_over"
    WITHDRAWN = WITHDRAWN_REASON


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
    Reason.ANSWERED: "held: people have answered or dismissed it, and not many times as many say it as did then",
    Reason.ANSWERED_OVER: "people have answered or dismissed it: nobody need look at it any longer",
    Reason.WITHDRAWN: "told early and not confirmed: meanwhile posts were purged, the rule edited, or people answered",
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
    themes: Mapping[str, int] = field(default_factory=dict)
    spark: tuple[int, ...] = ()
    samples: tuple[Sample, ...] = ()
    heard_late: bool = False
    posted_at: datetime | None = None
    found_at: datetime | None = None
    gaps: tuple[Gap, ...] = ()
    answer: AnswerGiven | None = None
    """What people had answered to it by then."""
    nth: int | None = None
    """Which alarm of the rule and key it is, where the rule tells its alarms early."""
    settled: bool | None = None
    """False: told early; the same alarm is settled later. True: it is. None: of a rule that waits for late posts."""
    told_early: bool = field(default=False, compare=False)
    """It settles what was told early, and so is nothing new."""

    @property
    def passing(self) -> bool:
        """A word that is only of the time before late posts have been waited for: without it all are as if they had
        been waited for from the start."""
        return self.settled is False or self.reason is Reason.WITHDRAWN
