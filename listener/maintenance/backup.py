"""Backups of a data folder with an embedded log, made while it is written to, and restored into an empty one.

A backup is one ZIP file: the log as it was at one instant, the few files beside it that cannot be made anew, and
`manifest.json` with a SHA-256 of each, and of each topic the number and a digest of its records. Views are left out,
for they are made anew from the log; so is the pseudonym key, which no backup of the posts may hold.

Nothing is trusted: a backup is read again before it is given its name, and before one is put in force its files are
compared with their digests, its topics with theirs, and its hash chains are followed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from listener import __version__
from listener.bus import hashchain
from listener.bus.scan import scan_records
from listener.bus.sqlite.bus import EmbeddedBus
from listener.bus.sqlite.store import FORMAT as LOG_FORMAT
from listener.bus.sqlite.store import explain
from listener.clock import Clock
from listener.errors import ConfigError, Corrupt, LyttepostError, Refused
from listener.maintenance.copy import LEFT_OUT, Proof, prove
from listener.model.topics import TOPICS
from listener.permissions import create_private, make_folder
from listener.units import format_instant

FORMAT: Final = 1
"""Of the ZIP file and its manifest."""
LOG: Final = "bus.sqlite"
MANIFEST: Final = "manifest.json"
CHAINED: Final = ("decisions", "deliveries")
CHUNK: Final = 1 << 20
LARGEST_MANIFEST: Final = 1 << 20

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
    if target.exists():
        raise Refused(f"{target}: is there already; a backup is never written over another file")
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
        progress("it is read again")
        with _unpacked(packed, work / "again") as again:
            if again != made:
                raise LyttepostError(f"{target}: what was read again is not what was written; is the disk well?")
        _sync(packed)
        # Not over one that came meanwhile: a link is made or fails.
        try:
            os.link(packed, target)
        except FileExistsError:
            raise Refused(f"{target}: is there already; a backup is never written over another file") from None
        _sync(target.parent)
    return made


def look_at(file: Path, clock: Clock, scratch: Path, progress: Progress) -> Backup:
    """Prove a backup, and put nothing in force. `scratch`: a folder that has room for what it holds."""
    with _work_in(scratch) as work:
        return _proven(file, work, clock, progress)


def restore(file: Path, folder: Path, clock: Clock, views: Sequence[str], progress: Progress) -> Backup:
    """Put a backup in force in a data folder that holds no log. `views`: files that are made anew, and are removed.

    The caller knows that nothing runs there. Raises Refused where a log is there, or what one left; and for a backup of
    a newer version. Raises Corrupt for one that is not as it was made. Then the folder is as before.
    """
    for name in (LOG, f"{LOG}-wal"):
        path = folder / name
        if path.exists() and path.stat().st_size:
            raise Refused(f"{path}: is there already; move it away first, and keep it until you know what it holds")
    make_folder(folder)
    with _work_in(folder) as work:
        backup = _proven(file, work, clock, progress)
        progress("it is put in force")
        with closing(sqlite3.connect(work / LOG)) as db:
            # As a log is made: readers and the writer do not wait for one another.
            db.execute("PRAGMA journal_mode=WAL")
        for name in (f"{LOG}-wal", f"{LOG}-shm", *views):
            (folder / name).unlink(missing_ok=True)
        for name in backup.files:
            if name != LOG:
                _put(work / name, folder / name)
        _put(work / LOG, folder / LOG)
        _sync(folder)
    return backup


def _proven(file: Path, work: Path, clock: Clock, progress: Progress) -> Backup:
    progress("it is unpacked")
    with _unpacked(file, work) as backup:
        if set(backup.files) - {path.name for path in work.iterdir()} or LOG not in backup.files:
            raise Corrupt(f"{file}: a file that its manifest names is missing")
        for name, digest in backup.files.items():
            if _digest_of(work / name) != digest:
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
    except (zipfile.BadZipFile, KeyError, EOFError, NotImplementedError, RuntimeError) as error:
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
        raise explain(log, error) from None


def _proofs(folder: Path, clock: Clock) -> tuple[str, Sequence[Proof]]:
    """The id of the log there, and what each topic holds. Raises Corrupt where a chain is broken."""
    with closing(EmbeddedBus("", folder, clock, durable=False)) as bus:
        made = {info.name: info.partitions for info in bus.topics()}
        specs = [replace(TOPICS[name], partitions=made[name]) for name in TOPICS if name in made]
        for topic in CHAINED:
            if topic in made:
                chain = hashchain.Chain()
                for record in scan_records(bus, [topic]):
                    chain.follow(record)
        return bus.store.id, [prove(bus, spec) for spec in specs if spec.name not in LEFT_OUT]


@contextmanager
def _work_in(folder: Path) -> Iterator[Path]:
    """A folder of its own for what is made, on the disk of what it will be; gone afterwards."""
    try:
        made = Path(tempfile.mkdtemp(prefix=".lyttepost-", dir=folder))
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from None
    try:
        yield made
    except OSError as error:
        raise LyttepostError(f"{error.filename or folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _put(made: Path, target: Path) -> None:
    made.chmod(0o600)
    _sync(made)
    made.replace(target)


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
