"""The reserve on the disk, on this machine's own disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from listener.bus.sqlite import reserve as room
from listener.bus.sqlite.reserve import DiskReserve
from listener.errors import BusFull

SIZE = 1 << 20


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The disk's free bytes, as a test sets them."""
    free = {"bytes": 100 * SIZE}
    real = os.statvfs

    def statvfs(path: Path) -> os.statvfs_result:
        fields = list(real(path))
        fields[1], fields[4] = 1, free["bytes"]
        return os.statvfs_result(fields)

    monkeypatch.setattr(room.os, "statvfs", statvfs)
    monkeypatch.setattr(room, "CHECK_SECONDS", 0.0)
    return free


@pytest.fixture
def reserve(tmp_path: Path) -> DiskReserve:
    return DiskReserve(tmp_path / "reserve.bin", SIZE)


def test_the_reserve_is_taken_while_there_is_room(reserve, disk):
    reserve.check()
    assert reserve.path.stat().st_blocks * 512 >= SIZE


def test_the_reserve_is_not_taken_where_it_would_fill_the_disk(reserve, disk):
    disk["bytes"] = 2 * SIZE
    reserve.check()
    assert not reserve.path.exists()


def test_what_can_wait_waits_once_the_disk_is_nearly_full(reserve, disk):
    reserve.check()
    disk["bytes"] = SIZE // 8
    reserve.check()
    disk["bytes"] = SIZE // 8 - 1
    with pytest.raises(BusFull, match="make room on the disk"):
        reserve.check()


def test_what_can_wait_waits_while_the_reserve_is_in_use(reserve, disk):
    reserve.check()
    reserve.give()
    disk["bytes"] = SIZE - 1
    assert "the reserve is used" in (reserve.problem() or "")
    disk["bytes"] = SIZE
    assert reserve.problem() is None
    assert not reserve.path.exists()


def test_the_reserve_is_taken_back_when_there_is_room_again(reserve, disk):
    reserve.check()
    reserve.give()
    disk["bytes"] = 2 * SIZE + 1
    reserve.check()
    assert reserve.path.stat().st_size == SIZE


def test_giving_twice_does_no_harm(reserve, disk):
    reserve.check()
    reserve.give()
    reserve.give()
    assert not reserve.path.exists()


def test_half_a_reserve_is_no_reserve(reserve, disk):
    reserve.path.write_bytes(b"0" * 10)
    disk["bytes"] = SIZE - 1
    assert "the reserve is used" in (reserve.problem() or "")
    disk["bytes"] = 3 * SIZE
    reserve.check()
    assert reserve.path.stat().st_size == SIZE


def test_the_disk_is_looked_at_once_a_second(reserve, disk, monkeypatch):
    monkeypatch.setattr(room, "CHECK_SECONDS", 3600.0)
    reserve.check()
    disk["bytes"] = 0
    reserve.check()
    reserve.give()
    with pytest.raises(BusFull):
        reserve.check()


def test_a_folder_that_is_gone_is_a_reason_and_no_crash(tmp_path: Path):
    assert "No such file" in (DiskReserve(tmp_path / "gone" / "reserve.bin", SIZE).problem() or "")
