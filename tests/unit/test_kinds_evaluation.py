"""Kinds measured on outside data. The floors are modest on purpose: they catch a broken file, not a lost point."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from alerts.annotate.kinds import KindCues
from listener.model.records import Kind
from listener.settings.files import packaged_config

pytestmark = pytest.mark.evaluation

Report = Callable[[str, object], None]


@pytest.fixture(scope="module")
def data() -> Path:
    folder = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    if not folder:
        pytest.skip("LYTTEPOST_EVALUATION_DATA is not set: it names the folder of outside data to measure on")
    return Path(folder)


@pytest.fixture(scope="module")
def cues() -> KindCues:
    return KindCues.load(packaged_config() / "cues")


def f1(hits: int, found: int, wanted: int) -> tuple[float, float, float]:
    """Precision, recall, F1."""
    precision = hits / found if found else 0.0
    recall = hits / wanted if wanted else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0


def test_kinds_of_norwegian_crisis_posts(data: Path, cues: KindCues, record_property: Report) -> None:
    hits: Counter[Kind] = Counter()
    found: Counter[Kind] = Counter()
    wanted: Counter[Kind] = Counter()
    for line in (data / "norwegian-kinds" / "dev.jsonl").read_text(encoding="utf-8").splitlines():
        post = json.loads(line)
        got = {cue.kind for cue in cues.kinds(post["text"])}
        want = {Kind(kind) for kind in post["kinds"]}
        hits.update(got & want)
        found.update(got)
        wanted.update(want)
    scores = {kind: f1(hits[kind], found[kind], wanted[kind]) for kind in Kind}
    for kind, (precision, recall, f) in scores.items():
        record_property(kind.value, f"P {precision:.2f} R {recall:.2f} F1 {f:.2f}")
        print(f"{kind.value:11} P {precision:.2f} R {recall:.2f} F1 {f:.2f} n {wanted[kind]}")
    macro = sum(f for _, _, f in scores.values()) / len(scores)
    print(f"macro F1 {macro:.3f}")
    record_property("macro_f1", round(macro, 3))
    assert macro >= 0.70
    assert scores[Kind.WISH][1] >= 0.70
    assert scores[Kind.VIEWPOINT][1] >= 0.60


@pytest.mark.parametrize(
    ("file", "text", "label", "floor"),
    [
        ("requests/validation.csv", "message", "request", 0.40),
        ("suggestions/trial_A.csv", "text", "suggestion", 0.60),
        ("suggestions/trial_B.csv", "text", "suggestion", 0.45),
    ],
)
def test_english_wishes_roughly(
    data: Path, cues: KindCues, record_property: Report, file: str, text: str, label: str, floor: float
) -> None:
    hits = found = wanted = 0
    with (data / file).open(encoding="utf-8", errors="replace", newline="") as rows:
        for row in csv.DictReader(rows):
            is_wish = Kind.WISH in {cue.kind for cue in cues.kinds(row[text])}
            found += is_wish
            wanted += row[label] == "1"
            hits += is_wish and row[label] == "1"
    precision, recall, f = f1(hits, found, wanted)
    print(f"{file}: P {precision:.2f} R {recall:.2f} F1 {f:.2f}")
    record_property("f1", round(f, 3))
    assert f >= floor
