"""Which ids were seen before: a set that takes 8 to 20 bytes an id, where Python's own takes 100.

Numbers below 2**63 (18 digits and most of 19), as most platforms use, are kept as they are, so that the answer is
exact. Of other ids a 64-bit digest is kept: among a million of them, one in 30 million runs takes two for the same.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b

_WORD = (1 << 64) - 1
_DIGEST = 1 << 63
_SPREAD = 0x9E3779B97F4A7C15
"""2**64 divided by the golden ratio: spreads ids that lie close together (Fibonacci hashing)."""


class SeenIds:
    """Open addressing with linear probing in one flat array, at most 60 % full. 0 marks a free place."""

    __slots__ = ("_bits", "_count", "_table")

    def __init__(self) -> None:
        self._bits = 10
        self._count = 0
        self._table = array("Q", bytes(8 << self._bits))

    def __len__(self) -> int:
        return self._count

    def add(self, post_id: str) -> bool:
        """True when the id is new."""
        key = _key(post_id)
        table, mask = self._table, (1 << self._bits) - 1
        place = (key * _SPREAD & _WORD) >> (64 - self._bits)
        while held := table[place]:
            if held == key:
                return False
            place = (place + 1) & mask
        table[place] = key
        self._count += 1
        if self._count * 5 > 3 << self._bits:
            self._grow()
        return True

    def _grow(self) -> None:
        old, self._bits = self._table, self._bits + 1
        self._table = table = array("Q", bytes(8 << self._bits))
        mask, shift = (1 << self._bits) - 1, 64 - self._bits
        for key in filter(None, old):
            place = (key * _SPREAD & _WORD) >> shift
            while table[place]:
                place = (place + 1) & mask
            table[place] = key


def _key(post_id: str) -> int:
    if len(post_id) <= 19 and post_id.isdigit() and post_id.isascii() and post_id[0] != "0":
        number = int(post_id)
        if number < _DIGEST:
            return number
    return int.from_bytes(blake2b(post_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") | _DIGEST
