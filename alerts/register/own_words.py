"""What fits no theme, gathered by its own words: the few that many people use there and hardly anybody elsewhere.

Pure and bounded by what it is given: the same stories give the same words. A term is a word or two neighbours; how much
it belongs there is the log of the odds of saying it there against the odds of saying it elsewhere, over its standard
error (Haldane and Anscombe's half a person added to each count, so that none is nought). Terms that mostly stand in the
same stories, or are compounds with a part in common (`nattbuss`, `kveldsbuss`), are one theme. It is an offer to a
person, who knows whether it is one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import NamedTuple

MOST = 3
"""Themes that are offered."""
MOST_WORDS = 4
"""Terms that a theme is shown by."""
MOST_SEEDS = 40
"""Terms that a theme is looked for around, those that most people use."""
LEAST_PEOPLE = 5
"""Who must voice a theme for it to be offered."""
LEAST_STORIES = 3
"""Different stories in which it must be: one that is only passed on is no theme."""
LEAST_BELONGING = 1.64
LEAST_OF_ALL = 3.0
"""Standard errors by which a term, and all of a theme's together, must be commoner there than elsewhere."""
TOGETHER = 0.5
"""Part of the rarer term's stories: more of them must have the other, for the two to be one theme."""
LEAST_TIMES = 4
"""So many times as common there as elsewhere it must be: what the event itself is called is common in both."""
SHARED_LETTERS = 4
"""A part that two compounds have in common."""
SELDOM = 3
"""So many times fewer people than the first word has, and a word does not tell a theme."""

_LEFT_OUT = re.compile(r"(?:https?://|www\.)\S*|@\w+|‹[^‹›]*›|&\w+;|\bRT\b")
_WORD = re.compile(r"[^\W\d_]{3,}(?:-[^\W\d_]+)*")
_ENDING = re.compile(r"(?:(?:n?ing|het|sjon|else)(?:e?n|e?r|a|ene)?|e[nrt]|ene|[ea])$")
"""Of Norwegian words, so that what is left may be a compound's part."""

STOP = frozenset(
    """
    alle alt andre at av bare ble bli blir bra både ca da de deg dem den denne der dere deres det dette din disse ditt
    du dykk då eg ein eit ei eller en enn er et etter eto fra frå før få får fikk for fordi fram gå går gjør gjør
    gjorde gjennom ha hadde han har hans hei her hit ho hun hva hvem hver hvis hvor hvordan hvorfor ikke ikkje ingen
    inn inne jeg ja jo kan kanskje kva kvar kvifor kom komme kommer korleis kunne kven la litt man mange med meg mei
    meir mellom men mer mest min mine mitt mot mye må måtte nei noe noen nok nokon noko ned når nå no og også om opp
    oss over på sa samme seg selv si sia sidan siden sier sin sine sist skal skulle slik som så ta takk til tror under
    ut ute uten var ved veldig vel veit vet vi vil ville vår være vært vere
    alla allt att bara blev blir där dessa dom detta eller efter från finns går göra hade han hon här hur igen ingen
    inte jag kan kommer man med men mig mycket mår när nu någon något oss och också ska skulle som till under upp utan
    var vara vad vem vi vill är av af blive blev efter eller ej fik fra hvad hvilke ikke jer kun lige meget mig nogen
    noget når også os på sig siger skal til uden være
    natt natta kveld kvelden dag dagen morgen morgon night tonight today tomorrow morning heart hearts hjerte
    hjertet hjerter thoughts prayers praying tanker tankar tankene tankane trist sad terrible horrible tragic news
    hospital hospitals sjukehus sjukehuset sjukhus sjukhuset sykehus sykehuset sygehus sygehuset about after again
    all also everyone folk people persons someone somebody and any are because been before being but can could did
    does don doing for from get gets got had has have her here him his how into its just know like more most not now
    off one only our out over please really said say says she should some than that the their them then there these
    they this those too very was were what when where which who why will with would you your
    """.split()  # noqa: SIM905 -- a list of words is read more easily so
)
"""Words that say nothing of what a post is about."""


class Said(NamedTuple):
    """A story's text, and who said it."""

    text: str
    people: frozenset[str]


@dataclass(frozen=True)
class OwnTheme:
    """What may be a theme: the words that tell it, those that most people use first; `stories`: those with the first.

    `people` use any of the words.
    """

    words: tuple[str, ...]
    people: int
    stories: tuple[int, ...]


class _Term(NamedTuple):
    words: str
    stem: str
    """Of a single word, without its ending; "" of two."""
    stories: frozenset[int]
    people: frozenset[str]


def own_themes(there: Sequence[Said], elsewhere: Iterable[Said], *, but: Collection[str] = ()) -> list[OwnTheme]:
    """What `there` may be about, most people first. `but`: words that are no news, such as the incident's tracks.

    `*` at the end of such a text leaves its last word open. Give only texts of one language, or of some that share
    words: those of a rarer one would stand out by its language alone.
    """
    found = _terms(there, _NoNews(but))
    people = {term: frozenset[str]().union(*(there[story].people for story in its)) for term, its in found.items()}
    total = len(frozenset[str]().union(*(said.people for said in there)))
    others, everybody_else = _users(elsewhere, found)

    def belongs(people: Collection[str], terms: Iterable[str], least: float) -> bool:
        theirs = len(set[str]().union(*(others.get(term, ()) for term in terms)))
        if len(people) * everybody_else < LEAST_TIMES * theirs * total:
            return False
        return _belonging(len(people), total, theirs, everybody_else) >= least

    left = [
        _Term(term, "" if " " in term else _ENDING.sub("", term), frozenset(stories), people[term])
        for term, stories in found.items()
        if belongs(people[term], [term], LEAST_BELONGING)
    ]
    # A pair of words before one of them that is said by no more people: it says more.
    left.sort(key=lambda term: (-len(term.people), -term.words.count(" "), term.words))
    themes: list[OwnTheme] = []
    for seed in [term for term in left if len(term.stories) > 1][:MOST_SEEDS]:
        if len(themes) == MOST or seed not in left:
            continue
        group = [seed, *(term for term in left if term is not seed and (_together(seed, term) or _alike(seed, term)))]
        left = [term for term in left if term not in group]
        users = frozenset[str]().union(*(term.people for term in group))
        stories = frozenset[int]().union(*(term.stories for term in group))
        many = len(users) >= LEAST_PEOPLE and len(stories) >= LEAST_STORIES
        if many and belongs(users, [term.words for term in group], LEAST_OF_ALL):
            themes.append(OwnTheme(_shown(group), len(users), tuple(sorted(seed.stories))))
    return sorted(themes, key=lambda theme: (-theme.people, theme.words))


class _NoNews:
    """Words that say nothing new."""

    def __init__(self, but: Iterable[str]) -> None:
        self._words = set(STOP)
        beginnings = []
        for text in but:
            *whole, last = _words(text) or [""]
            self._words.update(whole)
            if last and text.endswith("*"):
                beginnings.append(last)
            self._words.add(last)
        self._beginnings = tuple(beginnings)

    def __contains__(self, word: str) -> bool:
        return word in self._words or word.startswith(self._beginnings)


def _words(text: str) -> list[str]:
    return _WORD.findall(_LEFT_OUT.sub(" ", text).lower())


def _terms(said: Iterable[Said], no_news: _NoNews) -> dict[str, list[int]]:
    """Each word and each two neighbours, none of which says nothing → the stories that have it."""
    found: dict[str, list[int]] = {}
    for number, story in enumerate(said):
        for term in _terms_of(story.text, no_news):
            found.setdefault(term, []).append(number)
    return found


def _terms_of(text: str, no_news: _NoNews | tuple[()] = ()) -> dict[str, None]:
    found: dict[str, None] = {}
    before = ""
    for word in _words(text):
        if word in no_news:
            before = ""
            continue
        found[word] = None
        if before:
            found[f"{before} {word}"] = None
        before = word
    return found


def _users(said: Iterable[Said], terms: Mapping[str, object]) -> tuple[dict[str, set[str]], int]:
    """Each of the terms → who uses it; and how many people there are."""
    users: dict[str, set[str]] = {}
    everybody: set[str] = set()
    for story in said:
        everybody |= story.people
        for term in terms.keys() & _terms_of(story.text):
            users.setdefault(term, set()).update(story.people)
    return users, len(everybody)


def _belonging(here: int, of_here: int, there: int, of_there: int) -> float:
    """How many standard errors the log odds here are above those there."""
    counts = [here, of_here - here, there, of_there - there]
    a, b, c, d = (count + 0.5 for count in counts)
    return (log(a / b) - log(c / d)) / sqrt(1 / a + 1 / b + 1 / c + 1 / d)


def _together(one: _Term, other: _Term) -> bool:
    both = len(one.stories & other.stories)
    return both > 1 and both > TOGETHER * min(len(one.stories), len(other.stories))


def _alike(one: _Term, other: _Term) -> bool:
    """Two words whose stems begin or end alike: forms of one word, or compounds."""
    a, b = one.stem, other.stem
    shorter = min(len(a), len(b))
    if shorter < SHARED_LETTERS or (
        a[:SHARED_LETTERS] != b[:SHARED_LETTERS] and a[-SHARED_LETTERS:] != b[-SHARED_LETTERS:]
    ):
        return False
    begin = next((n for n in range(shorter) if a[n] != b[n]), shorter)
    end = next((n for n in range(shorter) if a[-1 - n] != b[-1 - n]), shorter)
    return 2 * max(begin, end) >= shorter


def _shown(group: Sequence[_Term]) -> tuple[str, ...]:
    """Those that most people use, none that stands in another."""
    shown: list[str] = []
    for term in group:
        if len(term.people) * SELDOM < len(group[0].people):
            break
        parts = term.words.split()
        if not any(set(parts) <= set(other.split()) or set(other.split()) <= set(parts) for other in shown):
            shown.append(term.words)
    return tuple(shown[:MOST_WORDS])
