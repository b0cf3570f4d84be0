"""The lines of a file, a pipe or standard input, plain or gzip, without ever waiting for more than is asked for.

Memory is bounded whatever the input: a line longer than `LONGEST` is not kept but measured, and gzip is unpacked piece
by piece. Nothing in the content raises; what cannot be had whole comes as `Broken`.
"""

from __future__ import annotations

import hashlib
import os
import select
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from listener.errors import ConfigError, LyttepostError
from listener.sources.contract import DropReason

LONGEST = 1_000_000
"""Bytes in a line."""

_CHUNK = 1 << 18
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
"""A byte order mark. Of files that were put one behind the other each may begin with it, packed or not."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that cannot be had: why, how many bytes there were, and their SHA-256."""

    reason: DropReason
    length: int
    digest: str


Line = tuple[int, bytes | Broken]
"""Number, from 1, and content without its line feed."""


class LineReader:
    """Lines of `path`; `-` is standard input. `unended` says that the last line given had no line feed.

    `pipes`: what is no regular file is read too, and one that nobody writes to is waited for: a recording may be one.
    """

    def __init__(self, path: str, *, pipes: bool = False) -> None:
        self.path = path
        self._pipes = pipes
        self.unended = False
        self.seekable = False
        self._fd = -1
        self._size = 0
        self._taken = 0
        self._damage: DropReason | None = None

    def open(self) -> None:
        """Raises ConfigError that says what to fix."""
        if self.path == "-":
            self._fd = os.dup(0)
        else:
            # Opening a named pipe that nobody writes to waits, unless it is told not to.
            wait = 0 if self._pipes else os.O_NONBLOCK
            try:
                self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | wait)
            except OSError as error:
                raise ConfigError(f"{self.path}: cannot be read: {error.strerror}") from None
        status = os.fstat(self._fd)
        if stat.S_ISDIR(status.st_mode):
            self.close()
            raise ConfigError(f"{self.path}: is a folder; name a file of recorded posts in it")
        self.seekable = stat.S_ISREG(status.st_mode)
        self._size = status.st_size
        if self.path == "-" or self._pipes:
            return
        # A shell's own pipe (`<(…)`) has no name that is there, and somebody writes to it.
        if not self.seekable and (not stat.S_ISFIFO(status.st_mode) or os.path.exists(os.path.realpath(self.path))):
            self.close()
            raise ConfigError(f"{self.path}: is no regular file; pass a pipe as standard input, which is written -")
        os.set_blocking(self._fd, True)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def progress(self) -> float | None:
        """How much has been read, 0 to 1; None where the end is not known."""
        return min(1.0, self._taken / self._size) if self.seekable and self._size else None

    def ready(self, timeout: float) -> bool:
        """Is there more to read, the end included? Waits at most `timeout` seconds."""
        return self.seekable or bool(select.select([self._fd], [], [], max(0.0, timeout))[0])

    def lines(self) -> Iterator[Line | None]:
        """Lines in order; None where there is nothing to read yet. Raises LyttepostError when the disk fails."""
        number, tail = 0, bytearray()
        measure: _Measure | None = None
        for chunk in self._unpacked():
            if chunk is None:
                yield None
                continue
            if measure is not None:
                rest, feed, chunk = chunk.partition(b"\n")
                measure.add(rest)
                if not feed:
                    continue
                number += 1
                yield number, measure.line()
                measure = None
            pieces = chunk.split(b"\n")
            tail += pieces[0]
            if len(pieces) > 1:
                pieces[0], tail = bytes(tail), bytearray(pieces.pop())
                for piece in pieces:
                    number += 1
                    yield number, piece.removeprefix(_BOM) if len(piece) <= LONGEST else _Measure(piece).line()
            if len(tail) > LONGEST:
                measure, tail = _Measure(tail), bytearray()
        if self._damage is not None:
            yield number + 1, Broken(self._damage, len(tail), hashlib.sha256(tail).hexdigest())
        elif measure is not None:
            yield number + 1, measure.line()
        elif tail:
            self.unended = True
            yield number + 1, bytes(tail).removeprefix(_BOM)

    def _unpacked(self) -> Iterator[bytes | None]:
        chunks = self._chunks()
        head = b""
        for chunk in chunks:
            if chunk is None:
                yield None
                continue
            head += chunk
            if len(head) >= len(_GZIP):
                break
        if head.startswith(_GZIP):
            yield from self._gunzip(head, chunks)
        else:
            yield head
            yield from chunks

    def _gunzip(self, head: bytes, chunks: Iterator[bytes | None]) -> Iterator[bytes | None]:
        """Members one after another, as gzip allows; what cannot be unpacked ends the reading and is noted."""
        member, todo = zlib.decompressobj(31), head
        while True:
            try:
                while todo:
                    if member.eof:
                        member = zlib.decompressobj(31)
                    yield member.decompress(todo, _CHUNK)
                    # Zeros behind a member are padding.
                    todo = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
                if not member.eof:
                    yield member.decompress(b"", _CHUNK)
            except zlib.error:
                self._damage = DropReason.CORRUPT_GZIP
                return
            chunk = next(chunks, b"")
            while chunk is None:
                yield None
                chunk = next(chunks, b"")
            if not chunk:
                break
            todo = chunk.lstrip(b"\0") if member.eof else chunk
        if not member.eof:
            self._damage = DropReason.TRUNCATED_GZIP

    def _chunks(self) -> Iterator[bytes | None]:
        while self._fd >= 0:
            if not self.ready(0):
                yield None
                continue
            try:
                chunk = os.read(self._fd, _CHUNK)
            except OSError as error:
                why = f"reading failed after {self._taken} bytes: {error.strerror}"
                raise LyttepostError(f"{self.path}: {why}; is the disk or share in order?") from None
            if not chunk:
                return
            self._taken += len(chunk)
            yield chunk


class _Measure:
    """Length and digest of a line that is too long to keep."""

    def __init__(self, start: bytes | bytearray) -> None:
        self._length = 0
        self._hash = hashlib.sha256()
        self.add(start)

    def add(self, more: bytes | bytearray) -> None:
        self._length += len(more)
        self._hash.update(more)

    def line(self) -> Broken:
        return Broken(DropReason.TOO_LONG, self._length, self._hash.hexdigest())
