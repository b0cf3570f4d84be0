"""`lyttepost gaps`: when a source could not be heard, why, and what was found of it after all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from listener.commands.shared import Data, Json, local, open_live_bus, out, out_json, out_table, say, say_who_runs
from listener.errors import UsageError
from listener.ingest.gaps import ledger
from listener.model.gaps import is_whole
from listener.runtime.control import Control
from listener.sources.contract import SOURCES
from listener.units import format_duration

if TYPE_CHECKING:
    from listener.model.records import Gap

app = typer.Typer(help="When a source could not be heard, and what was found of it after all.")


@app.command()
def gaps(
    source: Annotated[str | None, typer.Option("--source", metavar="NAME", help="Of this source only.")] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that last or are not wholly filled.")] = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Every gap, oldest first."""
    bus = open_live_bus(data)
    known = any(info.name == "gaps" for info in bus.topics())
    every = ledger(bus) if known else []
    if source is not None and source not in (known_sources := sorted({*SOURCES, *(gap.source for gap in every)})):
        raise UsageError(f"--source: no source is called {source!r}; known: {', '.join(known_sources)}")
    Control(bus)  # makes the topics that are asked below
    say_who_runs(bus)
    found = [gap for gap in every if (source is None or gap.source == source) and not (open_only and is_whole(gap))]
    if json:
        out_json([_json(gap) for gap in found])
        return
    if not found:
        say("No gap is known.")
        return
    out_table([("SOURCE", "FROM", "TO", "LENGTH", "CAUSE", "FOUND", "STATE"), *map(_row, found)])
    last = sum(not is_whole(gap) for gap in found)
    out(f"{len(found)} gaps, {last} of them open")


def _json(gap: Gap) -> dict[str, object]:
    return {
        "id": gap.id,
        "source": gap.source,
        "part": gap.part,
        "from": gap.start,
        "to": gap.end,
        "cause": gap.cause,
        "refilled": gap.refilled,
        "refilled_until": gap.refilled_until,
        "open": not is_whole(gap),
    }


def _row(gap: Gap) -> tuple[str, ...]:
    if gap.end is None:
        end, length, state = "-", "-", "LASTS"
    else:
        end, length = local(gap.end), format_duration(gap.end - gap.start)
        state = "filled" if is_whole(gap) else "NOT FILLED"
        if not is_whole(gap) and gap.refilled_until is not None:
            state = f"FILLED UNTIL {local(gap.refilled_until)}"
    name = gap.source if gap.part is None else f"{gap.source} ({gap.part})"
    return name, local(gap.start), end, length, gap.cause, str(gap.refilled), state
