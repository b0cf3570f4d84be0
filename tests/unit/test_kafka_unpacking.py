"""What is read of a batch is what kafka-python itself reads of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords

from listener.bus.kafka.client import Raw, _Unpacked, unpacked

NONE, GZIP, LZ4 = 0, 1, 3
Written = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]

blobs = st.none() | st.binary(max_size=80) | st.integers(60, 20_000).map(lambda size: b"x" * size)
headers = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=70)), max_size=2)
records: st.SearchStrategy[list[Written]] = st.lists(
    st.tuples(st.integers(1, 2**42), blobs, blobs, headers), min_size=1, max_size=150
)


def batch_of(written: list[Written], compression: int, base: int = 0) -> bytearray:
    builder = DefaultRecordBatchBuilder(2, compression, False, -1, -1, -1, 1 << 30)
    for number, (time, key, value, its) in enumerate(written):
        builder.append(number, time, key, value, its)
    raw = bytearray(builder.build())
    raw[:8] = base.to_bytes(8, "big")
    return raw


def ours(raw: bytearray) -> list[Raw]:
    return [record for batch in MemoryRecords(bytes(raw)) for record in unpacked(batch)]


def theirs(raw: bytearray) -> list[Raw]:
    return [(r.offset, r.key, r.value, r.timestamp) for batch in MemoryRecords(bytes(raw)) for r in batch]


@given(records, st.sampled_from([NONE, GZIP, LZ4]), st.sampled_from([0, 1, 2**40]))
def test_whatever_was_written_is_read_as_kafka_python_reads_it(
    written: list[Written], compression: int, base: int
) -> None:
    raw = batch_of(written, compression, base)
    assert ours(raw) == theirs(raw) == [(base + n, key, value, time) for n, (time, key, value, _) in enumerate(written)]


def test_the_time_of_appending_stands_for_all_records() -> None:
    raw = batch_of([(5, b"a", b"1", []), (9, b"b", b"2", [])], NONE)
    raw[21:23] = (0b1000).to_bytes(2, "big")  # attributes: the broker's time
    assert [record[3] for record in ours(raw)] == [record[3] for record in theirs(raw)] == [9, 9]


@given(records, st.sampled_from([NONE, LZ4]), st.data())
def test_damage_is_reported_as_such_or_does_no_harm(
    written: list[Written], compression: int, data: st.DataObject
) -> None:
    raw = batch_of(written, compression)
    place = data.draw(st.integers(61, len(raw) - 1))
    raw[place] ^= data.draw(st.integers(1, 255))
    try:
        found = ours(raw)
    except CorruptRecordError:
        return
    assert len(found) == len(written)


@pytest.mark.parametrize("cut", [1, 7])
def test_a_batch_that_breaks_off_is_corrupt(cut: int) -> None:
    raw = batch_of([(1, b"k", b"v" * 300, [])], NONE)
    del raw[-cut:]
    raw[8:12] = (len(raw) - 12).to_bytes(4, "big")
    with pytest.raises(CorruptRecordError):
        ours(raw)


def test_it_takes_the_place_of_what_kafka_python_has() -> None:
    assert issubclass(_Unpacked, Fetcher.PartitionRecords)
