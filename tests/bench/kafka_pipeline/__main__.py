from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from tests.bench.kafka_job.broker import broker_with_pids
from tests.bench.kafka_pipeline import __doc__ as about
from tests.bench.kafka_pipeline.deployment import EARLY, LATER, NOW, PEOPLE, KafkaDeployment, running
from tests.bench.kafka_pipeline.watch import Delays, Watch, quantile
from tests.bench.kafka_pipeline.x import X, an_x, is_probe
from tests.bench.leftovers import nothing_left

LATENESS = timedelta(seconds=10)
PROBES_A_SECOND = 20
TAIL_SECONDS = LATENESS.total_seconds() + 2.0
LOWEST, HIGHEST = 125.0, 8_000.0
STEP = 1.15
"""Rates this near to each other are one."""


class Bench:
    def __init__(
        self, deployment: KafkaDeployment, x: X, watch: Watch, probes: float = PROBES_A_SECOND, *, told: bool = False
    ) -> None:
        self._deployment, self._x, self._watch = deployment, x, watch
        self._probes, self._told = probes, told
        self._next = 0

    def measure(self, rate: float, seconds: float, *, to_the_end: bool) -> Delays:
        """`to_the_end`: also wait for the watermark."""
        first, count = self._next, int(rate * seconds)
        self._next += count
        every = max(2, round(rate / self._probes))
        probes = {number for number in range(first, first + count) if is_probe(number, every)}
        before = self._deployment.cpu()
        self._x.send(first, count, rate, every)
        took = self._x.took()
        self._await(self._watch.heard[NOW], probes, 3 * seconds + 30, NOW)
        after = self._deployment.cpu()
        found = Delays(rate=count / took, cpu={name: (after[name] - before[name]) / count for name in after})
        heard, stamps = self._watch.heard, self._x.stamps
        found.at_once = [heard[NOW][number] - stamps[number] for number in sorted(probes)]
        if to_the_end:
            # The source is heard only as far as it says something.
            tail = int(rate * TAIL_SECONDS)
            self._x.send(self._next, tail, rate, 0)
            self._next += tail
            self._x.took()
            self._await(heard[LATER], probes, 3 * seconds + 60, LATER)
            found.early = [heard[EARLY][number] - stamps[number] for number in sorted(probes)]
            for rule, intended in self._watch.intended.items() if self._told else ():
                self._await(intended, probes, 3 * seconds + 60, f"{rule}, as an intent,")
                found.intended[rule] = [intended[number] - stamps[number] for number in sorted(probes)]
            for number in sorted(probes):
                told = heard[LATER][number]
                made = self._watch.passed(self._watch.said[number], LATENESS)
                if made is not None:
                    found.behind.append(told - made)
                found.wall.append(told - stamps[number])
        return found

    def _await(self, heard: Mapping[int, float], probes: set[int], seconds: float, rule: str) -> None:
        until = time.monotonic() + seconds
        while missing := probes - heard.keys():
            if self._watch.failed is not None:
                raise self._watch.failed
            if time.monotonic() > until:
                sys.exit(f"{len(missing)} of {len(probes)} alerts of {rule} did not come")
            time.sleep(0.05)

    def sustained(self, seconds: float) -> float:
        low, high = LOWEST, HIGHEST
        rate = 1_000.0
        while high / low > STEP:
            found = self.measure(rate, seconds, to_the_end=False)
            # What X could not send in time proves nothing.
            held = not found.grows and found.rate > 0.95 * rate
            low, high = (rate, high) if held else (low, rate)
            print(f"  {rate:,.0f} posts/s {'held' if held else 'not held'}", file=sys.stderr)
            rate = min(2 * low, (low * high) ** 0.5)
        return low


def told(rate: float, found: Delays) -> str:
    parts = [f"{rate:9,.0f}"]
    for values in (found.at_once, found.behind, found.wall, found.early):
        parts += [f"{quantile(values, share) * 1e3:8,.0f}" for share in (0.5, 0.99)]
    line = " ".join(parts) + "   " + "  ".join(f"{name} {each * 1e6:,.0f}" for name, each in found.cpu.items())
    for rule, values in found.intended.items():
        p50, p99 = (quantile(values, share) * 1e3 for share in (0.5, 0.99))
        line += f"\n{'':9} intent of {rule}: p50 {p50:,.0f} ms, p99 {p99:,.0f} ms"
    return line


def main() -> int:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", default="250,1000", help="posts a second, comma between them")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate")
    parser.add_argument("--workers", default="1,2,4", help="annotators, of each search for the highest rate")
    parser.add_argument("--step", type=float, default=8.0, help="seconds of each try of it; 0: no search")
    parser.add_argument("--probes", type=float, default=PROBES_A_SECOND, help="probes a second")
    parser.add_argument("--told", action="store_true", help="the dispatcher runs too, and its intents are measured")
    parser.add_argument(
        "--embedded", action="store_true", help="without Kafka: one process of all, on a file; as --told"
    )
    parser.add_argument("--quick", action="store_true", help="250 posts/s for five seconds, no search")
    wanted = parser.parse_args()
    rates = [250.0] if wanted.quick else [float(each) for each in wanted.rates.split(",") if each]
    seconds, step = (5.0, 0.0) if wanted.quick else (wanted.seconds, wanted.step)
    workers = [1] if step == 0 else [int(each) for each in wanted.workers.split(",")]
    held: dict[int, float] = {}
    worst = 0.0
    with ExitStack() as stack:
        servers, pids = ("", []) if wanted.embedded else stack.enter_context(broker_with_pids())
        is_told = wanted.told or wanted.embedded
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lyttepost-bench-")))
        for turn, count in enumerate(workers):
            folder = scratch / str(turn)
            folder.mkdir()
            prefix = f"bench{os.getpid()}-{turn}"
            url = "embedded:" if wanted.embedded else f"kafka://{servers}?prefix={prefix}"
            tellers = ([("dispatch", "")], PEOPLE) if is_told else ()
            with an_x() as x, running(folder, url, x, count, pids, *tellers) as deployment:
                watch = Watch(deployment.bus)
                bench = Bench(deployment, x, watch, wanted.probes, told=is_told)
                bench.measure(250.0, 3.0, to_the_end=True)  # the first of everything is slow
                if turn == 0:
                    print(f"{'':9} {'at once':>17} {'behind watermark':>17} {'on the wall':>17} {'told early':>17}")
                    print(f"{'posts/s':>9}" + f" {'p50 ms':>8} {'p99':>8}" * 4 + "   µs")
                    for rate in rates:
                        found = bench.measure(rate, seconds, to_the_end=True)
                        print(told(rate, found), flush=True)
                        worst = quantile(found.behind, 0.99)
                if step:
                    held[count] = bench.sustained(step)
                    print(f"{count} annotator{'s' * (count > 1)}: sustained {held[count]:,.0f} posts/s", flush=True)
                watch.close()
        print(f"load of the machine: {os.getloadavg()[0]:.1f}")
    return 0 if worst < 1.0 else 1


if __name__ == "__main__":
    with nothing_left():
        sys.exit(main())
