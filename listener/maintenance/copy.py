"""Copying a bus onto another, record for record: every record keeps its topic, partition, offset, time, key and value.

Because offsets are kept, all that names one still means what it meant: groups' commits and the words beside them, the
epochs of `control`, the places of dead letters. Nothing is translated, so nothing can be translated wrongly, and the
proof is plain: a digest over all of it on either side.

Two topics are not copied so. `presence` says who runs now, and nobody does. Of compacted ones the newest record of
each key is what there is; their offsets mean nothing to anybody, so they are counted anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from listener.bus.protocol import Bus, Commit, Record, TopicPartition
from listener.clock import Clock
from listener.errors import LyttepostError, Refused
from listener.model.topics import TOPICS, Retention, TopicSpec
from listener.runtime.control import Presences

CHUNK = 5_000
LISTEN_SECONDS = 1.5
"""Whoever runs says so each second."""
LEFT_OUT = frozenset({"presence"})


@dataclass(frozen=True)
class Proof:
    """What a topic holds: how many records, and a SHA-256 over all of them with where and when they stand."""

    topic: str
    records: int
    digest: str


Groups = Mapping[str, Mapping[TopicPartition, Commit]]


def copy(
    source: Bus, target: Bus, specs: Mapping[str, TopicSpec], clock: Clock, progress: Callable[[str, int], None]
) -> tuple[list[Proof], Groups]:
    """Copy all of it. `progress` gets a topic and how many records of it are copied; target topics are made by `specs`.

    Raises Refused where somebody runs on the source or the target holds anything; LyttepostError when what was written
    is not what was read.
    """
    _refuse_at_work(source, clock)
    made = {info.name: info.partitions for info in source.topics()}
    wanted = [replace(specs[name], partitions=count) for name, count in made.items() if name in specs]
    if not wanted:
        raise Refused("the source holds no topic of ours: is its address right, with its ?prefix=? Nothing was copied")
    target.ensure(wanted)
    _refuse_used(target)
    topics = [spec for spec in wanted if spec.name not in LEFT_OUT]
    before = _ends(source, topics)
    proofs = []
    with target.placing() as placer:
        for spec in topics:
            digest, count = hashlib.sha256(), 0
            for tp in _partitions(spec):
                for records, end in _ahead(
                    _chunks(source, tp, before[tp], spec), 0 if _recounted(spec) else before[tp]
                ):
                    placer.place(tp, records, end)
                    _digest(digest, records)
                    count += len(records)
                    progress(spec.name, count)
            proofs.append(Proof(spec.name, count, digest.hexdigest()))
    groups = {name: dict(source.commits(name)) for name in source.groups()}
    for name, commits in groups.items():
        target.put_commits(name, commits)
    if _ends(source, topics) != before:
        raise LyttepostError("something was written to the source meanwhile: stop it, and begin with an empty target")
    _compare(proofs, [prove(target, spec) for spec in topics])
    if groups != {name: dict(target.commits(name)) for name in groups}:
        raise LyttepostError("the groups on the target are not at the same positions; begin with an empty target")
    return proofs, groups


def prove(bus: Bus, spec: TopicSpec) -> Proof:
    """What a topic holds now."""
    digest, count = hashlib.sha256(), 0
    for tp in _partitions(spec):
        for records in _chunks(bus, tp, bus.end_offset(tp), spec):
            _digest(digest, records)
            count += len(records)
    return Proof(spec.name, count, digest.hexdigest())


def _refuse_at_work(source: Bus, clock: Clock) -> None:
    if any(info.name == "presence" for info in source.topics()):
        presences = Presences(source, clock)
        running = presences.refresh() or presences.refresh(LISTEN_SECONDS)
        if running:
            names = ", ".join(sorted(presence.process for presence in running))
            raise Refused(f"processes run on the source: {names}; stop them first, and start them on the copy")


def _refuse_used(target: Bus) -> None:
    used = [info.name for info in target.topics() if info.name in TOPICS and _is_used(target, info.name)]
    if used or target.groups():
        raise Refused(
            f"the target is not empty ({', '.join(used or target.groups())}): name one that nobody has used, such as "
            "another folder or ?prefix=…; what is left of a copy that broke off is to be taken away"
        )


def _is_used(bus: Bus, topic: str) -> bool:
    return any(bus.end_offset(TopicPartition(topic, number)) > 0 for number in range(bus.partitions(topic)))


def _partitions(spec: TopicSpec) -> list[TopicPartition]:
    return [TopicPartition(spec.name, number) for number in range(spec.partitions)]


def _ends(bus: Bus, specs: list[TopicSpec]) -> dict[TopicPartition, int]:
    return {tp: bus.end_offset(tp) for spec in specs for tp in _partitions(spec)}


def _recounted(spec: TopicSpec) -> bool:
    return spec.retention is Retention.COMPACTED


def _chunks(bus: Bus, tp: TopicPartition, end: int, spec: TopicSpec) -> Iterator[list[Record]]:
    offset = 0
    newest: dict[str, Record] = {}
    while records := [record for record in bus.read(tp, offset, CHUNK) if record.offset < end]:
        offset = records[-1].offset + 1
        if not _recounted(spec):
            yield records
            continue
        for record in records:
            newest.pop(record.key, None)
            newest[record.key] = record
    if newest:
        yield [record._replace(offset=number) for number, record in enumerate(newest.values())]


def _ahead(chunks: Iterator[list[Record]], end: int) -> Iterator[tuple[list[Record], int]]:
    """Each with where the next one begins; the last with `end`, or where it ends itself."""
    held: list[Record] = []
    for records in chunks:
        if held:
            yield held, records[0].offset
        held = records
    yield held, max(end, held[-1].offset + 1 if held else 0)


def _digest(digest: hashlib._Hash, records: list[Record]) -> None:
    for r in records:
        head = f"{r.partition}\0{r.offset}\0{r.time_ms}\0{r.key}\0{-1 if r.value is None else len(r.value)}\0"
        digest.update(head.encode() + (r.value or b""))


def _compare(proofs: list[Proof], found: list[Proof]) -> None:
    wrong = [f"{a.topic} ({a.records} read, {b.records} there)" for a, b in zip(proofs, found, strict=True) if a != b]
    if wrong:
        raise LyttepostError(f"the copy is not what was read: {', '.join(wrong)}; begin with an empty target")
