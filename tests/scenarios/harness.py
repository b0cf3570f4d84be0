"""A deployment on this machine: real processes on one data folder, and what they left on the bus.

Recordings are written here too: an invented crisis at an invented hospital, in which every post bears a word of its
own, so that a search in the bytes of a file finds any of them.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import forked

from listener.bus.protocol import Bus, Record, open_bus
from listener.clock import SystemClock
from listener.settings.kafka import KafkaSettings

ROOT = forked.ROOT
START = datetime(2031, 2, 3, 18, 0, tzinfo=UTC)
TRACK = "granvik"
START_SECONDS = SETTLED_SECONDS = 120.0
"""How long a process may take to start, and a recording to be played and judged: that is the machine's business. What
has to be prompt says so in its test."""
COMMAND_SECONDS = 60.0
UNMATCHED = 17
"""Every so many posts one speaks of something else."""

SAYINGS = (
    "Det brenner i Granvik sykehus, jeg står utenfor og ser røyk fra taket",
    "Kan sykehuset i Granvik sette opp en telefon for pårørende?",
    "Visstnok er strømmen borte på operasjonsstua i Granvik, har hørt det fra en nabo",
    "Noen som vet om legevakta i Granvik er åpen?",
    "Granvik burde hatt bedre brannvern, dette er uforsvarlig",
    "Tenker på alle i Granvik i kveld #granvikbrann",
    "Vi trenger tepper og vann ved skolen i Granvik #granvikhjelp",
    "Is the emergency room in Granvik open tonight?",
)


@dataclass(frozen=True)
class Recording:
    """A file of recorded posts, and what a run must make of it."""

    path: Path
    ids: tuple[str, ...]
    matching: tuple[str, ...]
    duplicates: int
    garbage: int

    @property
    def keys(self) -> list[str]:
        return sorted(f"recording:{id_}" for id_ in self.matching)


def word(number: int) -> str:
    """The word that post `number` alone bears."""
    return f"særord{number:06d}q"


def post(number: int, at: datetime, text: str, **more: Any) -> dict[str, Any]:
    author = number * 7919 % 900
    return {
        "id": str(10_000_000 + number),
        "created_at": at.isoformat().replace("+00:00", "Z"),
        "text": f"{text} {word(number)}",
        "author_id": f"990077{author:06d}",
        "username": f"bruker_{author}",
        "followers": 250_000 if author < 4 else author * 20,
        **more,
    }


def write_recording(path: Path, posts: int = 1600, *, seed: int = 1, seconds: float = 10_800) -> Recording:
    """So many posts over `seconds`, unevenly; with reposts, ids seen twice, and lines that are no posts."""
    rng = random.Random(seed)
    times = sorted(rng.betavariate(1.2, 1.8) * seconds for _ in range(posts))
    lines: list[str] = []
    ids: list[str] = []
    matching: list[str] = []
    duplicates = garbage = 0
    for number, after in enumerate(times):
        at = START + timedelta(milliseconds=round(after * 1000))
        if number % UNMATCHED == UNMATCHED - 1:
            said = post(number, at, "Fin tur på ski i dag")
        elif number > 20 and rng.random() < 0.2:
            first = rng.randrange(max(0, number - 200), number)
            text = f"RT @bruker_{first % 900}: {rng.choice(SAYINGS)}"
            said = post(number, at, text, repost_of=str(10_000_000 + first))
        else:
            said = post(number, at, rng.choice(SAYINGS))
        ids.append(said["id"])
        if number % UNMATCHED != UNMATCHED - 1:
            matching.append(said["id"])
        lines.append(json.dumps(said, ensure_ascii=False))
        if rng.random() < 0.02:
            lines.append(json.dumps(said, ensure_ascii=False))
            duplicates += 1
        if rng.random() < 0.01:
            lines.append(rng.choice(['{"id": "1", "text": ', "granvik ingen json", '{"id": "5", "text": "granvik"}']))
            garbage += 1
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Recording(path, tuple(ids), tuple(matching), duplicates, garbage)


@dataclass
class Running:
    """`lyttepost run`, started and ready to be asked."""

    process: subprocess.Popen[bytes] | forked.Forked
    log: Path
    port: int

    def get(self, path: str) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the series that bear these labels."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                total += float(value)
        return total

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def terminate(self) -> tuple[int, float]:
        """SIGTERM: the exit code, and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(15)
        return code, time.monotonic() - began

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


def own_configuration(folder: Path) -> None:
    """A copy of ours in which each alert is told by itself: nobody waits for what may join it."""
    shutil.copytree(ROOT / "config", folder)
    with (folder / "people.yaml").open("a", encoding="utf-8") as people:
        people.write("\ngrouping: {by: [alert]}\n")


@dataclass
class Deployment:
    """One data folder with what belongs to it. `settings` are environment variables without their prefix."""

    home: Path
    recording: Path | None = None
    speed: str = "720"
    settings: dict[str, str] = field(default_factory=dict)
    data: Path = Path()
    key: Path = Path()
    entry: tuple[str, ...] = ()
    """What is run instead of a fork of the program (`forked`). `LYTTEPOST` is its own start, as a person's."""
    running: list[Running] = field(default_factory=list)
    kafka: KafkaSettings | None = None
    """How the tests themselves read its bus; `settings` say it to the program."""

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        if self.data == Path():
            self.data = self.home / "data"
        if not (self.entry or forked.CAN_FORK):
            self.entry = LYTTEPOST
        if self.key == Path():
            self.key = self.home / "keys" / "pseudonym.key"

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        if "CONFIG" not in self.settings:
            self.configure()
        ours = {"PRIVACY__KEY_FILE": str(self.key), **self.settings}
        if self.recording is not None:
            ours |= {"SOURCES__RECORDING__PATH": str(self.recording), "SOURCES__RECORDING__SPEED": self.speed}
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
        named = {"LYTTEPOST_BOARD": "null"} | {f"LYTTEPOST_{name}": value for name, value in ours.items()}
        return {**clean, "PYTHONPATH": str(ROOT), **named, **(more or {})}

    def command(self, *args: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """A command of the command line on this folder, to its end."""
        args = (*args, "--data", str(self.data))
        if not self.entry:
            return forked.command(args, self.environment(env), self.home, COMMAND_SECONDS)
        return subprocess.run(
            [*self.entry, *args],
            env=self.environment(env), capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
            cwd=self.home,
        )  # fmt: skip

    def start(self, *args: str, env: Mapping[str, str] | None = None, wait: bool = True) -> Running:
        """`lyttepost run`; with `wait`, until its web port answers."""
        log = self.home / f"log-{len(self.running) + 1}.txt"
        with log.open("wb") as out:
            running = Running(self._begin(("run", "--port", "0", "--data", str(self.data), *args), env, out), log, 0)
        process = running.process
        self.running.append(running)
        if wait:
            until(
                lambda: "metrics and health at" in running.said or process.poll() is not None,
                START_SECONDS,
                "it starts",
            )
            assert process.poll() is None, running.said
            running.port = int(running.said.partition("metrics and health at http://127.0.0.1:")[2].partition(" ")[0])
        return running

    def _begin(
        self, args: Sequence[str], env: Mapping[str, str] | None, out: IO[bytes]
    ) -> subprocess.Popen[bytes] | forked.Forked:
        if not self.entry:
            return forked.Forked(args, self.environment(env), self.home, out, out)
        return subprocess.Popen(
            [*self.entry, *args], env=self.environment(env), stdout=out, stderr=subprocess.STDOUT, cwd=self.home
        )

    def configure(self, **files: str) -> Path:
        """A configuration of its own: a copy of ours, with some files instead of those that are there."""
        folder = self.home / "config"
        if not folder.exists():
            own_configuration(folder)
            self.settings["CONFIG"] = str(folder)
        for name, content in files.items():
            (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
        return folder

    def mode(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.command("mode", "--json").stdout)
        return said

    def source(self) -> dict[str, Any]:
        """What the listener says of its recording."""
        said: dict[str, Any] = self.mode()["sources"].get("recording", {})
        return said

    def exercise(self, name: str = "Øvelse Granvik", *more: str) -> None:
        done = self.command("mode", "crisis", "--name", name, "--track", TRACK, "--exercise", "--why", "prøve",
                            "--no-wait", *more)  # fmt: skip
        assert done.returncode == 0, done.stderr

    @contextmanager
    def bus(self) -> Iterator[Bus]:
        bus = open_bus(self.settings.get("BUS__URL", "embedded:"), self.data, SystemClock(), kafka=self.kafka)
        try:
            yield bus
        finally:
            bus.close()

    def records(self, topic: str) -> list[Record]:
        with self.bus() as bus:
            return read_all(bus, topic)

    def values(self, topic: str, type_: str | None = None) -> list[dict[str, Any]]:
        """The records of a topic that have a value, as JSON; of one type only, if it is named."""
        return _values(self.records(topic), type_)

    def settled(self) -> bool:
        """The recording was played to its end, and all that it caused is judged."""
        with self.bus() as bus:
            try:
                if any({**bus.lag("annotate"), **bus.lag("judge")}.values()):
                    return False  # to read all that was heard takes longer
                ticks = [r for r in read_all(bus, "mentions") if r.key == "recording:tick"]
                lags = {**bus.lag("annotate"), **bus.lag("judge")}
            except Exception:
                return False
        return bool(ticks) and json.loads(ticks[-1].value or b"{}").get("final", False) and not any(lags.values())

    def sent(self) -> set[str]:
        """The alerts of which it is written down that an alert was sent."""
        alerts = {a["id"] for a in self.values("alerts")}
        return alerts & {d["alert"] for d in self.values("deliveries") if d.get("outcome") == "sent"}

    def wait_until_settled(self, seconds: float = SETTLED_SECONDS) -> None:
        until(self.settled, seconds, "the recording is played and judged", every=0.25)


LYTTEPOST = (sys.executable, "-c", "import lyttepost; lyttepost.main()")


def until(condition: Callable[[], bool], seconds: float, what: str, every: float = 0.05) -> None:
    """Wait for something that another process does. Fails by saying what did not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(every)


def read_all(bus: Bus, topic: str) -> list[Record]:
    reader = bus.reader([topic])
    out: list[Record] = []
    while records := reader.poll(0.0, 5000):
        out += records
    reader.close()
    return out


def _values(records: list[Record], type_: str | None) -> list[dict[str, Any]]:
    values = []
    for record in records:
        with suppress(ValueError):
            values.append(json.loads(record.value or b""))
    # That an incident was opened is no alert, and differs with the time of day at which a test runs.
    values = [value for value in values if isinstance(value, dict) and value.get("rule_type") != "notice"]
    return [value for value in values if type_ is None or value.get("type") == type_]


@dataclass(frozen=True)
class Outcome:
    """What a run left on the bus, as far as it must not depend on how often it was interrupted."""

    mentions: Counter[str]
    findings: dict[str, str]
    alerts: dict[str, list[str]]
    """Rule → what it said, in order. Between rules the order is that of hearing."""
    deadletters: Counter[str]
    volumes: dict[str, int]

    def to_json(self) -> str:
        return json.dumps(vars(self))

    @classmethod
    def from_json(cls, text: str) -> Outcome:
        said = json.loads(text)
        counters = {name: Counter(said[name]) for name in ("mentions", "deadletters")}
        return cls(**{**said, **counters})


def outcome(deployment: Deployment) -> Outcome:
    return outcome_of(deployment.records)


def _place(where: str) -> str:
    """Each worker of a run has the recording in a folder of its own."""
    return Path(where).name if where.startswith("/") else where


def outcome_of(records: Callable[[str], list[Record]]) -> Outcome:
    """`records` gives those of a topic."""

    def values(topic: str, type_: str | None = None) -> list[dict[str, Any]]:
        return _values(records(topic), type_)

    findings = {}
    times: Counter[str] = Counter()
    for value in values("findings", "finding"):
        key = f"{value['incident']}:{value['source']}:{value['id']}"
        times[key] += 1
        kept = {name: said for name, said in value.items() if name != "captured_at"}
        findings[f"{key}#{times[key]}"] = json.dumps(kept, sort_keys=True)
    volumes: Counter[str] = Counter()
    for value in values("volumes", "volume"):
        volumes[f"{value['track']}@{value['minute']}"] += value["count"]
    alerts: dict[str, list[str]] = {}
    for value in values("alerts"):
        if value.get("settled") is False:
            continue  # an earlier word of what is settled: whether it was said depends on when each post came
        kept = {name: said for name, said in value.items() if name != "found_at"}
        alerts.setdefault(value["rule"], []).append(json.dumps(kept, sort_keys=True, ensure_ascii=False))
    return Outcome(
        mentions=Counter(f"{v['source']}:{v['id']}" for v in values("mentions", "mention")),
        findings=findings,
        alerts=alerts,
        deadletters=Counter(_place(value["where"]) for value in values("deadletters")),
        volumes=dict(volumes),
    )


def files_with(folder: Path, needles: Sequence[str]) -> list[tuple[str, str]]:
    """(file, needle) for each of the words that stands in the bytes of a file below `folder`."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        found += [(path.name, needle) for needle in needles if needle.encode() in content]
    return found
