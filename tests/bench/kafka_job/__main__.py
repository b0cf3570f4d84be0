from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from pydantic_core import from_json

from tests.bench.kafka_job import __doc__ as about
from tests.bench.kafka_job.broker import a_broker, fill, make_topics, values
from tests.bench.kafka_job.data import PARTITIONS, Due, Score, due, lately, phrases, posts, score, threshold
from tests.bench.kafka_job.measure import Cost, measured
from tests.bench.kafka_job.peers import PEERS, install, version

ROOT = Path(__file__).parents[3]
PROGRAMS = Path(__file__).with_name("programs")
OURS = "ours"
FEW = 40
PATIENCE = 60.0
SLOWEST = 1_000
"""Posts a second; who is slower is not waited for."""


class Result(NamedTuple):
    cost: Cost
    start: Cost
    score: Score

    def a_second(self, number: int) -> float:
        return number / max(0.01, self.cost.wall - self.start.wall)

    def a_cpu_second(self, number: int) -> float:
        return number / max(0.01, self.cost.cpu - self.start.cpu)


class Bench:
    def __init__(self, servers: str, python: Path, number: int, tracked: int, seed: int) -> None:
        self.number = number
        self._servers, self._python = servers, python
        self._said = phrases(tracked)
        self._least = threshold(len(self._said))
        self._runs = 0
        make_topics(servers, {"few": PARTITIONS, "posts": PARTITIONS})
        start = lately(number)
        fill(servers, "few", posts(FEW, self._said, seed, start=start))
        made = list(posts(number, self._said, seed, start=start))
        self._right = due((put.value for put in made), self._said, self._least)
        fill(servers, "posts", made)

    @property
    def right(self) -> int:
        return len(self._right)

    def run(self, name: str) -> Result:
        start, _ = self._run(name, "few", FEW)
        cost, alerts = self._run(name, "posts", self.number)
        told = [from_json(value) for value in values(self._servers, alerts)]
        return Result(cost, start, score((Due(each["phrase"], each["minute"]) for each in told), self._right))

    def _run(self, name: str, topic: str, number: int) -> tuple[Cost, str]:
        self._runs += 1
        alerts = f"alerts-{name}-{self._runs}"
        make_topics(self._servers, {alerts: 1})
        env = {key: value for key, value in os.environ.items() if not key.startswith("LYTTEPOST_")}
        env |= {"JOB_PHRASES": ",".join(self._said), "JOB_THRESHOLD": str(self._least)}
        if name == OURS:
            command, env["PYTHONPATH"] = [sys.executable, str(PROGRAMS / "ours.py")], str(ROOT)
        else:
            command = [str(self._python), str(PROGRAMS / PEERS[name].program)]
        words = [self._servers, topic, alerts, str(number)]
        return measured([*command, *words], env, PATIENCE + number / SLOWEST), alerts


def line(title: str, number: int, results: Sequence[Result]) -> str:
    middle = sorted(results, key=lambda each: each.cost.cpu)[len(results) // 2]
    wall = statistics.median(each.a_second(number) for each in results)
    cpu = statistics.median(each.a_cpu_second(number) for each in results)
    peak = statistics.median(each.cost.peak_mb for each in results)
    right, wrong, missing = middle.score
    said = f"   {middle.cost.problem}" if middle.cost.problem else ""
    return (
        f"{title:28} {wall:9,.0f} {cpu:14,.0f} {middle.start.cpu:9.1f} {peak:9,.0f} "
        f"{right:6} {wrong:6} {missing:8}{said}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=200_000)
    parser.add_argument("--phrases", type=int, default=20)
    parser.add_argument("--peers", default=",".join(PEERS), help="comma between them; empty: none")
    parser.add_argument("--runs", type=int, default=1, help="the median is shown")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--venv", type=Path, help="a folder for the peers, kept")
    parser.add_argument("--quick", action="store_true", help="20,000 posts, and the plain loop for a peer")
    wanted = parser.parse_args()
    number = 20_000 if wanted.quick else wanted.posts
    names = [name for name in ("loop" if wanted.quick else wanted.peers).split(",") if name]
    if unknown := set(names) - PEERS.keys():
        parser.error(f"no peer is called {', '.join(unknown)}; known: {', '.join(PEERS)}")
    with ExitStack() as stack:
        folder = wanted.venv or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lyttepost-bench-")))
        python, failed = install(folder, names) if names else (Path(), {})
        servers = stack.enter_context(a_broker())
        print(f"{number:,} posts of 1 KB, {wanted.phrases} phrases, seed {wanted.seed}", file=sys.stderr)
        bench = Bench(servers, python, number, wanted.phrases, wanted.seed)
        print(f"{bench.right} alerts are due; load of the machine: {os.getloadavg()[0]:.1f}", file=sys.stderr)
        results: dict[str, list[Result]] = {}
        for _ in range(wanted.runs):
            for name in (OURS, *(each for each in names if each not in failed)):
                results.setdefault(name, []).append(bench.run(name))
                print(line(name, number, results[name][-1:]), file=sys.stderr)
    print(f"{'':28} {'posts/s':>9} {'posts/CPU s':>14} {'start s':>9} {'peak MB':>9} {'right':>6} {'wrong':>6} missing")
    for name, its in results.items():
        title = "Lyttepost" if name == OURS else f"{PEERS[name].title} {version(python, name)}"
        print(line(title, number, its))
    for name, reason in failed.items():
        print(f"{PEERS[name].title:28} {reason}")
    return verdict(number, results, bench.right)


def verdict(number: int, results: dict[str, list[Result]], right: int) -> int:
    ours = results.pop(OURS)
    whole = all(each.score == Score(right, 0, 0) for each in ours)
    if not results:
        return 0 if whole else 1
    speed = {name: statistics.median(each.a_cpu_second(number) for each in its) for name, its in results.items()}
    fastest = max(speed, key=lambda name: speed[name])
    times = statistics.median(each.a_cpu_second(number) for each in ours) / speed[fastest]
    share = statistics.median(each.cost.peak_mb for each in ours) / statistics.median(
        each.cost.peak_mb for each in results[fastest]
    )
    print(
        f"ours are {'all right' if whole else 'NOT all right'}; {times:.2f} times the posts a CPU second of "
        f"{PEERS[fastest].title} (bound 1), {share:.2f} of its memory (bound 0.5)"
    )
    return 0 if whole and times >= 1 and share <= 0.5 else 1


if __name__ == "__main__":
    sys.exit(main())
