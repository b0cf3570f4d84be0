"""What a transaction on Kafka costs us: in one step, as clusters of today have it, and in steps, in turns.

    python -m tests.bench.kafka_transactions [--records 1,100,500] [--rounds 5] [--each 30] [--warm 60]

Each transaction writes so many records of 560 bytes over four partitions and commits a group's offsets, and is waited
for until it is readable, as a worker's. Told is the processor time of this process, all its threads, and the time on
the wall, both a transaction; medians of --rounds, --each transactions a round. The broker is one of our own, after
transactions of --warm seconds: a younger one measures how Java compiles. LYTTEPOST_TEST_KAFKA=127.0.0.1:port names a
running one.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from listener.bus.kafka.batches import Put
from listener.bus.kafka.bus import KafkaBus
from listener.bus.kafka.members import Member
from listener.bus.kafka.transactions import GroupCommit
from listener.bus.protocol import Commit, TopicPartition, open_bus
from listener.clock import SystemClock
from listener.model.topics import topic_specs
from tests.bench.kafka_job.broker import broker_with_pids

PARTITIONS = 4
VALUE = b'{"v":1,"text":"' + b"".join(b"%x brann i hagen " % (n * 7919) for n in range(27)) + b'"}'
WAYS: Mapping[str, bool] = {"one step": False, "steps": True}


class Side:
    """A member of a group that writes under its own name, the one way or the other."""

    def __init__(self, url: str, folder: Path, *, takes_steps: bool) -> None:
        self.bus = open_bus(url, folder, SystemClock(), anew=True)
        assert isinstance(self.bus, KafkaBus)
        self.bus.ensure(topic_specs(PARTITIONS, {}))
        self.bus.cluster.takes_steps = takes_steps
        self.member: Member = self.bus.consumer(["mentions"], group=f"g{takes_steps}", member="m")
        while not self.member.assignment:
            self.member.poll(0.5)
        self._done = 0

    def write(self, count: int) -> None:
        now = round(time.time() * 1000)
        puts = [
            Put(TopicPartition("findings", n % PARTITIONS), f"brann:x:{self._done + n}", VALUE, now)
            for n in range(count)
        ]
        self._done += count
        commits = {tp: Commit(self._done) for tp in self.member.assignment}
        self.member.writer.write(puts, [GroupCommit(self.member.place, commits, self.member.await_settled)])

    def measure(self, count: int, times: int) -> tuple[float, float]:
        """Processor time and time on the wall of a transaction, in ms."""
        self.member.poll(0)
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(times):
            self.write(count)
        return (time.process_time() - cpu) / times * 1000, (time.perf_counter() - wall) / times * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", default="1,100,500")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--each", type=int, default=30)
    parser.add_argument("--warm", type=float, default=60.0)
    chosen = parser.parse_args()
    with ExitStack() as stack:
        servers, _ = stack.enter_context(broker_with_pids())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = f"kafka://{servers}?prefix=b{uuid.uuid4().hex[:8]}"
        sides = {way: Side(url, folder, takes_steps=takes_steps) for way, takes_steps in WAYS.items()}
        for side in sides.values():
            stack.callback(side.bus.close)
        until = time.monotonic() + chosen.warm
        while time.monotonic() < until:
            for side in sides.values():
                side.measure(100, 5)
        print("records | way | processor, ms | wall, ms")
        for count in map(int, chosen.records.split(",")):
            found: dict[str, list[tuple[float, float]]] = {way: [] for way in sides}
            for _ in range(chosen.rounds):
                for way, side in sides.items():
                    found[way].append(side.measure(count, chosen.each))
            for way, rounds in found.items():
                cpu, wall = (statistics.median(each) for each in zip(*rounds, strict=True))
                print(f"{count} | {way} | {cpu:.2f} | {wall:.1f}", flush=True)


if __name__ == "__main__":
    # As workers do: in the main thread there is one thread more, for the sake of signals.
    with ThreadPoolExecutor(1) as worker:
        worker.submit(main).result()
