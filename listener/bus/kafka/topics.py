"""Topics on Kafka: made as the table asks, or checked; and their records' keys as they are stored there.

A topic that is wrong stops the start, with the command that fixes it.

What a setting may change at any time, retention, is applied. What would lose records or break an order is not ours
to change on a running cluster: partitions, copies, clean-up, and how long purged content may stay in a segment.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from kafka import OffsetSpec, errors
from kafka.admin import ConfigResource, ConfigResourceType

from listener.bus.kafka.cluster import RETRY_SECONDS, Cluster
from listener.bus.protocol import Record, TopicInfo, TopicPartition
from listener.errors import BusError, ConfigError
from listener.model.topics import TOPICS, Retention, TopicSpec

LEASES = TopicSpec("leases", "who holds what only one may do", "lease", Retention.COMPACTED)
"""Beside the table: the bus's own."""
TOMBSTONES = timedelta(days=7)
"""A reader that was away for less than this still learns what was purged."""
FILES = timedelta(seconds=1)
"""How long the broker keeps a file that it has compacted away; its own default is a minute."""
SMALL_SEGMENT = timedelta(minutes=10)
MAKE_SECONDS = 15.0
LOST_SECONDS = 5.0
POLICIES = {Retention.PRIVACY: "compact,delete", Retention.COMPACTED: "compact"}

AT_MOST = ("max.compaction.lag.ms", "segment.ms")
AT_LEAST = ("min.insync.replicas", "delete.retention.ms")
EXACTLY = ("cleanup.policy", "message.timestamp.type", "unclean.leader.election.enable", "retention.bytes")

CONTENT = frozenset(name for name, spec in TOPICS.items() if spec.retention is Retention.PRIVACY)
"""The topics that hold what people wrote."""
ENDING = 11
"""Characters that make a key its record's own."""
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


def ensure(
    cluster: Cluster, specs: Iterable[TopicSpec], lost: Callable[[str], Exception | None] = lambda topic: None
) -> dict[str, int]:
    """Make what is missing, check what is there. Topic → partitions. Raises ConfigError with the fix.

    `lost` is what to raise when a topic is missing that must not be made a second time.
    """
    wanted = {cluster.name(spec.name): spec for spec in (*specs, LEASES)}
    there = _describe(cluster, list(wanted))
    missing = [name for name in wanted if name not in there]
    if missing and any(lost(wanted[name].name) for name in missing):
        # A broker that has just started, or was asked just after they were made, may not know of them yet.
        cluster.closed.wait(LOST_SECONDS)
        there = _describe(cluster, list(wanted))
        missing = [name for name in wanted if name not in there]
        for name in _unknown(cluster, missing):
            if error := lost(wanted[name].name):
                raise error
    if missing:
        _make(cluster, {name: wanted[name] for name in missing})
        there |= _made(cluster, missing)
    configs = configs_of(cluster, [name for name in wanted if name not in missing])
    problems: list[str] = []
    for name, config in configs.items():
        problems += _partition_problems(cluster, name, wanted[name], there[name])
        problems += _config_problems(cluster, name, wanted[name], config)
    if problems:
        raise ConfigError("\n".join(problems))
    _keep_as_long_as_asked(cluster, wanted, configs)
    return {spec.name: len(there[name]["partitions"]) for name, spec in wanted.items()}


def found(cluster: Cluster) -> dict[str, int]:
    """Our topics on the cluster, the bus's own left out, and their partitions."""
    names = cluster.ask("list topics", lambda admin: admin.list_topics())
    ours = [name for name in names if name.removeprefix(cluster.prefix) in TOPICS and name.startswith(cluster.prefix)]
    described = _describe(cluster, ours) if ours else {}
    return {name.removeprefix(cluster.prefix): len(topic["partitions"]) for name, topic in described.items()}


def info(
    cluster: Cluster, name: str, tps: list[TopicPartition], read: Callable[[TopicPartition, int, int], list[Record]]
) -> TopicInfo:
    """What there is of a topic; `records` counts offsets, markers of transactions among them."""
    begins, ends = cluster.begins(tps), cluster.ends(tps)
    newest = cluster.offsets(tps, OffsetSpec.MAX_TIMESTAMP)
    oldest = [record.time_ms for tp in tps for record in read(tp, begins[tp], 1)]
    times = [time_ms for _, time_ms in newest.values() if time_ms >= 0]
    records = sum(ends[tp] - begins[tp] for tp in tps)
    return TopicInfo(name, len(tps), records, min(oldest, default=None), max(times) if oldest and times else None)


def config_of(cluster: Cluster, spec: TopicSpec) -> dict[str, str]:
    """A topic's configuration. Nothing that decides over loss is left to the cluster's defaults."""
    settings = cluster.settings
    config = {
        "cleanup.policy": POLICIES.get(spec.retention, "delete"),
        "message.timestamp.type": "CreateTime",
        "min.insync.replicas": str(settings.in_sync),
        "unclean.leader.election.enable": "false",
        "retention.bytes": "-1",
        "retention.ms": "-1" if spec.keep is None else _ms(spec.keep),
    }
    if spec.retention is Retention.PRIVACY:
        config |= {
            "max.compaction.lag.ms": _ms(settings.purge_lag),
            "segment.ms": _ms(settings.segment),
            "delete.retention.ms": _ms(TOMBSTONES),
            "file.delete.delay.ms": _ms(FILES),
        }
    elif spec.retention is Retention.COMPACTED:
        config |= {"segment.ms": _ms(SMALL_SEGMENT), "max.compaction.lag.ms": _ms(SMALL_SEGMENT)}
    return config


def alter(cluster: Cluster, changes: Mapping[str, Mapping[str, str]]) -> None:
    """Cluster's topic name → what to set. Raises ConfigError when we may not, BusError."""
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict(config)) for name, config in changes.items()]
    cluster.ask("alter topics", lambda admin: admin.alter_configs(resources, raise_on_unknown=False))


def _ms(time: timedelta) -> str:
    return str(round(time.total_seconds() * 1000))


def _describe(cluster: Cluster, names: list[str]) -> dict[str, Any]:
    found = cluster.ask("describe topics", lambda admin: admin.describe_topics(names))
    return {topic["name"]: topic for topic in found if topic["error_code"] == 0}


def _unknown(cluster: Cluster, names: list[str]) -> list[str]:
    """Those that are not there, in contrast to those that nothing can be said of."""
    found = cluster.ask("describe topics", lambda admin: admin.describe_topics(names)) if names else []
    return [topic["name"] for topic in found if topic["error_code"] == errors.UnknownTopicOrPartitionError.errno]


def _made(cluster: Cluster, names: list[str]) -> dict[str, Any]:
    """What `describe` says of them once the broker that is asked has heard of all of them. Raises BusError."""
    deadline = time.monotonic() + MAKE_SECONDS
    while True:
        there = _describe(cluster, names)
        unheard = sorted(set(names) - there.keys())
        if not unheard:
            return there
        if time.monotonic() > deadline:
            raise BusError(f"kafka {cluster.hosts}: {', '.join(unheard)} were made, and a broker does not know of them")
        cluster.closed.wait(RETRY_SECONDS)


def configs_of(cluster: Cluster, names: list[str]) -> dict[str, dict[str, str]]:
    """Topics by their names on the cluster, as they are now."""
    if not names:
        return {}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found = cluster.ask(
        "describe topics", lambda admin: admin.describe_configs(resources, config_filter="all").get("topic", {})
    )
    return {name: {key: str(entry["value"]) for key, entry in config.items()} for name, config in found.items()}


def _make(cluster: Cluster, specs: Mapping[str, TopicSpec]) -> None:
    """Another process may make them at the same moment."""
    topics = {
        name: {
            "num_partitions": spec.partitions,
            "replication_factor": cluster.settings.replication,
            "configs": config_of(cluster, spec),
        }
        for name, spec in specs.items()
    }
    made = cluster.ask("make topics", lambda admin: admin.create_topics(topics, raise_errors=False), MAKE_SECONDS)
    problems = []
    for topic in made["topics"]:
        error: type[Exception] = errors.for_code(topic["error_code"])  # type: ignore[no-untyped-call]
        if error not in (errors.NoError, errors.TopicAlreadyExistsError):
            command = _create_command(cluster, topic["name"], specs[topic["name"]])
            problems.append(f"bus: topic {topic['name']} cannot be made ({error.__name__}); fix with: {command}")
    if problems:
        raise ConfigError("\n".join(problems))
    cluster.ask(
        "make topics", lambda admin: admin.wait_for_topics(list(specs), timeout_ms=round(MAKE_SECONDS * 1000)), 0.0
    )


def _partition_problems(cluster: Cluster, name: str, spec: TopicSpec, found: Mapping[str, Any]) -> list[str]:
    parts = found["partitions"]
    problems = []
    if len(parts) != spec.partitions:
        problems.append(
            f"bus: topic {name} has {len(parts)} partitions where {spec.partitions} is asked for; its records are "
            f"spread by their number: "
            + (
                f"set bus.partitions to {len(parts)}"
                if spec.retention is Retention.PRIVACY
                else f"move it away and make it anew: {_create_command(cluster, name, spec)}"
            )
        )
    copies = min(len(part["replica_nodes"]) for part in parts)
    if copies < cluster.settings.replication:
        problems.append(
            f"bus: topic {name} has {copies} copies, bus.kafka.replication asks for {cluster.settings.replication}; "
            f"fix with: kafka-reassign-partitions.sh --bootstrap-server {cluster.hosts} --execute "
            f"--reassignment-json-file … (or lower bus.kafka.replication)"
        )
    return problems


def _config_problems(cluster: Cluster, name: str, spec: TopicSpec, found: Mapping[str, str]) -> list[str]:
    wrong = {}
    for key, wanted in config_of(cluster, spec).items():
        has = found.get(key, "")
        if (
            (key in EXACTLY and _words(has) != _words(wanted))
            or (key in AT_MOST and int(has) > int(wanted))
            or (key in AT_LEAST and int(has) < int(wanted))
        ):
            wrong[key] = (has, wanted)
    if not wrong:
        return []
    said = ", ".join(f"{key} is {has} instead of {wanted}" for key, (has, wanted) in wrong.items())
    config = ",".join(f"{key}=[{v}]" if "," in v else f"{key}={v}" for key, (_, v) in wrong.items())
    return [
        f"bus: topic {name}: {said}; fix with: kafka-configs.sh --bootstrap-server {cluster.hosts} --alter "
        f"--entity-type topics --entity-name {name} --add-config '{config}'"
    ]


def _words(value: str) -> set[str]:
    return {word.strip() for word in value.split(",")}


def _keep_as_long_as_asked(
    cluster: Cluster, wanted: Mapping[str, TopicSpec], configs: Mapping[str, Mapping[str, str]]
) -> None:
    changes = {}
    for name, found in configs.items():
        keep = config_of(cluster, wanted[name])["retention.ms"]
        if found["retention.ms"] != keep:
            changes[name] = {"retention.ms": keep}
    if changes:
        alter(cluster, changes)


def _create_command(cluster: Cluster, name: str, spec: TopicSpec) -> str:
    config = " ".join(f"--config {key}={value}" for key, value in config_of(cluster, spec).items())
    return (
        f"kafka-topics.sh --bootstrap-server {cluster.hosts} --create --topic {name} --partitions {spec.partitions} "
        f"--replication-factor {cluster.settings.replication} {config}"
    )


# --- keys ----------------------------------------------------------------------------------------------------------
#
# Compaction keeps the newest record of each key, and of what people wrote it may drop nothing but what is purged: ticks
# and gaps repeat their key, and a post that matches a later incident comes once more under its own. So in the topics
# that hold content every record's key gets an ending of its own (`x:123#k3j0v9a2mq4`), which readers take off again; a
# purge looks up the endings and leaves a tombstone for each.


def stored(topic: str, key: str, value: bytes | None) -> str:
    """The key as it goes to Kafka."""
    if topic not in CONTENT or value is None:
        return key
    number = secrets.randbits(5 * ENDING)
    return key + "#" + "".join([_LETTERS[number >> shift & 31] for shift in range(0, 5 * ENDING, 5)])


def plain(topic: str, key: str) -> str:
    """The key as it was given. One without an ending was written by another program, or is a tombstone's."""
    if topic in CONTENT and key[-ENDING - 1 : -ENDING] == "#":
        return key[: -ENDING - 1]
    return key
