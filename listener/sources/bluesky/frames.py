"""Jetstream's messages, of version 2 and of version 1: what each is, and whether it can be wanted. Pure.

All posts of the network come, and nearly none is about us. So a message is first looked at as bytes (`Outlook`): only
where it can be wanted is it read as JSON. What the look cannot tell is wanted: reading it decides.

Source: bluesky-social/jetstream, `lexicons/network/bsky/jetstream/subscribeEvents.json` and `internal/subscribe/`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from listener.sources.common.fields import Unusable, read_object
from listener.sources.common.sieve import Sieve
from listener.sources.contract import DropReason
from listener.units import parse_instant

POSTS: Final = "app.bsky.feed.post"
_CREATE, _UPDATE = b'"operation":"create"', b'"operation":"update"'
_DID: Final = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]{1,256}")
_RKEY: Final = re.compile(r"[A-Za-z0-9._~-]{1,512}")
"""As atproto has it, but for the colon, which no id of a post has and which our own keys end with."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host's stream was read to: the event's number there (version 2 alone) and its time in microseconds."""

    seq: int | None
    us: int


def onward(before: Place | None, place: Place) -> Place:
    """The next place on the same host: where its numbers go on, its time does too. (An operator may have imported the
    times of some events: those tell nothing of when they came.)"""
    if before is None or before.seq is None or place.seq is None or place.seq <= before.seq:
        return place
    return place if place.us >= before.us else Place(place.seq, before.us)


@dataclass(frozen=True, slots=True)
class Commit:
    """A post was made, changed or deleted. `rev` grows with each change of the account's."""

    place: Place
    did: str
    rkey: str
    operation: str
    rev: str
    record: Mapping[str, Any] | None

    @property
    def uri(self) -> str:
        return f"at://{self.did}/{POSTS}/{self.rkey}"


@dataclass(frozen=True, slots=True)
class Account:
    """An account is there, or is not. `status`: why not."""

    place: Place
    did: str
    active: bool
    status: str | None


@dataclass(frozen=True, slots=True)
class Info:
    """Something that the host tells of the stream itself."""

    name: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The host ends the stream, for this reason."""

    name: str


@dataclass(frozen=True, slots=True)
class Other:
    """An event that is none of ours: of another collection, or of a kind that came later."""

    place: Place


Message = Commit | Account | Info | Failure | Other


class Outlook:
    """Whether a message can be wanted, by its bytes. `sieve`: what posts are wanted for; `dids`: whose all are."""

    __slots__ = ("_dids", "_sieve")

    def __init__(self, sieve: Sieve, dids: Iterable[str] = ()) -> None:
        self._sieve = sieve
        self._dids = tuple(did.encode() for did in dids)

    def wants(self, raw: bytes) -> bool:
        """False for a post in which nothing wanted can stand. Deletions, accounts and what is not understood pass."""
        if _CREATE not in raw and _UPDATE not in raw:
            return True
        for did in self._dids:
            if did in raw:
                return True
        if b"\\u" in raw or b"\\\\" in raw:
            return True  # letters written as numbers: only reading tells
        # What the host writes before the record is the account and the place.
        raw = raw[max(0, raw.find(b'"record"')) :]
        if not self._sieve.may_let_through(raw):
            return False
        if b"\\" in raw:
            for escape in (b"\\n", b"\\r", b"\\t", b"\\b", b"\\f"):
                raw = raw.replace(escape, b" ")
        return self._sieve.lets_through(raw.decode("utf-8", "replace"))


def read_message(raw: bytes) -> Message:
    """One message. Raises Unusable for what is none."""
    found = read_object(raw)
    if "payload" in found:
        return _read_v2(found["payload"])
    if found.get("$type") == "error":
        name = found.get("error")
        # It is logged, and whoever runs a host may write there what he likes.
        return Failure(name[:50] if isinstance(name, str) and name.isalnum() else "error")
    if "kind" in found:
        return _read_v1(found)
    raise Unusable(DropReason.NOT_A_POST)


def place_of(raw: bytes) -> Place | None:
    """Where a message stands; None where it tells none."""
    try:
        return getattr(read_message(raw), "place", None)
    except Unusable:
        return None


def _read_v2(payload: Any) -> Message:
    if not isinstance(payload, dict):
        raise Unusable(DropReason.WRONG_TYPE, "payload")
    kind = str(payload.get("$type")).rpartition("#")[2]
    if kind == "info":
        return Info(str(payload.get("name"))[:100])
    seq = payload.get("seq")
    if type(seq) is not int or seq < 0:
        raise Unusable(DropReason.MISSING_FIELD if seq is None else DropReason.WRONG_TYPE, "seq")
    place = Place(seq, _microseconds(payload.get("time")))
    return _event(kind, place, payload, payload, payload.get("account"))


def _read_v1(found: Mapping[str, Any]) -> Message:
    us = found.get("time_us")
    if type(us) is not int or not 0 < us < 1 << 53:
        raise Unusable(DropReason.MISSING_FIELD if us is None else DropReason.BAD_DATE, "time_us")
    return _event(str(found["kind"]), Place(None, us), found, found.get("commit"), found.get("account"))


def _event(kind: str, place: Place, head: Mapping[str, Any], commit: Any, account: Any) -> Message:
    did = head.get("did")
    if kind not in ("commit", "account"):
        return Other(place)
    if not isinstance(did, str) or not _DID.fullmatch(did):
        raise Unusable(DropReason.MISSING_FIELD if did is None else DropReason.WRONG_TYPE, "did")
    if kind == "account":
        if not isinstance(account, dict) or not isinstance(account.get("active"), bool):
            raise Unusable(DropReason.MISSING_FIELD, "account")
        status = account.get("status")
        return Account(place, did, account["active"], status if isinstance(status, str) else None)
    if not isinstance(commit, dict):
        raise Unusable(DropReason.MISSING_FIELD, "commit")
    if commit.get("collection") != POSTS:
        return Other(place)
    rkey, record, rev = commit.get("rkey"), commit.get("record"), commit.get("rev")
    if not isinstance(rkey, str) or not _RKEY.fullmatch(rkey):
        raise Unusable(DropReason.MISSING_FIELD if rkey is None else DropReason.WRONG_TYPE, "rkey")
    operation = commit.get("operation")
    if operation not in ("create", "update", "delete"):
        raise Unusable(DropReason.WRONG_TYPE, "operation")
    if operation != "delete" and not isinstance(record, dict):
        raise Unusable(DropReason.MISSING_FIELD, "record")
    return Commit(place, did, rkey, operation, rev if isinstance(rev, str) else "", record)


def _microseconds(written: Any) -> int:
    if not isinstance(written, str):
        raise Unusable(DropReason.MISSING_FIELD, "time")
    try:
        at = parse_instant(written)
    except ValueError:
        raise Unusable(DropReason.BAD_DATE, "time") from None
    return int(at.timestamp()) * 1_000_000 + at.microsecond
