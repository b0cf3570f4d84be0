"""What is registered is read once more, in the background: digests of all of it, and the better tier where it is set.

A worker of its own, so that the register, whose texts alerts are sent with, waits for neither: where the encoder is
slow or breaks off, the default tier's word stands. The better tier reads the newest posts first, and rests as long as
it worked; what it says is written in the view alone, in place of the default tier's word, and goes with its post. It
never meets a rule. What a person has corrected is left as the person said.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from alerts.annotate.corrections import Corrections
from alerts.register import digest
from alerts.register.ranking import Registered
from alerts.register.rows import finding_in, row_of
from listener.bus.protocol import Bus, TopicPartition
from listener.bus.scan import drain
from listener.bus.sqlite.view import connect, is_damage
from listener.clock import Clock
from listener.model.decisions import DECISIONS
from listener.model.records import FINDINGS, BadRecord, Finding, decode
from listener.model.roles import REREAD
from listener.runtime.health import Part

if TYPE_CHECKING:
    # Imported when used: with the default tier this process understands nothing.
    from alerts.annotate.learned import Model
    from alerts.annotate.worker import Annotator

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""So often it is looked for what is new: nobody waits for it, and each time the bus is asked, of each partition. Only
what is too much for one transaction is gone on with at once: a post at a time would cost several times as much."""
AT_ONCE = 8
"""Posts between two rests: a fifth of a second's work."""
AHEAD = 200
"""Posts that are chosen at a time, the newest; after `CHOSEN_SECONDS` they are chosen anew."""
CHOSEN_SECONDS = 5.0

WAITING = """
SELECT key, part, offset FROM findings f WHERE tier = 0 AND language != 'und'
AND key NOT IN (SELECT key FROM edited) ORDER BY at DESC, key LIMIT ?
"""
"""What the better tier can read and has not read: of a post that was edited the newest version."""
READ = """
UPDATE findings SET whose=:whose, kinds=:kinds, themes=:themes, stance=:stance, exposed=:exposed, tier=1
WHERE key=:key AND part=:part AND offset=:offset
"""


class _Place(NamedTuple):
    key: str
    part: int
    offset: int


class Rereading:
    """The worker. `path`: the view. `better`: makes the better tier, when it is first needed; None: there is none."""

    name = REREAD

    def __init__(
        self, bus: Bus, path: Path, *, clock: Clock, part: Part, better: Callable[[], Model] | None = None
    ) -> None:
        self._bus = bus
        self._path = path
        self._clock = clock
        self._part = part
        self._better = better
        self._model: Model | None = None
        self._corrections = Corrections()
        self._decisions = bus.reader([DECISIONS.name]) if better is not None else None
        self._chosen: list[_Place] = []
        self._chosen_at = self._next = float("-inf")
        self._all_read: float | None = None
        """Records that the view had taken when nothing waited."""
        self._left: set[str] = set()
        """Keys of what could not be read."""

    def step(self, timeout: float) -> bool:
        self._part.beat()
        now = self._clock.monotonic()
        if now < self._next or not self._path.exists():
            return False
        busy = False
        try:
            with closing(connect(self._path)) as db:
                busy = self._digest(db)
                if self._better is not None and self._read(db, self._better, now):
                    # It rests as long as it worked.
                    after = self._clock.monotonic()
                    self._next = after + (after - now)
                    return True
        except sqlite3.Error as error:
            if not (is_damage(error) or isinstance(error, sqlite3.OperationalError)):
                raise  # Else the worker that keeps the register begins it anew, or others write now.
        self._next = now if busy else now + LOOK_SECONDS
        self._part.problem(None)
        return busy

    def close(self) -> None:
        if self._decisions is not None:
            self._decisions.close()

    def _digest(self, db: sqlite3.Connection) -> bool:
        if not digest.waits(db):
            return False
        digest.make_some(db, self._bus)
        return digest.waits(db, digest.RECORDS)

    def _read(self, db: sqlite3.Connection, better: Callable[[], Model], now: float) -> bool:
        """Some of the newest posts, by the better tier."""
        if not self._chosen or now > self._chosen_at + CHOSEN_SECONDS:
            (taken,) = db.execute("SELECT total(next) FROM positions").fetchone()
            if taken == self._all_read:
                return False
            newest = map(_Place._make, db.execute(WAITING, (AHEAD + len(self._left),)))
            self._chosen, self._chosen_at = [each for each in newest if each.key not in self._left][:AHEAD][::-1], now
            self._all_read = None if self._chosen else taken
        some = [self._chosen.pop() for _ in range(min(AT_ONCE, len(self._chosen)))]
        if not some:
            return False
        annotator = self._annotator(better)
        rows = [row for each in some if (row := self._reread(each, annotator)) is not None]
        db.execute("BEGIN IMMEDIATE")
        # Of what was purged in the meantime there is no row.
        db.executemany(READ, [row._asdict() for row in rows])
        db.execute("COMMIT")
        return True

    def _reread(self, place: _Place, annotator: Annotator) -> Registered | None:
        """None for what was purged, or cannot be read: the default tier's word stands."""
        self._part.beat()
        records = self._bus.read(TopicPartition(FINDINGS.name, place.part), place.offset, 1)
        its = [each for each in records if (each.key, each.offset) == (place.key, place.offset)]
        found = finding_in(its[0]) if its else None
        self._left.add(place.key)
        if found is None:
            return None
        try:
            row = Registered._make(row_of(_as_read(found, annotator), place.part, place.offset, 1))
        except Exception as error:
            log.error(
                "the better tier could not read a post (%s); the default tier's word stands", type(error).__name__
            )
            return None
        self._left.discard(place.key)
        return row

    def _annotator(self, better: Callable[[], Model]) -> Annotator:
        """With what people have corrected by now."""
        from alerts.annotate.worker import Annotator

        self._model = self._model or better()
        for record in drain(self._decisions, self._part.beat) if self._decisions is not None else ():
            with suppress(BadRecord):
                if record.value is not None:
                    self._corrections.take(decode(DECISIONS, record.value))
        return Annotator(self._model.current(self._clock.monotonic()), corrections=self._corrections)


def _as_read(finding: Finding, annotator: Annotator) -> Finding:
    """Its story and its language stay what they were: rules and readers go by them."""
    found = annotator.understood(finding)
    return finding.model_copy(update={name: found[name] for name in found if name not in ("story", "language")})
