"""What the two workers that read a source share: the lease, what is open, opening and reading, and the bus.

`Ingestor` reads a live source and `Player` a recording. Which one a source gets follows from its contract: a source
that `Follows` is live.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Set
from dataclasses import replace
from datetime import datetime, timedelta

from listener.errors import BusError, BusFull, Corrupt, LyttepostError
from listener.ingest.budget import SpendMeter
from listener.ingest.capture import Capture, Pending
from listener.ingest.context import IngestContext
from listener.ingest.publisher import Publisher
from listener.ingest.resume import cursor, last_heard, resumed
from listener.ingest.source_status import SourceStatus
from listener.model.incidents import Incident, State
from listener.model.records import Mention
from listener.model.roles import listen_to
from listener.runtime.metrics import SourceState
from listener.settings.followed import persons_among
from listener.sources.contract import Batch, Follows, Source

log = logging.getLogger(__name__)

RELOAD = timedelta(days=7)
"""The longest time that a source can be asked to refill: ids this old may come again."""
LEASE_SECONDS = 5.0
RETRY_SECONDS = 10.0
"""A source that could not be read is tried again so often: somebody may have fixed it."""


class SourceWorker(ABC):
    """Reads one source while it holds the lease; everything it offers is on the bus, or in a gap.

    Its phase is kept by the class that says which phases there are.
    """

    def __init__(self, source: Source, context: IngestContext, *, spend_meter: SpendMeter | None = None) -> None:
        """`spend_meter`: of a source that may cost."""
        self.name = listen_to(source.name)
        self.source: Source = source
        self._bus = context.bus
        self._reporter = context.reporter
        self._lease = context.lease
        self._clock = context.clock
        self._metrics = context.metrics
        self._part = context.part
        self._before = context.before
        self._allowed = context.allowed
        self._epoch: int | None = None
        self._renewed = self._retry_at = float("-inf")
        self._pending: Pending | None = None
        self._capture = Capture(
            source.name, context.screen, context.standing, partitions=context.bus.partitions("mentions"),
            clock=context.clock, metrics=context.metrics, live=isinstance(source, Follows),
        )  # fmt: skip
        self._status = SourceStatus(source, context.reporter, context.metrics, context.part)
        self._reporter.joins(self.name)
        self._metrics.add_source(source.name)
        self._publisher = Publisher(source.name, context, self._capture, spend_meter)

    @abstractmethod
    def step(self, timeout: float) -> bool:
        """Read and publish, waiting at most `timeout` seconds for a batch; False when there was nothing to do."""

    def close(self) -> None:
        self.source.close()
        self._lease.release()

    # --- the lease, and what is open ---------------------------------------------------------------------------

    def _holds_lease(self) -> bool:
        now = self._clock.monotonic()
        if now - self._renewed >= LEASE_SECONDS / 5:
            if not self._lease.renew():
                return False
            self._renewed = now
        return True

    def _let_go(self) -> None:
        """Another process listens. What this one holds is out of date by the time its turn comes again."""
        self.source.close()
        self._pending = None
        self._capture.seen.clear()
        self._capture.until = None

    def _apply(self, state: State) -> None:
        """The incidents that are open now, those that the source may be read for."""
        if state.epoch == self._epoch:
            return
        since = self._since()
        its = tuple(map(self._heard, self._may_serve(state)))
        self._capture.listen_for(
            tuple(i for i in its if i.open), tuple(i for i in its if i.closed_at is not None and i.closed_at > since)
        )
        self._epoch = state.epoch
        self._reporter.applied(self.name, state.epoch)

    def _may_serve(self, state: State) -> Iterator[Incident]:
        return (i for i in state.incidents.values() if i.exercise or not self.source.only_exercise)

    def _heard(self, incident: Incident) -> Incident:
        """Without the tracks that would follow a person: one that was opened when the settings allowed them, too."""
        persons = [] if self._allowed is None else persons_among(incident.tracks, self._allowed)
        if not persons:
            return incident
        if incident.open:
            why = "they would follow a person; `lyttepost mode` names them"
            log.warning("source %s: %d tracks are not listened for: %s", self.source.name, len(persons), why)
        return replace(incident, tracks=tuple(track for track in incident.tracks if track not in persons))

    def _wanted(self) -> bool:
        return bool(self._capture.incidents) or not self.source.only_exercise

    def _show(self, state: SourceState) -> None:
        self._status.show(state, self._publisher.room.open, wanted=self._wanted())

    # --- opening and reading -----------------------------------------------------------------------------------

    def _since(self) -> datetime:
        return self._clock.now() - RELOAD

    def _is_due(self) -> bool:
        """Not, for ten seconds, after the source failed."""
        return self._clock.monotonic() >= self._retry_at

    def _recall(self, served: Set[str], met: Callable[[Mention], None] = lambda mention: None) -> str | None:
        """What the bus holds of the source. Its own word for where to go on, if it was last read for any of the
        same; `met` is called with every mention."""

        def remember(mention: Mention) -> None:
            self._capture.remember(mention)
            met(mention)

        self._publisher.room.restore()
        last = last_heard(self._bus, self.source.name, self._since(), self._part.beat, remember)
        self._capture.until, self._capture.ended, resume = resumed(last, served)
        return resume

    def _try(self, opening: Callable[[], None]) -> bool:
        """False when the source cannot be opened now."""
        try:
            opening()
        except Corrupt:
            raise
        except LyttepostError as error:
            self._give_up(str(error))
            return False
        self._part.problem(None)
        return True

    def _hear(self, timeout: float, served: Set[str]) -> Pending | None:
        """The next batch, made ready for the bus."""
        batch = self._read(timeout)
        if batch is None:
            return None
        self._before(batch)
        return self._capture.capture(batch, cursor(batch.cursor, served))

    def _read(self, timeout: float) -> Batch | None:
        try:
            return self.source.read(timeout)
        except Corrupt:
            raise
        except Exception as error:
            # Our own errors hold no word of a post; of others only the class is safe to log.
            self._give_up(str(error) if isinstance(error, LyttepostError) else f"failed: {type(error).__name__}")
            return None

    def _give_up(self, why: str) -> None:
        """For now: it is opened again where the bus has it."""
        self._retry_at = self._clock.monotonic() + RETRY_SECONDS
        self.source.close()
        self._part.problem(why)
        self._show(SourceState.STOPPED)
        log.error("source %s: %s; it is tried again", self.source.name, why)

    # --- to the bus --------------------------------------------------------------------------------------------

    def _publish(self) -> bool:
        """What is pending; True when the bus has it, else it is to be tried again, if it still is pending."""
        if (pending := self._pending) is None:
            return False
        try:
            self._publisher.publish(pending, self._took)
        except BusFull as error:
            # Reading stops. What was read is kept, so that the gap can close refilled.
            self._part.problem(str(error))
            self._publisher.no_room(pending, str(error))
            self._show(SourceState.CONNECTING)
            return False
        except BusError as error:
            self._refused(error)
            return False
        return True

    @abstractmethod
    def _took(self, pending: Pending) -> None:
        """It is written."""

    @abstractmethod
    def _refused(self, error: BusError) -> None:
        """The bus did not take it."""
