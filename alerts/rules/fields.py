"""How filters and keys read a finding: by property, or bare, by an entry of its `fields`.

Every reader gives a tuple of strings: none when the finding has no such thing, several for lists. A word is the same
in all its Unicode spellings (NFC).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from itertools import islice, product
from operator import attrgetter
from typing import Any

from alerts.annotate.story import is_repost
from alerts.rules.keys import write_key
from listener.model.normalize import nfc, same
from listener.model.records import EXPOSED, AuthorClass, Finding, Kind, Origin, Reach, Stance

Reader = Callable[[Finding], tuple[str, ...]]
Test = Callable[[Finding], bool]

MAX_KEYS = 1_000
"""Of one finding: where a key is made of several lists, a post could hold millions."""


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(text for part in value for text in _texts(part))
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return (nfc(str(value)),)


def _one(name: str) -> Reader:
    def read(finding: Finding) -> tuple[str, ...]:
        value = getattr(finding, name)
        return () if value is None else (nfc(str(value)),)

    return read


def _many(name: str) -> Reader:
    return lambda finding: tuple(map(nfc, getattr(finding, name)))


def _flag(name: str) -> Reader:
    return lambda finding: ("true" if getattr(finding, name) else "false",)


def _repost(finding: Finding) -> tuple[str, ...]:
    """Also one that names no post, as people write them: `RT @…`."""
    return ("true" if is_repost(finding.text, finding.repost_of) else "false",)


def _hashtags(finding: Finding) -> tuple[str, ...]:
    return tuple(dict.fromkeys(same(tag) for tag in finding.hashtags))


def _language(finding: Finding) -> tuple[str, ...]:
    """What the text was read as; of a finding that was not read, what the platform says."""
    language = finding.language or finding.lang
    return () if language is None else (language,)


def _patient_exposed(finding: Finding) -> tuple[str, ...]:
    if finding.patient_exposed is None:
        return ()
    return ("true" if finding.patient_exposed >= EXPOSED else "false",)


PROPERTIES: Mapping[str, Reader] = {
    "kind": attrgetter("kinds"),
    "kinds": attrgetter("kinds"),
    "theme": _many("themes"),
    "themes": _many("themes"),
    "main_theme": lambda finding: finding.themes[:1],
    "stance": _one("stance"),
    "patient_exposed": _patient_exposed,
    "language": _language,
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
    "stance": Stance,
}

VALUES: Mapping[str, tuple[str, ...]] = {
    **{name: tuple(map(str, enum)) for name, enum in _ENUMS.items()},
    "patient_exposed": ("true", "false"),
    "repost": ("true", "false"),
    "exercise": ("true", "false"),
}
"""Properties that can only have these values."""

UNUSABLE = frozenset({*Finding.model_fields, "key", "post_key"} - {"fields"} - set(PROPERTIES))
"""Parts of a finding that no rule may name: a post's text, above all, would end up in an alert's key."""

THEMES = frozenset({"theme", "themes", "main_theme"})
"""Properties whose values are ids of `themes.yaml`."""

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


def selected(wanted: Mapping[str, Iterable[str]], unwanted: Mapping[str, Iterable[str]]) -> Test:
    """`filter` and `exclude` → a test: what passes the first, and has no value of the second under any of its names."""
    passes = test_of(wanted)
    if not unwanted:
        return passes
    against = [_check(name, frozenset(map(same, values))) for name, values in unwanted.items()]
    return lambda finding: passes(finding) and not any(has(finding) for has in against)


def test_of(wanted: Mapping[str, Iterable[str]]) -> Test:
    """A filter → a test: each name must have one of its values, in any case and any Unicode spelling."""
    checks = [_check(name, frozenset(map(same, values))) for name, values in wanted.items()]
    if len(checks) == 1:
        return checks[0]
    return lambda finding: all(check(finding) for check in checks)


def _check(name: str, values: frozenset[str]) -> Test:
    read = reader(name)
    if name in ("kind", "kinds"):
        return lambda finding: any(cue.kind in values for cue in finding.cues)
    if name in VALUES:
        return lambda finding: not values.isdisjoint(read(finding))
    return lambda finding: any(same(value) in values for value in read(finding))


def keys_of(names: Iterable[str]) -> Reader:
    """Names → the keys of a finding, as `alerts.rules.keys` writes them; no names → one empty key."""
    readers = [reader(name) for name in names]
    if not readers:
        return lambda finding: ("",)
    if len(readers) == 1:
        only = readers[0]
        return lambda finding: tuple(dict.fromkeys(only(finding)))
    return lambda finding: tuple(dict.fromkeys(map(write_key, _several(readers, finding))))


def key_values_of(names: Iterable[str]) -> Callable[[Finding], tuple[tuple[str, ...], ...]]:
    """The same keys, each as its values."""
    readers = [reader(name) for name in names]
    return lambda finding: tuple(_several(readers, finding))


def _several(readers: Iterable[Reader], finding: Finding) -> Iterable[tuple[str, ...]]:
    return islice(product(*(read(finding) for read in readers)), MAX_KEYS)


def check_possible(option: str, name: str, values: Iterable[str]) -> None:
    """Raises ValueError when the property `name` can never have one of these values, naming the rule's `option`."""
    allowed = VALUES.get(name)
    for value in values:
        if allowed and value.casefold() not in allowed:
            raise ValueError(f"{option}: {name} can never be {value!r}; it is one of {', '.join(allowed)}")
