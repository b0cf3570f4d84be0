"""The file of weights: read, checked, written. One file holds several *banks*, one for each thing that was trained.

A bank has heads (`wish`, `blood_donation`, `nb` …). A head's score is, over the blocks of a text's features
(`alerts.annotate.features`), the sum of the weights of the features it knows, by the block's scale, divided by the root
of how many features the text has there; and a bias. Weights are whole numbers of eight bits and sums of them are exact,
so that a text has the same score on every machine.

    magic line | length of the header, 4 bytes | header: JSON | payload, compressed | BLAKE2b of all before, 16 bytes

Nothing in it is ever run: a file that is damaged, or made for other features, is refused with a ConfigError.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.annotate.features import MAX_CHARS, VERSION, Features, once
from listener.errors import ConfigError

MAGIC = b"LYTTEPOST WEIGHTS 1\n"
BLOCKS = Features._fields
MAX_BYTES = 64 * 2**20
"""Of a payload: what says it is larger is damaged."""
_DIGEST = 16
_ONES = np.ones(12 * MAX_CHARS, np.float32)
"""A text has fewer features in any block."""

Keys = NDArray[np.uint32]
Floats = NDArray[np.float64]


class Block(NamedTuple):
    """What a bank knows of one block: hashes, rising; a row of weights for each; each head's scale."""

    keys: Keys
    weights: NDArray[np.int8]
    scale: Floats


class Bank(NamedTuple):
    """Heads that were trained together. `about`: numbers that go with them, such as thresholds; how they were made."""

    heads: tuple[str, ...]
    bias: Floats
    blocks: Mapping[str, Block]
    about: Mapping[str, Any]


class Rows(NamedTuple):
    """Of the features of several texts, one text after another, the row of each; and where each text's begin."""

    of: NDArray[np.int32]
    ends: Sequence[int]


class Lookup:
    """Finds hashes in a rising list of hashes. Immutable.

    A hash's leading bits name a bucket, a row of a table that holds the few hashes that begin so. All hashes of a text
    are compared with their rows at once: that takes a fifth of the time of a binary search.
    """

    def __init__(self, keys: Keys) -> None:
        bits = max(1, min(20, len(keys).bit_length() - 1))
        self._shift = np.uint32(32 - bits)
        buckets = keys >> self._shift
        self._starts = np.searchsorted(buckets, np.arange(1 << bits)).astype(np.int32)
        within = np.arange(len(keys)) - self._starts[buckets]
        # Filled up with what can stand in no such row: its leading bits are all other ones.
        elsewhere = ~(np.arange(1 << bits, dtype=np.uint32) << self._shift)
        self._table = np.repeat(elsewhere[:, None], int(within.max(initial=0)) + 1, axis=1)
        self._table[buckets, within] = keys
        self._none = np.int32(len(keys))

    def rows(self, hashes: Keys) -> NDArray[np.int32]:
        """Where each hash stands in the list; its length for one that is not there."""
        buckets = hashes >> self._shift
        found = np.flatnonzero(self._table.take(buckets, axis=0) == hashes[:, None])
        which, within = np.divmod(found, self._table.shape[1])
        rows = np.full(len(hashes), self._none)
        rows[which] = self._starts[buckets[which]] + within
        return rows


class Scorer:
    """All banks of a file, ready to score at once. Immutable: share it between threads."""

    def __init__(self, banks: Mapping[str, Bank]) -> None:
        self._bias = np.concatenate([bank.bias for bank in banks.values()])
        self.places: dict[str, slice] = {}
        """Bank → where its heads stand among all."""
        start = 0
        for name, bank in banks.items():
            self.places[name] = slice(start, start + len(bank.heads))
            start += len(bank.heads)
        self._lookups: list[Lookup] = []
        self._weights: list[NDArray[np.int8]] = []
        self._scales: list[Floats] = []
        for block in BLOCKS:
            keys = once(np.concatenate([bank.blocks[block].keys for bank in banks.values()]))
            # One row of zeros more, for what is not known.
            weights = np.zeros((len(keys) + 1, start), np.int8)
            for name, bank in banks.items():
                weights[np.searchsorted(keys, bank.blocks[block].keys), self.places[name]] = bank.blocks[block].weights
            self._lookups.append(Lookup(keys))
            self._weights.append(weights)
            self._scales.append(np.concatenate([bank.blocks[block].scale for bank in banks.values()]))

    def rows(self, found: Sequence[Features]) -> list[Rows]:
        """Of each block the rows of weights of many texts' features. All at once takes a fifth of the time of each."""
        return [
            Rows(
                lookup.rows(np.concatenate([getattr(each, block) for each in found])),
                [0, *accumulate(len(getattr(each, block)) for each in found)],
            )
            for block, lookup in zip(BLOCKS, self._lookups, strict=True)
        ]

    def scores(self, rows: Sequence[Rows]) -> Floats:
        """Texts by heads: the score of each head of all banks, as log odds."""
        count = len(rows[0].ends) - 1
        total = np.repeat(self._bias[None], count, axis=0)
        for block, weights, scale, (of, ends) in zip(BLOCKS, self._weights, self._scales, rows, strict=True):
            known = of < len(weights) - 1
            starts = np.concatenate([[0], np.cumsum(known)])[ends]
            some = weights.take(of[known], axis=0).astype(np.float32)
            # Of whole numbers below 2**24, of which single precision makes the same sum in whatever order.
            sums = np.empty((count, len(scale)), np.float32)
            for text, (start, end) in enumerate(pairwise(starts.tolist())):
                np.matmul(_ONES[: end - start], some[start:end], out=sums[text])
            shares = [share(block, max(1, end - start)) for start, end in pairwise(ends)]
            total += sums * (scale / np.array(shares)[:, None])
        return total

    def weights(self, heads: slice, block: str, rows: NDArray[np.int32]) -> NDArray[np.int8]:
        """What each feature of a block adds to heads' scores, in units of each head's scale. `heads`: among all."""
        weights: NDArray[np.int8] = self._weights[BLOCKS.index(block)].take(rows, axis=0)[:, heads]
        return weights


def share(block: str, count: int) -> float:
    """What the sum over a block of so many features is divided by."""
    return 1.0 if block == "cues" else float(np.sqrt(count))


# --- the file --------------------------------------------------------------------------------------------------------


def write(path: Path, banks: Mapping[str, Bank], *, small: bool = True) -> int:
    """Write the file; the same banks give the same bytes. Returns its size in bytes.

    `small`: to be shipped. To make it so takes five times as long and saves a fiftieth.
    """
    arrays: list[bytes] = []
    meta: dict[str, Any] = {}
    for name, bank in banks.items():
        blocks = {}
        for block, (keys, weights, scale) in bank.blocks.items():
            # Differences of rising hashes, and the weights of one head after those of another, compress best.
            arrays += [np.diff(keys, prepend=np.uint32(0)).astype("<u4").tobytes(), weights.T.tobytes()]
            blocks[block] = {"keys": len(keys), "scale": scale.tolist()}
        meta[name] = {"heads": bank.heads, "bias": bank.bias.tolist(), "blocks": blocks, "about": bank.about}
    payload = b"".join(arrays)
    header = json.dumps({"features": VERSION, "bytes": len(payload), "banks": meta}, ensure_ascii=False).encode()
    body = MAGIC + len(header).to_bytes(4, "little") + header + zlib.compress(payload, 9 if small else 1)
    path.write_bytes(body + blake2b(body, digest_size=_DIGEST).digest())
    return len(body) + _DIGEST


def read(path: Path) -> dict[str, Bank]:
    """Read the file. Raises ConfigError that says what is wrong with it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    body, digest = raw[:-_DIGEST], raw[-_DIGEST:]
    if not raw.startswith(MAGIC):
        raise ConfigError(f"{path}: is no file of weights that this program knows")
    if blake2b(body, digest_size=_DIGEST).digest() != digest:
        raise ConfigError(
            f"{path}: is damaged; install the program anew, or make it with `python -m tests.corpus.train`"
        )
    try:
        return _banks(body[len(MAGIC) :])
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise ConfigError(f"{path}: is no file of weights that this program can use: {error}") from None


def _banks(body: bytes) -> dict[str, Bank]:
    start = 4 + int.from_bytes(body[:4], "little")
    header = json.loads(body[4:start])
    if header["features"] != VERSION:
        raise ValueError(f"it was made for features {header['features']}, and this program makes {VERSION}")
    if header["bytes"] > MAX_BYTES:
        raise ValueError("it is too large")
    payload = zlib.decompressobj().decompress(body[start:], MAX_BYTES)
    if len(payload) != header["bytes"]:
        raise ValueError("its length is wrong")
    banks: dict[str, Bank] = {}
    at = 0
    for name, meta in header["banks"].items():
        heads = tuple(meta["heads"])
        blocks: dict[str, Block] = {}
        for block in BLOCKS:
            n = meta["blocks"][block]["keys"]
            keys = np.frombuffer(payload, "<u4", n, at).cumsum(dtype=np.uint32)
            at += 4 * n
            weights = np.frombuffer(payload, np.int8, n * len(heads), at).reshape(len(heads), n).T.copy()
            at += n * len(heads)
            blocks[block] = Block(keys, weights, np.array(meta["blocks"][block]["scale"], np.float64))
        banks[name] = Bank(heads, np.array(meta["bias"], np.float64), blocks, meta["about"])
    return banks


def quantized(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Weights (features by heads) as whole numbers from -127 to 127, and the scale of each head."""
    scale = np.maximum(np.abs(weights).max(axis=0, initial=0.0), 1e-12) / 127
    return np.rint(weights / scale).astype(np.int8), scale
