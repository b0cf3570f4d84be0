"""`lyttepost board demo`: the demo's crisis on the board, in a browser, nothing else needed."""

from __future__ import annotations

import json
import logging
import sys
import webbrowser
from typing import Annotated

import typer

from listener.clock import SystemClock
from listener.commands.shared import out
from listener.settings.files import packaged_config, raw_settings
from listener.units import parse_time

PORT = 9471

BEGIN = """\
The board is at {address}

A made-up night: on a Saturday a fire breaks out at a hospital. Three hours of posts are played {speed:g} times as fast
as they came, through the real pipeline, as an exercise. You are one of the crisis team: look, acknowledge, answer,
switch. Nobody is called, and all is thrown away when you stop it (Ctrl+C)."""


def demo(
    speed: Annotated[
        float, typer.Option("--speed", min=1, max=600, help="How many times as fast as it happened.")
    ] = 10,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The board's port; 0 is any free one.")] = PORT,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
) -> None:
    """Play a made-up hospital crisis on the board, on this machine alone, until you stop it."""
    from alerts.board_demo import board_demo
    from alerts.commands.demo import NAME, NAMED, PLATFORM, TRACKS
    from listener.runtime.logs import set_up
    from listener.settings.schema import load_settings

    raw, wall = raw_settings(), SystemClock()
    set_up(sys.stderr, wall, verbose=False)
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    logging.getLogger().setLevel(logging.ERROR)
    with (packaged_config() / "demo" / "crisis.jsonl").open(encoding="utf-8") as lines:
        posts = [raw.get("data", raw) for raw in map(json.loads, lines)]
    times = [parse_time(post["created_at"]) for post in posts]
    with board_demo(
        raw, load_settings(raw), name=NAME, tracks=TRACKS, named=NAMED, platform=PLATFORM,
        first=times[0], last=times[-1], speed=speed, port=port, wall=wall,
    ) as playing:  # fmt: skip
        out(BEGIN.format(address=playing.address, speed=speed))
        sys.stdout.flush()
        if browser:
            webbrowser.open(playing.address)
        playing.run()
