"""The labelled posts, ours and others', as the training and the bench read them."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

CORPUS = Path(__file__).parent
"""Our own posts: `w*.jsonl`, written by hand after the guideline, several writers."""
STANCE_OF = {"critical": "negative", "approving": "positive", None: "neutral"}
"""Words of other sets for what we call them."""


class Labelled(NamedTuple):
    """One labelled post."""

    id: str
    writer: str
    lang: str
    text: str
    kinds: tuple[str, ...]
    themes: tuple[str, ...]
    stance: str
    patient_exposed: bool


class Pair(NamedTuple):
    """Two texts; whether one is a near copy of the other, what was changed, and whether rules were chosen by it."""

    a: str
    b: str
    same: bool
    kind: str
    half: str


def lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield json.loads(line)


def pairs(path: Path) -> list[Pair]:
    """The pairs of one file; in files of others `why` says what was changed."""
    return [
        Pair(row["a"], row["b"], row["same"], row.get("kind", row.get("why", "")), row.get("half", ""))
        for row in lines(path)
    ]


def posts(path: Path) -> list[Labelled]:
    """The posts of one file."""
    return [
        Labelled(
            id=row["id"],
            writer=row.get("writer", path.stem),
            lang=row["lang"],
            text=row["text"],
            kinds=tuple(row["kinds"]),
            themes=tuple(row.get("themes") or ()),
            stance=STANCE_OF.get(row.get("stance"), row.get("stance")),
            patient_exposed=bool(row["patient_exposed"]),
        )
        for row in lines(path)
    ]


def corpus(folder: Path = CORPUS) -> list[Labelled]:
    """All our posts, in the order of files and lines."""
    return [post for path in sorted(folder.glob("w*.jsonl")) for post in posts(path)]


def requests(evaluation: Path, part: str) -> tuple[list[str], list[bool]]:
    """Messages of disasters, and whether each is a request; `part`: `train` or `validation`."""
    path = evaluation / "requests" / f"{part}.csv"
    zipped = path.with_suffix(".csv.gz")
    raw = gzip.decompress(zipped.read_bytes()) if zipped.exists() else path.read_bytes()
    rows = list(csv.DictReader(StringIO(raw.decode("utf-8", "replace"), newline="")))
    return [row["message"] for row in rows], [row["request"] == "1" for row in rows]


def opinions(evaluation: Path, part: str) -> tuple[list[str], list[str]]:
    """Norwegian sentences, and the stance of each; `part`: `train` or `dev`."""
    rows = list(lines(evaluation / "norwegian-opinions" / f"{part}.jsonl"))
    return [row["text"] for row in rows], [row["label"].lower() for row in rows]


def languages(evaluation: Path) -> list[tuple[str, str, str]]:
    """Set, language and text of short sentences."""
    with (evaluation / "languages" / "dev.csv").open(encoding="utf-8", newline="") as file:
        return [(row["set"], row["lang"], row["text"]) for row in csv.DictReader(file)]
