"""A rule's tree → a question that can be asked of a post, as the stream asks it or as search does.

Source: X API v2, "Build a rule" (filtered stream), "Build a query" (search, counts), and the lists of operators:

- words are tokens between punctuation, symbols and white space; a phrase is tokens side by side; a hashtag is matched
  exactly, as a recognised entity; nothing depends on case;
- diacritics: the stream is exact, of keywords and of hashtags; search and counts find a word with and without them;
- a quote post: on the stream what it quotes is matched as well as what it says; in search and counts only the latter;
- reposts: found by search and counts no more by what stands in them (X's changelog, May 2026).

What X does not say, and the fake has decided: a rule without accents does not find a word with them on the stream; a
phrase does not reach from a post into what it quotes; what a *reposted* post quotes is not looked at; who, where,
`is:`, `has:` and `lang:` are asked of the quoting post alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from enum import StrEnum

from .document import Document, fold, words_of
from .language import All, Node, Term, parse

Matches = Callable[[Document], bool]


class Dialect(StrEnum):
    """Where the two differ: search (and counts) ignores accents, finds no reposts by what stands in the text, and no
    quote posts by what they quote."""

    STREAM = "stream"
    SEARCH = "search"


def compile_rule(rule: str, dialect: Dialect, max_length: int) -> Matches:
    """Raises `language.InvalidRule`."""
    return _of(parse(rule, max_length), dialect)


def _of(node: Node, dialect: Dialect) -> Matches:
    if isinstance(node, Term):
        found = _term(node, dialect)
        return (lambda post: not found(post)) if node.negated else found
    parts = [_of(part, dialect) for part in node.parts]
    if isinstance(node, All):
        return lambda post: all(part(post) for part in parts)
    return lambda post: any(part(post) for part in parts)


def _term(term: Term, dialect: Dialect) -> Matches:
    value = unicodedata.normalize("NFC", term.value).lower()
    if term.kind in ("keyword", "phrase"):
        return _text(value, dialect)
    if term.kind == "#":
        return _hashtag(value, dialect)
    found = _OPERATORS[term.kind](value)
    return _or_quoted(found) if term.kind in ("@", "$", "url") and dialect is Dialect.STREAM else found


def _or_quoted(found: Matches) -> Matches:
    return lambda post: found(post) or (post.quoted is not None and found(post.quoted))


def _text(value: str, dialect: Dialect) -> Matches:
    if dialect is Dialect.STREAM:
        exact = words_of(value)
        return _or_quoted(lambda post: post.words.has(exact))
    folded = words_of(fold(value))
    return lambda post: "retweeted" not in post.refs and post.folded.has(folded)


def _hashtag(value: str, dialect: Dialect) -> Matches:
    if dialect is Dialect.STREAM:
        return _or_quoted(lambda post: value in post.hashtags)
    folded = fold(value)
    return lambda post: "retweeted" not in post.refs and any(fold(tag) == folded for tag in post.hashtags)


def _place(value: str) -> Matches:
    wanted = words_of(value)

    def at(post: Document) -> bool:
        place = post.place
        name = words_of(str(place.get("full_name") or ""))
        return bool(place) and (place.get("id") == value or name[: len(wanted)] == wanted)

    return at


def _url(value: str) -> Matches:
    wanted = words_of(value)
    return lambda post: any(url.has(wanted) for url in post.urls)


def _refers(kind: str) -> Callable[[str], Matches]:
    return lambda value: lambda post: post.refs.get(kind) == value


_OPERATORS: dict[str, Callable[[str], Matches]] = {
    "@": lambda value: lambda post: value in post.mentions,
    "$": lambda value: lambda post: value in post.cashtags,
    "from": lambda value: lambda post: value.lstrip("@") in post.author,
    "to": lambda value: lambda post: value.lstrip("@") in post.addressed,
    "retweets_of": lambda value: lambda post: value.lstrip("@") in post.reposted,
    "url": _url,
    "lang": lambda value: lambda post: str(post.data.get("lang", "")).lower() == value,
    "place": _place,
    "place_country": lambda value: lambda post: str(post.place.get("country_code", "")).lower() == value,
    "has": lambda value: lambda post: post.has(value),
    "is": lambda value: lambda post: post.is_(value),
    "conversation_id": lambda value: lambda post: post.data.get("conversation_id") == value,
    "in_reply_to_tweet_id": _refers("replied_to"),
    "retweets_of_tweet_id": _refers("retweeted"),
    "quotes_of_tweet_id": _refers("quoted"),
}
