"""Capture: what a source offers → match → privacy → the bus. One worker a source.

In crisis a post that matches an open incident becomes a mention, and with it, in the same transaction, goes a tick
that says how far the source is heard and where to go on reading. In calm a post is counted and dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta

from listener.bus.protocol import Bus, Lease
from listener.bus.spool import Spool
from listener.clock import Clock
from listener.errors import BusError, BusFull, Corrupt, Fenced, LyttepostError
from listener.ingest import resume as playing
from listener.ingest.budget import SpendMeter
from listener.ingest.capture import Capture, Pending
from listener.ingest.outage import OutageBuffer
from listener.ingest.publisher import Publisher
from listener.ingest.source_status import SourceStatus
from listener.model.incidents import State
from listener.model.records import Mention
from listener.model.roles import listen_to
from listener.privacy.screen import Screen
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics, SourceState
from listener.runtime.ops_alerts import OpsAlerts
from listener.runtime.presence import PresenceReporter
from listener.sources.contract import Batch, Counts, Follows, Source

log = logging.getLogger(__name__)

RELOAD = timedelta(days=7)
"""The longest time that a source can be asked to refill: ids this old may come again."""
LEASE_SECONDS = 5.0
RETRY_SECONDS = 10.0
"""A source that could not be read is tried again so often: somebody may have fixed it."""


class Ingestor:
    """Reads one source while it holds the lease; everything it offers is on the bus, or in a gap."""

    def __init__(
        self,
        source: Source,
        bus: Bus,
        reporter: PresenceReporter,
        screen: Screen,
        standing: Sequence[str],
        *,
        lease: Lease,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        before: Callable[[Batch], None] = lambda batch: None,
        spool: Spool | None = None,
        keep: timedelta | None = None,
        ops: OpsAlerts | None = None,
    ) -> None:
        """`spool`: where to keep what is heard while the bus is away; `keep`: for how long content may be kept."""
        self.name = listen_to(source.name)
        self.source = source
        self._bus = bus
        self._reporter = reporter
        self._lease = lease
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._before = before
        self._epoch = -2
        self._playing: frozenset[str] | None = None
        self._ended = self._tidy = False
        self._retry_at = float("-inf")
        self._standing = tuple(standing)
        self._asked = -2
        self._pending: Pending | None = None
        ops = ops or OpsAlerts.load()
        self._spend_meter = SpendMeter(source, bus, ops, clock=clock, metrics=metrics)
        self._renewed = float("-inf")
        self._capture = Capture(
            source.name, screen, standing, partitions=bus.partitions("mentions"), clock=clock, metrics=metrics
        )
        self._status = SourceStatus(source, reporter, metrics, part)
        self._reporter.joins(self.name)
        self._metrics.add_source(source.name)
        self._away = OutageBuffer(bus, source.name, spool, keep=keep, clock=clock, metrics=metrics)
        self._publisher = Publisher(
            bus, source.name, self.name, lease, hearing=self._capture, spend_meter=self._spend_meter, away=self._away,
            ops=ops, clock=clock, metrics=metrics,
        )  # fmt: skip

    @property
    def ended(self) -> bool:
        """The source has given all it has, and the bus has it."""
        return self._ended and self._pending is None

    # --- turning -----------------------------------------------------------------------------------------------

    def step(self, timeout: float) -> bool:
        self._part.beat()
        if self._away.lasts():
            return self._hear_away(timeout)
        try:
            if not self._holds_lease():
                self._let_go()
                self._show(SourceState.STANDBY)
                return False
        except BusError as error:
            if not self._goes_away(error):
                raise
            return False
        self._apply(self._reporter.state)
        if self._away.waits:
            return self._bring()
        if self._pending is not None:
            self._tend()
            return self._publish(self._pending)
        if not self._goes_on():
            return self._stop_playing()
        if not self._wanted():
            self._show(SourceState.IDLE)
            return False
        if self._playing is None and not self._start_playing():
            return False
        if self._ended:
            self._show(SourceState.FINISHED)
            return False
        if self._spend_meter.turn(self._capture.open):
            self._pending = Pending([], Batch())
            return self._publish(self._pending)
        self._ask()
        self._show(SourceState.LISTENING)
        self._pending = self._hear(timeout)
        return self._pending is not None and self._publish(self._pending)

    def _hear(self, timeout: float) -> Pending | None:
        batch = self._read(timeout)
        if batch is None:
            return None
        self._before(batch)
        pending = self._capture.capture(batch, playing.cursor(batch.cursor, self._playing or frozenset()))
        self._spend_meter.charge(batch, pending.matched, self._capture.open)
        if isinstance(self.source, Counts):
            self.source.learn_counts(pending.volumes)
        return pending

    # --- while the bus is away ---------------------------------------------------------------------------------

    def _goes_away(self, error: BusError) -> bool:
        """True when we go on hearing: who reads a source of today, and held its lease until now."""
        if not isinstance(self.source, Follows) or self._playing is None:
            return False
        self._renewed = float("-inf")
        return self._away.begins(str(error), doubtful=self._pending is not None)

    def _hear_away(self, timeout: float) -> bool:
        """As ever, but that what is heard is kept on our own disk."""
        self._apply(self._reporter.state)
        self._ask()
        self._show(SourceState.LISTENING)
        self._part.problem(self._away.problem())
        pending = self._pending or self._hear(timeout)
        if pending is None:
            return False
        self._publisher.keep(pending, lambda: self._took(pending))
        return True

    def _bring(self) -> bool:
        """What was kept, before anything else; the source holds meanwhile what it says."""
        self._tend()
        self._part.problem(self._away.problem())
        try:
            missed = self._away.bring(self.name, self._lease, self._part.beat)
        except BusError as error:
            return self._refused(error)
        if missed and self._playing is not None:
            # Opened anew it knows of the gap, and searches for what can be found.
            self.source.close()
            self._playing = None
        return True

    def _ask(self) -> None:
        """Let a source of today know what is wanted now."""
        if isinstance(self.source, Follows) and self._asked != self._epoch:
            self.source.follow(self._capture.incidents, self._standing, self._capture.over)
            self._asked = self._epoch

    def _tend(self) -> None:
        """The bus does not take what was read. A source of today must not be lost meanwhile."""
        if isinstance(self.source, Follows) and self._playing is not None:
            self._ask()
            self.source.tend()

    def close(self) -> None:
        self.source.close()
        self._spend_meter.close()
        self._away.close()
        self._lease.release()

    def _holds_lease(self) -> bool:
        now = self._clock.monotonic()
        if now - self._renewed >= LEASE_SECONDS / 5:
            if not self._lease.renew():
                return False
            self._renewed = now
        return True

    def _let_go(self) -> None:
        """Another process listens. What this one holds is out of date by the time its turn comes again."""
        if self._playing is not None or self._pending is not None:
            self.source.close()
        self._playing, self._pending, self._tidy = None, None, False
        self._spend_meter.close()
        self._capture.seen.clear()
        self._capture.until = None

    def _apply(self, state: State) -> None:
        if state.epoch == self._epoch:
            return
        since = self._clock.now() - RELOAD
        its = tuple(i for i in state.incidents.values() if i.exercise or not self.source.only_exercise)
        self._capture.listen_for(
            tuple(i for i in its if i.open), tuple(i for i in its if i.closed_at is not None and i.closed_at > since)
        )
        self._epoch = state.epoch
        self._reporter.applied(self.name, state.epoch)

    def _wanted(self) -> bool:
        return bool(self._capture.incidents) or not self.source.only_exercise

    def _served(self) -> frozenset[str]:
        """Whom the source is read for; a source of today is read for itself, calm or crisis."""
        return frozenset(i.id for i in self._capture.incidents) if self.source.only_exercise else frozenset({""})

    def _goes_on(self) -> bool:
        """False when there is something to stop: a source that plays, or one that a predecessor left in the middle."""
        if self._playing is None:
            return self._tidy or self._wanted()
        served = self._served()
        if not playing.goes_on(playing.Place(None, self._playing, self._ended), served):
            return False
        self._playing = served
        return True

    def _show(self, state: SourceState) -> None:
        self._status.show(state, self._publisher.room.open, wanted=self._wanted())

    # --- beginning and ending ----------------------------------------------------------------------------------

    def _start_playing(self) -> bool:
        """Go on where the last tick on the bus says, if it was for the same incident."""
        if self._clock.monotonic() < self._retry_at:
            return False
        self._publisher.room.restore()
        self._spend_meter.open()
        served = self._served()
        since = self._clock.now() - RELOAD
        last = playing.last_heard(self._bus, self.source.name, since, self._part.beat, self._remember)
        self._capture.until, self._capture.ended, resume = playing.resumed(last, served)
        self._asked = -2
        try:
            if isinstance(self.source, Follows):
                self.source.recall(known := self._publisher.recall(since))
                self._capture.minutes.recall(known)
            if isinstance(self.source, Counts):
                self.source.learn_counts(playing.volumes_since(self._bus, self.source.name, since, self._part.beat))
            self.source.open(resume)
        except Corrupt:
            raise
        except LyttepostError as error:
            self._give_up(str(error))
            return False
        self._playing, self._tidy, self._ended = served, True, False
        self._part.problem(None)
        return True

    def _remember(self, mention: Mention) -> None:
        """It is on the bus already."""
        self._capture.remember(mention)
        self._spend_meter.remember(mention)

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
        self._playing, self._tidy = None, False
        self.source.close()
        self._part.problem(why)
        self._show(SourceState.STOPPED)
        log.error("source %s: %s; it is tried again", self.source.name, why)

    def _stop_playing(self) -> bool:
        """Say with a final tick that nothing more comes, so that no rule waits for it; close a gap that is open."""
        if self._playing is not None:
            self.source.close()
        elif (last := playing.last_tick(self._bus, self.source.name)) is not None:
            # A process before this one may have died between the incident's end and its last word.
            self._capture.until, self._ended = last.until, last.final
        pending = Pending([] if self._ended else self._capture.tick(None, final=True), Batch())
        self._playing, self._tidy, self._ended, self._capture.until = None, True, False, None
        self._retry_at = float("-inf")
        self._part.problem(None)
        if pending.messages or self._publisher.room.open is not None:
            self._pending = pending
            self._publish(pending)
        return bool(pending.messages)

    # --- to the bus --------------------------------------------------------------------------------------------

    def _publish(self, pending: Pending) -> bool:
        try:
            self._publisher.publish(pending, lambda: self._took(pending))
        except BusFull as error:
            # Reading stops. What was read is kept, so that the gap can close refilled.
            self._part.problem(str(error))
            self._publisher.no_room(pending, str(error))
            self._show(SourceState.CONNECTING)
            return False
        except BusError as error:
            return self._refused(error)
        return True

    def _took(self, pending: Pending) -> None:
        if not isinstance(self.source, Follows):
            self._part.problem(None)
            self._metrics.source_heard.labels(self.source.name).set(self._clock.now().timestamp())
        self._pending = None
        self._ended = self._ended or pending.batch.final

    def _refused(self, error: BusError) -> bool:
        """The bus did not take it. Who was cut off in the middle of a commit is fenced, too: only if the bus is there
        was it by another."""
        if isinstance(error, Fenced):
            self._renewed = float("-inf")
            if self._bus.healthy() is None or not self._goes_away(error):
                self._let_go()
            return False
        self._part.problem(str(error))
        if not isinstance(error, BusFull):
            self._goes_away(error)
        return False
