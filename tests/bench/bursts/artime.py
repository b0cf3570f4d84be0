"""ARTime (Mark Hampton 2022) written anew from its published description: an anomaly has a shape that is new.

Of each step of samples the one that stands out most is kept, set between the least and the most *of the whole series*
(which looks ahead, as it does in the Numenta benchmark) and rounded; what is near the median becomes the median. Eight
such steps and their Haar wavelet are matched with categories of a fuzzy ART with two vigilances. A new category is an
anomaly, unless one was just told; the vigilances follow how alike shapes were.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

WINDOW = 8
WINDOWS_IN_PROBATION = 13
LEVELS = 80
CHOMP = 0.075
FIRST_VIGILANCE = 0.80
MASK = WINDOW * 3 // 2


class _Art:
    """Fuzzy ART with two vigilances. `match` and `energy`: of the newest shape with its best category."""

    def __init__(self, lower: float, upper: float) -> None:
        self.lower, self.upper = lower, upper
        self.match = self.energy = 1.0
        self.matches: list[float] = []
        self._categories = np.empty((0, 0))

    def take(self, shape: Vector, *, learn: bool = True) -> bool:
        """Whether it is a new category."""
        coded = np.concatenate([shape, 1 - shape])
        if not len(self._categories):
            self._categories = np.ones((1, len(coded)))
        common = np.minimum(self._categories, coded)
        energy = common[:, [0, -1]].sum(1) / np.maximum(self._categories[:, [0, -1]].sum(1), 1e-9)
        match = (common.sum(1) / self._categories.sum(1)) ** 3 * energy**2
        best = int(np.argmax(match))
        self.match, self.energy = float(match[best]), float(energy[best])
        self.matches.append(self.match)
        if not learn:
            return False
        if self.match >= self.upper:
            self._categories[best] = common[best]
            return False
        self._categories = np.vstack([self._categories, coded])
        return self.match < self.lower


def scores(counts: Vector) -> Vector:
    """0 where nothing is told, else how sure it is, up to 1."""
    probation = min(int(0.15 * len(counts)), 750) // 2 * 2
    step = max(1, probation // (WINDOW * WINDOWS_IN_PROBATION))
    trend = probation // step
    found = np.zeros(len(counts))
    steps = _steps(counts, step)
    shapes = [_shape(steps[n - WINDOW : n]) for n in range(WINDOW, len(steps) + 1)]
    first = _first_vigilance(np.array(shapes[: trend - WINDOW + 1]), trend)
    art = _Art(first, first)
    told, told_match, updated, recent = -MASK, 0.0, 0, []
    differences: list[float] = []
    history: list[float] = []
    masked, still = False, 0
    for n, shape in enumerate(shapes, WINDOW):
        new = art.take(shape)
        still += not new
        recent.append(art.match)
        differences.append(art.upper - art.match)
        after = n - told <= MASK
        if masked and still >= MASK:
            masked = False
        if after and history:
            history[-1] = min(history[-1], art.match)
        below = art.match < told_match * (0.9 if after else 0.7)
        if new and n > trend and (not (masked or after) or below):
            found[min(n * step - 1, len(counts) - 1)] = _sure(art)
            told, told_match = n, art.match
            history.append(art.match)
        if n > trend and (n - told == MASK or n - updated >= trend // 2):
            art.upper = min(0.97, float(np.mean(art.matches)))
            least = min(recent[-(trend // 2 + 1) :])
            if art.lower <= least:
                art.lower += (least - art.lower) * 0.19
            else:
                off = [min(each, 0.37) for each in differences[-(trend + 1) :] if each > 0.05]
                lower = art.lower - max(0.01, float(np.mean(off)) if off else 0.01)
                art.lower = max(lower, float(np.mean(history)) if history else lower)
            art.lower = min(art.lower, art.upper)
            updated, masked, still = n, True, 0
    return found


def _steps(counts: Vector, step: int) -> Vector:
    least, most = float(counts.min()), float(counts.max())
    kept: list[float] = []
    levels: list[int] = []
    average = 0.0
    for start in range(0, len(counts) - step + 1, step):
        block = counts[start : start + step]
        mean = float(block.mean())
        average = mean if not kept else 0.9 * average + 0.1 * mean
        top, bottom = float(block.max()), float(block.min())
        value = top if abs(top - average) > abs(bottom - average) else bottom
        if abs(value - mean) < 0.1 * abs(mean):
            value = mean
        level = round((value - least) / max(most - least, 1e-9) * LEVELS)
        levels.append(level)
        median = float(np.median(levels)) / LEVELS
        kept.append(median if abs(level / LEVELS - median) <= CHOMP else level / LEVELS)
    return np.array(kept)


def _shape(window: Vector) -> Vector:
    parts: list[Vector] = []
    rest = window
    while len(rest) > 1:
        pairs = rest.reshape(-1, 2)
        parts.insert(0, (pairs[:, 0] - pairs[:, 1]) / np.sqrt(2))
        rest = (pairs[:, 0] + pairs[:, 1]) / np.sqrt(2)
    wave = np.concatenate([rest, *parts])
    spread = float(wave.max() - wave.min())
    return np.concatenate([(wave - wave.min()) / spread if spread else np.zeros_like(wave), window])


def _first_vigilance(shapes: Vector, trend: int) -> float:
    norms = np.linalg.norm(shapes, axis=1)
    alike = shapes @ shapes.T / np.maximum(np.outer(norms, norms), 1e-9)
    silent = norms == 0
    alike[silent] = 1 - norms
    alike[:, silent] = (1 - norms)[:, None]
    art = _Art(FIRST_VIGILANCE, FIRST_VIGILANCE)
    for row in np.argsort(alike.sum(1), kind="stable"):
        art.take(shapes[row])
    return float(np.mean(art.matches[trend // 2 :]))


def _sure(art: _Art) -> float:
    off = 1 - min(art.match, 0.999)
    far = 0.35 * (off - (1 - art.upper)) / off + 0.65 * (off - (1 - art.lower)) / off
    return round(min(1.0, max(far + 1.5 * (1 - art.energy), 0.0)), 6)
