"""The fields of a decoded post of any platform: what must be there, what a post can do without, and a `Post` of them.

Pure; what will not do has a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from listener.model.normalize import nfc, whole
from listener.model.records import Post
from listener.sources.common.json import read_json
from listener.sources.contract import DropReason
from listener.units import parse_instant

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
MAX_NAMED = 1_000
"""Hashtags, links, accounts or versions of one post. No platform lets one name so many, and screening the one for the
other takes the product of their numbers."""


class Unusable(ValueError):
    """It is no post of ours; `reason` says why. The message names a field, never a value."""

    def __init__(self, reason: DropReason, field: str = "") -> None:
        super().__init__(f"{reason}: {field}" if field else str(reason))
        self.reason = reason
        self.field = field


Raw = Mapping[str, Any]


def build(**fields: Any) -> Post:
    """A Post of these fields, its words in one Unicode spelling. Raises Unusable with the first that will not do."""
    fields["text"] = nfc(fields["text"])
    for name in ("hashtags", "links", "handles", "edits"):
        if len(fields.get(name, ())) > MAX_NAMED:
            raise Unusable(DropReason.TOO_LONG, name)
    if fields.get("hashtags"):
        fields["hashtags"] = tuple(map(nfc, fields["hashtags"]))
    if fields.get("place") is not None:
        fields["place"] = nfc(fields["place"])
    try:
        return Post(**fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        raise Unusable(DropReason.WRONG_TYPE, str(first["loc"][0])) from None


def read_object(content: bytes) -> dict[str, Any]:
    """A message in JSON, which must be an object. Raises Unusable."""
    try:
        found = read_json(content)
    except ValueError:
        raise Unusable(DropReason.BAD_JSON) from None
    if not isinstance(found, dict):
        raise Unusable(DropReason.WRONG_TYPE)
    return found


def text_of(raw: Raw, name: str) -> str:
    """A text that must be there and hold something; a whole number serves as an id. Raises Unusable."""
    value = raw.get(name)
    if name == "id" and not isinstance(value, str) and (number := as_id(value)) is not None:
        return number
    if value is None or value == "":
        raise Unusable(DropReason.MISSING_FIELD, name)
    if not isinstance(value, str):
        raise Unusable(DropReason.WRONG_TYPE, name)
    return whole(value)


def time_of(raw: Raw, name: str) -> datetime:
    """A time that must be there, written as RFC 3339 has it; in UTC. Raises Unusable."""
    return time_said(text_of(raw, name), name)


def time_said(written: str, name: str) -> datetime:
    """The time that a field says. Raises Unusable."""
    try:
        at = parse_instant(written)
    except ValueError:
        raise Unusable(DropReason.BAD_DATE, name) from None
    if EARLIEST <= at < LATEST:
        return at
    raise Unusable(DropReason.BAD_DATE, name)


def dicts(raw: Any) -> list[dict[str, Any]]:
    """The objects in a list; nothing where there is no list."""
    return [item for item in raw if isinstance(item, dict)] if isinstance(raw, list) else []


def texts(raw: Any) -> tuple[str, ...]:
    """The texts in a list; nothing where there is no list."""
    return tuple(whole(item) for item in raw if isinstance(item, str)) if isinstance(raw, list) else ()


def ids(raw: Any) -> tuple[str, ...]:
    """The ids in a list; nothing where there is no list."""
    found = map(as_id, raw) if isinstance(raw, list) else ()
    return tuple(item for item in found if item is not None)


def as_text(raw: Any) -> str | None:
    """For what a post can do without: what is no text counts as unset."""
    return whole(raw) if isinstance(raw, str) else None


def as_id(raw: Any) -> str | None:
    """An id, which many tools write as a number; None for what is none, or a number that has lost digits."""
    if raw is None:
        return None
    if isinstance(raw, str):
        return whole(raw) or None
    if type(raw) is float and raw.is_integer() and abs(raw) < _EXACT:
        return str(int(raw))
    return str(raw) if type(raw) is int and raw.bit_length() <= _ID_BITS else None


_EXACT = 2.0**53
"""Below it a float holds every whole number."""
_ID_BITS = 128
