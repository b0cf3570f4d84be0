"""Until when everything has been heard: the least tick over all sources and partitions, less the allowed lateness.

A source in an open gap does not hold the watermark, nor does one whose tick was final; when all are final, the
watermark is the last tick itself. It never runs back. Nothing moves it while every source is in a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from listener.model.records import Gap, Tick

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


class _Heard(NamedTuple):
    until: datetime
    final: bool


class Watermark:
    """`partitions`: a source counts only when that many of its partitions have ticked, or a tick names none."""

    def __init__(self, lateness: timedelta, partitions: int = 1) -> None:
        self._lateness = lateness
        self._partitions = partitions
        self._ticks: dict[tuple[str, int | None], _Heard] = {}
        self.value: datetime | None = None
        self.gaps: dict[str, Gap] = {}
        """Gap id → its newest state; closed ones until `drop`."""

    def tick(self, tick: Tick) -> None:
        where = (tick.source, tick.partition)
        before = self._ticks.get(where)
        self._ticks[where] = _Heard(max(before.until, tick.until) if before else tick.until, tick.final)
        self._move()

    def gap(self, gap: Gap) -> None:
        """Take a gap in. One that was closed stays closed: another partition may report its beginning later."""
        known = self.gaps.get(gap.id)
        if known is None or known.end is None or gap.end is not None:
            self.gaps[gap.id] = gap
        self._move()

    def drop(self, gap_id: str) -> None:
        """A closed gap that no window meets any more."""
        if gap_id in self.gaps and self.gaps[gap_id].end is not None:
            del self.gaps[gap_id]

    def _move(self) -> None:
        deaf = self._deaf()
        holding = {where: heard for where, heard in self._ticks.items() if not heard.final and where[0] not in deaf}
        if holding:
            if not self._whole({source for source, _ in holding}):
                return
            new = min(heard.until for heard in holding.values()) - self._lateness
        elif self._ticks and all(heard.final for heard in self._ticks.values()):
            if not self._whole({source for source, _ in self._ticks}):
                return
            new = max(heard.until for heard in self._ticks.values())
        else:
            return
        if self.value is None or new > self.value:
            self.value = new

    def _whole(self, sources: set[str]) -> bool:
        if self._partitions == 1:
            return True
        seen = dict.fromkeys(sources, 0)
        for source, partition in self._ticks:
            if source in seen:
                seen[source] += self._partitions if partition is None else 1
        return all(count >= self._partitions for count in seen.values())

    def _deaf(self) -> set[str]:
        """The sources in an open gap. One that misses a part of it alone goes on, and holds."""
        return {gap.source for gap in self.gaps.values() if gap.end is None and gap.part is None}

    @property
    def unheard(self) -> bool:
        """Every source that is to be waited for is in an open gap: nothing moves the watermark now."""
        deaf = self._deaf()
        sources = {source for (source, _), heard in self._ticks.items() if not heard.final}
        return bool(sources) and sources <= deaf

    def dump(self) -> dict[str, Any]:
        """JSON-able: microseconds, ticks as what they are ahead of the least one. Closed gaps are left out."""
        least = min((_us(heard.until) for heard in self._ticks.values()), default=0)
        ticks: dict[str, list[str]] = {}
        for (source, partition), heard in self._ticks.items():
            name = "" if partition is None else str(partition)
            ticks.setdefault(source, []).append(f"{name}:{_us(heard.until) - least}{'!' if heard.final else ''}")
        still = [gap for gap in self.gaps.values() if gap.end is None]
        return {
            "w": None if self.value is None else _us(self.value),
            "u": least,
            "t": {source: ",".join(marks) for source, marks in ticks.items()},
            "g": [gap.model_dump(mode="json", by_alias=True, exclude_none=True) for gap in still],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """What `dump` wrote. Raises KeyError, TypeError or ValueError on anything else."""
        self.value = None if state["w"] is None else instant(state["w"])
        self._ticks = {}
        for source, marks in state["t"].items():
            for mark in marks.split(","):
                partition, _, ahead = mark.partition(":")
                until = instant(state["u"] + int(ahead.removesuffix("!")))
                self._ticks[source, int(partition) if partition else None] = _Heard(until, ahead.endswith("!"))
        self.gaps = {gap["id"]: Gap.model_validate(gap) for gap in state["g"]}


def _us(value: datetime) -> int:
    return (value - _EPOCH) // _US


def microseconds(value: datetime | None) -> int | None:
    """Aware datetime → whole microseconds since the epoch."""
    return None if value is None else _us(value)


def instant(value: int) -> datetime:
    """Whole microseconds since the epoch → aware datetime in UTC."""
    return _EPOCH + value * _US
