"""`lyttepost alerts`: what is open, what one alert says, and "I have it"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerts.commands import alerts_run, alerts_silences, alerts_words
from alerts.commands.alerts_pages import page_rows
from alerts.commands.duty_people import people_in_force, waking
from alerts.commands.ledger import verify_chains
from alerts.notify import card
from alerts.notify.journal import reference
from alerts.notify.listing import Listing, list_alerts
from alerts.notify.paged import pages_of
from alerts.notify.recipients import load_people
from alerts.notify.state import AlertBook, AlertState, read_book
from listener.clock import SystemClock
from listener.commands.shared import (
    Data,
    Json,
    local,
    one_line,
    open_written_topics,
    out,
    out_json,
    out_table,
    say,
    say_who_runs,
)
from listener.errors import ConfigError, UsageError
from listener.maintenance.post_ids import ids_meant, post_id
from listener.settings.files import data_dir, raw_settings

if TYPE_CHECKING:
    from listener.bus.protocol import Bus

app = typer.Typer(help="What is open, what one alert says, 'I have it', and what is to page nobody for a while.")

app.command("run")(alerts_run.run)


def _listing(book: AlertBook, data: str | None) -> Listing:
    now = SystemClock().now()
    people = people_in_force(data)
    return list_alerts(book, people, waking(people), now)


@app.callback(invoke_without_command=True)
def alerts(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Acknowledged and closed ones too.")] = False,
    post: Annotated[
        str | None,
        typer.Option("--post", metavar="ID", help="Only those that show this post as a sample, answered or not."),
    ] = None,
    json: Json = False,
    data: Data = None,
) -> None:
    """List the alerts that nobody has acknowledged."""
    if context.invoked_subcommand is not None:
        return
    keys = _keys(post)
    with _open(data) as (bus, book):
        say_who_runs(bus)
        # A canary is nobody's to answer.
        found = (s for s in (book.all() if everything or keys else book.open()) if not s.alert.synthetic)
        states = [s for s in found if not keys or keys & {sample.key for sample in s.alert.samples}]
        listing = _listing(book, data)
    if keys:
        say(f"In the log it is {', '.join(map(reference, sorted(keys)))}.")
    if json:
        out_json([listing.as_json(state) for state in states])
        return
    if not states:
        say("No alert shows that post." if keys else "There are no alerts." if everything else "No alert is open.")
        return
    rows = [("ID", "FIRED", "SEVERITY", "RULE", "COUNT", "CONDITION", "HANDLING", "NEXT", "INCIDENT")]
    out_table(rows + [_row(listing, state) for state in states])


@app.command()
def show(
    context: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID")],
    json: Json = False,
    data: Data = None,
) -> None:
    """One alert in full: its posts' texts, who was paged, when, by what, and what became of it.

    ID may be the beginning of one.
    """
    folder = _folder(context, data)
    with _open(folder) as (bus, book):
        state = book.find(id)
        pages, listing = pages_of(bus, state.id), _listing(book, folder)
        if json or _of_group(context, "json"):
            out_json(listing.as_json(state) | {"pages": pages})
            return
        out(_card(bus, state, folder))
        if pages:
            out("")
            out_table(page_rows(pages, listing.people))
        for line in _stands(listing, state):
            out(line)


for _command in (*alerts_words.COMMANDS, *alerts_silences.COMMANDS):
    app.command()(_command)


@app.command()
def verify(context: typer.Context, data: Data = None) -> None:
    """The old name of `lyttepost ledger verify`."""
    verify_chains(_folder(context, data))


@contextmanager
def _open(data: str | None) -> Iterator[tuple[Bus, AlertBook]]:
    with closing(open_written_topics(data)) as bus:
        yield bus, read_book(bus)


def _folder(context: typer.Context, data: str | None) -> str | None:
    """`alerts --data DIR show ID` means what `alerts show ID --data DIR` means."""
    return data or _of_group(context, "data")


def _of_group(context: typer.Context, option: str) -> Any:
    return context.parent.params.get(option) if context.parent else None


def _card(bus: Bus, state: AlertState, data: str | None) -> str:
    from alerts.commands.register_view import open_view
    from alerts.notify.messages import load_messages
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


def _keys(typed: str | None) -> frozenset[str]:
    """The ids that a post may have on the bus."""
    if typed is None:
        return frozenset()
    try:
        return frozenset(ids_meant([post_id(typed)]))
    except ValueError as error:
        raise UsageError(f"--post {error}") from None


def _row(listing: Listing, state: AlertState) -> tuple[str, ...]:
    alert, sent_with = state.alert, listing.sent_with(state)
    handling = state.handling.value + (f", sent as {sent_with}" if sent_with else "")
    if state.handled is not None and not state.is_open:
        handling += f" by {one_line(state.handled.by)}"
    handling += "".join(f", {why}" for why in _held_back(listing, state))
    incident = ("ØVELSE " if alert.exercise else "") + alert.incident_name
    fired = local(state.fired_at)
    return (
        state.id, fired, alert.severity, alert.rule, str(alert.count), state.condition, handling, _next(listing, state),
        incident,
    )  # fmt: skip


def _held_back(listing: Listing, state: AlertState) -> list[str]:
    held = listing.held(state)
    silenced = [f"silenced until {local(held.silenced_until)}"] if held.silenced_until else []
    by = [f"held back by {source.id}" for source in held.inhibitors[:1]]
    return silenced + by


def _next(listing: Listing, state: AlertState) -> str:
    page = listing.coming(state)
    if page is None:
        return ""
    at = max(page.until or page.at, listing.now)
    person = one_line(listing.people.name(page.person) if listing.people else page.person)
    return f"{person} {'now' if at == listing.now else local(at)}"


def _stands(listing: Listing, state: AlertState) -> Iterator[str]:
    for why in _held_back(listing, state):
        yield f"It is {why}."
    if coming := _next(listing, state):
        yield f"If nobody answers, the next to be paged is {coming}."
