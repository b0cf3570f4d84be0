"""`lyttepost rules`: what rules there are, whether they do what their own examples say, and what they say of data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from alerts.annotate.themes import load_themes, themes_file
from alerts.commands import rules_trying
from alerts.judge.examples import judge_examples
from alerts.notify.recipients import load_people
from alerts.rules.fields import THEMES
from alerts.rules.load import load_rules, meant
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import REASONS
from listener.commands.shared import Json, out, out_json, out_table, say
from listener.errors import ConfigError
from listener.model.normalize import same
from listener.settings.files import raw_settings

app = typer.Typer(help="What rules there are, and whether they do what their examples say.", no_args_is_help=True)
app.command("run")(rules_trying.run)
app.command("backtest")(rules_trying.try_on_bus)
app.command("export")(rules_trying.export)

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
def reasons(json: Json = False) -> None:
    """Why a rule fires, resolves or stays silent: every reason that an alert may carry."""
    if json:
        out_json([{"reason": reason.value, "means": means} for reason, means in REASONS.items()])
        return
    out_table([("REASON", "MEANS"), *((reason.value, means) for reason, means in REASONS.items())])


@app.command()
def check(rules: Rules = None) -> None:
    """Read the rules, see that what they refer to is there, and run each one's own examples: findings in, alerts out.

    Refers to: fields of findings in filters and keys, themes of themes.yaml, routes of people.yaml in `to`, an address
    in `tiltakskort`.
    """
    folder = raw_settings().folder
    specs = load_rules(rules or folder / "rules")
    problems = [*references(specs, folder)]
    problems += [problem for spec in specs for problem in judge_examples(spec)]
    if problems:
        raise ConfigError("\n".join(problems))
    examples = sum(len(spec.examples) for spec in specs)
    out(f"{_number(len(specs), 'rule')}, {_number(examples, 'example')}: all as they say")
    for spec in specs:
        if not spec.examples:
            say(f"{spec.name} has no examples: nothing shows that it does what it is meant to")


def references(specs: Sequence[RuleSpec], folder: Path) -> Iterator[str]:
    """What rules refer to and this folder of configuration does not have, in words. Raises ConfigError."""
    people = folder / "people.yaml"
    routes = load_people(people).routes
    themes = load_themes(themes_file(folder))
    for spec in specs:
        for option in ("filter", "exclude", "match_bucket_filter"):
            values = getattr(spec, option, {})
            unknown = {theme for name in THEMES & values.keys() for theme in values[name] if same(theme) not in themes}
            for theme in sorted(unknown):
                yield f"{spec.name}: {option}: {themes_file(folder)} has no theme {theme!r}{meant(theme, themes)}"
        if spec.to not in routes:
            known = ", ".join(routes)
            yield f"{spec.name}: to: {people} has no route {spec.to!r}{meant(spec.to, routes)}; known: {known}"
        if spec.tiltakskort is not None:
            parts = urlsplit(spec.tiltakskort)
            if parts.scheme not in ("https", "http") or not parts.netloc:
                yield f"{spec.name}: tiltakskort: must be an address such as https://tiltak.example/brann"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
