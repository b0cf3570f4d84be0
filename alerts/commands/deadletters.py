"""`lyttepost deadletters`: what could not be used, why and where it stands; and trying it once more."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from listener.clock import SystemClock
from listener.commands.shared import By, Data, Json, Why, duration, local, out, out_json, out_table, reason, say, user
from listener.commands.shared import open_live_topics as open_topics
from listener.errors import LyttepostError, UsageError
from listener.maintenance.redrive import RedriveResult, chosen, place_of, redrive, standing

if TYPE_CHECKING:
    from listener.bus.protocol import Bus
    from listener.model.records import DeadLetter

DIGITS = 12

app = typer.Typer(help="Records that could not be used, why, and where they are stored; never their content.")

Reason = Annotated[str | None, typer.Option("--reason", metavar="R", help="Only those with this reason.")]


@app.callback(invoke_without_command=True)
def deadletters(
    context: typer.Context,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="How far back: 24h, 7d.")] = "24h",
    why: Reason = None,
    json: Json = False,
    data: Data = None,
) -> None:
    """Dead letters that were not re-driven yet, oldest first, and how many there are of each reason."""
    if context.invoked_subcommand is not None:
        return
    start = SystemClock().now() - duration(since, "--since")
    with closing(open_topics(data)) as bus:
        found = [letter for letter in chosen(standing(bus), (), why) if letter.at >= start]
    if json:
        out_json([letter.model_dump(exclude={"v", "type"}) for letter in found])
        return
    if not found:
        say(f"No dead letters of the last {since}.")
        return
    rows = [("WHEN", "STAGE", "REASON", "BYTES", "DIGEST", "WHERE")]
    rows += [(local(f.at), f.stage, f.reason, str(f.length), f.digest[:DIGITS], f.where) for f in found]
    out_table(rows)
    out("")
    counted = Counter((f.reason, f.stage) for f in found)
    out_table([("REASON", "STAGE", "COUNT"), *((why, stage, str(n)) for (why, stage), n in counted.most_common())])


@app.command("redrive")
def redrive_(
    context: typer.Context,
    why: Why,
    where: Annotated[
        list[str] | None, typer.Argument(metavar="[WHERE]…", help="Places as listed: mentions/0:17, file:line.")
    ] = None,
    its: Reason = None,
    by: By = None,
    data: Data = None,
) -> None:
    """Read the records again where they are stored and put them through their stage once more.

    For use when the cause is fixed: a newer program, a corrected rule. Records that are gone are reported. The
    command is recorded with name and reason, since it changes what the rules get to see.
    """
    if not where and its is None:
        raise UsageError("name the places, or --reason; `lyttepost deadletters` lists both")
    data = data or (context.parent.params.get("data") if context.parent else None)
    said, who = reason(why), user(by)
    with closing(open_topics(data)) as bus:
        there = list(standing(bus))
        letters = chosen(there, where or (), its)
        if its is not None and not any(letter.reason == its for letter in there):
            known = ", ".join(sorted({str(letter.reason) for letter in there})) or "none, for there is no dead letter"
            raise UsageError(f"--reason: no dead letter has the reason {its!r}; known: {known}")
        unknown = sorted(set(where or ()) - {letter.where for letter in letters})
        if letters:
            _record(bus, who, said, letters, its)
        outcomes = [_redrive(bus, letter, data) for letter in letters]
    for outcome in outcomes:
        say(f"{outcome.letter.where}: {outcome.why}")
    for place in unknown:
        say(f"{place}: no dead letter is about it, or it was re-driven before")
    done, asked = sum(outcome.done for outcome in outcomes), len(outcomes) + len(unknown)
    say(f"{done} of {asked} re-driven.")
    if done < asked:
        raise LyttepostError("not all could be re-driven; see above")


def _redrive(bus: Bus, letter: DeadLetter, data: str | None) -> RedriveResult:
    from listener.maintenance.redrive_line import STAGE

    if place_of(letter.where) is None and letter.stage == STAGE:
        return _relisten(bus, letter, data)
    return redrive(bus, letter, SystemClock())


def _relisten(bus: Bus, letter: DeadLetter, data: str | None) -> RedriveResult:
    """A line of a recording: with the screen that the running service has."""
    from alerts.wiring import live_key, make_app, make_listener
    from listener.maintenance.redrive_line import relisten
    from listener.settings.files import data_dir, raw_settings
    from listener.settings.schema import load_settings

    raw, clock, folder = raw_settings(), SystemClock(), data_dir(data)
    settings = load_settings(raw)
    process = make_app(settings, folder, bus, clock, "redrive")
    parts = make_listener(process, raw, [], live_key(settings, folder, process))
    return relisten(
        bus, letter, parts.screen, parts.standing, holder=process.process, clock=clock, metrics=process.metrics
    )


def _record(bus: Bus, who: str, why: str, letters: list[DeadLetter], its: str | None) -> None:
    from listener.bus.hashchain import append
    from listener.model.records import Decision, DecisionKind

    what = letters[0].where if len(letters) == 1 else f"{len(letters)} dead letters" + (f": {its}" if its else "")
    append(bus, "decisions", Decision(kind=DecisionKind.REDRIVE, id=what, at=SystemClock().now(), by=who, why=why))
