"""`lyttepost bus`: what is on the bus, one record a line, whichever bus it is."""

from __future__ import annotations

import json as json_
from typing import TYPE_CHECKING, Annotated, Any

import typer

from listener.commands import Data, Json, local, open_live_bus, out, out_json, out_table
from listener.units import format_instant, from_ms, parse_instant

if TYPE_CHECKING:
    from datetime import datetime

    from listener.bus import Record

app = typer.Typer(help="See what is on the bus.", no_args_is_help=True)


@app.command()
def topics(json: Json = False, data: Data = None) -> None:
    """Every topic: partitions, records, oldest and newest."""
    found = open_live_bus(data).topics()
    if json:
        out_json(
            [
                {
                    "topic": t.name,
                    "partitions": t.partitions,
                    "records": t.records,
                    "oldest": None if t.oldest_ms is None else format_instant(from_ms(t.oldest_ms)),
                    "newest": None if t.newest_ms is None else format_instant(from_ms(t.newest_ms)),
                }
                for t in found
            ]
        )
        return
    rows = [("TOPIC", "PARTITIONS", "RECORDS", "OLDEST", "NEWEST")]
    rows += [(t.name, str(t.partitions), str(t.records), _time(t.oldest_ms), _time(t.newest_ms)) for t in found]
    out_table(rows)


@app.command()
def read(
    topic: Annotated[str, typer.Argument(metavar="TOPIC")],
    start: Annotated[
        str, typer.Option("--from", metavar="start|RFC3339", help="Where to begin: `start` or an instant.")
    ] = "start",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until interrupted.")] = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """A topic's records, one a line: key, time, offset, value."""
    bus = open_live_bus(data)
    reader = bus.reader([topic], start=_start(start))
    try:
        while True:
            records = reader.poll(0.5 if follow else 0.0)
            for record in records:
                _print(record, json)
            if not records and not follow:
                return
    except KeyboardInterrupt:
        return


def _start(text: str) -> int | datetime:
    if text == "start":
        return 0
    try:
        return parse_instant(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--from") from None


def _time(ms: int | None) -> str:
    return "-" if ms is None else local(from_ms(ms))


def _print(record: Record, json: bool) -> None:
    if not json:
        value = "(removed)" if record.value is None else record.value.decode("utf-8", "replace")
        out(f"{record.key}  {local(from_ms(record.time_ms))}  {record.partition}:{record.offset}  {value}")
        return
    out_json(
        {
            "key": record.key,
            "time": format_instant(from_ms(record.time_ms)),
            "partition": record.partition,
            "offset": record.offset,
            "value": _value(record.value),
        }
    )


def _value(value: bytes | None) -> Any:
    if value is None:
        return None
    try:
        return json_.loads(value)
    except ValueError:
        return {"unreadable_bytes": len(value)}
