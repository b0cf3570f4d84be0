"""Consumer groups on Kafka as seen from outside: which there are, where they stand, and putting them there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from operator import methodcaller
from typing import Any

from kafka import errors
from kafka.structs import OffsetAndMetadata

from listener.bus.kafka.cluster import RETRY_SECONDS, Cluster
from listener.bus.kafka.readers import Reader
from listener.bus.protocol import Commit, TopicPartition
from listener.errors import BusError
from listener.model.topics import TOPICS

PUT_SECONDS = 10.0
"""A broker takes a moment to make its first group."""
COUNTED = 2_000
"""Offsets that a group is behind are counted record by record up to so many; beyond, markers count too."""


def names(cluster: Cluster) -> list[str]:
    """Groups that have committed in topics of ours. Others may share the cluster."""
    found: Any = cluster.ask("list groups", methodcaller("list_groups"))
    ours = [group["group_id"] for group in found if group["group_id"].startswith(cluster.prefix)]
    plain = sorted(name.removeprefix(cluster.prefix) for name in ours)
    return [name for name in plain if commits(cluster, name)]


def commits(cluster: Cluster, group: str) -> dict[TopicPartition, Commit]:
    """Where a group goes on in topics of ours, as far as that is settled."""
    name = cluster.name(group)
    found: Any = cluster.ask("ask for commits", methodcaller("list_group_offsets", name))
    places = {cluster.back(tp): place for tp, place in found[name].items() if place.offset >= 0}
    return {tp: Commit(place.offset, place.metadata or "") for tp, place in places.items() if tp.topic in TOPICS}


def put(cluster: Cluster, group: str, wanted: Mapping[TopicPartition, Commit]) -> None:
    """The group goes on from there. Raises BusError while it has members, who would not know."""
    name = cluster.name(group)
    places = {cluster.at(tp): OffsetAndMetadata(commit.offset, commit.metadata, -1) for tp, commit in wanted.items()}
    deadline = time.monotonic() + PUT_SECONDS
    while True:
        found: Any = cluster.ask("place a group", methodcaller("alter_group_offsets", name, places))
        failed = {error for error in found.values() if error is not errors.NoError}
        if not failed:
            return
        if not all(error.retriable for error in failed) or time.monotonic() > deadline:
            said = ", ".join(sorted(error.__name__ for error in failed))
            raise BusError(f"kafka {cluster.hosts}: group {group} cannot be placed ({said}); is it at work?")
        cluster.closed.wait(RETRY_SECONDS)


class Lag:
    """How far groups are behind. Each process asks it of every group, so what costs is asked once.

    One thread at a time.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._empty: dict[TopicPartition, tuple[int, int]] = {}
        """Offsets between which nothing but markers of transactions stands, which stays so."""

    def of(
        self, places: Mapping[TopicPartition, Commit], tps: Iterable[TopicPartition], look: Callable[[], Reader]
    ) -> dict[TopicPartition, int]:
        """Records in each of these partitions that a group has not committed, which has committed these `places`."""
        ends = self._cluster.ends(tps)
        reached = {tp: places[tp].offset if tp in places else 0 for tp in ends}
        behind = dict.fromkeys(ends, 0)
        wanted = [tp for tp in ends if reached[tp] < ends[tp] and self._empty.get(tp) != (reached[tp], ends[tp])]
        begins = self._cluster.begins(wanted)
        behind |= {tp: max(0, ends[tp] - max(begins[tp], reached[tp])) for tp in wanted}
        few = {tp: (ends[tp] - count, ends[tp]) for tp, count in behind.items() if 0 < count <= COUNTED}
        if few:
            counted = look().count(few)
            self._empty |= {tp: (reached[tp], ends[tp]) for tp, count in counted.items() if not count}
            behind |= counted
        return behind
