"""What the register costs: building its view from the bus, and what `lyttepost register` shows of it.

    python -m tests.bench.register [--findings 100000]

Made-up findings of twelve hours, of 30,000 people and 40,000 stories, a few of which spread widely, lie on an embedded
bus in a passing folder. The command is run as a process of its own, so that its start counts; told are seconds of
processor time, which other work on the machine changes less than the clock on the wall. Exit code 1 when a command
takes more than two, or a note, which is held against every post that it might quote, more than one.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alerts.register.view import Register
from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import SystemClock
from listener.model.records import Cue, Finding, Kind, Stance, encode
from listener.model.topics import TOPICS

ROOT = Path(__file__).resolve().parents[2]
BOUND, BOUND_OF_NOTE = 2.0, 1.0
"""Seconds of processor time."""
PEOPLE, STORIES = 30_000, 40_000
THEMES = [
    "relatives_contact",
    "patient_status",
    "appointments",
    "access_visiting",
    "emergency_care",
    "evacuation_transfer",
    "safety_cause",
    "supplies_help",
    "information",
    "waiting",
    "staff_praise",
    "none_of_these",
]
WORDS = ["".join(random.Random(number).choices("abdefgiklmnoprstuvåø", k=7)) for number in range(3000)]
COMMANDS = ((), ("--kind", "wish"), ("--theme", "waiting"), ("--json",), ("--csv", "--limit", "10000"))


def findings(count: int) -> Iterator[Finding]:
    chance = random.Random(1)
    texts = [" ".join(chance.choices(WORDS, k=14)) for _ in range(STORIES)]
    begin = datetime.now(UTC) - timedelta(hours=12)
    for number in range(count):
        story = int(chance.paretovariate(0.6)) % STORIES
        at = begin + timedelta(hours=12) * number / count
        yield Finding(
            source="x", id=str(10**18 + number), at=at, captured_at=at, text=texts[story],
            author=f"p_{chance.randrange(PEOPLE):016d}", incident="brann-0", story=f"{story:016x}",
            cues=(Cue(kind=chance.choice(list(Kind))),), themes=tuple(chance.sample(THEMES, chance.choice((1, 1, 2)))),
            theme_sure=True, stance=Stance.NEUTRAL, language=chance.choice(("nb", "nb", "nn", "en", "und")),
            patient_exposed=chance.random() * 0.6,
        )  # fmt: skip


def publish(bus: Bus, count: int) -> None:
    bus.ensure([TOPICS["findings"]])
    batch: list[Message] = []
    for finding in findings(count):
        batch.append(Message("findings", finding.key, encode(finding)))
        if len(batch) == 5000:
            bus.publish(batch)
            batch = []
    bus.publish(batch)


def processor_time(words: tuple[str, ...], data: Path) -> float:
    """Of one run of the command, in seconds."""
    before = os.times()
    subprocess.run(
        [sys.executable, str(ROOT / "lyttepost.py"), "register", *words, "--data", str(data)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--findings", type=int, default=100_000)
    count = options.parse_args().findings
    slowest = slowest_note = 0.0
    with tempfile.TemporaryDirectory(prefix="lyttepost-") as folder:
        data = Path(folder)
        with closing(open_bus("embedded:", data, SystemClock(), durable=False)) as bus:
            publish(bus, count)
            began = time.process_time()
            with closing(Register(bus, data / "register.sqlite")) as view:
                view.catch_up()
            size = (data / "register.sqlite").stat().st_size / 1e6
            print(f"view built in {time.process_time() - began:.2f} s, {size:.0f} MB")
        for words in COMMANDS:
            took = processor_time(words, data)
            slowest = max(slowest, took)
            print(f"register {' '.join(words):24} {took:.2f} s")
        first, why = str(10**18), "Vi har ringt kommunen og spurt om dette"
        for words in (("note", first, why), ("answer", first, "--verdict", "true", "--words", why)):
            took = processor_time((*words, "--by", "Kari"), data)
            slowest_note = max(slowest_note, took)
            print(f"register {words[0]:24} {took:.2f} s")
    return int(slowest > BOUND or slowest_note > BOUND_OF_NOTE)


if __name__ == "__main__":
    sys.exit(main())
