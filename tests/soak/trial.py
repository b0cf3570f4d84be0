"""What the trials of networks share: faults in an order of the seed's, a listener that is killed and started again, and
what became of each post that was said, changed or deleted meanwhile."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from alerts.deletions import Deletions
from listener.bus.protocol import Bus, TopicPartition, open_bus
from listener.ingest.gaps import ledger
from listener.model.gaps import is_whole
from listener.model.incidents import Action, Command
from listener.model.records import Gap
from listener.model.roles import PURGE
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.settings.schema import Settings
from listener.sources.contract import LiveSource
from tests.fakes.platform import ScaledClock
from tests.soak.clock import SharedClock
from tests.soak.listener import live
from tests.soak.play import CRASHES, ROOT, Kept

SECONDS = 1000.0
DRAIN = 1800.0
TRACK = "granvik"
FIRST = 60.0
"""Seconds before the first fault and between two."""
WRITTEN = timedelta(seconds=30)
"""By then a listener has written down what it was told, however busy its machine is; in real time a quarter second."""
TURN = 2.0
"""Seconds between two things that are said."""


@dataclass(frozen=True)
class Fault:
    """What happens to hosts (`everywhere`, or to one of them), or `kill`: the listener is down so long."""

    name: str
    verb: str
    params: dict[str, Any] = field(default_factory=dict)
    everywhere: bool = False


Later = tuple[float, Fault]
"""What a fault is followed by, and how many seconds after it."""


@dataclass
class Outcome:
    seed: int
    faults: int
    kills: int = 0
    offered: int = 0
    captured: int = 0
    in_gaps: int = 0
    twice: int = 0
    lost: int = 0
    deleted: int = 0
    left: int = 0
    """Deleted posts whose words are in a byte of the data folder after the purge."""
    unheard: int = 0
    """Posts that were deleted in a time that stays a gap."""
    edits: int = 0
    gaps: int = 0
    open_gaps: int = 0
    lost_posts: list[str] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)


class World(Protocol):
    """The truth: what was said. Ids are those under which posts lie on the bus."""

    said: Mapping[str, str]
    """Id → a word that stands in this post alone."""

    def is_gone(self, id_: str) -> bool: ...

    def at(self, id_: str) -> datetime:
        """When it was said."""

    def gone_at(self, id_: str) -> datetime:
        """When it was deleted."""


def in_order(faults: Sequence[Fault], seed: int) -> list[tuple[float, Fault]]:
    """Every fault once, in an order of the seed's."""
    rng = random.Random(seed)
    shuffled = list(faults)
    rng.shuffle(shuffled)
    gap = (SECONDS - 2 * FIRST) / len(shuffled)
    return [(FIRST + number * gap + rng.uniform(0, gap * 0.8), fault) for number, fault in enumerate(shuffled)]


class Listener(Kept):
    """`module`: the trial's, which is called once more to listen; `ours`: its settings."""

    def __init__(self, module: str, ours: Mapping[str, str], clock: SharedClock, moment: Sequence[str], folder: Path,
                 seed: int) -> None:  # fmt: skip
        its = {
            "DATA": str(folder / "data"), "PRIVACY__KEY_FILE": str(folder / "keys" / "pseudonym.key"), **ours,
        }  # fmt: skip
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
        env = {**clean, "PYTHONPATH": str(ROOT), **{f"LYTTEPOST_{name}": value for name, value in its.items()}}
        command = [sys.executable, "-m", module, "--listen", *moment]
        super().__init__(command, env, folder / "log.txt", clock)
        self._rng, self._crashes = random.Random(seed), 2

    def _environment(self) -> dict[str, str]:
        if self.kills == 0 or self._crashes == 0:
            return dict(self._env)
        self._crashes -= 1
        return {**self._env, "LYTTEPOST_CRASH": f"{self._rng.choice(CRASHES)}:{self._rng.randint(3, 60)}"}


@dataclass
class Stage:
    """Where a trial takes place: its clock, the moment that other processes are told, the bus, and the folder."""

    clock: SharedClock
    moment: tuple[str, str]
    folder: Path
    bus: Bus

    @property
    def data(self) -> Path:
        return self.folder / "data"


@contextmanager
def stage(folder: Path, clock: SharedClock, moment: tuple[str, str], track: str = TRACK) -> Iterator[Stage]:
    """A bus of its own, with an incident that is open."""
    (folder / "data").mkdir()
    bus = open_bus("embedded:", folder / "data", clock)
    bus.ensure(topic_specs(1, {}))
    Control(bus).append(
        Command(action=Action.OPEN, at=clock.now(), by="vakt", why="prøve", name="Brann", add=(track,),
                review_after=1e5, lookback=0.0)
    )  # fmt: skip
    try:
        yield Stage(clock, moment, folder, bus)
    finally:
        bus.close()


def laid_clock(folder: Path) -> tuple[SharedClock, tuple[str, str]]:
    """A clock that several processes share, and by what another finds it."""
    path, start = folder / "clock", datetime.now(UTC)
    SharedClock.lay(path)
    return SharedClock(path, start), (str(path), start.isoformat())


# --- what became of it ---------------------------------------------------------------------------------------------


def settled(bus: Bus, world: World) -> bool:
    """All was captured or lies in a gap, no gap lasts, and each deletion of what is held was named."""
    gaps = ledger(bus)
    if any(gap.end is None for gap in gaps):
        return False
    held = _held(bus)
    there = [id_ for id_ in world.said if id_ not in held and not world.is_gone(id_)]
    named = {each for value in values(bus) if value["type"] == "deletion" for each in value["ids"]}
    return all(in_a_gap(gaps, world.at(id_)) for id_ in there) and all(
        id_ in named for id_ in world.said if world.is_gone(id_) and id_ in held
    )


def in_a_gap(gaps: Sequence[Gap], at: datetime) -> bool:
    """It was said in a time that stays a gap."""
    return any(g.start <= at and (g.end is None or at <= g.end) for g in gaps if not is_whole(g))


def judge(out: Outcome, bus: Bus, world: World, kills: int) -> None:
    found = [value for value in values(bus) if value["type"] == "mention"]
    captured: Counter[str] = Counter(value["id"] for value in found)
    gaps, held = ledger(bus), _held(bus)
    out.kills, out.gaps, out.open_gaps = kills, len(gaps), sum(not is_whole(gap) for gap in gaps)
    out.causes = sorted({gap.cause for gap in gaps})
    out.twice = sum(count > 1 for count in captured.values())
    out.edits = sum(bool(value.get("edits")) for value in found)
    for id_ in world.said:
        if id_ in held:
            out.captured += 1
        elif world.is_gone(id_):
            continue
        elif in_a_gap(gaps, world.at(id_)):
            out.in_gaps += 1
        else:
            out.lost += 1
            out.lost_posts.append(f"{id_} {world.at(id_).isoformat()}")
        out.offered += 1


def purge(bus: Bus, folder: Path) -> None:
    """As the service does it: by the worker, until it has read everything."""
    clock = ScaledClock(20.0)
    worker = Deletions(
        bus, folder, clock=clock, metrics=Metrics(CollectorRegistry(), "0"), part=Health(clock).part("purge")
    )
    end, deadline = bus.end_offset(TopicPartition("mentions", 0)), time.monotonic() + 60
    while bus.lag(PURGE).get(TopicPartition("mentions", 0), end) and time.monotonic() < deadline:
        worker.step(0.0)
        time.sleep(0.01)
    worker.close()


def look(out: Outcome, bus: Bus, world: World, folder: Path, *, told: bool = False) -> None:
    """Every byte of the folder is looked through for words of what was deleted. `told`: what was deleted in a time that
    stays a gap counts too, for the source finds it out afterwards."""
    held = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    gaps = ledger(bus)
    for id_, word in world.said.items():
        if not world.is_gone(id_):
            continue
        if not told and in_a_gap(gaps, world.gone_at(id_)):
            out.unheard += 1
            continue
        out.deleted += 1
        out.left += word.encode() in held


def values(bus: Bus) -> list[dict[str, Any]]:
    reader = bus.reader(["mentions"])
    records = list(itertools.chain.from_iterable(iter(lambda: reader.poll(0.0, 5000), [])))
    reader.close()
    return [json.loads(record.value) for record in records if record.value is not None]


def _held(bus: Bus) -> set[str]:
    """Posts that were captured in any version, by the platform's id."""
    found = (value for value in values(bus) if value["type"] == "mention")
    return {value["edits"][0] if value.get("edits") else value["id"] for value in found}


def early_calls(early: Sequence[tuple[datetime, datetime]], down: Sequence[tuple[datetime, datetime]]) -> int:
    """Calls before the time told, but for those of a listener that was killed before it can have written down what it
    was told. `early`: when that was said last, and when it called all the same; `down`: when it fell and was up again.
    """
    fell = [at for at, _ in down]
    return sum(not any(told <= at <= min(told + WRITTEN, called) for at in fell) for told, called in early)


# --- time passes ---------------------------------------------------------------------------------------------------


def until(condition: Callable[[], bool], client: Listener, seconds: float) -> None:
    """Real seconds."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        for _ in range(20):
            rest(client)


def rest(client: Listener) -> None:
    client.tend()
    time.sleep(0.005)


def played(
    clock: SharedClock,
    script: Sequence[tuple[float, Fault]],
    client: Listener,
    turn: Callable[[], None],
    happen: Callable[[Fault], Later | None],
) -> None:
    """The trial's time passes: every two seconds something is said, and each fault happens when it is due. What
    `happen` answers happens so many seconds after it. `script`: in the order of its times."""
    zero, due, said_at = clock.now(), list(script), 0.0
    while (at := (clock.now() - zero).total_seconds()) < SECONDS:
        if at - said_at >= TURN:
            said_at = at
            turn()
        while due and due[0][0] <= at:
            later = happen(due.pop(0)[1])
            if later is not None:
                due = sorted([*due, (at + later[0], later[1])], key=lambda each: each[0])
        rest(client)


def drained(clock: SharedClock, condition: Callable[[], bool], client: Listener) -> None:
    """Until all is done, or long after."""
    end = clock.now() + timedelta(seconds=DRAIN)
    until(lambda: clock.now() > end or condition(), client, 120.0)


def main(about: str, play: Callable[[int, Path], Outcome], make: Callable[[Settings, SharedClock], LiveSource]) -> None:
    """The trial as a command: one seed, or (`--listen`) the listener of one."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep the listener's folder here, to look into it")
    parser.add_argument("--listen", nargs=2, metavar=("CLOCK", "START"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.listen:
        live(*wanted.listen, make)
        return
    with tempfile.TemporaryDirectory(prefix="lyttepost-soak-") as scratch:
        folder = wanted.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = play(wanted.seed, folder)
    print(json.dumps(asdict(outcome)))
