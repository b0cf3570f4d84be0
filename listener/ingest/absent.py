"""Sources that nobody listens to while an incident is open: switched off, or their process never came back.

What such a source said last would hold the watermark for ever, and no window would close, of whatever other source.
So once it has said nothing for `PATIENCE` and its lease is free, the gap is written down that its own listener writes
down when it comes back: a source in a gap holds nothing. One that comes back finds the gap in the ledger, ends it and
fills it; it does not miss that, for its lease was another's meanwhile. When no incident is open any more, nobody
waits for the source, and the gap ends.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Final

from listener.bus.protocol import Bus, Consumer, Lease
from listener.bus.scan import drain
from listener.clock import Clock
from listener.errors import Fenced
from listener.ingest.gaps import in_band, ledger, to_ledger
from listener.ingest.ingestor import ITSELF
from listener.ingest.resume import place
from listener.model import keys
from listener.model.gaps import Cause, closed, open_gap
from listener.model.incidents import Mode, State
from listener.model.records import MENTIONS, BadRecord, Gap, Tick, decode
from listener.model.roles import ABSENT, listen_to
from listener.runtime.health import Part
from listener.runtime.presence import PresenceReporter

log = logging.getLogger(__name__)

PATIENCE: Final = 120.0
"""Seconds without a tick, of which a source that is listened to gives one each second: longer than a restart takes."""
LOOK_SECONDS: Final = 10.0
CALM_SECONDS: Final = 60.0
"""The same in calm: nobody waits."""
MARGIN: Final = timedelta(minutes=1)
"""Clocks of machines differ."""


class Absent:
    """The worker. `own`: the sources that this very process listens to. `lease`: name of a source → the right to it."""

    name = ABSENT

    def __init__(
        self,
        bus: Bus,
        own: Collection[str],
        lease: Callable[[str], Lease],
        *,
        reporter: PresenceReporter,
        clock: Clock,
        part: Part,
    ) -> None:
        self._bus = bus
        self._own = frozenset(own)
        self._make_lease = lease
        self._leases: dict[str, Lease] = {}
        self._reporter = reporter
        self._clock = clock
        self._part = part
        self._due = clock.monotonic()
        self._reader: Consumer | None = None
        self._said: dict[str, tuple[Tick, float]] = {}
        """Source → its last tick, and since when, on the monotonic clock, it is that."""
        self._left: dict[str, float] = {}
        """Gap → since when it lasts in calm."""

    def step(self, timeout: float) -> bool:
        """Raises BusError when the bus does not take it; it is tried again."""
        self._part.beat()
        if self._clock.monotonic() < self._due:
            return False
        state = self._reporter.state
        crisis = state.mode is Mode.CRISIS
        self._due = self._clock.monotonic() + (LOOK_SECONDS if crisis else CALM_SECONDS)
        moved = self._crisis(state) if crisis else self._calm()
        self._part.problem(None)
        return moved

    def close(self) -> None:
        self._forget()

    # --- while an incident is open -----------------------------------------------------------------------------

    def _crisis(self, state: State) -> bool:
        self._left.clear()
        self._listen(state)
        now = self._clock.monotonic()
        silent = [tick for tick, since in self._said.values() if now - since >= PATIENCE]
        if not silent:
            return False
        deaf = {gap.source for gap in ledger(self._bus) if gap.end is None and gap.part is None}
        for tick in silent:
            # Looked at again in as long: what is in a gap may come out of it and die.
            self._said[tick.source] = tick, now
            if tick.source not in deaf:
                self._write(open_gap(tick.source, tick.until, Cause.PROCESS_DOWN), "nobody listens to it")
        return True

    def _listen(self, state: State) -> None:
        """What sources have said since the first incident was opened: no window knows more."""
        if self._reader is None:
            since = min(incident.opened_at for incident in state.open) - MARGIN
            self._reader = self._bus.reader([MENTIONS.name], start=since)
        now = self._clock.monotonic()
        for record in drain(self._reader, self._part.beat):
            if record.value is None or not keys.is_tick(record.key):
                continue
            try:
                tick = decode(MENTIONS, record.value)
            except BadRecord:
                continue
            if isinstance(tick, Tick) and tick.source not in self._own and place(tick).played_for == ITSELF:
                self._said[tick.source] = tick, now
                if tick.final:
                    del self._said[tick.source]

    def _forget(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader = None
        self._said.clear()

    # --- in calm -----------------------------------------------------------------------------------------------

    def _calm(self) -> bool:
        self._forget()
        now, moved = self._clock.monotonic(), False
        lasting = {
            gap.id: gap
            for gap in ledger(self._bus)
            if gap.end is None and gap.cause == Cause.PROCESS_DOWN and gap.source not in self._own
        }
        self._left = {id_: self._left.get(id_, now) for id_ in lasting}
        for id_, gap in lasting.items():
            if now - self._left[id_] >= PATIENCE:
                self._left[id_], moved = now, True
                over = closed(gap, self._clock.now(), refilled=gap.refilled, refilled_until=gap.refilled_until)
                self._write(over, "nobody waits for it")
        return moved

    # --- either way --------------------------------------------------------------------------------------------

    def _write(self, gap: Gap, why: str) -> None:
        """In the place of its listener, and only while there is none."""
        lease = self._leases.get(gap.source)
        if lease is None:
            lease = self._leases[gap.source] = self._make_lease(gap.source)
        if not lease.renew():
            return
        try:
            with self._bus.transaction(listen_to(gap.source)) as transaction:
                transaction.hold(lease)
                for each in (to_ledger(gap), *in_band(gap, self._bus.partitions(MENTIONS.name))):
                    transaction.publish(each)
        except Fenced:
            return  # its listener is back
        finally:
            lease.release()
        log.warning("source %s: %s; its gap %s", gap.source, why, "lasts" if gap.end is None else "is over")
