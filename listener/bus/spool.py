"""A spool: what a listener has heard while the bus is away, on its own disk, in the words that go to the bus.

One file a source and process in the data folder, written at its end only: a line an entry, `CRC JSON`, and an entry is
one transaction to be. Nothing stands in it that may not stand on the bus: posts are matched, masked and their authors
pseudonyms before. It survives `kill -9` at any byte: half an entry at the end was never kept. It is synced each second,
so a power cut takes a second of it.

A purge overwrites a post where it is stored, also from another process: the line keeps its length, and a lock on
the file keeps the two apart. What has been drained is overwritten with zeros and cut off.
"""

from __future__ import annotations

import fcntl
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from listener.bus.protocol import Message
from listener.clock import Clock
from listener.errors import ConfigError
from listener.permissions import make_folder, open_private
from listener.units import format_instant, parse_instant

T = TypeVar("T")

SYNC_SECONDS = 1.0
CRC_CHARS = 8
ZEROS = bytes(1 << 16)

Wanted = Callable[[datetime, Message], bool]


@dataclass(frozen=True)
class SpoolEntry:
    """`at`: when it was kept; `end`: where the next one begins. `messages` None: the line is damaged."""

    at: datetime | None
    messages: tuple[Message, ...] | None
    end: int


def path_of(folder: Path, source: str, name: str = "") -> Path:
    """`name` tells a process from others of its role on this folder: each keeps for itself."""
    return folder / f"spool-{source}{f'-{name}' if name else ''}.jsonl"


class Spool:
    """One thread and one process write it. `most` is in bytes."""

    def __init__(self, path: Path, most: int, clock: Clock) -> None:
        self.path = path
        self._most = most
        self._clock = clock
        self._synced = float("-inf")
        self._drained = 0
        self._oldest: datetime | None = None
        try:
            make_folder(path.parent)
            self._file = open_private(path, os.O_RDWR)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror}; correct its owner or mode") from None
        with _locked(self._file):
            self.size = _whole(self._file)
            os.ftruncate(self._file, self.size)
        self._oldest = self._first()

    @property
    def limit(self) -> int:
        """How many bytes may be kept."""
        return self._most

    @property
    def waits(self) -> bool:
        """Something is kept that is not drained."""
        return self._drained < self.size

    @property
    def left(self) -> int:
        """Bytes that wait."""
        return self.size - self._drained

    @property
    def oldest(self) -> datetime | None:
        """When the first thing that waits was kept."""
        return self._oldest if self.waits else None

    def append(self, at: datetime, messages: Sequence[Message]) -> bool:
        """False when there is no room, within the bound or on the disk: then nothing is kept."""
        line = _line(at, messages)
        if self.size + len(line) > self._most:
            return False
        with _locked(self._file):
            try:
                # One call: what a kill leaves of it is no whole line.
                done = os.pwrite(self._file, line, self.size)
            except OSError:
                done = 0
            if done < len(line):
                with suppress(OSError):
                    os.ftruncate(self._file, self.size)
                return False
        self._oldest = self.oldest or at
        self.size += len(line)
        if self._clock.monotonic() - self._synced >= SYNC_SECONDS:
            os.fsync(self._file)
            self._synced = self._clock.monotonic()
        return True

    def peek(self, messages: int) -> list[SpoolEntry]:
        """The first that wait, in order: at least one entry, and no more than so many messages if there are several."""
        out: list[SpoolEntry] = []
        count = 0
        if not self.waits:
            return out
        with _locked(self._file):
            # No further than is given out: to read all that waits for each of them would cost the square.
            for entry, _, _ in _lines(self._file, self._drained, self.size):
                count += len(entry.messages or ())
                if out and count > messages:
                    break
                out.append(entry)
        return out

    def drop(self, end: int) -> None:
        """All before `end` is on the bus. When nothing is left, its bytes go."""
        self._drained = end
        self._oldest = self._first()
        if self.waits:
            return
        with _locked(self._file):
            _wipe(self._file, self.size)
        self._drained = self.size = 0

    def close(self) -> None:
        fd, self._file = self._file, -1
        if fd >= 0:
            os.close(fd)

    def _first(self) -> datetime | None:
        return next((entry.at for entry in self.peek(1)), None)


def purge(folder: Path, wanted: Wanted) -> int:
    """Overwrite every message that is `wanted`, in all spools of a folder, whoever writes them. How many there were."""
    return sum(_of_each(folder, os.O_RDWR, lambda file: _purge(file, wanted), "; nothing was removed"))


def _purge(file: int, wanted: Wanted) -> int:
    gone = 0
    for entry, start, length in list(_lines(file, 0, _whole(file))):
        if entry.messages is None or entry.at is None:
            continue
        kept = [message for message in entry.messages if not wanted(entry.at, message)]
        if len(kept) < len(entry.messages):
            os.pwrite(file, _line(entry.at, kept, length), start)
            gone += len(entry.messages) - len(kept)
    if gone:
        os.fsync(file)
    return gone


def kept(folder: Path) -> Iterator[tuple[datetime, Message]]:
    """Every message that lies in the spools of a folder, brought to the bus or not, with when it was kept."""
    for found in _of_each(folder, os.O_RDONLY, lambda file: [entry for entry, _, _ in _lines(file, 0, _whole(file))]):
        for entry in found:
            if entry.at is not None:
                yield from ((entry.at, message) for message in entry.messages or ())


def _of_each(folder: Path, flags: int, work: Callable[[int], T], then: str = "") -> Iterator[T]:
    """What `work` makes of each spool of a folder, while nobody else writes to it. `then`: what comes of one that
    cannot be opened."""
    for path in sorted(folder.glob("spool-*.jsonl")):
        try:
            file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ConfigError(f"{path}: cannot be searched: {error.strerror}{then}") from None
        try:
            with _locked(file):
                made = work(file)
        finally:
            os.close(file)
        yield made


def purge_before(folder: Path, oldest: datetime) -> int:
    """Overwrite what people said and was kept before. How many messages there were."""
    return purge(folder, lambda at, message: message.topic == "mentions" and at < oldest)


def _line(at: datetime, messages: Sequence[Message], length: int = 0) -> bytes:
    """`length` bytes at least: filled with blanks."""
    said = [[m.topic, m.key, None if m.value is None else m.value.decode(), m.partition] for m in messages]
    body = json.dumps({"at": format_instant(at), "messages": said}, ensure_ascii=False, separators=(",", ":")).encode()
    body = body.ljust(length - CRC_CHARS - 2)
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _entry(line: bytes, end: int) -> SpoolEntry:
    crc, _, body = line.rstrip(b"\n").partition(b" ")
    try:
        if int(crc, 16) != zlib.crc32(body):
            raise ValueError
        raw = json.loads(body)
        messages = tuple(
            Message(topic, key, None if value is None else value.encode(), partition)
            for topic, key, value, partition in raw["messages"]
        )
        return SpoolEntry(parse_instant(raw["at"]), messages, end)
    except (ValueError, KeyError, TypeError):
        return SpoolEntry(None, None, end)


def _lines(file: int, start: int, end: int) -> Iterator[tuple[SpoolEntry, int, int]]:
    """Each with where its line begins and how long it is."""
    with os.fdopen(os.dup(file), "rb") as reader:
        reader.seek(start)
        while start < end and (line := reader.readline()):
            yield _entry(line, start + len(line)), start, len(line)
            start += len(line)


def _whole(file: int) -> int:
    """Bytes up to the end of the last whole line."""
    size = os.fstat(file).st_size
    while size:
        start = max(0, size - len(ZEROS))
        found = os.pread(file, size - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        size = start
    return 0


def _wipe(file: int, size: int) -> None:
    """From its end: whoever is killed over it leaves whole lines, and those are known to be on the bus."""
    for start in reversed(range(0, size, len(ZEROS))):
        os.pwrite(file, ZEROS[: min(len(ZEROS), size - start)], start)
    os.fsync(file)
    os.ftruncate(file, 0)


@contextmanager
def _locked(file: int) -> Iterator[None]:
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)
