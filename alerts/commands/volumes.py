"""`lyttepost volumes`: is a count of posts loud for its hour?"""

from __future__ import annotations

import csv
import math
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice, pairwise
from typing import Annotated

import typer

from alerts.rules.conditions.burst_detector import Burst
from listener.commands.shared import duration, say
from listener.errors import LyttepostError
from listener.sources.common.reader import Broken, LineReader
from listener.units import FIRST, LAST, format_duration, parse_time

app = typer.Typer(help="Counts of posts: is this loud for this hour?", no_args_is_help=True)

COLUMNS = ("timestamp", "value", "anomaly_score", "label")
USUAL = timedelta(minutes=5)
LOOK = 13
"""The interval, unless it is given, is what lies most often between the first rows."""
SHORTEST, LONGEST = timedelta(seconds=1), timedelta(days=1)
"""Of an interval."""
MAX_CHARACTERS = 16_000_000
"""Of one field, in as many lines as it likes: a quote that is never closed must not take in all the rest."""
MOST = 1e12
"""A greater number is no count of posts."""
WAIT_SECONDS = 1.0


class BadInput(LyttepostError):
    """A line that is no count of posts. The message begins with `file:line:`."""


@dataclass(frozen=True, slots=True)
class Row:
    """A record of the file; `line` is where it begins. `count`: None where it holds no number."""

    line: int
    timestamp: str
    value: str
    label: str
    at: datetime
    count: float | None


@app.callback()
def _volumes() -> None:
    """Counts of posts: is this loud for this hour?"""


@app.command()
def score(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV with the columns timestamp and value, also gzip; - is stdin.")
    ],
    interval: Annotated[
        str | None,
        typer.Option("--interval", metavar="5m", help="Time from row to row; else taken from the first rows."),
    ] = None,
) -> None:
    """Score each row of FILE by the rows before it: CSV with timestamp, value, anomaly_score and label.

    A score of 0.5 or more is an alarm. One burst scores high once, where it starts. Rows that are missing, or whose
    value is empty, are unknown and not zero. A row that is repeated or out of order scores 0 and teaches nothing.
    Exit codes: 1 a line is no count of posts (the message names it), 4 the file cannot be read.
    """
    step = duration(interval, "--interval") if interval else None
    if step is not None and not SHORTEST <= step <= LONGEST:
        raise typer.BadParameter("lies between 1s and 1d", param_hint="--interval")
    reader = LineReader(file)
    reader.open()
    with closing(reader):
        rows = read(reader)
        first = [] if step else list(islice(rows, LOOK))
        show(Scoring(step or usual(first)), chain(first, rows))


def show(scoring: Scoring, rows: Iterator[Row]) -> None:
    """Scored rows to standard output, what there is to say of them to standard error."""
    write = csv.writer(sys.stdout, lineterminator="\n").writerow
    write(COLUMNS)
    for row in rows:
        write((row.timestamp, row.value, f"{scoring.score(row):.6f}", row.label))
    for words in scoring.sum_up():
        say(words)


class Scoring:
    """Row in, score out; notes what was odd."""

    def __init__(self, interval: timedelta) -> None:
        self._burst = Burst(interval)
        self._interval = interval
        self._last: datetime | None = None
        self._rows = self._alarms = self._missing = self._unknown = self._nearer = 0
        self._backward: list[int] = []
        self._backwards = 0

    def score(self, row: Row) -> float:
        self._rows += 1
        if self._last is not None:
            steps = (row.at - self._last) / self._interval
            if steps <= 0:
                self._backwards += 1
                self._backward = [*self._backward, row.line][:3]
                return 0.0
            self._missing += max(0, round(steps) - 1)
            self._nearer += steps < 0.5
        self._last = row.at
        self._unknown += row.count is None
        reading = self._burst.step(row.at, row.count)
        self._alarms += reading.alarm
        return reading.score

    def sum_up(self) -> Iterator[str]:
        yield f"{self._rows} rows {format_duration(self._interval)} apart, {self._alarms} alarms"
        if self._missing or self._unknown:
            yield f"unknown, and not taken for silence: {self._missing} rows missing, {self._unknown} without a value"
        if self._backwards:
            lines = ", ".join(map(str, self._backward)) + (", …" if self._backwards > len(self._backward) else "")
            yield f"repeated or out of order, not judged: {self._backwards} rows (line {lines})"
        if self._nearer > self._rows / 2:
            yield f"most rows are nearer to each other than --interval {format_duration(self._interval)}: is it right?"


def usual(rows: list[Row]) -> timedelta:
    """What lies most often between these rows."""
    between = Counter(b.at - a.at for a, b in pairwise(rows) if b.at > a.at)
    return min(max(between.most_common(1)[0][0], SHORTEST), LONGEST) if between else USUAL


def read(reader: LineReader) -> Iterator[Row]:
    """The rows of a CSV file, one after another, as they come. Raises BadInput."""
    name = "standard input" if reader.path == "-" else reader.path
    columns: list[str] | None = None
    aware: bool | None = None
    for number, cells in records(lines(reader, name), name):
        where = f"{name}:{number}"
        if columns is None:
            columns = [cell.strip().lower() for cell in cells]
            for wanted in COLUMNS[:2]:
                if columns.count(wanted) != 1:
                    raise BadInput(f"{where}: the first line must name the columns timestamp and value, once each")
            continue
        if len(cells) != len(columns):
            raise BadInput(f"{where}: has {len(cells)} columns where the first line has {len(columns)}")
        row = make(number, dict(zip(columns, cells, strict=True)), where)
        if aware is not None and aware is not (row.at.tzinfo is not None):
            raise BadInput(f"{where}: some timestamps have a time zone, some have none; give it to all or none")
        aware = row.at.tzinfo is not None
        yield row
    if columns is None:
        raise BadInput(f"{reader.path}: is empty; its first line must name the columns timestamp and value")


def lines(reader: LineReader, name: str) -> Iterator[str]:
    """The lines as text. Where nothing more is there yet, what was scored is shown meanwhile."""
    for line in reader.lines():
        if line is None:
            sys.stdout.flush()
            reader.ready(WAIT_SECONDS)
            continue
        number, content = line
        if isinstance(content, Broken):
            raise BadInput(f"{name}:{number}: cannot be read ({content.reason}, {content.length} bytes)")
        try:
            yield content.decode().rstrip("\r") + "\n"
        except UnicodeDecodeError:
            raise BadInput(f"{name}:{number}: is no UTF-8 text") from None


def records(texts: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """The records as RFC 4180 has them, each with the line in which it begins; blank lines are none."""
    csv.field_size_limit(MAX_CHARACTERS)
    reader = csv.reader(texts, strict=True)
    while True:
        begin = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BadInput(f"{name}:{begin}: is no CSV: {error}") from None
        if cells:
            yield begin, cells


def make(number: int, cells: dict[str, str], where: str) -> Row:
    timestamp, value = cells["timestamp"].strip(), cells["value"].strip()
    try:
        at = parse_time(timestamp)
    except ValueError:
        raise BadInput(f"{where}: the timestamp is none; write it like 2031-01-11T19:05:00Z") from None
    if not FIRST.year <= at.year < LAST.year:
        raise BadInput(f"{where}: the timestamp must lie between {FIRST.year} and {LAST.year}")
    count: float | None
    try:
        count = float(value) if value else None
    except ValueError:
        raise BadInput(f"{where}: the value is no number; leave it empty where it is not known") from None
    if count is not None and math.isnan(count):
        count = None
    if count is not None and not 0 <= count <= MOST:
        raise BadInput(f"{where}: the value is no count of posts: it must lie between 0 and {MOST:.0e}")
    return Row(number, timestamp, value, cells.get("label", "").strip() or "0", at, count)
