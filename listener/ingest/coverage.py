"""Which minutes of a source were heard in full, so that no post in one of them means that there was none. Pure.

It is put on `volumes` beside the counts, a little after each minute is over, because posts come late. A minute that a
gap touches, or of which a part was over before we listened for what we listen for now, never is: of it nobody
knows more than what was counted. It follows from the ticks alone, so that after a restart the same minutes are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from listener.model.records import Gap, Heard

MINUTE = timedelta(minutes=1)
LATE = timedelta(seconds=10)
"""So much later may a post come than one that was said after it."""


class Coverage:
    """Of one source; `listen_for` says what for."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._incidents: Mapping[str, tuple[str, ...]] = {}
        self._since: datetime | None = None
        self._opened: datetime | None = None
        self._gaps: dict[str, Gap] = {}

    def listen_for(
        self, incidents: Mapping[str, tuple[str, ...]], opened: datetime | None, until: datetime | None
    ) -> None:
        """`opened`: when the first of them was; `until`: up to when the source is heard so far."""
        if incidents != self._incidents:
            self._incidents, self._opened = incidents, opened
            self._since = None if until is None else _whole_from(until)

    def recall(self, gaps: Iterable[Gap]) -> None:
        """All that is known to have been missed so far."""
        self._gaps = {gap.id: gap for gap in gaps}

    def miss(self, gaps: Iterable[Gap]) -> None:
        """The source was, or is, not heard."""
        self._gaps.update((gap.id, gap) for gap in gaps)

    def heard(self, before: datetime | None, until: datetime, *, final: bool = False) -> Iterator[Heard]:
        """What is new when the source is heard until `until`, and was until `before`. `final`: nothing more comes."""
        end = _floor(until) + MINUTE if final else _floor(until - LATE)
        if before is None:
            # The source begins here.
            before = self._since = _whole_from(until)
        start = _floor(before - LATE)
        if self._since is not None:
            start = max(start, self._since)
        if self._opened is not None and self._opened <= until:
            # Before that nobody listened. (A recording's own time may lie before any incident.)
            start = max(start, _whole_from(self._opened))
        for first, last in self._without_gaps(start, end):
            if any(self._incidents.values()):
                yield Heard(source=self._source, start=first, end=last, incidents=self._incidents)
        self._gaps = {id_: gap for id_, gap in self._gaps.items() if gap.end is None or gap.end > end}

    def _without_gaps(self, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
        for gap in sorted(self._gaps.values(), key=lambda gap: gap.start):
            if gap.end is not None and gap.end <= start:
                continue
            deaf = _floor(gap.start)
            if start < min(deaf, end):
                yield start, min(deaf, end)
            if gap.end is None:
                return
            start = max(start, _whole_from(gap.end))
        if start < end:
            yield start, end


def _floor(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _whole_from(at: datetime) -> datetime:
    """The first minute of which nothing lies before `at`."""
    floor = _floor(at)
    return floor if floor == at else floor + MINUTE
