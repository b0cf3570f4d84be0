"""What a house takes of the processor while nobody posts, and while few do: over Kafka and with the embedded bus.

    python -m tests.bench.quiet_house [--bus kafka,embedded] [--runs 1] [--seconds 15] [--learn 60] [--learnt 90]
                                      [--warm 60] [--against CHECKOUT] [--requests]

The processes are those that `lyttepost run` starts: over Kafka one of each role (listener, annotate, judge, dispatch),
embedded all in one. A fake X counts and streams, and each process's /metrics is read every ten seconds, as Prometheus
does. Nobody has posted; four times is measured, each as a share of one core, by process, from /proc:

    learning   calm, from the first moment when all are ready, for --learn seconds: seven days of counts are taken in
    calm       after --learnt seconds more, when that is done
    open       an incident is open, X is connected, nobody posts
    5 posts/s  that match the incident, and of which no rule makes an alert by itself

Over Kafka the broker's share is told too, and beside it what it takes alone, before anybody is there. The broker is one
of our own, with Kafka's own pauses between its chores (tests have shorter ones), after it has written transactions for
--warm seconds: a younger one measures how Java compiles. LYTTEPOST_TEST_KAFKA=127.0.0.1:port names a running one, whose
process is found by that port. --requests counts what the clients ask, by kind.

`--against` measures another checkout in the same way, in turns; medians of --runs. Ends with 1 when this checkout takes
more than GOALS allow, the broker with the others.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from listener.bus.protocol import Message, open_bus
from listener.clock import SystemClock
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from tests.bench.kafka_job.broker import VARIABLE, broker_with_pids
from tests.bench.kafka_pipeline.deployment import PARTITIONS, PATIENCE, cpu_of, end, environment, opening
from tests.bench.kafka_pipeline.x import PROBE, TRACK, X, an_x
from tests.bench.leftovers import nothing_left

ROOT = Path(__file__).resolve().parents[2]
PHASES = ("learning", "calm", "open", "5 posts/s")
GOALS: Mapping[tuple[str, str], float] = {
    ("kafka", "open"): 15.0,
    ("kafka", "5 posts/s"): 25.0,
    ("embedded", "learning"): 15.0,
    ("embedded", "calm"): 2.0,
    ("embedded", "open"): 2.0,
}
"""Bus and phase → percent of one core that all may take together."""
ROLES: Mapping[str, Sequence[str]] = {"kafka": ("listener", "annotate", "judge", "dispatch"), "embedded": ("all",)}
BROKER = "broker"
RATE = 5.0
SETTLE_SECONDS = 8.0
"""After an incident was opened: its filter rules, its first connection."""
SCRAPE_SECONDS = 10.0
COUNTED = Path(__file__).with_name("counted.py")
KAFKA_OWN: Mapping[str, object] = {
    "log.cleaner.backoff.ms": 15_000,
    "log.retention.check.interval.ms": 300_000,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 10_000,
    "broker.heartbeat.interval.ms": 2_000,
    "broker.session.timeout.ms": 9_000,
}
"""What a broker has that nobody tells otherwise."""

Shares = dict[str, float]
"""Process → percent of one core."""


@dataclass
class Deployment:
    """The processes of one deployment. `brokers`: their ids."""

    folder: Path
    processes: Mapping[str, subprocess.Popen[bytes]]
    ports: Mapping[str, int]
    brokers: Sequence[int]
    counts: bool

    def is_ready(self, name: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/readyz", timeout=5):
                return True
        except OSError:
            if self.processes[name].poll() is not None:
                sys.exit(f"{name} has ended:\n{_log(self.folder, name).read_text('utf-8')[-2000:]}")
            return False

    def scrape(self, until: threading.Event) -> None:
        while not until.wait(SCRAPE_SECONDS):
            for port in self.ports.values():
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5).read()
                except OSError:
                    continue

    def measure(self, seconds: float) -> tuple[Shares, Mapping[str, Mapping[str, float]]]:
        """What each process takes; what its clients ask in a second, by kind."""
        pids = {name: [process.pid] for name, process in self.processes.items()}
        if self.brokers:
            pids[BROKER] = list(self.brokers)
        asked = {name: self._asked(name) for name in self.processes} if self.counts else {}
        before, began = {name: cpu_of(its) for name, its in pids.items()}, time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        shares = {name: 100 * (cpu_of(its) - before[name]) / took for name, its in pids.items()}
        rates = {
            name: {kind: (count - asked[name].get(kind, 0)) / took for kind, count in self._asked(name).items()}
            for name in asked
        }
        return shares, rates

    def _asked(self, name: str) -> Mapping[str, int]:
        path = self.folder / f"asked-{name}.json"
        path.unlink(missing_ok=True)
        self.processes[name].send_signal(signal.SIGUSR1)
        _await(path.exists, f"{name} does not say what it asked")
        found: Mapping[str, int] = json.loads(path.read_text("utf-8"))
        return found


def _log(folder: Path, name: str) -> Path:
    return folder / f"log-{name}.txt"


def _await(condition: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            sys.exit(otherwise)
        time.sleep(0.1)


@contextmanager
def a_deployment(
    folder: Path, kind: str, url: str, x: X, root: Path, brokers: Sequence[int], counts: bool
) -> Iterator[Deployment]:
    """All are ready; nothing is open."""
    sys.path.insert(0, str(ROOT / "tests" / "kafka"))
    from processes import free_ports  # type: ignore[import-not-found]

    shutil.copytree(root / "config", folder / "config")
    (folder / "data").mkdir()
    env = environment(folder, x, root, BUS__URL=url, BUS__PARTITIONS=str(PARTITIONS), BOARD__PORT=str(free_ports(1)[0]))
    ports = dict(zip(ROLES[kind], free_ports(len(ROLES[kind])), strict=True))
    processes: dict[str, subprocess.Popen[bytes]] = {}
    over = threading.Event()
    try:
        for role, port in ports.items():
            started = [str(COUNTED), str(folder / f"asked-{role}.json")] if counts else [str(root / "lyttepost.py")]
            with _log(folder, role).open("wb") as log:
                processes[role] = subprocess.Popen(
                    [sys.executable, *started, "run", "--role", role, "--port", str(port)],
                    env=env, cwd=root, stdout=log, stderr=log,
                )  # fmt: skip
        deployment = Deployment(folder, processes, ports, brokers, counts)
        for role in ports:
            _await(lambda role=role: deployment.is_ready(role), f"{role} is not ready")  # type: ignore[misc]
        threading.Thread(target=deployment.scrape, args=[over], daemon=True).start()
        yield deployment
    finally:
        over.set()
        end(processes.values())


class Bench:
    def __init__(self, asked: argparse.Namespace, scratch: Path, servers: str, brokers: Sequence[int]) -> None:
        self._asked, self._scratch, self._servers, self._brokers = asked, scratch, servers, brokers
        self._number = 0

    def run(self, kind: str, root: Path) -> dict[str, Shares]:
        """Phase → what each process took."""
        self._number += 1
        folder = self._scratch / str(self._number)
        folder.mkdir()
        brokers = self._brokers if kind == "kafka" else []
        url = f"kafka://{self._servers}?prefix=quiet{os.getpid()}-{self._number}" if kind == "kafka" else "embedded:"
        counts = kind == "kafka" and self._asked.requests
        found: dict[str, Shares] = {}
        with an_x() as x, a_deployment(folder, kind, url, x, root, brokers, counts) as deployment:
            self._measure(found, "learning", deployment, self._asked.learn)
            time.sleep(self._asked.learnt)
            self._measure(found, "calm", deployment, self._asked.seconds)
            with closing(open_bus(url, folder / "data", SystemClock())) as bus:
                bus.ensure(topic_specs(PARTITIONS, {}))
                Control(bus).append(opening(datetime.now(UTC), TRACK, PROBE))
            _await(lambda: x.connected() > 0, "X was not connected to")
            time.sleep(SETTLE_SECONDS)
            self._measure(found, "open", deployment, self._asked.seconds)
            x.send(0, int(RATE * (self._asked.seconds + 4.0)), RATE, 0)
            time.sleep(2.0)
            self._measure(found, "5 posts/s", deployment, self._asked.seconds)
            x.took()
        return found

    def _measure(self, found: dict[str, Shares], phase: str, deployment: Deployment, seconds: float) -> None:
        found[phase], rates = deployment.measure(seconds)
        for name, its in rates.items():
            said = ", ".join(f"{kind} {rate:.1f}" for kind, rate in sorted(its.items(), key=lambda each: -each[1]))
            print(f"  {phase}: {name} asks {sum(its.values()):.1f}/s: {said}", file=sys.stderr, flush=True)


def warm(servers: str, seconds: float) -> None:
    """Let a broker write transactions for so long."""
    with (
        tempfile.TemporaryDirectory(prefix="lyttepost-bench-") as folder,
        closing(open_bus(f"kafka://{servers}?prefix=warm{os.getpid()}", Path(folder), SystemClock())) as bus,
    ):
        bus.ensure(topic_specs(PARTITIONS, {}))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            bus.publish([Message("mentions", f"x:{number}", b"x" * 500) for number in range(8)])


def process_at(servers: str) -> list[int]:
    """The process on this machine that listens at `host:port`; none where it cannot be seen."""
    port = int(servers.rpartition(":")[2])
    inodes = set[str]()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text("ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(os.readlink(each) in inodes for each in folder.iterdir()):
                return [int(folder.parent.name)]
        except OSError:
            continue
    return []


def medians(runs: Sequence[dict[str, Shares]]) -> dict[str, Shares]:
    return {
        phase: {name: statistics.median(run[phase][name] for run in runs) for name in runs[0][phase]}
        for phase in PHASES
    }


def told(kind: str, name: str, found: dict[str, Shares]) -> None:
    names = [*ROLES[kind], *([BROKER] if BROKER in found["open"] else [])]
    print(f"{kind + ', ' + name:20}" + "".join(f"{each:>10}" for each in names) + f"{'together':>10}{'goal':>7}")
    for phase, shares in found.items():
        goal = GOALS.get((kind, phase))
        said = "".join(f"{shares[each]:10.1f}" for each in names)
        print(f"{phase:20}{said}{sum(shares.values()):10.1f}{'' if goal is None else f'{goal:.0f}':>7}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bus", default="kafka,embedded", help="which, comma between them")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each phase but learning")
    parser.add_argument("--learn", type=float, default=60.0, help="seconds of learning")
    parser.add_argument("--learnt", type=float, default=90.0, help="seconds until all is learned, not measured")
    parser.add_argument("--warm", type=float, default=60.0, help="seconds in which the broker is warmed first")
    parser.add_argument("--against", type=Path, help="another checkout, measured in turns with this one")
    parser.add_argument("--requests", action="store_true", help="count what the clients ask, by kind")
    asked = parser.parse_args()
    kinds = [kind for kind in asked.bus.split(",") if kind]
    checkouts = {"here": ROOT, **({"there": asked.against.resolve()} if asked.against else {})}
    held = True
    with ExitStack() as stack:
        servers, brokers = "", list[int]()
        if "kafka" in kinds:
            servers, brokers = stack.enter_context(broker_with_pids(KAFKA_OWN))
            if not brokers and os.environ.get(VARIABLE):
                brokers = process_at(servers)
            warm(servers, asked.warm)
            time.sleep(2.0)
            before = cpu_of(brokers)
            time.sleep(5.0)
            print(f"the broker alone takes {100 * (cpu_of(brokers) - before) / 5.0:.1f} % of a core", flush=True)
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lyttepost-bench-")))
        bench = Bench(asked, scratch, servers, brokers)
        for kind in kinds:
            runs: dict[str, list[dict[str, Shares]]] = {name: [] for name in checkouts}
            for turn in range(asked.runs):
                for name, root in list(checkouts.items())[:: 1 if turn % 2 else -1]:
                    runs[name].append(bench.run(kind, root))
            for name, its in runs.items():
                told(kind, name, medians(its))
            found = medians(runs["here"])
            held &= all(sum(found[phase].values()) <= goal for (bus, phase), goal in GOALS.items() if bus == kind)
            if "there" in runs:
                pairs = zip(runs["here"], runs["there"], strict=True)
                ratios = [
                    {phase: sum(a[phase].values()) / sum(b[phase].values()) for phase in PHASES} for a, b in pairs
                ]
                said = ", ".join(f"{phase} {statistics.median(r[phase] for r in ratios):.2f}" for phase in PHASES)
                print(f"{kind}, here against there, medians of the pairs: {said}")
        print(f"load of the machine: {os.getloadavg()[0]:.1f}; the goals are {'held' if held else 'NOT held'}")
    return 0 if held else 1


if __name__ == "__main__":
    with nothing_left():
        sys.exit(main())
