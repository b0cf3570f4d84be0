"""Findings, ticks, gaps and answers as lines of JSON: what `rules run` reads and `rules export` writes.

    {"id": "7", "at": "2031-01-31T19:00:00Z", "text": "…", "kinds": ["wish"], "count": 1, "fields": {…}}
    {"tick": "2031-01-31T19:05:00Z"}                                       every source is heard until then
    {"gap": ["2031-01-31T19:05:00Z", "2031-01-31T19:07:00Z"], "source": "x"}   `null` as its end: it lasts
    {"answered": "2031-01-31T19:06:00Z", "story": "s1", "decision": 1, "people": 9, "posts": 12}
                                               people answered it then, when so many had said it; `"standing": "new"`:
                                               they took that back. `decision` tells one from another, in their order

Of a finding `id` and `at` must be there; what is null is as if it were left out. A key that nobody knows is refused:
a misspelt one that is passed over would let a rule look well that never judged a thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import from_json, to_json

from alerts.annotate.story import story
from alerts.rules.spec import MAX_POSTS
from listener.model.answers import Answered, AnswerGiven, Standing, Verdict
from listener.model.base import Model
from listener.model.records import AuthorClass, Cue, Finding, Gap, Kind, Origin, Reach, Stance, Tick
from listener.settings.files import advice
from listener.units import FIRST, LAST, format_instant, parse_instant

SOURCE = "input"
"""The source of a line that names none."""
ALL_SOURCES = "*"
"""The source of a tick: all that is in the input."""


class BadLine(ValueError):
    """A line that is none of ours. The message names keys and never a value."""


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be an instant like 2031-01-31T19:00:00Z")
    try:
        at = parse_instant(value)
    except ValueError as error:
        without = "time zone" in str(error)
        how = "has no time zone; end it with Z or an offset such as +01:00"
        raise ValueError(how if without else "must be an instant like 2031-01-31T19:00:00Z") from None
    if not FIRST <= at < LAST:
        raise ValueError(f"must lie between {FIRST.year} and {LAST.year}")
    return at


At = Annotated[datetime, BeforeValidator(_instant)]


class _Line(Model):
    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


class FindingLine(_Line):
    """A finding. Without a `story` it is what the text says, as live; without a text the post itself."""

    id: str
    at: At
    captured_at: At | None = None
    origin: Origin = Origin.LIVE
    source: str = SOURCE
    text: str = ""
    lang: str | None = None
    author: str | None = None
    author_class: AuthorClass = AuthorClass.UNKNOWN
    reach: Reach = Reach.UNKNOWN
    kinds: tuple[Kind, ...] = ()
    themes: tuple[str, ...] = ()
    stance: Stance | None = None
    language: str | None = None
    patient_exposed: float | None = None
    hashtags: tuple[str, ...] = ()
    tracks: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    story: str | None = None
    place: str | None = None
    url: str | None = None
    repost_of: str | None = None
    reply_to: str | None = None
    quote_of: str | None = None
    edits: tuple[str, ...] = ()
    exercise: bool = False
    count: Annotated[int, Field(ge=1, le=MAX_POSTS)] = 1
    fields: Mapping[str, Any] = Field(default_factory=dict)

    def finding(self, incident: str) -> Finding:
        said = {name: value for name, value in self if name not in ("kinds", "story", "captured_at")}
        named = story(self.text, self.repost_of) if self.text or self.repost_of else self.id
        return Finding(
            **said,
            captured_at=self.captured_at or self.at,
            incident=incident,
            cues=tuple(Cue(kind=kind) for kind in self.kinds),
            story=self.story or named,
        )


class TickLine(_Line):
    tick: At


class GapLine(_Line):
    gap: tuple[At, At | None]
    source: str = SOURCE
    part: str | None = None

    @model_validator(mode="after")
    def _forwards(self) -> GapLine:
        start, end = self.gap
        if end is not None and end < start:
            raise ValueError("gap: ends before it begins")
        return self

    def record(self) -> Gap:
        """The same gap when it is reported again, with its end."""
        start, end = self.gap
        whose = self.source if self.part is None else f"{self.source}:{self.part}"
        id_ = f"{whose}:{format_instant(start)}"
        return Gap(id=id_, source=self.source, part=self.part, start=start, end=end, cause="told")


class AnsweredLine(_Line):
    answered: At
    decision: Annotated[int, Field(ge=0)]
    story: str = ""
    theme: str = ""
    by: str = ""
    standing: Standing = Standing.ANSWERED
    verdict: Verdict | None = None
    people: Annotated[int, Field(ge=0)] = 0
    posts: Annotated[int, Field(ge=0)] = 0

    def record(self, incident: str) -> Answered:
        given = AnswerGiven(
            at=self.answered, by=self.by, standing=self.standing, verdict=self.verdict,
            people=self.people, posts=self.posts,
        )  # fmt: skip
        return Answered(
            incident=incident, story=self.story, theme=self.theme, at=self.answered, decision=self.decision,
            given=given if self.standing.is_settled else None,
        )  # fmt: skip


def read_line(content: bytes, incident: str) -> Finding | Tick | Gap | Answered:
    """One line → the record as it lies on the bus. Raises BadLine."""
    try:
        raw = from_json(content)
    except ValueError:
        raise BadLine("is no JSON; write one object a line") from None
    if not isinstance(raw, dict):
        raise BadLine("must be an object with id and at, or a tick, gap or answered")
    said = {name: value for name, value in raw.items() if value is not None}
    try:
        if "tick" in said:
            return Tick(source=ALL_SOURCES, until=TickLine.model_validate(said).tick)
        if "gap" in said:
            return GapLine.model_validate(said).record()
        if "answered" in said:
            return AnsweredLine.model_validate(said).record(incident)
        return FindingLine.model_validate(said).finding(incident)
    except ValidationError as error:
        raise BadLine("; ".join(_told(problem) for problem in error.errors(include_input=False)[:3])) from None


def _told(problem: Any) -> str:
    where = ".".join(map(str, problem["loc"]))
    what = "no such key; remove it or put it into `fields`" if problem["type"] == "extra_forbidden" else advice(problem)
    return f"{where}: {what}" if where else what


_WRITTEN = [name for name in FindingLine.model_fields if name not in ("id", "at", "kinds", "captured_at")]
_DEFAULT = FindingLine(id="", at="1970-01-01T00:00:00Z")


def write_finding(finding: Finding) -> bytes:
    """The line that gives this finding again, but for the words that led to its kinds. What is unset is left out."""
    said: dict[str, Any] = {"id": finding.id, "at": format_instant(finding.at)}
    if finding.captured_at != finding.at:
        said["captured_at"] = format_instant(finding.captured_at)
    for name in _WRITTEN:
        value = getattr(finding, name)
        if value != getattr(_DEFAULT, name):
            said[name] = value
    if finding.kinds:
        said["kinds"] = finding.kinds
    return to_json(said)


def write_answered(answered: Answered) -> bytes:
    """Without its words, which no rule reads."""
    said: dict[str, Any] = {"answered": format_instant(answered.at), "decision": answered.decision}
    said |= {name: value for name in ("story", "theme") if (value := getattr(answered, name))}
    given = answered.given
    if given is None:
        return to_json(said | {"standing": Standing.NEW.value})
    said |= {"by": given.by, "standing": given.standing.value, "people": given.people, "posts": given.posts}
    return to_json(said if given.verdict is None else said | {"verdict": given.verdict.value})


def write_tick(until: datetime) -> bytes:
    return to_json({"tick": format_instant(until)})


def write_gap(gap: Gap) -> bytes:
    end = None if gap.end is None else format_instant(gap.end)
    its = {"source": gap.source} if gap.part is None else {"source": gap.source, "part": gap.part}
    return to_json({"gap": [format_instant(gap.start), end], **its})
