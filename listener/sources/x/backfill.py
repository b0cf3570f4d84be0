"""What search shall find for the stream: gaps to fill, and hours before an incident to look back over.

A gap counts as filled when search has been through it. Since X may know of a post only minutes later, it is then
searched once more, and topped up (`SWEEP`); that too goes on after a restart. What was said while an incident was open
is looked for when it is closed, too: the gap was in the crisis.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from listener.model.gaps import Cause
from listener.model.incidents import Incident
from listener.model.records import Gap, Origin
from listener.sources.common.gap_tracker import AFTER, BEFORE, GapBook, unheard
from listener.sources.contract import Batch
from listener.sources.x.counts import minute_of
from listener.sources.x.cursor import Memory
from listener.sources.x.filter_rules import compile_rules
from listener.sources.x.reading import read_page
from listener.sources.x.search import SETTLE, SWEEP, Found, Searcher, SearchJob, slices_of

_BACK = "back:"
_AGAIN = "again:"


class Refill:
    """Makes jobs for the searcher, and batches of what it found."""

    def __init__(self, source: str, searcher: Searcher, book: GapBook, memory: Memory, *, reposts: bool) -> None:
        self._source = source
        self._searcher = searcher
        self._book = book
        self._memory = memory
        self._reposts = reposts
        self._incidents: Mapping[str, Incident] = {}
        self._over: tuple[Incident, ...] = ()
        self._standing: tuple[str, ...] = ()

    def follow(self, incidents: Mapping[str, Incident], over: Iterable[Incident], standing: Iterable[str]) -> None:
        """What is open now: look back for what is new, and no longer for what is `over`."""
        before, self._incidents, self._over, self._standing = self._incidents, incidents, tuple(over), tuple(standing)
        for gone in before.keys() - incidents.keys():
            self._searcher.drop(_BACK + gone)
            self._memory.back.pop(gone, None)
        for key in incidents.keys() - before.keys():
            self._look_back(incidents[key])
        for key in incidents.keys() & before.keys():
            if incidents[key].lookback > before[key].lookback:
                # What was found and not taken yet is found again, by the job that goes further.
                self._searcher.drop(_BACK + key)
                self._look_back(incidents[key])
        # Somebody may have fixed what failed.
        self._searcher.retry()

    def resume(self) -> None:
        """After a start: what went unheard since the last word on the bus, or ever; and the gaps from before that."""
        heard = self._memory.heard
        for start, end in unheard(heard, [*self._incidents.values(), *self._over]):
            if end is None:
                self._book.begin(start, Cause.PROCESS_DOWN if start == heard else Cause.RULES_UNCONFIRMED)
            elif self._book.lasting is not None:
                self._book.end(end)
            else:
                self._book.between(start, end, Cause.PROCESS_DOWN)
        for gap in self._book.unfilled:
            self.fill(gap)
        for gap_id in list(self._memory.again):
            self._sweep(gap_id)

    def calm(self, now: datetime, queued_since: datetime | None) -> None:
        """Nothing is open any more. `queued_since`: what came after that waits, and its turn will not come."""
        self.fill(self._book.end(now))
        if queued_since is not None:
            self.missed(queued_since, now, Cause.QUEUE_FULL)
        if self._memory.heard is not None:
            # What was not heard until here is in a gap: whoever comes after us need not look for it.
            self._memory.heard = max([now, *(i.closed_at for i in self._over if i.closed_at)])

    def missed(self, start: datetime, end: datetime, cause: Cause) -> None:
        """A stretch that is over already: a gap, and to be filled."""
        self.fill(self._book.between(start, end, cause))

    def fill(self, gap: Gap | None) -> None:
        """Search for what was said in a gap that is over."""
        if gap is not None and not self._search(gap, gap.refilled_until or gap.start - BEFORE):
            self._book.forget(gap.id)

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
            fills=None if found.lookback else found.name.removeprefix(_AGAIN),
        )

    def looking_back(self) -> list[str]:
        """The incidents whose hours before are still being searched."""
        return sorted(job.name.removeprefix(_BACK) for job in self._searcher.jobs() if job.lookback)

    def minutes(self) -> tuple[range, ...]:
        """The epoch minutes in which posts may be found yet."""
        gaps = (*self._book.unfilled, *filter(None, map(self._book.whole, self._memory.again)))
        ends = [(gap.start - BEFORE, gap.end + AFTER) for gap in gaps if gap.end is not None]
        return tuple(range(minute_of(start), minute_of(end) + 1) for start, end in ends)

    @property
    def refused(self) -> bool | None:
        """Whether X refuses to search; None: that is not known yet."""
        return self._searcher.refused

    def _sweep(self, gap_id: str) -> None:
        """Once more, the last minutes of it: of what was said earlier, search has had as much time to know."""
        gap = self._book.whole(gap_id)
        if gap is None or gap.end is None or not self._search(gap, gap.end - SWEEP, again=True):
            self._memory.again.pop(gap_id, None)
            self._book.forget(gap_id)

    def _search(self, gap: Gap, start: datetime, *, again: bool = False) -> bool:
        """False: no incident was open then whose posts could still be had."""
        end = gap.end or gap.start
        its = [i for i in self._incidents.values() if i.opened_at <= end]
        its += [i for i in self._over if i.opened_at <= end and i.closed_at and i.closed_at > gap.start]
        if not its:
            return False
        start = max(start, gap.start - BEFORE, min(i.opened_at for i in its))
        tracks = {track for i in its for track in (*i.tracks, *self._standing)}
        name, settle = (_AGAIN + gap.id, SWEEP) if again else (gap.id, SETTLE)
        self._searcher.search(SearchJob(name, False, self._queries(tracks), slices_of(start, end + AFTER), settle))
        return True

    def _note(self, found: Found) -> str | None:
        if found.name.startswith(_AGAIN):
            gap_id = found.name.removeprefix(_AGAIN)
            if found.done:
                self._memory.again.pop(gap_id, None)
            self._book.topped_up(gap_id, done=found.done)
            return None
        if not found.lookback:
            gap = self._book.filled(found.name, found.reached, done=found.done)
            if found.done and gap is not None and gap.end is not None and found.at < gap.end + SWEEP:
                self._memory.again[gap.id] = gap.end
                self._sweep(gap.id)
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
            self._searcher.search(SearchJob(_BACK + incident.id, True, queries, slices))

    def _queries(self, tracks: Collection[str]) -> tuple[str, ...]:
        """Rules are short enough to be queries too."""
        return tuple(rule.value for rule in compile_rules(tracks, reposts=self._reposts).rules)


def _back_to(incident: Incident) -> datetime:
    return incident.opened_at - timedelta(seconds=incident.lookback)
