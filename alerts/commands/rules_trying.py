"""The commands that try rules on data: `rules run`, `rules backtest`, `rules export`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from alerts.judge.backtest import Backtest, backtest, exported
from alerts.judge.dry_run import Trial, as_json
from alerts.judge.jsonl import BadLine, read_line, write_answered, write_finding, write_gap, write_tick
from alerts.rules.engine.engine import RuleFailed
from alerts.rules.judge import CALM, IncidentInfo
from alerts.rules.keys import shown
from alerts.rules.load import load_rules
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import REASONS, Reason, Verdict
from listener.clock import SystemClock
from listener.commands.shared import Data, Json, duration, flush, local, open_live_topics, out, out_json, out_table, say
from listener.errors import LyttepostError, UsageError
from listener.model.answers import Answered
from listener.model.incidents import Mode
from listener.model.records import Finding, Gap, Tick
from listener.runtime.control import Control
from listener.settings.files import raw_settings
from listener.settings.schema import load_settings
from listener.settings.zone import find_zone
from listener.sources.common.reader import Broken, LineReader
from listener.units import format_instant

RulesFile = Annotated[
    Path, typer.Option("--rules", metavar="FILE", help="A rule, a list of rules, or a folder of such files.")
]
SHOWN = 5
"""So many bad lines are reported one by one."""
WAIT_SECONDS = 1.0


def run(
    rules: RulesFile,
    findings: Annotated[
        str, typer.Option("--findings", metavar="FILE", help="Findings, one JSON object a line; - is standard input.")
    ],
    incident: Annotated[str, typer.Option("--incident", metavar="ID", help="Judge as in this incident.")] = CALM,
    json: Json = False,
) -> None:
    """Run rules on findings of your own and print what happens, in order of time. Nothing is sent.

    A line is a finding {"id", "at", "author", "text", "source", "lang", "kinds", "count", "fields"}, of which id and
    at must be there, a {"tick": INSTANT}, up to which everything was heard, or a {"gap": [FROM, TO], "source": NAME}.

    Lines may be out of order. Without ticks all is judged at the end, as if it had come in order; behind a tick, a line
    is a post that was found late. A line that cannot be used is left out, and the exit code is 1; so it is
    when a rule fails. Rules that cannot be read are 4.

    Without --incident all rules are judged and their alerts' ids are those of calm; with it those of crisis, as live,
    and what `rules export` gave of that incident gives the alerts that it gave.
    """
    specs = load_rules(rules, fields=None)
    if incident != CALM:
        _point_out(specs)
    lateness, clock = load_settings(raw_settings()).rules.allowed_lateness, SystemClock()
    failures: Counter[str] = Counter()
    info = IncidentInfo(incident, incident)
    trial = Trial(specs, info, allowed_lateness=lateness, on_failure=_counting(failures), clock=clock)
    show = _printer(specs, json)
    lines = Lines(findings, incident)
    for record in lines:
        if record is None:
            flush()
        else:
            _each(show, trial.take(record))
    _each(show, trial.end())
    flush()
    if not lines.read:
        say("Nothing was read: there are no findings.")
    if trial.duplicates:
        say(f"{trial.duplicates} findings had the source and id of an earlier one and were left out")
    left_out = f"{lines.bad} of {lines.read} lines could not be used and were left out"
    _raise([left_out] if lines.bad else [], failures)


class Lines:
    """The records of a file or of standard input; None while there is nothing to read. Tells of the first bad lines."""

    def __init__(self, path: str, incident: str) -> None:
        self.read = 0
        self.bad = 0
        self._path = path
        self._incident = incident

    def __iter__(self) -> Iterator[Finding | Tick | Gap | Answered | None]:
        """Raises ConfigError when there is no such file."""
        with closing(LineReader(self._path)) as reader:
            reader.open()
            for line in reader.lines():
                if line is None:
                    yield None
                    reader.ready(WAIT_SECONDS)
                    continue
                self.read, content = line
                try:
                    if isinstance(content, Broken):
                        raise BadLine(f"cannot be read: {content.reason}")
                    record = read_line(content, self._incident) if content.strip() else None
                except BadLine as error:
                    self._report(str(error))
                    continue
                if record is not None:
                    yield record

    def _report(self, problem: str) -> None:
        self.bad += 1
        if self.bad <= SHOWN:
            say(f"{'standard input' if self._path == '-' else self._path}:{self.read}: {problem}")


def _each(show: Callable[[Verdict], None], verdicts: Iterable[Verdict]) -> None:
    for verdict in verdicts:
        show(verdict)


def _printer(specs: Sequence[RuleSpec], json: bool) -> Callable[[Verdict], None]:
    """Prints one thing that happened: for programs, or in columns that are known beforehand."""
    if json:
        return lambda verdict: out_json(as_json(verdict))
    widths = (27, 10, max((len(spec.name) for spec in specs), default=0), 6, 8, max(map(len, Reason)), 16)

    def row(*cells: object) -> None:
        padded = [str(cell).ljust(width) for cell, width in zip(cells[:-1], widths, strict=True)]
        out("  ".join((*padded, str(cells[-1]))).rstrip())

    row("AT", "EVENT", "RULE", "COUNT", "BASELINE", "REASON", "ALERT", "KEY")

    def show(v: Verdict) -> None:
        baseline = "" if v.baseline is None else f"{v.baseline:.4g}"
        row(format_instant(v.at), v.event, v.rule, v.count, baseline, v.reason, v.alert_id, shown(v.key, v.key_fields))

    return show


def try_on_bus(
    rules: RulesFile,
    since: Annotated[str, typer.Option("--since", metavar="DURATION", help="How far back, such as 30d.")] = "30d",
    json: Json = False,
    data: Data = None,
) -> None:
    """Say what rules would have fired on the findings that were taken in since then, and how often a night.

    Read only: nothing is sent, nothing is written. A night is 22 to 7 o'clock in the zone of the settings; nights in
    which no incident was listened to do not count. What retention or a purge has removed is not judged. Exit code 1: a
    rule failed.
    """
    specs = load_rules(rules, fields=None)
    _point_out(specs)
    settings, clock = load_settings(raw_settings()), SystemClock()
    start = clock.now() - duration(since, "--since")
    failures: Counter[str] = Counter()
    with closing(open_live_topics(data)) as bus:
        tried = backtest(
            bus,
            specs,
            start,
            allowed_lateness=settings.rules.allowed_lateness,
            on_failure=_counting(failures),
            clock=clock,
            zone=find_zone(settings.timezone),
        )
    if json:
        out_json(
            {
                "since": start,
                "oldest": tried.oldest,
                "findings": tried.findings,
                "incidents": tried.incidents,
                "nights": len(tried.nights),
                "rules": [_tally(tried, name) for name in tried.rules],
            }
        )
    else:
        _show(tried)
    _raise([], failures)


def _tally(tried: Backtest, name: str) -> dict[str, Any]:
    tally = tried.rules[name]
    most, mean = tried.per_night(name)
    return {
        "rule": name,
        "fired": tally.fired,
        "resolved": tally.resolved,
        "suppressed": dict(tally.held.most_common()),
        "per_night": {"max": most, "mean": round(mean, 2)},
    }


def _show(tried: Backtest) -> None:
    if not tried.findings:
        say("No finding of that time is on the bus: there is nothing to judge.")
        return
    rows = [("RULE", "FIRED", "RESOLVED", "HELD", "A NIGHT", "AT MOST")]
    for name, tally in tried.rules.items():
        most, mean = tried.per_night(name)
        held = str(tally.held.total())
        rows.append((name, str(tally.fired), str(tally.resolved), held, f"{mean:.1f}", str(most)))
    out_table(rows)
    reasons = sorted({reason for tally in tried.rules.values() for reason in tally.held})
    for reason in reasons:
        by = ", ".join(f"{t.held[reason]} {name}" for name, t in tried.rules.items() if t.held[reason])
        say(f"{reason}: {by} ({REASONS[Reason(reason)]})")
    oldest = "" if tried.oldest is None else f" since {local(tried.oldest)}"
    say(f"{tried.findings} findings of {len(tried.incidents)} incidents{oldest}, {len(tried.nights)} nights")


def export(
    incident: Annotated[
        str, typer.Option("--incident", metavar="ID", help="Whose findings; may be left out where there is but one.")
    ] = "",
    data: Data = None,
) -> None:
    """Print an incident's findings, ticks and gaps as `rules run` reads them. THEY HOLD POSTS: delete them soon."""
    with closing(open_live_topics(data)) as bus:
        known = Control(bus).refresh().incidents
        if not incident and len(known) == 1:
            incident = next(iter(known))
        if incident not in known:
            what = f"no incident has the id {incident!r}" if incident else "say which incident"
            raise UsageError(f"--incident: {what}; known: {', '.join(known) or 'none'}")
        for record in exported(bus, incident):
            out(_line(record).decode())
    say(f"for `lyttepost rules run --incident {incident}`; it holds posts: delete it after use")


def _line(record: Finding | Tick | Gap | Answered) -> bytes:
    if isinstance(record, Finding):
        return write_finding(record)
    if isinstance(record, Answered):
        return write_answered(record)
    return write_gap(record) if isinstance(record, Gap) else write_tick(record.until)


def _counting(failures: Counter[str]) -> Callable[[RuleFailed], None]:
    def count(failed: RuleFailed) -> None:
        failures[f"{failed.rule}: {failed.error}"] += 1

    return count


def _raise(problems: list[str], failures: Counter[str]) -> None:
    problems += [f"rule {what}, {times} times; the other rules ran on" for what, times in failures.items()]
    if problems:
        raise LyttepostError("\n".join(problems))


def _point_out(specs: Sequence[RuleSpec]) -> None:
    for spec in specs:
        if Mode.CRISIS not in spec.modes:
            say(f"{spec.name} is a rule for calm and says nothing in an incident")
