"""What X sent → posts, and what became none with its reason. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from listener.model.records import Post
from listener.sources.common.buffer import Unreadable
from listener.sources.common.fields import Unusable
from listener.sources.common.json import read_json
from listener.sources.contract import BadLine, DropReason
from listener.sources.x.payload import parse_answer
from listener.sources.x.typed_line import read_post

_OPERATIONAL: Final = ("operational-disconnect", "OperationalDisconnect", "UpstreamOperationalDisconnect")


@dataclass
class Read:
    """`disconnect`: X says that it ends this connection. `garbled`: a line that may have been a post."""

    posts: list[Post] = field(default_factory=list)
    bad: list[BadLine] = field(default_factory=list)
    disconnect: bool = False
    garbled: bool = False

    def add(self, other: Read) -> None:
        self.posts += other.posts
        self.bad += other.bad


def read_line(raw: bytes, source: str) -> Read:
    """One line of the stream."""
    post = read_post(raw, source)
    if post is not None:
        return Read([post])
    read = Read()
    try:
        answer = read_json(raw)
    except ValueError:
        read.bad.append(bad_line(DropReason.BAD_JSON, raw, source))
        read.garbled = True
        return read
    if isinstance(answer, dict) and "data" not in answer and "errors" in answer:
        read.disconnect = _is_disconnect(answer["errors"])
        read.bad.append(bad_line(DropReason.NOT_A_POST, raw, source))
        return read
    _take(answer, source, raw, read)
    return read


def read_broken(item: Unreadable, source: str) -> Read:
    """Bytes that became no line. Half a line at a connection's end is of a gap that begins there anyway."""
    reason = DropReason.BROKEN_LINE if item.half else DropReason.TOO_LONG
    return Read(bad=[BadLine(reason, f"{source}:stream", item.length, item.digest)], garbled=not item.half)


def read_page(answer: Mapping[str, Any], source: str) -> Read:
    """One page of search. An empty one holds nothing."""
    read = Read()
    if answer:
        _take(answer, source, b"", read)
    return read


def bad_line(reason: DropReason, raw: bytes, source: str) -> BadLine:
    return BadLine.of(reason, f"{source}:stream" if raw else f"{source}:search", raw)


def _take(answer: Any, source: str, raw: bytes, read: Read) -> None:
    try:
        found = parse_answer(answer, source)
    except Unusable as refused:
        if raw or refused.reason is not DropReason.NOT_A_POST:
            read.bad.append(bad_line(refused.reason, raw, source))
        return
    if raw and not found:
        read.bad.append(bad_line(DropReason.NOT_A_POST, raw, source))
    bad: dict[DropReason, BadLine] = {}
    for each in found:
        if isinstance(each, Post):
            read.posts.append(each)
            continue
        if each.reason not in bad:
            bad[each.reason] = bad_line(each.reason, raw, source)
        read.bad.append(bad[each.reason])


def _is_disconnect(errors: Any) -> bool:
    return any(
        isinstance(error, dict)
        and (
            error.get("title") in _OPERATIONAL
            or "disconnect" in str(error.get("type", ""))
            or "disconnect_type" in error
        )
        for error in (errors if isinstance(errors, list) else ())
    )
