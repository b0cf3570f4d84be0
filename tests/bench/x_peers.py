"""The same bad hours at X, for Lyttepost's listener and for those that people use: who loses how many posts?

    python -m tests.bench.x_peers [--seeds 5] [--at-once 2] [--twarc-python /path/to/venv/bin/python]

Each seed is the script of `tests/soak`: every fault the fake X knows, kills among them, one hour of the fake's time.
Whatever is killed is started again; whatever ends by itself stays ended, for nobody was told. Rules that X has lost are
put back by a person after a quarter of an hour, where the client does not see to them itself. The clients:

    lyttepost      our listener, with all its retrying, gaps and searching
    stock tweepy   `StreamingClient.filter()`, as tweepy's documentation shows it
    tweepy loop    the same in `while True`, as everybody ends up writing it
    twarc2         `Twarc2.stream()`, where a python that has twarc is named (it is in no environment of ours)

`lost` are posts that matched and that X would still have given, neither heard nor in a gap that is on record as
unfilled.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.leftovers import nothing_left
from tests.fakes.x import FakeX
from tests.soak.clock import SharedClock
from tests.soak.judge import Heard
from tests.soak.play import ROOT, Kept, Lyttepost, play
from tests.soak.script import TRACK, script

CLIENTS = {"lyttepost": "lyttepost", "stock": "stock tweepy", "loop": "tweepy loop", "twarc": "twarc2"}
CATCH_UP = timedelta(seconds=60)
SEEN_AFTER = timedelta(minutes=15)
"""So long goes it unseen that nothing is heard for want of rules."""


class Peer(Kept):
    """Its rules stand at X before it starts, and a person adds the new one there by hand."""

    def __init__(
        self, kind: str, python: str, fake: FakeX, clock: SharedClock, moment: Sequence[str], folder: Path, seed: int
    ) -> None:
        self._out = folder / "heard.txt"
        self._out.touch()
        self._fake = fake
        command = [python, str(Path(__file__).with_name("x_peer_client.py")), kind, fake.url, str(self._out), *moment]
        super().__init__(command, {**os.environ, "PYTHONPATH": str(ROOT)}, folder / "log.txt", clock)
        self._done_at: datetime | None = None
        self._tracks: list[str] = []
        self._ruled_at = clock.now()
        self.track(TRACK)

    def track(self, track: str) -> None:
        self._tracks.append(track)
        self._add(track)

    def tend(self) -> None:
        super().tend()
        now = self._clock.now()
        if self._fake.world.rules:
            self._ruled_at = now
        elif now > self._ruled_at + SEEN_AFTER:
            for track in self._tracks:
                self._add(track)

    def _add(self, track: str) -> None:
        with self._fake.world.lock:
            self._fake.world.add_rule(track, "peer")

    def settled(self) -> bool:
        self._done_at = self._done_at or self._clock.now()
        return self._clock.now() > self._done_at + CATCH_UP

    def heard(self) -> Heard:
        origins: dict[str, list[str]] = {}
        for line in self._out.read_text(encoding="utf-8").split():
            origins.setdefault(line, []).append("live")
        return Heard(origins)


def hour(kind: str, seed: int, python: str) -> dict[str, Any]:
    make = Lyttepost if kind == "lyttepost" else partial(Peer, kind, python)
    with tempfile.TemporaryDirectory(prefix="lyttepost-bench-") as folder:
        return asdict(play(script(seed), Path(folder), make))


def in_a_process(work: tuple[str, int, str]) -> dict[str, Any]:
    """So that one hour's fake does not wait for another's."""
    kind, seed, python = work
    command = [sys.executable, "-m", "tests.bench.x_peers", "--one", kind, "--seed", str(seed)]
    done = subprocess.run([*command, "--twarc-python", python], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    out: dict[str, Any] = json.loads(done.stdout)
    return out


def row(kind: str, outcomes: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    offered = sum(o["offered"] - o["withdrawn"] for o in outcomes)
    lost = sum(o["lost"] for o in outcomes)
    return (
        CLIENTS[kind],
        str(len(outcomes)),
        str(offered),
        str(sum(o["live"] + o["filled"] for o in outcomes)),
        str(sum(o["in_gaps"] for o in outcomes)),
        str(lost),
        f"{lost / offered:.1%}",
        str(sum(o["twice"] for o in outcomes)),
        str(sum(o["connects"] for o in outcomes)),
        str(max(o["most_connects"] for o in outcomes)),
        f"{sum(o['ended'] for o in outcomes)} of {len(outcomes)}",
    )


HEADINGS = ("client", "hours", "offered", "heard", "in gaps", "lost", "lost", "twice", "connects", "most in 15 min",
            "ended for good")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--twarc-python", default="")
    parser.add_argument("--one", choices=list(CLIENTS), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.one:
        python = wanted.twarc_python if wanted.one == "twarc" else sys.executable
        print(json.dumps(hour(wanted.one, wanted.seed, python)))
        return
    kinds = [kind for kind in CLIENTS if kind != "twarc" or wanted.twarc_python]
    seeds = range(1, 1 + wanted.seeds)
    work = [(kind, seed, wanted.twarc_python) for seed in seeds for kind in kinds]
    with ThreadPoolExecutor(wanted.at_once) as pool:
        found = list(pool.map(in_a_process, work))
    rows: list[tuple[str, ...]] = [HEADINGS]
    rows += [row(kind, [o for (its, *_), o in zip(work, found, strict=True) if its == kind]) for kind in kinds]
    for each in rows:
        print("  ".join(cell.rjust(max(len(r[i]) for r in rows)) for i, cell in enumerate(each)))
    if "twarc" not in kinds:
        print("twarc2: left out, for no python that has it was named (--twarc-python)")


if __name__ == "__main__":
    with nothing_left():
        main()
