"""`lyttepost alerts`: what is open, what one alert says, and "I have it"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerts.commands import alerts_run
from alerts.notify import card
from alerts.notify.duplicates import first_of
from alerts.notify.state import AlertBook, AlertState, Handling, acknowledge, read_book
from listener.bus import hashchain
from listener.bus.scan import scan_records
from listener.clock import SystemClock
from listener.commands.shared import (
    By,
    Data,
    Json,
    local,
    open_live_topics,
    out,
    out_json,
    out_table,
    say,
    say_who_runs,
    user,
)
from listener.errors import ConfigError
from listener.settings.files import data_dir

if TYPE_CHECKING:
    from listener.bus.protocol import Bus

app = typer.Typer(help="What is open, what one alert says, and 'I have it'.")

app.command("run")(alerts_run.run)

CHAINED = ("decisions", "deliveries")


@app.callback(invoke_without_command=True)
def alerts(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Acknowledged and closed ones too.")] = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """List the alerts that nobody has acknowledged."""
    if context.invoked_subcommand is not None:
        return
    with _open(data) as (bus, book):
        say_who_runs(bus)
        # A canary is nobody's to answer.
        states = [s for s in (book.all() if everything else book.open()) if not s.alert.synthetic]
    if json:
        out_json([_json(book, state) for state in states])
        return
    if not states:
        say("No alert is open." if not everything else "There are no alerts.")
        return
    rows = [("ID", "FIRED", "SEVERITY", "RULE", "COUNT", "CONDITION", "HANDLING", "INCIDENT")]
    out_table(rows + [_row(state, _sent_with(book, state)) for state in states])


@app.command()
def show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID")],
    json: Json = False,
    data: Data = None,
) -> None:
    """One alert in full, with its posts' texts. ID may be the beginning of one."""
    folder = _folder(context, data)
    with _open(folder) as (bus, book):
        state = book.find(id)
        if json or _of_group(context, "json"):
            out_json(_json(book, state))
        else:
            out(_card(bus, state, folder))


@app.command()
def ack(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID")],
    by: By = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="A word for the record.")] = "",
    data: Data = None,
) -> None:
    """Say "I have it": the alert is not sent again. ID may be the beginning of one."""
    with _open(_folder(context, data)) as (bus, book):
        done = acknowledge(bus, book, id, user(by), why, SystemClock().now())
    handled = done.state.handled
    who = f"{handled.by}, {local(handled.at)}" if handled else "somebody"
    if done.already:
        say(f"{done.state.id} was {done.state.handling} already: {who}")
    else:
        say(f"{done.state.id} is acknowledged: {who}")


@app.command()
def verify(context: typer.Context, data: Data = None) -> None:
    """Prove that no decision and no delivery was changed or left out: follow both hash chains to their ends."""
    with _open(_folder(context, data)) as (bus, _):
        for topic in CHAINED:
            chain, count = hashchain.Chain(), 0
            for record in scan_records(bus, [topic]):
                chain.follow(record)
                count += 1
            out(f"{topic}: {count} records, chain unbroken")


@contextmanager
def _open(data: str | None) -> Iterator[tuple[Bus, AlertBook]]:
    with closing(open_live_topics(data)) as bus:
        yield bus, read_book(bus)


def _folder(context: typer.Context, data: str | None) -> str | None:
    """`alerts --data DIR show ID` means what `alerts show ID --data DIR` means."""
    return data or _of_group(context, "data")


def _of_group(context: typer.Context, option: str) -> Any:
    return context.parent.params.get(option) if context.parent else None


def _card(bus: Bus, state: AlertState, data: str | None) -> str:
    from alerts.commands.register_view import open_view
    from alerts.notify.messages import load_messages
    from alerts.notify.recipients import load_people
    from listener.settings.files import raw_settings
    from listener.settings.schema import load_settings

    raw = raw_settings()
    people = load_people(raw.folder / "people.yaml")
    settings = load_settings(raw)
    messages = load_messages(raw.folder, settings.language, settings.timezone)
    now = SystemClock().now()
    try:
        with open_view(bus, data_dir(data) / "register.sqlite") as view:
            return card.build(state, people, messages, now=now, in_house=True, texts=view.texts).text
    except ConfigError as error:
        say(f"The posts' texts cannot be shown: {error}")
        return card.build(state, people, messages, now=now, in_house=True).text


def _sent_with(book: AlertBook, state: AlertState) -> str | None:
    """The alert of another incident whose messages cover this one too."""
    first = first_of(book, state) if state.handling is Handling.OPEN else None
    return None if first is None else first.id


def _json(book: AlertBook, state: AlertState) -> dict[str, Any]:
    return state.as_json() | {"told_as": _sent_with(book, state)}


def _row(state: AlertState, sent_with: str | None) -> tuple[str, ...]:
    alert = state.alert
    handling = state.handling.value + (f", sent as {sent_with}" if sent_with else "")
    if state.handled is not None and state.handling is not Handling.OPEN:
        handling += f" by {state.handled.by}"
    incident = ("ØVELSE " if alert.exercise else "") + alert.incident_name
    fired = local(state.fired_at)
    return state.id, fired, alert.severity, alert.rule, str(alert.count), state.condition, handling, incident
