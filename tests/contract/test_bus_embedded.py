"""What only the embedded bus must do: its files, its disk, and many processes at one file."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from bus_support import (
    PARTITIONS,
    ROOT,
    SetClock,
    Site,
    drain,
    embedded,
    eventually,
    everything,
    finish,
    mentions,
    said,
)

from listener.bus.protocol import Message, TopicPartition, open_bus
from listener.bus.sqlite import partition as log
from listener.bus.sqlite.bus import PACE_SECONDS, EmbeddedBus
from listener.clock import ManualClock, SystemClock
from listener.errors import BusError, ConfigError, Corrupt, Refused
from listener.model.topics import TOPICS, topic_specs


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return embedded(tmp_path)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[sqlite3.Connection]:
    """Another program's hands on the file."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        yield db
    finally:
        db.close()


def test_a_crisis_is_declared_in_half_a_second_though_another_writes_at_full_speed(bus, processes):
    running = [processes("press", 4), processes("press", 4)]
    for process in running:
        said(process)
    took = []
    for _ in range(20):
        start = time.monotonic()
        bus.publish([Message("control", "i", b"{}")])
        took.append(time.monotonic() - start)
        time.sleep(0.05)
    assert sorted(took)[10] < 0.5
    assert max(took) < 2


def test_readers_that_never_pause_do_not_let_the_write_ahead_log_grow(site: Site, bus, processes):
    running = [processes("watch", 6), processes("watch", 6), processes("press", 5)]
    for process in running:
        said(process)
    largest = 0
    while running[-1].poll() is None:
        largest = max(largest, (site.folder / "bus.sqlite-wal").stat().st_size)
        time.sleep(0.05)
    assert largest < 200 << 20


def test_opening_a_log_that_is_there_writes_nothing(site: Site, bus):
    with beside(site.folder / "bus.sqlite") as db:
        db.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        other = site.open()
        assert time.monotonic() - start < 5
        other.close()
        db.execute("ROLLBACK")


def test_processes_may_begin_a_log_together(site: Site, processes):
    site.folder.mkdir()
    threads = [threading.Thread(target=lambda: site.open().close()) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened = site.open()
    assert len(opened.topics()) == len(TOPICS)
    opened.close()


def test_a_log_that_stays_locked_is_reported_in_plain_words(site: Site, bus, monkeypatch):
    monkeypatch.setattr("listener.bus.sqlite.store.BUSY_SECONDS", 0.2)
    impatient = site.open()
    with beside(site.folder / "bus.sqlite") as db:
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(BusError, match="locked"):
            impatient.publish(mentions(1))
        with pytest.raises(BusError, match="locked"):
            impatient.consumer(["mentions"], group="g", member="m")
        assert "locked" in (impatient.healthy() or "")
        db.execute("ROLLBACK")
    impatient.publish(mentions(1))
    assert impatient.healthy() is None
    impatient.close()


def test_a_purge_that_a_reader_holds_up_is_not_called_done(site: Site, bus):
    bus.publish(mentions(10))
    with beside(site.folder / "bus.sqlite") as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM topics").fetchone()
        bus.publish(mentions(10))
        with pytest.raises(BusError, match="run once more"):
            bus.purge([(TopicPartition("mentions", 0), "x:1")])
        db.execute("ROLLBACK")
    bus.purge([(TopicPartition("mentions", 0), "x:1")])


def test_a_topic_that_is_there_keeps_its_partitions(site: Site, bus):
    other = site.open()
    other.ensure(topic_specs(PARTITIONS * 2, {}))
    assert other.partitions("mentions") == bus.partitions("mentions") == PARTITIONS
    other.close()


def marked(rng: random.Random, number: int) -> bytes:
    return b"<mark-%06d>" % number * rng.choice((1, 3, 20, 60, 60, 60, 500))


@pytest.mark.parametrize("seed", range(6))
def test_what_is_purged_has_left_no_copy_in_any_page(site: Site, seed, monkeypatch):
    """SQLite leaves copies where it shifts rows; purges and retention in any order must not depend on luck."""
    monkeypatch.setattr(log, "CHUNK", 300)
    rng = random.Random(seed)
    clock = SetClock()
    bus = site.open(clock)
    living: dict[int, tuple[TopicPartition, str, float]] = {}
    gone: list[int] = []
    for hour in range(40):
        clock.time += timedelta(hours=24)
        batch = []
        for number in range(hour * 150, hour * 150 + 150):
            tp = TopicPartition("mentions", rng.randrange(4))
            batch.append(Message("mentions", f"k{number}", marked(rng, number), tp.partition))
            living[number] = (tp, f"k{number}", clock.time.timestamp())
        for start in range(0, 150, 10):
            bus.publish(batch[start : start + 10])
        if rng.random() < 0.3:
            chosen = rng.sample(sorted(living), min(len(living), rng.choice((1, 5, 200))))
            bus.purge([living.pop(number)[:2] for number in chosen])
            gone += chosen
        if rng.random() < 0.2:
            bus.retain(clock.time)
    clock.time += timedelta(days=rng.randrange(20))
    bus.retain(clock.time)
    bus.store.truncate()
    oldest = (clock.time - timedelta(days=30)).timestamp()
    gone += [number for number, (_, _, at) in living.items() if at < oldest]
    held = b"".join(path.read_bytes() for path in site.files())
    assert len(gone) > 100
    assert {int(found) for found in re.findall(rb"<mark-(\d{6})>", held)}.isdisjoint(gone)
    kept = {r.key for r in everything(bus, "mentions") if r.value is not None}
    assert kept == {key for _, key, at in living.values() if at >= oldest}
    bus.close()


def test_retention_gives_the_rows_back(site: Site):
    clock = SetClock()
    bus = site.open(clock)
    bus.publish([Message("mentions", "k", b"v", 0) for _ in range(3 * log.MARGIN)])
    clock.time += timedelta(days=31)
    bus.publish([Message("mentions", "k", b"v", 0)])
    bus.retain(clock.time)
    part = bus.log(TopicPartition("mentions", 0)).number
    with beside(site.folder / "bus.sqlite") as db:
        (rows,) = db.execute(f"SELECT count(*) FROM log_{part}").fetchone()  # noqa: S608
    assert rows <= log.MARGIN + 2
    bus.close()


def test_files_are_for_our_eyes_only(site: Site, bus):
    bus.publish(mentions(1))
    assert {path.stat().st_mode & 0o077 for path in site.files()} == {0}
    assert site.folder.stat().st_mode & 0o077 == 0


def test_connections_of_threads_that_are_gone_are_closed(site: Site, bus):
    def handles() -> int:
        return sum(os.readlink(f"/proc/self/fd/{fd}").endswith("bus.sqlite") for fd in _handles())

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not show a process's open files under /proc")
    before = handles()
    for _ in range(20):
        thread = threading.Thread(target=lambda: bus.publish(mentions(1)))
        thread.start()
        thread.join()
    # SQLite itself keeps a handle or two for later, so as not to drop the file's locks.
    assert handles() <= before + 2


def _handles() -> list[str]:
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            os.readlink(f"/proc/self/fd/{name}")
            found.append(name)
    return found


def test_a_closed_bus_says_so(site: Site):
    bus = site.open()
    reader = bus.reader(["mentions"])
    bus.close()
    bus.close()
    for use in (lambda: bus.publish(mentions(1)), lambda: reader.poll(0), bus.topics):
        with pytest.raises(BusError, match="closed"):
            use()


def test_threads_that_outlive_the_bus_get_our_error(site: Site):
    bus = site.open()
    caught: list[BaseException] = []
    working = threading.Event()

    def work() -> None:
        try:
            while True:
                bus.publish(mentions(1))
                bus.read(TopicPartition("mentions", 0), 0, 10)
                working.set()
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    working.wait()
    bus.close()
    thread.join(10)
    assert [type(error) for error in caught] == [BusError]


def test_a_file_that_is_no_log_is_refused(site: Site):
    site.folder.mkdir()
    (site.folder / "bus.sqlite").write_bytes(b"this is a letter and no data base at all\n" * 400)
    with pytest.raises(ConfigError, match=r"bus\.sqlite: is no log of ours; move it away"):
        site.open()


def test_another_programs_data_base_is_refused_and_left_alone(site: Site):
    site.folder.mkdir()
    with beside(site.folder / "bus.sqlite") as db:
        db.execute("CREATE TABLE theirs(x)")
    with pytest.raises(ConfigError, match="is no log of ours"):
        site.open()
    with beside(site.folder / "bus.sqlite") as db:
        assert db.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]


def test_a_log_of_a_newer_program_is_refused(site: Site):
    site.open().close()
    with beside(site.folder / "bus.sqlite") as db:
        db.execute("PRAGMA user_version=99")
    # Not as a bus that is away, which a process would wait for.
    with pytest.raises(Refused, match="newer Lyttepost"):
        site.open()


def test_a_damaged_log_stops_us_loudly(site: Site):
    bus = site.open()
    bus.publish(mentions(2000, size=600))
    bus.close()
    path = site.folder / "bus.sqlite"
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * (path.stat().st_size - 4096 * 30))
    damaged = site.open()
    with pytest.raises(Corrupt, match=r"damaged.*restore"):
        everything(damaged, "mentions")
    damaged.close()


def test_a_folder_that_cannot_be_made_is_reported_with_the_fix(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="LYTTEPOST_DATA"):
        open_bus("embedded:", tmp_path / "file" / "data", SystemClock())


@pytest.fixture
def somebody() -> Iterator[Path]:
    """A folder of ours, and we are for a while somebody who may only read there."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        EmbeddedBus("", folder, SystemClock(), reserve=1 << 12).close()
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        yield folder
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


def test_a_folder_that_may_not_be_written_is_reported_with_the_fix(somebody: Path):
    for url in ("embedded:", f"embedded:{somebody}/new.sqlite", f"embedded:{somebody}/new/bus.sqlite"):
        with pytest.raises(ConfigError, match="Permission denied; choose a folder with --data or LYTTEPOST_DATA"):
            open_bus(url, somebody, SystemClock())


def test_the_reserve_is_taken_at_the_start(site: Site):
    EmbeddedBus("", site.folder, SystemClock(), reserve=1 << 20).close()
    found = (site.folder / "reserve.bin").stat()
    assert found.st_size == 1 << 20
    assert found.st_blocks * 512 >= 1 << 20


def test_a_throwaway_bus_takes_no_reserve(site: Site):
    EmbeddedBus("", site.folder, SystemClock(), durable=False).close()
    assert not (site.folder / "reserve.bin").exists()


def test_the_url_may_name_the_file(tmp_path: Path):
    open_bus(f"embedded:{tmp_path / 'own.sqlite'}", tmp_path / "unused", SystemClock()).close()
    assert (tmp_path / "own.sqlite").exists()
    assert not (tmp_path / "unused").exists()


def test_a_stopped_process_at_the_gate_does_not_stop_the_others(site: Site, bus):
    """The gate is a courtesy: whoever holds it too long is passed by."""
    import fcntl

    with (site.folder / "bus.sqlite-gate").open("r+b") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        start = time.monotonic()
        bus.publish(mentions(1))
        assert time.monotonic() - start < 5


def test_news_wakes_a_reader_of_the_same_process(bus):
    reader = bus.reader(["control"])
    threading.Timer(0.2, lambda: bus.publish([Message("control", "i", b"{}")])).start()
    assert len(reader.poll(10)) == 1


def test_news_of_another_process_is_found(bus, processes):
    reader = bus.reader(["mentions"])
    child = processes("publish", "a", 3, 3)
    assert len(drain(reader, 3)) == 3
    finish(child)


@pytest.mark.parametrize("context", ["a_running_service", "a_command_alone"])
def test_on_a_full_disk_what_wakes_people_is_still_written(tmp_path: Path, context):
    mount = "mount -t tmpfs -o size=16m tmpfs"
    private = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*private, "sh", "-c", f"{mount} {tmp_path}"]).returncode:
        pytest.skip("a small disk cannot be mounted here: user namespaces are off")
    script = Path(__file__).with_name("full_disk.py")
    done = subprocess.run(
        [*private, "sh", "-c", f'{mount} "$1" && exec "$0" "$2" "$1" "$3"', sys.executable, tmp_path, script, context],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert eventually(lambda: not (tmp_path / "data").exists(), patience=1)


def test_transactions_of_one_worker_are_a_moment_apart_unless_time_is_moved_by_hand(tmp_path: Path) -> None:
    took = {}
    for clock in (SystemClock(), ManualClock(datetime(2031, 1, 11, tzinfo=UTC))):
        folder = tmp_path / type(clock).__name__
        with contextlib.closing(EmbeddedBus("", folder, clock, durable=False)) as bus:
            bus.ensure([TOPICS["gaps"]])
            began = time.monotonic()
            for number in range(4):
                with bus.transaction("worker") as transaction:
                    transaction.publish(Message("gaps", str(number), b"{}"))
            took[type(clock)] = time.monotonic() - began
    assert took[SystemClock] >= 4 * PACE_SECONDS
    assert took[ManualClock] < took[SystemClock]
