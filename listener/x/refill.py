"""What search shall find for the stream: gaps to fill, and hours before an incident to look back over."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from listener.mode import Incident
from listener.records import Gap, Origin
from listener.sources import Batch
from listener.x.gapbook import AFTER, BEFORE, GapBook
from listener.x.memory import Memory
from listener.x.reading import read_page
from listener.x.rules import compile_rules
from listener.x.search import Found, Job, Searcher, slices_of

_BACK = "back:"


class Refill:
    """Makes jobs for the searcher, and batches of what it found."""

    def __init__(self, source: str, searcher: Searcher, book: GapBook, memory: Memory, *, reposts: bool) -> None:
        self._source = source
        self._searcher = searcher
        self._book = book
        self._memory = memory
        self._reposts = reposts
        self._incidents: Mapping[str, Incident] = {}
        self._standing: tuple[str, ...] = ()

    def follow(self, incidents: Mapping[str, Incident], standing: Iterable[str]) -> None:
        """What is open now: look back for what is new, and leave what is over."""
        before, self._incidents, self._standing = self._incidents, incidents, tuple(standing)
        for gone in before.keys() - incidents.keys():
            self._searcher.drop(_BACK + gone)
            self._memory.back.pop(gone, None)
        if not incidents:
            # Of a crisis that is over nobody may search for posts any more.
            for job in self._searcher.jobs():
                self._searcher.drop(job.name)
            for gap in self._book.unfilled:
                self._book.forget(gap.id)
            self._memory.back.clear()
        for key in incidents.keys() - before.keys():
            self._look_back(incidents[key])
        # Somebody may have mended what failed.
        self._searcher.retry()

    def resume(self) -> None:
        """Go on with the gaps that are on the ledger from before."""
        for gap in self._book.unfilled:
            if gap.end is not None and gap.end <= self._opened:
                self._book.forget(gap.id)
            else:
                self.fill(gap)

    def fill(self, gap: Gap | None) -> None:
        """Search for what was said in a gap that is over."""
        if gap is None or gap.end is None or not self._incidents:
            return
        start = max(gap.refilled_until or gap.start - BEFORE, self._opened)
        tracks = {track for i in self._incidents.values() for track in (*i.tracks, *self._standing)}
        self._searcher.search(Job(gap.id, False, self._queries(tracks), slices_of(start, gap.end + AFTER)))

    def take(self) -> Batch | None:
        """The next page, if there is one."""
        found = self._searcher.take()
        if found is None:
            return None
        read = read_page(found.answer, self._source)
        incident = self._note(found)
        return Batch(
            posts=tuple(read.posts),
            bad=tuple(read.bad),
            cursor=str(self._memory),
            origin=Origin.LOOKBACK if found.lookback else Origin.GAP_FILL,
            incident=incident,
            gaps=self._book.take(),
            fills=None if found.lookback else found.name,
        )

    def looking_back(self) -> list[str]:
        """The incidents whose hours before are still being searched."""
        return sorted(job.name.removeprefix(_BACK) for job in self._searcher.jobs() if job.lookback)

    @property
    def _opened(self) -> datetime:
        return min(incident.opened_at for incident in self._incidents.values())

    def _note(self, found: Found) -> str | None:
        if not found.lookback:
            self._book.filled(found.name, found.reached, done=found.done)
            return None
        incident = found.name.removeprefix(_BACK)
        if incident in self._incidents:
            if found.done:
                self._memory.back[incident] = _back_to(self._incidents[incident])
            elif found.reached is not None:
                self._memory.back[incident] = found.reached
        return incident

    def _look_back(self, incident: Incident) -> None:
        start, end = _back_to(incident), self._memory.back.get(incident.id, incident.opened_at)
        if start < end:
            slices = slices_of(start, end, newest_first=True)
            queries = self._queries((*incident.tracks, *self._standing))
            self._searcher.search(Job(_BACK + incident.id, True, queries, slices))

    def _queries(self, tracks: Collection[str]) -> tuple[str, ...]:
        """Rules are short enough to be queries too."""
        return tuple(rule.value for rule in compile_rules(tracks, reposts=self._reposts).rules)


def _back_to(incident: Incident) -> datetime:
    return incident.opened_at - timedelta(seconds=incident.lookback)
