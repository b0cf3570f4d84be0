"""What people have decided about what the public says, as it stands now: a pure fold of `decisions`, in its order.

The last word wins, whatever it is about: a status after an answer, the answer to a theme's questions after a story's
own status. What was said before is kept. A post that is purged takes its corrections with it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from operator import itemgetter

from listener.model import keys
from listener.model.answers import Answered, AnswerGiven, Standing
from listener.model.decisions import Answer, Correction, DecisionsRecord, Note, Status
from listener.model.records import Decision, DecisionKind, Kind

Said = Note | Status | Answer
"""A word about a story or a theme."""

_REPOSTED = re.compile(r"(?:\s*RT @\S+\s)+")
_NOTHING: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stands:
    """How a story or a theme stands. `answer`: the last one that was given; `said`: every word, oldest first."""

    status: Standing = Standing.NEW
    answer: Answer | None = None
    said: tuple[Said, ...] = ()

    @property
    def notes(self) -> tuple[Note, ...]:
        return tuple(word for word in self.said if isinstance(word, Note))

    @property
    def last(self) -> Status | Answer | None:
        """The word that the status is from."""
        return next((word for word in reversed(self.said) if not isinstance(word, Note)), None)


class Decisions:
    """The fold. `take` each record of `decisions` once, in order."""

    def __init__(self, records: Iterable[DecisionsRecord] = ()) -> None:
        self._stories: defaultdict[str, list[tuple[int, Said]]] = defaultdict(list)
        self._themes: defaultdict[str, list[tuple[int, Said]]] = defaultdict(list)
        self._corrections: dict[str, Correction] = {}
        """Post → the last correction of it."""
        self._copies: dict[str, dict[str, Correction]] = {}
        """Digest of a text → post → the correction, the newest last."""
        self._taken = 0
        for record in records:
            self.take(record)

    def take(self, record: DecisionsRecord) -> None:
        self._taken += 1
        if isinstance(record, Correction):
            self._forget([record.post])
            self._corrections[record.post] = record
            self._copies.setdefault(record.text, {})[record.post] = record
        elif not isinstance(record, Decision):
            if record.story:
                self._stories[record.story].append((self._taken, record))
            if record.theme:
                self._themes[record.theme].append((self._taken, record))
        elif record.kind is DecisionKind.PURGE:
            self._forget([post for post in self._corrections if record.id in keys.names_of_post(post)])

    def of_story(self, story: str, incidents: Collection[str], asks_about: Iterable[str] = _NOTHING) -> Stands:
        """How a story stands in any of these incidents. `asks_about`: the themes of its questions."""
        own = self._stories.get(story, ())
        theirs = [
            (place, word)
            for theme in asks_about
            for place, word in self._themes.get(theme, ())
            if not isinstance(word, Note) and word.story != story
        ]
        return _fold(chain(own, theirs), incidents)

    def of_theme(self, theme: str, incidents: Collection[str]) -> Stands:
        """How the questions about a theme stand."""
        return _fold(self._themes.get(theme, ()), incidents)

    @property
    def corrections(self) -> Collection[Correction]:
        """Those that count, one for each post."""
        return self._corrections.values()

    def correction(self, posts: Iterable[str], text: str) -> Correction | None:
        """The correction of a post: `posts` are its versions, as `source:id`; else of one that says the same."""
        for post in posts:
            if post in self._corrections:
                return self._corrections[post]
        copies = self._copies.get(digest_of(text)) if self._copies else None
        return next(reversed(copies.values())) if copies else None

    def _forget(self, posts: Iterable[str]) -> None:
        for post in posts:
            gone = self._corrections.pop(post, None)
            if gone is not None:
                copies = self._copies[gone.text]
                del copies[post]
                if not copies:
                    del self._copies[gone.text]


def _fold(words: Iterable[tuple[int, Said]], incidents: Collection[str]) -> Stands:
    said = [word for _, word in sorted(words, key=itemgetter(0)) if not set(word.incidents).isdisjoint(incidents)]
    status, answer = Standing.NEW, None
    for word in said:
        if isinstance(word, Answer):
            status, answer = Standing.ANSWERED, word
        elif isinstance(word, Status):
            status = word.status
    return Stands(status, answer, tuple(said))


def digest_of(text: str) -> str:
    """16 hex digits, the same for word-for-word copies: blanks, case and `RT @name:` before it do not count."""
    plain = " ".join(_REPOSTED.sub("", text, count=1).casefold().split())
    return sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def corrected(kinds: tuple[Kind, ...]) -> tuple[Kind, ...]:
    """Kinds in their own order, each once; `other` only alone. Raises ValueError where that cannot be."""
    found = tuple(kind for kind in Kind if kind in kinds)
    if not found:
        raise ValueError("name one kind at least")
    if Kind.OTHER in found and len(found) > 1:
        raise ValueError("other stands alone: it says that a post voices nothing of the rest")
    return found


def answered(word: DecisionsRecord, decision: int) -> list[Answered]:
    """What the rules are told of a word, one record for each incident; nothing of a note or a correction.

    `decision`: the word's offset on `decisions`.
    """
    given = None
    if isinstance(word, Answer):
        given = AnswerGiven(
            at=word.at, by=word.by, verdict=word.verdict, words=word.words, link=word.link,
            people=word.people, posts=word.posts,
        )  # fmt: skip
    elif isinstance(word, Status):
        if word.status.is_settled:
            given = AnswerGiven(
                at=word.at, by=word.by, standing=word.status, words=word.why, people=word.people, posts=word.posts
            )
    else:
        return []
    return [
        Answered(incident=each, story=word.story, theme=word.theme, at=word.at, decision=decision, given=given)
        for each in word.incidents
    ]
