"""What of a post the rule language looks at: its words, tags, names, links and properties."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

Raw = Mapping[str, Any]

_WORD = re.compile(r"[^\W_]+")
HASHTAG = re.compile(r"(?<![\w&])#(\w*[^\W\d]\w*)")
CASHTAG = re.compile(r"(?<!\w)\$([A-Za-z]{1,6})\b")
MENTION = re.compile(r"(?<![\w@])@(\w{1,15})\b")
LINK = re.compile(r"https?://[^\s<>\"]+")


def fold(text: str) -> str:
    """Without accents: search ignores them, the stream does not. `ø` and `æ` are letters of their own and stay."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


def words_of(text: str) -> tuple[str, ...]:
    """X's tokens: split at punctuation, symbols and spaces, in lower case; an emoji is a token of its own."""
    return tuple(_tokens(unicodedata.normalize("NFC", text).lower()))


def _tokens(text: str) -> Iterator[str]:
    at = 0
    for found in _WORD.finditer(text):
        yield from (c for c in text[at : found.start()] if unicodedata.category(c) == "So")
        # A word may hold a symbol only where Unicode counts it as a letter; nothing to split there.
        yield found[0]
        at = found.end()
    yield from (c for c in text[at:] if unicodedata.category(c) == "So")


class Words:
    """A text as tokens, ready to be asked."""

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self._all = frozenset(tokens)
        self._line = f" {' '.join(tokens)} "

    def has(self, phrase: tuple[str, ...]) -> bool:
        """Do these tokens stand in it, side by side, in this order? An empty phrase stands nowhere."""
        if len(phrase) <= 1:
            return bool(phrase) and phrase[0] in self._all
        return f" {' '.join(phrase)} " in self._line


@dataclass(frozen=True)
class Known:
    """All that posts refer to, by id: what an answer's `includes` are taken from."""

    users: dict[str, Raw] = field(default_factory=dict)
    tweets: dict[str, Raw] = field(default_factory=dict)
    places: dict[str, Raw] = field(default_factory=dict)
    media: dict[str, Raw] = field(default_factory=dict)

    def learn(self, includes: Mapping[str, Any]) -> None:
        """Remember an `includes` object; what is known already is replaced."""
        for name, store, key in (
            ("users", self.users, "id"),
            ("tweets", self.tweets, "id"),
            ("places", self.places, "id"),
            ("media", self.media, "media_key"),
        ):
            store.update({str(item[key]): item for item in includes.get(name) or ()})


class Document:
    """One post with what it refers to."""

    def __init__(self, data: Raw, known: Known) -> None:
        self.data = data
        self._known = known
        self.refs: dict[str, str] = {r["type"]: r["id"] for r in data.get("referenced_tweets") or ()}
        # X matches a repost by the original's whole text, of which its own is a cut copy.
        self._body = known.tweets.get(self.refs.get("retweeted", ""), data)

    @cached_property
    def quoted(self) -> Document | None:
        """The post that it quotes, if that is still there."""
        data = self._known.tweets.get(self.refs.get("quoted", ""))
        return None if data is None else Document(data, self._known)

    @cached_property
    def text(self) -> str:
        note = self._body.get("note_tweet") or {}
        whole = str(note.get("text") or self._body.get("text") or "")
        return f"{self.data.get('text', '')} {whole}" if self._body is not self.data else whole

    @cached_property
    def words(self) -> Words:
        return Words(words_of(self.text))

    @cached_property
    def folded(self) -> Words:
        return Words(words_of(fold(self.text)))

    @cached_property
    def hashtags(self) -> frozenset[str]:
        return self._entities("hashtags", "tag") or _found(HASHTAG, self.text)

    @cached_property
    def cashtags(self) -> frozenset[str]:
        return self._entities("cashtags", "tag") or _found(CASHTAG, self.text)

    @cached_property
    def mentions(self) -> frozenset[str]:
        return self._entities("mentions", "username") | _found(MENTION, self.text)

    @cached_property
    def urls(self) -> tuple[Words, ...]:
        entities = self._body.get("entities") or {}
        known = [str(u.get(n)) for u in entities.get("urls") or () for n in ("expanded_url", "unwound_url") if u.get(n)]
        return tuple(Words(words_of(url)) for url in known or LINK.findall(self.text))

    def _entities(self, kind: str, name: str) -> frozenset[str]:
        entities = self._body.get("entities") or {}
        return frozenset(str(e[name]).lower() for e in entities.get(kind) or () if name in e)

    def names_of(self, user_id: str | None) -> frozenset[str]:
        """A user's id and handle, in lower case."""
        if not user_id:
            return frozenset()
        return frozenset((user_id, str(self._known.users.get(user_id, {}).get("username", user_id)).lower()))

    @property
    def author(self) -> frozenset[str]:
        return self.names_of(self.data.get("author_id"))

    @property
    def addressed(self) -> frozenset[str]:
        """Whom it answers."""
        return self.names_of(self.data.get("in_reply_to_user_id"))

    @property
    def reposted(self) -> frozenset[str]:
        """Whose post it repeats."""
        return self.names_of(self._body.get("author_id")) if self._body is not self.data else frozenset()

    @property
    def place(self) -> Raw:
        return self._known.places.get((self.data.get("geo") or {}).get("place_id", ""), {})

    def has(self, what: str) -> bool:
        """X's `has:`."""
        if what in ("hashtags", "cashtags", "mentions"):
            return bool(getattr(self, what))
        if what == "links":
            return bool(self.urls)
        if what == "geo":
            return bool(self.data.get("geo"))
        keys = (self.data.get("attachments") or {}).get("media_keys") or ()
        if what == "media":
            return bool(keys)
        return ("photo" if what == "images" else "video") in [self._known.media.get(k, {}).get("type") for k in keys]

    def is_(self, what: str) -> bool:
        """X's `is:`."""
        if what == "verified":
            return bool(self._known.users.get(self.data.get("author_id", ""), {}).get("verified"))
        reference = {"retweet": "retweeted", "reply": "replied_to", "quote": "quoted"}.get(what, what)
        return reference in self.refs or (what == "reply" and bool(self.data.get("in_reply_to_user_id")))


def _found(pattern: re.Pattern[str], text: str) -> frozenset[str]:
    return frozenset(m[1].lower() for m in pattern.finditer(text))
