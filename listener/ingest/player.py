"""The worker of a recording: it plays for the exercises that are open, and says with a final tick that it ended.

What becomes of its posts is what becomes of those of a live source.
"""

from __future__ import annotations

from enum import StrEnum

from listener.errors import BusError, Fenced
from listener.ingest.capture import Pending
from listener.ingest.context import IngestContext
from listener.ingest.resume import Place, goes_on, last_tick
from listener.ingest.worker import SourceWorker
from listener.runtime.metrics import SourceState
from listener.sources.contract import Batch, Source


class PlayerPhase(StrEnum):
    """What the worker of a recording is at. The recording is open in PLAYING, PUBLISHING and FINISHED."""

    STANDBY = "standby"
    """Another process holds the lease, as far as is known."""
    OPENING = "opening"
    """To be opened. Where nobody wants it, its last word may still have to be said: by us, or for a predecessor."""
    IDLE = "idle"
    """Nobody wants it, or not for what it was played for, and its last word is on the bus."""
    PLAYING = "playing"
    PUBLISHING = "publishing"
    """The bus has yet to take what was read."""
    FINISHED = "finished"
    """All it has is on the bus."""
    STOPPING = "stopping"
    """The bus has yet to take its last word."""


class Player(SourceWorker):
    """Plays one source of the past.

    | phase | when | next |
    |---|---|---|
    | STANDBY | the lease is ours | OPENING |
    | OPENING, IDLE | an exercise is open; opened, now or ten seconds after it failed | PLAYING |
    | OPENING | none is | STOPPING |
    | PLAYING | a batch | PUBLISHING |
    | | it fails | OPENING |
    | PUBLISHING | the bus has it | PLAYING; FINISHED, if it was the last |
    | PLAYING, FINISHED | no exercise that it is played for is open | STOPPING |
    | FINISHED | a further one is opened | STOPPING, to begin anew |
    | STOPPING | the bus has the final tick, or has it already | IDLE |
    | any | another process holds the lease | STANDBY |
    """

    def __init__(self, source: Source, context: IngestContext) -> None:
        super().__init__(source, context)
        self.phase = PlayerPhase.STANDBY
        self._played_for: frozenset[str] = frozenset()

    @property
    def ended(self) -> bool:
        """The recording has given all it has, and the bus has it."""
        return self.phase is PlayerPhase.FINISHED

    def step(self, timeout: float) -> bool:
        self._part.beat()
        if not self._holds_lease():
            self._let_go()
            self._show(SourceState.STANDBY)
            return False
        self._apply(self._reporter.state)
        match self.phase:
            case PlayerPhase.PUBLISHING | PlayerPhase.STOPPING:
                return self._publish()
            case PlayerPhase.PLAYING | PlayerPhase.FINISHED if not self._goes_on():
                return self._stop()
            case PlayerPhase.FINISHED:
                self._show(SourceState.FINISHED)
                return False
            case PlayerPhase.PLAYING:
                return self._play(timeout)
            case PlayerPhase.IDLE if not self._wanted():
                self._show(SourceState.IDLE)
                return False
            case PlayerPhase.IDLE:
                return self._open() and self._play(timeout)
            case PlayerPhase.STANDBY | PlayerPhase.OPENING:
                self.phase = PlayerPhase.OPENING
                if not self._wanted():
                    return self._stop_for_predecessor()
                return self._open() and self._play(timeout)

    # --- playing -----------------------------------------------------------------------------------------------

    def _served(self) -> frozenset[str]:
        return frozenset(incident.id for incident in self._capture.incidents)

    def _goes_on(self) -> bool:
        """False when it is to be stopped, or to begin anew."""
        served = self._served()
        if not goes_on(Place(None, self._played_for, self.ended), served):
            return False
        self._played_for = served
        return True

    def _open(self) -> bool:
        """Where the last tick on the bus says, if it was for any of the same. False when that cannot be now."""
        if not self._is_due():
            return False
        served = self._served()
        resume = self._recall(served)
        if not self._try(lambda: self.source.open(resume)):
            return False
        self.phase, self._played_for = PlayerPhase.PLAYING, served
        return True

    def _play(self, timeout: float) -> bool:
        self._show(SourceState.LISTENING)
        pending = self._hear(timeout, self._played_for)
        if pending is None:
            return False
        self.phase, self._pending = PlayerPhase.PUBLISHING, pending
        return self._publish()

    def _give_up(self, why: str) -> None:
        self.phase = PlayerPhase.OPENING
        super()._give_up(why)

    def _let_go(self) -> None:
        if self.phase is not PlayerPhase.STANDBY:
            self.phase = PlayerPhase.STANDBY
            super()._let_go()

    # --- ending ------------------------------------------------------------------------------------------------

    def _stop(self) -> bool:
        self.source.close()
        return self._say_last_word(said=self.ended)

    def _stop_for_predecessor(self) -> bool:
        """A process before this one may have died between the incident's end and its last word."""
        last = last_tick(self._bus, self.source.name)
        if last is not None:
            self._capture.until = last.until
        return self._say_last_word(said=last is not None and last.final)

    def _say_last_word(self, *, said: bool) -> bool:
        """Say with a final tick that nothing more comes, so that no rule waits for it; close a gap that is open."""
        pending = Pending([] if said else self._capture.tick(None, final=True), Batch())
        self.phase, self._pending = PlayerPhase.STOPPING, pending
        self._capture.until, self._retry_at = None, float("-inf")
        self._part.problem(None)
        if pending.messages or self._publisher.room.open is not None:
            self._publish()
        else:
            self.phase, self._pending = PlayerPhase.IDLE, None
        return bool(pending.messages)

    # --- to the bus --------------------------------------------------------------------------------------------

    def _took(self, pending: Pending) -> None:
        self._part.problem(None)
        self._metrics.source_heard.labels(self.source.name).set(self._clock.now().timestamp())
        self._pending = None
        if self.phase is PlayerPhase.STOPPING:
            self.phase = PlayerPhase.IDLE
        else:
            self.phase = PlayerPhase.FINISHED if pending.batch.final else PlayerPhase.PLAYING

    def _refused(self, error: BusError) -> None:
        if isinstance(error, Fenced):
            self._renewed = float("-inf")
            self._let_go()
        else:
            self._part.problem(str(error))
