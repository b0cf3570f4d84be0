"""`lyttepost backup` and `restore`: an embedded log and what belongs to it in one file, proven by its digests."""

from __future__ import annotations

import signal
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from alerts.annotate.learned import BEFORE, LEARNED
from alerts.board.access import accounts, sessions
from listener.clock import SystemClock
from listener.commands.shared import Data, Json, out_json, out_table, progress_line, say
from listener.errors import Refused, UsageError
from listener.maintenance.backup import Backup, Progress, back_up, look_at, restore
from listener.runtime.service import locked_roles
from listener.runtime.signals import ended_by
from listener.settings.bus_address import LOG, embedded_log
from listener.settings.files import data_dir, raw_settings

BESIDE = (LEARNED, BEFORE, accounts.NAME)
"""What lies beside the log and cannot be made anew."""
VIEWS = tuple(f"{name}{end}" for name in ("register.sqlite", sessions.NAME) for end in ("", "-wal", "-shm"))

app = typer.Typer()
restore_app = typer.Typer()


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What to make; it must not be there yet.")],
    json: Json = False,
    data: Data = None,
) -> None:
    """Back up an embedded log and what belongs to it, while processes run.

    FILE holds what people wrote, for as long as you keep it: a purge cannot reach it. The pseudonym key is not in it.
    """
    folder, log = _log_of(data)
    if not log.is_file():
        raise UsageError(f"{log}: no log is there; --data names another folder")
    with _tidied():
        made = back_up(log, [folder / name for name in BESIDE], file, SystemClock(), _progress())
    _show(made, json)
    say(f"{file} holds {made.records} records, and was read again: it is whole. Keep it as you keep patients' data.")


@restore_app.command("restore")
def restore_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    check: Annotated[bool, typer.Option("--check", help="Only prove that it is whole; put nothing in force.")] = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Put a backup in force in a data folder that holds no log, or prove with --check that it is whole."""
    folder, log = _log_of(data)
    if check:
        with _tidied():
            _show(look_at(file, SystemClock(), file.parent, _progress()), json)
        say(f"{file} is whole.")
        return
    if log != folder / LOG:
        raise Refused(f"bus.url names {log}: restore into a data folder (bus.url: embedded:), and move the log there")
    if running := locked_roles(folder):
        raise Refused(f"a process with the role {running[0]} runs on {folder}; stop it first")
    with _tidied():
        put, kept = restore(file, folder, SystemClock(), VIEWS, _progress())
    _show(put, json)
    for name in kept:
        say(f"{folder / name} was there, and stays: it is newer than the backup's.")
    say(f"{folder} is as it was at {put.made_at}. What came after is gone: the time until now becomes a gap.")
    say("Purge again what was purged since then, and expect alerts that were open then to be sent once more.")


def _log_of(data: str | None) -> tuple[Path, Path]:
    """The data folder, and the log. Raises Refused where the bus is a cluster."""
    folder = data_dir(data)
    scheme, _, rest = str(raw_settings().get("bus.url", "embedded:")).partition(":")
    if scheme != "embedded":
        raise Refused(
            f"bus.url is {scheme}: the cluster keeps copies of its own, and has its own means to back it up; with all "
            "processes stopped, `lyttepost bus copy` copies it onto an embedded log, which this command backs up"
        )
    return folder, embedded_log(rest, folder)


def _progress() -> Progress:
    show = progress_line()
    return lambda step: show(f"{step} …")


def _tidied() -> AbstractContextManager[None]:
    """Within, who ends the program (a timer, a connection that broke) leaves no copy of the log behind."""
    return ended_by(signal.SIGTERM, signal.SIGHUP, code=lambda number: 128 + number)


def _show(backup: Backup, json: bool) -> None:
    if json:
        out_json(asdict(backup))
        return
    out_table([("TOPIC", "RECORDS", "SHA-256"), *((p.topic, str(p.records), p.digest) for p in backup.topics)])
