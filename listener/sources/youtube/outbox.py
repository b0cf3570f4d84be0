"""Batches that wait to be read, in order; with each goes what is new of ourselves: gaps, notices, calls, units used."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime

from listener.model.records import Origin, Post
from listener.model.spending import QuotaUse
from listener.sources.common.gap_tracker import GapBook
from listener.sources.common.quota import DayQuota
from listener.sources.contract import BadLine, Batch
from listener.sources.youtube.cursor import Memory
from listener.sources.youtube.dialogue import Dialogue
from listener.sources.youtube.status import Status


class Outbox:
    """A batch's cursor is the memory as it is when it is put here: what is put later changes nothing of it."""

    def __init__(self, memory: Memory, book: GapBook, status: Status, dialogue: Dialogue, quota: DayQuota) -> None:
        self._memory = memory
        self._book = book
        self._status = status
        self._dialogue = dialogue
        self._quota = quota
        self._ready: deque[Batch] = deque()
        self.told: QuotaUse | None = None
        """The account as the bus has it."""
        self.reconnects: list[str] = []
        """Causes of failures that are not told yet."""

    @property
    def posts(self) -> int:
        """How many wait."""
        return sum(len(batch.posts) for batch in tuple(self._ready))

    def take(self) -> Batch | None:
        return self._ready.popleft() if self._ready else None

    def tell(self) -> None:
        """What is new of ourselves, where nothing else is to be published. The account of the day can wait for more."""
        if self._book.has_news or self._status.has_news or self.reconnects:
            self.put()

    def put(
        self,
        posts: Sequence[Post] = (),
        *,
        bad: tuple[BadLine, ...] = (),
        until: datetime | None = None,
        deleted: tuple[str, ...] = (),
        origin: Origin | None = None,
        incident: str | None = None,
        fills: str | None = None,
    ) -> None:
        """To be published as one."""
        use = self._quota.use
        quota, self.told = (use if use != self.told else None), use
        reconnects, self.reconnects = tuple(self.reconnects), []
        # What was found of a gap is counted with it.
        filled = (*self._book.unfilled, *([self._book.lasting] if self._book.lasting is not None else []))
        gaps = {gap.id: gap for gap in (*(gap for gap in filled if gap.id == fills), *self._book.take())}
        self._ready.append(
            Batch(
                posts=tuple(posts), bad=bad, until=until, cursor=str(self._memory), origin=origin, incident=incident,
                fills=fills, gaps=tuple(gaps.values()), notices=self._status.take(), reconnects=reconnects,
                calls=self._dialogue.take_calls(), deleted=deleted, quota=quota,
            )
        )  # fmt: skip
