"""How filters and keys read a finding: by property, or bare, by an entry of its `fields`.

Every reader gives a tuple of strings: none when the finding has no such thing, several for lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from itertools import product
from operator import attrgetter
from typing import Any

from alerts.story import is_repost
from listener.records import AuthorClass, Finding, Kind, Origin, Reach

Reader = Callable[[Finding], tuple[str, ...]]
Test = Callable[[Finding], bool]


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(text for part in value for text in _texts(part))
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return (str(value),)


def _one(name: str) -> Reader:
    def read(finding: Finding) -> tuple[str, ...]:
        value = getattr(finding, name)
        return () if value is None else (str(value),)

    return read


def _many(name: str) -> Reader:
    return lambda finding: tuple(map(str, getattr(finding, name)))


def _flag(name: str) -> Reader:
    return lambda finding: ("true" if getattr(finding, name) else "false",)


def _repost(finding: Finding) -> tuple[str, ...]:
    """Also one that names no post, as people write them: `RT @…`."""
    return ("true" if is_repost(finding.text, finding.repost_of) else "false",)


def _hashtags(finding: Finding) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tag.casefold() for tag in finding.hashtags))


PROPERTIES: Mapping[str, Reader] = {
    "kind": attrgetter("kinds"),
    "kinds": attrgetter("kinds"),
    "language": _one("lang"),
    "lang": _one("lang"),
    "source": _one("source"),
    "track": _many("tracks"),
    "tracks": _many("tracks"),
    "place": _one("place"),
    "reach": _one("reach"),
    "author": _one("author"),
    "author_class": _one("author_class"),
    "origin": _one("origin"),
    "story": lambda finding: (finding.story,),
    "hashtag": _hashtags,
    "hashtags": _hashtags,
    "links": _many("links"),
    "id": _one("id"),
    "url": _one("url"),
    "repost": _repost,
    "repost_of": _one("repost_of"),
    "reply_to": _one("reply_to"),
    "quote_of": _one("quote_of"),
    "exercise": _flag("exercise"),
}

_ENUMS: Mapping[str, type[StrEnum]] = {
    "kind": Kind,
    "kinds": Kind,
    "reach": Reach,
    "author_class": AuthorClass,
    "origin": Origin,
}

VALUES: Mapping[str, tuple[str, ...]] = {
    **{name: tuple(map(str, enum)) for name, enum in _ENUMS.items()},
    "repost": ("true", "false"),
    "exercise": ("true", "false"),
}
"""Properties that can only have these values."""

UNUSABLE = frozenset({*Finding.model_fields, "key", "post_key"} - {"fields"} - set(PROPERTIES))
"""Parts of a finding that no rule may name: a post's text, above all, would end up in an alert's key."""

UNSPEAKABLE = frozenset({"links", "url"})
"""May be filtered by, but not be a key or term: it leads to a person, and alerts are kept for long."""


def reader(name: str) -> Reader:
    """The reader of a property or, where there is none of that name, of an entry of `fields`; `a.b`: one in another."""
    return PROPERTIES.get(name) or (lambda finding: _texts(entry(finding.fields, name)))


def entry(fields: Mapping[str, Any], name: str) -> Any:
    if name in fields or "." not in name:
        return fields.get(name)
    outer, _, inner = name.partition(".")
    within = fields.get(outer)
    return entry(within, inner) if isinstance(within, Mapping) else None


def test_of(wanted: Mapping[str, Iterable[str]]) -> Test:
    """A filter → a test: each name must have one of its values, upper and lower case alike."""
    checks = [_check(name, frozenset(value.casefold() for value in values)) for name, values in wanted.items()]
    if len(checks) == 1:
        return checks[0]
    return lambda finding: all(check(finding) for check in checks)


def _check(name: str, values: frozenset[str]) -> Test:
    read = reader(name)
    if name in ("kind", "kinds"):
        return lambda finding: any(cue.kind in values for cue in finding.cues)
    if name in VALUES:
        return lambda finding: not values.isdisjoint(read(finding))
    return lambda finding: any(value.casefold() in values for value in read(finding))


def keys_of(names: Iterable[str]) -> Reader:
    """Several names → the keys of a finding, `a, b`; no names → one empty key."""
    readers = [reader(name) for name in names]
    if not readers:
        return lambda finding: ("",)
    if len(readers) == 1:
        only = readers[0]
        return lambda finding: tuple(dict.fromkeys(only(finding)))
    return lambda finding: tuple(dict.fromkeys(map(", ".join, product(*(read(finding) for read in readers)))))
