"""Backups: made while the log is written to, proven, restored whole, and never over anything that is there."""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from alerts.board.access import accounts
from listener.bus import hashchain
from listener.bus.protocol import Bus, Message, TopicPartition, open_bus
from listener.clock import SystemClock
from listener.maintenance.backup import MANIFEST, back_up
from listener.model.records import Decision, DecisionKind
from listener.model.topics import topic_specs
from listener.runtime.service import RoleLock
from tests.ops.backup_support import in_crisis
from tests.ops.command_support import START, Machine

WORDS = "Bestemor Oddny ble kjørt fra Granvik sykehjem"


@pytest.fixture
def folder(tmp_path: Path) -> Machine:
    return in_crisis(tmp_path)


def bus_of(folder: Path) -> Bus:
    bus = open_bus("embedded:", folder, SystemClock())
    bus.ensure(topic_specs(4, {}))
    return bus


def test_while_it_is_written_to_a_backup_holds_the_log_as_it_was_at_one_instant(
    folder: Machine, tmp_path: Path
) -> None:
    data, quiet = folder.data, threading.Event()
    with closing(bus_of(data)) as bus:

        def write() -> None:
            number = 0
            while not quiet.is_set():
                both = [Message("volumes", "x:brann", b"%d" % number), Message("gaps", "x", b"%d" % number)]
                bus.publish(both)
                number += 1

        writer = threading.Thread(target=write)
        writer.start()
        assert bus.reader(["gaps"]).poll(10.0), "it writes"
        try:
            steps: list[str] = []
            made = back_up(data / "bus.sqlite", [], tmp_path / "a.zip", SystemClock(), steps.append)
        finally:
            quiet.set()
            writer.join()
    assert len(steps) == 4
    counts = {proof.topic: proof.records for proof in made.topics}
    assert counts["volumes"] == counts["gaps"] > 0, "what came in one transaction is there together"
    done = folder.run("restore", str(tmp_path / "a.zip"), "--data", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    with closing(bus_of(tmp_path / "new")) as bus:
        parts = [TopicPartition("volumes", number) for number in range(bus.partitions("volumes"))]
        found = [record.value for tp in parts for record in bus.read(tp, 0, 10**6)]
    assert sorted(found) == sorted(b"%d" % number for number in range(counts["volumes"]))


def test_a_restored_folder_is_as_the_old_one_was(folder: Machine, tmp_path: Path) -> None:
    data = folder.data
    (data / accounts.NAME).write_text('{"accounts": {}}')
    (data / "learned.bin").write_bytes(b"what was learned")
    made = folder.json("backup", str(tmp_path / "a.zip"))
    assert {"bus.sqlite", accounts.NAME, "learned.bin"} == set(made["files"])
    done = folder.run("restore", str(tmp_path / "a.zip"), "--data", str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    assert "is as it was at" in done.stderr
    assert (tmp_path / "new" / "learned.bin").read_bytes() == b"what was learned"
    for path in (tmp_path / "new").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    with closing(sqlite3.connect(tmp_path / "new" / "bus.sqlite")) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    before, after = (folder.json("mode", "--data", str(where)) for where in (data, tmp_path / "new"))
    assert before["incidents"] == after["incidents"]
    assert folder.run("ledger", "verify", "--data", str(tmp_path / "new")).returncode == 0
    # It is another folder, and no other log: what is written goes on where the backup ended.
    assert folder.run("mode", "calm", "--why", "over", "--no-wait", "--data", str(tmp_path / "new")).returncode == 0


def test_a_log_that_was_lost_is_taken_from_the_backup(folder: Machine, tmp_path: Path) -> None:
    data = folder.data
    assert folder.run("backup", str(tmp_path / "a.zip")).returncode == 0
    for path in data.glob("bus.sqlite*"):
        path.unlink()
    assert folder.run("mode").returncode == 3, "the folder remembers that it had one"
    assert folder.run("restore", str(tmp_path / "a.zip")).returncode == 0
    assert folder.json("mode")["mode"] == "crisis"


def test_what_was_purged_is_in_no_byte_of_a_backup_and_the_key_never_is(folder: Machine, tmp_path: Path) -> None:
    data = folder.data
    with closing(bus_of(data)) as bus:
        bus.publish([Message("mentions", f"x:{n}", f"{WORDS} {n}".encode()) for n in range(50)])
        back_up(data / "bus.sqlite", [], tmp_path / "with.zip", SystemClock(), lambda step: None)
        parts = [TopicPartition("mentions", number) for number in range(bus.partitions("mentions"))]
        bus.purge([(tp, f"x:{n}") for tp in parts for n in range(50)])
    back_up(data / "bus.sqlite", [], tmp_path / "without.zip", SystemClock(), lambda step: None)
    for name, there in (("with", True), ("without", False)):
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            assert (WORDS.encode() in archive.read("bus.sqlite")) is there
            assert not any("key" in name for name in archive.namelist())


def changed(file: Path, target: Path, change: Callable[[str, bytes], bytes]) -> None:
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))


def manifest(**more: Any) -> Callable[[str, bytes], bytes]:
    return lambda name, value: json.dumps({**json.loads(value), **more}).encode() if name == MANIFEST else value


def flipped(name: str, value: bytes) -> bytes:
    return value if name == MANIFEST else value[:5000] + bytes([value[5000] ^ 1]) + value[5001:]


@pytest.mark.parametrize(
    ("change", "code", "why"),
    [
        (flipped, 1, "bus.sqlite is not as it was packed"),
        (manifest(topics=[]), 1, "holds other records"),
        (manifest(log_id="another"), 1, "holds other records"),
        (manifest(format=2), 3, "newer Lyttepost"),
        (manifest(log_format=2, version="9.0"), 3, r"newer Lyttepost \(9.0\)"),
        (manifest(files={"../bus.sqlite": "0"}), 1, "outside the data folder"),
        (manifest(files={"bus.sqlite": "0", "gone": "0"}), 1, "no whole backup"),
        (manifest(files={}), 1, "is missing"),
        (manifest(type="another"), 1, "no backup of ours"),
        (lambda name, value: b"{" if name == MANIFEST else value, 1, "no backup of ours"),
    ],
)
def test_what_is_not_as_it_was_made_is_refused_and_nothing_is_changed(
    folder: Machine, tmp_path: Path, change: Callable[[str, bytes], bytes], code: int, why: str
) -> None:
    assert folder.run("backup", str(tmp_path / "a.zip")).returncode == 0
    changed(tmp_path / "a.zip", tmp_path / "b.zip", change)
    done = folder.run("restore", str(tmp_path / "b.zip"), "--data", str(tmp_path / "new"))
    assert done.returncode == code
    assert re.search(why, done.stderr), done.stderr
    assert list((tmp_path / "new").iterdir()) == []


def test_nothing_is_written_over(folder: Machine, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    assert folder.run("backup", str(target)).returncode == 0
    content = target.read_bytes()
    assert folder.run("backup", str(target)).returncode == 3
    assert folder.run("restore", str(target)).returncode == 3, "a log is there"
    assert target.read_bytes() == content
    assert folder.json("mode")["mode"] == "crisis"
    wal = tmp_path / "left" / "bus.sqlite-wal"
    wal.parent.mkdir()
    wal.write_bytes(b"what was not folded in")
    assert folder.run("restore", str(target), "--data", str(wal.parent)).returncode == 3
    assert wal.read_bytes() == b"what was not folded in"


def test_while_somebody_runs_there_nothing_is_restored(folder: Machine, tmp_path: Path) -> None:
    assert folder.run("backup", str(tmp_path / "a.zip")).returncode == 0
    lock = RoleLock(tmp_path / "new", "listener")
    done = folder.run("restore", str(tmp_path / "a.zip"), "--data", str(tmp_path / "new"))
    lock.release()
    assert done.returncode == 3
    assert "runs on" in done.stderr


def test_what_cannot_be_backed_up_is_said(folder: Machine, tmp_path: Path) -> None:
    on_kafka = Machine(tmp_path, {"LYTTEPOST_BUS__URL": "kafka://127.0.0.1:1"})
    done = on_kafka.run("backup", str(tmp_path / "a.zip"))
    assert (done.returncode, "bus copy" in done.stderr) == (3, True)
    assert folder.run("backup", str(tmp_path / "a.zip"), "--data", str(tmp_path / "nobody")).returncode == 2
    assert folder.run("backup", str(tmp_path / "nowhere" / "a.zip")).returncode == 4
    assert folder.run("restore", str(tmp_path / "none.zip"), "--check").returncode == 4
    (tmp_path / "cut.zip").write_bytes(b"PK\x03\x04 cut")
    assert folder.run("restore", str(tmp_path / "cut.zip"), "--check").returncode == 1
    assert not list(tmp_path.glob("**/.lyttepost-*")), "nothing is left behind"


def test_a_broken_chain_is_no_backup(folder: Machine, tmp_path: Path) -> None:
    data = folder.data
    with closing(bus_of(data)) as bus:
        for n in range(3):
            said = Decision(kind=DecisionKind.NOTE, id=f"a{n}", at=START, by="kari", why="x")
            hashchain.append(bus, "decisions", said)
    with closing(sqlite3.connect(data / "bus.sqlite")) as db:
        (part,) = db.execute("SELECT id FROM parts WHERE topic='decisions'").fetchone()
        (table,) = db.execute("SELECT name FROM sqlite_master WHERE name LIKE ?", (f"%{part}",)).fetchone()
        db.execute(f"UPDATE {table} SET value=replace(value, 'kari', 'olav')")  # noqa: S608
        db.commit()
    done = folder.run("backup", str(tmp_path / "a.zip"))
    assert done.returncode == 1
    assert not (tmp_path / "a.zip").exists()
