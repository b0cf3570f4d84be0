"""The worker of a live source: it listens in calm and crisis, and goes on hearing while the bus is away.

In crisis a post that matches an open incident becomes a mention, and with it, in the same transaction, goes a tick
that says how far the source is heard and where to go on reading. In calm a post is counted and dropped.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from listener.bus.spool import Spool
from listener.errors import BusError, BusFull, Fenced
from listener.ingest.budget import SpendMeter
from listener.ingest.capture import Pending
from listener.ingest.context import IngestContext
from listener.ingest.outage import OutageBuffer
from listener.ingest.quota import QuotaMeter
from listener.ingest.resume import held_aliases, held_posts, held_versions, volumes_since
from listener.ingest.worker import SourceWorker
from listener.runtime.metrics import SourceState
from listener.sources.contract import Answers, AsksAboutHeld, Batch, Counts, KnowsAliases, KnowsHeld, LiveSource

ITSELF = frozenset({""})
"""Whom a live source is read for, in its cursor: no incident, but itself."""


class IngestorPhase(StrEnum):
    """What the worker of a live source is at. The source is open from LISTENING on."""

    STANDBY = "standby"
    """Another process holds the lease, as far as is known."""
    OPENING = "opening"
    """The source is to be opened, once what an earlier process kept on disk is on the bus."""
    LISTENING = "listening"
    PUBLISHING = "publishing"
    """The bus has yet to take what was read; the source holds meanwhile what comes."""
    AWAY = "away"
    """The bus cannot be reached: what is heard is kept on our own disk."""
    DELIVERING = "delivering"
    """The bus is back: what was kept goes there, before anything else."""


class Ingestor(SourceWorker):
    """Reads one live source.

    | phase | when | next |
    |---|---|---|
    | STANDBY | the lease is ours | OPENING |
    | OPENING | opened, now or ten seconds after it failed | LISTENING |
    | LISTENING | a batch, or news of what it costs | PUBLISHING |
    | | it fails | OPENING |
    | PUBLISHING | the bus has it | LISTENING |
    | LISTENING, PUBLISHING, DELIVERING | the bus cannot be reached, and there is a spool | AWAY |
    | AWAY | the bus is back | DELIVERING; where nothing was kept, PUBLISHING or LISTENING |
    | | it fails | OPENING, once the bus is back |
    | DELIVERING | the bus has all of it | LISTENING |
    | | the bus has all of it, and posts were lost for want of room | OPENING: it searches for them |
    | any but AWAY | another process holds the lease | STANDBY |
    """

    source: LiveSource

    def __init__(
        self, source: LiveSource, context: IngestContext, *, spool: Spool | None = None, keep: timedelta | None = None
    ) -> None:
        """`spool`: where to keep what is heard while the bus is away; `keep`: for how long content may be kept."""
        clock, metrics = context.clock, context.metrics
        self.phase = IngestorPhase.STANDBY
        self._spend_meter = SpendMeter(source, context.bus, context.ops, clock=clock, metrics=metrics)
        self._quota_meter = QuotaMeter(source, context.bus, metrics)
        super().__init__(source, context, spend_meter=self._spend_meter)
        self._standing = tuple(context.standing)
        self._away = OutageBuffer(context.bus, source.name, spool, keep=keep, clock=clock, metrics=metrics)
        self._followed: int | None = None
        """The epoch whose incidents the source was told of since it was opened."""

    def step(self, timeout: float) -> bool:
        self._part.beat()
        if self._away.lasts():
            return self._hear_away(timeout)
        try:
            held = self._holds_lease()
        except BusError as error:
            if not self._goes_away(error):
                raise
            return False
        if not held:
            self._let_go()
            self._show(SourceState.STANDBY)
            return False
        self._apply(self._reporter.state)
        return self._turn(timeout)

    def _turn(self, timeout: float) -> bool:
        """The lease is ours, and the bus is there as far as we know."""
        if self.phase in (IngestorPhase.STANDBY, IngestorPhase.OPENING):
            self.phase = IngestorPhase.OPENING
            if self._away.waits:
                return self._deliver()
            return self._open() and self._listen(timeout)
        if self.phase is IngestorPhase.AWAY:
            self.phase = self._after_outage()
        match self.phase:
            case IngestorPhase.DELIVERING:
                self._tend()
                return self._deliver()
            case IngestorPhase.PUBLISHING:
                self._tend()
                return self._publish()
            case _:
                return self._listen(timeout)

    def close(self) -> None:
        self.source.close()
        self._spend_meter.close()
        self._quota_meter.close()
        self._away.close()
        self._lease.release()

    # --- opening and listening ---------------------------------------------------------------------------------

    def _open(self) -> bool:
        """Where the last tick on the bus says. False when that cannot be now."""
        if not self._is_due():
            return False
        self._spend_meter.open()
        resume = self._recall(ITSELF, self._spend_meter.remember)
        self._followed = None
        if not self._try(lambda: self._tell_and_open(resume)):
            return False
        self.phase = IngestorPhase.LISTENING
        return True

    def _tell_and_open(self, resume: str | None) -> None:
        """With what the bus knows of its gaps and counts."""
        since = self._since()
        known = self._publisher.recall(since)
        self.source.recall(known)
        self._capture.minutes.recall(known)
        if isinstance(self.source, Counts):
            self.source.learn_counts(volumes_since(self._bus, self.source.name, since, self._part.beat))
        self._quota_meter.recall()
        if isinstance(self.source, KnowsHeld):
            self.source.learn_held(held_posts(self._bus, self.source.name, self._part.beat))
        if isinstance(self.source, KnowsAliases):
            self.source.learn_aliases(held_aliases(self._bus, self.source.name, self._part.beat))
        if isinstance(self.source, AsksAboutHeld):
            self.source.ask_about(lambda: held_versions(self._bus, self.source.name))
        self.source.open(resume)

    def _listen(self, timeout: float) -> bool:
        if self._spend_meter.turn(self._capture.open):
            return self._offer(Pending([], Batch()))
        self._follow()
        self._show(SourceState.LISTENING)
        pending = self._hear_live(timeout)
        return pending is not None and self._offer(pending)

    def _hear_live(self, timeout: float) -> Pending | None:
        pending = self._hear(timeout, ITSELF)
        if pending is not None:
            self._spend_meter.charge(pending.batch, pending.matched, self._capture.open)
            if pending.batch.quota is not None:
                self._quota_meter.show(pending.batch.quota)
            if isinstance(self.source, Counts):
                self.source.learn_counts(pending.volumes)
            if isinstance(self.source, KnowsHeld):
                self.source.learn_held(post for post, its in pending.matched.items() if its)
        return pending

    def _follow(self) -> None:
        """Let the source know what is wanted now."""
        if self._followed != self._epoch:
            self.source.follow(self._capture.incidents, self._standing, self._capture.over)
            self._followed = self._epoch

    def _tend(self) -> None:
        """The bus does not take what was read. The source must not be lost meanwhile."""
        self._follow()
        self.source.tend()

    def _give_up(self, why: str) -> None:
        self.phase = IngestorPhase.OPENING
        super()._give_up(why)

    def _let_go(self) -> None:
        if self.phase is not IngestorPhase.STANDBY:
            self.phase = IngestorPhase.STANDBY
            super()._let_go()
            self._spend_meter.close()
            self._quota_meter.close()

    # --- to the bus --------------------------------------------------------------------------------------------

    def _offer(self, pending: Pending) -> bool:
        self.phase, self._pending = IngestorPhase.PUBLISHING, pending
        return self._publish()

    def _took(self, pending: Pending) -> None:
        self._settle(durable=True)
        self._done(pending)

    def _done(self, pending: Pending) -> None:
        self._pending = None
        if self.phase is IngestorPhase.PUBLISHING:
            self.phase = IngestorPhase.LISTENING

    def _settle(self, *, durable: bool) -> None:
        """Who called the source may be answered."""
        if isinstance(self.source, Answers):
            self.source.settle(durable)

    def _refused(self, error: BusError) -> None:
        """Who was cut off in the middle of a commit is fenced, too: only if the bus is there was it by another."""
        if isinstance(error, Fenced):
            self._renewed = float("-inf")
            if self._bus.healthy() is None or not self._goes_away(error):
                self._let_go()
            return
        self._part.problem(str(error))
        if not isinstance(error, BusFull):
            self._goes_away(error)

    # --- while the bus is away ---------------------------------------------------------------------------------

    def _goes_away(self, error: BusError) -> bool:
        """True when we go on hearing: whose source is open, and who held its lease until now."""
        if self.phase in (IngestorPhase.STANDBY, IngestorPhase.OPENING):
            return False
        self._renewed = float("-inf")
        if not self._away.begins(str(error), doubtful=self._pending is not None):
            return False
        self.phase = IngestorPhase.AWAY
        return True

    def _hear_away(self, timeout: float) -> bool:
        """As ever, but that what is heard is kept on our own disk."""
        self._apply(self._reporter.state)
        is_open = self.phase is IngestorPhase.AWAY
        if is_open:
            self._follow()
            self._show(SourceState.LISTENING)
        self._part.problem(self._away.problem())
        # Where a source that failed meanwhile goes on, only the bus can say.
        pending = self._pending or (self._hear_live(timeout) if is_open else None)
        if pending is None:
            return False
        self._settle(durable=self._publisher.keep(pending, self._away, self._done))
        return True

    def _after_outage(self) -> IngestorPhase:
        if self._away.waits:
            return IngestorPhase.DELIVERING
        return IngestorPhase.LISTENING if self._pending is None else IngestorPhase.PUBLISHING

    def _deliver(self) -> bool:
        """What was kept, some of it in each turn."""
        self._part.problem(self._away.problem())
        try:
            missed = self._away.bring(self.name, self._lease, self._part.beat)
        except BusError as error:
            self._refused(error)
            return False
        if self.phase is IngestorPhase.DELIVERING and missed:
            # Opened anew it knows of the gap, and searches for what can be found.
            self.source.close()
            self.phase = IngestorPhase.OPENING
        elif self.phase is IngestorPhase.DELIVERING:
            self.phase = self._after_outage()
        return True
