"""Keys on Kafka. Compaction keeps the newest record of each key, and of what people wrote it may drop nothing but what
is purged: ticks and gaps repeat their key, and a post that matches a later incident comes once more under its own.

So in the topics that hold content every record's key gets an ending of its own (`x:123#k3j0v9a2mq4`), which readers
take off again; a purge looks up the endings and leaves a tombstone for each.
"""

from __future__ import annotations

import secrets

from listener.model.topics import TOPICS, Retention

CONTENT = frozenset(name for name, spec in TOPICS.items() if spec.retention is Retention.PRIVACY)
ENDING = 11
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"


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
