"""One host's log of the network: numbered its own way, kept so long, and read from a cursor on."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ..platform.streams import StreamReader
from .network import COLLECTION, Event

THRESHOLD = 10**15
"""A cursor below it is a number of the host's log, any other is microseconds."""
KINDS = ("commit", "identity", "account", "sync")
_CID = "bafyreib" + "b" * 51
_TYPE = "network.bsky.jetstream.subscribeEvents"


@dataclass(frozen=True)
class Entry:
    """An event as this host has it."""

    seq: int
    us: int
    event: Event


class CursorTooOld(Exception):
    """A number that the host does not keep any more."""

    def __init__(self, cursor: int, floor: int) -> None:
        super().__init__(f"subscribe: cursor too old: cursor {cursor} below lookback floor {floor}; re-backfill")


@dataclass(frozen=True)
class Wanted:
    """What a reader asks for. `kinds` None: all."""

    kinds: frozenset[str] | None
    collections: frozenset[str]

    def has(self, event: Event) -> bool:
        if self.kinds is not None and event.kind not in self.kinds:
            return False
        return event.kind != "commit" or not self.collections or event.collection in self.collections


class HostLog:
    """`first`: the number of its first event. `skew`: by so many seconds is the host's clock ahead. `keeps`: how far
    back, in seconds of the clock, it gives events. Not safe for threads: the platform's lock is held."""

    def __init__(self, now: Callable[[], datetime], first: int = 1, keeps: float = 36 * 3600) -> None:
        self._now = now
        self.entries: list[Entry] = []
        self.next = first
        self.skew = 0.0
        self.keeps = keeps

    def add(self, event: Event) -> Entry:
        us = int((event.at.timestamp() + self.skew) * 1_000_000)
        if self.entries:
            us = max(us, self.entries[-1].us + 1)
        entry = Entry(self.next, us, event)
        self.next += 1
        self.entries.append(entry)
        return entry

    def floor(self) -> int:
        """The place of the first event that it still gives."""
        oldest = (self._now() + timedelta(seconds=self.skew - self.keeps)).timestamp()
        return bisect_left(self.entries, int(oldest * 1_000_000), key=lambda entry: entry.us)

    def renumber(self, first: int) -> None:
        """The host lost its numbers: what it has is numbered anew from `first` on."""
        self.entries = [Entry(first + place, e.us, e.event) for place, e in enumerate(self.entries)]
        self.next = first + len(self.entries)

    def since(self, cursor: int | None, *, v2: bool) -> tuple[int, bool]:
        """The place of the first event to give, and whether the cursor was clamped. Raises CursorTooOld."""
        floor, end = self.floor(), len(self.entries)
        if cursor is None:
            return end, False
        if v2 and cursor < THRESHOLD:
            if cursor >= self.next:
                return end, False
            place = bisect_left(self.entries, cursor, key=lambda entry: entry.seq)
            if place < floor:
                raise CursorTooOld(cursor, self.entries[floor].seq if floor < end else self.next)
            return place, False
        if cursor > int((self._now().timestamp() + self.skew) * 1_000_000):
            return end, False
        place = bisect_left(self.entries, cursor, key=lambda entry: entry.us)
        # One that lies before the first event kept is too old only where there were events before it.
        old = self._now() + timedelta(seconds=self.skew - self.keeps)
        return max(place, floor), cursor < int(old.timestamp() * 1_000_000)


@dataclass
class Subscriber:
    """One open websocket."""

    wanted: Wanted
    v2: bool
    reader: StreamReader
    client: str
    cursor: str

    def shown(self) -> dict[str, Any]:
        reader = self.reader
        return {"v2": self.v2, "cursor": self.cursor, "sent": reader.sent, "waiting": len(reader.lines)}


def written(entry: Entry, *, v2: bool) -> bytes:
    """An event as it goes over the wire."""
    body = _v2(entry) if v2 else _v1(entry)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def info(name: str, message: str) -> bytes:
    payload = {"$type": f"{_TYPE}#info", "name": name, "message": message}
    return json.dumps({"$type": "message", "payload": payload}, separators=(",", ":")).encode()


def failure(name: str, message: str) -> bytes:
    return json.dumps({"$type": "error", "error": name, "message": message}, separators=(",", ":")).encode()


def _v2(entry: Entry) -> dict[str, Any]:
    event = entry.event
    payload: dict[str, Any] = {
        "$type": f"{_TYPE}#{event.kind}", "seq": entry.seq, "did": event.did, "time": _micro(entry.us),
    }  # fmt: skip
    if event.kind == "commit":
        payload |= {"rev": event.rev, "operation": event.operation, "collection": event.collection}
        payload |= {"rkey": event.rkey}
        if event.record is not None:
            payload |= {"record": event.record, "cid": _CID}
    else:
        payload["account"] = _account(entry)
    return {"$type": "message", "payload": payload}


def _v1(entry: Entry) -> dict[str, Any]:
    event = entry.event
    head = {"did": event.did, "time_us": entry.us, "kind": event.kind}
    if event.kind != "commit":
        return {**head, "account": _account(entry)}
    commit: dict[str, Any] = {"rev": event.rev, "operation": event.operation, "collection": event.collection}
    commit["rkey"] = event.rkey
    if event.record is not None:
        commit |= {"record": event.record, "cid": _CID}
    return {**head, "commit": commit}


def _account(entry: Entry) -> Mapping[str, Any]:
    event = entry.event
    out = {"active": event.active, "did": event.did, "seq": 30_000_000_000 + entry.seq, "time": _micro(entry.us)}
    return out if event.status is None else {**out, "status": event.status}


def _micro(us: int) -> str:
    at = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{us % 1_000_000:06d}Z"


def wanted_v2(params: Mapping[str, list[str]]) -> Wanted:
    """Raises ValueError, as the original refuses what could never match."""
    kinds, collections = params.get("kinds", []), params.get("collections", [])
    for old, new in (("wantedDids", "dids"), ("wantedCollections", "collections")):
        if old in params:
            raise ValueError(f"subscribe: invalid options: {old} is not a parameter of this endpoint; use {new}")
    for kind in kinds:
        if kind not in KINDS:
            raise ValueError(f'subscribe: invalid options: unknown kind "{kind}"')
    if collections and kinds and "commit" not in kinds:
        raise ValueError("subscribe: invalid options: collections can never apply without kinds=commit")
    return Wanted(frozenset(kinds) or None, frozenset(collections))


def wanted_v1(params: Mapping[str, list[str]]) -> Wanted:
    return Wanted(None, frozenset(params.get("wantedCollections", [])))


__all__ = [
    "COLLECTION",
    "CursorTooOld",
    "Entry",
    "HostLog",
    "Subscriber",
    "Wanted",
    "failure",
    "info",
    "wanted_v1",
    "wanted_v2",
    "written",
]
