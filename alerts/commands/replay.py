"""`lyttepost replay`: which alerts an officer would have got, had this been live."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from alerts.commands.register_text import LENGTH, Names, lines
from alerts.replay import Replay, SentCard, Summary, replaying
from listener.clock import SystemClock
from listener.commands.shared import Json, local, out, out_json, say, storable
from listener.errors import LyttepostError
from listener.model.records import Event
from listener.model.tracks import canonical
from listener.runtime.service import settle_memory
from listener.settings.files import data_dir, raw_settings
from listener.settings.schema import load_settings, parse_speed
from listener.units import format_instant

app = typer.Typer(help="Play a recording and print the alerts it would have made.")

WIDTH = 100
BAR = 30
"""Characters."""
THEMES = 10
"""Of the register, the first so many."""
FRAMES = 10
"""The bar is drawn so many times a second at most."""


@app.command()
def replay(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Recorded posts, one JSON object a line, also gzip; - is stdin.")
    ],
    track: Annotated[list[str], typer.Option("--track", metavar="PHRASE", help="Listen for it; may be repeated.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The incident's name; else the file's.")] = "",
    speed: Annotated[
        str, typer.Option("--speed", metavar="SPEED", help="1 as it happened, 60 a minute a second, max.")
    ] = "max",
    rules: Annotated[
        Path | None, typer.Option("--rules", metavar="FILE", help="Rules to try instead of those in force.")
    ] = None,
    json: Json = False,
) -> None:
    """Play FILE under an incident in a bus of its own, never in the live one, and print each alert.

    Exit code 1: nothing was read, or no post matched. The standing tracks are listened for too.
    """
    raw = raw_settings()
    settings = load_settings(raw)
    try:
        tracks = [canonical(phrase) for phrase in track]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--track") from None
    pace = speed_of(speed)
    title = storable(name, "--name") or ("standard input" if file == "-" else Path(file).name.split(".")[0])
    started = time.perf_counter()
    with (
        ending_cleanly(),
        replaying(
            raw,
            settings,
            file,
            name=title,
            tracks=tracks,
            speed=pace,
            pace=SystemClock(),
            rules=rules,
            learned=data_dir(None),
        ) as playing,
        progress(playing) as (bar, turned),
    ):
        settle_memory()
        summary = playing.play(bar.around(show_json if json else show_card), turned)
        bar.clear()
        if not json:
            show_register(playing)
    sum_up(summary, time.perf_counter() - started)
    if summary.alerts and not json:
        say("These alerts lie on no bus: there is nothing to acknowledge.")
    sys.stdout.flush()
    if (why := nothing_came_of(summary)) is not None:
        raise LyttepostError(why)


def speed_of(text: str) -> float | None:
    try:
        return parse_speed(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--speed") from None


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Told to end, we go the way of Ctrl-C: the passing bus, which holds posts, is taken away."""

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# --- an alert ----------------------------------------------------------------------------------------------------


def show_json(sent: SentCard) -> None:
    out_json(as_json(sent))
    sys.stdout.flush()


def as_json(sent: SentCard) -> dict[str, Any]:
    """The contract. `fired_at` is `at`, in the recording's time; `authors` is null where none are known."""
    a = sent.alert
    return {
        "at": format_instant(a.at),
        "event": a.event,
        "rule": a.rule,
        "severity": a.severity,
        "key": a.key,
        "count": a.count,
        "baseline": a.baseline,
        "reason": a.reason,
        "alert_id": a.id,
        "fired_at": format_instant(a.at),
        "first_seen": format_instant(a.first_seen),
        "authors": a.authors,
        "posts": a.posts,
        "reposts": a.reposts,
        "kinds": {str(kind): count for kind, count in a.kinds.items()},
        "incident": a.incident,
        "exercise": a.exercise,
        "headline": sent.card.subject,
        "samples": [{"id": s.key, "text": sent.texts.get(s.key)} for s in a.samples],
    }


def show_card(sent: SentCard) -> None:
    """The card as an officer gets it. Nobody is woken for what has passed: that is one line."""
    if sent.alert.event is Event.RESOLVED:
        show_passed(sent)
    else:
        out(f"\n{heading(sent)}\n{sent.card.text}")
        sys.stdout.flush()


def show_passed(sent: SentCard) -> None:
    out(f"\n{stamp(sent)}  {sent.card.subject}  ({sent.alert.id})")
    sys.stdout.flush()


def heading(sent: SentCard) -> str:
    """When, and of how many posts."""
    posts = "1 post" if sent.heard == 1 else f"{sent.heard} posts"
    return f"── {stamp(sent)} · {posts} heard ".ljust(WIDTH, "─")


def stamp(sent: SentCard) -> str:
    """On the wall clock that the card shows, its zone named."""
    return local(sent.alert.at)


def show_register(
    playing: Replay, *, themes: int = THEMES, samples: int = 3, length: int = LENGTH, exposed: bool = False
) -> None:
    """What the register holds at the end of the recording, the themes first."""
    found = playing.overview(themes, samples)
    incident = {playing.incident.id: playing.incident.name}
    names = Names(playing.parts.messages.themes, incident, exposed, in_house=sys.stdout.isatty())
    if found.rows:
        out("")
    for line in lines(found, names, "THEMES", length=length):
        out(line)


# --- progress ----------------------------------------------------------------------------------------------------


class Bar:
    """One line on standard error that gives way to what is printed."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._drawn = ""
        self._at = float("-inf")

    def draw(self, text: str) -> None:
        now = time.monotonic()
        if self._shown and text != self._drawn and now - self._at >= 1 / FRAMES:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
            self._drawn, self._at = text, now

    def clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn, self._at = "", float("-inf")

    def around(self, show: Callable[[SentCard], None]) -> Callable[[SentCard], None]:
        def sent(what: SentCard) -> None:
            self.clear()
            show(what)

        return sent


@contextmanager
def progress(playing: Replay) -> Iterator[tuple[Bar, Callable[[], None]]]:
    """A bar on a terminal; nothing elsewhere."""
    bar = Bar(sys.stderr.isatty() and os.environ.get("TERM") != "dumb")
    try:
        yield bar, lambda: bar.draw(_line(playing))
    finally:
        bar.clear()


def _line(playing: Replay) -> str:
    read = f"{playing.source.counts.read} read"
    done = playing.progress
    if done is None:
        return f"playing, {read}"
    return f"playing {'█' * round(BAR * done):░<{BAR}} {done:4.0%}, {read}"


# --- the summary -------------------------------------------------------------------------------------------------


def sum_up(summary: Summary, seconds: float) -> None:
    """On standard error: what became of everything that was read."""
    pace = f" ({summary.read / seconds:,.0f} posts/s)" if seconds > 0 else ""
    say(f"read      {summary.read} in {seconds:.1f} s{pace}")
    again = f", of which {summary.mentions} are mentions" if summary.mentions != summary.matched else ""
    say(f"matched   {summary.matched}{again}")
    if len(summary.sources) > 1:
        say(f"sources   {_listed(summary.sources)}")
    say(f"dropped   {_listed(summary.dropped)}")
    say(f"bad       {_listed(summary.bad)}")
    for reason, places in summary.places.items():
        more = ", …" if summary.bad[reason] > len(places) else ""
        say(f"          {reason}: {', '.join(places)}{more}")
    say(f"findings  {_listed(summary.kinds)}")
    say(f"alerts    {_listed(summary.alerts)}")
    say(f"held      {_listed(summary.suppressed)}")
    if summary.first_alert is not None:
        say(f"first alert at {local(summary.first_alert)}")
    for word in _remarks(summary):
        say(word)


def nothing_came_of(summary: Summary) -> str | None:
    """Why there was nothing to judge, or None."""
    if not summary.read:
        return "NOTHING WAS READ: the recording is empty."
    if not summary.posts:
        return "NO POST WAS READ: no line was a post. Is this the right file?"
    if not summary.matched:
        return "NO POST MATCHED. Try other words with --track; a word ending in * finds compounds too."
    return None


def _remarks(summary: Summary) -> Iterator[str]:
    if not summary.authors_known:
        yield "This recording names no authors: posts that are no reposts are counted in their place."


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"
