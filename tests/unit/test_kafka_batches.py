"""A batch that we make is byte for byte the one that kafka-python makes of the same records."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords

from listener.bus.kafka.batches import BATCH_BYTES, Producer, Put, batch, chunks
from listener.bus.kafka.client import unpacked
from listener.bus.protocol import TopicPartition

LZ4 = 3
PLACE = TopicPartition("mentions", 1)

values = st.none() | st.binary(max_size=80) | st.integers(60, 20_000).map(lambda size: b"x" * size)
puts = st.lists(
    st.builds(Put, st.just(PLACE), st.text(max_size=80), values, st.integers(1, 2**42)), min_size=1, max_size=200
)
producers = st.builds(Producer, st.integers(0, 2**62), st.integers(0, 2**15 - 1))
sequences = st.integers(0, 2**31 - 1)


@given(puts, producers, sequences)
def test_kafka_python_makes_the_same_bytes(written: list[Put], producer: Producer, sequence: int) -> None:
    builder = DefaultRecordBatchBuilder(2, LZ4, True, producer.id, producer.epoch, sequence, 1 << 30)
    for number, put in enumerate(written):
        builder.append(number, put.time_ms, put.key.encode(), put.value, [])
    assert batch(written, producer, sequence) == bytes(builder.build())


@given(puts, producers, sequences)
def test_what_was_put_is_read(written: list[Put], producer: Producer, sequence: int) -> None:
    (found,) = list(MemoryRecords(batch(written, producer, sequence)))
    assert found.validate_crc()
    assert found.is_transactional
    assert (found.producer_id, found.producer_epoch, found.base_sequence) == (*producer, sequence)
    assert unpacked(found) == [(n, put.key.encode(), put.value, put.time_ms) for n, put in enumerate(written)]


@pytest.mark.parametrize("count", [1, 4095, 4096, 4097, 9000])
def test_there_is_no_number_of_records_at_which_it_goes_wrong(count: int) -> None:
    written = [Put(PLACE, str(n), b"", 10**12 + n) for n in range(count)]
    (found,) = list(MemoryRecords(batch(written, Producer(1, 0), 0)))
    assert [raw[0] for raw in unpacked(found)] == list(range(count))


@given(st.lists(st.integers(0, BATCH_BYTES * 2), max_size=12))
def test_chunks_are_all_in_order_and_none_larger_than_a_batch_but_by_one_record(sizes: list[int]) -> None:
    written = [Put(PLACE, "", bytes(size), 1) for size in sizes]
    found = list(chunks(written))
    assert [put for chunk in found for put in chunk] == written
    assert all(chunk for chunk in found)
    assert all(len(chunk) == 1 or sum(len(put.value or b"") for put in chunk) <= BATCH_BYTES for chunk in found)
    assert all(sum(len(put.value or b"") for put in [*one, two[0]]) > BATCH_BYTES for one, two in pairwise(found))
