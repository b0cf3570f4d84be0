"""Our files are for our eyes: their modes, links that are not followed, folders that are open to others."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from alerts.register.view import Register
from listener.bus.protocol import Bus, open_bus
from listener.bus.spool import Spool, purge
from listener.bus.sqlite.gate import Gate
from listener.bus.sqlite.reserve import DiskReserve
from listener.clock import SystemClock
from listener.errors import ConfigError
from listener.model.topics import topic_specs
from listener.permissions import exposed, make_folder, open_private
from listener.privacy.pseudonyms import load_key
from listener.runtime.service import RoleLock


@pytest.fixture
def open_umask() -> object:
    """Whoever starts us may have a umask that closes nothing."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def opened(folder: Path) -> Bus:
    bus = open_bus("embedded:", folder, SystemClock())
    bus.ensure(topic_specs(1, {}))
    return bus


@pytest.mark.usefixtures("open_umask")
def test_whatever_the_umask_every_file_and_folder_of_ours_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    lock = RoleLock(folder, "listener")
    spool = Spool(folder / "spool-x.jsonl", 1 << 20, SystemClock())
    with closing(opened(folder)) as bus, closing(Register(bus, folder / "register.sqlite")):
        load_key(tmp_path / "keys" / "pseudonym.key", create=True)
        found = modes(tmp_path)
    lock.release()
    spool.close()
    expected = {"bus.sqlite", "bus.sqlite-wal", "bus.sqlite-gate", "reserve.bin", "register.sqlite", "listener.lock"}
    assert expected | {"spool-x.jsonl", "pseudonym.key"} <= found.keys()
    assert {name for name, mode in found.items() if mode & 0o077} == set()
    assert list(exposed(folder)) == []


OPENERS: dict[str, Callable[[Path], object]] = {
    "listener.lock": lambda folder: RoleLock(folder, "listener"),
    "spool-x.jsonl": lambda folder: Spool(folder / "spool-x.jsonl", 1 << 20, SystemClock()),
    "bus.sqlite-gate": lambda folder: open_bus("embedded:", folder, SystemClock()),
}


@pytest.mark.parametrize("name", OPENERS)
@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing"])
def test_a_link_in_the_place_of_a_file_of_ours_is_not_followed(tmp_path: Path, name: str, there: bool) -> None:
    folder, victim = tmp_path / "data", tmp_path / "victim"
    folder.mkdir()
    if there:
        victim.write_text("somebody else's")
    (folder / name).symlink_to(victim)
    with pytest.raises(ConfigError, match=r"symbolic link, which is not followed; remove it") as told:
        OPENERS[name](folder)
    assert str(folder / name) in str(told.value)
    assert victim.exists() == there
    assert not there or victim.read_text() == "somebody else's"


def test_a_link_in_the_place_of_the_reserve_is_neither_filled_nor_counted(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(bytes(1 << 13))
    (tmp_path / "reserve.bin").symlink_to(victim)
    room = DiskReserve(tmp_path / "reserve.bin", 1 << 12)
    room.problem()
    assert victim.stat().st_size == 1 << 13
    room.give()
    assert victim.exists()


@pytest.mark.parametrize("name", ["listener.lock", "spool-x.jsonl"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ConfigError, match="no plain file"):
        OPENERS[name](tmp_path)


def test_a_log_that_is_a_link_to_nowhere_is_not_made_there(tmp_path: Path) -> None:
    (tmp_path / "bus.sqlite").symlink_to(tmp_path / "not mounted" / "bus.sqlite")
    with pytest.raises(ConfigError, match="leads nowhere; is a disk not mounted"):
        opened(tmp_path)


def test_a_purge_does_not_pass_over_a_spool_that_it_cannot_open(tmp_path: Path) -> None:
    (tmp_path / "spool-x.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be searched"):
        purge(tmp_path, lambda at, message: True)


def test_a_file_of_ours_that_was_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "alerts.lock"
    path.touch()
    path.chmod(0o666)
    os.close(open_private(path, os.O_RDWR))
    assert modes(tmp_path) == {"alerts.lock": 0o600}


def test_a_gate_holds_its_file_private(tmp_path: Path) -> None:
    Gate(tmp_path / "gate").close()
    assert modes(tmp_path) == {"gate": 0o600}


@pytest.mark.parametrize(
    ("mode", "says"),
    [(0o755, "others may read it"), (0o770, "others may read and change it"), (0o777, "others may read and change it")],
)
def test_a_folder_that_is_open_to_others_is_named_with_what_to_do(tmp_path: Path, mode: int, says: str) -> None:
    folder = tmp_path / "data"
    make_folder(folder)
    (folder / "bus.sqlite").touch(0o600)
    (folder / "register.sqlite").touch()
    (folder / "register.sqlite").chmod(0o644)
    assert list(exposed(folder)) == []
    folder.chmod(mode)
    first, second = exposed(folder)
    assert says in first
    assert f"`chmod 700 {folder}`" in first
    assert "register.sqlite: others may read it" in second
    assert list(exposed(tmp_path / "nowhere")) == []
