"""Backups of a data folder with an embedded log, made while it is written to, and restored into an empty one.

A backup is one ZIP file: the log as it was at one instant, the few files beside it that cannot be made anew, and
`manifest.json` with a SHA-256 of each, and of each topic the number and a digest of its records. Views are left out,
for they are made anew from the log; so is the pseudonym key, which no backup of the posts may hold.

Nothing is trusted: a backup is read again before it is given its name, and before one is put in force its files are
compared with their digests, its topics with theirs, and its hash chains are followed.

Whoever is killed leaves a folder `.lyttepost-…` with a copy of the log, which no purge reaches: the next backup or
restore in that place removes it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from listener import __version__
from listener.bus import hashchain
from listener.bus.history import NAME as HISTORY
from listener.bus.history import UNREADABLE, History
from listener.bus.scan import scan_records
from listener.bus.sqlite.bus import EmbeddedBus
from listener.bus.sqlite.store import FORMAT as LOG_FORMAT
from listener.bus.sqlite.store import explain
from listener.clock import Clock
from listener.crashpoints import point
from listener.errors import BusFull, ConfigError, Corrupt, LyttepostError, Refused
from listener.maintenance.copy import LEFT_OUT, Proof, prove
from listener.model.topics import TOPICS
from listener.permissions import create_private, make_folder, sync
from listener.settings.bus_address import LOG
from listener.units import format_instant

FORMAT: Final = 1
"""Of the ZIP file and its manifest."""
MANIFEST: Final = "manifest.json"
CHUNK: Final = 1 << 20
LARGEST_MANIFEST: Final = 1 << 20

MAKING, MADE = ".lyttepost+", ".lyttepost-"
"""How a folder for what is made begins: until it is locked, and from then on."""
NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What a file system says that has no hard links: that of a USB stick, of many a file server."""

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Backup:
    """What a backup says of itself. `files`: name → its SHA-256; `log_id`: which log it is of."""

    version: str
    made_at: str
    log_format: int
    log_id: str
    files: Mapping[str, str]
    topics: Sequence[Proof]

    @property
    def records(self) -> int:
        return sum(proof.records for proof in self.topics)


def back_up(log: Path, beside: Sequence[Path], target: Path, clock: Clock, progress: Progress) -> Backup:
    """Write `target`, which must not be there yet. `beside`: other files that belong to it; those missing are left out.

    Whoever writes to the log goes on meanwhile. Raises Refused, ConfigError, BusError or Corrupt; then nothing is left.
    """
    taken = Refused(f"{target}: is there already; a backup is never written over another file")
    if target.exists():
        raise taken
    if not target.parent.is_dir():
        raise ConfigError(f"{target.parent}: no such folder")
    with _work_in(target.parent) as work:
        progress("the log is copied")
        _snapshot(log, work / LOG)
        files = [work / LOG]
        for path in beside:
            if path.is_file():
                shutil.copyfile(path, work / path.name)
                files.append(work / path.name)
        progress("its records are counted")
        log_id, topics = _proofs(work, clock)
        made = Backup(
            version=__version__,
            made_at=format_instant(clock.now()),
            log_format=LOG_FORMAT,
            log_id=log_id,
            files={path.name: _digest_of(path) for path in files},
            topics=topics,
        )
        progress("it is packed")
        packed = work / "packed"
        create_private(packed)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            archive.writestr(
                MANIFEST, json.dumps({"type": "lyttepost-backup", "format": FORMAT, **asdict(made)}, indent=1)
            )
            for path in files:
                archive.write(path, path.name)
        for path in files:
            path.unlink()  # there may be no room for two
        progress("it is read again")
        with _unpacked(packed, work / "again") as again:
            if again != made or _differing(again, work / "again"):
                raise LyttepostError(f"{target}: what was read again is not what was written; is the disk well?")
        sync(packed)
        point("backup.read_again")
        if not _name(packed, target):
            raise taken
        _sync_names(target.parent)
    return made


def look_at(file: Path, clock: Clock, scratch: Path, progress: Progress) -> Backup:
    """Prove a backup, and put nothing in force. `scratch`: a folder that has room for what it holds."""
    with _work_in(scratch) as work:
        return _proven(file, work, clock, progress)


def restore(
    file: Path, folder: Path, clock: Clock, views: Sequence[str], progress: Progress
) -> tuple[Backup, Sequence[str]]:
    """Put a backup in force in a data folder that holds no log. `views`: files that are made anew, and are removed.

    Gives the backup, and which of its other files were in the folder already: those stay, for they are newer than it.
    The caller knows that nothing runs there. Raises Refused where a log is there, or what one left; for a backup of a
    newer version; and for one of another log than the folder had. Raises Corrupt for one that is not as it was made.
    Then the folder is as before.
    """
    log = folder / LOG
    for path in (log, folder / f"{LOG}-wal"):
        if path.exists() and path.stat().st_size:
            raise Refused(f"{path}: is there already; move it away first, and keep it until you know what it holds")
    make_folder(folder)
    with _work_in(folder) as work:
        backup = _proven(file, work, clock, progress)
        _refuse_another(file, work / LOG, folder)
        progress("it is put in force")
        point("restore.proven")
        for name in (f"{LOG}-wal", f"{LOG}-shm", *views):
            (folder / name).unlink(missing_ok=True)
        kept = [name for name in backup.files if name != LOG and not _put(work / name, folder / name)]
        point("restore.put")
        if log.exists() and not log.stat().st_size:
            log.unlink()
        # The log last: whoever is killed before leaves a folder without one, into which it is restored again.
        if not _put(work / LOG, log):
            raise Refused(f"{log}: came meanwhile; something was started here: stop it, and move that log away")
        _sync_names(folder)
    return backup, kept


def _refuse_another(file: Path, made: Path, folder: Path) -> None:
    """Made ready as a log is made, for readers and the writer not to wait for one another. Raises Refused, BusError."""
    known = History(folder / LOG, folder).ids() - {UNREADABLE}
    try:
        with closing(sqlite3.connect(made)) as db:
            db.execute("PRAGMA journal_mode=WAL")
            found = db.execute("SELECT 1 FROM sqlite_master WHERE name='identity'").fetchone()
            ids = {id_ for (id_,) in db.execute("SELECT id FROM identity")} if found else set()
    except sqlite3.Error as error:
        raise explain(made, error) from None
    if ids and not known <= ids:
        raise Refused(
            f"{file}: is of another log than {folder} had, as its {HISTORY} says, and nothing would start there; "
            "restore it into an empty folder (--data), or restore the newest backup of the log that was here"
        )


def _proven(file: Path, work: Path, clock: Clock, progress: Progress) -> Backup:
    progress("it is unpacked")
    with _unpacked(file, work) as backup:
        if set(backup.files) - {path.name for path in work.iterdir()} or LOG not in backup.files:
            raise Corrupt(f"{file}: a file that its manifest names is missing")
        if (name := _differing(backup, work)) is not None:
            raise Corrupt(f"{file}: {name} is not as it was packed; take another backup")
    progress("its records are counted")
    log_id, topics = _proofs(work, clock)
    if (log_id, list(topics)) != (backup.log_id, list(backup.topics)):
        raise Corrupt(f"{file}: the log holds other records than were counted when it was made; take another backup")
    return backup


@contextmanager
def _unpacked(file: Path, into: Path) -> Iterator[Backup]:
    """What a backup says of itself, with its files unpacked. Raises Refused or Corrupt."""
    into.mkdir(exist_ok=True)
    try:
        with zipfile.ZipFile(file) as archive:
            backup = _manifest(file, archive)
            for name in backup.files:
                with archive.open(name) as packed, (into / name).open("wb") as out:
                    shutil.copyfileobj(packed, out, CHUNK)
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file") from None
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, RuntimeError) as error:
        raise Corrupt(f"{file}: is no whole backup ({type(error).__name__}); take another") from None
    except OSError as error:
        raise LyttepostError(f"{file}: cannot be unpacked in {into.parent}: {error.strerror or error}") from None
    yield backup


def _manifest(file: Path, archive: zipfile.ZipFile) -> Backup:
    info = archive.getinfo(MANIFEST)
    if info.file_size > LARGEST_MANIFEST:
        raise Corrupt(f"{file}: is no backup of ours")
    try:
        said: dict[str, Any] = json.loads(archive.read(MANIFEST))
        kind, form, log_form = said["type"], int(said["format"]), int(said["log_format"])
        if kind != "lyttepost-backup":
            raise ValueError(kind)
        if form > FORMAT or log_form > LOG_FORMAT:
            raise Refused(f"{file}: was made by a newer Lyttepost ({said['version']}); restore it with that one")
        files = {str(name): str(digest) for name, digest in said["files"].items()}
        topics = [Proof(str(t["topic"]), int(t["records"]), str(t["digest"])) for t in said["topics"]]
        backup = Backup(str(said["version"]), str(said["made_at"]), log_form, str(said["log_id"]), files, topics)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Corrupt(f"{file}: is no backup of ours") from None
    if any(Path(name).name != name or name.startswith(".") for name in files):
        raise Corrupt(f"{file}: names a file outside the data folder")
    return backup


def _snapshot(log: Path, target: Path) -> None:
    """The log at one instant, with nothing of what was removed from it. Raises BusError or Corrupt."""
    create_private(target)
    try:
        with closing(sqlite3.connect(f"{log.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)) as db:
            db.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as error:
        full = isinstance(explain(log, error), BusFull)  # not the disk of the log, but that of its copy
        raise explain(target if full else log, error) from None


def _proofs(folder: Path, clock: Clock) -> tuple[str, Sequence[Proof]]:
    """The id of the log there, and what each topic holds. Raises Corrupt where a chain is broken."""
    with closing(EmbeddedBus("", folder, clock, durable=False)) as bus:
        made = {info.name: info.partitions for info in bus.topics()}
        specs = [replace(TOPICS[name], partitions=made[name]) for name in TOPICS if name in made]
        for topic in hashchain.CHAINED:
            if topic in made:
                hashchain.verify(scan_records(bus, [topic]))
        return bus.store.id, [prove(bus, spec) for spec in specs if spec.name not in LEFT_OUT]


@contextmanager
def _work_in(folder: Path) -> Iterator[Path]:
    """A folder of its own for what is made, on the disk of what it will be; gone afterwards.

    It is locked for as long as its process lives. Those that are not are removed: theirs was killed.
    """
    try:
        for left in folder.glob(f"{MADE}*"):
            if (lock := _locked(left)) is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)
        making = Path(tempfile.mkdtemp(prefix=MAKING, dir=folder))
        lock = _locked(making)
        made = making.rename(making.with_name(making.name.replace(MAKING, MADE, 1)))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from None
    try:
        yield made
    except OSError as error:
        raise LyttepostError(f"{error.filename or folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """A lock on a folder of ours; None where somebody holds it, or where the file system knows no such locks."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if os.fstat(handle).st_uid != os.geteuid():
            raise PermissionError
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


def _put(made: Path, target: Path) -> bool:
    made.chmod(0o600)
    sync(made)
    return _name(made, target)


def _name(made: Path, target: Path) -> bool:
    """Give it its name, unless something came to bear it: a link is made or fails. Whether it has it."""
    try:
        os.link(made, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if not create_private(target):
            return False
        made.replace(target)
    return True


def _differing(backup: Backup, folder: Path) -> str | None:
    """A file that is not as the backup says, if there is one."""
    return next((name for name, digest in backup.files.items() if _digest_of(folder / name) != digest), None)


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_names(folder: Path) -> None:
    """What is named in it stays so after a power cut, where its file system can promise that of a folder."""
    with suppress(OSError):
        sync(folder)
