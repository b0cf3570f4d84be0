"""What a post voices, by cue phrases kept as data (`alerts.annotate.cues` reads them).

A group with a kind gives that kind its `points` where one of its phrases stands and its conditions hold in that
sentence; a kind is voiced from one point on, each group counting once a post. A group without a kind only serves as
a condition of others. Every language is tried on every post. Phrases are compared without case and accents, never
across punctuation, and are not sought in links and handles.

Decided here and not in the data, because it sets kinds against each other: `other` stands alone, either because
its own cues say so or because nothing else was found; beside `media` only groups marked `beside_media` count.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ahocorasick_rs import AhoCorasick

from alerts.annotate.cues import ASKS, At, Group, In, fold, full_name, load_cues, pattern
from listener.model.records import AuthorClass, Cue, Kind

MAX_WORDS = 6
"""Words kept for one kind: enough to see why, short enough for a telephone."""
OPENER = "opener"
KINDS = tuple(Kind)
MEDIA, OTHER = KINDS.index(Kind.MEDIA), KINDS.index(Kind.OTHER)
NOTHING_FOUND = (Cue(kind=Kind.OTHER),)
PUBLIC = (AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY, AuthorClass.OWN)


class Held(NamedTuple):
    """A group of cues that holds in a post: full name, what it gives to the kind `KINDS[kind]`, words as written."""

    group: str
    kind: int
    points: float
    beside_media: bool
    words: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """A group with its references looked up. `kind` is a place in `KINDS`; `asks`: only (or never) in a question.

    Places and booleans instead of enumerations, whose hashing and comparing would take a third of the time.
    """

    kind: int
    asks: bool | None
    near: frozenset[int]
    unless: frozenset[int]
    post_near: frozenset[int]
    post_unless: frozenset[int]
    points: float
    beside_media: bool

    def holds(self, here: Mapping[int, tuple[int, int]], post: set[int], asks: bool) -> bool:
        """`here`: groups in the sentence; `post`: groups anywhere."""
        return (
            (self.asks is None or self.asks is asks)
            and self.unless.isdisjoint(here)
            and self.post_unless.isdisjoint(post)
            and (not self.near or self.near <= here.keys())
            and self.post_near <= post
        )


_NOT_WORDS = re.compile(r"(?:https?://|www\.)\S+|@\w+")
_BREAK = re.compile(
    r"[.!?…\n,;:()«»“”\"‹›\s](?:"  # first of all one class: the search leaps to the next such character
    r"(?<=[.!?…])[.!?…]*(?=[\s\"»”)]|$)|(?<=\n)\n*"
    r"|(?<=[,;:()«»“”\"‹›])[,;:()«»“”\"‹›]*(?=\s|\w|$)|(?<=\s)[-–—]+\s?)"
)
_LEAD = re.compile(r"[\W_]*(?:(?:RT\b|#\w+)[\W_]*)*")
_GAP = re.compile(r"[\W_]*")
_SPACE = re.compile(r"\s*")
DENIAL = ".denial"
"""How the full names of the groups end whose phrases deny something."""
_HEAD = re.compile(r"\s*(?:RT @\w+:\s*)?(?=[A-ZÆØÅ@#])([^:.!?\n]{2,60}?)(?::\s|\s[–—|]\s)")
_ENDS_SENTENCE = frozenset(".!?…\n")
_ANYWHERE, _START, _CLAUSE, _HEAD_SITE = At.ANYWHERE, At.START, At.CLAUSE, At.HEAD
"""Looking a member up on its class costs more than all the rest of a comparison."""


class _Layout:
    """Where sentences, clauses and the head of one post begin and end. Places are those of the post itself."""

    __slots__ = ("_bare", "_bounds", "_breaks", "_clauses", "_folded", "_starts", "_text", "asking")

    def __init__(self, text: str, bare: str, folded: str) -> None:
        self._text = text
        self._bare = bare
        self._folded = folded
        self._starts: set[int] | None = None
        self._clauses: set[int] | None = None
        self._bounds = bounds = [0]
        self._breaks = breaks = [0]
        self.asking: list[int] = []
        for match in _BREAK.finditer(bare):
            mark = match[0]
            if mark[0] in _ENDS_SENTENCE:
                if "?" in mark:
                    self.asking.append(len(bounds) - 1)
                bounds.append(match.end())
            else:
                breaks.append(match.end())

    def head(self) -> int:
        """Where the name before a colon ends; 0 where there is none."""
        match = _HEAD.match(self._text) if any(map(self._text.__contains__, ":–—|")) else None
        return match.end() if match else 0

    def sentence(self, place: int) -> int:
        return bisect_right(self._bounds, place) - 1

    def stands(self, site: At, start: int, end: int) -> bool:
        """`start` and `end` are those of a phrase with its spaces, in the folded text."""
        if site is _START or site is _CLAUSE:
            if self._starts is None:
                self._starts = _ends(_LEAD, self._bare, self._bounds)
            if start in self._starts:
                return True
            if site is _START:
                return False
            if self._clauses is None:
                self._clauses = _ends(_GAP, self._bare, self._breaks)
            return start in self._clauses
        index = self.sentence(start) + 1
        stop = self._bounds[index] if index < len(self._bounds) else len(self._text)
        return _SPACE.match(self._folded, end - 1, stop + 1).end() == min(stop + 1, len(self._folded))  # type: ignore[union-attr]

    def open_after(self, end: int) -> None:
        """What follows the phrase that ends here counts as the start of a sentence too."""
        if self._starts is not None:
            self._starts.add(_GAP.match(self._folded, end - 1).end() - 1)  # type: ignore[union-attr]

    def words(self, start: int, end: int) -> str:
        """The words of the post that a phrase found in the folded text touches."""
        first = start if self._folded[start] == " " else self._folded.rfind(" ", 0, start)
        return self._text[first : self._folded.find(" ", end - 1) - 1]


def _ends(pattern: re.Pattern[str], text: str, places: list[int]) -> set[int]:
    """Where a pattern that always matches ends from each of these places, which rise. No part is read twice: what
    reaches the next place goes on as from there."""
    ends: set[int] = set()
    after, reached = len(text), len(text)
    for place in reversed(places):
        end = pattern.match(text, place, after).end()  # type: ignore[union-attr]
        reached, after = (reached if end == after else end), place
        ends.add(reached)
    return ends


class KindCues:
    """All cues of all languages, compiled. Immutable: share it between threads."""

    def __init__(self, groups: Mapping[str, Group], families: Mapping[str, str]) -> None:
        """`groups` by their full name (`family.name`); `families` gives each full name's family."""
        numbers = {name: number for number, name in enumerate(groups)}
        phrases: dict[str, list[tuple[int, At | None, bool]]] = {}
        for name, group in groups.items():
            site = None if group.at is At.ANYWHERE else group.at
            for phrase in group.phrases:
                if phrase != ASKS:
                    of = (numbers[name], site, name.endswith(f".{OPENER}"))
                    phrases.setdefault(pattern(phrase), []).append(of)
        self._machine = AhoCorasick(list(phrases))
        self._groups = tuple(map(tuple, phrases.values()))
        """Of each pattern: group, where it must stand (None: anywhere), whether it is an opener."""
        self._asking = tuple(numbers[name] for name, group in groups.items() if ASKS in group.phrases)
        self._rules = tuple(_rule(group, families[name], numbers) for name, group in groups.items())
        self._names = tuple(groups)

    @classmethod
    def load(cls, folder: Path) -> KindCues:
        """Read every `*.yaml` of the folder. Raises ConfigError with file and line."""
        return cls(*load_cues(folder))

    def kinds(self, text: str, *, author_class: AuthorClass = AuthorClass.UNKNOWN) -> tuple[Cue, ...]:
        """The kinds a post voices, in the order of `Kind`, each with the words that led to it; `other` only alone."""
        return judge(self.held(text), author_class)

    def held(self, text: str, folded: str | None = None) -> list[Held]:
        """Every group with a kind whose conditions hold somewhere, once, with the words as the post writes them.

        `folded`: the text as `fold` gives it, where it is at hand.
        """
        sentences, layout = self._sentences(text, folded)
        for index in layout.asking:
            sentences.setdefault(index, {}).update(dict.fromkeys(self._asking, (-1, -1)))
        post = {group for here in sentences.values() for group in here}
        asking = set(layout.asking)
        rules, names = self._rules, self._names
        held: list[Held] = []
        given: set[int] = set()
        for index, here in sentences.items():
            asks = index in asking
            for group, (start, end) in here.items():
                rule = rules[group]
                if rule is not None and group not in given and rule.holds(here, post, asks):
                    given.add(group)
                    words = layout.words(start, end) if end > 0 else ASKS
                    held.append(Held(names[group], rule.kind, rule.points, rule.beside_media, words))
        return held

    def denies(self, text: str) -> bool:
        """Whether a phrase of a group called `denial` stands in the text."""
        sentences, _ = self._sentences(text, None)
        return any(self._names[group].endswith(DENIAL) for here in sentences.values() for group in here)

    def _sentences(self, text: str, folded: str | None) -> tuple[dict[int, dict[int, tuple[int, int]]], _Layout]:
        bare = text
        if "@" in text or "http" in text or "www." in text:
            bare, folded = _NOT_WORDS.sub(lambda match: " " * len(match[0]), text), None
        if folded is None:
            folded = fold(bare)
        layout = _Layout(text, bare, folded)
        return self._groups_in(folded, layout), layout

    def _groups_in(self, folded: str, layout: _Layout) -> dict[int, dict[int, tuple[int, int]]]:
        """Sentence → group → where its first phrase stands, if it stands where it must."""
        sentences: dict[int, dict[int, tuple[int, int]]] = {}
        groups, head = self._groups, None
        for found, start, end in self._machine.find_matches_as_indexes(folded, overlapping=True):
            here = None
            for group, site, opens in groups[found]:
                if site is _HEAD_SITE:  # the most frequent: names of outlets and public bodies
                    if head is None:
                        head = layout.head()
                    if end - 1 > head:
                        continue
                elif site is not None and not layout.stands(site, start, end):
                    continue
                if opens:
                    layout.open_after(end)
                if here is None:
                    here = sentences.setdefault(layout.sentence(start), {})
                if group not in here:
                    here[group] = start, end
        return sentences


def judge(held: Iterable[Held], author_class: AuthorClass = AuthorClass.UNKNOWN) -> tuple[Cue, ...]:
    """The kinds that groups found in a post add up to, each with the words that led to it."""
    found = tuple(held)
    kinds = voiced(found, author_class)
    words: list[set[str]] = [set() for _ in KINDS]
    for group in found:
        if group.points > 0:
            words[group.kind].add(group.words)
    if author_class in PUBLIC:
        words[MEDIA].add(by(author_class))
    return tuple(_cue(kind, words[kind]) for kind in kinds) or NOTHING_FOUND


def voiced(held: Iterable[Held], author_class: AuthorClass = AuthorClass.UNKNOWN) -> list[int]:
    """The same as places in `KINDS`; none where nothing was found."""
    points = [0.0] * len(KINDS)
    beside = [0.0] * len(KINDS)
    for _, kind, given, beside_media, _ in held:
        points[kind] += given
        if beside_media:
            beside[kind] += given
    if author_class in PUBLIC:
        points[MEDIA] = 1.0
    elif points[OTHER] >= 1:
        return [OTHER]
    if points[MEDIA] >= 1:
        points = beside
        points[MEDIA] = 1.0
    points[OTHER] = 0.0
    return [kind for kind, sum_ in enumerate(points) if sum_ >= 1]


def by(author_class: AuthorClass) -> str:
    """What stands for words where the account itself says what a post is."""
    return f"author: {author_class}"


def _cue(kind: int, words: set[str]) -> Cue:
    return Cue(kind=KINDS[kind], words=tuple(sorted(words))[:MAX_WORDS])


def _rule(group: Group, family: str, numbers: Mapping[str, int]) -> _Rule | None:
    if group.kind is None:
        return None

    def number(names: tuple[str, ...]) -> frozenset[int]:
        return frozenset(numbers[full_name(family, name)] for name in names)

    return _Rule(
        kind=KINDS.index(group.kind),
        asks=None if group.within is In.ANY else group.within is In.QUESTION,
        near=number(group.near),
        unless=number(group.unless),
        post_near=number(group.post_near),
        post_unless=number(group.post_unless),
        points=group.points,
        beside_media=group.beside_media,
    )
