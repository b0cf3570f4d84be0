"""Tracks → X's filter rules, and what must change at X so that ours are in force. Pure.

A rule is at most 512 characters, so that the same text serves search too. Every rule of ours bears a tag that begins
with `lyttepost`; rules with other tags, or none, are somebody else's and are never touched.

Source: X API v2, "Build a rule for filtered stream": AND binds before OR, so alternatives are put in brackets; matching
is by whole words, case does not matter, accents do. With us accents do not matter either, so a track that has some is
asked for in each of its spellings. One without is heard where the accent is left out, too, and only there: `EXACT`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from listener.model.letters import spellings
from listener.model.tracks import Track, TrackKind, parse

LONGEST = 512
TAG = "lyttepost"
NO_REPOSTS = " -is:retweet"
EXACT = (
    "X is exact about accents: a track that is written with one is heard both with and without it, but `kafe` does not "
    "hear `kafé`. Write the accent where people may write it"
)
PREFIX = "X matches whole words only: compounds are found where they are mentioned otherwise too"
SOME_SPELLINGS = "X is exact about accents, and this has too many spellings for one rule: heard in some of them only"
_NAME = re.compile(r"[a-z0-9_]{1,15}")


@dataclass(frozen=True)
class Rule:
    """A rule as it should be at X. `tracks` are those it listens for, for knowing which of them X refused."""

    value: str
    tracks: tuple[str, ...]

    @property
    def tag(self) -> str:
        return f"{TAG}:{hashlib.sha256(self.value.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class RuleAtX:
    """A rule as X reports it."""

    id: str
    value: str
    tag: str | None = None

    @property
    def ours(self) -> bool:
        return self.tag is not None and self.tag.split(":")[0] == TAG


@dataclass(frozen=True)
class Changes:
    """What to add first, and then to delete: in between nothing goes unheard."""

    add: tuple[Rule, ...]
    delete: tuple[RuleAtX, ...]
    keep: tuple[RuleAtX, ...]

    def __bool__(self) -> bool:
        return bool(self.add or self.delete)


@dataclass(frozen=True)
class Compiled:
    """Rules, and the tracks that X cannot listen for as we do, each with the reason."""

    rules: tuple[Rule, ...]
    refused: Mapping[str, str]
    approximate: Mapping[str, str]


def compile_rules(tracks: Iterable[str], *, reposts: bool = True) -> Compiled:
    """Canonical tracks → as few rules as fit, the same for the same tracks in whatever order."""
    suffix = "" if reposts else NO_REPOSTS
    refused: dict[str, str] = {}
    approximate: dict[str, str] = {}
    clauses: list[tuple[str, str]] = []
    apart: list[Rule] = []
    for text in sorted(set(tracks)):
        try:
            track = parse(text)
        except ValueError as error:
            refused[text] = str(error)
            continue
        if track.kind is TrackKind.ACCOUNT and not _NAME.fullmatch(track.text):
            refused[text] = "no name that an X account can have (letters a to z, digits and _, at most 15)"
            continue
        written, whole = _spellings(track)
        if _too_long(clause_of(track, written), suffix):
            written, whole = (track.text,), len(written) == 1
        clause = clause_of(track, written)
        if _too_long(clause, suffix):
            refused[text] = f"longer than X allows ({LONGEST} characters)"
            continue
        clauses.append((clause, text))
        if track.prefix:
            approximate[text] = PREFIX
        elif not whole:
            approximate[text] = SOME_SPELLINGS
        if track.kind is TrackKind.PLACE:
            # Rules of their own: an account whose plan lacks the operator loses these and no others.
            apart += [Rule(f"place:{_quoted(name)}{suffix}", (text,)) for name in written]
    rules = [*_packed(clauses, suffix), *apart]
    return Compiled(tuple(rules), refused, approximate)


def clause_of(track: Track, written: Sequence[str]) -> str:
    """One track, in these spellings, as an operand of OR."""
    if track.kind is TrackKind.HASHTAG:
        return " OR ".join(f"#{tag}" for tag in written)
    if track.kind is TrackKind.ACCOUNT:
        name = track.text
        return f"from:{name} OR @{name} OR retweets_of:{name}"
    return " OR ".join(map(_quoted, written))


def _spellings(track: Track) -> tuple[tuple[str, ...], bool]:
    return ((track.text,), True) if track.kind is TrackKind.ACCOUNT else spellings(track.text)


def _too_long(clause: str, suffix: str) -> bool:
    return len(_joined([(clause, "")], suffix)) > LONGEST


def reconcile(wanted: Sequence[Rule], at_x: Iterable[RuleAtX]) -> Changes:
    """What must change so that ours at X are exactly `wanted`. Foreign rules are in neither list."""
    ours = [rule for rule in at_x if rule.ours]
    keep: dict[tuple[str, str | None], RuleAtX] = {}
    delete = []
    asked = {(rule.value, rule.tag) for rule in wanted}
    for rule in ours:
        name = (rule.value, rule.tag)
        if name in asked and name not in keep:
            keep[name] = rule
        else:
            delete.append(rule)
    add = [rule for rule in wanted if (rule.value, rule.tag) not in keep]
    return Changes(tuple(add), tuple(delete), tuple(keep.values()))


def _packed(clauses: Sequence[tuple[str, str]], suffix: str) -> Iterator[Rule]:
    """Clauses joined by OR, each rule as long as fits."""
    held: list[tuple[str, str]] = []
    for clause in clauses:
        if held and len(_joined([*held, clause], suffix)) > LONGEST:
            yield Rule(_joined(held, suffix), tuple(text for _, text in held))
            held = []
        held.append(clause)
    if held:
        yield Rule(_joined(held, suffix), tuple(text for _, text in held))


def _joined(clauses: Sequence[tuple[str, str]], suffix: str) -> str:
    text = " OR ".join(clause for clause, _ in clauses)
    return f"({text}){suffix}" if suffix and " OR " in text else f"{text}{suffix}"


def _quoted(text: str) -> str:
    """A phrase, word for word. A quotation mark inside would end it: it separates words and nothing more."""
    return '"' + " ".join(text.replace('"', " ").replace("\\", " ").split()) + '"'
