"""Posts in X's shape: made from a plain one, and cut to the fields and expansions that a request asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .document import CASHTAG, HASHTAG, LINK, MENTION, Known, Raw
from .names import names
from .problems import BadParameter
from .times import rfc3339

_SHORT = 280
"""Characters of `text`; a longer one stands whole in `note_tweet` alone."""

_DEFAULT = {
    "tweet.fields": ("id", "text", "edit_history_tweet_ids"),
    "user.fields": ("id", "name", "username"),
    "place.fields": ("id", "full_name"),
    "media.fields": ("media_key", "type"),
}
_ALLOWED = {
    "tweet.fields": names(
        "article attachments author_id card_uri community_id context_annotations conversation_id created_at"
        " display_text_range edit_controls edit_history_tweet_ids entities geo id in_reply_to_user_id lang"
        " media_metadata non_public_metrics note_tweet organic_metrics possibly_sensitive promoted_metrics"
        " public_metrics referenced_tweets reply_settings scopes source suggested_source_links text withheld"
    ),
    "user.fields": names(
        "affiliation created_at description entities id location most_recent_tweet_id name pinned_tweet_id"
        " profile_banner_url profile_image_url protected public_metrics subscription_type url username verified"
        " verified_type withheld"
    ),
    "place.fields": names("contained_within country country_code full_name geo id name place_type"),
    "media.fields": names(
        "alt_text duration_ms height media_key non_public_metrics organic_metrics preview_image_url"
        " promoted_metrics public_metrics type url variants width"
    ),
    "poll.fields": names("duration_minutes end_datetime id options voting_status"),
}
_EXPANSIONS = {
    "author_id": "author_id",
    "in_reply_to_user_id": "in_reply_to_user_id",
    "referenced_tweets.id": "referenced_tweets",
    "referenced_tweets.id.author_id": "referenced_tweets",
    "entities.mentions.username": "entities",
    "entities.note.mentions.username": "note_tweet",
    "geo.place_id": "geo",
    "attachments.media_keys": "attachments",
    "referenced_tweets.id.attachments.media_keys": "attachments",
    "edit_history_tweet_ids": "edit_history_tweet_ids",
    "attachments.media_source_tweet": "attachments",
    "attachments.poll_ids": "attachments",
    "article.cover_media": "article",
    "article.media_entities": "article",
}


@dataclass(frozen=True)
class Ask:
    """Which fields and expansions a request wants."""

    fields: Mapping[str, tuple[str, ...]]
    expansions: frozenset[str]

    @classmethod
    def of(cls, params: Mapping[str, str], refused: Mapping[str, frozenset[str]] | None = None) -> Ask:
        """From query parameters. Raises BadParameter for a name X does not know, or that is `refused`."""
        for name, values in (refused or {}).items():
            if name in params and not values:
                known = ",".join(sorted({*_ALLOWED, "expansions"} - {name}))
                message = f"The query parameter [{name}] is not one of [{known}]"
                raise BadParameter(name, params[name], message)
            for wrong in (value for value in params.get(name, "").split(",") if value in values):
                allowed = ",".join(sorted(frozenset(_ALLOWED.get(name, _EXPANSIONS)) - values))
                message = f"The `{name}` query parameter value [{wrong}] is not one of [{allowed}]"
                # X repeats the whole parameter as it was given, and names the wrong value in the message alone.
                raise BadParameter(name, params[name], message)
        expansions = _names(params, "expansions", _EXPANSIONS)
        fields = {
            name: tuple(dict.fromkeys((*default, *_names(params, name, _ALLOWED[name]))))
            for name, default in _DEFAULT.items()
        }
        _names(params, "poll.fields", _ALLOWED["poll.fields"])
        extra = (_EXPANSIONS[e] for e in expansions)
        fields["tweet.fields"] = tuple(dict.fromkeys((*fields["tweet.fields"], *extra)))
        return cls(fields, frozenset(expansions))

    def answer(self, posts: Iterable[Raw], known: Known) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The posts cut to the fields, and their `includes`."""
        shown = list(posts)
        ids = {p["id"] for p in shown}
        refs = [known.tweets[r] for p in shown for r in _references(p) if r in known.tweets]
        includes: dict[str, list[dict[str, Any]]] = {}
        self._add(includes, "users", "user.fields", _pick(known.users, self._user_ids(shown, refs, known)))
        if "referenced_tweets.id" in self.expansions:
            inner = _pick(known.tweets, (p["id"] for p in refs))
            self._add(includes, "tweets", "tweet.fields", [p for p in inner if p["id"] not in ids])
        if "geo.place_id" in self.expansions:
            places = ((p.get("geo") or {}).get("place_id") for p in shown)
            self._add(includes, "places", "place.fields", _pick(known.places, places))
        if "attachments.media_keys" in self.expansions:
            keys = (k for p in shown for k in (p.get("attachments") or {}).get("media_keys") or ())
            self._add(includes, "media", "media.fields", _pick(known.media, keys))
        return [_cut(p, self.fields["tweet.fields"]) for p in shown], includes

    def _user_ids(self, posts: list[Raw], refs: list[Raw], known: Known) -> Iterable[str | None]:
        if "author_id" in self.expansions:
            yield from (p.get("author_id") for p in posts)
        if "in_reply_to_user_id" in self.expansions:
            yield from (p.get("in_reply_to_user_id") for p in posts)
        if "referenced_tweets.id.author_id" in self.expansions:
            yield from (p.get("author_id") for p in refs)
        if "entities.mentions.username" in self.expansions:
            yield from (m.get("id") for p in posts for m in (p.get("entities") or {}).get("mentions") or ())

    def _add(self, includes: dict[str, Any], name: str, fields: str, items: list[Raw]) -> None:
        if items:
            includes[name] = [_cut(item, self.fields[fields]) for item in items]


def _names(params: Mapping[str, str], name: str, allowed: Iterable[str]) -> list[str]:
    names = [n for n in params.get(name, "").split(",") if n]
    known = frozenset(allowed)
    for wrong in (n for n in names if n not in known):
        message = f"The `{name}` query parameter value [{wrong}] is not one of [{','.join(sorted(known))}]"
        raise BadParameter(name, wrong, message)
    return names


def _pick(store: Mapping[str, Raw], keys: Iterable[str | None]) -> list[Raw]:
    return [store[k] for k in dict.fromkeys(keys) if k is not None and k in store]


def _references(post: Raw) -> list[str]:
    return [r["id"] for r in post.get("referenced_tweets") or ()]


def _cut(item: Raw, fields: Iterable[str]) -> dict[str, Any]:
    return {name: item[name] for name in fields if name in item}


def from_plain(raw: Raw, post_id: str, at: datetime, known: Known) -> dict[str, Any]:
    """A post's data from `{"text", "author"?, "lang"?, "repost_of"?, "reply_to"?, "quote_of"?, "place"?}`.

    `author` is a handle or a user object of X; `place` a place object or the id of a known one. The others are ids.
    """
    author = _author(raw, at, known)
    text = str(raw["text"])
    refs = [
        {"type": kind, "id": str(raw[name])}
        for kind, name in (("retweeted", "repost_of"), ("replied_to", "reply_to"), ("quoted", "quote_of"))
        if raw.get(name)
    ]
    original = known.tweets.get(str(raw.get("repost_of") or ""))
    if original is not None:
        name = known.users.get(original["author_id"], {}).get("username", "unknown")
        text = f"RT @{name}: {original['text']}"
    data: dict[str, Any] = {
        "id": post_id,
        "text": text if len(text) <= _SHORT else text[: _SHORT - 1] + "…",
        "created_at": rfc3339(at),
        "author_id": author,
        "lang": raw.get("lang", "no"),
        "conversation_id": str(raw.get("reply_to") or post_id),
        "edit_history_tweet_ids": [post_id],
        "public_metrics": {"retweet_count": 0, "reply_count": 0, "like_count": 0, "quote_count": 0},
    }
    if len(text) > _SHORT:
        data["note_tweet"] = {"text": text, **({"entities": e} if (e := _entities(text, known)) else {})}
    if entities := _entities(data["text"], known):
        data["entities"] = entities
    if refs:
        data["referenced_tweets"] = refs
    answered = known.tweets.get(str(raw.get("reply_to") or ""), {}).get("author_id")
    if answered:
        data["in_reply_to_user_id"] = answered
    if place := raw.get("place"):
        if isinstance(place, dict):
            known.places[str(place["id"])] = place
        data["geo"] = {"place_id": str(place["id"] if isinstance(place, dict) else place)}
    return data


def _author(raw: Raw, at: datetime, known: Known) -> str:
    given = raw.get("author")
    if isinstance(given, dict):
        known.users[str(given["id"])] = given
        return str(given["id"])
    user_id = str(raw.get("author_id") or _id_of(str(given or "noen")))
    handle = str(given or f"bruker_{user_id[-6:]}").lstrip("@")
    known.users.setdefault(
        user_id,
        {
            "id": user_id,
            "username": handle,
            "name": handle,
            "created_at": rfc3339(at),
            "verified": False,
            "public_metrics": {"followers_count": 10, "following_count": 10, "tweet_count": 1, "listed_count": 0},
        },
    )
    return user_id


def _id_of(handle: str) -> str:
    """The same handle is the same user, in every run."""
    digest = hashlib.sha256(handle.lstrip("@").lower().encode()).digest()
    return str(9_000_000_000_000_000_000 + int.from_bytes(digest[:4], "big"))


def _entities(text: str, known: Known) -> dict[str, Any]:
    ids = {str(u.get("username", "")).lower(): key for key, u in known.users.items()} if "@" in text else {}
    found: dict[str, list[dict[str, Any]]] = {
        "hashtags": [{"start": m.start(), "end": m.end(), "tag": m[1]} for m in HASHTAG.finditer(text)],
        "cashtags": [{"start": m.start(), "end": m.end(), "tag": m[1]} for m in CASHTAG.finditer(text)],
        "mentions": [
            {"start": m.start(), "end": m.end(), "username": m[1], "id": ids.get(m[1].lower()) or _id_of(m[1])}
            for m in MENTION.finditer(text)
        ],
        "urls": [
            {"start": m.start(), "end": m.end(), "url": m[0], "expanded_url": m[0], "display_url": m[0].split("//")[1]}
            for m in LINK.finditer(text)
        ],
    }
    return {name: items for name, items in found.items() if items}
