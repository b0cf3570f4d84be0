"""A rule's own examples, run through the engine that judges live findings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from alerts.rules.engine.engine import Engine
from alerts.rules.judge import IncidentInfo
from alerts.rules.keys import shown
from alerts.rules.spec import Example, ExampleAlert, ExampleFinding, RuleSpec
from alerts.rules.verdict import Verdict
from listener.model.records import Cue, Finding, Tick
from listener.units import format_duration

START = datetime(2026, 1, 1, tzinfo=UTC)
"""An example begins here; nothing depends on it."""


def judge_examples(spec: RuleSpec) -> list[str]:
    """What a rule says otherwise than its examples want; empty when all is well."""
    return [problem for example in spec.examples for problem in _judge(spec, example)]


def example_findings(example: Example) -> list[Finding]:
    """An example's findings, repeats written out, in order of time."""
    findings = [finding for number, each in enumerate(example.findings, 1) for finding in _repeats(each, number)]
    return sorted(findings, key=lambda finding: finding.at)


def _repeats(example: ExampleFinding, number: int) -> Iterator[Finding]:
    for n in range(1, example.repeat + 1):
        at = START + example.at + (n - 1) * example.every
        post = _numbered(example.id, n) or f"{number:03}-{n:06}"
        yield Finding(
            source=example.source,
            id=post,
            at=at,
            captured_at=at,
            origin=example.origin,
            text=_numbered(example.text, n) or "",
            lang=example.lang,
            author=_numbered(example.author, n),
            author_class=example.author_class,
            reach=example.reach,
            repost_of=_numbered(example.repost_of, n),
            hashtags=tuple(_numbered(tag, n) or "" for tag in example.hashtags),
            place=_numbered(example.place, n),
            incident="example",
            tracks=example.tracks,
            cues=tuple(Cue(kind=kind) for kind in example.kinds),
            themes=example.themes,
            stance=example.stance,
            patient_exposed=example.patient_exposed,
            story=_numbered(example.story, n) or post,
            count=example.count,
            fields=example.fields,
        )


def _numbered(text: str | None, n: int) -> str | None:
    return None if text is None else text.replace("{n}", str(n))


def _judge(spec: RuleSpec, example: Example) -> list[str]:
    failed: list[str] = []
    engine = Engine(
        (spec,),
        IncidentInfo("example", "example"),
        mode=spec.modes[0],
        on_failure=lambda failure: failed.append(f"{spec.name}: example {example.name!r}: raised {failure.error}"),
    )
    findings = example_findings(example)
    verdicts: list[Verdict] = []
    for offset, finding in enumerate(findings):
        verdicts += engine.finding(finding, offset)
    end = max(findings[-1].at, START + example.until)
    verdicts += engine.tick(Tick(source="example", until=end, final=True), len(findings))
    return failed or _differences(spec, example, verdicts)


def _differences(spec: RuleSpec, example: Example, verdicts: list[Verdict]) -> list[str]:
    where = f"{spec.name}: example {example.name!r}"
    came = ", ".join(f"{v.event} at {format_duration(v.at - START)}" for v in verdicts) or "none"
    if len(verdicts) != len(example.alerts):
        return [f"{where}: wants {len(example.alerts)} alerts, gives {len(verdicts)}: {came}"]
    problems = []
    for number, (want, verdict) in enumerate(zip(example.alerts, verdicts, strict=True), 1):
        for name, wanted, got in _compared(want, verdict):
            if wanted is not None and wanted != got:
                problems.append(f"{where}: alert {number}: wants {name} {_plain(wanted)}, gives {_plain(got)}")
    return problems


def _compared(want: ExampleAlert, verdict: Verdict) -> Iterator[tuple[str, object, object]]:
    yield "event", want.event.value, verdict.event.value
    yield "at", want.at, verdict.at - START
    yield "key", want.key, shown(verdict.key, verdict.key_fields)
    yield "count", want.count, verdict.count
    yield "reason", want.reason, verdict.reason.value


def _plain(value: object) -> str:
    return format_duration(value) if isinstance(value, timedelta) else str(value)
