"""Integrity: damage on the bus is found and named, wherever it is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from listener.bus.hashchain import append
from listener.bus.integrity import problems
from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import ManualClock
from listener.model.records import Decision, DecisionKind
from listener.model.topics import topic_specs

NOW = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with closing(open_bus("embedded:", tmp_path, ManualClock(NOW))) as opened:
        opened.ensure(topic_specs(2, {}))
        opened.publish([Message("mentions", f"x:{n}", b'{"text":"%s"}' % (b"a" * 500)) for n in range(2000)])
        for number in range(3):
            append(opened, "decisions", Decision(kind=DecisionKind.NOTE, id=str(number), at=NOW, by="vakt"))
        yield opened


def test_a_bus_as_it_was_written_has_no_problem(bus: Bus) -> None:
    bus.publish([Message("mentions", "x:7", None)])
    beats: list[int] = []
    assert list(problems(bus, lambda: beats.append(1))) == []
    assert beats


def _cut_out(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.seek(4096 * 60)
        file.write(b"\xa5" * size)


@pytest.mark.parametrize("size", [4096, 4096 * 60], ids=["one page", "many pages"])
def test_damaged_pages_are_found(bus: Bus, tmp_path: Path, size: int) -> None:
    bus.close()
    _cut_out(tmp_path / "bus.sqlite", size)
    with closing(open_bus("embedded:", tmp_path, ManualClock(NOW))) as damaged:
        found = list(problems(damaged))
    assert found
    assert "restore the newest backup" in found[0]


def _write(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        number = {t: f"log_{i}" for i, t in db.execute("SELECT id, topic FROM parts WHERE partition=0")}
        db.execute(sql.format(**number))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE {mentions} SET value=zeroblob(20) WHERE id=3", "mentions/0:3: is not what was written there"),
        ("UPDATE {decisions} SET value=replace(CAST(value AS TEXT), 'vakt', 'olga') WHERE id=1", "decisions/0:1: "),
        ("DELETE FROM {decisions} WHERE id=1", "decisions/0:2: does not follow"),
        ("UPDATE {decisions} SET value=NULL WHERE id=1", "decisions/0:1: a record was removed"),
    ],
)
def test_what_is_whole_for_the_storage_and_not_for_us_is_found(
    bus: Bus, tmp_path: Path, change: str, says: str
) -> None:
    _write(tmp_path / "bus.sqlite", change)
    assert [said for said in problems(bus) if says in said]


def test_of_many_bad_records_a_few_are_named_and_all_are_counted(bus: Bus, tmp_path: Path) -> None:
    _write(tmp_path / "bus.sqlite", "UPDATE {mentions} SET value=x'00'")
    found = list(problems(bus))
    assert len(found) == 6
    assert "records in all are not what was written there" in found[-1]
