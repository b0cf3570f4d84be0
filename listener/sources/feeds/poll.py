"""Asking one feed again and again: in a thread of its own, never twice at once, and never before its server wants.

    Poll: due? ──▶ a thread asks ──▶ Asked, taken by the source's own thread

A question that hangs keeps nobody waiting: whoever owns the poll looks in at every turn, and after `patience` the
question counts as failed. Its thread cannot be ended; it is told that nobody waits (`given_up`), and no other is begun
until it has ended, or an hour has passed.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

from listener.clock import Clock
from listener.errors import LyttepostError

FIRST: Final = 10.0
"""Seconds after a first failure; doubled with each in a row."""
LONGEST: Final = 120.0
"""Seconds between two questions that fail, unless they are further apart by themselves."""
JITTER: Final = 0.2
ABANDONED: Final = 3600.0
"""Seconds after which a question that still hangs is no reason any more to ask nothing."""

T = TypeVar("T")
GivenUp = Callable[[], bool]


class NoAnswer(LyttepostError):
    """The question took longer than anybody waits."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """What came of a question. `at`: when it was asked, so that all that was said before can be in the answer. `until`:
    when the answer was there, so that nothing that was said later can be in it; None where there is none."""

    at: datetime
    gave: T | None = None
    error: Exception | None = None
    until: datetime | None = None


@dataclass(slots=True)
class _Question(Generic[T]):
    at: datetime
    began: float
    gone: threading.Event = field(default_factory=threading.Event)
    """Nobody waits for it any more."""
    done: threading.Event = field(default_factory=threading.Event)
    answer: Asked[T] | None = None


class Poll(Generic[T]):
    """Belongs to the source's thread; only `stop` may be called from another.

    `ask` may block and raise what it likes; it is given a function that says whether anybody still waits. `bell` is set
    when an answer is there. All times are seconds of `clock`.
    """

    def __init__(
        self,
        name: str,
        ask: Callable[[GivenUp], T],
        clock: Clock,
        bell: threading.Event,
        *,
        patience: float = 60.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._ask = ask
        self._clock = clock
        self._bell = bell
        self._patience = patience
        self._chance = chance
        self._question: _Question[T] | None = None
        self._hanging: _Question[T] | None = None
        self._last = float("-inf")
        self._wait = 0.0
        self._failures = 0
        self._until = float("-inf")
        self._hurried = True
        self._stopped = False

    def turn(self, every: float) -> Asked[T] | None:
        """What came of the last question; where there is none, the next is begun once `every` seconds are over."""
        if self._stopped:
            return None
        if self._question is None:
            if self._is_due(every):
                self._begin()
            return None
        question, now = self._question, self._clock.monotonic()
        if question.done.is_set() and question.answer is not None:
            self._question = None
            self._note(question.answer.error is None, every)
            return question.answer
        if now - question.began < self._patience:
            return None
        question.gone.set()
        self._question, self._hanging = None, question
        self._note(False, every)
        return Asked(question.at, error=NoAnswer(f"gives no answer within {self._patience:g} s"))

    def hurry(self) -> None:
        """Ask at the next turn, but for what the platform forbids. A question that is out is not the one that is meant:
        it is asked once more when it has ended."""
        self._hurried = True

    def rest(self, seconds: float) -> None:
        """Not one question for so long: the platform says so."""
        self._until = max(self._until, self._clock.monotonic() + seconds)

    @property
    def rests(self) -> float:
        """Seconds for which nothing may be asked yet."""
        return max(0.0, self._until - self._clock.monotonic())

    def stop(self) -> None:
        """Nothing is asked any more; what is out is left to itself."""
        self._stopped = True
        for question in (self._question, self._hanging):
            if question is not None:
                question.gone.set()

    def _is_due(self, every: float) -> bool:
        now, hanging = self._clock.monotonic(), self._hanging
        if now < self._until:
            return False
        if hanging is not None and not hanging.done.is_set() and now - hanging.began < ABANDONED:
            return False
        return self._hurried or now - self._last >= (self._wait or every)

    def _begin(self) -> None:
        self._hurried, self._hanging = False, None
        question = self._question = _Question(self._clock.now(), self._clock.monotonic())
        self._last = question.began
        threading.Thread(target=self._run, args=(question,), name=f"poll-{self.name}", daemon=True).start()

    def _run(self, question: _Question[T]) -> None:
        try:
            gave = self._ask(question.gone.is_set)
            # A clock that was set back meanwhile tells nothing.
            question.answer = Asked(question.at, gave, until=max(question.at, self._clock.now()))
        except Exception as error:  # whatever it is, the owner decides what it means
            question.answer = Asked(question.at, error=error)
        question.done.set()
        self._bell.set()

    def _note(self, well: bool, every: float) -> None:
        if well:
            self._failures, self._wait = 0, 0.0
            return
        self._failures += 1
        most = max(every, LONGEST)
        longest = min(FIRST * 2.0 ** min(self._failures - 1, 20), most)
        self._wait = longest * (1 + JITTER * self._chance())
        self._last = self._clock.monotonic()
