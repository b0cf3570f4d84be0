"""A scenario: JSON lines of posts and commands, each with its time, played by one thread.

    {"do": "start", "at": "2031-03-02T21:00:00Z"}                      where second 0 lies; else at the earliest
    {"data": {"id": …, "text": …, "created_at": …}, "includes": {…}}   a post as X's stream gives it
    {"id": "17", "created_at": …, "text": …, "author": "nordvik_nytt"} a plain one (`shapes.from_plain`)
    {"at": 90, "text": "Blålys ved Fjordby sykehus"}                   a plain one, 90 s after second 0
    {"at": 120, "do": "silence", "seconds": 30}                        a command (`commands.py`) with its parameters

Second 0 is played when the fake starts: instants are moved as a whole, so that a scenario of any year plays now.
What lies before second 0 is there from the start, for search alone. Ids stay as they are.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .commands import BadCommand, Commands, verbs
from .times import Clock, parse_time, wait
from .world import World


class BadScenario(ValueError):
    """The message begins with `file:line:`."""


@dataclass(frozen=True)
class Step:
    """Something at `at` seconds after second 0: a post, or a verb with its parameters. `where` is `file:line`."""

    at: float
    where: str
    post: dict[str, Any] | None = None
    verb: str = ""
    params: dict[str, Any] | None = None


def read_scenario(path: Path | str) -> list[Step]:
    """The steps of a file, by time. Raises BadScenario, OSError."""
    with open(path, encoding="utf-8") as lines:
        return steps_of(lines, str(path))


def steps_of(lines: Iterable[str], name: str = "scenario") -> list[Step]:
    """The steps of JSON lines, by time; of one time, in their order. Raises BadScenario."""
    raw: list[tuple[str, dict[str, Any], float | datetime | None]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            item = json.loads(line)
            if not isinstance(item, dict):
                raise ValueError("a line must be an object")
            raw.append((where, item, _time_of(item)))
            if "do" not in item and not str((item.get("data") or item).get("text", "")):
                raise ValueError("neither a command ('do') nor a post ('text')")
            if "do" in item and item["do"] not in (*verbs(), "start"):
                raise ValueError(f"no such command: {item['do']}; there are: {', '.join(verbs())}")
        except (ValueError, TypeError, AttributeError, RecursionError) as wrong:
            raise BadScenario(f"{where}: {wrong}") from None
    zero = _zero(raw)
    steps = []
    for where, item, at in raw:
        if item.get("do") == "start":
            continue
        if isinstance(at, datetime):
            if zero is None:
                raise BadScenario(f"{where}: an instant, but no second 0 to count from")
            seconds = (at - zero).total_seconds()
        else:
            seconds = at or 0.0
        steps.append(_step(seconds, where, item))
    return sorted(steps, key=lambda step: step.at)


def _time_of(item: dict[str, Any]) -> float | datetime | None:
    at = item.get("at", (item.get("data") or item).get("created_at"))
    if at is None or (isinstance(at, int | float) and not isinstance(at, bool)):
        return at
    return parse_time(str(at))


def _zero(raw: list[tuple[str, dict[str, Any], float | datetime | None]]) -> datetime | None:
    given = [at for _, item, at in raw if item.get("do") == "start" and isinstance(at, datetime)]
    instants = given[:1] or [at for _, _, at in raw if isinstance(at, datetime)]
    return min(instants, default=None)


def _step(seconds: float, where: str, item: dict[str, Any]) -> Step:
    if "do" in item:
        params = {k: v for k, v in item.items() if k not in ("do", "at")}
        return Step(seconds, where, verb=item["do"], params=params)
    return Step(seconds, where, post={k: v for k, v in item.items() if k != "at"})


class Player:
    """Plays steps from the moment `start` is called. `failed` gets a message for a step that will not do."""

    def __init__(
        self, steps: list[Step], world: World, commands: Commands, clock: Clock, failed: Callable[[str], None]
    ) -> None:
        self._steps = steps
        self._world = world
        self._commands = commands
        self._clock = clock
        self._failed = failed
        self.done = threading.Event()
        """Set when the last step is done."""

    def start(self, stopping: threading.Event) -> threading.Thread:
        """What lies before second 0 is published before this returns; the thread plays the rest."""
        zero = self._clock.now()
        past = [s for s in self._steps if s.at < 0]
        for step in past:
            self._play(step, zero, live=False)
        thread = threading.Thread(target=self._run, args=(zero, self._steps[len(past) :], stopping), daemon=True)
        thread.start()
        return thread

    def _run(self, zero: datetime, steps: list[Step], stopping: threading.Event) -> None:
        for step in steps:
            due = zero + timedelta(seconds=step.at)
            left = (due - self._clock.now()).total_seconds()
            if (left > 0 and wait(self._clock, left, stopping)) or stopping.is_set():
                return
            self._play(step, zero, live=True)
        self.done.set()

    def _play(self, step: Step, zero: datetime, *, live: bool) -> None:
        try:
            if step.post is not None:
                self._world.publish(step.post, zero + timedelta(seconds=step.at), live=live)
            else:
                self._commands.do(step.verb, **(step.params or {}))
        except (BadCommand, ValueError, KeyError, TypeError) as wrong:
            self._failed(f"{step.where}: {type(wrong).__name__}: {wrong}")
