"""`lyttepost replay`: what an officer would have been told, had this been live."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from alerts.replaying import Replay, Summary, Told, replaying
from listener.clock import SystemClock
from listener.commands import Json, out, out_json, say
from listener.config import raw_settings
from listener.errors import LyttepostError
from listener.settings import load_settings, parse_speed
from listener.tracks import canonical
from listener.units import format_instant

app = typer.Typer(help="Play a recording and print the alerts it would have made.")

RULE = "─" * 72


@app.command()
def replay(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Recorded posts, one JSON object a line; - is standard input.")
    ],
    track: Annotated[list[str], typer.Option("--track", metavar="PHRASE", help="Listen for it; may be repeated.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The incident's name; else the file's.")] = "",
    speed: Annotated[
        str, typer.Option("--speed", metavar="max", help="1 as it happened, 60 a minute a second, max.")
    ] = "max",
    rules: Annotated[
        Path | None, typer.Option("--rules", metavar="FILE", help="Rules to try instead of those in force.")
    ] = None,
    json: Json = False,
) -> None:
    """Play FILE under an incident in a bus of its own, never in the live one, and print each alert."""
    raw = raw_settings()
    settings = load_settings(raw)
    try:
        tracks, pace = [canonical(phrase) for phrase in track], parse_speed(speed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    title = name or ("standard input" if file == "-" else Path(file).name.split(".")[0])
    started = time.perf_counter()
    with (
        replaying(
            raw, settings, file, name=title, tracks=tracks, speed=pace, pace=SystemClock(), rules=rules
        ) as playing,
        progress(playing) as turned,
    ):
        summary = playing.play(_json if json else show, turned)
    refuse_nothing(playing)
    sum_up(summary, time.perf_counter() - started)


def _json(told: Told) -> None:
    out_json(told.to_json())
    sys.stdout.flush()


def show(told: Told) -> None:
    """A card, as an officer gets it."""
    out(f"{RULE}\n{told.card.text}\n{RULE}")


def refuse_nothing(playing: Replay) -> None:
    """A source that could not be opened has said why to its health part."""
    _, parts = playing.house.health.ready()
    problem = parts.get(playing.listen.name)
    if playing.source.counts.read == 0 and problem and problem != "starting":
        raise LyttepostError(problem)


@contextmanager
def progress(playing: Replay) -> Iterator[Callable[[], None]]:
    """A bar on a terminal; nothing elsewhere."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda: None
        return
    with typer.progressbar(length=1000, label="playing", file=sys.stderr) as bar:

        def turned() -> None:
            done = int(1000 * float(playing.source.state().get("progress") or 0))
            if done > bar.pos:
                bar.update(done - bar.pos)

        yield turned


def sum_up(summary: Summary, seconds: float) -> None:
    """On standard error: what became of everything that was read."""
    pace = f"{summary.read / seconds:,.0f} posts/s" if seconds > 0 else ""
    say(f"read      {summary.read} in {seconds:.1f} s ({pace})")
    say(f"matched   {summary.matched}, of which {summary.mentions} are mentions")
    say(f"dropped   {_listed(summary.dropped)}")
    say(f"bad       {_listed(summary.bad)}")
    say(f"findings  {_listed(summary.kinds)}")
    say(f"alerts    {_listed(summary.alerts)}")
    say(f"held      {_listed(summary.suppressed)}")
    if summary.first_alert is not None:
        say(f"first alert at {format_instant(summary.first_alert)}")
    if not summary.authors_known:
        say("This recording names no authors: posts that are no reposts are counted in their place.")


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
