"""The ledger: `deliveries` (who was notified) and `decisions` (who answered), each written as a hash chain.

No record of it can be changed, left out or put in between without it showing.

A record's digest is SHA-256 over its canonical JSON (keys sorted, no spaces, unset fields and the digest itself left
out), in which `prev` is the digest of the record before it. Retention may cut the beginning of a chain off, so the
first record that is read is taken as its anchor. Records are verified as the bytes that lie on the bus: a record of a
newer schema, which this program cannot read, still holds its place in the chain.

What it does not prove: that nobody with write access rewrote the whole chain from some record on. Who fears that
copies the newest digest elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final, TypeVar

from listener.bus.protocol import Bus, Link, Record, TopicPartition
from listener.errors import Corrupt
from listener.model.base import Chained
from listener.model.records import encode

R = TypeVar("R", bound=Chained)

CHAINED: Final = ("decisions", "deliveries")
"""The topics whose records form one."""


def seal(record: R, prev: Chained | None) -> R:
    """The record with its place in the chain: `prev` and `digest` filled in."""
    return _seal(record, prev.digest if prev else "")


def append(bus: Bus, topic: str, record: R) -> R:
    """Seal after the topic's last record and append, with nothing in between; durable when this returns.

    Raises Corrupt when the last record is none of ours, BusError when the bus cannot write.
    """
    return append_all(bus, topic, [record])[0]


def append_all(bus: Bus, topic: str, records: Sequence[R]) -> list[R]:
    """The same for several, one after the other: all or nothing, in one write."""
    sealed: list[R] = []

    def make(last: Record | None) -> list[Link]:
        sealed.clear()
        prev = "" if last is None else _digest_in(last)
        for record in records:
            sealed.append(_seal(record, prev))
            prev = sealed[-1].digest
        return [Link(record.key, encode(record)) for record in sealed]

    if records:
        bus.append_after(topic, make)
    return sealed


def verify(records: Iterable[Record]) -> None:
    """Follow every chain in `records`, each partition's in its order. Raises Corrupt naming topic/partition:offset."""
    chain = Chain()
    for record in records:
        chain.follow(record)


class Chain:
    """Verifies records as they are read, one chain a partition."""

    def __init__(self) -> None:
        self._heads: dict[TopicPartition, str] = {}
        self.head = ""
        """The digest of the last record that was followed."""

    def follow(self, record: Record) -> None:
        """Raises Corrupt when this record does not follow the one before it."""
        raw = _raw(record)
        digest = _digest_in(record)
        if digest != _digest_of(raw):
            raise Corrupt(f"{record.where}: the record is not what its digest says; it was changed later")
        head = self._heads.get(record.tp)
        if head is not None and raw.get("prev", "") != head:
            raise Corrupt(f"{record.where}: does not follow the record before it; one was removed, put in or moved")
        self._heads[record.tp] = self.head = digest


def _seal(record: R, prev: str) -> R:
    placed = record.model_copy(update={"prev": prev, "digest": ""})
    return placed.model_copy(update={"digest": _digest_of(json.loads(encode(placed)))})


def _digest_of(raw: dict[str, Any]) -> str:
    kept = {name: value for name, value in raw.items() if name != "digest"}
    return sha256(json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def _digest_in(record: Record) -> str:
    digest = _raw(record).get("digest")
    if not isinstance(digest, str) or not digest:
        raise Corrupt(f"{record.where}: has no digest; something else writes to this topic")
    return digest


def _raw(record: Record) -> dict[str, Any]:
    if record.value is None:
        raise Corrupt(f"{record.where}: a record was removed from the chain; nothing may be purged from this topic")
    try:
        raw = json.loads(record.value)
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        raise Corrupt(f"{record.where}: is no record of ours; restore the log from a backup or move it away")
    return raw
