"""What the lines of a recorded file hold, judged in order: posts, ids seen twice, and what will not do, and why.

A line is JSON; what it says is for the `Parse` of its platform to know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from listener.errors import ConfigError
from listener.model.records import Post
from listener.sources.common.fields import Unusable
from listener.sources.common.json import read_json
from listener.sources.common.reader import Broken, LineReader
from listener.sources.common.seen_ids import SeenIds
from listener.sources.contract import BadLine, DropReason

PATIENCE = 20
"""Lines that are no JSON objects, at a file's beginning, after which it is no recording."""
LONE = timedelta(days=5 * 365)
"""A post further ahead of the others is believed only when the next post is there too."""

Parse = Callable[[Any, str], Iterable[Post | Unusable]]
"""One line's JSON, whatever it is, and the source's name → its posts, and what in it is none, in order. Raises Unusable
where no post can be in it."""


@dataclass(slots=True)
class Offered:
    """What one line held. `at` is the latest time of its posts."""

    number: int
    line: bytes | Broken
    posts: tuple[Post, ...] = ()
    bad: tuple[BadLine, ...] = ()
    duplicates: int = 0
    at: datetime | None = None


def offered(reader: LineReader, source: str, parse: Parse) -> Iterator[Offered | None]:
    """The lines of a recorded file, blank ones left out; None where there is nothing to read yet.

    Raises ConfigError when the file is no recording at all.
    """
    return _without_lone_dates(_parsed(reader, source, parse), reader.path)


def _parsed(reader: LineReader, source: str, parse: Parse) -> Iterator[Offered | None]:
    seen = SeenIds()
    strange, first = 0, b""
    for line in reader.lines():
        if line is None:
            yield None
            continue
        number, content = line
        if isinstance(content, bytes):
            content = content.strip()
            if not content:
                continue
            if strange >= 0:
                strange, first = (-1, b"") if content.startswith(b"{") else (strange + 1, first or content[:64])
                if strange >= PATIENCE or first == b"[":
                    raise _no_recording(reader.path, number, first)
        if isinstance(content, Broken):
            broken = BadLine(content.reason, f"{reader.path}:{number}", content.length, content.digest)
            yield Offered(number, content, bad=(broken,))
        else:
            yield _judge(number, content, reader.path, _items(content, source, reader, parse), source, seen)
    if strange > 0:
        raise _no_recording(reader.path, 1, first)


def _judge(
    number: int, content: bytes, path: str, items: Iterable[Post | DropReason], source: str, seen: SeenIds
) -> Offered:
    posts: list[Post] = []
    bad: list[BadLine] = []
    bad_of: dict[DropReason, BadLine] = {}
    duplicates = 0
    for item in items:
        if isinstance(item, DropReason):
            if item not in bad_of:
                bad_of[item] = _bad(item, path, number, content)
            bad.append(bad_of[item])
        elif seen.add(_id_of(item, source)):
            posts.append(item)
        else:
            duplicates += 1
    at = max((post.at for post in posts), default=None)
    return Offered(number, content, tuple(posts), tuple(bad), duplicates, at)


def _id_of(post: Post, source: str) -> str:
    """Under which it is known in the recording. Two platforms may give one id."""
    own = post.id if post.version is None else f"{post.id}@{post.version}"
    return own if post.source == source else f"{post.source}:{own}"


def _items(content: bytes, source: str, reader: LineReader, parse: Parse) -> Iterable[Post | DropReason]:
    try:
        raw = read_json(content)
    except ValueError:
        return (DropReason.TRUNCATED_LINE if reader.unended else DropReason.BAD_JSON,)
    try:
        return [item.reason if isinstance(item, Unusable) else item for item in parse(raw, source)]
    except Unusable as refused:
        return (refused.reason,)


def _bad(reason: DropReason, path: str, number: int, content: bytes) -> BadLine:
    return BadLine.of(reason, f"{path}:{number}", content)


def _without_lone_dates(lines: Iterable[Offered | None], path: str) -> Iterator[Offered | None]:
    """Hold a post that is far ahead of all before it until the next one shows whether the time has come.

    One wrong date would otherwise carry the watermark past every window that is open.
    """
    until: datetime | None = None
    held: list[Offered] = []
    for line in lines:
        if line is None:
            yield None
            continue
        if held:
            suspect, dated = held[0].at, sum(each.at is not None for each in held[1:])
            far = line.at is not None and suspect is not None and line.at < suspect - LONE
            # Of the first two posts either may be wrong: a third one decides.
            if len(held) < PATIENCE and (line.at is None or (far and until is None and not dated)):
                held.append(line)
                continue
            if far:
                _refuse(held[0], path)
            else:
                until = suspect
            yield from held
            held = []
        if line.at is not None and len(line.posts) == 1 and (until is None or line.at > until + LONE):
            held = [line]
            continue
        if line.at is not None:
            until = line.at if until is None else max(until, line.at)
        yield line
    if held and until is not None:
        _refuse(held[0], path)
    yield from held


def _refuse(line: Offered, path: str) -> None:
    if isinstance(line.line, bytes):
        line.bad = (*line.bad, _bad(DropReason.LONE_DATE, path, line.number, line.line))
        line.posts, line.at = (), None


_KNOWN: dict[bytes, str] = {
    b"[": "it is one JSON list; write one object a line: `jq -c '.[]' FILE`",
    b"\x28\xb5\x2f\xfd": "it is compressed with zstd; unpack it first: `zstd -d FILE`",
    b"BZh": "it is compressed with bzip2; unpack it first: `bunzip2 FILE`",
    b"\xfd7zXZ": "it is compressed with xz; unpack it first: `unxz FILE`",
    b"PK\x03\x04": "it is a zip archive; unpack it first: `unzip FILE`",
    b"\xff\xfe": "it is text in UTF-16; turn it into UTF-8: `iconv -f UTF-16 -t UTF-8 FILE`",
    b"\xfe\xff": "it is text in UTF-16; turn it into UTF-8: `iconv -f UTF-16 -t UTF-8 FILE`",
}


def _no_recording(path: str, number: int, first: bytes) -> ConfigError:
    why = next((why for start, why in _KNOWN.items() if first.startswith(start)), None)
    if why is None:
        why = "it is binary" if b"\0" in first else "its lines are no JSON objects"
    return ConfigError(f"{path}:{number}: is no recording: {why}. A recording has one post a line, as JSON")
