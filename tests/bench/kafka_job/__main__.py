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
from tests.bench.leftovers import nothing_left

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
    """The posts lie in a topic; `folder` is for what passes."""

    def __init__(self, servers: str, python: Path, folder: Path, number: int, tracked: int, seed: int) -> None:
        self.number = number
        self._folder = folder
        self._servers, self._python = servers, python
        self._said = phrases(tracked)
        self._least = threshold(len(self._said))
        self._runs = 0
        self._few, self._posts = f"few-{os.getpid()}", f"posts-{os.getpid()}"
        make_topics(servers, {self._few: PARTITIONS, self._posts: PARTITIONS})
        start = lately(number)
        fill(servers, self._few, posts(FEW, self._said, seed, start=start))
        made = list(posts(number, self._said, seed, start=start))
        self._right = due((put.value for put in made), self._said, self._least)
        fill(servers, self._posts, made)

    @property
    def right(self) -> int:
        return len(self._right)

    def run(self, name: str, tracked: int = 0, *, tuned: bool = False) -> Result:
        """`tracked`: so many phrases instead of those that the posts speak of."""
        start, _ = self._run(name, self._few, FEW, tracked, tuned)
        cost, alerts = self._run(name, self._posts, self.number, tracked, tuned)
        told = [from_json(value) for value in values(self._servers, alerts)]
        return Result(cost, start, score((Due(each["phrase"], each["minute"]) for each in told), self._right))

    def _run(self, name: str, topic: str, number: int, tracked: int, tuned: bool) -> tuple[Cost, str]:
        self._runs += 1
        alerts = f"alerts-{name}-{os.getpid()}-{self._runs}"
        make_topics(self._servers, {alerts: 1})
        tracks = self._folder / "phrases.txt"
        tracks.write_text("\n".join(phrases(tracked) if tracked else self._said), encoding="utf-8")
        env = {key: value for key, value in os.environ.items() if not key.startswith("LYTTEPOST_")}
        env |= {"JOB_PHRASES": str(tracks), "JOB_THRESHOLD": str(self._least), "JOB_TUNED": str(int(tuned))}
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
    parser.add_argument("--no-tuned", dest="tuned", action="store_false", help="only the smallest programs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--venv", type=Path, help="a folder for the peers, kept")
    parser.add_argument("--quick", action="store_true", help="20,000 posts, and the plain loop for a peer")
    wanted = parser.parse_args()
    number = 20_000 if wanted.quick else wanted.posts
    names = [name for name in ("loop" if wanted.quick else wanted.peers).split(",") if name]
    if unknown := set(names) - PEERS.keys():
        parser.error(f"no peer is called {', '.join(unknown)}; known: {', '.join(PEERS)}")
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lyttepost-bench-")))
        python, failed = install(wanted.venv or scratch / "venv", names) if names else (Path(), {})
        servers = stack.enter_context(a_broker())
        print(f"{number:,} posts of 1 KB, {wanted.phrases} phrases, seed {wanted.seed}", file=sys.stderr)
        bench = Bench(servers, python, scratch, number, wanted.phrases, wanted.seed)
        print(f"{bench.right} alerts are due; load of the machine: {os.getloadavg()[0]:.1f}", file=sys.stderr)
        results: dict[str, list[Result]] = {}
        for _ in range(wanted.runs):
            for name in (OURS, *(each for each in names if each not in failed)):
                for tuned in (False,) if name == OURS else (False, True) if wanted.tuned else (False,):
                    title = "Lyttepost" if name == OURS else f"{PEERS[name].title} {version(python, name)}"
                    title += ", tuned" if tuned else ""
                    results.setdefault(title, []).append(bench.run(name, tuned=tuned))
                    print(line(title, number, results[title][-1:]), file=sys.stderr)
    print(f"{'':28} {'posts/s':>9} {'posts/CPU s':>14} {'start s':>9} {'peak MB':>9} {'right':>6} {'wrong':>6} missing")
    for title, its in results.items():
        print(line(title, number, its))
    for name, reason in failed.items():
        print(f"{PEERS[name].title:28} {reason}")
    return verdict(number, results, bench.right)


def verdict(number: int, results: dict[str, list[Result]], right: int) -> int:
    """Against the fastest of the smallest programs; what tuned ones do is shown beside it."""
    ours = results.pop("Lyttepost")
    whole = all(each.score == Score(right, 0, 0) for each in ours)
    print(f"ours are {'all right' if whole else 'NOT all right'}")
    bound = whole
    for tuned in (False, True):
        peers = {
            title: statistics.median(each.a_cpu_second(number) for each in its)
            for title, its in results.items()
            if title.endswith("tuned") == tuned and not any(each.cost.problem for each in its)
        }
        if not peers:
            continue
        fastest = max(peers, key=lambda title: peers[title])
        times = statistics.median(each.a_cpu_second(number) for each in ours) / peers[fastest]
        peak = statistics.median(each.cost.peak_mb for each in ours)
        share = peak / statistics.median(each.cost.peak_mb for each in results[fastest])
        print(f"{times:.2f} times the posts a CPU second of {fastest}, {share:.2f} of its memory")
        bound &= tuned or (times >= 1 and share <= 0.5)
    return 0 if bound else 1


if __name__ == "__main__":
    with nothing_left():
        sys.exit(main())
