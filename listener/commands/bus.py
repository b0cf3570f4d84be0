"""`lyttepost bus`: what is on the bus, one record a line, whichever bus it is."""

from __future__ import annotations

import json as json_
import threading
from contextlib import closing
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from listener.clock import SystemClock
from listener.commands.shared import (
    By,
    Data,
    Json,
    Why,
    flush,
    local,
    one_line,
    open_live_bus,
    out,
    out_json,
    out_table,
    progress_line,
    reason,
    say,
    user,
)
from listener.errors import Refused, UsageError
from listener.model.topics import TOPICS
from listener.units import format_duration, format_instant, from_ms, parse_instant

if TYPE_CHECKING:
    from datetime import datetime

    from listener.bus.protocol import Bus, Record

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


@app.command()
def lag(json: Json = False, data: Data = None) -> None:
    """How far each group is behind: records, and how long the oldest of them has waited. Asked of the bus itself."""
    from listener.runtime.lag import lags

    with closing(open_live_bus(data)) as bus:
        found = lags(bus, bus.groups(), SystemClock().now())
    if json:
        out_json([each._asdict() for each in found])
        return
    if not found:
        say("No group has committed anything yet.")
        return
    rows = [("GROUP", "TOPIC", "RECORDS", "OLDEST WAITS")]
    rows += [
        (each.group, each.topic, str(each.records), format_duration(timedelta(seconds=round(each.seconds))))
        for each in found
    ]
    out_table(rows)


@app.command("copy")
def copy_(
    source: Annotated[str, typer.Option("--from", metavar="URL", help="As bus.url: embedded:, kafka://host:9092.")],
    target: Annotated[str, typer.Option("--to", metavar="URL", help="An empty one; embedded: is in the data folder.")],
    json: Json = False,
    data: Data = None,
) -> None:
    """Copy all topics and groups onto an empty bus: every record at its own offset, proven by counts and digests.

    Stop all processes first. `bus.kafka` of the settings is how a cluster is reached. Afterwards set bus.url, and
    bus.partitions as printed, and start the processes: they resume where they were.
    """
    from listener.bus.protocol import open_bus
    from listener.maintenance.copy import copy
    from listener.model.topics import topic_specs
    from listener.settings.bus_address import check_url
    from listener.settings.files import data_dir
    from listener.settings.schema import load_settings

    settings, clock, folder = load_settings(), SystemClock(), data_dir(data)
    for name, url in (("--from", source), ("--to", target)):
        try:
            check_url(url)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    if source.rstrip("/") == target.rstrip("/"):
        raise UsageError("--from and --to name the same bus")
    _require_file(source, folder)
    specs = {spec.name: spec for spec in topic_specs(settings.bus.partitions, settings.retention.keep())}
    show = progress_line()
    with (
        closing(open_bus(source, folder, clock, kafka=settings.bus.kafka)) as old,
        closing(open_bus(target, folder, clock, kafka=settings.bus.kafka, anew=True)) as new,
    ):
        proofs, groups = copy(old, new, specs, clock, lambda topic, count: show(f"{topic}: {count}"))
        parts = new.partitions("mentions") if any(proof.topic == "mentions" for proof in proofs) else None
    if json:
        said = {name: {f"{tp.topic}/{tp.partition}": c.offset for tp, c in its.items()} for name, its in groups.items()}
        out_json({"topics": [asdict(proof) for proof in proofs], "groups": said, "partitions": parts})
        return
    out_table(
        [("TOPIC", "RECORDS", "SHA-256, THE SAME ON BOTH"), *((p.topic, str(p.records), p.digest) for p in proofs)]
    )
    say(f"Copied and compared; the groups {', '.join(groups) or '(none)'} resume where they were.")
    say(f"Now set bus.url to {target}" + (f" and bus.partitions to {parts}." if parts else "."))


def _require_file(url: str, folder: Path) -> None:
    """Opening a bus makes it: a misspelt file would be an empty bus, and a copy of that no copy of ours."""
    from listener.settings.bus_address import embedded_log

    scheme, _, rest = url.partition(":")
    if scheme != "embedded":
        return
    path = embedded_log(rest, folder)
    if not path.is_file():
        raise UsageError(f"--from: {path}: no bus is there")


@app.command("give-up-history")
def give_up_history(why: Why, by: By = None, data: Data = None) -> None:
    """Begin a new log where the one that was there is lost for good, or take the one that was put in its place.

    Restore the newest backup instead, if there is one. The decision is kept on the new log.
    """
    from listener.bus.hashchain import append
    from listener.bus.protocol import open_bus
    from listener.bus.sqlite.bus import EmbeddedBus
    from listener.model.records import Decision, DecisionKind
    from listener.model.topics import topic_specs
    from listener.runtime.service import locked_roles
    from listener.settings.files import data_dir
    from listener.settings.schema import load_settings

    settings, clock, folder = load_settings(), SystemClock(), data_dir(data)
    said, who = reason(why), user(by)
    if running := locked_roles(folder):
        raise Refused(f"a process with the role {running[0]} runs on {folder}; stop it first: it may hold what is lost")
    specs = topic_specs(settings.bus.partitions, settings.retention.keep())
    try:
        with closing(open_bus(settings.bus.url, folder, clock, kafka=settings.bus.kafka)) as bus:
            bus.ensure(specs)
    except Refused:
        pass
    else:
        raise Refused(f"{folder}: its log is the one that it had; there is nothing to give up")
    with closing(open_bus(settings.bus.url, folder, clock, kafka=settings.bus.kafka, anew=True)) as bus:
        bus.ensure(specs)
        id_ = bus.store.id if isinstance(bus, EmbeddedBus) else settings.bus.url.partition(":")[0]
        decision = Decision(kind=DecisionKind.HISTORY_GIVEN_UP, id=id_, at=clock.now(), by=who, why=said)
        append(bus, "decisions", decision)
    say(f"{folder}: what was there before is given up; the log {id_[:8]} counts from now on.")


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
