"""Detectors that are compared: ours, those that everybody has, and two published ones. Counts → scores by row."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np

from alerts.rules.conditions import burst_detector
from tests.bench.bursts import artime, context
from tests.bench.bursts.scoring import ROW_MINUTES, Counts
from tests.bench.bursts.worlds import DAY, START

Detector = Callable[[Counts], Counts]
QUIET = 36
"""Rows: what follows an alarm within three hours belongs to it."""


def ours(module: object = burst_detector) -> Detector:
    """The detector of the rule `burst`, as it runs. `module`: another version of it."""

    def scores(counts: Counts) -> Counts:
        interval = timedelta(minutes=ROW_MINUTES)
        burst = module.Burst(interval)  # type: ignore[attr-defined]
        return np.array([burst.step(START + n * interval, float(count)).score for n, count in enumerate(counts)])

    return scores


def other_version(file: Path) -> Detector:
    """The same of another checkout: `file` is its `burst_detector.py`."""
    spec = importlib.util.spec_from_file_location("other_burst_detector", file)
    if spec is None or spec.loader is None:
        raise ValueError(f"{file} is no Python module: name the burst_detector.py of another checkout")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return ours(module)


def robust_z(counts: Counts) -> Counts:
    """Against median and median deviation of the last 24 hours. A deviation of none counts as one post."""
    before = np.concatenate([np.full(DAY, counts[0]), counts[:-1]])
    windows = np.lib.stride_tricks.sliding_window_view(before, DAY)
    median = np.median(windows, axis=1)
    spread = 1.4826 * np.median(np.abs(windows - median[:, None]), axis=1)
    return (counts - median) / np.maximum(spread, 1.0)


def seasonal_tail(counts: Counts) -> Counts:
    """How far above chance, by a negative binomial whose mean is the level of two days times the hour's share of four
    weeks, and whose scatter is what it was: −ln of Chernoff's bound on its tail."""
    mean, share, scatter = float(counts[0]) + 0.5, np.ones(24), 0.1
    found = np.zeros(len(counts))
    for row, count in enumerate(counts):
        hour = int((START + timedelta(minutes=ROW_MINUTES * row)).hour)
        expected = max(mean * share[hour], 0.05)
        if count > expected:
            size = 1 / scatter
            found[row] = count * np.log(count / expected) - (count + size) * np.log((count + size) / (expected + size))
        kept = min(float(count), expected + 4 * np.sqrt(expected + scatter * expected**2))
        mean += (kept - mean * share[hour]) / share[hour] * max(1 / (row + 2), np.log(2) / (2 * DAY))
        mean = max(mean, 0.02)
        share[hour] += (kept / mean - share[hour]) * np.log(2) / (28 * 12)
        share[hour] = min(max(share[hour], 0.1), 10.0)
        excess = ((kept - expected) ** 2 - expected) / expected**2
        scatter = min(max(scatter + (excess - scatter) * np.log(2) / (14 * DAY), 0.01), 5.0)
    return found


def ensemble(counts: Counts) -> Counts:
    """The two above together: the mean of how rare each is by its own tail."""
    return (_own_tail(robust_z(counts)) + _own_tail(seasonal_tail(counts))) / 2


def _own_tail(scores: Counts, share: float = 0.01) -> Counts:
    """ln of the days between rows with as high a score, by an exponential tail over the highest `share` of those
    before."""
    threshold, excess, found = float(scores[0]) + 1, 1.0, np.zeros(len(scores))
    for row, score in enumerate(scores):
        found[row] = (score - threshold) / max(excess, 0.05) - np.log(share * DAY)
        over = score > threshold
        if over:
            excess += (min(float(score) - threshold, 3 * excess) - excess) / (20 + min(share * row, 100))
        threshold += excess * min(0.5, 60 / (min(row, 28 * DAY) + 10)) * (over - share)
    return found


def starts(scores: Counts, threshold: float) -> list[int]:
    """Rows on which an alarm starts."""
    found: list[int] = []
    last = -QUIET - 1
    for row in np.flatnonzero(scores >= threshold).tolist():
        if row - last > QUIET:
            found.append(row)
        last = row
    return found


DETECTORS: dict[str, Detector] = {
    "ours": ours(),
    "robust z": robust_z,
    "seasonal tail": seasonal_tail,
    "ensemble": ensemble,
    "ARTime": artime.scores,
    "contextOSE": context.scores,
}
