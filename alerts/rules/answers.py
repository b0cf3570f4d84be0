"""What people have answered, as rules see it: what is answered alerts nobody again, unless it grows many times over.

A post *carries an answer* where its story was answered or dismissed, or where it is a question and its theme's
questions were. A rule is *held* where all that its key counts carries one:

- its key has a story, or a theme while its filter asks for questions alone: the key says it;
- its filter asks for questions or rumours alone, under any key or none: what carries no answer is too little to fire.

An answer counts from its own time on (`at`), in the order of the bus, so that a restart and a replay judge as before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.rules.keys import read_key
from listener.model.answers import Answered, AnswerGiven
from listener.model.records import Kind

TIMES = 5
"""So many times as many as when it was answered are a growth that people are alerted to ..."""
MORE = 10
"""... if they are so many more, too."""


@dataclass(frozen=True, slots=True)
class Bearing:
    """What answers are to a rule. `story`, `theme`: where they stand in its key. `open`: it asks for what can be
    answered alone, so that it can be told by its posts."""

    names: tuple[str, ...] = ()
    story: int | None = None
    theme: int | None = None
    open: bool = False
    people: bool = False
    """It counts people, not posts."""


class Answers:
    """All that was answered in an incident, in the order of the bus. `take` may be given the same record again."""

    def __init__(self) -> None:
        self._stories: dict[str, list[Answered]] = {}
        self._themes: dict[str, list[Answered]] = {}
        self._known: set[int] = set()

    def __len__(self) -> int:
        return len(self._known)

    def take(self, record: Answered) -> None:
        if record.decision in self._known:
            return
        self._known.add(record.decision)
        if record.story:
            self._stories.setdefault(record.story, []).append(record)
        if record.theme:
            self._themes.setdefault(record.theme, []).append(record)

    def of_key(self, bearing: Bearing, key: str, at: datetime) -> AnswerGiven | None:
        """What all posts under a key carry at an instant."""
        last = _last(self._about(bearing, key), at)
        return None if last is None else last.given

    def next_word(self, bearing: Bearing, key: str, since: datetime) -> datetime | None:
        """When another word about a key comes to count, after `since`."""
        return min((word.at for word in self._about(bearing, key) if word.at > since), default=None)

    def carried(self, story: str, kinds: Collection[Kind], themes: Iterable[str], at: datetime) -> AnswerGiven | None:
        """What a post of that time carries. The last word counts, whether of its story or of a theme it asks about."""
        words = list(self._stories.get(story, ()))
        if Kind.QUESTION in kinds:
            for theme in themes:
                words += self._themes.get(theme, ())
        last = _last(sorted(words, key=lambda word: word.decision), at)
        return None if last is None else last.given

    def standing(self, at: datetime) -> list[AnswerGiven]:
        """All that stands as answered at an instant, the newest last."""
        last = {
            word.decision: word
            for words in (*self._stories.values(), *self._themes.values())
            if (word := _last(words, at)) is not None
        }
        return [word.given for _, word in sorted(last.items()) if word.given is not None]

    def shown(self, bearing: Bearing, key: str, at: datetime) -> AnswerGiven | None:
        """What an alert under a key tells of: its answer; where a rule counts all questions or rumours, the newest."""
        if not self._known:
            return None
        given = self.of_key(bearing, key, at)
        if given is not None or bearing.story is not None or not bearing.open:
            return given
        return next(reversed(self.standing(at)), None)

    def _about(self, bearing: Bearing, key: str) -> Sequence[Answered]:
        if bearing.story is None and bearing.theme is None:
            return ()
        parts = read_key(key, bearing.names)
        if len(parts) != len(bearing.names):
            return ()
        words = list(self._stories.get(parts[bearing.story], ())) if bearing.story is not None else []
        if bearing.theme is not None:
            words += self._themes.get(parts[bearing.theme], ())
        return sorted(words, key=lambda word: word.decision)


def outgrown(given: Iterable[AnswerGiven], count: int, *, people: bool) -> bool:
    """Whether there are many times as many as when all of it was answered together."""
    before = sum(each.people if people else each.posts for each in given)
    return count >= TIMES * before and count >= before + MORE


def _last(words: Iterable[Answered], at: datetime) -> Answered | None:
    """The last word of those that count by then."""
    found = None
    for word in words:
        if word.at <= at:
            found = word
    return found
