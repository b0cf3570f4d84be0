"""A scenario: JSON lines of what is said and what is commanded, each with its time, played by one thread.

    {"do": "start", "at": "2031-03-02T21:00:00Z"}      where second 0 lies; else at the earliest instant of the file
    {"at": 90, "text": "Blålys ved Fjordby sykehus"}   something that is said, 90 s after second 0
    {"at": 120, "do": "hang", "on": "posts"}           a command with its parameters
    {"at": "2031-03-02T21:03:00Z", …}                  either of them at an instant

What can be said and commanded is the platform's. Second 0 is played when the fake starts: instants are moved as a
whole, so that a scenario of any year plays now. What lies before second 0 was said before the fake was there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .times import Clock, parse_time, wait

Say = Callable[[dict[str, Any], datetime, bool], Any]
"""What is said, when, and whether the fake is there: False for what lies before second 0."""


class BadScenario(ValueError):
    """The message begins with `file:line:`."""


@dataclass(frozen=True)
class Step:
    """Something at `at` seconds after second 0: what is said (`post`), or a verb and its parameters. `where` is
    `file:line`."""

    at: float
    where: str
    post: dict[str, Any] | None = None
    verb: str = ""
    params: dict[str, Any] | None = None


def time_of(item: dict[str, Any]) -> float | datetime | None:
    """Where a line says it in its `at`: seconds or an instant. Raises ValueError."""
    return as_time(item.get("at"))


def as_time(at: Any) -> float | datetime | None:
    if at is None or (isinstance(at, int | float) and not isinstance(at, bool)):
        return at
    return parse_time(str(at))


def anything(item: dict[str, Any]) -> str | None:
    return None


@dataclass(frozen=True)
class Scenario:
    """How one platform's scenarios are read. `refuses`: why something cannot be said; None: it can."""

    verbs: Sequence[str]
    refuses: Callable[[dict[str, Any]], str | None] = anything
    time_of: Callable[[dict[str, Any]], float | datetime | None] = time_of

    def read(self, path: Path | str) -> list[Step]:
        """The steps of a file, by time. Raises BadScenario, OSError."""
        with open(path, encoding="utf-8") as lines:
            return self.steps_of(lines, str(path))

    def steps_of(self, lines: Iterable[str], name: str = "scenario") -> list[Step]:
        """The steps of JSON lines, by time; of one time, in their order. Raises BadScenario."""
        raw: list[tuple[str, dict[str, Any], float | datetime | None]] = []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{name}:{number}"
            try:
                raw.append((where, *self._item(line)))
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
                at = (at - zero).total_seconds()
            steps.append(_step(at or 0.0, where, item))
        return sorted(steps, key=lambda step: step.at)

    def _item(self, line: str) -> tuple[dict[str, Any], float | datetime | None]:
        item = json.loads(line)
        if not isinstance(item, dict):
            raise ValueError("a line must be an object")
        at = self.time_of(item)
        if "do" not in item and (why := self.refuses(item)):
            raise ValueError(why)
        if "do" in item and item["do"] not in (*self.verbs, "start"):
            raise ValueError(f"no such command: {item['do']}; there are: {', '.join(self.verbs)}")
        return item, at


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
        self, steps: list[Step], say: Say, do: Callable[..., Any], clock: Clock, failed: Callable[[str], None]
    ) -> None:
        self._steps = steps
        self._say = say
        self._do = do
        self._clock = clock
        self._failed = failed
        self.done = threading.Event()
        """Set when the last step is done."""

    def start(self, stopping: threading.Event) -> threading.Thread:
        """What lies before second 0 is said before this returns; the thread plays the rest."""
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
                self._say(step.post, zero + timedelta(seconds=step.at), live)
            else:
                self._do(step.verb, **(step.params or {}))
        except (ValueError, KeyError, TypeError) as wrong:
            self._failed(f"{step.where}: {type(wrong).__name__}: {wrong}")
