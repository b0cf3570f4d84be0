"""The topics: what each holds, for how long, and how safely. ARCHITECTURE.md has them in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")


class Retention(StrEnum):
    """Which retention setting governs a topic."""

    FOREVER = "forever"
    PRIVACY = "privacy"
    BASELINE = "baseline"
    ARCHIVE = "archive"
    DEADLETTERS = "deadletters"
    COMPACTED = "compacted"
    """Only the newest record of each key."""


@dataclass(frozen=True)
class Topic(Generic[T]):
    """A topic together with the records that lie on it. Those that pydantic reads stand in `listener.model.records`."""

    name: str
    adapter: TypeAdapter[T]
    key: Callable[[T], str]


@dataclass(frozen=True)
class TopicSpec:
    """`durable`: on disk before a publish returns, a power cut included."""

    name: str
    holds: str
    key: str
    retention: Retention
    partitions: int = 1
    durable: bool = False
    keep: timedelta | None = None
    """How long; None is for ever. Filled in from the settings by `topic_specs`."""

    @property
    def essential(self) -> bool:
        """Written even when room is short: what wakes people, and what says that we could not hear."""
        return self.durable or self.name in ("gaps", "presence", "deadletters")


TOPICS: Mapping[str, TopicSpec] = {
    spec.name: spec
    for spec in (
        TopicSpec("control", "commands: open, change, review, close", "incident", Retention.FOREVER, durable=True),
        TopicSpec("mentions", "posts captured; ticks, gaps and deletions in-band", "source:post id", Retention.PRIVACY),
        TopicSpec(
            "findings", "mentions understood, one for each incident", "incident:source:post id", Retention.PRIVACY
        ),
        TopicSpec(
            "volumes", "counts per minute, minutes heard; *… is several together", "source:track", Retention.BASELINE
        ),
        TopicSpec("gaps", "from, to, cause, refilled how far", "source", Retention.BASELINE),
        TopicSpec("spending", "what a source has cost: money, calls of a day", "source:month", Retention.COMPACTED),
        TopicSpec("alerts", "every state of an alert: ids and digests", "alert id", Retention.ARCHIVE, durable=True),
        TopicSpec(
            "deliveries", "intents, outcomes and receipts, hash-chained", "alert id", Retention.ARCHIVE, durable=True
        ),
        TopicSpec("decisions", "every human word, hash-chained", "id of the thing", Retention.ARCHIVE, durable=True),
        TopicSpec("presence", "each process: role, epoch, sources", "process", Retention.COMPACTED),
        TopicSpec("keys", "fingerprint of the pseudonym key in use", "file", Retention.COMPACTED, durable=True),
        TopicSpec("deadletters", "reason, length, digest, where; no content", "topic:offset", Retention.DEADLETTERS),
    )
}

SHARED = ("mentions", "findings")
"""The topics whose number of partitions is a setting; the others have one."""


def topic_specs(partitions: int, keep: Mapping[Retention, timedelta]) -> list[TopicSpec]:
    """The table with the settings' partitions and retention times filled in."""
    return [
        replace(spec, partitions=partitions if spec.name in SHARED else 1, keep=keep.get(spec.retention))
        for spec in TOPICS.values()
    ]
