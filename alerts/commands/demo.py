"""`lyttepost demo`: the whole thing in under a minute, without any account."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from alerts.commands.register import show as show_register
from alerts.commands.replay import progress, show, sum_up
from alerts.replaying import replaying
from listener.clock import SystemClock
from listener.commands import out, say
from listener.config import packaged_config, raw_settings
from listener.records import AuthorClass, Kind
from listener.settings import load_settings, parse_speed

app = typer.Typer(help="See the whole thing in under a minute, without any account.")

NAME = "Brann, Fjordby universitetssykehus"
TRACKS = ("fjordby*", "FUS", "nordbygg*", "sjukehus*", "@FUSykehus_fjb")
NAMED = {
    "fusykehus_fjb": AuthorClass.PUBLIC_BODY,
    "fjpolitiet_fjb": AuthorClass.PUBLIC_BODY,
    "brannfj_fjb": AuthorClass.PUBLIC_BODY,
    "kommune_fjb": AuthorClass.PUBLIC_BODY,
    "posten_fjb": AuthorClass.MEDIA,
    "rikskan_fjb": AuthorClass.MEDIA,
    "wire_fjb": AuthorClass.MEDIA,
    "radiokyst_fjb": AuthorClass.MEDIA,
}

BEGIN = """\
A fire breaks out at Fjordby universitetssykehus, on a Saturday night. Hospital, people and posts are made up.
Three hours of posts are played through the real pipeline, under an incident marked as an exercise (ØVELSE).
Each card below is what the duty officer would get.
"""

NEXT = """\
Try next:
  lyttepost mode crisis --name "Brann, Ullevål" --track "ullevål brann" --exercise --why "to try it"
      opens an incident in a log of your own; `lyttepost mode calm --why "tried it"` closes it
  lyttepost run
      listens, judges and tells until you stop it; http://127.0.0.1:9469/metrics shows how it is
  lyttepost config init my-config
      writes all settings, tracks, rules and people for you to change
"""


@app.command()
def demo(
    speed: Annotated[
        str, typer.Option("--speed", metavar="600", help="How many times as fast as it happened, or max.")
    ] = "600",
) -> None:
    """Play a made-up hospital crisis and show the alerts, the register and what to try next."""
    raw = raw_settings()
    settings = load_settings(raw)
    try:
        pace = parse_speed(speed)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--speed") from None
    recording = packaged_config() / "demo" / "crisis.jsonl"
    say(BEGIN)
    started = time.perf_counter()
    with replaying(
        raw, settings, str(recording), name=NAME, tracks=TRACKS, speed=pace, pace=SystemClock(), named=NAMED
    ) as playing:
        with progress(playing) as turned:
            summary = playing.play(show, turned)
        out("")
        for kind in (Kind.WISH, Kind.VIEWPOINT):
            show_register(kind, playing.register.top(kind, limit=5))
            out("")
    sum_up(summary, time.perf_counter() - started)
    say("")
    say(NEXT)
