"""How cost grows over Kafka: with partitions and workers, and with the number of tracked phrases.

    python -m tests.bench.kafka_growth [--posts 20000] [--runs 3] [--quick]

*Workers.* Mentions lie ready in 1, 2 and 4 partitions, and as many annotators as there are partitions, each a process
of its own (`lyttepost run --role annotate`), make findings of them, each batch a transaction. Posts a second from the
first finding's record to the last one's; the processor time a post of all annotators together, and of the broker unless
LYTTEPOST_TEST_KAFKA names a running one. What one more worker costs shows in the second; whether it helps in the first,
as far as there are cores.

*Phrases.* The job of `kafka_job` with 10, 100, 1,000 and 10,000 phrases tracked, on the same posts: they speak of the
first ten. Bound: the processor time a post, less the program's start, grows by less than a third from 10 to 10,000.

The runs take turns, so that whatever else the machine does meets all alike; medians are shown. Ends with 1 when the
bound is not held or an alert is not right.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from listener.bus.protocol import Message, open_bus
from listener.clock import SystemClock
from listener.model.incidents import Action, Command
from listener.model.records import Mention, encode
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from tests.bench.kafka_job.__main__ import OURS, Bench, Result
from tests.bench.kafka_job.broker import broker_with_pids
from tests.bench.kafka_job.data import Score
from tests.bench.kafka_pipeline.deployment import cpu_of
from tests.bench.kafka_pipeline.x import SAYINGS, TRACK
from tests.bench.leftovers import nothing_left

ROOT = Path(__file__).parents[2]
BATCH_SIZE = 5_000
PATIENCE = 120.0
SPOKEN = 10
"""Phrases that the posts speak of."""
BOUND = 4 / 3


class Annotated(NamedTuple):
    """Posts a second of wall time; seconds of the processor a post: the annotators', the broker's."""

    rate: float
    ours: float
    broker: float


def annotated(servers: str, brokers: Sequence[int], prefix: str, workers: int, posts: int) -> Annotated:
    """As many partitions as workers."""
    url = f"kafka://{servers}?prefix={prefix}"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lyttepost-bench-")))
        bus = stack.enter_context(closing(open_bus(url, folder, SystemClock())))
        bus.ensure(topic_specs(workers, {}))
        now = datetime.now(UTC)
        state = Control(bus).append(
            Command(action=Action.OPEN, at=now, by="bench", why="bench", name="Bench", add=(TRACK,), lookback=0.0,
                    review_after=1e5)
        )  # fmt: skip
        (incident,) = state.incidents
        for first in range(0, posts, BATCH_SIZE):
            bus.publish([_mention(number, now, incident) for number in range(first, min(first + BATCH_SIZE, posts))])
        env = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
        env |= {
            "PYTHONPATH": str(ROOT), "LYTTEPOST_BUS__URL": url, "LYTTEPOST_BUS__PARTITIONS": str(workers),
            "LYTTEPOST_DATA": str(folder / "data"),
        }  # fmt: skip
        log = stack.enter_context((folder / "log.txt").open("w+b"))
        processes = [stack.enter_context(_annotator(n, env, log.fileno())) for n in range(workers)]
        reader = bus.reader(["findings"])
        before, times, seen = 0.0, [], 0
        started: list[float] = []
        deadline = time.monotonic() + PATIENCE + posts / 200
        while seen < posts:
            if records := reader.poll(0.2, BATCH_SIZE):
                if not started:
                    before, started = cpu_of(brokers), [cpu_of([process.pid]) for process in processes]
                    posts_before = len(records)
                times += [record.time_ms for record in records]
                seen += len(records)
            elif time.monotonic() > deadline or any(process.poll() is not None for process in processes):
                log.seek(0)
                sys.exit(f"{seen} of {posts} findings came:\n{log.read().decode()[-2000:]}")
        used = sum(cpu_of([process.pid]) - its for process, its in zip(processes, started, strict=True))
        rest = max(1, posts - posts_before)
        seconds = max(0.001, (max(times) - min(times)) / 1000)
        for process in processes:
            process.terminate()
        return Annotated(rest / seconds, used / rest, (cpu_of(brokers) - before) / rest)


def _mention(number: int, at: datetime, incident: str) -> Message:
    text = f"{SAYINGS[number % len(SAYINGS)]} {number}"
    mention = Mention(
        source="x", id=str(10_000_000 + number), at=at, captured_at=at, text=text, author=f"a{number * 7919 % 40_000}",
        incidents={incident: (TRACK,)},
    )  # fmt: skip
    return Message("mentions", mention.post_key, encode(mention))


def _annotator(number: int, env: dict[str, str], log: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "import lyttepost; lyttepost.main()", "run", "--role", "annotate"]
    return subprocess.Popen(
        [*command, "--name", f"a{number}", "--port", "0"], env=env, cwd=ROOT, stdout=log, stderr=log
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=20_000, help="mentions to annotate; five times as many to match")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--quick", action="store_true", help="4,000 posts, once, 1 and 2 workers, 10 and 10,000 phrases"
    )
    wanted = parser.parse_args()
    posts, runs = (4_000, 1) if wanted.quick else (wanted.posts, wanted.runs)
    workers = (1, 2) if wanted.quick else (1, 2, 4)
    phrases = (10, 10_000) if wanted.quick else (10, 100, 1_000, 10_000)
    with broker_with_pids() as (servers, brokers), tempfile.TemporaryDirectory(prefix="lyttepost-bench-") as scratch:
        grown: dict[int, list[Annotated]] = {count: [] for count in workers}
        for run in range(runs):
            for count in workers:
                grown[count].append(annotated(servers, brokers, f"grow{os.getpid()}-{run}-{count}", count, posts))
        print("partitions and workers   posts/s   µs a post   of the broker")
        for count, its in grown.items():
            rate, ours, broker = (statistics.median(each) for each in zip(*its, strict=True))
            print(f"{count:22}   {rate:7,.0f}   {ours * 1e6:9,.0f}   {broker * 1e6:13,.0f}", flush=True)
        bench = Bench(servers, Path(), Path(scratch), 5 * posts, SPOKEN, 1)
        told: dict[int, list[Result]] = {count: [] for count in phrases}
        for _ in range(runs):
            for count in phrases:
                told[count].append(bench.run(OURS, count))
    print("phrases   µs a post   start s   peak MB")
    each_post = {}
    for count, results in told.items():
        each_post[count] = statistics.median(1e6 / each.a_cpu_second(5 * posts) for each in results)
        start = statistics.median(each.start.cpu for each in results)
        peak = statistics.median(each.cost.peak_mb for each in results)
        print(f"{count:7,}   {each_post[count]:9.1f}   {start:7.1f}   {peak:7,.0f}")
    times = each_post[phrases[-1]] / each_post[phrases[0]]
    whole = all(each.score == Score(bench.right, 0, 0) for results in told.values() for each in results)
    print(f"a post costs {times:.2f} times as much with {phrases[-1]:,} phrases (bound {BOUND:.2f}); alerts "
          f"{'all right' if whole else 'NOT all right'}; load of the machine {os.getloadavg()[0]:.1f}")  # fmt: skip
    return 0 if times < BOUND and whole else 1


if __name__ == "__main__":
    with nothing_left():
        sys.exit(main())
