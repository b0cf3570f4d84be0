"""From the byte on the socket to the mention on the bus: how late, and up to how many posts a second?

    python -m tests.bench.x_latency [--rate 250] [--seconds 20] [--step 5]

`lyttepost run --role listener` runs as it is installed, on a data folder of its own and an X in a process beside it,
which notes the instant before it writes a post's line. Whoever reads the bus next door notes when the mention can be
read. `sustained` is the highest rate, found by halving, at which the delay at the end is not above that at the
beginning; it needs a machine with a processor or two to spare. `flooded` is what one whole processor can do, with more
waiting than it can take.

Machines and their other work differ, so `x_bare` is measured in the same run: tweepy's own stream as documented, and a
loop of socket, `json.loads` and SQLite, five hundred posts in a transaction. `times` is how many of their posts one of
ours costs where we are flooded. `the same, bare` is the second of them at our rate, each read a transaction of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from listener.bus.protocol import open_bus
from listener.clock import SystemClock
from listener.model.incidents import Action, Command
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from tests.bench.leftovers import nothing_left
from tests.bench.x_bare import FIRST, bare, database, line, sqlite_loop, tweepy_loop
from tests.bench.x_peer_client import TOKEN
from tests.fakes.x import FakeX

ROOT = Path(__file__).parents[2]
MOST: Final = 2_000_000
"""Posts in one run of the bench."""
HIGHEST: Final = 12_000
FLOOD: Final = 20_000.0
LATE: Final = 0.5
TOGETHER: Final = 500


# --- X, in a process of its own ---------------------------------------------------------------------------------------


def be_x(pipe: Connection, stamps: Any) -> None:
    """Told (first, count, rate), it sends so many posts; it answers with the seconds that this took."""
    with FakeX(bearer=TOKEN) as fake:
        pipe.send(fake.url)
        while (order := pipe.recv()) is not None:
            if order == "open":
                pipe.send(len(fake.streams.open))
                continue
            pipe.send(_send_posts(fake, stamps, *order))


def _send_posts(fake: FakeX, stamps: Any, first: int, count: int, rate: float) -> float:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    lines = [line(first + n, at) for n in range(count)]
    (stream,) = fake.streams.open
    began = time.monotonic()
    for number, raw in enumerate(lines):
        due = began + number / rate
        while (left := due - time.monotonic()) > 0:
            time.sleep(left)
        stamps[first + number] = time.monotonic()
        stream.send(raw)
    return time.monotonic() - began


# --- our listener -----------------------------------------------------------------------------------------------------


@dataclass
class Measured:
    """Seconds of delay, in the order of sending; processor seconds of the listener; the rate that was really sent."""

    delays: list[float]
    cpu: float
    rate: float

    @property
    def grows(self) -> bool:
        """At the end posts come later than in the beginning, or later than half a second altogether."""
        fifth = len(self.delays) // 5
        early, late = (statistics.median(part) for part in (self.delays[fifth : 2 * fifth], self.delays[-fifth:]))
        return late > 2 * early + 0.1 or late > LATE

    @property
    def cpu_each(self) -> float:
        return self.cpu / len(self.delays)

    def quantile(self, share: float) -> float:
        return sorted(self.delays)[min(int(len(self.delays) * share), len(self.delays) - 1)]


class X:
    """The process, and when it sent what."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self.stamps = spawn.Array("d", MOST, lock=False)
        self._process = spawn.Process(target=be_x, args=(theirs, self.stamps), daemon=True)
        self._process.start()
        self.url: str = self._pipe.recv()
        self._next = 0

    def sends(self, rate: float, seconds: float) -> range:
        """From now on; the numbers of the posts."""
        count = int(rate * seconds)
        first, self._next = self._next, self._next + count
        self._pipe.send((first, count, rate))
        return range(first, first + count)

    def took(self) -> float:
        """Seconds that the last order took."""
        return float(self._pipe.recv())

    def wait_for_reader(self, alive: Callable[[], bool]) -> None:
        until = time.monotonic() + 30
        self._pipe.send("open")
        while self._pipe.recv() != 1:
            if time.monotonic() > until or not alive():
                sys.exit("the listener did not connect")
            time.sleep(0.1)
            self._pipe.send("open")

    def stop(self) -> None:
        self._pipe.send(None)
        self._process.join(5)


class Bench:
    """`arrivals` gives the numbers of the posts that can be read since the last call."""

    def __init__(self, x: X, pid: int, arrivals: Callable[[], list[int]]) -> None:
        self._x = x
        self._pid = pid
        self._arrivals = arrivals

    def measure(self, rate: float, seconds: float) -> Measured:
        cpu = self._cpu()
        sent = self._x.sends(rate, seconds)
        arrived: dict[int, float] = {}
        until = time.monotonic() + 6 * seconds + 30
        while len(arrived) < len(sent) and time.monotonic() < until:
            numbers = self._arrivals()
            arrived.update(dict.fromkeys(numbers, time.monotonic()))
            if not numbers:
                time.sleep(0.001)
        took = self._x.took()
        cpu = self._cpu() - cpu
        if len(arrived) < len(sent):
            sys.exit(f"{len(sent) - len(arrived)} of {len(sent)} posts did not arrive")
        delays = [arrived[number] - self._x.stamps[number] for number in sent]
        return Measured(delays, cpu, len(sent) / took)

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self._pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def listening(x: X, folder: Path) -> Iterator[Bench]:
    """Our listener."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
    env = {
        **clean, "PYTHONPATH": str(ROOT), "LYTTEPOST_X__BASE_URL": x.url, "LYTTEPOST_X__BEARER_TOKEN": TOKEN,
        "LYTTEPOST_DATA": str(folder / "data"), "LYTTEPOST_PRIVACY__KEY_FILE": str(folder / "keys" / "pseudonym.key"),
    }  # fmt: skip
    (folder / "data").mkdir()
    bus = open_bus("embedded:", folder / "data", SystemClock())
    bus.ensure(topic_specs(1, {}))
    Control(bus).append(
        Command(action=Action.OPEN, at=datetime.now(UTC), by="bench", why="bench", name="Bench", add=("granvik",),
                lookback=0.0, review_after=1e5)
    )  # fmt: skip
    reader = bus.reader(["mentions"])

    def arrivals() -> list[int]:
        ids = (record.key.rpartition(":")[2] for record in reader.poll(0.0, 5000))
        return [int(post_id) - FIRST for post_id in ids if post_id.isdecimal()]

    command = [sys.executable, "-c", "import lyttepost; lyttepost.main()", "run", "--role", "listener", "--port", "0"]
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log)
    try:
        x.wait_for_reader(lambda: process.poll() is None)
        yield Bench(x, process.pid, arrivals)
    finally:
        process.terminate()
        process.wait(10)
        reader.close()
        bus.close()


@contextmanager
def bare_listening(x: X, folder: Path) -> Iterator[Bench]:
    """The loop of socket and SQLite, which commits what each read brings."""
    path = folder / "bare.sqlite"
    database(path).close()
    process = multiprocessing.get_context("spawn").Process(
        target=sqlite_loop, args=(f"{x.url}/2/tweets/search/stream", path), daemon=True
    )
    process.start()
    db, last = database(path), 0

    def arrivals() -> list[int]:
        nonlocal last
        rows = db.execute("SELECT rowid, id FROM mentions WHERE rowid > ?", (last,)).fetchall()
        last = rows[-1][0] if rows else last
        return [int(post_id) - FIRST for _, post_id in rows]

    try:
        x.wait_for_reader(process.is_alive)
        yield Bench(x, process.pid or 0, arrivals)
    finally:
        process.kill()
        process.join()
        db.close()


def sustained(bench: Bench, lowest: float, seconds: float) -> tuple[float, Measured]:
    """The highest rate, to a tenth, at which the delay does not grow."""
    best = bench.measure(lowest, seconds)
    low, high = lowest, float(HIGHEST)
    while high / low > 1.1:
        rate = (low * high) ** 0.5
        found = bench.measure(rate, seconds)
        # What X could not send in time proves nothing.
        held = not found.grows and found.rate > 0.95 * rate
        low, high, best = (rate, high, found) if held else (low, rate, best)
    return low, best


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=250.0, help="posts a second, of the first measurement")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the first measurement")
    parser.add_argument("--step", type=float, default=5.0, help="seconds of each try at a higher rate")
    wanted = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lyttepost-bench-") as scratch:
        folder = Path(scratch)
        x = X()
        with listening(x, folder) as bench:
            bench.measure(wanted.rate, 3.0)  # the first of everything is slow
            usual = bench.measure(wanted.rate, wanted.seconds)
            rate, most = sustained(bench, wanted.rate, wanted.step)
            flood = bench.measure(FLOOD, 2.0)
        with bare_listening(x, folder) as bench:
            least = bench.measure(wanted.rate, wanted.seconds)
        x.stop()
        loops = {
            "tweepy": bare(tweepy_loop),
            "socket to SQLite": bare(lambda url: sqlite_loop(url, folder / "bare-500.sqlite", TOGETHER)),
        }
    print(told(f"at {wanted.rate:,.0f} posts/s", usual))
    print(told("the same, bare", least))
    print(told(f"sustained {rate:,.0f} posts/s", most))
    print(told(f"flooded {1 / flood.cpu_each:,.0f} posts/s", flood))
    for name, each in loops.items():
        per_post = f"{each * 1e6:7.1f} µs of the processor a post"
        print(f"{name:26}{1 / each:9,.0f} posts/s   {per_post}   times {flood.cpu_each / each:5.1f}")


def told(what: str, found: Measured) -> str:
    p50, p99, most = (found.quantile(share) * 1e3 for share in (0.5, 0.99, 1.0))
    late = f"p50 {p50:7.1f} ms   p99 {p99:7.1f} ms   most {most:7.1f} ms"
    return f"{what:26}{late}   {found.cpu_each * 1e6:7.1f} µs of the processor a post"


if __name__ == "__main__":
    with nothing_left():
        main()
