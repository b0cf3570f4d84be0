"""contextOSE, the Contextual Anomaly Detector (Smirnov 2016), written anew from its published description.

A count becomes three bits between the least and the most *of the whole series* (which looks ahead, as it does in the
Numenta benchmark). A context is a set of facts that stood before and one that stood after; facts are the bits, and the
contexts that were active. The score is high when few of the contexts that were expected came, and many new ones did.
After a high score it is silent for a while.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Facts = frozenset[int]

BITS = 3
MOST_LEFT = 7
MOST_ACTIVE = 15
BASE = 0.75
REST_SHARE = 1 / 5
"""Of the probation: so many rows it is silent after a high score."""
_CONTEXT = 1 << 31


class _Half:
    """Sets of facts, and which of them meet given facts."""

    def __init__(self) -> None:
        self.ids: dict[Facts, int] = {}
        self.sizes: list[int] = []
        self._with: dict[int, list[int]] = {}

    def of(self, facts: Facts) -> int:
        known = self.ids.get(facts)
        if known is None:
            known = self.ids[facts] = len(self.sizes)
            self.sizes.append(len(facts))
            for fact in facts:
                self._with.setdefault(fact, []).append(known)
        return known

    def met(self, facts: Facts) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        for fact in facts:
            for half in self._with.get(fact, ()):
                found.setdefault(half, []).append(fact)
        return found


class _Contexts:
    def __init__(self) -> None:
        self._left, self._right = _Half(), _Half()
        self._known: dict[tuple[int, int], int] = {}
        self._rights: dict[int, list[tuple[int, int]]] = {}
        self._activity: Counter[int] = Counter()
        self._before: Facts = frozenset()

    def take(self, facts: Facts) -> tuple[float, float]:
        """Share of the expected contexts that came, and of the new ones that had not been known."""
        expected, active, new = 0, [], set()
        lefts, rights = self._left.met(self._before), self._right.met(facts)
        for left, there in lefts.items():
            whole = len(there) == self._left.sizes[left]
            for right, context in self._rights.get(left, ()):
                expected += whole
                here = rights.get(right)
                if here is None:
                    continue
                complete = len(here) == self._right.sizes[right]
                if whole and complete:
                    active.append(context)
                    self._activity[context] += 1
                elif len(there) <= MOST_LEFT:
                    new.add((frozenset(there), frozenset(here)))
        if self._before:
            new.add((self._before, facts))
        added = sum(self._add(left, right) for left, right in new)
        strongest = sorted(active, key=lambda context: (self._activity[context], context))[-MOST_ACTIVE:]
        self._before = facts | {_CONTEXT + context for context in strongest}
        return (len(active) / expected if expected else 0.0), (added / len(new) if new else 0.0)

    def _add(self, left: Facts, right: Facts) -> bool:
        key = self._left.of(left), self._right.of(right)
        if key in self._known:
            return False
        self._known[key] = len(self._known)
        self._rights.setdefault(key[0], []).append((key[1], self._known[key]))
        return True


def scores(counts: Vector) -> Vector:
    """0 where it rests, else how little was expected what came, up to 1."""
    least, most = float(counts.min()), float(counts.max())
    step = max(most - least, 1.0) / (2**BITS - 1)
    rest = max(1, int(min(0.15 * len(counts), 750) * REST_SHARE))
    contexts = _Contexts()
    found = np.zeros(len(counts))
    loud = 0
    for row, count in enumerate(counts):
        level = int((count - least) / step)
        came, added = contexts.take(frozenset(2 * bit + (level >> bit & 1) for bit in range(BITS)))
        score = (1 - came + added) / 2
        found[row] = score if row - loud >= rest else 0.0
        if score >= BASE:
            loud = row
    return found
