"""What browsers that look at the board cost the listener.

    python -m tests.bench.listener_beside_board [--posts 100000] [--browsers 50] [--pairs 3] [--together]

On an embedded bus with made-up findings of 2,000 stories the listener plays a recording as fast as it goes, for an
exercise that is opened once all is up, while nobody looks and while so many browsers do, which load the first page at
each event; something happens once a second. Runs without and with browsers take turns. Told of each are the posts a
second that reach the bus, between the first tenth of them and the last, and the listener's processor time for a
thousand of them; then the median of the pairs' quotients.

Listener and board are processes of their own, so that the processor time is the listener's alone: where the machine has
fewer cores than there is work, posts a second are shared with the browsers of this bench. `--together`: all of
`lyttepost run` in one process, as it comes; then only posts a second can be told. Exit code 1 where the listener takes
a tenth more processor time with browsers than without.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from listener.bus import hashchain
from listener.bus.protocol import Bus, TopicPartition, open_bus
from listener.clock import SystemClock
from listener.model.decisions import DECISIONS, Note
from listener.model.incidents import Action, Command
from listener.model.topics import topic_specs
from listener.runtime.control import Control, Presences, source_states
from listener.runtime.metrics import SourceState
from listener.settings.schema import Settings
from tests.bench.board_load import INCIDENT, PASSWORD, ROOT, Browser, address_in, cpu_seconds, fill, log_in
from tests.bench.leftovers import nothing_left
from tests.bench.register import THEMES
from tests.bench.replay_throughput import TRACKS, lines

STORIES = 2_000
MOST = 1.1
"""Times the processor time of without browsers."""
LOOK_SECONDS = 0.02
LONGEST_SECONDS = 600.0


class Run(NamedTuple):
    posts_a_second: float
    cpu_ms: float
    """Of the listener for a thousand posts; where it is not alone in its process that of all."""
    pages: int


class Happening(threading.Thread):
    """A note once a second, as another process would write it."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(daemon=True)
        self._bus = bus
        self._over = threading.Event()

    def run(self) -> None:
        number = 0
        while not self._over.wait(1.0):
            number += 1
            words = f"vi ser på sak nummer {number}"
            note = Note(at=datetime.now(UTC), by="bench", words=words, incidents=(INCIDENT,), theme=THEMES[0])
            hashchain.append(self._bus, DECISIONS.name, note)

    def end(self) -> None:
        self._over.set()
        self.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--browsers", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--together", action="store_true")
    asked = parser.parse_args()
    with nothing_left(), tempfile.TemporaryDirectory(prefix="lyttepost-bench-") as name:
        recording = Path(name) / "posts.jsonl"
        recording.write_text("\n".join(lines(asked.posts, 0.3, 1)) + "\n", encoding="utf-8")
        pairs = []
        for number in range(asked.pairs):
            order = [0, asked.browsers] if number % 2 == 0 else [asked.browsers, 0]
            runs = {}
            for browsers in order:
                folder = Path(name) / f"{number}-{browsers}"
                runs[browsers] = run = measure(folder, recording, browsers, together=asked.together)
                told = f"{run.posts_a_second:,.0f} posts a second, {run.cpu_ms:.0f} ms of a processor for a thousand"
                print(f"{browsers:>3} browsers: {told}, {run.pages} pages loaded", flush=True)
            pairs.append((runs[0], runs[asked.browsers]))
    rate = statistics.median(beside.posts_a_second / alone.posts_a_second for alone, beside in pairs)
    cost = statistics.median(beside.cpu_ms / alone.cpu_ms for alone, beside in pairs)
    print(f"with {asked.browsers} browsers: {rate:.2f} times the posts a second, {cost:.2f} times the processor time")
    raise SystemExit(int(cost > MOST and not asked.together))


def measure(folder: Path, recording: Path, browsers: int, *, together: bool) -> Run:
    data, clock = folder / "data", SystemClock()
    data.mkdir(parents=True)
    env = {key: value for key, value in os.environ.items() if not key.startswith("LYTTEPOST_")}
    env |= {
        "PYTHONPATH": str(ROOT), "HOME": str(folder), "LYTTEPOST_DATA": str(data), "LYTTEPOST_BOARD__PORT": "0",
        "LYTTEPOST_SOURCES__RECORDING__PATH": str(recording), "LYTTEPOST_SOURCES__RECORDING__SPEED": "max",
    }  # fmt: skip
    command = [sys.executable, str(ROOT / "lyttepost.py")]
    with closing(open_bus("embedded:", data, clock)) as bus, ExitStack() as stack:
        bus.ensure(topic_specs(1, Settings().retention.keep()))
        fill(bus, STORIES)
        adding = [*command, "board", "user", "add", "Kari Prøve", "--role", "crisis_team", "--password-stdin"]
        subprocess.run(adding, input=PASSWORD.encode(), env=env, check=True, capture_output=True)
        roles = [["board"], ["listener"]] if not together else [[]]
        started = [stack.enter_context(running(command, env, its)) for its in roles]
        listener, host = started[-1], address_in(started[0])
        looking = look(host, browsers, stack)
        happening = Happening(bus)
        happening.start()
        stack.callback(happening.end)
        return play(bus, clock, listener, looking)


@contextmanager
def running(command: Sequence[str], env: Mapping[str, str], role: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    words = [word for name in role for word in ("--role", name)]
    # Who has the board says where it is; of the others nobody reads a word.
    its = subprocess.DEVNULL if role == ["listener"] else subprocess.PIPE
    full = [*command, "run", *words, "--port", "0"]
    process = subprocess.Popen(full, env=env, stdout=subprocess.DEVNULL, stderr=its, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def look(host: str, browsers: int, stack: ExitStack) -> list[Browser]:
    """Browsers of which each has loaded the page once."""
    cookie = log_in(host)
    found = [Browser(host, cookie) for _ in range(browsers)]
    for each in found:
        each.start()
        stack.callback(setattr, each, "over", True)
    until = time.monotonic() + LONGEST_SECONDS
    while not all(each.pages for each in found):
        if time.monotonic() > until:
            raise SystemExit("not every browser was served")
        time.sleep(0.1)
    return found


def play(bus: Bus, clock: SystemClock, listener: subprocess.Popen[str], looking: Sequence[Browser]) -> Run:
    """From the opening of an exercise to the end of its recording."""
    mentions, presences = TopicPartition("mentions", 0), Presences(bus, clock)
    before, used = sum(len(each.pages) for each in looking), cpu_seconds(listener.pid)
    command = Command(
        action=Action.OPEN, at=datetime.now(UTC), by="bench", why="a measurement", name="Fart", add=TRACKS,
        review_after=14_400, exercise=True,
    )  # fmt: skip
    Control(bus).append(command)
    seen: list[tuple[float, int]] = []
    until = time.monotonic() + LONGEST_SECONDS
    while True:
        end = bus.end_offset(mentions)
        if not seen or end != seen[-1][1]:
            seen.append((time.monotonic(), end))
        states = source_states(presences.refresh())
        if states.get("recording", {}).get("state") == SourceState.FINISHED:
            break
        if time.monotonic() > until:
            raise SystemExit("the recording did not come to its end")
        time.sleep(LOOK_SECONDS)
    used = cpu_seconds(listener.pid) - used
    (_, first), (_, last) = seen[0], seen[-1]
    count = last - first
    middle = [(at, end) for at, end in seen if first + count * 0.1 <= end <= first + count * 0.9]
    (began, begin), (over, end) = middle[0], middle[-1]
    pages = sum(len(each.pages) for each in looking) - before
    return Run((end - begin) / (over - began), used / count * 1e6, pages)


if __name__ == "__main__":
    main()
