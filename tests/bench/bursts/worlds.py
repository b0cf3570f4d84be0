"""Worlds in which a burst detector is tried: series whose bursts are known. The same for the same seed.

Of the outside series of mentions (`LYTTEPOST_EVALUATION_DATA`), with the benchmark's own windows:

- `real`: as they are.
- `in order`: each day without a burst is changed for one near it, the level drifts, rates are thinned or raised.
- `resampled`: days are drawn anew, and so are the days with a burst, in any order.
- `injected`: drawn from days without a burst, with dirt (drift, a new level, silent stretches, spikes of five
  minutes that mean nothing), and bursts of known onset, size and shape, among them those of recorded crises.

And without any: `made up` (daily and weekly rhythm, slow noise, outbursts of power-law size, dirt, injected bursts).
`quiet` is the like of both without a burst, to count false alarms.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from pathlib import Path

import numpy as np

from tests.bench.bursts.scoring import Counts, World, windows_around

START = datetime(2015, 2, 26, 21, 42, 53)  # noqa: DTZ001 -- the clock of the outside series, which names no zone
ROWS = 15_800
DAY = 288
HEAD = 28
"""Rows before the first midnight."""
DAYS = ROWS // DAY
AROUND = 36
"""Rows before and after a day within which a burst makes it a day of that burst."""
KINDS = ("real", "in order", "resampled", "injected", "made up", "quiet")


@dataclass(frozen=True)
class Recorded:
    """An outside series. `bursts`: the rows that its makers labelled."""

    world: World
    bursts: list[int]

    def days(self) -> Iterator[tuple[int, bool, bool]]:
        """(first row, has a burst in or near it, weekend) of each whole day."""
        for first in range(HEAD, len(self.world.counts) - DAY + 1, DAY):
            near = any(first - AROUND <= row < first + DAY + AROUND for row in self.bursts)
            yield first, near, weekend((first - HEAD) // DAY)


def weekend(day: int) -> bool:
    """Of the whole days from `START` on."""
    return (date(2015, 2, 27) + timedelta(days=day)).weekday() > 4


def recorded(data: Path) -> list[Recorded]:
    folder = data / "mention-volumes"
    windows, labels = (json.loads((folder / name).read_text()) for name in ("windows.json", "labels.json"))
    found = []
    for file in sorted(folder.glob("Twitter_volume_*.csv")):
        with file.open() as read:
            rows = list(csv.DictReader(read))
        at = {row["timestamp"]: n for n, row in enumerate(rows)}
        key = f"realTweets/{file.name}"
        counts = np.array([float(row["value"]) for row in rows])
        spans = [(at[first[:19]], at[last[:19]]) for first, last in windows[key]]
        world = World("real", file.stem.removeprefix("Twitter_volume_"), counts, spans)
        found.append(Recorded(world, [at[label] for label in labels[key]]))
    return found


def crisis_shapes(data: Path) -> list[Counts]:
    """How posts came in five minutes each from where a recorded crisis grew loud: half a day, its loudest set to 1."""
    found = []
    for file in sorted((data / "crisis-recordings" / "timelines").glob("*.csv")):
        with file.open() as read:
            posts = sorted(datetime.fromisoformat(row["created_at"]).timestamp() for row in csv.DictReader(read))
        counts = np.bincount([int((post - posts[0]) // 300) for post in posts]).astype(float)
        hours = np.convolve(counts, np.ones(12), "full")[: len(counts)]
        top = hours[: 3 * DAY].max()
        onset = max(0, int(np.argmax(hours >= 0.5 * top)) - 12)
        while onset > 0 and counts[max(0, onset - 6) : onset].sum() > 0.05 * top:
            onset -= 1
        shape = counts[onset : onset + DAY // 2]
        if shape.sum() >= 60:
            found.append(shape / np.convolve(shape, np.ones(3) / 3, "same").max())
    return found


class Maker:
    """Makes worlds from a seed. Without `data` there are `made up` and `quiet` ones alone."""

    def __init__(self, seed: int, data: Path | None) -> None:
        self._dice = np.random.default_rng(seed)
        self.recorded = recorded(data) if data else []
        self._shapes = crisis_shapes(data) if data else []

    def worlds(self, each: int) -> list[World]:
        """So many of each kind but the real ones."""
        found = [its.world for its in self.recorded]
        for n in range(each):
            if self.recorded:
                its = self.recorded[n % len(self.recorded)]
                found += [self._in_order(its), self._resampled(its), self._with_bursts("injected", *self._drawn(its))]
            found.append(self._with_bursts("made up", self._made_up(), str(n)))
            counts, name = self._drawn(its) if self.recorded and n % 2 else (self._made_up(), str(n))
            found.append(World("quiet", name, counts, []))
        return found

    def _in_order(self, its: Recorded) -> World:
        days, counts = list(its.days()), its.world.counts.copy()
        for n, (first, near, rest) in enumerate(days):
            others = [f for f, b, r in days[max(0, n - 10) : n + 11] if not b and r == rest]
            if not near and others:
                other = int(self._dice.choice(others))
                counts[first : first + DAY] = its.world.counts[other : other + DAY]
        factor = self._factor(counts, 0.15, 4)
        counts = self._chance(self._rescale(counts, factor) * self._drift(len(counts), 0.5))
        return World("in order", f"{its.world.name} × {factor:.2f}", counts, its.world.windows)

    def _resampled(self, its: Recorded) -> World:
        wanted = self._dice.choice(np.arange(4, DAYS - 1), size=len(its.bursts), replace=False)
        bursts = {int(day): int(self._dice.choice(its.bursts)) for day in wanted}
        counts, rows = self._redraw(its, bursts)
        factor = self._factor(counts, 0.1, 6)
        return World(
            "resampled", f"{its.world.name} × {factor:.2f}", self._rescale(counts, factor), windows_around(rows, ROWS)
        )

    def _drawn(self, its: Recorded) -> tuple[Counts, str]:
        counts, _ = self._redraw(its, {})
        factor = self._factor(counts, 0.1, 6)
        return self._dirty(self._rescale(counts, factor)), f"{its.world.name} × {factor:.2f}"

    def _redraw(self, its: Recorded, bursts: dict[int, int]) -> tuple[Counts, list[int]]:
        """`bursts`: day → the row of the burst whose day stands there."""
        pools: dict[bool, list[int]] = {False: [], True: []}
        for first, near, rest in its.days():
            if not near:
                pools[rest].append(first)
        parts, rows = [its.world.counts[pools[False][0] + DAY - HEAD : pools[False][0] + DAY]], []
        for day in range(DAYS):
            first = int(self._dice.choice(pools[weekend(day)]))
            if day in bursts:
                first = HEAD + (bursts[day] - HEAD) // DAY * DAY
                rows.append(HEAD + day * DAY + bursts[day] - first)
            parts.append(its.world.counts[first : first + DAY])
        return np.resize(np.concatenate(parts), ROWS), sorted(rows)

    def _factor(self, counts: Counts, least: float, most: float) -> float:
        """So thin that nothing is left is of no use."""
        return max(
            float(np.exp(self._dice.uniform(np.log(least), np.log(most)))), min(1.0, 0.25 / float(counts.mean()))
        )

    def _rescale(self, counts: Counts, factor: float) -> Counts:
        if factor < 1:
            return self._dice.binomial(counts.astype(int), factor).astype(float)
        return self._dice.poisson(counts * factor).astype(float)

    def _chance(self, mean: Counts) -> Counts:
        return np.where(mean < 50, self._dice.poisson(np.minimum(mean, 1e6)), np.round(mean))

    def _drift(self, rows: int, most: float) -> Counts:
        days = np.array(list(accumulate(self._dice.normal(0, 1, rows // DAY + 2))))
        days = (days - days.mean()) / max(float(np.abs(days).max()), 1e-9) * self._dice.uniform(0, most)
        return np.exp(np.interp(np.arange(rows), np.arange(len(days)) * DAY, days))

    def _dirty(self, counts: Counts) -> Counts:
        dice, rows = self._dice, len(counts)
        if dice.random() < 0.5:
            counts = self._chance(counts * self._drift(rows, 0.9))
        if dice.random() < 0.3:
            counts[int(dice.integers(rows // 5, rows * 4 // 5)) :] *= np.exp(
                dice.choice([-1, 1]) * dice.uniform(0.4, 1.1)
            )
        if dice.random() < 0.4:
            for _ in range(dice.integers(1, 4)):
                first = int(dice.integers(0, rows - 300))
                counts[first : first + int(dice.integers(6, DAY))] = 0
        if dice.random() < 0.5:
            for row in dice.integers(0, rows, int(dice.integers(2, 25))):
                near = counts[max(0, row - DAY // 2) : row + DAY // 2].mean()
                counts[row] = (near + 1) * np.exp(dice.uniform(0.5, 2))
        return np.round(counts)

    def _made_up(self) -> Counts:
        dice, rows = self._dice, np.arange(ROWS)
        hour, day = (rows - HEAD) / 12 % 24, (rows - HEAD) // DAY
        mean, peak = np.exp(dice.uniform(np.log(0.3), np.log(150))), dice.uniform(0, 24)
        shape = dice.uniform(0, 1) * np.cos((hour - peak) / 12 * np.pi)
        shape += dice.uniform(0, 0.4) * np.cos((hour - peak - 3) / 6 * np.pi)
        shape -= dice.uniform(0, 1) * np.array([weekend(int(each)) for each in day])
        shape += self._slow_noise()
        rate = np.exp(shape - np.log(np.exp(shape).mean())) * mean
        for row in np.flatnonzero(dice.random(ROWS) < np.exp(dice.uniform(np.log(0.3), np.log(20))) / DAY):
            fades = float(dice.choice([0.5, 2, 6, 20]))
            length = min(int(5 * fades) + 1, ROWS - int(row))
            size = mean * dice.uniform(0.3, 1) * dice.pareto(dice.uniform(1.7, 3))
            rate[row : row + length] += size * np.exp(-np.arange(length) / fades)
        scatter = dice.uniform(0.005, 0.25)
        return self._dirty(dice.poisson(dice.gamma(1 / scatter, rate * scatter)).astype(float))

    def _slow_noise(self) -> Counts:
        """An hour or a day is a little louder than it ought to be: half an hour to half a day at a time."""
        keeps = float(np.exp(-1 / np.exp(self._dice.uniform(np.log(6), np.log(144)))))
        size = self._dice.uniform(0.05, 0.6) * np.sqrt(1 - keeps**2)
        return np.array(list(accumulate(self._dice.normal(0, size, ROWS), lambda before, new: keeps * before + new)))

    def _with_bursts(self, kind: str, counts: Counts, name: str) -> World:
        """Two to five, from a little to fifty times above the level of the day; long ones need less to stand out."""
        dice, wanted = self._dice, int(self._dice.integers(2, 6))
        level = np.convolve(np.pad(counts, (DAY // 2, DAY // 2 - 1), "edge"), np.ones(DAY) / DAY, "valid")
        onsets: list[int] = []
        while len(onsets) < wanted:
            row = int(dice.integers(800, ROWS - 200))
            if all(abs(row - other) > 1.05 * 0.1 * ROWS / wanted for other in onsets):
                onsets.append(row)
        rows = []
        for onset in sorted(onsets):
            shape, usual = self._shape(), max(float(level[onset]), 0.15)
            height = np.exp(dice.uniform(1.5, 4)) * (shape > 0.5).sum() ** -0.25 * (usual + np.sqrt(usual) + 0.5)
            more = dice.poisson(dice.gamma(8, 1 / 8, len(shape)) * shape * height)[: ROWS - onset]
            counts[onset : onset + len(more)] += more
            rows.append(onset + int(np.argmax(np.convolve(more, np.ones(3), "same"))))
        return World(kind, name, counts, windows_around(rows, ROWS, wanted))

    def _shape(self) -> Counts:
        dice = self._dice

        def rows(least: float, most: float) -> float:
            return float(np.exp(dice.uniform(np.log(least), np.log(most))))

        match int(dice.integers(0, 5 if self._shapes else 4)):
            case 0:
                return np.array([1.0]) if dice.random() < 0.5 else np.array([1.0, dice.uniform(0.1, 0.6)])
            case 1:
                fades = rows(2, 36)
                return np.exp(-np.arange(int(5 * fades)) / fades)
            case 2:
                rises, fades = int(rows(2, 36)), rows(6, 72)
                return np.concatenate([np.arange(1, rises + 1) / rises, np.exp(-np.arange(int(4 * fades)) / fades)])
            case 3:
                return np.ones(int(rows(6, 144)))
            case _:
                return self._shapes[int(dice.integers(len(self._shapes)))]
