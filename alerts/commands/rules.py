"""`lyttepost rules`: what rules there are, and whether they do what their own examples say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from alerts.rules.examples import judge_examples
from alerts.rules.load import load_rules
from listener.commands import Json, out, out_json, out_table, say
from listener.config import raw_settings
from listener.errors import ConfigError

app = typer.Typer(help="What rules there are, and whether they keep their promises.", no_args_is_help=True)

Rules = Annotated[
    Path | None, typer.Option("--rules", metavar="FILE", help="A file or folder instead of those in force.")
]


@app.command("list")
def list_(rules: Rules = None, json: Json = False) -> None:
    """Every rule: type, severity, route and why it is there."""
    specs = load_rules(rules or raw_settings().folder / "rules")
    if json:
        out_json([{"name": s.name, "type": s.type, "severity": s.severity, "to": s.to, "why": s.why} for s in specs])
        return
    rows = [("NAME", "TYPE", "SEVERITY", "TO", "WHY")]
    out_table(rows + [(s.name, s.type, s.severity, s.to, s.why) for s in specs])


@app.command()
def check(rules: Rules = None) -> None:
    """Read the rules and run each one's own examples: findings in, alerts out."""
    specs = load_rules(rules or raw_settings().folder / "rules")
    problems = [f"{spec.name}: {problem}" for spec in specs for problem in judge_examples(spec)]
    if problems:
        raise ConfigError("\n".join(problems))
    examples = sum(len(spec.examples) for spec in specs)
    out(f"{_number(len(specs), 'rule')}, {_number(examples, 'example')}: all as they say")
    for spec in specs:
        if not spec.examples:
            say(f"{spec.name} has no examples: nothing shows that it does what it is meant to")


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
