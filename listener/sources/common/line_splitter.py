"""Bytes as they come from a socket → whole lines. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

LONGEST = 2_000_000
"""Bytes of a line; posts are far shorter. Of a longer one only length and digest are kept."""


@dataclass(frozen=True, slots=True)
class TooLong:
    length: int
    digest: str


@dataclass
class Lines:
    """Cuts at line feeds; a carriage return before one belongs to it."""

    longest: int = LONGEST
    _rest: bytearray = field(default_factory=bytearray)
    _skipped: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def feed(self, chunk: bytes) -> list[bytes | TooLong]:
        """The lines that end in `chunk`; an empty one is a keep-alive."""
        out: list[bytes | TooLong] = []
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            if self._skipped:
                out.append(self._skip(line))
                continue
            if self._rest:
                line, self._rest = bytes(self._rest + line), bytearray()
            out.append(line.removesuffix(b"\r"))
        if self._skipped:
            self._pass_over(rest)
        else:
            self._rest += rest
            if len(self._rest) > self.longest:
                self._pass_over(self._rest)
                self._rest = bytearray()
        return out

    def left(self) -> TooLong | None:
        """What was begun and not ended, when nothing more will come."""
        if self._skipped:
            return self._skip(b"")
        if not self._rest:
            return None
        return TooLong(len(self._rest), hashlib.sha256(self._rest).hexdigest())

    def _pass_over(self, part: bytes | bytearray) -> None:
        self._skipped += len(part)
        self._digest.update(part)

    def _skip(self, last: bytes) -> TooLong:
        self._pass_over(last)
        out = TooLong(self._skipped, self._digest.hexdigest())
        self._skipped, self._digest = 0, hashlib.sha256()
        return out
