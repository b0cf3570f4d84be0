"""A judge: what every rule type implements, and what it knows of the incident that it judges."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from alerts.rules.answers import Answers
from alerts.rules.entry import Entry
from alerts.rules.verdict import Verdict
from listener.model.incidents import Incident
from listener.model.records import Alert, Finding, Gap

CALM = "calm"


@dataclass(frozen=True)
class IncidentInfo:
    """The incident that an engine judges; its id is `calm` when there is none."""

    id: str = CALM
    name: str = ""
    exercise: bool = False
    synthetic: bool = False

    @classmethod
    def of(cls, id_: str, known: Incident | None) -> IncidentInfo:
        """What is known of the incident; of one that `control` has not told us of yet, its id only."""
        return cls(id_, id_) if known is None else cls(id_, known.name, known.exercise, known.synthetic)


@dataclass(slots=True)
class RuleContext:
    """How things stand in an engine; its judges read it and never write.

    `watermark`: everything up to it was heard and judged. `start`: when the incident began, for types that learn.
    `heard`: since when this engine hears; set before any judge is asked that waits for the watermark.
    `muted`: a replay fills windows; nothing may fire, resolve or be counted as fired. `answers`: what people answered.
    """

    incident: IncidentInfo
    watermark: datetime | None = None
    start: datetime | None = None
    heard: datetime | None = None
    muted: bool = False
    gaps: dict[str, Gap] = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    early: Callable[..., Any] | None = None
    """What makes a rule's `conditions.early.Early`, if not that itself."""

    def unheard(self, start: datetime, end: datetime, sources: Collection[str] = ()) -> tuple[Gap, ...]:
        """The gaps that meet (start, end], of these sources or of any: what was not heard there is not silence."""
        return tuple(
            gap
            for gap in self.gaps.values()
            if gap.start < end and (gap.end is None or gap.end > start) and (not sources or gap.source in sources)
        )


class Judge(Protocol):
    """One rule at work in one incident. State lies in windows, kept for `KEEP` timeframes, and in alerts.

    Nothing else may decide: after a restart the windows are filled by a muted replay, and what was said is
    remembered from the published alerts.
    """

    at_once: bool
    """Judge on arrival, without waiting for the watermark."""

    def keys(self, finding: Finding) -> tuple[str, ...]:
        """The keys under which a finding counts; none when the filter refuses it."""

    def judge(self, entry: Entry, key: str) -> Iterable[Verdict]:
        """A finding whose turn has come; in order of (at, post key), unless the type judges at once."""

    def late(self, entry: Entry, key: str) -> Iterable[Verdict]:
        """A finding behind the watermark: it may add a verdict, never withdraw one."""

    def advance(self) -> Iterable[Verdict]:
        """The watermark has moved: let what is over be over."""

    def remember(self, alert: Alert) -> None:
        """What this rule said before a restart."""

    def unmute(self) -> None:
        """The replay is over: make up one's mind how things stand, from windows and remembered alerts."""


@runtime_checkable
class EagerJudge(Judge, Protocol):
    """A judge that can tell an alarm the moment it is certain (`conditions.early`)."""

    eager: bool
    """Whether its rule is one of those."""
    settles: bool
    """Whether it settles what was told early, though its rule may wait now."""

    def arrived(self, entry: Entry, key: str) -> Iterable[Verdict]:
        """A finding ahead of the watermark has come, in any order; its turn with `judge` comes later."""

    def count_on(self, alert: Alert) -> None:
        """What this rule said long before: its alarms are counted on from there, and no more is made of it."""
