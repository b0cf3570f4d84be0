"""`lyttepost alerts`: what is open, what one alert says, and "I have it"."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerts.commands import alerts_run, alerts_silences, alerts_words
from alerts.commands.alerts_pages import page_rows
from alerts.commands.ledger import verify_chains
from alerts.notify import card
from alerts.notify.duplicates import first_of
from alerts.notify.foresee import foresee
from alerts.notify.held import Holding
from alerts.notify.paged import pages_of
from alerts.notify.recipients import People, load_people
from alerts.notify.state import AlertBook, AlertState, Handling, read_book
from listener.clock import SystemClock
from listener.commands.shared import (
    Data,
    Json,
    local,
    one_line,
    open_live_topics,
    out,
    out_json,
    out_table,
    say,
    say_who_runs,
)
from listener.errors import ConfigError
from listener.model.deliveries import Page
from listener.settings.files import data_dir, raw_settings
from listener.units import format_instant, parse_instant

if TYPE_CHECKING:
    from listener.bus.protocol import Bus

app = typer.Typer(help="What is open, what one alert says, 'I have it', and what is to page nobody for a while.")

app.command("run")(alerts_run.run)

AHEAD = timedelta(days=1)
"""So far it is foreseen who is paged next."""


@dataclass(frozen=True)
class View:
    """All alerts, and what follows from people.yaml for them now. Without it (`people` is None, which was told) neither
    inhibitions nor who is called next are known."""

    book: AlertBook
    people: People | None
    holding: Holding
    now: datetime
    next: Mapping[str, Page]
    """Open alert → the page that it leads to next, if nobody says a word."""

    def held(self, state: AlertState) -> dict[str, Any]:
        silences = [s for s in self.book.silences.about(self.holding.fields(state)) if s.at(self.now)]
        if state.alert.synthetic or not state.is_open:
            silences = []
        inhibitors = self.holding.inhibitors(state, self.now) if state.is_open else []
        return {
            "silenced_until": format_instant(max(s.end for s in silences)) if silences else None,
            "silences": [silence.id for silence in silences],
            "inhibited_by": [source.id for source in inhibitors],
        }

    def coming(self, state: AlertState) -> Page | None:
        held = not state.is_open or self.holding.held(state, self.now)
        return None if held else self.next.get(state.id)

    def name(self, person: str) -> str:
        return one_line(self.people.name(person) if self.people else person)


def _view(book: AlertBook, data: str | None) -> View:
    now = SystemClock().now()
    try:
        people: People | None = _people(data)
    except ConfigError as error:
        say(f"What people.yaml holds back, and who is called next, is not known: {error}")
        people = None
    holding = Holding(people.inhibit if people else (), book.silences, book.all())
    coming: dict[str, Page] = {}
    if people is not None:
        waiting = {s.id for s in book.open() if not s.alert.synthetic and not holding.held(s, now)}
        for page in foresee(book, people, _wakes(people), now, now + AHEAD):
            if isinstance(page, Page) and page.person:
                coming = dict.fromkeys(page.alerts, page) | coming
            if coming.keys() >= waiting:
                break
    return View(book, people, holding, now, coming)


def _people(data: str | None) -> People:
    """With swaps and the copies of calendars. Raises ConfigError."""
    from alerts.commands.duty_book import open_book
    from listener.settings.zone import DEFAULT_ZONE, zone_or_default

    raw = raw_settings()
    people = load_people(raw.folder / "people.yaml").in_zone(zone_or_default(raw.get("timezone", DEFAULT_ZONE)))
    return people.with_rosters(open_book(None, data, online=False).rosters)


def _wakes(people: People) -> Callable[[str], bool]:
    """Which channels wake a sleeper; of one that is set up wrongly nothing is known."""
    from alerts.notify.channels.contract import open_usable, wakes_by

    return functools.partial(wakes_by, open_usable(people.channels(), raw_settings()))


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
        view = _view(book, data)
    if json:
        out_json([_json(view, state) for state in states])
        return
    if not states:
        say("No alert is open." if not everything else "There are no alerts.")
        return
    rows = [("ID", "FIRED", "SEVERITY", "RULE", "COUNT", "CONDITION", "HANDLING", "NEXT", "INCIDENT")]
    out_table(rows + [_row(view, state) for state in states])


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
        pages, view = pages_of(bus, state.id), _view(book, folder)
        if json or _of_group(context, "json"):
            out_json(_json(view, state) | {"pages": pages})
            return
        out(_card(bus, state, folder))
        if pages:
            out("")
            out_table(page_rows(pages, view.people))
        for line in _stands(view, state):
            out(line)


for _command in (*alerts_words.COMMANDS, *alerts_silences.COMMANDS):
    app.command()(_command)


@app.command()
def verify(context: typer.Context, data: Data = None) -> None:
    """The old name of `lyttepost ledger verify`."""
    verify_chains(_folder(context, data))


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


def _json(view: View, state: AlertState) -> dict[str, Any]:
    page = view.coming(state)
    coming = None if page is None else {"person": page.person, "at": format_instant(page.until or page.at)}
    return state.as_json() | {"told_as": _sent_with(view.book, state), "held": view.held(state), "next": coming}


def _row(view: View, state: AlertState) -> tuple[str, ...]:
    alert, sent_with = state.alert, _sent_with(view.book, state)
    handling = state.handling.value + (f", sent as {sent_with}" if sent_with else "")
    if state.handled is not None and not state.is_open:
        handling += f" by {one_line(state.handled.by)}"
    handling += "".join(f", {why}" for why in _held_back(view, state))
    incident = ("ØVELSE " if alert.exercise else "") + alert.incident_name
    fired = local(state.fired_at)
    return (
        state.id, fired, alert.severity, alert.rule, str(alert.count), state.condition, handling, _next(view, state),
        incident,
    )  # fmt: skip


def _held_back(view: View, state: AlertState) -> list[str]:
    held = view.held(state)
    until = held["silenced_until"]
    silenced = [f"silenced until {local(parse_instant(until))}"] if until else []
    by = [f"held back by {id_}" for id_ in held["inhibited_by"][:1]]
    return silenced + by


def _next(view: View, state: AlertState) -> str:
    page = view.coming(state)
    if page is None:
        return ""
    at = max(page.until or page.at, view.now)
    return f"{view.name(page.person)} {'now' if at == view.now else local(at)}"


def _stands(view: View, state: AlertState) -> Iterator[str]:
    for why in _held_back(view, state):
        yield f"It is {why}."
    if coming := _next(view, state):
        yield f"If nobody answers, the next to be paged is {coming}."
