"""A number over time that changes in steps: when is it above a bound, when no longer?

Steps may be added anywhere and in any order, at O(log n) each, and a search costs as much. They lie in a tree whose
nodes know how far the number rises and falls within them. Added steps are put into the tree only when a search could
find something: as long as all rises together do not reach the bound, nothing is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime
from fractions import Fraction
from itertools import accumulate

Number = int | Fraction

LEAF = 64
FAN = 24


class _Node:
    """A stretch of time. A leaf has `deltas` at its `starts`; any other has `nodes` that begin at its `starts`.

    `high` and `low`: the extremes of the number within, counted from what it was before; None until they are asked for.
    """

    __slots__ = ("deltas", "high", "low", "nodes", "starts", "total")

    def __init__(self, starts: list[datetime], deltas: list[Number], nodes: list[_Node]) -> None:
        self.starts = starts
        self.deltas = deltas
        self.nodes = nodes
        self.total: Number = sum(node.total for node in nodes) if nodes else sum(deltas)
        self.high: Number | None = None
        self.low: Number = 0

    def highest(self) -> Number:
        """Measure the node where that is needed; `low` is known then as well."""
        if self.high is None:
            if self.nodes:
                before: Number = 0
                highs: list[Number] = []
                lows: list[Number] = []
                for node in self.nodes:
                    highs.append(before + node.highest())
                    lows.append(before + node.low)
                    before += node.total
                self.high, self.low = max(highs), min(lows)
            else:
                levels = list(accumulate(self.deltas))
                self.high, self.low = max(levels), min(levels)
        return self.high

    def insert(self, at: datetime, delta: Number) -> _Node | None:
        """Add a step; what comes back is a new node that follows this one."""
        self.total += delta
        self.high = None
        starts = self.starts
        if self.nodes:
            place = max(bisect_right(starts, at) - 1, 0)
            new = self.nodes[place].insert(at, delta)
            starts[place] = min(starts[place], at)
            if new is not None:
                starts.insert(place + 1, new.starts[0])
                self.nodes.insert(place + 1, new)
            return self._split(FAN) if len(starts) > FAN else None
        place = bisect_left(starts, at)
        if place < len(starts) and starts[place] == at:
            self.deltas[place] += delta
            return None
        starts.insert(place, at)
        self.deltas.insert(place, delta)
        return self._split(LEAF) if len(starts) > LEAF else None

    def _split(self, most: int) -> _Node:
        half = most // 2
        new = _Node(self.starts[half:], self.deltas[half:], self.nodes[half:])
        del self.starts[half:], self.deltas[half:], self.nodes[half:]
        self.total -= new.total
        return new

    def level(self, at: datetime) -> Number:
        """The number at `at`, counted from what it was before this node."""
        place = bisect_right(self.starts, at)
        if not self.nodes:
            return sum(self.deltas[:place])
        if not place:
            return 0
        return sum(node.total for node in self.nodes[: place - 1]) + self.nodes[place - 1].level(at)

    def search(self, before: Number, after: datetime | None, bound: Number, *, over: bool) -> datetime | None:
        """The first step later than `after` with which the number is over the bound, or not over it.

        `before`: what the number is before this node.
        """
        if not self.nodes:
            place = 0 if after is None else bisect_right(self.starts, after)
            before += sum(self.deltas[:place])
            for at, delta in zip(self.starts[place:], self.deltas[place:], strict=True):
                before += delta
                if (before > bound) is over:
                    return at
            return None
        place = 0 if after is None else max(bisect_right(self.starts, after) - 1, 0)
        for node in self.nodes[:place]:
            before += node.total
        for node in self.nodes[place:]:
            high = node.highest()
            if (before + high > bound) if over else (before + node.low <= bound):
                found = node.search(before, after, bound, over=over)
                if found is not None:
                    return found
            before += node.total
            after = None
        return None

    def steps(self) -> list[tuple[datetime, Number]]:
        if self.nodes:
            return [step for node in self.nodes for step in node.steps()]
        return list(zip(self.starts, self.deltas, strict=True))


class Steps:
    """`edge`: nobody asks about what was at or before it, so that single steps there may be forgotten."""

    __slots__ = ("_base", "_built", "_new", "_rise", "_root", "_size", "edge")

    def __init__(self) -> None:
        self.edge: datetime | None = None
        self._base: Number = 0
        self._root: _Node | None = None
        self._size = 0
        self._built = LEAF
        self._new: dict[datetime, Number] = {}
        self._rise: Number = 0

    def add(self, at: datetime, delta: Number) -> None:
        """From `at` on it is that much more."""
        self._new[at] = self._new.get(at, 0) + delta
        if delta > 0:
            self._rise += delta

    def at(self, at: datetime) -> Number:
        root = self._settled()
        return self._base if root is None else self._base + root.level(at)

    def above(self, since: datetime, bound: Number) -> datetime | None:
        """The first time, `since` itself included, at which it is above the bound."""
        peak = self._base if self._root is None else self._base + max(self._root.highest(), 0)
        if peak + self._rise <= bound:
            return None
        return self._find(since, bound, over=True)

    def not_above(self, since: datetime, bound: Number) -> datetime | None:
        """The first time, `since` itself included, at which it is at the bound or below."""
        return self._find(since, bound, over=False)

    def _find(self, since: datetime, bound: Number, *, over: bool) -> datetime | None:
        if (self.at(since) > bound) is over:
            return since
        return None if self._root is None else self._root.search(self._base, since, bound, over=over)

    def _settled(self) -> _Node | None:
        """The tree, with all steps in it."""
        if not self._new:
            return self._root
        if self._root is None or len(self._new) > self._size // 4 or self._size > 2 * self._built:
            self._build()
        else:
            for at, delta in self._new.items():
                new = self._root.insert(at, delta)
                if new is not None:
                    self._root = _Node([self._root.starts[0], new.starts[0]], [], [self._root, new])
            self._size += len(self._new)
        self._new = {}
        self._rise = 0
        return self._root

    def _build(self) -> None:
        """Make the tree anew, without what nobody asks about."""
        steps = self._new if self._root is None else dict(self._root.steps())
        if self._root is not None:
            for at, delta in self._new.items():
                steps[at] = steps.get(at, 0) + delta
        times = sorted(at for at, delta in steps.items() if delta)
        if self.edge is not None:
            gone = bisect_right(times, self.edge)
            self._base += sum(steps[at] for at in times[:gone])
            del times[:gone]
        self._size = len(times)
        self._built = max(self._size, LEAF)
        half = LEAF // 2
        nodes = [
            _Node(part, [steps[at] for at in part], [])
            for part in (times[n : n + half] for n in range(0, len(times), half))
        ]
        half = FAN // 2
        while len(nodes) > 1:
            parts = (nodes[n : n + half] for n in range(0, len(nodes), half))
            nodes = [_Node([node.starts[0] for node in part], [], part) for part in parts]
        self._root = nodes[0] if nodes else None
