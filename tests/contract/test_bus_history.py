"""A log that was lost is not taken for a new one: the data folder remembers it, and somebody must decide."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from bus_support import ROOT, Site, embedded, everything, mentions

from listener.bus.protocol import open_bus
from listener.bus.sqlite.bus import EmbeddedBus
from listener.clock import SystemClock
from listener.errors import BusError, Refused

LOST = r"but there was one.*restore the newest backup.*give-up-history"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = embedded(tmp_path)
    bus = site.open()
    bus.publish(mentions(100))
    bus.close()
    return site


def remove(folder: Path) -> None:
    for path in folder.glob("bus.sqlite*"):
        path.unlink()


def empty(folder: Path) -> None:
    (folder / "bus.sqlite").write_bytes(b"")


def remove_log_alone(folder: Path) -> None:
    (folder / "bus.sqlite").unlink()
    (folder / "bus.sqlite-wal").write_bytes(b"w" * 5000)


def replace_by_no_tables(folder: Path) -> None:
    remove(folder)
    with closing(sqlite3.connect(folder / "bus.sqlite")) as db:
        db.execute("PRAGMA journal_mode=WAL")


def contents(folder: Path) -> dict[str, bytes]:
    """What was there before: the files that are empty, and what orders turns, hold nothing."""
    passing = (".sqlite-gate", ".sqlite-shm")
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.stat().st_size and not p.name.endswith(passing)}


LOSSES = [remove, empty, remove_log_alone, replace_by_no_tables]


@pytest.mark.parametrize("lose", LOSSES)
def test_a_log_that_was_lost_is_refused_and_nothing_is_made_in_its_place(
    site: Site, lose: Callable[[Path], None]
) -> None:
    lose(site.folder)
    before = contents(site.folder)
    for _ in range(2):
        with pytest.raises(Refused, match=LOST):
            site.open()
    assert contents(site.folder) == before


@pytest.mark.parametrize("lose", LOSSES)
def test_a_backup_in_its_place_goes_on(site: Site, tmp_path: Path, lose: Callable[[Path], None]) -> None:
    backup = (site.folder / "bus.sqlite").read_bytes()
    lose(site.folder)
    with pytest.raises(Refused):
        site.open()
    remove(site.folder)
    (site.folder / "bus.sqlite").write_bytes(backup)
    with closing(site.open()) as bus:
        assert len(everything(bus, "mentions")) == 100


@pytest.mark.parametrize("lose", LOSSES)
def test_a_history_that_is_given_up_begins_anew_and_is_remembered(site: Site, lose: Callable[[Path], None]) -> None:
    lose(site.folder)
    with closing(EmbeddedBus("", site.folder, SystemClock(), anew=True)) as bus:
        first = bus.store.id
    with closing(site.open()) as again:
        assert isinstance(again, EmbeddedBus)
        assert again.store.id == first
        assert everything(again, "mentions") == []
    remove(site.folder)
    with pytest.raises(Refused, match=LOST):
        site.open()


def test_another_log_in_its_place_is_refused(site: Site, tmp_path: Path) -> None:
    other = Site("embedded:", tmp_path / "other", tmp_path / "other")
    other.open().close()
    remove(site.folder)
    (site.folder / "bus.sqlite").write_bytes((other.folder / "bus.sqlite").read_bytes())
    with pytest.raises(Refused, match=r"is another log .* than the one that this data folder had"):
        site.open()
    EmbeddedBus("", site.folder, SystemClock(), anew=True).close()
    site.open().close()


@pytest.mark.parametrize("sign", ["register.sqlite", "spool-x.jsonl", "bus.sqlite-wal"])
def test_a_folder_of_an_earlier_version_is_known_by_what_lies_beside(tmp_path: Path, sign: str) -> None:
    site = embedded(tmp_path)
    site.folder.mkdir()
    (site.folder / sign).write_bytes(b"something")
    with pytest.raises(Refused, match=rf"{sign}.*give-up-history"):
        site.open()
    assert (site.folder / sign).read_bytes() == b"something"


@pytest.mark.parametrize("beside", ["register.sqlite", "spool-x.jsonl"])
def test_an_empty_file_beside_is_no_history(tmp_path: Path, beside: str) -> None:
    site = embedded(tmp_path)
    site.folder.mkdir()
    (site.folder / beside).touch()
    site.open().close()


def test_a_log_of_an_earlier_version_gets_an_id_and_is_remembered(site: Site) -> None:
    with closing(sqlite3.connect(site.folder / "bus.sqlite", isolation_level=None)) as db:
        db.execute("DROP TABLE identity")
    (site.folder / "bus.id").unlink()
    with closing(site.open()) as bus:
        assert isinstance(bus, EmbeddedBus)
        assert json.loads((site.folder / "bus.id").read_text()) == {"bus.sqlite": bus.store.id}
        assert len(everything(bus, "mentions")) == 100
    remove(site.folder)
    with pytest.raises(Refused, match=LOST):
        site.open()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"bus.sqlite": 7}'])
def test_a_damaged_memory_is_written_anew_beside_a_whole_log(site: Site, content: bytes) -> None:
    told = (site.folder / "bus.id").read_bytes()
    (site.folder / "bus.id").write_bytes(content)
    site.open().close()
    assert (site.folder / "bus.id").read_bytes() == told


def test_a_damaged_memory_beside_no_log_is_a_memory(site: Site) -> None:
    (site.folder / "bus.id").write_bytes(b"\0" * 40)
    remove(site.folder)
    with pytest.raises(Refused, match=LOST):
        site.open()


def test_a_folder_may_be_moved(site: Site, tmp_path: Path) -> None:
    site.folder.rename(tmp_path / "moved")
    moved = Site("embedded:", tmp_path / "moved", None)
    moved.open().close()
    remove(moved.folder)
    with pytest.raises(Refused, match=LOST):
        moved.open()


def test_a_log_on_another_disk_is_missed_when_that_is_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    url, disk = f"embedded:{tmp_path}/disk/bus.sqlite", tmp_path / "disk"
    open_bus(url, tmp_path / "data", SystemClock()).close()
    disk.rename(tmp_path / "unmounted")
    disk.mkdir()
    with pytest.raises(Refused, match=LOST):
        open_bus(url, tmp_path / "data", SystemClock())
    disk.joinpath("bus.sqlite-gate").unlink()
    disk.rmdir()
    (tmp_path / "unmounted").rename(disk)
    open_bus(url, tmp_path / "data", SystemClock()).close()


def test_whoever_shares_a_log_follows_when_its_history_is_given_up(tmp_path: Path) -> None:
    url = f"embedded:{tmp_path}/bus/bus.sqlite"
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        open_bus(url, tmp_path / name, SystemClock()).close()
    remove(tmp_path / "bus")
    open_bus(url, tmp_path / "one", SystemClock(), anew=True).close()
    open_bus(url, tmp_path / "two", SystemClock()).close()


def test_many_that_begin_at_once_find_one_log(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from listener.bus.sqlite.bus import EmbeddedBus; "
        "from listener.clock import SystemClock; "
        "print(EmbeddedBus('', Path(sys.argv[1]), SystemClock(), reserve=4096).store.id)"
    )
    for round_ in range(3):
        folder = tmp_path / str(round_)
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        running = [
            subprocess.Popen([sys.executable, "-c", script, folder], env=env, stdout=subprocess.PIPE, text=True)
            for _ in range(4)
        ]
        said = [process.communicate(timeout=60)[0].strip() for process in running]
        assert [process.returncode for process in running] == [0] * 4
        assert len(set(said)) == 1
        assert said[0]


@pytest.mark.parametrize("at", ["bus.made", "bus.remembered"])
def test_who_is_killed_while_a_log_is_made_leaves_no_false_memory(tmp_path: Path, at: str) -> None:
    script = (
        "import sys; from pathlib import Path; from listener.bus.sqlite.bus import EmbeddedBus; "
        "from listener.clock import SystemClock; EmbeddedBus('', Path(sys.argv[1]), SystemClock(), reserve=4096)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LYTTEPOST_CRASH": at}
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "data"], env=env, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    embedded(tmp_path).open().close()
    remove(tmp_path / "data")
    with pytest.raises(Refused, match=LOST):
        embedded(tmp_path).open()


def test_a_log_that_is_removed_while_it_is_in_use_is_noticed(site: Site) -> None:
    with closing(site.open()) as bus:
        assert bus.healthy() is None
        (site.folder / "bus.sqlite").unlink()
        assert "was removed or replaced while it is in use" in (bus.healthy() or "")


def test_a_throwaway_log_leaves_no_memory(tmp_path: Path) -> None:
    EmbeddedBus("", tmp_path, SystemClock(), durable=False).close()
    assert not (tmp_path / "bus.id").exists()
    remove(tmp_path)
    EmbeddedBus("", tmp_path, SystemClock(), durable=False).close()


def test_a_log_of_no_id_is_no_error(site: Site) -> None:
    with closing(sqlite3.connect(site.folder / "bus.sqlite", isolation_level=None)) as db:
        db.execute("DROP TABLE identity")
    with closing(EmbeddedBus("", site.folder, SystemClock(), durable=False)) as bus:
        assert bus.store.id == ""
        with pytest.raises(BusError):
            bus.partitions("nonesuch")
