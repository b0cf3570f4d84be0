"""Posts that were deleted at their platform are purged here, with all that repeats their words.

A source's listener puts the ids on `mentions` (`Deletion`), in the transaction of the batch that named them. A purge
can take longer than a listener's lease, so this worker carries it out, as a consumer group that commits only what is
purged. First it writes on `decisions` what it removes, then it purges, then it commits. Killed anywhere in between it
reads the deletion again, finds its decision, and purges once more, which does no harm.

A platform may name every post that anybody deletes. Nothing is written of those that we do not hold, and to find that
out is one reading of what we hold, for all that were named in `PAUSE_SECONDS`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from contextlib import closing
from itertools import islice
from pathlib import Path

from alerts.annotate.corrections import Corrections
from alerts.register.view import Register
from listener.bus import hashchain, spool
from listener.bus.protocol import Bus, Commit, Message, Record, TopicPartition
from listener.bus.scan import scan, scan_records
from listener.clock import Clock
from listener.crashpoints import point
from listener.errors import BusError, Fenced
from listener.maintenance.post_ids import ids_meant
from listener.model import keys
from listener.model.decisions import DECISIONS
from listener.model.records import MENTIONS, BadRecord, Decision, DecisionKind, Deletion, decode
from listener.model.roles import PURGE
from listener.privacy.purge import CONTENT, held, is_about, purge_posts, versions_of
from listener.runtime.health import IN_ONE_PIECE, Part
from listener.runtime.metrics import Metrics

log = logging.getLogger(__name__)

COMMIT_SECONDS = 1.0
"""Where there is nothing to purge, the place that is read to is committed so often."""
LOOK_SECONDS = 0.5
"""It is looked for so often: nobody waits for it, and a bus that is watched at all times costs."""
DECIDED_AT_ONCE = 200
"""Posts of which it is written down in one go that they are gone."""
PAUSE_SECONDS = 10.0
"""From one purge to the next."""
WHY = "deleted at the platform"


def corrected_among(bus: Bus, ids: Collection[str], beat: Callable[[], None] = lambda: None) -> list[str]:
    """Posts that go with these, as versions and reposts do, and that people have corrected; these themselves left out.

    A correction is forgotten with its post's own purge: so each of them needs a decision of its own.
    """
    corrections = Corrections()
    for word in scan(bus, DECISIONS, beat=beat):
        corrections.take(word)
    posts = {each.post for each in corrections.all()}
    if not posts:
        return []
    everyone, gone = versions_of(bus, frozenset(ids), beat), set[str]()
    for record in scan_records(bus, list(CONTENT), beat=beat):
        if record.value is not None and keys.is_post(record.key):
            its = posts & keys.names_of_post(record.key)
            if its and is_about(Message(record.topic, record.key, record.value), everyone):
                gone |= its
    return sorted(post for post in gone if keys.names_of_post(post).isdisjoint(ids))


class Deletions:
    """The worker. Its group is `purge`. `folder`: the data folder, whose spools and register are purged too."""

    name = PURGE

    def __init__(self, bus: Bus, folder: Path, *, clock: Clock, metrics: Metrics, part: Part, member: str = "") -> None:
        self._bus = bus
        self._folder = folder
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._ends: dict[TopicPartition, int] = {}
        self._records = 0
        self._named: dict[str, Deletion] = {}
        """`source:id` → the deletion that names it, and was not carried out yet."""
        self._decided: set[str] | None = None
        """What this worker has decided on, here or elsewhere, as `source:id`; None: to be read from the bus."""
        self._committed = self._purged = self._looked = float("-inf")
        self._consumer = bus.consumer(
            [MENTIONS.name], group=self.name, member=member or self.name, on_assign=self._assigned
        )

    def step(self, timeout: float) -> bool:
        self._part.beat()
        now = self._clock.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return False
        records = self._consumer.poll(0.0, 5000)
        # Where something lies there is perhaps more.
        self._looked = float("-inf") if records else now
        for record in records:
            self._take(record)
        try:
            if self._named:
                if now - self._purged < PAUSE_SECONDS:
                    return bool(records)
                self._purged = now
                self._carry_out()
            elif not self._ends or now - self._committed < COMMIT_SECONDS:
                return bool(records)
            self._commit(now)
        except Fenced:
            self._drop()
            return False
        except BusError as error:
            self._part.problem(str(error))
            return False
        self._part.problem(None)
        return True

    def close(self) -> None:
        self._consumer.close()

    def _assigned(self, assignment: frozenset[TopicPartition]) -> None:
        """What was read and not committed is read again, by whom it belongs to now."""
        self._drop()

    def _drop(self) -> None:
        self._ends.clear()
        self._named.clear()
        self._records, self._decided = 0, None

    def _take(self, record: Record) -> None:
        self._ends[record.tp] = record.offset + 1
        self._records += 1
        if record.value is None or not keys.is_deletion(record.key):
            return
        try:
            found = decode(MENTIONS, record.value)
        except BadRecord:
            return  # the worker that annotates writes the dead letter
        if isinstance(found, Deletion):
            self._named.update((keys.of_source(found.source, id_), found) for id_ in found.ids)

    def _carry_out(self) -> None:
        """Raises BusError: then all of it is to be done once more."""
        from alerts.annotate import learned  # it needs what reads a model, and this process mostly does not

        meant = {name: frozenset(ids_meant([name])) for name in self._named}
        everyone = frozenset[str]().union(*meant.values())
        # What lies on disk alone must go before it is brought to the bus.
        with self._part.takes(IN_ONE_PIECE):
            spool.purge(self._folder, lambda at, message: is_about(message, everyone))
        lying, decided = held(self._bus, everyone, self._part.beat), self._decisions()
        # What was decided on may have been purged in part, by a process that was killed.
        wanted = [name for name, its in meant.items() if name in decided or not its.isdisjoint(lying)]
        if not wanted:
            return
        self._decide([name for name in wanted if name not in decided], decided)
        point("deletions.written")
        ids = frozenset[str]().union(*(meant[name] for name in wanted))
        for post in corrected_among(self._bus, ids, self._part.beat):
            if post not in decided:
                its = next(iter(self._named.values()))
                said = Decision(kind=DecisionKind.PURGE, id=post, at=its.at, by=keys.source_of(post), why=WHY)
                hashchain.append(self._bus, DECISIONS.name, said)
                decided.add(post)
        # On Kafka it reads all content, and waits until the broker has compacted it.
        with self._part.takes(IN_ONE_PIECE):
            purge_posts(self._bus, ids, self._clock, self._folder, beat=self._part.beat)
        with closing(Register(self._bus, self._folder / "register.sqlite")) as view:
            view.catch_up(self._part.beat)
            with self._part.takes(IN_ONE_PIECE):
                view.scrub()

        if learned.forget(self._folder, ids):
            log.info("purge: what the model learned from them is removed; `lyttepost register learn` learns anew")
        point("deletions.purged")
        log.info("purge: %d posts that were deleted at their platform are removed", len(wanted))

    def _decisions(self) -> set[str]:
        if self._decided is None:
            said = (each for each in scan(self._bus, DECISIONS, beat=self._part.beat) if isinstance(each, Decision))
            self._decided = {
                each.id
                for each in said
                if each.kind is DecisionKind.PURGE and each.why == WHY and keys.is_of(each.id, each.by)
            }
        return self._decided

    def _decide(self, names: Collection[str], decided: set[str]) -> None:
        left = iter(names)
        while some := list(islice(left, DECIDED_AT_ONCE)):
            self._part.beat()
            its = ((name, self._named[name]) for name in some)
            said = [
                Decision(kind=DecisionKind.PURGE, id=name, at=each.at, by=each.source, why=WHY) for name, each in its
            ]
            hashchain.append_all(self._bus, DECISIONS.name, said)
            decided.update(some)

    def _commit(self, now: float) -> None:
        with self._bus.transaction(self.name) as transaction:
            transaction.commit(self._consumer, {tp: Commit(end) for tp, end in self._ends.items()})
        self._metrics.stage_records.labels(self.name).inc(self._records)
        self._metrics.stage_batches.labels(self.name).inc()
        self._ends.clear()
        self._named.clear()
        self._records, self._committed = 0, now
