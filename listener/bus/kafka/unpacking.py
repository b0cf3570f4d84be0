"""From what a broker sent to records, several times as fast as kafka-python's own way.

Its fetching, its check of sums, its rules of what a reader of committed records sees all stay; only the loop over the
records of a batch is ours. What we never use (headers, sizes, serializers) is passed over, and a record becomes a plain
tuple and not three objects one after another.

It takes the place of an inner class of kafka-python's fetcher, which its 3.x has under this name; what the loop reads
of a batch are the numbers that stand in it. A kafka-python that has it no more fails loudly, at the start.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka import errors
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer.offsets import IsolationLevel
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint
from lz4.frame import LZ4FrameDecompressor  # type: ignore[import-untyped]

LOG_APPEND_TIME = 1
HEADER = DefaultRecordBatch.HEADER_STRUCT.size
ROOM = 1 << 16
_Theirs: Any = Fetcher.PartitionRecords

Raw = tuple[int, bytes | None, bytes | None, int]
"""A record as it came: offset, key, value, time in ms."""


def install(consumer: Any) -> None:
    """From now on this KafkaConsumer gives its records as `Raw`."""
    fetcher = consumer._fetcher
    if not issubclass(_Unpacked, fetcher.PartitionRecords):
        raise TypeError("this kafka-python unpacks records in another way")
    fetcher.PartitionRecords = _Unpacked


class _Unpacked(_Theirs):  # type: ignore[misc]
    """The records of one partition in one answer; made anew for each."""

    def _unpack_records(self, tp: Any, records: Any, *_: Any) -> Iterator[Raw]:
        batch = last = records.next_batch()
        while batch is not None:
            last = batch
            if self.check_crcs and not batch.validate_crc():
                raise errors.CorruptRecordError(f"a batch of {tp} at offset {batch.base_offset} fails its check")
            if self._is_seen(batch):
                self.bytes_read += batch.size_in_bytes
                # `take` may stop in the middle of a batch, and goes on from here.
                for raw in unpacked(batch):
                    self.next_fetch_offset = raw[0] + 1
                    yield raw
            else:
                self.next_fetch_offset = batch.next_offset
            batch = records.next_batch()
        if last is not None:
            # The last record of a batch may be compacted away: without this, the batch would be asked for for ever.
            self.next_fetch_offset = last.next_offset
        self.drain()

    def _maybe_skip_record(self, raw: Raw) -> bool:
        """An answer begins with the batch in which the offset stands that was asked for."""
        return raw[0] < int(self.fetch_offset)

    def _is_seen(self, batch: Any) -> bool:
        """Whether a reader gives it: no marker, and of no transaction that was aborted."""
        self.leader_epoch = batch.leader_epoch
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return False
        return not batch.is_control_batch


def unpacked(batch: Any) -> list[Raw]:
    """The records of one batch of format 2, which is all that brokers of today store. Raises CorruptRecordError.

        length, attributes, time delta, offset delta, key length, key, value length, value, headers

    All but the attributes are numbers of variable length, of which nearly all have one or two bytes: these are read
    in line, for a call costs as much as the rest. Of the headers only the end is of interest, and the length tells it.
    """
    buffer = _body(batch)
    pos = end = 0
    base, first = batch.base_offset, batch.first_timestamp
    appended = batch.max_timestamp if batch.timestamp_type == LOG_APPEND_TIME else None
    out: list[Raw] = []
    try:
        for _ in range(batch.records_count):
            low = buffer[pos]
            if low < 0x80:
                length = low >> 1
                pos += 1
            else:
                high = buffer[pos + 1]
                if high < 0x80:
                    length = (low & 0x7F | high << 7) >> 1
                    pos += 2
                else:
                    length, pos = decode_varint(buffer, pos)
            end = pos + length
            pos += 1
            low = buffer[pos]
            if low < 0x80 and not low & 1:
                time = first + (low >> 1)
                pos += 1
            else:
                delta, pos = decode_varint(buffer, pos)
                time = first + delta
            low = buffer[pos]
            if low < 0x80:
                offset = base + (low >> 1)
                pos += 1
            else:
                delta, pos = decode_varint(buffer, pos)
                offset = base + delta
            low = buffer[pos]
            if low < 0x80 and not low & 1:
                size = low >> 1
                pos += 1
            else:
                size, pos = decode_varint(buffer, pos)
            key = None
            if size >= 0:
                key = buffer[pos : pos + size]
                pos += size
            low = buffer[pos]
            high = buffer[pos + 1]
            if low >= 0x80 and high < 0x80 and not low & 1:
                size = (low & 0x7F | high << 7) >> 1
                pos += 2
            else:
                size, pos = decode_varint(buffer, pos)
            value = None
            if size >= 0:
                value = buffer[pos : pos + size]
                pos += size
            if pos >= end:
                raise ValueError("a record is longer than it says")
            pos = end
            out.append((offset, key, value, time if appended is None else appended))
    except (IndexError, ValueError) as error:
        raise errors.CorruptRecordError(f"a batch at offset {base} cannot be read: {error}") from None
    if end != len(buffer):
        raise errors.CorruptRecordError(f"a batch at offset {base} holds more than its records")
    return out


def _body(batch: Any) -> bytes:
    """What stands behind the header, uncompressed."""
    if batch.compression_type != batch.CODEC_LZ4:
        iter(batch)
        return bytes(memoryview(batch._buffer)[batch._pos :])
    # What we write ourselves. With room made at once it takes a quarter of the time.
    data, decompressor = memoryview(batch._buffer)[HEADER:], LZ4FrameDecompressor()
    room = 4 * len(data) + ROOM
    try:
        parts = [decompressor.decompress(data, max_length=room)]
        while not decompressor.eof:
            parts.append(decompressor.decompress(b"", max_length=room))
            if not parts[-1]:
                raise RuntimeError("it breaks off")
    except (RuntimeError, EOFError) as error:
        raise errors.CorruptRecordError(f"a batch at offset {batch.base_offset}: {error}") from None
    return b"".join(parts) if len(parts) > 1 else bytes(parts[0])
