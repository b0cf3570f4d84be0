"""The spool keeps whole entries in order, whatever becomes of the process, and purges down to the bytes."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import process_time

import pytest

from listener.bus.protocol import Message
from listener.bus.spool import Spool, path_of, purge, purge_before
from listener.clock import ManualClock

START = datetime(2031, 1, 11, 19, tzinfo=UTC)
PATH = "spool-x.jsonl"


def entry(number: int) -> list[Message]:
    value = f'{{"said":"ordet{number}"}}'.encode()
    return [
        Message("mentions", f"x:{number}", value),
        Message("mentions", "x:tick", b"{}", 0),
        Message("gaps", "x", None),
    ]


def opened(folder: Path, most: int = 1 << 20) -> Spool:
    return Spool(path_of(folder, "x"), most, ManualClock(START))


def waiting(spool: Spool) -> list[list[Message] | None]:
    return [None if each.messages is None else list(each.messages) for each in spool.peek(1000)]


def test_what_is_kept_comes_back_in_order_also_to_the_next_process(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    assert not spool.waits
    for number in range(3):
        assert spool.append(START + timedelta(seconds=number), entry(number))
    assert waiting(spool) == [entry(number) for number in range(3)]
    assert spool.oldest == START
    spool.drop(spool.peek(3)[0].end)
    assert spool.oldest == START + timedelta(seconds=1)
    spool.close()
    again = opened(tmp_path)
    assert waiting(again) == [entry(number) for number in range(3)]
    assert os.stat(tmp_path / PATH).st_mode & 0o777 == 0o600
    again.close()


def test_a_peek_is_whole_entries_and_one_at_least(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for number in range(4):
        spool.append(START, entry(number))
    assert [len(spool.peek(most)) for most in (1, 3, 5, 6, 12)] == [1, 1, 1, 2, 4]
    spool.close()


def test_what_is_drained_leaves_no_bytes(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(START, entry(1))
    spool.drop(spool.peek(9)[-1].end)
    assert (tmp_path / PATH).read_bytes() == b""
    assert not spool.waits
    assert spool.oldest is None
    assert spool.append(START, entry(2))
    assert waiting(spool) == [entry(2)]
    spool.close()


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_half_an_entry_was_never_kept(tmp_path: Path, cut: int) -> None:
    spool = opened(tmp_path)
    spool.append(START, entry(1))
    spool.append(START, entry(2))
    spool.close()
    path = tmp_path / PATH
    path.write_bytes(path.read_bytes()[:-cut])
    again = opened(tmp_path)
    assert waiting(again) == [entry(1)]
    again.append(START, entry(3))
    assert waiting(again) == [entry(1), entry(3)]
    again.close()


def test_a_damaged_entry_is_reported_and_the_others_are_there(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for number in range(3):
        spool.append(START, entry(number))
    path = tmp_path / PATH
    path.write_bytes(path.read_bytes().replace(b"ordet1", b"ordet9"))
    assert waiting(spool) == [entry(0), None, entry(2)]
    spool.close()


def test_beyond_its_bound_nothing_is_kept_and_what_is_kept_stays(tmp_path: Path) -> None:
    spool = opened(tmp_path, most=300)
    taken = [spool.append(START, entry(number)) for number in range(4)]
    assert taken[0]
    assert not taken[-1]
    assert waiting(spool) == [entry(number) for number in range(sum(taken))]
    assert (tmp_path / PATH).stat().st_size == spool.size <= 300
    spool.close()


def test_a_post_is_purged_where_it_stands_while_another_process_keeps_and_drains(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    for number in range(3):
        spool.append(START, entry(number))
    spool.peek(1)
    assert purge(tmp_path, lambda at, message: message.key == "x:1") == 1
    assert b"ordet1" not in (tmp_path / PATH).read_bytes()
    spool.append(START, entry(3))
    assert waiting(spool) == [entry(0), entry(1)[1:], entry(2), entry(3)]
    assert purge(tmp_path, lambda at, message: message.key == "x:1") == 0
    spool.close()


def test_what_is_too_old_is_purged_by_when_it_was_kept(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append(START, entry(1))
    spool.append(START + timedelta(days=2), entry(2))
    assert purge_before(tmp_path, START + timedelta(days=1)) == 2
    assert waiting(spool) == [entry(1)[2:], entry(2)]
    spool.close()


def _seconds_to_drain(path: Path, entries: int) -> float:
    spool = Spool(path, 1 << 30, ManualClock(START))
    for _ in range(entries):
        spool.append(START, [Message("volumes", "x", b"{}")] * 200)
    began = process_time()
    given = 0
    while spool.waits:
        some = spool.peek(300)
        given += len(some)
        spool.drop(some[-1].end)
    spool.close()
    assert given == entries
    return process_time() - began


def test_to_bring_eight_times_as_much_costs_eight_times_as_long(tmp_path: Path) -> None:
    few = min(_seconds_to_drain(tmp_path / "few.jsonl", 50) for _ in range(3))
    many = min(_seconds_to_drain(tmp_path / "many.jsonl", 400) for _ in range(2))
    # Eight times as much; by the square it would be sixty-four.
    assert many < 24 * few
