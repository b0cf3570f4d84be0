"""X's rule language: text → a tree, or the errors X would give.

A space is AND and binds before OR; `-` negates one operator; parentheses group. A rule needs, in each of its OR
branches, something positive that may stand alone: `lang:no` or `-cat` by itself is refused.

    rule   := branch ("OR" branch)*
    branch := part+
    part   := "-"? operator | "(" rule ")"
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from .names import names

STANDALONE = names(
    "keyword phrase # @ $ from to retweets_of url place place_country conversation_id in_reply_to_tweet_id"
    " retweets_of_tweet_id quotes_of_tweet_id"
)
NEEDS_COMPANY = names("lang has is")
HAS = names("hashtags cashtags links mentions media images videos video_link geo")
IS = names("retweet reply quote verified nullcast")

STOPWORDS = names("a an and at but by com from http https if in is it its me my or rt the this to too via we www you")
"""X refuses a rule that has only these to hold on to."""

_MAX_DEPTH = 40
_FIELD = re.compile(r"(\w+):")
_HANDLE = re.compile(r"\w{1,50}")
_TAG = re.compile(r"[\w]+")
_PLAIN_MARKS = frozenset("_.-/&")
_ALONE = "is/has/lang cannot be used as a standalone operator (at position 1)"
_NO_POSITIVE = (
    "Rules must contain a non-negation term (at position 1)",
    "Rules must contain at least one positive, non-stopword clause (at position 1)",
)


class InvalidRule(ValueError):
    """X would refuse it; `details` are the reasons as X phrases them."""

    def __init__(self, *details: str) -> None:
        super().__init__("; ".join(details))
        self.details = details


@dataclass(frozen=True)
class Term:
    """One operator. `kind` is a field's name, `#`, `@`, `$`, `keyword` or `phrase`; `at` its place, from 1."""

    kind: str
    value: str
    negated: bool
    at: int


@dataclass(frozen=True)
class All:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Either:
    parts: tuple[Node, ...]


Node = Term | All | Either


@dataclass(frozen=True)
class _Mark:
    """A parenthesis or OR."""

    sign: str
    at: int
    negated: bool = False


def parse(rule: str, max_length: int) -> Node:
    """A rule's tree. Raises InvalidRule. `max_length` is in characters and the plan's."""
    if not rule.strip():
        raise InvalidRule("Rule must not be empty (at position 1)")
    if len(rule) > max_length:
        raise InvalidRule(f"Rule is too long: {len(rule)} characters, the limit is {max_length} (at position 1)")
    pieces = _read(rule)
    _refuse_unknown(pieces)
    parser = _Parser(pieces)
    tree = parser.either(0)
    if parser.left:
        raise InvalidRule(f"missing EOF at '{_sign(parser.left[0])}' (at position {parser.left[0].at})")
    _refuse_unanchored(tree, pieces)
    return tree


def _sign(piece: Term | _Mark) -> str:
    return piece.sign if isinstance(piece, _Mark) else piece.value


class _Parser:
    def __init__(self, pieces: list[Term | _Mark]) -> None:
        self.left = pieces

    def either(self, depth: int) -> Node:
        if depth > _MAX_DEPTH:
            raise InvalidRule("Rule is nested too deeply (at position 1)")
        branches = [self._all(depth)]
        while self.left and _sign_of(self.left[0]) == "OR":
            self.left = self.left[1:]
            branches.append(self._all(depth))
        return branches[0] if len(branches) == 1 else Either(tuple(branches))

    def _all(self, depth: int) -> Node:
        parts: list[Node] = []
        while self.left:
            piece = self.left[0]
            if isinstance(piece, Term):
                self.left = self.left[1:]
                parts.append(piece)
            elif piece.sign == "(":
                parts.append(self._group(piece, depth))
            else:
                break
        if not parts:
            where = self.left[0] if self.left else None
            raise InvalidRule(
                f"no viable alternative at input '{_sign(where)}' (at position {where.at})"
                if where
                else "no viable alternative at input '<EOF>' (at position 1)"
            )
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _group(self, opening: _Mark, depth: int) -> Node:
        if opening.negated:
            # X's manual only advises against it, since what it does is not what one reads; a fake may be stricter.
            raise InvalidRule(f"Grouped clauses cannot be negated (at position {opening.at})")
        self.left = self.left[1:]
        inside = self.either(depth + 1)
        if not self.left or _sign_of(self.left[0]) != ")":
            raise InvalidRule(f"missing ')' at '<EOF>' (at position {opening.at})")
        self.left = self.left[1:]
        return inside


def _sign_of(piece: Term | _Mark) -> str:
    return piece.sign if isinstance(piece, _Mark) else ""


def _read(rule: str) -> list[Term | _Mark]:
    pieces: list[Term | _Mark] = []
    at = 0
    while at < len(rule):
        if rule[at].isspace():
            at += 1
            continue
        start, negated = at, False
        if rule[at] == "-":
            negated, at = True, at + 1
            if at == len(rule) or rule[at].isspace() or rule[at] == "-":
                raise InvalidRule(*_NO_POSITIVE)
        if rule[at] in "()":
            if negated and rule[at] == ")":
                raise InvalidRule(f"no viable alternative at input '-)' (at position {start + 1})")
            pieces.append(_Mark(rule[at], start + 1, negated))
            at += 1
            continue
        piece, at = _term(rule, at, start, negated)
        pieces.append(piece)
    return pieces


def _term(rule: str, at: int, start: int, negated: bool) -> tuple[Term | _Mark, int]:
    if rule[at] == '"':
        value, at = _quoted(rule, at)
        return Term("phrase", value, negated, start + 1), at
    if rule[at] in "#@$":
        found = (_HANDLE if rule[at] == "@" else _TAG).match(rule, at + 1)
        if found is None:
            raise InvalidRule(f"no viable alternative at character '{rule[at]}' (at position {at + 1})")
        _end_of_word(rule, found.end())
        return Term(rule[at], found[0], negated, start + 1), found.end()
    field = _FIELD.match(rule, at)
    if field is not None:
        if field.end() < len(rule) and rule[field.end()] == '"':
            value, end = _quoted(rule, field.end())
        else:
            end = _until_space(rule, field.end())
            value = rule[field.end() : end]
        if not value:
            raise InvalidRule(f"no viable alternative at input '{field[0]}' (at position {start + 1})")
        return Term(field[1].lower(), value, negated, start + 1), end
    return _keyword(rule, at, start, negated)


def _keyword(rule: str, at: int, start: int, negated: bool) -> tuple[Term | _Mark, int]:
    end = _until_space(rule, at)
    word = rule[at:end]
    if word == "OR" and not negated:
        return _Mark("OR", start + 1), end
    if word.lower() in ("and", "or"):
        advice = "a space" if word.lower() == "and" else "OR"
        raise InvalidRule(
            f"Ambiguous use of {word.lower()} as a keyword. Use {advice} to logically join two clauses, or "
            f'"{word.lower()}" to find occurrences of {word.lower()} in text (at position {start + 1})'
        )
    for offset, sign in enumerate(word):
        if not (_is_plain(sign) or (offset and sign in _PLAIN_MARKS)):
            raise InvalidRule(f"no viable alternative at character '{sign}' (at position {at + offset + 1})")
    return Term("keyword", word, negated, start + 1), end


def _is_plain(sign: str) -> bool:
    """Letters, digits, their marks, emoji and what joins emoji; all other signs need quotes."""
    return unicodedata.category(sign)[0] in "LMN" or unicodedata.category(sign) in ("So", "Cf", "Sk")


def _end_of_word(rule: str, at: int) -> None:
    if at < len(rule) and not (rule[at].isspace() or rule[at] in "()"):
        raise InvalidRule(f"no viable alternative at character '{rule[at]}' (at position {at + 1})")


def _until_space(rule: str, at: int) -> int:
    while at < len(rule) and not rule[at].isspace() and rule[at] not in '()"':
        at += 1
    return at


def _quoted(rule: str, at: int) -> tuple[str, int]:
    out: list[str] = []
    here = at + 1
    while here < len(rule):
        if rule[here] == "\\" and here + 1 < len(rule):
            out.append(rule[here + 1])
            here += 2
        elif rule[here] == '"':
            if not "".join(out).strip():
                raise InvalidRule(f"no viable alternative at input '\"\"' (at position {at + 1})")
            return "".join(out), here + 1
        else:
            out.append(rule[here])
            here += 1
    raise InvalidRule(f"no viable alternative at character '\"' (at position {at + 1})")


def _refuse_unknown(pieces: list[Term | _Mark]) -> None:
    details: list[str] = []
    for piece in pieces:
        if isinstance(piece, _Mark):
            continue
        if piece.kind not in STANDALONE | NEEDS_COMPANY:
            details.append(f"Reference to invalid operator '{piece.kind}' (at position {piece.at})")
            details.append(f"Reference to invalid field '{piece.kind}' (at position {piece.at})")
        elif (piece.kind == "has" and piece.value.lower() not in HAS) or (
            piece.kind == "is" and piece.value.lower() not in IS
        ):
            details.append(f"Reference to invalid operator '{piece.kind}:{piece.value}' (at position {piece.at})")
        elif piece.kind == "is" and piece.value.lower() == "nullcast" and not piece.negated:
            details.append(f"Operator 'is:nullcast' must be negated (at position {piece.at})")
    if details:
        raise InvalidRule(*details)


def _refuse_unanchored(tree: Node, pieces: list[Term | _Mark]) -> None:
    if _anchored(tree):
        return
    positive = any(isinstance(p, Term) and not p.negated and p.kind in NEEDS_COMPANY for p in pieces)
    raise InvalidRule(*((_ALONE,) if positive else _NO_POSITIVE))


def _anchored(node: Node) -> bool:
    if isinstance(node, Term):
        stop = node.kind == "keyword" and node.value.lower() in STOPWORDS
        return not node.negated and node.kind in STANDALONE and not stop
    return any(map(_anchored, node.parts)) if isinstance(node, All) else all(map(_anchored, node.parts))
