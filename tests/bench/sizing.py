"""What a deployment on Kafka needs at a rate of posts: processor, memory, and room on the brokers' disks.

    python -m tests.bench.sizing [--rates 10,100,250,500,1000] [--seconds 20] [--annotators 2]

A fake X, and the parts of Lyttepost as `lyttepost run --role …` starts them, each a process of its own: listener,
annotators, judge and dispatcher, with the rules that come with it, on Apache Kafka of one broker; one copy of a record
lies on a disk, so that three brokers have as much each. The posts are those of `tests/corpus`, 20,000 of them, and all
match one incident, as at the height of a crisis: what is of none costs the listener alone. Each rate is held for so
many seconds, after some that are not counted.

*cores* is the processor time of a part in a second, of all its processes together; the broker's is that of this one.
*MB* is the memory a process of that part has at the end (the largest). *kept up* says that the last alert of the rate
came no later than the first ones: what does not keep up needs more annotators, up to as many as there are partitions.
*MB an hour* is what a topic grows by on each broker's disk in an hour of that rate: segments, after compression,
transactions and all, before anything is compacted or ends.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.bench.kafka_job.broker import a_cluster
from tests.bench.kafka_pipeline.__main__ import Bench
from tests.bench.kafka_pipeline.deployment import KafkaDeployment, running
from tests.bench.kafka_pipeline.watch import Watch
from tests.bench.kafka_pipeline.x import TRACK, an_x
from tests.bench.leftovers import nothing_left

WARM_RATE, WARM_SECONDS = 100.0, 5.0
CORPUS = Path(__file__).parents[1] / "corpus"
PARTS = ("listener", "annotate", "judge", "dispatch", "broker")


class Needed(NamedTuple):
    """`cores` and `memory` (MB) by part, `disk` (MB an hour) by topic."""

    rate: float
    cores: Mapping[str, float]
    memory: Mapping[str, float]
    disk: Mapping[str, float]
    kept_up: bool


def sayings() -> list[str]:
    """Texts as people write them, made to match the incident."""
    lines = (line for path in sorted(CORPUS.glob("w*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines())
    return [f"{json.loads(line)['text']} {TRACK}" for line in lines]


def memory(pids: Sequence[int]) -> float:
    """MB that the largest of these processes has."""
    status = [Path(f"/proc/{pid}/status").read_text(encoding="utf-8") for pid in pids]
    return max(int(re.findall(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE)[0]) / 1000 for text in status)


def on_disk(folder: Path, prefix: str) -> dict[str, int]:
    """Topic of ours → bytes of its segments."""
    found: dict[str, int] = {}
    for segment in folder.glob(f"{prefix}.*/*.log"):
        topic = segment.parent.name.removeprefix(f"{prefix}.").rpartition("-")[0]
        found[topic] = found.get(topic, 0) + segment.stat().st_size
    return found


def measure(
    bench: Bench, deployment: KafkaDeployment, folder: Path, prefix: str, rate: float, seconds: float
) -> Needed:
    before = on_disk(folder, prefix)
    found = bench.measure(rate, seconds, to_the_end=False)
    posts = int(rate * seconds)
    after = on_disk(folder, prefix)
    return Needed(
        rate=found.rate,
        cores={part: used * found.rate for part, used in found.cpu.items()},
        memory={part: memory(pids) for part, pids in deployment.stages.items()},
        disk={topic: (size - before.get(topic, 0)) / posts * rate * 3600 / 1e6 for topic, size in after.items()},
        kept_up=not found.grows and found.rate > 0.95 * rate,
    )


def told(needed: Needed) -> str:
    parts = "".join(f" {needed.cores[part]:8.2f} {needed.memory[part]:4.0f}" for part in PARTS)
    disk = "  ".join(f"{topic} {size:,.0f}" for topic, size in sorted(needed.disk.items()) if size >= 0.5)
    kept, total = "yes" if needed.kept_up else "NO", sum(needed.disk.values())
    return f"{needed.rate:8,.0f}{parts}   {kept:>7}   {total:,.0f}: {disk}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="10,100,250,500,1000", help="posts a second, comma between them")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate")
    parser.add_argument("--annotators", type=int, default=2)
    wanted = parser.parse_args()
    prefix = f"sizing{os.getpid()}"
    with ExitStack() as stack:
        cluster = stack.enter_context(a_cluster())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lyttepost-bench-")))
        x = stack.enter_context(an_x(sayings()))
        url = f"{cluster.url}?prefix={prefix}"
        roles = [("dispatch", "")]
        deployment = stack.enter_context(running(folder, url, x, wanted.annotators, cluster.pids(), roles))
        watch = Watch(deployment.bus)
        stack.callback(watch.close)
        bench = Bench(deployment, x, watch)
        bench.measure(WARM_RATE, WARM_SECONDS, to_the_end=False)
        heads = "".join(f" {part:>8} {'MB':>4}" for part in PARTS)
        print(f"{'posts/s':>8}{heads}   kept up   MB an hour", flush=True)
        for rate in wanted.rates.split(","):
            needed = measure(bench, deployment, cluster.folder(1), prefix, float(rate), wanted.seconds)
            print(told(needed), f"  load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    with nothing_left():
        sys.exit(main())
