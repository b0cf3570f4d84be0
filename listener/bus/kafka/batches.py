"""Batches of records as they go over Kafka's wire and lie in its files, made in bulk: format 2, compressed with lz4.

kafka-python's builder writes a record at a time into a buffer that it makes room in, and keeps a future of each. All
that we write is at hand when we begin, has no headers and goes under one producer: so a record is one join of bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from crc32c import crc32c
from lz4 import frame  # type: ignore[import-untyped]

from listener.bus.protocol import TopicPartition

BATCH_BYTES = 256 << 10
"""Of keys and values in one batch, before they are compressed: far below the least `max.message.bytes` in use."""

_HEAD = struct.Struct(">qiibI")
"""Base offset, length of what follows it, leader's epoch (these the leader sets), format, sum of what follows."""
_REST = struct.Struct(">hiqqqhii")
"""Attributes, last offset delta, first and largest time, producer id and epoch, first sequence, number of records."""
_FORMAT = 2
_LZ4, _TRANSACTIONAL = 0x03, 0x10
_BEHIND_LENGTH = 12


class Put(NamedTuple):
    """One record to be written, its partition and time chosen."""

    tp: TopicPartition
    key: str
    value: bytes | None
    time_ms: int


class Producer(NamedTuple):
    """Who the broker thinks we are: what is written under an older epoch of the same id is refused."""

    id: int
    epoch: int


NOBODY = Producer(-1, -1)


def chunks(puts: Iterable[Put]) -> Iterator[list[Put]]:
    """In order, each as much as goes into one batch; a record that is larger has its own."""
    chunk: list[Put] = []
    size = 0
    for put in puts:
        its = len(put.value or b"") + len(put.key)
        if chunk and size + its > BATCH_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(put)
        size += its
    if chunk:
        yield chunk


def batch(puts: Sequence[Put], producer: Producer, sequence: int) -> bytes:
    """One transactional batch of these records, in order, all for one partition; at least one.

    `sequence` is the number of the first among those that the producer wrote there in its epoch: a broker that has a
    batch of this number already does not write it twice.
    """
    first = puts[0].time_ms
    records = b"".join([_record(place, put, put.time_ms - first) for place, put in enumerate(puts)])
    attributes = _TRANSACTIONAL
    # Brokers refuse blocks that depend on each other.
    compressed: bytes = frame.compress(records, block_linked=False)
    if len(compressed) < len(records):
        attributes, records = _TRANSACTIONAL | _LZ4, compressed
    largest = max(put.time_ms for put in puts)
    last = len(puts) - 1
    rest: bytes = _REST.pack(attributes, last, first, largest, *producer, sequence, len(puts)) + records
    return _HEAD.pack(0, _HEAD.size - _BEHIND_LENGTH + len(rest), 0, _FORMAT, crc32c(rest)) + rest


def _record(place: int, put: Put, later: int) -> bytes:
    """Length, attributes, time and offset less the first's, key, value, no headers."""
    key, value = put.key.encode(), put.value
    if value is None:
        body = b"".join((b"\0", _number(later), _number(place), _number(len(key)), key, b"\x01\0"))
    else:
        body = b"".join(
            (b"\0", _number(later), _number(place), _number(len(key)), key, _number(len(value)), value, b"\0")
        )
    return _number(len(body)) + body


def _number(number: int) -> bytes:
    """As many bytes as it takes, its sign in the lowest bit."""
    if 0 <= number < len(_SMALL):
        return _SMALL[number]
    return _long(number)


def _long(number: int) -> bytes:
    left = number << 1 ^ number >> 63
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


_SMALL = [_long(number) for number in range(4096)]
