"""`lyttepost register`: what people wish and think, ranked by people."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerts.commands.annotate import annotate
from alerts.notify.channels.text import one_line
from alerts.register.ranking import RegisterRow
from alerts.register.view import Register
from listener.commands.shared import (
    Data,
    Json,
    local,
    open_live_topics,
    out,
    out_json,
    require_known,
    say,
    say_who_runs,
)
from listener.errors import ConfigError
from listener.model.records import Kind
from listener.runtime.control import Control
from listener.settings.files import data_dir

if TYPE_CHECKING:
    from listener.bus.protocol import Bus

app = typer.Typer(help="What people wish and think, ranked by people.")
app.command()(annotate)

LENGTH = 160
"""Characters of a text that are shown."""
MOST = 10_000
"""Entries of a kind."""


@app.callback(invoke_without_command=True)
def register(
    ctx: typer.Context,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only this kind; else wishes and viewpoints.")] = None,
    incident: Annotated[str, typer.Option("--incident", metavar="ID", help="Only this incident.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="How many of each kind.")] = 20,
    json: Json = False,
    data: Data = None,
) -> None:
    """The crisis team's register of viewpoints and wishes."""
    if ctx.invoked_subcommand is not None:
        return
    kinds = [kind] if kind else [Kind.WISH, Kind.VIEWPOINT]
    with closing(open_live_topics(data)) as bus, open_view(bus, data_dir(data) / "register.sqlite") as view:
        say_who_runs(bus)
        found = {k: view.top(k, incident=incident, limit=limit) for k in kinds}
        if incident and not any(found.values()):
            require_known(incident, Control(bus).refresh(), "--incident")
    if json:
        out_json([as_json(entry) for entries in found.values() for entry in entries])
        return
    for k, entries in found.items():
        show(k, entries)
    if not any(found.values()):
        say("Nothing is registered" + (f" for {incident}." if incident else "."))


@contextmanager
def open_view(bus: Bus, path: Path) -> Iterator[Register]:
    """The view, brought up to date. Raises ConfigError that says what to do when its file is damaged."""
    try:
        with closing(Register(bus, path)) as view:
            view.catch_up()
            yield view
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise ConfigError(f"{path}: cannot be used now: {error}") from None
        raise ConfigError(f"{path}: is damaged; remove it, it is rebuilt from the bus") from None


def as_json(row: RegisterRow) -> dict[str, Any]:
    """A row as programs get it: which of its posts stands for it is our own matter."""
    return {name: value for name, value in asdict(row).items() if name != "sample"}


def show(kind: Kind, entries: list[RegisterRow]) -> None:
    """One kind's entries for a person."""
    if not entries:
        return
    out(title(kind, entries))
    for entry in entries:
        mark = "ØVELSE " if entry.exercise else ""
        text = "(removed)" if entry.text is None else one_line(entry.text, LENGTH)
        out(f"{people_of(entry):>11}  {mark}{text}")
        several = f", in {' and '.join(entry.incidents)}" if len(entry.incidents) > 1 else ""
        counted = f"{_number(entry.posts, 'post')}, {_number(entry.reposts, 'repost')}"
        out(f"{'':11}  {counted}, {local(entry.first_at)}{several}")


def title(kind: Kind, entries: list[RegisterRow]) -> str:
    by = "people" if all(e.authors_known for e in entries) else "posts that are no reposts: no authors are known"
    return f"{kind.upper()} (ranked by {by})"


def people_of(entry: RegisterRow) -> str:
    if not entry.authors_known:
        return _number(entry.people, "post")
    return f"{entry.people} {'person' if entry.people == 1 else 'people'}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
