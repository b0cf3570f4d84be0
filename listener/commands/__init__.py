"""The command line of what listens. Data goes to standard output, messages to standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from listener.units import format_instant, parse_duration

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from listener.bus import Bus

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Data = Annotated[
    str | None,
    typer.Option("--data", metavar="DIR", help="Folder of all state; else LYTTEPOST_DATA, else the platform's."),
]
Why = Annotated[str, typer.Option("--why", metavar="TEXT", help="Why; it is kept.")]
By = Annotated[str | None, typer.Option("--by", metavar="WHO", help="Who decides; else the operating system's user.")]


def out(text: str) -> None:
    """A line of data."""
    sys.stdout.write(text + "\n")


def say(text: str) -> None:
    """A line for the person."""
    sys.stderr.write(text + "\n")


def out_json(value: Any) -> None:
    out(json.dumps(value, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return format_instant(value)
    return str(value)


def out_table(rows: Iterable[Iterable[str]]) -> None:
    """Columns as wide as their widest cell, two spaces between."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        out("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def local(instant: datetime) -> str:
    """An instant as a person on duty reads it."""
    return instant.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def user(by: str | None) -> str:
    """Who is at the keyboard."""
    if by and by.strip():
        return by.strip()
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def reason(why: str) -> str:
    """A reason that says something."""
    if not why.strip():
        raise typer.BadParameter("say why; it is kept", param_hint="--why")
    return why.strip()


def duration(text: str, name: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=name) from None


def open_live_bus(data: str | None) -> Bus:
    """The bus of the running deployment, by the two settings that say where it is."""
    from listener.bus import open_bus
    from listener.clock import SystemClock
    from listener.config import data_dir, raw_settings

    return open_bus(str(raw_settings().get("bus.url", "embedded:")), Path(data_dir(data)), SystemClock())
