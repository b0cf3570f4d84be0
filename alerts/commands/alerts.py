"""`lyttepost alerts`: what is open, what one alert says, and "I have it"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alerts import card, ledger
from alerts.alert import TOPICS as BOOK_TOPICS
from alerts.alert import AlertBook, AlertState, Handling, acknowledge, read_book, read_to_end
from alerts.register import Register
from listener.bus.topics import TOPICS
from listener.clock import SystemClock
from listener.commands import By, Data, Json, local, open_live_bus, out, out_json, out_table, say, user
from listener.config import data_dir

if TYPE_CHECKING:
    from listener.bus import Bus

app = typer.Typer(help="What is open, what one alert says, and 'I have it'.")

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
    _, book = _open(data)
    states = book.all() if everything else book.open()
    if json:
        out_json([state.as_json() for state in states])
        return
    if not states:
        say("No alert is open." if not everything else "There are no alerts.")
        return
    rows = [("ID", "FIRED", "SEVERITY", "RULE", "COUNT", "CONDITION", "HANDLING", "INCIDENT")]
    out_table(rows + [_row(state) for state in states])


@app.command()
def show(id: Annotated[str, typer.Argument(metavar="ID")], json: Json = False, data: Data = None) -> None:
    """One alert in full, with its posts' texts. ID may be the beginning of one."""
    from alerts.messages import load_messages
    from alerts.people import load_people
    from listener.config import raw_settings
    from listener.settings import load_settings

    bus, book = _open(data)
    state = book.find(id)
    if json:
        out_json(state.as_json())
        return
    raw = raw_settings()
    bus.ensure([TOPICS["findings"]])
    view = Register(bus, data_dir(data) / "register.sqlite")
    view.catch_up()
    made = card.build(
        state,
        load_people(raw.folder / "people.yaml"),
        load_messages(raw.folder, load_settings(raw).language),
        now=SystemClock().now(),
        in_house=True,
        step=max(state.step, 0),
        texts=view.texts,
    )
    out(made.text)


@app.command()
def ack(
    id: Annotated[str, typer.Argument(metavar="ID")],
    by: By = None,
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="A word for the record.")] = "",
    data: Data = None,
) -> None:
    """Say "I have it": the alert is told no more. ID may be the beginning of one."""
    bus, book = _open(data)
    done = acknowledge(bus, book, id, user(by), why, SystemClock().now())
    handled = done.state.handled
    who = f"{handled.by}, {local(handled.at)}" if handled else "somebody"
    if done.already:
        say(f"{done.state.id} was {done.state.handling} already: {who}")
    else:
        say(f"{done.state.id} is acknowledged: {who}")


@app.command()
def verify(data: Data = None) -> None:
    """Prove that no decision and no delivery was changed or left out: follow both hash chains to their ends."""
    bus, _ = _open(data)
    for topic in CHAINED:
        chain, count = ledger.Chain(), 0
        reader = bus.reader([topic])
        for record in read_to_end(bus, reader, [topic]):
            chain.follow(record)
            count += 1
        out(f"{topic}: {count} records, chain unbroken")


def _open(data: str | None) -> tuple[Bus, AlertBook]:
    bus = open_live_bus(data)
    bus.ensure([TOPICS[name] for name in BOOK_TOPICS])
    return bus, read_book(bus)


def _row(state: AlertState) -> tuple[str, ...]:
    alert = state.alert
    handling = state.handling.value
    if state.handled is not None and state.handling is not Handling.OPEN:
        handling += f" by {state.handled.by}"
    incident = ("ØVELSE " if alert.exercise else "") + alert.incident_name
    fired = local(state.fired_at)
    return state.id, fired, alert.severity, alert.rule, str(alert.count), state.condition, handling, incident
