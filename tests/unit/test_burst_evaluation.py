"""The burst detector measured on outside counts: real mentions of companies, and the first minutes of real crises."""

from __future__ import annotations

import csv
import importlib.util
import math
import os
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from alerts.rules.conditions.burst_detector import ALARM, Burst
from tests.bench.bursts.detectors import ours
from tests.bench.bursts.scoring import total
from tests.bench.bursts.worlds import recorded

pytestmark = pytest.mark.evaluation

Report = Callable[[str, object], None]
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def data() -> Path:
    folder = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    if not folder:
        pytest.skip("LYTTEPOST_EVALUATION_DATA is not set: it names the folder of outside data to measure on")
    return Path(folder)


def scorer(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("score", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_mentions_of_companies(data: Path, tmp_path: Path, record_property: Report) -> None:
    folder = data / "mention-volumes"
    for file in sorted(folder.glob("Twitter_volume_*.csv")):
        burst = Burst(timedelta(minutes=5))
        with file.open() as read, (tmp_path / file.name).open("w") as write:
            write.write("timestamp,value,anomaly_score,label\n")
            for row in csv.DictReader(read):
                score = burst.step(datetime.fromisoformat(row["timestamp"]), float(row["value"])).score
                write.write(f"{row['timestamp']},{row['value']},{score:.6f},0\n")
    score = scorer(folder / "score.py")
    files = score.load(str(tmp_path), str(folder / "windows.json"))
    result, at_half = score.evaluate(files), score.evaluate(files, 0.5)
    loo = result["standard"]["loo"]
    a_week = at_half["at_standard_threshold"]["fp_alarms_per_series_week"]
    record_property("leave_one_out", loo)
    record_property("false_alarms_a_week", a_week)
    assert loo > 80
    assert at_half["standard"]["fixed"] > 80
    assert a_week < 0.5
    scores = [each.world.score(np.flatnonzero(ours()(each.world.counts) >= ALARM).tolist()) for each in recorded(data)]
    assert total(scores).points == pytest.approx(at_half["standard"]["fixed"])
    assert total(scores).hits == at_half["at_standard_threshold"]["windows_hit"]


def by_any_honest_detector(posts: list[datetime]) -> datetime | None:
    """Five posts in five minutes that chance brings once in a million, against the trailing day."""
    for n, at in enumerate(posts):
        recent = sum(other > at - 5 * MINUTE for other in posts[max(0, n - 500) : n + 1])
        day = sum(at - timedelta(days=1) < other <= at - 5 * MINUTE for other in posts[: n + 1])
        mean = max(day, 1) / 1435 * 5
        below = sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(recent))
        if recent >= 5 and 1 - below < 1e-6:
            return at
    return None


@pytest.mark.parametrize(
    "crisis",
    [
        "2012_Costa_Rica_earthquake", "2012_Guatemala_earthquake", "2012_Venezuela_refinery",
        "2013_Glasgow_helicopter_crash", "2013_LA_airport_shootings", "2013_NY_train_crash",
        "2013_Brazil_nightclub_fire",
    ],
)  # fmt: skip
def test_crises_are_heard_within_two_minutes(data: Path, crisis: str, record_property: Report) -> None:
    with (data / "crisis-recordings" / "timelines" / f"{crisis}.csv").open() as read:
        posts = sorted(datetime.fromisoformat(row["created_at"]) for row in csv.DictReader(read))
    honest = by_any_honest_detector(posts)
    assert honest is not None
    start = posts[0].replace(second=0, microsecond=0) - timedelta(days=1)
    counts = Counter((at - start) // MINUTE for at in posts)
    burst = Burst(MINUTE)
    heard = (start + (n + 1) * MINUTE for n in range(10**6) if burst.step(start + n * MINUTE, counts[n]).alarm)
    delay = next(heard) - honest
    record_property("delay_minutes", delay / MINUTE)
    assert timedelta(minutes=-15) < delay <= 2 * MINUTE
