"""A third of an hour of Bluesky at its worst: `python -m tests.soak.bluesky --seed 1` prints what became of each post.

Two fake hosts of one network misbehave in an order of the seed's, and the listener, a process of its own that lives
fast, is killed and started again. Then what was deleted is purged, and every byte of the data folder is looked through.
"""

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
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

from alerts.deletions import Deletions
from listener.bus.protocol import TopicPartition, open_bus
from listener.ingest.gaps import ledger
from listener.model.incidents import Action, Command
from listener.model.roles import PURGE
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.settings.schema import Settings
from listener.sources.contract import Follows, LiveSource, source_types
from tests.fakes.bluesky import FakeBluesky, Network, did_of
from tests.fakes.platform import ScaledClock
from tests.soak.clock import SharedClock
from tests.soak.listener import live
from tests.soak.play import CRASHES, ROOT, Kept

SECONDS = 1000.0
DRAIN = 1800.0
TRACK = "granvik"
FIRST = 60.0
"""Seconds before the first fault and between two."""


@dataclass(frozen=True)
class Fault:
    """What happens to hosts (`all` of them, or the one that is read), or `kill`: the listener is down so long."""

    name: str
    verb: str
    params: dict[str, Any] = field(default_factory=dict)
    everywhere: bool = False


FAULTS = (
    Fault("closed", "close"),
    Fault("aborted", "abort"),
    Fault("reset", "cut_streams"),
    Fault("half a frame", "half_frame"),
    Fault("too slow", "too_slow"),
    Fault("mute", "silence", {"seconds": 90, "loses": True}),
    Fault("mute, late", "silence", {"seconds": 40}, everywhere=True),
    Fault("all away", "status", {"status": 503, "on": "subscribe", "seconds": 50}, everywhere=True),
    Fault("limited", "status", {"status": 429, "on": "subscribe", "seconds": 20}, everywhere=True),
    Fault("hangs", "hang", {"hold": 40, "on": "subscribe", "times": 1}),
    Fault("garbage", "garbage_frame"),
    Fault("no UTF-8", "bad_utf8"),
    Fault("unknown kind", "unknown_kind"),
    Fault("huge", "huge", {"size": 6_000_000}),
    Fault("twice", "twice", {"count": 20}),
    Fault("disorder", "swap", {"count": 4}),
    Fault("deaf", "deaf", {"seconds": 30}),
    Fault("other numbers", "renumber", {"first": 7}),
    Fault("kill", "kill", {"down": 2.0}),
    Fault("kill, long", "kill", {"down": 45.0}),
    Fault("kill, at once", "kill", {"down": 0.0}),
    Fault("kill, forgotten", "forget", {"keeps": 15.0, "down": 40.0}),
)
REMEMBERS: Final = Fault("remembers", "keeps", {"seconds": 36 * 3600.0}, everywhere=True)
"""Some time after `forget`: what was said while the listener was down, no host gave any more."""


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


def script(seed: int) -> list[tuple[float, Fault]]:
    """Every fault once, in an order of the seed's; behind those that need a new connection to be met, one is broken."""
    rng = random.Random(seed)
    faults = list(FAULTS)
    rng.shuffle(faults)
    gap = (SECONDS - 2 * FIRST) / len(faults)
    return [(FIRST + number * gap + rng.uniform(0, gap * 0.8), fault) for number, fault in enumerate(faults)]


class Listener(Kept):
    def __init__(
        self, hosts: Sequence[str], clock: SharedClock, moment: Sequence[str], folder: Path, seed: int
    ) -> None:
        ours = {
            "DATA": str(folder / "data"), "PRIVACY__KEY_FILE": str(folder / "keys" / "pseudonym.key"),
            "BLUESKY__ENABLED": "true", "BLUESKY__HOSTS": json.dumps(list(hosts)),
        }  # fmt: skip
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
        env = {**clean, "PYTHONPATH": str(ROOT), **{f"LYTTEPOST_{name}": value for name, value in ours.items()}}
        command = [sys.executable, "-m", "tests.soak.bluesky", "--listen", *moment]
        super().__init__(command, env, folder / "log.txt", clock)
        self._rng, self._crashes = random.Random(seed), 2

    def _environment(self) -> dict[str, str]:
        if self.kills == 0 or self._crashes == 0:
            return dict(self._env)
        self._crashes -= 1
        return {**self._env, "LYTTEPOST_CRASH": f"{self._rng.choice(CRASHES)}:{self._rng.randint(3, 60)}"}


def bluesky(settings: Settings, clock: SharedClock) -> LiveSource:
    source = source_types()["bluesky"].make(settings, clock)
    assert isinstance(source, Follows)
    return source


class People:
    """What is said, changed and deleted meanwhile. Each post about the track has a word of its own."""

    def __init__(self, network: Network, seed: int) -> None:
        self._network = network
        self._rng = random.Random(seed)
        self._count = 0
        self.said: dict[str, str] = {}
        """Uri → its word."""

    def turn(self) -> None:
        draw = self._rng.random()
        alive = [uri for uri in self.said if not self._network.is_gone(uri)]
        if draw < 0.75 or not alive:
            self._count += 1
            word = f"ord{self._rng.getrandbits(40):010x}"
            post = self._network.post(f"{TRACK} {word}", by=self._somebody())
            self.said[post.uri] = word
        elif draw < 0.85:
            uri = self._rng.choice(alive)
            self._network.edit(uri, f"{TRACK} {self.said[uri]} endret {self._rng.randrange(1000)}")
        elif draw < 0.97:
            self._network.delete(self._rng.choice(alive))
        elif draw < 0.98:
            self._network.account(self._somebody())

    def _somebody(self) -> str:
        """Who has an account yet."""
        there = [f"person{n}" for n in range(60) if did_of(f"person{n}") not in self._network.gone]
        return self._rng.choice(there)


def play(seed: int, folder: Path) -> Outcome:
    path, start = folder / "clock", datetime.now(UTC)
    SharedClock.lay(path)
    clock = SharedClock(path, start)
    network = Network(clock)
    out = Outcome(seed, len(FAULTS))
    with (
        FakeBluesky(network=network, clock=clock, chatter=1.0) as east,
        FakeBluesky(network=network, clock=clock, first=500_000, chatter=0) as west,
    ):
        hosts = [east, west]
        (folder / "data").mkdir()
        bus = open_bus("embedded:", folder / "data", clock)
        bus.ensure(topic_specs(1, {}))
        opened = clock.now()
        Control(bus).append(
            Command(action=Action.OPEN, at=opened, by="vakt", why="prøve", name="Brann", add=(TRACK,), review_after=1e5,
                    lookback=0.0)
        )  # fmt: skip
        client = Listener([host.url for host in hosts], clock, (str(path), start.isoformat()), folder, seed)
        people = People(network, seed)
        try:
            client.start()
            _until(lambda: any(host.open for host in hosts), client, 60.0)
            zero, due = clock.now(), script(seed)
            said_at = 0.0
            while (at := (clock.now() - zero).total_seconds()) < SECONDS:
                if at - said_at >= 2.0:
                    said_at = at
                    people.turn()
                while due and due[0][0] <= at:
                    fault = due.pop(0)[1]
                    if fault.verb == "forget":
                        due = sorted([*due, (at + 80.0, REMEMBERS)], key=lambda each: each[0])
                    _happen(fault, hosts, client)
                _rest(client)
            for host in hosts:
                host.do("heal")
            network.post("slutt", by="slutt")
            end = clock.now() + timedelta(seconds=DRAIN)
            _until(lambda: clock.now() > end or _settled(bus, people, network), client, 120.0)
        finally:
            client.stop()
        _judge(out, bus, people, network, client)
        _purge(bus, folder / "data")
        _look(out, bus, people, network, folder / "data")
        bus.close()
    return out


def _happen(fault: Fault, hosts: Sequence[FakeBluesky], client: Listener) -> None:
    if fault.verb in ("kill", "forget"):
        for host in hosts if fault.verb == "forget" else ():
            host.do("keeps", seconds=fault.params["keeps"])
        client.kill(fault.params["down"])
        return
    read = [host for host in hosts if host.open] or list(hosts)
    for host in hosts if fault.everywhere else read[:1]:
        host.do(fault.verb, **fault.params)
        if fault.verb in ("status", "hang", "renumber"):
            host.do("abort")


def _settled(bus: Any, people: People, network: Network) -> bool:
    if any(gap.end is None for gap in ledger(bus)):
        return False
    captured = {value["id"].partition("@")[0] for value in _values(bus) if value["type"] == "mention"}
    there = [uri for uri in people.said if uri not in captured and not network.is_gone(uri)]
    return all(_in_a_gap(bus, network.posts[uri].at) for uri in there) and _named(bus, people, network)


def _in_a_gap(bus: Any, at: datetime) -> bool:
    """It was said in a time that stays a gap."""
    return any(
        gap.start <= at and (gap.end is None or at <= gap.end)
        for gap in ledger(bus)
        if gap.refilled_until is None or gap.end is None or gap.refilled_until < gap.end
    )


def _named(bus: Any, people: People, network: Network) -> bool:
    values = _values(bus)
    held = {value["id"].partition("@")[0] for value in values if value["type"] == "mention"}
    named = {each for value in values if value["type"] == "deletion" for each in value["ids"]}
    return all(uri in named for uri in people.said if network.is_gone(uri) and uri in held)


def _judge(out: Outcome, bus: Any, people: People, network: Network, client: Listener) -> None:
    captured: Counter[str] = Counter(value["id"] for value in _values(bus) if value["type"] == "mention")
    gaps = ledger(bus)
    unfilled = [gap for gap in gaps if gap.refilled_until is None or gap.end is None or gap.refilled_until < gap.end]
    out.kills, out.gaps, out.open_gaps = client.kills, len(gaps), len(unfilled)
    out.causes = sorted({gap.cause for gap in gaps})
    out.twice = sum(count > 1 for count in captured.values())
    out.edits = sum("@" in uri for uri in captured)
    for uri in people.said:
        if captured[uri] or any(each.partition("@")[0] == uri for each in captured):
            out.captured += 1
        elif network.is_gone(uri):
            continue
        elif _in_a_gap(bus, network.posts[uri].at):
            out.in_gaps += 1
        else:
            out.lost += 1
            out.lost_posts.append(f"{uri} {network.posts[uri].at.isoformat()}")
        out.offered += 1


def _purge(bus: Any, folder: Path) -> None:
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


def _look(out: Outcome, bus: Any, people: People, network: Network, folder: Path) -> None:
    held = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    for uri, word in people.said.items():
        if not network.is_gone(uri):
            continue
        if _in_a_gap(bus, _gone_at(network, uri)):
            out.unheard += 1
            continue
        out.deleted += 1
        out.left += word.encode() in held


def _gone_at(network: Network, uri: str) -> datetime:
    """When it was deleted, or its account was."""
    post = network.posts[uri]
    gone = (e.at for e in network.events if e.kind == "account" and e.did == post.did and e.status == "deleted")
    return min(at for at in (post.deleted_at, next(gone, None)) if at is not None)


def _values(bus: Any) -> list[dict[str, Any]]:
    reader = bus.reader(["mentions"])
    records = list(itertools.chain.from_iterable(iter(lambda: reader.poll(0.0, 5000), [])))
    reader.close()
    return [json.loads(record.value) for record in records if record.value is not None]


def _until(condition: Callable[[], bool], client: Listener, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        for _ in range(20):
            _rest(client)


def _rest(client: Listener) -> None:
    client.tend()
    time.sleep(0.005)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="keep the listener's folder here, to look into it")
    parser.add_argument("--listen", nargs=2, metavar=("CLOCK", "START"), help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.listen:
        live(*wanted.listen, bluesky)
        return
    with tempfile.TemporaryDirectory(prefix="lyttepost-soak-") as scratch:
        folder = wanted.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = play(wanted.seed, folder)
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
