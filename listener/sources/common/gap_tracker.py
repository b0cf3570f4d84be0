"""The gaps of one stream: which lasts, which are to be filled, and how far they are; and what nobody listened to.

Knows no socket and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from listener.model.gaps import Cause, closed, is_whole, open_gap
from listener.model.incidents import Incident
from listener.model.records import Gap

BEFORE: Final = timedelta(seconds=30)
AFTER: Final = timedelta(seconds=5)
"""Beyond a gap's ends that search looks: a stream gives a post up to seconds after it was written, in no order."""

REFUSALS: Final = frozenset(
    {Cause.UNAUTHORIZED, Cause.FORBIDDEN, Cause.REFUSED, Cause.RATE_LIMITED, Cause.USAGE_CAPPED}
)
"""Causes that hold a gap open whatever it began with: the platform lets us hear nothing until it, or a person, ends
that."""

Stretch = tuple[datetime, datetime | None]


class GapBook:
    """At most one gap lasts; others are over and wait to be filled. `changed` collects what is to be reported."""

    def __init__(self, source: str, part: str | None = None) -> None:
        """`part`: of the source, where others of it are heard meanwhile."""
        self._source = source
        self._part = part
        self.because: Cause | None = None
        """Why nothing is heard, whatever else goes wrong meanwhile."""
        self.lasting: Gap | None = None
        self._over: dict[str, Gap] = {}
        self._whole: dict[str, Gap] = {}
        self._changed: dict[str, Gap] = {}

    def recall(self, gaps: Iterable[Gap]) -> None:
        """What the ledger holds from before."""
        for gap in sorted(gaps, key=lambda gap: gap.start):
            if is_whole(gap):
                self._whole[gap.id] = gap
            elif gap.end is not None:
                self._over[gap.id] = gap
            elif self.lasting is None:
                self.lasting = gap
            else:
                # Two that last cannot be: the younger lies within the older.
                self._over[gap.id] = self._tell(_end(gap, gap.start))

    @property
    def unfilled(self) -> tuple[Gap, ...]:
        return tuple(self._over.values())

    def begin(self, start: datetime, cause: Cause) -> Gap:
        """From then on nothing is heard. While one lasts it is the same gap; it began with the earlier of the two. Its
        cause is the first one, or the last refusal: who looks for what to do must not look where it began."""
        lasting = self.lasting
        if lasting is not None:
            why = cause if cause in REFUSALS and self.because is None else lasting.cause
            grown = lasting.model_copy(update={"start": min(start, lasting.start), "cause": why})
            if grown != lasting:
                self.lasting = self._tell(grown)
        else:
            grown = self.lasting = self._tell(open_gap(self._source, start, self.because or cause, self._part))
        return grown

    def end(self, at: datetime) -> Gap | None:
        """It is heard again since `at`. The gap that is over now, to be filled. It is never opened again, though the
        next may begin where it ends, as with rounds that lie far apart: rules have judged by then what was heard up to
        there, and let no gap that was closed hold them once more (`alerts.rules.engine.watermark`)."""
        if self.lasting is None:
            return None
        gap = self._over[self.lasting.id] = self._tell(_end(self.lasting, at))
        self.lasting = None
        return gap

    def between(self, start: datetime, end: datetime, cause: Cause) -> Gap | None:
        """A gap that is over already; None when it lies within the one that lasts. One of that cause that was not yet
        filled, and that it touches, grows to hold both."""
        if self.lasting is not None:
            end = min(end, self.lasting.start)
            if start >= end:
                return None
        for gap in self._over.values():
            if gap.cause != cause or gap.refilled_until is not None or gap.end is None:
                continue
            if start <= gap.end + AFTER and end >= gap.start - AFTER:
                grown = _end(gap.model_copy(update={"start": min(start, gap.start)}), max(end, gap.end))
                if grown != gap:
                    self._over[gap.id] = self._tell(grown)
                return grown
        gap = self._tell(_end(open_gap(self._source, start, cause, self._part), end))
        self._over[gap.id] = gap
        return gap

    def filled(self, gap_id: str, until: datetime | None, *, done: bool) -> Gap | None:
        """Search has found all of it up to `until`. None when it is no gap of ours any more."""
        gap = self._over.get(gap_id)
        if gap is None or gap.end is None:
            return None
        if until is not None:
            gap = gap.model_copy(update={"refilled_until": min(max(until, gap.start), gap.end)})
        # Told even where it is no further: what was found is counted with it.
        self._over[gap_id] = self._tell(gap)
        if done:
            del self._over[gap_id]
            if is_whole(gap):
                self._whole[gap_id] = gap
        return gap

    def whole(self, gap_id: str) -> Gap | None:
        """One that is filled and may be searched once more."""
        return self._whole.get(gap_id)

    def topped_up(self, gap_id: str, *, done: bool) -> None:
        """More was found of one that is filled, which is counted with it."""
        if (gap := self._whole.get(gap_id)) is not None:
            self._tell(gap)
            if done:
                del self._whole[gap_id]

    def forget(self, gap_id: str) -> None:
        """Nobody will fill it: if it is not whole, it stays open in the ledger."""
        self._over.pop(gap_id, None)
        self._whole.pop(gap_id, None)

    @property
    def has_news(self) -> bool:
        return bool(self._changed)

    def take(self) -> tuple[Gap, ...]:
        """What has changed since the last call."""
        out, self._changed = tuple(self._changed.values()), {}
        return out

    def _tell(self, gap: Gap) -> Gap:
        self._changed[gap.id] = gap
        return gap


def _end(gap: Gap, at: datetime) -> Gap:
    return closed(gap, max(at, gap.start), refilled=gap.refilled, refilled_until=gap.refilled_until)


def unheard(heard: datetime | None, incidents: Iterable[Incident]) -> list[Stretch]:
    """What went unheard while nobody ran: when incidents were open since `heard`, the last word that is on the bus.

    Each is [from, to), oldest first; `to` is None where an incident is still open.

    Without a last word only open ones count: nobody knows whether there was anybody to hear the others.
    """
    spans: list[Stretch] = sorted(
        (
            (i.opened_at if heard is None else max(heard, i.opened_at), i.closed_at)
            for i in incidents
            if i.closed_at is None or (heard is not None and heard < i.closed_at)
        ),
        key=lambda span: span[0],
    )
    out: list[Stretch] = []
    for start, end in spans:
        if out and (out[-1][1] is None or start <= out[-1][1]):
            first, last = out[-1]
            out[-1] = first, None if last is None or end is None else max(last, end)
        else:
            out.append((start, end))
    return out
