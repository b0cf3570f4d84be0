"""`lyttepost register`: what people wish and think, ranked by people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from alerts.register import Entry, Register
from listener.bus.topics import TOPICS
from listener.commands import Data, Json, local, open_live_bus, out, out_json, say
from listener.config import data_dir
from listener.records import Kind

app = typer.Typer(help="What people wish and think, ranked by people.")


@app.command()
def register(
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only this kind; else wishes and viewpoints.")] = None,
    incident: Annotated[str, typer.Option("--incident", metavar="ID", help="Only this incident.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many of each kind.")] = 20,
    json: Json = False,
    data: Data = None,
) -> None:
    """The crisis team's register of viewpoints and wishes."""
    bus = open_live_bus(data)
    bus.ensure([TOPICS["findings"]])
    view = Register(bus, data_dir(data) / "register.sqlite")
    view.catch_up()
    kinds = [kind] if kind else [Kind.WISH, Kind.VIEWPOINT]
    found = {k: view.top(k, incident=incident, limit=limit) for k in kinds}
    if json:
        out_json([asdict(entry) for entries in found.values() for entry in entries])
        return
    for k, entries in found.items():
        show(k, entries)
    if not any(found.values()):
        say("Nothing is registered" + (f" for {incident}." if incident else "."))


def show(kind: Kind, entries: list[Entry]) -> None:
    """One kind's entries for a person."""
    if not entries:
        return
    by = "people" if all(e.authors_known for e in entries) else "posts that are no reposts: no authors are known"
    out(f"{kind.upper()} (ranked by {by})")
    for entry in entries:
        mark = "ØVELSE " if entry.exercise else ""
        text = "(removed)" if entry.text is None else " ".join(entry.text.split())
        out(f"{entry.people:>5}  {mark}{text[:160]}")
        out(f"       {entry.posts} posts, {entry.reposts} of them reposts, from {local(entry.first_at)}")
