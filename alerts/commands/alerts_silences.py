"""`lyttepost alerts silence|silences|unsilence`: what pages nobody for a while, by whose word, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from alerts.commands.alerts_words import WHY, named_in, opened, people_known
from alerts.notify import silencing
from alerts.notify.held import ALWAYS
from alerts.notify.silencing import Silenced
from listener.clock import SystemClock
from listener.commands.shared import (
    By,
    Data,
    Json,
    Why,
    as_options,
    local,
    one_line,
    out,
    out_json,
    out_table,
    say,
    say_masked,
    settings_zone,
    user,
)


def silence(
    context: typer.Context,
    why: Why,
    match: Annotated[
        list[str] | None,
        typer.Option(
            "--match",
            metavar="FIELD=VALUE",
            help=f"Such as rule=volume; fields: {', '.join(ALWAYS)}, or a rule's own. Several must all fit.",
        ),
    ] = None,
    length: Annotated[str, typer.Option("--for", metavar="DURATION", help="Such as 1h; at most 7 days.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Or when it ends, as 2026-12-24T08:00.")] = "",
    by: By = None,
    data: Data = None,
) -> None:
    """Let some alerts page nobody for a while. They stay listed; at the end what is still open is paged at once.

    Prints the silence's id. What is critical is held back only where --match names its rule or id, or says
    severity=critical. Exit codes: 2 an option is wrong, 3 the end is past: nothing is written.
    """  # fmt: skip
    now = SystemClock().now()
    with as_options():
        fields = silencing.matcher_of(match or [], "--match")
        end = silencing.end_of(length, until, now, settings_zone, {"length": "--for", "until": "--until"})
        with opened(context, data) as (bus, book):
            done = silencing.silence(
                bus, book, fields, why, end=end, by=user(by), now=now, named=named_in(why), fields=WHY
            )
    its = done.state.silence
    if done.masked:
        say_masked("--why", its.why)
    out(its.id)
    say(f"{_shown(its.match)} pages nobody until {local(end)}. `lyttepost alerts unsilence {its.id} --why …` ends it.")
    _warn(done)
    _warn_of_notice(its.by)


def silences(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over too.")] = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """List the silences that hold anything back now, or will."""
    now = SystemClock().now()
    with opened(context, data) as (_, book):
        found = [state for state in book.silences.all() if everything or state.end > now]
    if json or (context.parent and context.parent.params.get("json")):
        out_json([silencing.as_json(book, state, now) for state in found])
    elif not found:
        say("No alert is silenced." if not everything else "There are no silences.")
    else:
        rows = [("ID", "FROM", "UNTIL", "BY", "HOLDS", "MATCH", "WHY")]
        for state in found:
            its, holds = state.silence, len(silencing.held_by(book, state)) if state.at(now) else 0
            ended = f" (ended by {one_line(state.ended.by)})" if state.ended else ""
            rows.append(
                (state.id, local(state.start), local(state.end) + ended, one_line(its.by), str(holds),
                 _shown(its.match), one_line(its.why))
            )  # fmt: skip
        out_table(rows)


def unsilence(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="A silence; the beginning of its id is enough.")],
    why: Why,
    by: By = None,
    data: Data = None,
) -> None:
    """End a silence now: what it held back and is still open is paged at once."""
    now = SystemClock().now()
    with opened(context, data) as (bus, book), as_options():
        done = silencing.unsilence(bus, book, id, why, by=user(by), now=now, named=named_in(why), fields=WHY)
    state = done.state
    if done.written is None:
        who = f" by {one_line(state.ended.by)}" if state.ended else ""
        say(f"{state.id} was ended already{who}, {local(state.end)}")
        return
    if done.written.masked:
        say_masked("--why", done.written.word.why)
    say(f"{state.id} is ended; {len(done.held)} open alerts were held back by it.")


def _warn(done: Silenced) -> None:
    """What it does not do, where somebody might think that it does."""
    if done.critical_is_paged:
        say(
            "What is critical is paged all the same, for it does not name the rule or alert, nor severity=critical"
            + (f": {', '.join(done.loud)}." if done.loud else ".")
        )
    if done.unknown:
        say(f"No alert so far has a field {', '.join(map(repr, done.unknown))}: is it spelled right?")
    held = done.held
    say(f"It holds back {len(held)} open alerts now" + (f": {', '.join(held)}." if held else ", and what is to come."))


def _warn_of_notice(owner: str) -> None:
    """Where nobody would hear that it ends soon."""
    people = people_known()
    if people is None:
        return
    key = people.key_of(owner)
    if key is None:
        why = f"{one_line(owner)} is nobody in people.yaml; --by takes a key or a name of it"
    elif all(way.wakes for way in people.people[key].ways):
        why = f"{one_line(owner)} has only ways that wake"
    else:
        return
    say(f"Nobody is told before it ends: {why}.")


def _shown(match: Mapping[str, str]) -> str:
    return one_line(", ".join(f"{name}={value}" for name, value in match.items()))


COMMANDS = (silence, silences, unsilence)
