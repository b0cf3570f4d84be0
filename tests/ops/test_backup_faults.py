"""Backups at three at night: killed at each step, on a full disk, on a disk without hard links, of the wrong log."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from alerts.board.access import accounts
from listener.clock import SystemClock
from listener.errors import LyttepostError, Refused
from listener.maintenance.backup import back_up, look_at, restore
from tests.ops.backup_support import in_crisis
from tests.ops.command_support import COMMAND, Machine


def quiet(step: str) -> None:
    """Nobody watches."""


@pytest.fixture
def folder(tmp_path: Path) -> Machine:
    return in_crisis(tmp_path)


@pytest.fixture
def file(folder: Machine, tmp_path: Path) -> Path:
    (folder.data / accounts.NAME).write_text('{"accounts": []}')
    made = tmp_path / "a.zip"
    back_up(folder.data / "bus.sqlite", [folder.data / accounts.NAME], made, SystemClock(), quiet)
    return made


def killed(machine: Machine, point: str, *words: str) -> None:
    env = {**machine.environ, "LYTTEPOST_CRASH": point}
    done = subprocess.run([*COMMAND, *words], env=env, capture_output=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".lyttepost")]


def test_what_a_killed_backup_left_goes_with_the_next_and_one_under_way_stays(folder: Machine, tmp_path: Path) -> None:
    target = tmp_path / "a.zip"
    killed(folder, "backup.read_again", "backup", str(target))
    assert not target.exists()
    assert len(left_in(tmp_path)) == 1

    def meanwhile(step: str) -> None:
        if step == "it is packed":
            back_up(folder.data / "bus.sqlite", [], tmp_path / "b.zip", SystemClock(), quiet)

    back_up(folder.data / "bus.sqlite", [], target, SystemClock(), meanwhile)
    assert left_in(tmp_path) == []
    for each in (target, tmp_path / "b.zip"):
        look_at(each, SystemClock(), tmp_path, quiet)


def test_a_timer_that_ends_a_backup_leaves_no_copy_of_the_log(folder: Machine, tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, listener.maintenance.backup as b\n"
        "prove = b._proofs\n"
        "b._proofs = lambda *a: (os.kill(os.getpid(), signal.SIGTERM), prove(*a))[1]\n"
        "sys.argv = ['lyttepost', 'backup', sys.argv[1]]\n"
        "import lyttepost; lyttepost.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.zip")], env=folder.environ, capture_output=True, timeout=120
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert left_in(tmp_path) == []
    assert not (tmp_path / "a.zip").exists()


@pytest.mark.parametrize("step", ["restore.proven", "restore.put"])
def test_a_restore_that_was_killed_left_no_log_and_is_done_again(
    folder: Machine, tmp_path: Path, file: Path, step: str
) -> None:
    new = tmp_path / "new"
    killed(folder, step, "restore", str(file), "--data", str(new))
    assert not (new / "bus.sqlite").exists()
    done = folder.run("restore", str(file), "--data", str(new))
    assert done.returncode == 0, done.stderr
    assert left_in(new) == []
    assert folder.json("mode", "--data", str(new))["mode"] == "crisis"


def test_a_backup_of_another_log_is_refused_where_nothing_would_start_from_it(
    folder: Machine, tmp_path: Path, file: Path
) -> None:
    other = tmp_path / "other"
    done = folder.run(
        "mode", "crisis", "--name", "B", "--track", "b b", "--why", "x", "--no-wait", "--data", str(other)
    )
    assert done.returncode == 0, done.stderr
    for path in other.glob("bus.sqlite*"):
        path.unlink()
    before = sorted(other.iterdir())
    done = folder.run("restore", str(file), "--data", str(other))
    assert done.returncode == 3
    assert "another log" in done.stderr
    assert sorted(other.iterdir()) == before


def test_what_lies_beside_a_lost_log_is_newer_than_the_backup_and_stays(folder: Machine, file: Path) -> None:
    for path in folder.data.glob("bus.sqlite*"):
        path.unlink()
    newer = '{"accounts": [ ]}'
    (folder.data / accounts.NAME).write_text(newer)
    done = folder.run("restore", str(file))
    assert done.returncode == 0, done.stderr
    assert "was there, and stays" in done.stderr
    assert (folder.data / accounts.NAME).read_text() == newer


def test_a_log_that_was_begun_meanwhile_is_not_written_over(folder: Machine, tmp_path: Path, file: Path) -> None:
    new = tmp_path / "new"

    def meanwhile(step: str) -> None:
        if step == "it is put in force":
            (new / "bus.sqlite").write_bytes(b"somebody's")

    with pytest.raises(Refused):
        restore(file, new, SystemClock(), [], meanwhile)
    assert (new / "bus.sqlite").read_bytes() == b"somebody's"


def test_a_log_of_another_name_is_not_restored_beside_the_one_that_is_read(
    tmp_path: Path, folder: Machine, file: Path
) -> None:
    named = Machine(tmp_path, {"LYTTEPOST_BUS__URL": f"embedded:{tmp_path}/new/log.db"})
    done = named.run("restore", str(file), "--data", str(tmp_path / "new"))
    assert done.returncode == 3
    assert "log.db" in done.stderr


def test_a_disk_without_hard_links_can_hold_backups(
    folder: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    target = tmp_path / "a.zip"
    back_up(folder.data / "bus.sqlite", [], target, SystemClock(), quiet)
    look_at(target, SystemClock(), tmp_path, quiet)
    (tmp_path / "b.zip").symlink_to(tmp_path / "nowhere")
    with pytest.raises((Refused, LyttepostError)):
        back_up(folder.data / "bus.sqlite", [], tmp_path / "b.zip", SystemClock(), quiet)
    restore(target, tmp_path / "new", SystemClock(), [], quiet)
    assert folder.json("mode", "--data", str(tmp_path / "new"))["mode"] == "crisis"


def test_whatever_byte_of_a_backup_is_wrong_is_told_in_words(tmp_path: Path, file: Path) -> None:
    whole, bad = file.read_bytes(), tmp_path / "bad.zip"
    with zipfile.ZipFile(file) as archive:
        (info,) = [each for each in archive.infolist() if each.filename == "bus.sqlite"]
    inside = range(info.header_offset, info.header_offset + info.compress_size, info.compress_size // 40)
    wrong = 0
    for place in (*range(0, 80, 3), *inside, *range(len(whole) - 260, len(whole), 3)):
        bad.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            look_at(bad, SystemClock(), tmp_path, quiet)
        except LyttepostError:
            wrong += 1
    assert wrong > 60
    assert left_in(tmp_path) == []


FULL = """
import os, sys
from pathlib import Path
from listener.clock import SystemClock
from listener.errors import LyttepostError
from listener.maintenance.backup import back_up, restore
small, log, file, room = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
ballast = small / "ballast"
for free in range(0, room, room // 12):
    with ballast.open("wb") as out:
        try:
            out.write(bytes(os.statvfs(small).f_bavail * 4096 - free))
        except OSError:
            pass
    for step in (lambda: back_up(log, [], small / "a.zip", SystemClock(), print),
                 lambda: restore(file, small / "new", SystemClock(), [], print)):
        try:
            step()
        except LyttepostError as error:
            assert str(small) in str(error), error
            print("told", error)
    (small / "a.zip").unlink(missing_ok=True)
    for path in (small / "new").iterdir() if (small / "new").exists() else ():
        path.unlink()
    ballast.unlink()
    assert not [path for path in small.rglob(".lyttepost*")]
"""


def test_on_a_full_disk_it_is_said_which_and_nothing_is_left(folder: Machine, tmp_path: Path, file: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    private, mount = ["unshare", "--map-root-user", "--mount"], "mount -t tmpfs -o size=16m tmpfs"
    if (
        not shutil.which("unshare")
        or subprocess.run([*private, "sh", "-c", f"{mount} {small}"], check=False).returncode
    ):
        pytest.skip("a small disk cannot be mounted here: user namespaces are off")
    room = 3 * (folder.data / "bus.sqlite").stat().st_size
    done = subprocess.run(
        [
            *private, "sh", "-c", f'{mount} "$1" && exec "$0" -c "$5" "$1" "$2" "$3" "$4"',
            sys.executable, str(small), str(folder.data / "bus.sqlite"), str(file), str(room), FULL,
        ],
        env=folder.environ, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("told") > 4
