"""A deployment over Kafka on this machine: a process for each part, and what each took of the processor."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from listener.bus.protocol import Bus, open_bus
from listener.clock import SystemClock
from listener.model.incidents import Action, Command
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from tests.bench.kafka_pipeline.x import PROBE, TOKEN, TRACK, X

ROOT = Path(__file__).parents[3]
PARTITIONS = 4
PATIENCE = 60.0
NOW, EARLY, LATER = "probe-now", "probe-early", "probe-later"
_WINDOWED = f"""\
  type: frequency
  why: a bench measures it
  severity: info
  filter: {{track: {PROBE}}}
  query_key: hashtag
  num_events: 1
  timeframe: 1m
"""
RULES = f"""\
- {{name: {NOW}, type: any, why: a bench measures it, severity: info, filter: {{track: {PROBE}}}, query_key: hashtag}}
- name: {EARLY}
{_WINDOWED}- name: {LATER}
  eager: false
{_WINDOWED}"""
PEOPLE = """\
people: {console: {ways: [{channel: console}]}}
routes: {duty: [console], crisis_team: [console], ops: [console], fallback: [console]}
grouping: {by: [rule, key], wait: 0s, interval: 5m}
brake: {pages: 1000, within: 1s}
repeat_every: {critical: 1h, warning: 1h, info: 1h}
ack_timeout: 1h
"""
"""Whoever is told is told of each alert by itself, without any wait: what is measured is the pipeline."""


@dataclass
class KafkaDeployment:
    bus: Bus
    stages: Mapping[str, Sequence[int]]
    """Stage → the ids of its processes."""

    def cpu(self) -> dict[str, float]:
        """Seconds of the processor so far, by stage."""
        return {stage: cpu_of(pids) for stage, pids in self.stages.items()}


def cpu_of(pids: Sequence[int]) -> float:
    """Seconds of the processor that these processes took so far."""
    return sum(map(_cpu, pids))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def environment(folder: Path, x: X, root: Path = ROOT, **more: str) -> dict[str, str]:
    """What a process of a deployment in `folder`, which hears this X by the code of `root`, has in its environment;
    `more`: settings, by their names without `LYTTEPOST_`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
    ours = {
        "CONFIG": str(folder / "config"), "DATA": str(folder / "data"),
        "X__BASE_URL": x.url, "X__BEARER_TOKEN": TOKEN, "PRIVACY__KEY_FILE": str(folder / "keys" / "pseudonym.key"),
        **more,
    }  # fmt: skip
    return {**clean, "PYTHONPATH": str(root), **{f"LYTTEPOST_{name}": value for name, value in ours.items()}}


def opening(at: datetime, *add: str) -> Command:
    """Of an incident that is not looked back on and asks for no review."""
    return Command(
        action=Action.OPEN, at=at, by="bench", why="bench", name="Bench", add=add, lookback=0.0, review_after=1e5
    )


def end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """In good order; who does not end within ten seconds is killed."""
    processes = list(processes)
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running(
    folder: Path,
    url: str,
    x: X,
    annotators: int,
    brokers: Sequence[int],
    more: Sequence[tuple[str, str]] = (),
    people: str = "",
) -> Iterator[KafkaDeployment]:
    """An incident is open, X is connected, and all parts follow. `more` are roles, with names, beside those of the way
    to an alert; `people`: what people.yaml holds, if not what comes with the program. On the embedded bus one process
    is all of them."""
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    (config / "rules" / "bench.yaml").write_text(RULES, encoding="utf-8")
    if people:
        (config / "people.yaml").write_text(people, encoding="utf-8")
    env = environment(folder, x, BUS__URL=url, BUS__PARTITIONS=str(PARTITIONS))
    (folder / "data").mkdir(mode=0o700)
    roles = [("listener", ""), ("judge", ""), *(("annotate", f"a{n}") for n in range(annotators)), *more]
    if url.startswith("embedded:"):
        roles = [("all", "")]
    processes: list[tuple[str, subprocess.Popen[bytes]]] = []
    with closing(open_bus(url, folder / "data", SystemClock())) as bus:
        bus.ensure(topic_specs(PARTITIONS, {}))
        Control(bus).append(opening(datetime.now(UTC), TRACK, PROBE))
        try:
            for role, name in roles:
                processes.append((role, _start(role, name, env, folder)))
            _await(folder, x, processes)
            stages: dict[str, list[int]] = {"broker": list(brokers)} if brokers else {}
            for role, process in processes:
                stages.setdefault(role, []).append(process.pid)
            yield KafkaDeployment(bus, stages)
        finally:
            end(process for _, process in processes)


def _start(role: str, name: str, env: Mapping[str, str], folder: Path) -> subprocess.Popen[bytes]:
    words = ["run", "--role", role, "--port", "0", *(["--name", name] if name else [])]
    with _log(folder, role, name).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", "import lyttepost; lyttepost.main()", *words],
            env=dict(env), cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip


def _log(folder: Path, role: str, name: str) -> Path:
    return folder / f"log-{role}{name}.txt"


def _await(folder: Path, x: X, processes: Sequence[tuple[str, subprocess.Popen[bytes]]]) -> None:
    until = time.monotonic() + PATIENCE
    while x.connected() == 0:
        dead = [role for role, process in processes if process.poll() is not None]
        if dead or time.monotonic() > until:
            for log in sorted(folder.glob("log-*.txt")):
                print(f"--- {log.name}\n{log.read_text(encoding='utf-8')[-2000:]}", file=sys.stderr)
            sys.exit(f"not started: {', '.join(dead) or 'the stream'}")
        time.sleep(0.1)
