"""What people have decided about what the public says, as it stands now: a pure fold of `decisions`, in its order.

The last word wins, whatever it is about: a status after an answer, the answer to a theme's questions after a story's
own status. What was said before is kept. What was corrected is `alerts.annotate.corrections`' matter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from alerts.annotate.corrections import Corrections
from alerts.register.ranking import RegisterRow
from listener.model.answers import Standing
from listener.model.decisions import Answer, DecisionsRecord, Note, Status
from listener.model.records import Kind

Said = Note | Status | Answer
"""A word about a story or a theme."""

_NOTHING: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stands:
    """How a story or a theme stands. `answer`: the last one that was given; `said`: every word, oldest first."""

    status: Standing = Standing.NEW
    answer: Answer | None = None
    said: tuple[Said, ...] = ()

    @property
    def told(self) -> dict[str, Any] | None:
        """The answer for programs, while it stands."""
        if self.answer is None or self.status is not Standing.ANSWERED:
            return None
        return self.answer.model_dump(mode="json", include={"at", "by", "verdict", "words", "link"}, exclude_none=True)

    @property
    def notes(self) -> tuple[Note, ...]:
        return tuple(word for word in self.said if isinstance(word, Note))

    @property
    def last(self) -> Status | Answer | None:
        """The word that the status is from."""
        return next((word for word in reversed(self.said) if not isinstance(word, Note)), None)


class Decisions:
    """The fold. `take` each record of `decisions` once, in order.

    `together`: stories that stand under another one → that one; what was said of either is said of both.
    """

    def __init__(self, records: Iterable[DecisionsRecord] = (), together: Mapping[str, str] | None = None) -> None:
        self._together: Mapping[str, str] = together or {}
        self._under: dict[str, list[str]] = {}
        self._stories: defaultdict[str, list[tuple[int, Said]]] = defaultdict(list)
        self._themes: defaultdict[str, list[tuple[int, Said]]] = defaultdict(list)
        self.corrections = Corrections()
        self._taken = 0
        for record in records:
            self.take(record)

    def take(self, record: DecisionsRecord) -> None:
        self._taken += 1
        self.corrections.take(record)
        if not isinstance(record, Said):
            return
        for story in {each for each in (record.story, *record.alike) if each}:
            self._stories[story].append((self._taken, record))
        self._under = {}
        if record.theme:
            self._themes[record.theme].append((self._taken, record))

    def of_story(self, story: str, incidents: Collection[str], asks_about: Iterable[str] = _NOTHING) -> Stands:
        """How a story stands in any of these incidents. `asks_about`: the themes of its questions."""
        words = {place: word for its in self._decided(story) for place, word in self._stories[its]}
        for theme in asks_about:
            words |= {place: word for place, word in self._themes.get(theme, ()) if not isinstance(word, Note)}
        return _fold(words.items(), incidents)

    def stand_together(self, together: Mapping[str, str]) -> None:
        """From now on these stories stand under others: see the class."""
        self._together, self._under = together, {}

    def decided(self) -> Collection[str]:
        """The stories about which anybody said anything, by the names that they stand under."""
        self._decided("")
        return self._under.keys()

    def _decided(self, story: str) -> Sequence[str]:
        """The stories that stand where this one does, and about which anybody said anything."""
        if not self._under:
            for its in self._stories:
                self._under.setdefault(self._first(its), []).append(its)
        return self._under.get(self._first(story), ())

    def _first(self, story: str) -> str:
        return self._together.get(story, story)

    def of_row(self, row: RegisterRow) -> Stands:
        """How a row of the register stands: its story, or the questions about its themes where it asks any."""
        return self.of_story(row.story, row.incidents, row.themes if Kind.QUESTION in row.kinds else ())

    def of_theme(self, theme: str, incidents: Collection[str]) -> Stands:
        """How the questions about a theme stand."""
        return _fold(self._themes.get(theme, ()), incidents)


def label(stands: Stands) -> str:
    """In a few words: `answered by Kari: false`; nothing where it is new."""
    last = stands.last
    if last is None or stands.status is Standing.NEW:
        return ""
    verdict = f": {last.verdict}" if isinstance(last, Answer) else ""
    return f"{stands.status.value.replace('_', ' ')} by {last.by}{verdict}"


def _fold(words: Iterable[tuple[int, Said]], incidents: Collection[str]) -> Stands:
    said = [word for _, word in sorted(words, key=itemgetter(0)) if not set(word.incidents).isdisjoint(incidents)]
    status, answer = Standing.NEW, None
    for word in said:
        if isinstance(word, Answer):
            status, answer = Standing.ANSWERED, word
        elif isinstance(word, Status):
            status = word.status
    return Stands(status, answer, tuple(said))
