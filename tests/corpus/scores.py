"""F1 and what goes with it."""

from __future__ import annotations

from typing import Any

import numpy as np


def f1(right: Any, got: Any) -> float:
    """Of two arrays of booleans."""
    hits = int((right & got).sum())
    return 2 * hits / max(1, int(right.sum()) + int(got.sum()))


def macro(right: Any, got: Any, classes: int) -> float:
    """The mean F1 of classes 0, 1, 2 …"""
    return float(np.mean([f1(right == each, got == each) for each in range(classes)]))


def best_threshold(right: Any, scores: Any) -> float:
    """From which score on the F1 is highest."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(right[order])
    f = 2 * hits / (np.arange(1, len(order) + 1) + right.sum())
    best = int(np.argmax(f))
    after = min(best + 1, len(order) - 1)
    return float(scores[order[best]] + scores[order[after]]) / 2


def interval(values: int, score: Any, times: int = 500) -> tuple[float, float]:
    """The middle 95 % of a score over rows drawn again and again (bootstrap). `score`: row numbers → number."""
    random = np.random.RandomState(0)
    drawn = [score(random.randint(0, values, values)) for _ in range(times)]
    return float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))
