"""What a post voices, by cue phrases kept as data: `config/cues/*.yaml`, one file a language.

A *group* is a list of phrases with one job. A group with a kind gives that kind its `points` where one of its
phrases stands and its conditions hold in that sentence; a kind is voiced from one point on, each group counting
once a post. A group without a kind only serves as a condition of others. Languages of one `family` share their
groups, so that nynorsk adds phrases to bokmål's (`more`). Every language is tried on every post.

In a phrase, `*` at the end or the beginning leaves a word open (`sykehus*`, `*posten`). Phrases are compared
without case and accents, never across punctuation, and are not sought in links and handles.

Decided here and not in the data, because it sets kinds against each other: `other` stands alone, either because
its own cues say so or because nothing else was found; beside `media` only groups marked `beside_media` count.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from ahocorasick_rs import AhoCorasick
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from listener.config import YamlFile, load_yaml
from listener.errors import ConfigError
from listener.records import AuthorClass, Cue, Kind

MAX_WORDS = 6
"""Words kept for one kind: enough to see why, short enough for a telephone."""
ASKS = "?"
"""As a phrase: the sentence ends with a question mark."""
OPENER = "opener"
KINDS = tuple(Kind)
MEDIA, OTHER = KINDS.index(Kind.MEDIA), KINDS.index(Kind.OTHER)
NOTHING_FOUND = (Cue(kind=Kind.OTHER),)
PUBLIC = (AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY)


class At(StrEnum):
    """Where in the sentence a phrase must stand."""

    ANYWHERE = "anywhere"
    START = "start"
    """First in a sentence; handles, hashtags and phrases of the family's group `opener` are passed over."""
    CLAUSE = "clause"
    """First in a sentence, or after a comma, colon, dash or the like."""
    HEAD = "head"
    """In the name before a colon that opens the post, as outlets and public bodies write."""
    END = "end"
    """Last in a sentence."""


class In(StrEnum):
    """What sort of sentence it must stand in: one that ends with a question mark, or any other."""

    ANY = "any"
    QUESTION = "question"
    STATEMENT = "statement"


class Group(BaseModel):
    """One list of phrases, as it stands in the file. `near`: each must, `unless`: none may stand in the sentence.

    `post_near` and `post_unless` ask the same of the whole post.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str = Field(min_length=1)
    kind: Kind | None = None
    at: At = At.ANYWHERE
    within: In = Field(default=In.ANY, alias="in")
    near: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    post_near: tuple[str, ...] = ()
    post_unless: tuple[str, ...] = ()
    points: float = 1.0
    beside_media: bool = False
    phrases: tuple[str, ...] = ()


class Language(BaseModel):
    """One file of cues."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    family: str
    groups: Mapping[str, Group] = Field(default_factory=dict)
    more: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)


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
            and self.near <= here.keys()
            and self.unless.isdisjoint(here)
            and self.post_near <= post
            and self.post_unless.isdisjoint(post)
        )


_LETTERS = {"ä": "æ", "ö": "ø", "Ä": "æ", "Ö": "ø", "’": "'", "`": "'", "´": "'", "İ": "i"}
_PLAIN = ("aàáâãą", "cçćč", "eèéêëę", "iìíîï", "nñńň", "oòóôõ", "sśš", "uùúûü", "yýÿ", "zźżž", "lł")
_SPACED = "!\"#$%&()*+,-./:;<=>?[\\]^_{|}~«»“”„‘–—…‹›·•¡¿\t\r\n\u00a0\u200b\ufe0f"
_FOLD = str.maketrans(
    _LETTERS
    | {accented: group[0] for group in _PLAIN for accented in group[1:] + group[1:].upper() if len(accented) == 1}
    | dict.fromkeys(_SPACED, " ")
)
"""One character for one, so that a place in the folded text is the same place in the post."""

_NOT_WORDS = re.compile(r"(?:https?://|www\.)\S+|@\w+")
_BREAK = re.compile(r"[.!?…]+(?=[\s\"»”)]|$)|\n+|[,;:()«»“”\"‹›]+(?=\s|\w|$)|\s[-–—]+\s?")
_LEAD = re.compile(r"[\W_]*(?:(?:RT\b|#\w+)[\W_]*)*")
_GAP = re.compile(r"[\W_]*")
_HEAD = re.compile(r"\s*(?:RT @\w+:\s*)?(?=[A-ZÆØÅ@#])([^:.!?\n]{2,60}?)(?::\s|\s[–—|]\s)")
_ENDS_SENTENCE = frozenset(".!?…\n")


def fold(text: str) -> str:
    """Lower case, no accents (æ, ø, å stay), punctuation as spaces, one space around; a place is moved by one."""
    return f" {text.translate(_FOLD).lower()} "


_ANYWHERE, _START, _CLAUSE, _HEAD_SITE = At.ANYWHERE, At.START, At.CLAUSE, At.HEAD
"""Looking a member up on its class costs more than all the rest of a comparison."""


class _Layout:
    """Where sentences, clauses and the head of one post begin and end. Places are those of the post itself."""

    __slots__ = ("_bare", "_bounds", "_breaks", "_clauses", "_folded", "_head", "_starts", "_text", "asking")

    def __init__(self, text: str, bare: str, folded: str) -> None:
        self._text = text
        self._bare = bare
        self._folded = folded
        self._head: int | None = None
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

    def sentence(self, place: int) -> int:
        return bisect_right(self._bounds, place) - 1

    def stands(self, site: At, start: int, end: int) -> bool:
        """`start` and `end` are those of a phrase with its spaces, in the folded text."""
        if site is _START or site is _CLAUSE:
            if self._starts is None:
                self._starts = {_LEAD.match(self._bare, bound).end() for bound in self._bounds}  # type: ignore[union-attr]
            if start in self._starts:
                return True
            if site is _START:
                return False
            if self._clauses is None:
                self._clauses = {_GAP.match(self._bare, place).end() for place in self._breaks}  # type: ignore[union-attr]
            return start in self._clauses
        if site is _HEAD_SITE:
            if self._head is None:
                match = _HEAD.match(self._text)
                self._head = match.end() if match else 0
            return end - 1 <= self._head
        index = self.sentence(start) + 1
        stop = self._bounds[index] if index < len(self._bounds) else len(self._text)
        return not self._folded[end - 1 : stop + 1].strip()

    def open_after(self, end: int) -> None:
        """What follows the phrase that ends here counts as the start of a sentence too."""
        if self._starts is not None:
            self._starts.add(_GAP.match(self._folded, end - 1).end() - 1)  # type: ignore[union-attr]

    def words(self, start: int, end: int) -> str:
        """The words of the post that a phrase found in the folded text touches."""
        first = start if self._folded[start] == " " else self._folded.rfind(" ", 0, start)
        return self._text[first : self._folded.find(" ", end - 1) - 1]


class KindCues:
    """All cues of all languages, compiled. Immutable: share it between threads."""

    def __init__(self, groups: Mapping[str, Group], families: Mapping[str, str]) -> None:
        """`groups` by their full name (`family.name`); `families` gives each full name's family."""
        numbers = {name: number for number, name in enumerate(groups)}
        phrases: dict[str, list[int]] = {}
        for name, group in groups.items():
            for phrase in group.phrases:
                if phrase != ASKS:
                    phrases.setdefault(_pattern(phrase), []).append(numbers[name])
        self._machine = AhoCorasick(list(phrases))
        self._groups = tuple(tuple(of) for of in phrases.values())
        self._sites = tuple(group.at for group in groups.values())
        self._openers = frozenset(numbers[name] for name in groups if name.endswith(f".{OPENER}"))
        self._asking = tuple(numbers[name] for name, group in groups.items() if ASKS in group.phrases)
        self._rules = {}
        for name, group in groups.items():
            if group.kind is not None:
                self._rules[numbers[name]] = _rule(group, group.kind, families[name], numbers)

    @classmethod
    def load(cls, folder: Path) -> KindCues:
        """Read every `*.yaml` of the folder. Raises ConfigError with file and line."""
        files = [load_yaml(path) for path in sorted(folder.glob("*.yaml"))]
        if not files:
            raise ConfigError(f"{folder}: holds no cues (*.yaml); `lyttepost config init DIR` writes a complete set")
        return cls(*_joined([(file, _language(file)) for file in files]))

    def kinds(self, text: str, *, author_class: AuthorClass = AuthorClass.UNKNOWN) -> tuple[Cue, ...]:
        """The kinds a post voices, in the order of `Kind`, each with the words that led to it; `other` only alone."""
        points = [0.0] * len(KINDS)
        beside = [0.0] * len(KINDS)
        words: list[list[str]] = [[] for _ in KINDS]
        for rule, word in self._hold(text):
            points[rule.kind] += rule.points
            if rule.beside_media:
                beside[rule.kind] += rule.points
            if rule.points > 0:
                words[rule.kind].append(word)
        if author_class in PUBLIC:
            points[MEDIA] = 1.0
            words[MEDIA].append(f"author: {author_class}")
        elif points[OTHER] >= 1:
            return (_cue(OTHER, words[OTHER]),)
        if points[MEDIA] >= 1:
            points = beside
            points[MEDIA] = 1.0
        points[OTHER] = 0.0
        return tuple(_cue(kind, words[kind]) for kind, sum_ in enumerate(points) if sum_ >= 1) or NOTHING_FOUND

    def _hold(self, text: str) -> Iterator[tuple[_Rule, str]]:
        """Every group with a kind whose conditions hold somewhere, once, with the words as the post writes them."""
        seeable = "@" in text or "http" in text or "www." in text
        bare = _NOT_WORDS.sub(lambda match: " " * len(match[0]), text) if seeable else text
        folded = fold(bare)
        layout = _Layout(text, bare, folded)
        seen: dict[int, dict[int, tuple[int, int]]] = {}
        sites, openers = self._sites, self._openers
        for pattern, start, end in self._machine.find_matches_as_indexes(folded, overlapping=True):
            for group in self._groups[pattern]:
                site = sites[group]
                if site is not _ANYWHERE and not layout.stands(site, start, end):
                    continue
                if group in openers:
                    layout.open_after(end)
                seen.setdefault(layout.sentence(start), {}).setdefault(group, (start, end))
        for index in layout.asking:
            seen.setdefault(index, {}).update(dict.fromkeys(self._asking, (-1, -1)))
        post = {group for here in seen.values() for group in here}
        given: set[int] = set()
        for index, here in seen.items():
            for group in here.keys() & self._rules.keys() - given:
                rule = self._rules[group]
                if rule.holds(here, post, index in layout.asking):
                    given.add(group)
                    start, end = here[group]
                    yield rule, layout.words(start, end) if end > 0 else ASKS


def _cue(kind: int, words: list[str]) -> Cue:
    return Cue(kind=KINDS[kind], words=tuple(sorted(set(words)))[:MAX_WORDS])


def _pattern(phrase: str) -> str:
    """How a phrase stands in folded text: with a space at each end that is not left open."""
    inner = fold(phrase.strip("*")).strip()
    return f"{'' if phrase.startswith('*') else ' '}{inner}{'' if phrase.endswith('*') else ' '}"


def _rule(group: Group, kind: Kind, family: str, numbers: Mapping[str, int]) -> _Rule:
    def number(names: tuple[str, ...]) -> frozenset[int]:
        return frozenset(numbers[_full(family, name)] for name in names)

    return _Rule(
        kind=KINDS.index(kind),
        asks=None if group.within is In.ANY else group.within is In.QUESTION,
        near=number(group.near),
        unless=number(group.unless),
        post_near=number(group.post_near),
        post_unless=number(group.post_unless),
        points=group.points,
        beside_media=group.beside_media,
    )


def _full(family: str, name: str) -> str:
    """A group's full name; one with a dot names another family itself."""
    return name if "." in name else f"{family}.{name}"


def _language(file: YamlFile) -> Language:
    try:
        return Language.model_validate(file.data)
    except ValidationError as error:
        raise file.explain(error) from None


def _joined(files: list[tuple[YamlFile, Language]]) -> tuple[dict[str, Group], dict[str, str]]:
    """All groups under their full names, `more` added. Raises ConfigError at the line that is off."""
    groups: dict[str, Group] = {}
    families: dict[str, str] = {}
    for file, language in files:
        for name, group in language.groups.items():
            full = f"{language.family}.{name}"
            if full in groups:
                raise file.error(("groups", name), "another file of this family has it; add to it under `more`")
            _check(file, ("groups", name, "phrases"), group.phrases)
            groups[full] = group
            families[full] = language.family
    for file, language in files:
        for name, phrases in language.more.items():
            full = f"{language.family}.{name}"
            if full not in groups:
                raise file.error(("more", name), "no file of this family has such a group")
            _check(file, ("more", name), phrases)
            groups[full] = groups[full].model_copy(update={"phrases": groups[full].phrases + phrases})
        for name, group in language.groups.items():
            for field in ("near", "unless", "post_near", "post_unless"):
                for index, other in enumerate(getattr(group, field)):
                    if _full(language.family, other) not in groups:
                        raise file.error(("groups", name, field, index), f"no group is called {other!r}")
    return groups, families


def _check(file: YamlFile, loc: tuple[str, ...], phrases: tuple[str, ...]) -> None:
    seen: set[str] = set()
    for index, phrase in enumerate(phrases):
        pattern = _pattern(phrase)
        if phrase != ASKS and (not pattern.strip() or "*" in phrase[1:-1] or "  " in pattern.strip()):
            raise file.error((*loc, index), "must be words; `*` only at an end, no punctuation between them")
        if pattern in seen and phrase != ASKS:
            raise file.error((*loc, index), "stands twice")
        seen.add(pattern)
