"""Counts as a town makes them: level, daily and weekly rhythm, scatter; the same for the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

MONDAY = datetime(2031, 1, 13, tzinfo=UTC)
FIVE = timedelta(minutes=5)


def town(
    mean: float,
    days: float,
    *,
    seed: int = 1,
    interval: timedelta = FIVE,
    rhythm: float = 1.0,
    weekend: float = 0.6,
    dispersion: float = 0.1,
    start: datetime = MONDAY,
) -> Iterator[tuple[datetime, int]]:
    """(start of interval, posts). Negative binomial: variance = mean + dispersion · mean²; loudest at 15 o'clock."""
    dice = random.Random(seed)
    for number in range(round(timedelta(days=days) / interval)):
        at = start + number * interval
        hour = at.hour + at.minute / 60
        expected = mean * math.exp(rhythm * math.cos((hour - 15) / 12 * math.pi))
        expected *= weekend if at.weekday() > 4 else 1.0
        if dispersion:
            expected = dice.gammavariate(1 / dispersion, expected * dispersion)
        yield at, poisson(dice, expected)


def poisson(dice: random.Random, mean: float) -> int:
    if mean > 50:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), dice.random(), 0
    while product > limit:
        product *= dice.random()
        count += 1
    return count
