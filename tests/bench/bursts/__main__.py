"""How well bursts are told, in worlds whose bursts are known.

    python -m tests.bench.bursts [--worlds N] [--seed N] [--only NAME …] [--against FILE]

Worlds of six kinds (`worlds.py`; most need the outside data of `LYTTEPOST_EVALUATION_DATA`), half to choose by and half
to report on. Our detector has the alarm of the rule `burst`; of each other one the threshold is chosen on the first
half, for the highest mean of points over the kinds. Points are those of the Numenta benchmark (`scoring.py`). Of real
series it is also told what they score where only the others choose the threshold (leave one out). `--against`: the
`burst_detector.py` of another checkout, to compare with. Ranks: 1 is best, ties share. contextOSE takes ten seconds and
more for a series; `--only` leaves it out.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from alerts.rules.conditions.burst_detector import ALARM
from tests.bench.bursts.detectors import DETECTORS, other_version, starts
from tests.bench.bursts.scoring import Counts, Score, World, total
from tests.bench.bursts.worlds import KINDS, Maker

CANDIDATES = 40
"""Thresholds that are tried: quantiles of the highest tenth of scores, the higher the closer."""
FIXED = ("ours", "other version")


def alarms(name: str, scores: Counts, threshold: float) -> list[int]:
    """Ours tells a burst once by itself; of each other one a row within three hours of the last belongs to it."""
    return np.flatnonzero(scores >= threshold).tolist() if name in FIXED else starts(scores, threshold)


def thresholds(scores: Sequence[Counts]) -> list[float]:
    high = np.unique(np.quantile(np.concatenate(scores), 1 - np.geomspace(0.1, 1e-6, CANDIDATES)))
    return [float(each) for each in high if each > 0]


def mean_points(scores: dict[str, list[Score]]) -> float:
    return float(np.mean([total(its).points for kind, its in scores.items() if kind != "quiet"]))


def by_kind(worlds: Sequence[World], scores: Sequence[Score]) -> dict[str, list[Score]]:
    return {
        kind: [score for world, score in zip(worlds, scores, strict=True) if world.kind == kind]
        for kind in KINDS
        if any(world.kind == kind for world in worlds)
    }


def chosen(name: str, worlds: Sequence[World], scores: Sequence[Counts]) -> float:
    """The threshold with the highest mean of points over the kinds of made worlds."""
    if name in FIXED:
        return ALARM
    made = [(world, its) for world, its in zip(worlds, scores, strict=True) if world.kind != "real"]

    def worth(threshold: float) -> float:
        found = [world.score(alarms(name, its, threshold)) for world, its in made]
        return mean_points(by_kind([world for world, _ in made], found))

    return max(thresholds([its for _, its in made]), key=worth)


def leave_one_out(name: str, worlds: Sequence[World], scores: Sequence[Counts]) -> Score:
    """Of each series, by the threshold that is best on the others."""
    tried = sorted({0.1 * n for n in range(1, 11)} if name in FIXED else set(thresholds(scores)))
    all_scores = [
        [world.score(alarms(name, its, threshold)) for threshold in tried]
        for world, its in zip(worlds, scores, strict=True)
    ]
    found = []
    for left_out, its in enumerate(all_scores):
        others = [each for n, each in enumerate(all_scores) if n != left_out]
        sums = [sum(each[n].raw for each in others) for n in range(len(tried))]
        found.append(its[int(np.argmax(sums))])
    return total(found)


def ranks(raws: dict[str, list[float]]) -> dict[str, float]:
    """Name → mean over worlds of its place; who is equal shares the mean of the places."""
    table = np.array(list(raws.values()))
    better = (table[None] > table[:, None] + 1e-9).sum(1)
    equal = (np.abs(table[None] - table[:, None]) <= 1e-9).sum(1)
    return dict(zip(raws, (better + (equal + 1) / 2).mean(1).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=20, help="worlds of each kind in each half (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="of the first half; the second has the next one")
    parser.add_argument("--only", nargs="+", choices=DETECTORS, default=list(DETECTORS), help="these detectors alone")
    parser.add_argument("--against", type=Path, metavar="FILE", help="burst_detector.py of another checkout")
    given = parser.parse_args()
    folder = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    data = Path(folder) if folder else None
    halves = [Maker(seed, data).worlds(given.worlds) for seed in (given.seed, given.seed + 1)]
    detectors = {name: DETECTORS[name] for name in given.only}
    if given.against:
        detectors["other version"] = other_version(given.against)
    print(f"{len(halves[1])} worlds, {given.worlds} of each kind; points, bursts told, false alarms a week and series")
    raws: dict[str, list[float]] = {}
    for name, detector in detectors.items():
        threshold = ALARM
        if name not in FIXED:
            threshold = chosen(name, halves[0], [detector(world.counts) for world in halves[0]])
        scores = [detector(world.counts) for world in halves[1]]
        found = [world.score(alarms(name, its, threshold)) for world, its in zip(halves[1], scores, strict=True)]
        raws[name] = [score.raw for world, score in zip(halves[1], found, strict=True) if world.windows]
        print(f"\n{name}, threshold {threshold:.3g}")
        kinds = by_kind(halves[1], found)
        for kind, its in kinds.items():
            whole = total(its)
            told = f"{whole.points:6.1f}  {whole.hits}/{whole.windows}" if whole.windows else f"{'':6}"
            print(f"  {kind:10} {told}  {whole.a_week:.2f}", flush=True)
        print(f"  {'mean':10} {mean_points({k: v for k, v in kinds.items() if k != 'real'}):6.1f}")
        real = [n for n, world in enumerate(halves[1]) if world.kind == "real"]
        if real:
            out = leave_one_out(name, [halves[1][n] for n in real], [scores[n] for n in real])
            print(f"  real, leave one out {out.points:.1f}  {out.hits}/{out.windows}  {out.a_week:.2f}")
    print("\nmean rank: " + ", ".join(f"{name} {rank:.2f}" for name, rank in ranks(raws).items()))


if __name__ == "__main__":
    main()
