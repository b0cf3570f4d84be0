"""A small encoder of texts: its file, its pieces of words, and what its heads say of a text. Nothing but numpy.

A transformer of the BERT sort over a vocabulary of word pieces, cut to our languages. Each *head* (`kinds`, `themes` …)
looks at the words that matter to it, by weights of its own, and gives a number for each of its labels. The file:

    magic line | length of the header, 4 bytes | header: JSON | arrays | BLAKE2b of all before, 16 bytes

Matrices are kept as whole numbers, of eight bits with a scale for each row, or of four with a scale for each run of
32. Nothing in the file is ever run: one that is damaged is refused with a ConfigError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.annotate.features import MAX_CHARS
from listener.errors import ConfigError
from listener.model.normalize import whole

MAGIC = b"LYTTEPOST ENCODER 1\n"
MOST_PIECES = 128
"""Pieces of a text that are looked at: more than hardly any post has."""
GROUP = 32
"""Numbers of four bits that share a scale."""
_DIGEST = 16
_OPEN, _CLOSE, _UNKNOWN = 0, 2, 3
"""Places of the vocabulary: what opens and closes a text, and a character that no piece has."""
_PREFIX = "query: "
"""What the encoder has learned to find before a text."""
_TINY = np.float32(1e-12)
_CLASSES = re.compile(r"(?:https?://|www\.)\S+|@\w+")
_SPACES = re.compile(" {2,}")
_SPACE = "▁"

Matrix = NDArray[np.floating[Any]]
"""In single precision."""


class Vocabulary:
    """Cuts a text into the pieces that are together most probable. Immutable."""

    def __init__(self, pieces: Sequence[str], scores: Sequence[float], same: Mapping[str, str]) -> None:
        """`scores`: log odds of each piece. `same`: a character → what it counts as."""
        self._same = str.maketrans(dict(same))
        self._ids = {
            piece: (number, score)
            for number, (piece, score) in enumerate(zip(pieces, scores, strict=True))
            if number > _UNKNOWN
        }
        self._longest = max(map(len, self._ids))
        self._unknown = min(scores) - 10

    def cut(self, text: str) -> list[int]:
        """The numbers of a text's pieces, at most `MOST_PIECES`, with what opens and closes it."""
        text = _CLASSES.sub(lambda match: "@" if match[0][0] == "@" else "http", whole(text[:MAX_CHARS]))
        text = _SPACES.sub(" ", f" {_PREFIX}{text}".translate(self._same)).replace(" ", _SPACE)
        length = len(text)
        best = [-np.inf] * (length + 1)
        best[0] = 0.0
        back = [(0, _UNKNOWN)] * (length + 1)
        for start in range(length):
            score = best[start]
            for end in range(start + 1, min(length, start + self._longest) + 1):
                found = self._ids.get(text[start:end])
                if found and score + found[1] > best[end]:
                    best[end], back[end] = score + found[1], (start, found[0])
            if score + self._unknown > best[start + 1]:
                best[start + 1], back[start + 1] = score + self._unknown, (start, _UNKNOWN)
        ids, end = [], length
        while end:
            end, number = back[end]
            ids.append(number)
        return [_OPEN, *ids[::-1][: MOST_PIECES - 2], _CLOSE]


class Rows(NamedTuple):
    """A matrix of whole numbers: one row or all of them are made single precision when they are asked for.

    `whole`: of eight bits. Or of four: two in a byte, of the first and the second half of a group. `scale`: one for
    each row, or for each group of a row.
    """

    whole: NDArray[np.int8] | NDArray[np.uint8]
    scale: NDArray[np.float16] | NDArray[np.float32]

    def take(self, rows: Any) -> Matrix:
        whole, scale = self.whole[rows], self.scale[rows].astype(np.float32)
        numbers: Matrix
        if whole.dtype == np.int8:
            numbers = whole.astype(np.float32) * scale
            return numbers
        groups = whole.reshape(len(whole), -1, GROUP // 2)
        numbers = np.concatenate([groups & 15, groups >> 4], axis=2).astype(np.float32) - 8
        numbers *= scale[:, :, None]
        return numbers.reshape(len(whole), -1)

    @property
    def matrix(self) -> Matrix:
        return self.take(slice(None))


class Encoder:
    """Immutable: share it between threads."""

    def __init__(self, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """`about`: the header of the file; `arrays`: as `read` gives them. Raises KeyError if one is missing."""
        self.about = about
        self._cut = Vocabulary(about["pieces"], arrays["scores"].tolist(), about["same"]).cut
        self._pieces: Rows = arrays["pieces"]
        self._places: Matrix = arrays["places"]
        self._parts = about["attention"]
        self._one = about["one"]
        dense = {
            name: array.matrix if isinstance(array, Rows) else array for name, array in arrays.items() if "." in name
        }
        self._norm = (dense["norm.w"], dense["norm.b"])
        self._layers = [{name: dense[f"{layer}.{name}"] for name in LAYER} for layer in range(about["layers"])]
        self._look = np.stack([dense[f"{head}.look"] for head in about["heads"]])
        self._heads = {head: (dense[f"{head}.w"], dense[f"{head}.b"]) for head in about["heads"]}

    @classmethod
    def load(cls, path: Path) -> Encoder:
        """Raises ConfigError that says what is wrong with the file."""
        about, arrays = read(path)
        try:
            return cls(about, arrays)
        except KeyError as error:
            raise ConfigError(f"{path}: lacks {error}") from None

    def scores(self, text: str) -> dict[str, Matrix]:
        """Of each head, a number for each of its labels: log odds, or log chances where just one label holds."""
        ids = self._cut(text)
        x = _normal(self._pieces.take(ids) + self._places[: len(ids)], *self._norm)
        for layer in self._layers:
            x = self._through(layer, x)
        looks = _shares(self._look @ x.T) @ x
        found = {head: w @ look + b for look, (head, (w, b)) in zip(looks, self._heads.items(), strict=True)}
        for head in self._one:
            found[head] = np.log(_shares(found[head]))
        return found

    def _through(self, layer: Mapping[str, Matrix], x: Matrix) -> Matrix:
        """One layer: each piece looks at all the others, then thinks for itself."""

        def by(name: str, x: Matrix) -> Matrix:
            found: Matrix = x @ layer[name].T + layer[f"{name}_b"]
            return found

        length, width = x.shape
        q, k, v = by("qkv", x).reshape(length, 3, self._parts, -1).transpose(1, 2, 0, 3)
        seen = _shares(q @ k.swapaxes(1, 2) * np.float32((width // self._parts) ** -0.5)) @ v
        x = _normal(x + by("o", seen.swapaxes(0, 1).reshape(length, width)), layer["n1"], layer["n1_b"])
        return _normal(x + by("down", _gelu(by("up", x))), layer["n2"], layer["n2_b"])


LAYER = ("qkv", "qkv_b", "o", "o_b", "n1", "n1_b", "up", "up_b", "down", "down_b", "n2", "n2_b")
"""The arrays of a layer."""


def _normal(x: Matrix, weight: Matrix, bias: Matrix) -> Matrix:
    x = x - x.mean(axis=1, keepdims=True)
    found: Matrix = x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + _TINY) * weight + bias
    return found


def _shares(x: Matrix) -> Matrix:
    """Softmax over the last axis."""
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    shares: Matrix = x / x.sum(axis=-1, keepdims=True)
    return shares


def _gelu(x: Matrix) -> Matrix:
    found: Matrix = (
        x * (np.tanh((x + x * x * x * np.float32(0.044715)) * np.float32(0.7978845608)) + 1) * np.float32(0.5)
    )
    return found


# --- the file --------------------------------------------------------------------------------------------------------


def write(path: Path, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> int:
    """Write the file; the same arrays give the same bytes. Returns its size in bytes."""
    plain: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        plain |= (
            {f"{name}:{part}": value for part, value in array._asdict().items()}
            if isinstance(array, Rows)
            else {name: array}
        )
    shapes = {name: [array.dtype.str, list(array.shape)] for name, array in plain.items()}
    header = json.dumps({**about, "arrays": shapes}, ensure_ascii=False).encode("utf-8")
    body = MAGIC + len(header).to_bytes(4, "little") + header + b"".join(array.tobytes() for array in plain.values())
    path.write_bytes(body + blake2b(body, digest_size=_DIGEST).digest())
    return len(body) + _DIGEST


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and the arrays of a file. Raises ConfigError that says what is wrong with it."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    if not raw.startswith(MAGIC):
        raise ConfigError(f"{path}: is no file of an encoder that this program knows")
    if blake2b(raw[:-_DIGEST], digest_size=_DIGEST).digest() != raw[-_DIGEST:]:
        raise ConfigError(f"{path}: is damaged; install the program anew")
    start = len(MAGIC) + 4
    end = start + int.from_bytes(raw[start - 4 : start], "little")
    about = json.loads(raw[start:end])
    plain: dict[str, Any] = {}
    for name, (kind, shape) in about.pop("arrays").items():
        count = int(np.prod(shape))
        plain[name] = np.frombuffer(raw, kind, count, end).reshape(shape)
        end += plain[name].nbytes
    arrays: dict[str, Any] = {}
    for name, array in plain.items():
        matrix, _, part = name.partition(":")
        if part == "whole":
            arrays[matrix] = Rows(array, plain[f"{matrix}:scale"])
        elif not part:
            arrays[name] = array
    return about, arrays


def eight_bits(matrix: Any) -> Rows:
    """A matrix in whole numbers from -127 to 127, with a scale for each row."""
    scale = np.maximum(np.abs(matrix).max(axis=1, keepdims=True), 1e-12) / 127
    return Rows(np.rint(matrix / scale).astype(np.int8), scale.astype(np.float32))
