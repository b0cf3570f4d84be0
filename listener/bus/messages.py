"""Records made ready for the bus, each with its topic's own key."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from listener.bus.protocol import Message
from listener.model.records import encode
from listener.model.topics import Topic

T = TypeVar("T", bound=BaseModel)


def message(topic: Topic[T], record: T, partition: int | None = None) -> Message:
    """One message. Without a partition its key chooses it."""
    return Message(topic.name, topic.key(record), encode(record), partition)


def to_every_partition(topic: Topic[T], record: T, partitions: int) -> list[Message]:
    """The same for each partition, so that whoever reads one of them has it in order."""
    key, value = topic.key(record), encode(record)
    return [Message(topic.name, key, value, number) for number in range(partitions)]
