"""`lyttepost alerts run`: escalation tried on a simulated clock."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from listener.commands.shared import Json, local, one_line, out, out_json
from listener.errors import UsageError
from listener.units import parse_instant


def run(
    policy: Annotated[Path, typer.Option("--policy", metavar="FILE", help="People and policies, YAML or JSON.")],
    events: Annotated[str, typer.Option("--events", metavar="FILE", help="JSON lines, one event each; - is stdin.")],
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="When to stop, such as 2031-03-02T04:00:00Z.")],
    json: Json = False,
) -> None:
    """Who would be paged, when and how, if these things happened. Nothing is sent; no service need run."""
    from alerts.notify.messages import load_messages
    from alerts.notify.recipients import load_people
    from alerts.notify.simulation import read_events, simulate
    from listener.settings.files import packaged_config

    try:
        end = parse_instant(until)
    except ValueError as error:
        raise UsageError(f"--until: {error}") from None
    people = load_people(policy, scripted=True)
    with _open(events) as (file, name):
        happens = read_events(file, name)
    for line in simulate(people, happens, end, load_messages(packaged_config(), "nb")):
        if json:
            out_json(line)
        else:
            out(_words(line))


@contextmanager
def _open(path: str) -> Iterator[tuple[TextIO, str]]:
    if path == "-":
        yield sys.stdin, "standard input"
        return
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            yield file, path
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}") from None


def _words(line: dict[str, Any]) -> str:
    at = local(parse_instant(line["at"]))
    alerts = ", ".join(f"{id_} ({condition})" for id_, condition in line.get("alerts", {}).items())
    match line["do"]:
        case "page":
            marks = f" [{', '.join(line['marks'])}]" if line["marks"] else ""
            how = f"{line['outcome']}, {line['why']}, step {line['step']}{marks}"
            text = f"page {line['to']} by {line['by']}: {how}: {alerts}"
        case "notice":
            text = f"notice to {line['to']}: {line['what']}: {alerts}"
        case "deferred":
            text = f"kept for {line['to']} until {local(parse_instant(line['until']))}: {line['why']}: {alerts}"
        case "trouble":
            text = f"trouble: {line['what']}: {line['part']}"
        case _:
            text = f"{line['alert']} waits for an answer again; {line['was'] or 'nobody'} had it"
    return f"{at}  {one_line(text)}"
