"""A script, played: a fake X does its part to whoever connects, and the client is killed and started as it says.

`python -m tests.soak.play --seed 1` plays one hour to our own listener and prints what became of every post, as JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from listener.bus.protocol import Bus, open_bus
from listener.ingest.gaps import ledger
from listener.model.gaps import is_whole
from listener.model.incidents import Action, Command
from listener.model.records import Gap
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from tests.fakes.x import FakeX
from tests.soak.clock import Hand, SharedClock
from tests.soak.judge import Heard, Outcome, judge
from tests.soak.script import OURS, SECOND_TRACK, TRACK, Script, script

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-no-account"
DRAIN = 3600.0
"""Longest time after the script, in seconds of the fake's clock, that a client may take to catch up."""
START_SECONDS = 60.0
"""Real seconds that a client may take to its first connection."""
CRASHES = ("capture.before_publish", "bus.before_commit", "bus.after_commit")


class Client(Protocol):
    """Whoever listens. `down` are the times in which it did not run; `kills` how often it died by our hand."""

    kills: int
    down: list[tuple[datetime, datetime]]

    @property
    def ended(self) -> bool:
        """By itself, for good."""

    def start(self) -> None: ...

    def kill(self, down: float) -> None:
        """`kill -9`; whoever looks after it starts it again after so many seconds of the clock."""

    def restart(self) -> None:
        """A person does it, in order."""

    def track(self, track: str) -> None:
        """From now on this, too."""

    def tend(self) -> None:
        """Called often: what is due for a start is started."""

    def settled(self) -> bool:
        """It will find nothing more."""

    def heard(self) -> Heard: ...

    def stop(self) -> None: ...


class Kept:
    """A process that is looked after: killed by a signal, it is started again. Ended by itself, it stays ended."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path, clock: SharedClock) -> None:
        self._command = command
        self._env = env
        self._log = log
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at: datetime | None = None
        self._fell: datetime | None = None
        self.down: list[tuple[datetime, datetime]] = []
        self.kills = 0
        self.hand = Hand(clock, lambda: self.running)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> bool:
        """By itself, and nobody will start it again."""
        code = None if self._process is None else self._process.poll()
        return code is not None and code >= 0

    def start(self) -> None:
        self.hand.starts()
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(self._command, env=self._environment(), stdout=out, stderr=out, cwd=ROOT)
        self._start_at = None

    def kill(self, down: float) -> None:
        if self._process is None or not self.running:
            return
        self._process.kill()
        self._process.wait()
        self._died(down)

    def restart(self) -> None:
        if self._process is None or not self.running:
            return
        self._fell = self._clock.now()
        self._end()
        self._up_again()

    def tend(self) -> None:
        assert not self.hand.hangs, self._log.read_text(encoding="utf-8")[-2000:]
        if self._start_at is not None:
            if self._clock.now() >= self._start_at:
                self._up_again()
        elif self._process is not None and (self._process.poll() or 0) < 0:
            self._died(0.0)

    def stop(self) -> None:
        self._start_at = None
        self._end()
        self.hand.stop()

    def _died(self, down: float) -> None:
        self.kills += 1
        self._fell = self._clock.now()
        self._start_at = self._fell + timedelta(seconds=down)

    def _up_again(self) -> None:
        self.start()
        self.down.append((self._fell or self._clock.now(), self._clock.now()))

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _environment(self) -> Mapping[str, str]:
        return self._env


class Lyttepost(Kept):
    """Our listener. Some of its starts are laid to die at a named point of the code, around a commit to the bus."""

    def __init__(self, fake: FakeX, clock: SharedClock, moment: Sequence[str], folder: Path, seed: int) -> None:
        ours = {
            "DATA": str(folder / "data"), "PRIVACY__KEY_FILE": str(folder / "keys" / "pseudonym.key"),
            "X__BASE_URL": fake.url, "X__BEARER_TOKEN": TOKEN,
        }  # fmt: skip
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
        env = {**clean, "PYTHONPATH": str(ROOT), **{f"LYTTEPOST_{name}": value for name, value in ours.items()}}
        super().__init__([sys.executable, "-m", "tests.soak.listener", *moment], env, folder / "log.txt", clock)
        (folder / "data").mkdir()
        self._rng = random.Random(seed)
        self._crashes = 2
        self.bus: Bus = open_bus("embedded:", folder / "data", clock)
        self.bus.ensure(topic_specs(1, {}))
        self.incident = self._switch(Action.OPEN, TRACK, name="Brann", lookback=0.0)

    def track(self, track: str) -> None:
        self._switch(Action.CHANGE, track, incident=self.incident)

    def settled(self) -> bool:
        gaps = ledger(self.bus)
        if any(gap.end is None for gap in gaps):
            return False
        # A gap that is filled is searched once more, five minutes after its end.
        since = max((gap.end for gap in gaps if gap.end is not None), default=self._clock.now())
        return all(map(is_whole, gaps)) and self._clock.now() > since + timedelta(seconds=360)

    def heard(self) -> Heard:
        origins: dict[str, list[str]] = {}
        for value in self._values("mentions"):
            if value["type"] == "mention":
                origins.setdefault(value["id"], []).append(value["origin"])
        return Heard(origins, tuple(self.gaps()))

    def gaps(self) -> list[Gap]:
        return ledger(self.bus)

    def stop(self) -> None:
        super().stop()
        self.bus.close()

    def _switch(self, action: Action, *tracks: str, **more: Any) -> str:
        command = Command(action=action, at=self._clock.now(), by="vakt", why="prøve", add=tracks, review_after=1e5,
                          **more)  # fmt: skip
        return "".join(Control(self.bus).append(command).incidents)

    def _values(self, topic: str) -> list[dict[str, Any]]:
        reader = self.bus.reader([topic])
        records = list(itertools.chain.from_iterable(iter(lambda: reader.poll(0.0, 5000), [])))
        reader.close()
        return [json.loads(record.value) for record in records if record.value is not None]

    def _environment(self) -> Mapping[str, str]:
        if self.kills == 0 or self._crashes == 0 or self._rng.random() < 0.4:
            return self._env
        self._crashes -= 1
        return {**self._env, "LYTTEPOST_CRASH": f"{self._rng.choice(CRASHES)}:{self._rng.randint(3, 150)}"}


Make = Callable[[FakeX, SharedClock, Sequence[str], Path, int], Client]


def play(what: Script, folder: Path, make: Make = Lyttepost) -> Outcome:
    """One client's hour. Raises AssertionError for a mistake of the fake's own, and when the client hangs."""
    path, start = folder / "clock", datetime.now(UTC)
    SharedClock.lay(path)
    clock = SharedClock(path, start)
    with FakeX(clock=clock, bearer=TOKEN, keep_alive=10.0, seed=what.seed) as fake:
        client = make(fake, clock, (str(path), start.isoformat()), folder, what.seed)
        try:
            opened = clock.now()
            client.start()
            _wait_for(lambda: bool(fake.streams.open), "the client has connected")
            zero = clock.now()
            added = _play_steps(what, fake, client, clock, zero)
            if not what.refused:
                fake.do("heal")
            until = clock.now() + timedelta(seconds=DRAIN)
            while clock.now() < until and not client.settled() and not (what.refused and _late(clock, until)):
                _rest(client)
            return judge(what, fake, client.heard(), zero, opened, {TRACK: opened, SECOND_TRACK: added}, client)
        finally:
            client.stop()


def _late(clock: SharedClock, until: datetime) -> bool:
    """Where search is refused nothing more will be found: what is found live has come by now."""
    return clock.now() > until - timedelta(seconds=DRAIN - 420)


def _wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {START_SECONDS:.0f} s: {what}"
        time.sleep(0.02)


def _rest(client: Client) -> None:
    client.tend()
    time.sleep(0.005)


def _play_steps(what: Script, fake: FakeX, client: Client, clock: SharedClock, zero: datetime) -> datetime:
    """When the second track was added."""
    added = zero
    for step in what.steps:
        due = zero + timedelta(seconds=step.at)
        while clock.now() < due:
            _rest(client)
        if step.verb not in OURS:
            fake.do(step.verb, **step.params)
        elif step.verb == "kill":
            client.kill(**step.params)
        elif step.verb == "restart":
            client.restart()
        else:
            client.track(SECOND_TRACK)
            added = clock.now()
    while clock.now() < zero + timedelta(seconds=what.seconds):
        _rest(client)
    return added


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3600.0, help="of the fake's clock")
    parser.add_argument("--keep", type=Path, help="keep the listener's folder here, to look into it")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lyttepost-soak-") as scratch:
        folder = wanted.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        outcome = play(script(wanted.seed, wanted.seconds), folder)
    print(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main()
