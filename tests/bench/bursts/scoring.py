"""What a detector's alarms are worth: the score of the Numenta benchmark, standard profile (Lavin & Ahmad 2015).

An alarm in a window earns by how early it is (1 at the first row, 0 at the last), each further one in it nothing; a
window without one costs 1; each row of an alarm outside costs up to 0.11, less soon after a window. The sum is set
between 0 (a detector that never speaks) and 100 (each window hit on its first row, nothing else).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

ROW_MINUTES = 5
FALSE_ALARM = 0.11
PROBATION_SHARE, PROBATION_MOST = 0.15, 750
WINDOWS_SHARE = 0.1
"""All windows together have this share of the rows."""
ROWS_A_WEEK = 7 * 24 * 60 // ROW_MINUTES
SAME_ALARM = 12
"""False rows within an hour are one alarm."""

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """Sums over series: `raw` as the benchmark adds up, `rows` scored rows of all of them."""

    raw: float = 0.0
    hits: int = 0
    windows: int = 0
    false_alarms: int = 0
    rows: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.raw + other.raw,
            self.hits + other.hits,
            self.windows + other.windows,
            self.false_alarms + other.false_alarms,
            self.rows + other.rows,
        )

    @property
    def points(self) -> float:
        """0 to 100, or less than 0; NaN without windows."""
        return 50 * (self.raw + self.windows) / self.windows if self.windows else float("nan")

    @property
    def a_week(self) -> float:
        """False alarms a week and series."""
        return self.false_alarms / (self.rows / ROWS_A_WEEK) if self.rows else 0.0


def total(scores: Iterable[Score]) -> Score:
    return sum(scores, Score())


def windows_around(rows: Sequence[int], length: int, wanted: int = 0) -> list[tuple[int, int]]:
    """First and last row of the window around each anomaly, as the benchmark makes them. `wanted`: how many anomalies
    share the length, where some were joined."""
    half = int(WINDOWS_SHARE * length / (wanted or len(rows) or 1)) // 2
    found: list[tuple[int, int]] = []
    for row in sorted(rows):
        first, last = max(0, row - half), min(length - 1, row + half)
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], last
        else:
            found.append((first, last))
    return found


@dataclass(frozen=True)
class World:
    """A series of counts, five minutes a row, with the windows in which a burst is to be found."""

    kind: str
    name: str
    counts: Counts
    windows: list[tuple[int, int]]
    _worth: Counts = field(init=False, repr=False)
    _window: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rows = len(self.counts)
        worth, window = np.full(rows, -1.0), np.full(rows, -1)
        for n, (first, last) in enumerate(self.windows):
            length = last - first + 1
            inside = np.arange(first, last + 1)
            worth[inside] = _sigma(-(last - inside + 1) / length) / _sigma(np.array(-1.0))
            window[inside] = n
            end = self.windows[n + 1][0] if n + 1 < len(self.windows) else rows
            after = np.arange(last + 1, end)
            worth[after] = _sigma((after - last) / (length - 1))
        object.__setattr__(self, "_worth", worth)
        object.__setattr__(self, "_window", window)

    @property
    def probation(self) -> int:
        """Rows at the start that are not scored."""
        return min(int(PROBATION_SHARE * len(self.counts)), PROBATION_MOST)

    def score(self, alarms: Iterable[int]) -> Score:
        """Of the rows on which there was an alarm."""
        best: dict[int, float] = {}
        cost, false, last = 0.0, 0, -SAME_ALARM - 1
        for row in alarms:
            if row < self.probation:
                continue
            window = int(self._window[row])
            if window >= 0:
                best[window] = max(best.get(window, -1.0), float(self._worth[row]))
                continue
            cost += FALSE_ALARM * float(self._worth[row])
            false += int(row - last > SAME_ALARM)
            last = row
        wanted = len(set(self._window[self.probation :].tolist()) - {-1})
        raw = sum(best.values()) - (wanted - len(best)) + cost
        return Score(raw, len(best), wanted, false, len(self.counts))


def _sigma(y: Counts) -> Counts:
    return np.where(y > 3.0, -1.0, 2 / (1 + np.exp(5 * np.minimum(y, 3.0))) - 1)
