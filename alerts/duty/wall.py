"""Wall time: what a clock on a wall shows, and the instants it stands for on the two nights on which it is set.

When clocks are set back a wall time comes twice; when they are set forward some never come. A hand-over at a wall time
is the first of the two, or the first instant that exists. What ends at a wall time may as well end with the last.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from listener.errors import Refusal, UsageError
from listener.units import FIRST, LAST, parse_time

_SECOND = timedelta(seconds=1)


def wall_of(at: datetime, zone: tzinfo) -> datetime:
    """What the wall shows at an instant: without a zone."""
    return at.astimezone(zone).replace(tzinfo=None)


def entered(text: str, field: str, zone: Callable[[], tzinfo]) -> datetime:
    """The instant that a person means: with an offset, or one on the wall in that zone, which is asked for only then.

    Raises UsageError.
    """
    try:
        found = parse_time(text)
        at = found if found.tzinfo else first(found, zone())
        if FIRST < at < LAST:
            return at
    except (ValueError, OverflowError):
        pass
    problem = f"{text!r} is no time; write one like 2026-12-24T08:00 or 2026-12-24T07:00:00Z"
    raise UsageError(problem, field, Refusal.NO_TIME)


@lru_cache(maxsize=65_536)
def first(wall: datetime, zone: tzinfo) -> datetime:
    """The first instant at which the wall shows this; where it never does, the first instant after. In UTC."""
    return _instant(wall, zone, fold=0)


@lru_cache(maxsize=65_536)
def last(wall: datetime, zone: tzinfo) -> datetime:
    """The last instant at which the wall shows this; where it never does, the first instant after. In UTC."""
    return _instant(wall, zone, fold=1)


def _instant(wall: datetime, zone: tzinfo, fold: int) -> datetime:
    found = wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if wall_of(found, zone) == wall:
        return found
    # The wall jumps over it. Read with the offset of after it lies before the jump, with that of before behind it.
    either = (wall.replace(tzinfo=zone, fold=each).astimezone(UTC) for each in (0, 1))
    before, after = sorted(either)
    return _change(before, after, zone)


def _change(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The whole second between two instants from which on the zone has the offset of the later one."""
    offset = after.astimezone(zone).utcoffset()
    low, high = before.replace(microsecond=0), after.replace(microsecond=0)
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


def clock_changes(zone: tzinfo, start: datetime, end: datetime) -> list[datetime]:
    """The instants between two at which the zone's clocks are set, in UTC."""
    found, at = [], start
    while at < end:
        next_day = min(at + timedelta(days=1), end)
        if at.astimezone(zone).utcoffset() != next_day.astimezone(zone).utcoffset():
            found.append(_change(at, next_day, zone))
        at = next_day
    return found
