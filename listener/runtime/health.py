"""Is the process alive, and can it do its job? Each part says so itself; `/healthz` and `/readyz` read it here.

*Alive*: every loop turns. A process that is not alive is to be restarted. *Ready*: every part can do its job. A
process that is not ready needs a person, or time; restarting it does not help.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from listener.clock import Clock

TURNS_WITHIN = 30.0
"""Seconds: longer than any honest turn of a loop, shorter than anybody's patience."""
IN_ONE_PIECE = 3600.0
"""Seconds for work that `Part.takes` is told of: what was dropped is removed from a file of many gigabytes."""


class Part:
    """What one part of the process says of itself. Made by `Health.part`; safe to use from any thread."""

    def __init__(self, health: Health, name: str, turns_within: float | None) -> None:
        self._health = health
        self.name = name
        self.turns_within = turns_within
        self.turned_at = health.clock.monotonic()
        self.turned = turns_within is None
        self._allowed = 0.0
        self.reason: str | None = None

    def beat(self) -> None:
        """Its loop turned."""
        self.turned_at = self._health.clock.monotonic()
        self.turned = True

    @contextmanager
    def takes(self, seconds: float) -> Iterator[None]:
        """Within it one turn may last so long: work in one piece that cannot say that it goes on, such as a file that
        is written anew. Without it that would pass for a loop that hangs, be ended with the process, and begun again.
        """
        before, self._allowed = self._allowed, max(self._allowed, seconds)
        self.beat()
        try:
            yield
        finally:
            self.beat()
            self._allowed = before

    def problem(self, reason: str | None) -> None:
        """Why it cannot do its job, in words for a person; None when it can again."""
        self.reason = reason

    def all_well(self) -> bool:
        """Whether every part of the process, this one included, can do its job."""
        return self._health.ready()[0]

    def leave(self) -> None:
        """It ended as it should and is no longer asked."""
        self._health.remove(self)

    def stuck(self) -> str | None:
        """None, or for how long its loop has not turned."""
        if self.turns_within is None:
            return None
        still = self._health.clock.monotonic() - self.turned_at
        within = max(self.turns_within, self._allowed)
        return f"its loop has not turned for {still:.0f} s" if still > within else None

    def unready(self) -> str | None:
        """None, or why it cannot do its job. A part that has not turned once is still starting."""
        return self.stuck() or self.reason or (None if self.turned else "starting")


class Health:
    """All parts of one process. Ages are measured on the monotonic clock: a clock set back makes nothing stuck."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._parts: dict[str, Part] = {}
        self._start: Part | None = None

    def part(self, name: str, turns_within: float | None = TURNS_WITHIN) -> Part:
        """A new part, in place of an earlier one of that name. `turns_within` None: it has no loop."""
        made = Part(self, name, turns_within)
        with self._lock:
            self._parts[name] = made
        return made

    def remove(self, part: Part) -> None:
        with self._lock:
            if self._parts.get(part.name) is part:
                del self._parts[part.name]
        if part is self._start:
            for each in self._all():
                each.turned_at = self.clock.monotonic()
            self._start = None

    def leave_only(self, part: Part) -> None:
        """All others are gone, whatever they were."""
        with self._lock:
            self._parts = {part.name: part}

    def starts(self) -> Part:
        """A part that says why the process is not there yet. Until it leaves nothing is stuck: nothing turns yet."""
        self._start = self.part("start", None)
        return self._start

    def alive(self) -> tuple[bool, Mapping[str, str | None]]:
        """Whether every loop turns, and for each part None or how long it has stood still."""
        if self._start is not None:
            return True, {self._start.name: None}
        return _verdict({part.name: part.stuck() for part in self._all()})

    def ready(self) -> tuple[bool, Mapping[str, str | None]]:
        """Whether every part can do its job, and for each None or the reason. Nothing started is not ready."""
        return _verdict({part.name: part.unready() for part in self._all()} or {"process": "starting"})

    def _all(self) -> list[Part]:
        with self._lock:
            return list(self._parts.values())


def _verdict(parts: dict[str, str | None]) -> tuple[bool, Mapping[str, str | None]]:
    return not any(parts.values()), parts
