"""What a rule file may say. Frozen and strict: an unknown option is an error. Option names are ElastAlert's.

`RuleSpec` holds what every type understands; a type's module adds its own options in a subclass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from listener.model.base import Model
from listener.model.codec import LONGEST_NAME, LONGEST_WHY
from listener.model.incidents import Mode
from listener.model.records import AuthorClass, Event, Finding, Kind, Origin, Reach, Severity, Stance
from listener.units import LONGEST, parse_duration

if TYPE_CHECKING:
    from alerts.rules.judge import Judge, RuleContext

PLACEHOLDERS = ("count", "authors", "posts", "timeframe", "key", "theme")
"""What a headline may be filled with."""
NUMBERS = frozenset({"count", "authors", "posts"})
"""Those of them that may bring the word for one and for many: `{count:person|people}`."""
MAX_EXAMPLES = 50
"""Examples of one rule."""
MAX_LINES = 200
"""Lines of findings, and of alerts, of one example; a line may stand for more by `repeat`."""
LONGEST_HEADLINE = 300
"""Characters."""


class CountBy(StrEnum):
    """What is counted. Reposts are posts, but no authors: 2,400 reposts are one person's word."""

    POSTS = "posts"
    AUTHORS = "authors"
    STORIES = "stories"


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("is no duration; write it like 10s, 5m, 1h30m or 30d")
    return parse_duration(value)


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta():
        raise ValueError("must be longer than nothing")
    return value


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str | int | float) else value


def _texts(value: object) -> object:
    values = value if isinstance(value, list | tuple) else [value]
    if not values or not all(isinstance(each, str | int | float | bool) for each in values):
        raise ValueError("must be a value or a list of values")
    if not all(isinstance(each, str | bool) for each in values):
        # YAML has made a number of it: 0450, 1.50 and +47… are no longer what was written.
        raise ValueError("must be text; put it in quotes")
    return tuple(str(each).lower() if isinstance(each, bool) else each for each in values)


def _headline(text: str) -> str:
    try:
        parts = list(Formatter().parse(text))
    except ValueError:
        raise ValueError("a brace is not closed; a plain one is written {{ or }}") from None
    for _, name, words, conversion in parts:
        if name is not None and (name not in PLACEHOLDERS or conversion or (words and name not in NUMBERS)):
            raise ValueError(f"no such placeholder; known: {', '.join('{' + p + '}' for p in PLACEHOLDERS)}")
        if words and not re.fullmatch(r"[^{}|]+\|[^{}|]+", words):
            raise ValueError(f"{{{name}:{words}}}: write the word for one and for many, as {{count:person|people}}")
    return text


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Span = Annotated[Duration, AfterValidator(_positive)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Values = Annotated[tuple[str, ...], BeforeValidator(_texts)]
Headline = Annotated[str, Field(min_length=1, max_length=LONGEST_HEADLINE), AfterValidator(_headline)]
Positive = Annotated[int, Field(ge=1, strict=True)]
MAX_FINDINGS = 10_000
"""In an example, its repeats written out."""
MAX_FINDINGS_OF_FILE = 50_000
"""In all examples of a file: they are judged in a few seconds each time that the rules are read."""
MAX_POSTS = 10**12
"""A greater count is none of posts."""


class ExampleFinding(Model):
    """A finding of an example. `at` is time since the example began; `{n}` in a text counts the repeats from 1."""

    at: Duration = timedelta()
    repeat: Annotated[Positive, Field(le=MAX_FINDINGS)] = 1
    every: Duration = timedelta()
    id: str | None = None
    text: str = ""
    source: str = "x"
    lang: str | None = None
    author: str | None = None
    author_class: AuthorClass = AuthorClass.UNKNOWN
    reach: Reach = Reach.UNKNOWN
    kinds: tuple[Kind, ...] = ()
    themes: tuple[str, ...] = ()
    stance: Stance | None = None
    patient_exposed: float | None = None
    hashtags: tuple[str, ...] = ()
    tracks: tuple[str, ...] = ()
    story: str | None = None
    place: str | None = None
    repost_of: str | None = None
    origin: Origin = Origin.LIVE
    count: Annotated[Positive, Field(le=MAX_POSTS)] = 1
    fields: Mapping[str, Any] = Field(default_factory=dict)


class ExampleAlert(Model):
    """What an example must give. What is left out is not compared."""

    event: Event = Event.FIRED
    at: Duration | None = None
    key: str | None = None
    count: int | None = None
    reason: str | None = None


class Example(Model):
    """Findings in, alerts out: all of them, in order. `until` lets time pass after the last finding."""

    name: str = Field(min_length=1, max_length=LONGEST_NAME)
    findings: tuple[ExampleFinding, ...] = Field(min_length=1, max_length=MAX_LINES)
    until: Duration = timedelta()
    alerts: tuple[ExampleAlert, ...] = Field(max_length=MAX_LINES)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if sum(finding.repeat for finding in self.findings) > MAX_FINDINGS:
            raise ValueError(f"findings: more than {MAX_FINDINGS:,} in all, repeats written out")
        if any(finding.at + (finding.repeat - 1) * finding.every > LONGEST for finding in self.findings):
            raise ValueError(f"findings: the last repeat comes later than {LONGEST.days}d after the beginning")
        return self


class RuleSpec(Model):
    """One rule. All lengths of time are event time.

    `filter`: of each name a finding must have one of the values; `exclude`: of no name may it have any of them.
    `realert` is ElastAlert's, one minute by default: no second alarm of a key within it. `exponential_realert` doubles
    it with each alarm that comes soon after, up to this length. `aggregation`: what fires within this length after an
    alarm of the rule, under whatever key, joins that alarm.
    """

    name: str = Field(pattern=r"^\w[\w .:/-]*$", max_length=60)
    type: str
    why: str = Field(default="", max_length=LONGEST_WHY)
    severity: Severity = Severity.WARNING
    to: str = Field(default="duty", pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$")
    modes: tuple[Mode, ...] = Field(default=(Mode.CRISIS,), min_length=1)
    filter: Mapping[str, Values] = Field(default_factory=dict)
    exclude: Mapping[str, Values] = Field(default_factory=dict)
    query_key: Names = ()
    realert: Duration = timedelta(minutes=1)
    exponential_realert: Span | None = None
    aggregation: Span | None = None
    eager: bool | None = None
    tiltakskort: str | None = None
    texts: Mapping[Literal["nb", "en"], Headline] = Field(default_factory=dict)
    examples: tuple[Example, ...] = Field(default=(), max_length=MAX_EXAMPLES)

    @model_validator(mode="after")
    def _doubles(self) -> Self:
        if self.exponential_realert is not None and not timedelta() < self.realert <= self.exponential_realert:
            raise ValueError(
                "exponential_realert: must be at least as long as realert, and realert longer than nothing"
            )
        return self

    @model_validator(mode="after")
    def _may_be_eager(self) -> Self:
        if self.eager and not self.told_early:
            raise ValueError("eager: late posts may undo what this rule fires about, so it waits for them; remove it")
        return self

    @property
    def certain(self) -> bool:
        """Whether late posts can only push what it fires about further over its bound, never back."""
        return False

    @property
    def settles(self) -> bool:
        """Whether it settles what was told early, which another wording of it may have done. What an `aggregation`
        joins goes by the order of all keys."""
        return self.certain and self.aggregation is None

    @property
    def told_early(self) -> bool:
        """Whether it is told the moment it is reached, and settled when late posts have been waited for."""
        return self.settles and self.eager is not False

    @property
    def keyed_by(self) -> tuple[str, ...]:
        """The fields of findings that make up an alert's key."""
        return self.query_key

    @property
    def passes(self) -> bool:
        """Whether what it fires about may pass, if conditions of its type do."""
        return True

    @property
    def window(self) -> timedelta | None:
        """The stretch of time that is counted; None for a type that looks at single findings."""
        return None

    @property
    def span(self) -> timedelta | None:
        """How far back one judgement looks: longer than the window for a type that compares it with earlier ones."""
        return self.window

    @property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """Option → the field names that it puts into an alert's key."""
        return {"query_key": self.query_key}


class TimeframeSpec(RuleSpec):
    """A rule that counts within a timeframe."""

    timeframe: Span
    count_by: CountBy = CountBy.POSTS

    @model_validator(mode="before")
    @classmethod
    def _timeframe(cls, raw: Any) -> Any:
        # ElastAlert writes `timeframe: {minutes: 5}`: the commonest slip of those who know it.
        if isinstance(raw, dict) and isinstance(raw.get("timeframe"), dict):
            raise ValueError("timeframe: write it like 5m or 1h30m, not as a mapping of units")
        return raw

    @property
    def window(self) -> timedelta | None:
        return self.timeframe


class WindowSpec(TimeframeSpec):
    """A rule that asks for so many within a timeframe."""

    num_events: Positive


class RuleType(NamedTuple):
    """What a type's module offers: its options, and what judges by them.

    `value` makes of a spec what reads a finding's term, number or mark, if it needs any; the engine puts it into
    `Entry.value`.
    `resolves`: false for types that are events and no states.
    """

    spec: type[RuleSpec]
    judge: Callable[[Any, RuleContext], Judge]
    value: Callable[[Any], Callable[[Finding], Any] | None] | None = None
    resolves: bool = True
