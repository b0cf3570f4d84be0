"""What reads text from outside takes time in proportion to its length, whatever nonsense it is given.

A line is a million bytes at most: what takes the square of that stops the process for minutes, and nothing else turns
meanwhile. Each reader gets each shape of nonsense in one length and in four times that. The times are of one run on
one machine, the least of several, and of the processor alone; what takes no time to speak of is not compared.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from understanders import default

from alerts.annotate.claims import claim
from alerts.annotate.kinds import KindCues
from alerts.annotate.near import relation
from alerts.annotate.story import is_repost, story
from alerts.commands.annotate import BadPost, read_post
from alerts.commands.volumes import BadInput, records
from alerts.judge.jsonl import BadLine, read_line
from alerts.rules.keys import read_key, write_key
from listener.clock import ManualClock
from listener.errors import ConfigError
from listener.ingest.matcher import Matcher, handles_in
from listener.model.hashtags import hashtags_in
from listener.model.normalize import same, whole
from listener.model.records import AuthorClass, Origin
from listener.model.tracks import parse
from listener.privacy.folding import fold
from listener.privacy.handles import find_handles
from listener.privacy.masking import mask
from listener.privacy.numbers import find_numbers
from listener.privacy.screen import Screen
from listener.settings.files import packaged_config, parse_yaml
from listener.sources.common.fields import Unusable
from listener.sources.common.json import read_json
from listener.sources.common.line_splitter import Lines
from listener.sources.common.reader import LineReader
from listener.sources.common.recorded_source import RecordedSource
from listener.sources.recording.parser import plain_post, posts_in
from listener.sources.x.payload import parse_answer
from listener.sources.x.reading import read_line as read_stream
from listener.units import parse_duration, parse_instant

LENGTH = 3_000
"""Characters; and four times as many."""
RATIO = 4 * 2.5
NOTHING = 0.04
"""Seconds of the processor for the longer one: what takes no more is quick, whatever its ratio."""
TRIES = 4

AT = "2026-03-01T20:00:00Z"
_PARTS = (
    "a|A|1|9|å|æøå | |\n|\t|.|-|_|/|@|#|&|%|=|?|!|:|,|…|'|\"|«|(|)|[|‹|›|\\|+|*|\x00|\xad|\u200b|\ufe0f|"
    "\u0301|\u0315\u0300|\ud83d|😀|世|１|𝟏|1 |1.|1-|1/|12 |12345678 |12345678901 |01.01.2026 |21:30-|+47 |"
    "+4712345678/|(0) |0047|a |a.|a-|a_|a@|a@a|a@a.|@a|@a |@a-|@a.|@a_|@a@|@a.-|@@a|a@b.no |a (at) | at |"
    " dot | krøllalfa |punktum |(dot)|a@a dot |%40|%31|%C3%A5|#a|#a |#å |# |＃a|&amp;|&a|‹a|RT @a: |RT |"
    '"@a: |via @|via |cc |a: |A a a: |…\n|.. |... http|? |! a |? #a |- | – |\n\n|http://|https://a.no/|http|'
    "www.|www.a|a.a/|x.com/|x.com/a/|x.com/a/status/1|t.me/s/|facebook.com/profile.php?|"
    "facebook.com/profile.php?a&|facebook.com/people/|instagram.com/|linkedin.com/in/|/users/|?via=|&via=@a|"
    "from:|from:a |tlf |tlf: 12 |ring 1|nummer |hva skjer? |er det noen som vet |jeg så det |sykehus|åpent? |"
    "en |ni |1 en |nitti |twitter a_|bruker a1 |a[.]|a.tumblr.com|.bsky.social|github.com/|x . com/|a.a gmail |"
    'a@a. |a@a,|0.0.0.0 |{|}|[1,|{"a":|a: [|- |a, |a,b\n|"a""|1h|1h |60|T|place:|a* |"a"\n|&a |*a '
)
PARTS = _PARTS.split("|")
_FRAMED = (
    "@|a-|!¦@|a.|@¦@a|-|!¦a@|a|!¦a@|a-|.¦dot| |x¦dot a| |at¦krøll a| |x¦a (at)| |x¦a@b dot| |x¦"
    'tlf| |12345678¦a|.|!¦a|…|!¦a|\u0301|b¦http://|a| ¦http://a?|1+| ¦a |\n|a¦RT @a| |b¦via| |b¦a| |:¦"|a|b¦'
    "\"|\"\"|b¦#|å|!¦1| |2¦1|1 |x¦x.com/|a|/¦facebook.com/profile.php?|a&| ¦a: |[|¦a: |{a: |¦'|''|¦|1|s¦|1.|s"
)
FRAMED = _FRAMED.split("¦")
"""What arms a pattern, what it is filled with, and what it stumbles over at the end."""


def _filled(part: str, first: str = "", last: str = "") -> Callable[[int], str]:
    return lambda n: first + part * (n // len(part)) + last


SHAPES: dict[str, Callable[[int], str]] = {
    **{repr(part): _filled(part) for part in PARTS},
    **{frame: _filled(part, first, last) for frame in FRAMED for first, part, last in [frame.split("|")]},
    "all letters": lambda n: "".join(map(chr, range(0x400, 0x400 + n))),
    "words": lambda n: " ".join(f"ord{i}" for i in range(n // 8)),
    "tags": lambda n: " ".join(f"#ord{i}" for i in range(n // 8)),
    "names": lambda n: " ".join(f"@ord{i}" for i in range(n // 8)),
}


def _post(text: str) -> Any:
    return plain_post({"id": "1", "created_at": AT, "text": text or "a"}, "x")


def _screened(text: str) -> None:
    screen = Screen(b"k" * 32, {"@a": AuthorClass.MEDIA, "a.a.a": AuthorClass.UNKNOWN})
    post = _post(text).model_copy(update={"links": (text,)})
    screen.mention(post, incidents={"i": ()}, origin=Origin.LIVE, captured_at=post.at, exercise=True)


def _answer(text: str) -> None:
    item = {
        "id": "1",
        "created_at": AT,
        "text": text or "a",
        "entities": {"mentions": [{"id": text, "username": text}]},
    }
    parse_answer({"data": [item, item], "includes": {"users": [{"id": text}]}}, "x")


def _lines(text: str) -> None:
    lines = Lines()
    raw = text.encode("utf-8", "surrogatepass")
    for start in range(0, len(raw), 16):
        lines.feed(raw[start : start + 16])


CUES = KindCues.load(packaged_config() / "cues")
MATCHER = Matcher({"i": ["ullevål brann", "aaa*", "#aaa*", "@a", "place:a a", "a a a", "1 1"]})
COUNTER = count()
"""In front of a text: one that comes again is not read again."""
READERS: dict[str, Callable[[str], object]] = {
    "mask": mask,
    "numbers": lambda text: list(find_numbers(fold(text).text)),
    "handles": lambda text: list(find_handles(fold(text).text, lambda name: name == "a", lambda name: "p")),
    "screen": _screened,
    "match": lambda text: MATCHER.match(_post(text)),
    "hashtags_in": hashtags_in,
    "handles_in": handles_in,
    "story": lambda text: (story(whole(text)), is_repost(text)),
    "near": lambda text: relation(claim(whole(text)), claim(f"a {whole(text)} a")),
    "kinds": CUES.kinds,
    "understand": lambda text: default().understand(f"{next(COUNTER)} {text}"),
    "post to annotate": lambda text: read_post(json.dumps({"id": text, "text": text}).encode()),
    "same": same,
    "post": _post,
    "answer": _answer,
    "track": parse,
    "duration": parse_duration,
    "instant": parse_instant,
    "key": lambda text: (read_key(text, "ab"), read_key(write_key([text, text]), "ab")),
    "json": lambda text: read_json(text.encode("utf-8", "surrogatepass")),
    "json text": lambda text: read_json(json.dumps(text).encode()),
    "stream line": lambda text: read_stream(json.dumps({"data": {"id": "1", "text": text}}).encode(), "x"),
    "stream bytes": _lines,
    "finding line": lambda text: read_line(
        json.dumps({"id": text, "at": text, "text": text, "kinds": [text], "hashtags": [text]}).encode(), "i"
    ),
    "finding": lambda text: read_line(json.dumps({"id": "1", "at": AT, "text": whole(text)}).encode(), "i"),
    "csv": lambda text: list(records(text.splitlines(keepends=True), "f")),
    "yaml": lambda text: parse_yaml(text, Path("f")),
    "yaml text": lambda text: parse_yaml(f"a: {json.dumps(text)}", Path("f")),
}
REFUSED = (ValueError, Unusable, BadLine, BadInput, BadPost, ConfigError)


def seconds(read: Callable[[Any], object], given: Any) -> float:
    gc.disable()  # what it looks through is all that the tests before this one have left
    try:
        began = time.thread_time()
        with suppress(*REFUSED):
            read(given)
        return time.thread_time() - began
    finally:
        gc.enable()


def slow(
    read: Callable[[Any], object], shapes: Iterable[tuple[str, Callable[[int], Any]]], length: int = LENGTH
) -> list[str]:
    """The shapes of which four times as much takes far more than four times as long."""
    found = []
    for name, make in shapes:
        short, long = make(length), make(4 * length)
        least = seconds(read, long)
        once = seconds(read, short) if least > NOTHING else 0.0
        for _ in range(TRIES):
            if least <= max(NOTHING, RATIO * once):
                break
            least, once = min(least, seconds(read, long)), max(once, seconds(read, short))
        else:
            found.append(f"{name}: {once:.4f} s, and for four times as much {least:.4f} s")
    return found


def _wide(**lists: Callable[[int], Any]) -> Callable[[int], bytes]:
    """A page of one post whose lists hold n things each."""

    def make(n: int) -> bytes:
        entities = {name: [one(i) for i in range(n)] for name, one in lists.items()}
        return json.dumps({"data": [{"id": "1", "created_at": AT, "text": "a", "entities": entities}]}).encode()

    return make


WIDE: dict[str, Callable[[int], bytes]] = {
    "words for posts": lambda n: json.dumps({"data": ["a"] * n}).encode(),
    "empty posts": lambda n: json.dumps({"data": [{}] * n}).encode(),
    "one post again and again": lambda n: json.dumps(
        {"data": [{"id": "1", "created_at": AT, "text": "a"}] * n}
    ).encode(),
    "nested": lambda n: b"[" * n,
    "flattened": lambda n: json.dumps(
        {"id": "1", "text": "a", "created_at": AT, "referenced_tweets": [{"id": i, "text": "b"} for i in range(n)]}
    ).encode(),
    "users": lambda n: json.dumps({"data": {}, "includes": {"users": [{"id": i} for i in range(n)]}}).encode(),
    "hashtags": _wide(hashtags=lambda i: {"tag": f"t{i}"}),
    "all": _wide(
        hashtags=lambda i: {"tag": f"t{i}"},
        mentions=lambda i: {"username": f"navn_{i}", "id": str(10**9 + i)},
        urls=lambda i: {"url": f"https://x.com/navn_{i}"},
    ),
    "tags in a text": lambda n: json.dumps(
        {"id": "1", "text": " ".join(f"#t{i}" for i in range(n)), "created_at": AT}
    ).encode(),
}


def _heard(folder: Path, line: bytes) -> None:
    """A line of a recording, played and screened; and one of the stream."""
    path = folder / "r"
    path.write_bytes(b'{"id": "0", "created_at": "' + AT.encode() + b'", "text": "a"}\n' + line + b"\n")
    source = RecordedSource("recording", posts_in, str(path), None, ManualClock(datetime(2026, 3, 1, tzinfo=UTC)))
    source.open(None)
    batch = source.read(1.0)
    source.close()
    assert batch is not None
    read_stream(line, "x")
    screen = Screen(b"k" * 32, {})
    for post in batch.posts:
        screen.mention(post, incidents={"i": ()}, origin=Origin.LIVE, captured_at=post.at, exercise=True)


def test_four_times_as_many_things_in_a_line_take_about_four_times_as_long(tmp_path: Path) -> None:
    assert slow(lambda line: _heard(tmp_path, line), WIDE.items(), 2_000) == []


class _Dripping(LineReader):
    """A pipe that brings a few bytes at a time."""

    def __init__(self, raw: bytes) -> None:
        super().__init__("-")
        self._raw = raw

    def _chunks(self) -> Iterator[bytes | None]:
        yield from _drops(self._raw)


def _drops(raw: bytes) -> Iterator[bytes]:
    return (raw[start : start + 16] for start in range(0, len(raw), 16))


def test_a_long_line_that_comes_a_few_bytes_at_a_time_costs_no_more() -> None:
    def lines(raw: bytes) -> None:
        assert list(_Dripping(raw).lines()) == [(1, raw)]

    def stream(raw: bytes) -> None:
        reader = Lines()
        assert not any(map(reader.feed, _drops(raw)))
        assert reader.feed(b"\r\n") == [raw]

    for read in (lines, stream):
        assert slow(read, [("a line", lambda n: b"a" * n)], 240_000) == []


@pytest.mark.parametrize("name", READERS)
def test_four_times_as_much_nonsense_takes_about_four_times_as_long(name: str) -> None:
    assert slow(READERS[name], SHAPES.items()) == []
