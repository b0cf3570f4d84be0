"""Posts over time as a drawing: bars, the band of what is usual, and shaded what was not heard, never zero. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from alerts.situation.loudness import STEP, Step, TrackLoudness
from alerts.situation.words import Words
from listener.model.gaps import is_whole
from listener.model.records import Gap

WIDTH, HEIGHT = 720, 150
"""Of the drawing, in units of its own."""
LEAST_TOP = 4
"""Posts that a bar of full height stands for, at least: one post is no tower."""
NEWEST = 2
"""Steps at the end that may not have been counted yet: they are no silence, and nothing that was missed."""
_HOUR = timedelta(hours=1)


class Bar(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    loud: bool
    """More than what is usual."""


class Shade(NamedTuple):
    x: float
    width: float


class Tick(NamedTuple):
    x: float
    text: str


class Hour(NamedTuple):
    """A row of the table that stands for the drawing. `posts` is empty where nothing is known."""

    time: str
    posts: str
    usual: str


@dataclass(frozen=True)
class Graph:
    """`band`: the points of a polygon, empty where nothing is known of what is usual."""

    title: str
    summary: str
    bars: Sequence[Bar]
    band: str
    unknown: Sequence[Shade]
    ticks: Sequence[Tick]
    top: int
    hours: Sequence[Hour]
    counts: Sequence[int | None] = ()
    """Posts in each step; None where not all was heard."""
    width: int = WIDTH
    height: int = HEIGHT


def draw(title: str, steps: Sequence[Step], gaps: Iterable[Gap], words: Words, now: datetime) -> Graph:
    """`gaps`: when the sources of these posts were not heard."""
    unfilled = [gap for gap in gaps if not is_whole(gap)]
    known = [step.posts for step in steps if step.posts is not None]
    usual = [step.usual[1] for step in steps if step.usual is not None]
    top = max([LEAST_TOP, *known, *(round(most) for most in usual)])
    each = WIDTH / max(len(steps), 1)
    bars, shades = [], []
    counts: list[int | None] = []
    for number, step in enumerate(steps):
        x = number * each
        not_yet = step.posts is None and number >= len(steps) - NEWEST
        deaf = (step.posts is None and not not_yet) or _is_in(step, unfilled)
        counts.append(None if deaf else step.posts or 0)
        if deaf:
            shades.append(Shade(round(x, 1), round(each, 1)))
        if step.posts:
            height = HEIGHT * step.posts / top
            loud = step.usual is not None and step.posts > step.usual[1]
            bars.append(Bar(round(x + 1, 1), round(HEIGHT - height, 1), round(each - 2, 1), round(height, 1), loud))
    return Graph(
        title, _summary(steps, shades, words), bars, _band(steps, top, each), _joined(shades),
        _ticks(steps, each, words), top, _hours(steps, unfilled, words, now),
        counts,
    )  # fmt: skip


def draw_track(found: TrackLoudness, gaps: Iterable[Gap], words: Words, now: datetime, title: str) -> Graph:
    return draw(title, found.steps, [gap for gap in gaps if gap.source == found.source], words, now)


def added(tracks: Sequence[TrackLoudness], steps: Sequence[Step]) -> list[Step]:
    """All posts against what is usual for all tracks together, where that is known of each of them."""
    usual: dict[datetime, list[tuple[float, float] | None]] = {}
    for track in tracks:
        for step in track.steps:
            usual.setdefault(step.at, []).append(step.usual)
    out = []
    for step in steps:
        bands = [band for band in usual.get(step.at, []) if band is not None]
        all_known = bands and len(bands) == len(tracks)
        band = (max(low for low, _ in bands), sum(high for _, high in bands)) if all_known else None
        out.append(step._replace(usual=band))
    return out


def _is_in(step: Step, gaps: Iterable[Gap]) -> bool:
    return any(gap.start < step.at + STEP and (gap.end is None or gap.end > step.at) for gap in gaps)


def _band(steps: Sequence[Step], top: int, each: float) -> str:
    """Only where it is known of every step: a band with holes is no band."""
    if not steps or any(step.usual is None for step in steps):
        return ""
    bands = [step.usual or (0.0, 0.0) for step in steps]
    middles = [(number + 0.5) * each for number in range(len(bands))]
    middles[0], middles[-1] = 0.0, float(WIDTH)
    highs = [f"{x:.1f},{HEIGHT * (1 - min(high / top, 1)):.1f}" for x, (_, high) in zip(middles, bands, strict=True)]
    lows = [f"{x:.1f},{HEIGHT * (1 - min(low / top, 1)):.1f}" for x, (low, _) in zip(middles, bands, strict=True)]
    return " ".join([*highs, *reversed(lows)])


def _joined(shades: Sequence[Shade]) -> list[Shade]:
    """Neighbours as one."""
    out: list[Shade] = []
    for shade in shades:
        if out and shade.x - (out[-1].x + out[-1].width) < 0.5:
            out[-1] = Shade(out[-1].x, round(shade.x + shade.width - out[-1].x, 1))
        else:
            out.append(shade)
    return out


def _ticks(steps: Sequence[Step], each: float, words: Words) -> list[Tick]:
    """Each full hour, by the hospital's clock."""
    found = []
    for number, step in enumerate(steps):
        text = words.messages.hour_of(step.at)
        if number and text is not None:
            found.append(Tick(round(number * each, 1), text))
    return found


def _hours(steps: Sequence[Step], gaps: Sequence[Gap], words: Words, now: datetime) -> list[Hour]:
    size = _HOUR // STEP
    found = []
    for start in range(0, len(steps), size):
        part = steps[start : start + size]
        known = [step.posts for step in part if step.posts is not None]
        deaf = any(step.posts is None or _is_in(step, gaps) for step in part)
        posts = words.say("graph.at_least", n=sum(known)) if deaf and known else str(sum(known)) if known else ""
        bands = [step.usual for step in part if step.usual is not None]
        usual = ""
        if len(bands) == len(part):
            usual = f"{sum(low for low, _ in bands):.0f}–{sum(high for _, high in bands):.0f}"
        found.append(Hour(words.messages.span(part[0].at, part[-1].at + STEP, now), posts, usual))
    return found


def _summary(steps: Sequence[Step], shades: Sequence[Shade], words: Words) -> str:
    hour = steps[-(_HOUR // STEP) :]
    posts = sum(step.posts or 0 for step in hour)
    text = words.count("graph.last_hour", posts)
    if hour and all(step.usual is not None for step in hour):
        most = sum(step.usual[1] for step in hour if step.usual is not None)
        text += " " + words.say("graph.usual", most=f"{most:.0f}")
    else:
        text += " " + words.say("graph.usual_unknown")
    return text + (" " + words.say("graph.not_all_heard") if shades else "")
