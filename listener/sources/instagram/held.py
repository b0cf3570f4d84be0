"""Are the comments that we hold still there? Instagram tells no deletion, so each is asked for once in a while. Pure.

A comment does not answer, and its medium does, with the same token and a moment later: it was deleted, or its author
is gone or hidden from us. Asked again after some minutes it still does not: then it is named, and purged. Where the
medium does not answer either, it may be another's, of which we may not ask; of those nothing is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from listener.sources.common.fields import as_id
from listener.sources.common.graph.answers import Answer
from listener.sources.instagram import questions
from listener.sources.instagram.post_ids import comment_id, split
from listener.sources.instagram.questions import Kind, Question

SLOWEST: Final = 3600.0
FASTEST: Final = 2.0
"""Seconds between two such questions, at least."""
CONFIRM: Final = 300.0
"""Seconds after which one that did not answer is asked for once more."""


class Held:
    """`every`: seconds within which each is asked for once. `order` mixes them anew at each start, so that one that
    starts often does not ask for the same ones only."""

    def __init__(self, every: float, order: Callable[[], float]) -> None:
        self._every = every
        self._order = order
        self._queue: deque[str] = deque()
        self._known: set[str] = set()
        self._doubted: dict[str, float] = {}
        """Comment → when it may be asked for again, after it did not answer."""
        self._due = 0.0

    def __len__(self) -> int:
        return len(self._known)

    def learn(self, ids: Iterable[str]) -> None:
        new = [id_ for id_ in ids if split(id_)[1] is not None and id_ not in self._known]
        self._known.update(new)
        self._queue.extend(sorted(new, key=lambda _: self._order()))

    def forget(self, id_: str) -> None:
        """It is purged."""
        self._known.discard(id_)
        self._doubted.pop(id_, None)

    def next(self, now: float) -> Question | None:
        """What is to be asked now, on the monotonic clock; None: nothing yet."""
        again = next((id_ for id_, at in self._doubted.items() if at <= now), None)
        if again is None and now >= self._due:
            again = self._turn()
        if again is None:
            return None
        pause = min(max(self._every / max(len(self._known), 1), FASTEST), SLOWEST)
        self._due = max(self._due, now - pause) + pause
        medium, comment = split(again)
        return questions.alive(medium, comment or "")

    def _turn(self) -> str | None:
        """The one that was not asked for the longest."""
        while self._queue:
            id_ = self._queue.popleft()
            if id_ in self._known:
                self._queue.append(id_)
                return id_
        return None

    def take(self, question: Question, answer: Answer, now: float) -> Question | str | None:
        """The next question about it; or its id, where it is gone."""
        id_ = comment_id(question.medium, question.about)
        if question.kind is Kind.ALIVE:
            if answer.ok and as_id(answer.data.get("id")) == question.about:
                self._doubted.pop(id_, None)
            elif answer.not_there:
                return questions.medium_there(question.medium, question.about)
            elif id_ in self._doubted:
                self._doubted[id_] = now + CONFIRM
            return None
        if not (answer.ok and as_id(answer.data.get("id")) == question.medium):
            if id_ in self._doubted:
                self._doubted[id_] = now + CONFIRM
            return None
        if id_ in self._doubted:
            self.forget(id_)
            return id_
        self._doubted[id_] = now + CONFIRM
        return None
