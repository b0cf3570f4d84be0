"""`lyttepost bus`: what is on the bus, one record a line, whichever bus it is."""

from __future__ import annotations

import json as json_
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from listener.bus.topics import TOPICS
from listener.clock import SystemClock
from listener.commands import Data, Json, flush, local, one_line, open_live_bus, out, out_json, out_table, say
from listener.errors import UsageError
from listener.units import format_instant, from_ms, parse_instant

if TYPE_CHECKING:
    from datetime import datetime

    from listener.bus import Bus, Record

POLL_SECONDS = 0.5

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
    topic: Annotated[str, typer.Argument(help="Which; `lyttepost bus topics` lists them.")],
    start: Annotated[
        str, typer.Option("--from", metavar="start|RFC3339", help="Where to begin: `start` or an instant.")
    ] = "start",
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until interrupted.")] = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """A topic's records, one a line: key, time, partition:offset, value."""
    begin = _start(start)
    bus = open_live_bus(data)
    try:
        while not _is_made(bus, topic):
            if not follow:
                say(f"{topic}: nothing was ever written to it here")
                return
            SystemClock().wait(POLL_SECONDS, threading.Event())
        reader = bus.reader([topic], start=begin)
        while True:
            records = reader.poll(POLL_SECONDS if follow else 0.0)
            for record in records:
                _print(record, json)
            if not records and not follow:
                return
            flush()
    except KeyboardInterrupt:
        return


def _is_made(bus: Bus, topic: str) -> bool:
    """Raises UsageError when nobody will ever make it."""
    made = [info.name for info in bus.topics()]
    if topic not in made and topic not in TOPICS:
        raise UsageError(f"no topic is called {topic!r}; topics: {', '.join(sorted({*made, *TOPICS}))}")
    return topic in made


def _start(text: str) -> int | datetime:
    if text == "start":
        return 0
    try:
        return parse_instant(text)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no instant; write `start`, or date, time and zone as in 2024-05-17T06:30:00+02:00",
            param_hint="--from",
        ) from None


def _time(ms: int | None) -> str:
    return "-" if ms is None else local(from_ms(ms))


def _print(record: Record, json: bool) -> None:
    if not json:
        value = "(removed)" if record.value is None else record.value.decode("utf-8", "replace")
        value = one_line(value)
        out(f"{one_line(record.key)}  {local(from_ms(record.time_ms))}  {record.partition}:{record.offset}  {value}")
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
        return json_.loads(value, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return {"unreadable_bytes": len(value)}


def _no_json(constant: str) -> None:
    """NaN and its like, which Python reads and other programs do not."""
    raise ValueError(constant)
