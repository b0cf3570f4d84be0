"""Findings, ticks and engines for the tests of the rules. Times are seconds after START."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from alerts.rules.engine.engine import Engine
from alerts.rules.judge import IncidentInfo
from alerts.rules.load import load_rules
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Verdict
from listener.model.answers import Answered, AnswerGiven, Standing
from listener.model.answers import Verdict as Judged
from listener.model.base import Recorded
from listener.model.records import Cue, Finding, Gap, Kind, Origin, Tick

START = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
INCIDENT = IncidentInfo("brann-1", "Brann")


def instant(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def finding(at: float, id: str | None = None, *, kinds: Sequence[str] = (), source: str = "x", **more: Any) -> Finding:
    id = id or f"p{at:09.3f}"
    raw: dict[str, Any] = {
        "source": source,
        "id": id,
        "at": instant(at),
        "captured_at": instant(at + 1),
        "text": f"text of {id}",
        "incident": INCIDENT.id,
        "story": id,
        "cues": tuple(Cue(kind=Kind(kind)) for kind in kinds),
        **more,
    }
    return Finding(**raw)


def tick(at: float, source: str = "x", *, final: bool = False, partition: int | None = None) -> Tick:
    return Tick(source=source, until=instant(at), final=final, partition=partition)


def gap(start: float, end: float | None, source: str = "x", id: str = "g1") -> Gap:
    return Gap(id=id, source=source, start=instant(start), end=None if end is None else instant(end), cause="lost")


def answered(
    at: float, story: str = "", theme: str = "", *, number: int | None = None, people: int = 4, posts: int = 4,
    standing: Standing | None = Standing.ANSWERED,
) -> Answered:  # fmt: skip
    """A person's word; without `standing` it takes back what was said before."""
    given = None
    if standing is not None:
        given = AnswerGiven(
            at=instant(at), by="Kari", standing=standing, verdict=Judged.FALSE, people=people, posts=posts
        )
    decision = round(at * 1000) if number is None else number
    its = {"incident": INCIDENT.id, "story": story, "theme": theme}
    return Answered(**its, at=instant(at), decision=decision, given=given)


def lookback(at: float, id: str | None = None, **more: Any) -> Finding:
    return finding(at, id, origin=Origin.LOOKBACK, **more)


def rules(folder: Path, text: str) -> tuple[RuleSpec, ...]:
    path = folder / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return load_rules(path, fields=None)


def rule(type: str, **options: Any) -> RuleSpec:
    """One rule from Python values, as YAML would give them."""
    from alerts.rules.table import TYPES
    from listener.plugins import load

    raw: Mapping[str, Any] = {"name": type.replace("_", "-"), "type": type, "why": "because a test wants it", **options}
    spec: RuleSpec = load(TYPES[type]).spec.model_validate(raw)
    return spec


def judge(spec: RuleSpec | Iterable[RuleSpec], records: Iterable[Recorded], **engine: Any) -> list[Verdict]:
    """All that the rules say of the records when late posts have been waited for, for which no time is unless it is
    asked for. What is told before that is said again then."""
    specs = (spec,) if isinstance(spec, RuleSpec) else tuple(spec)
    made = Engine(specs, INCIDENT, **{"allowed_lateness": timedelta(), **engine})
    return [
        verdict
        for offset, record in enumerate(records)
        for verdict in feed(made, record, offset)
        if not verdict.passing
    ]


def settled(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """All but what was told early: each of those is said again when late posts have been waited for."""
    return [verdict for verdict in verdicts if verdict.settled is not False]


def said(verdicts: Iterable[Verdict]) -> list[tuple[str, float]]:
    """What was said and when, in seconds after START."""
    return [(verdict.event.value, (verdict.at - START).total_seconds()) for verdict in verdicts]


def feed(engine: Engine, record: Recorded, offset: int) -> list[Verdict]:
    assert isinstance(record, Finding | Tick | Gap | Answered)
    return engine.feed(record, offset)
