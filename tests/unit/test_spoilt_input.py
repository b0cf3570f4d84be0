"""Whatever comes from outside, a reader raises only what it says: of lines, pages, findings, CSV and rule files."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from alerts.commands.volumes import BadInput, make, records
from alerts.judge.examples import judge_examples
from alerts.judge.jsonl import BadLine, read_line
from alerts.rules.load import load_rules
from listener.clock import ManualClock
from listener.errors import ConfigError
from listener.model.records import Finding, Gap, Post, Tick, encode
from listener.sources.common.recorded_source import RecordedSource
from listener.sources.recording.parser import posts_in
from listener.sources.x.reading import read_line as read_stream
from listener.sources.x.reading import read_page
from listener.units import FIRST

AT = "2026-03-01T20:00:00Z"
POST = {
    "id": "1",
    "created_at": AT,
    "text": "RT @a: å",
    "author_id": "7",
    "author": {"id": "7", "username": "a"},
    "lang": "nb",
    "geo": {"place_id": "p"},
    "edit_history_tweet_ids": ["1"],
    "referenced_tweets": [{"type": "retweeted", "id": "5", "text": "b"}],
    "entities": {
        "hashtags": [{"tag": "å"}],
        "mentions": [{"username": "a", "id": "9"}],
        "urls": [{"url": "https://a.no"}],
    },
}
FINDING = {
    "id": "1",
    "at": AT,
    "author": "a",
    "kinds": ["wish"],
    "count": 2,
    "fields": {"a": [1, {"b": 2}]},
    "origin": "live",
    "captured_at": AT,
    "hashtags": ["a"],
    "place": "Nes, Akershus",
    "text": "a",
}
NASTY = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1.5,
        1e300,
        float("nan"),
        float("inf"),
        10**30,
        10**4000,
        "",
        "a",
        "\ud83d",
        "\ude00\ud83d",
        "\x00",
        "a" + "\u0315\u0300" * 40,
        [],
        {},
        [None],
        [[]],
        ["a", 1],
        {"id": 1},
        "2016-12-31T23:59:60z",
        "0001-01-01T00:00:00Z",
    ]
)


@st.composite
def spoilt(draw: st.DrawFn, good: dict[str, Any]) -> bytes:
    """A good line, in which some things are not what they should be, and perhaps a few bytes neither."""
    line = json.loads(json.dumps(good))
    for _ in range(draw(st.integers(0, 3))):
        here = line
        while here:
            keys = list(here) if isinstance(here, dict) else list(range(len(here)))
            key = draw(st.sampled_from(keys))
            if isinstance(here[key], dict | list) and here[key] and draw(st.booleans()):
                here = here[key]
                continue
            here[key] = json.loads(json.dumps(draw(NASTY)))
            break
    raw = json.dumps(line, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(raw)))
        raw = raw[:place] + draw(st.binary(max_size=2)) + raw[place + draw(st.integers(0, 2)) :]
    return raw.replace(b"\n", b"")


@examples(300)
@given(line=spoilt(POST) | spoilt({"data": [POST, POST], "includes": {"users": [{"id": 7}]}}))
def test_a_line_of_a_recording_is_posts_or_has_reasons(tmp_path_factory: pytest.TempPathFactory, line: bytes) -> None:
    path = tmp_path_factory.mktemp("bad") / "r"
    path.write_bytes(b'{"id": "0", "created_at": "' + AT.encode() + b'", "text": "a"}\n' + line + b"\n")
    source = RecordedSource("recording", posts_in, str(path), None, ManualClock(FIRST))
    source.open(None)
    batch = source.read(1.0)
    source.close()
    assert batch is not None
    assert batch.read == len(batch.posts) + len(batch.bad) + batch.duplicates >= 1
    for post in (*batch.posts, *read_stream(line, "x").posts):
        assert isinstance(post, Post)
        encode(post)  # what cannot be written to the bus is no post


@examples(200)
@given(
    st.dictionaries(st.sampled_from(["data", "includes", "meta", "errors"]), NASTY | st.just([POST]) | st.just(POST))
)
def test_a_page_of_search_is_posts_or_has_reasons(answer: dict[str, Any]) -> None:
    for post in read_page(answer, "x").posts:
        encode(post)


@examples(300)
@given(spoilt(FINDING) | spoilt({"tick": AT}) | spoilt({"gap": [AT, AT], "source": "x"}) | st.binary(max_size=20))
def test_a_finding_line_is_a_record_or_a_bad_line(line: bytes) -> None:
    with suppress(BadLine):
        record = read_line(line, "i")
        assert isinstance(record, Finding | Tick | Gap)


@examples(300)
@given(st.lists(st.text(st.sampled_from('a1,"\n\r\x00 å-:TZz.'), max_size=12), max_size=6))
def test_csv_is_rows_or_bad_input_that_names_its_line(lines: list[str]) -> None:
    said = "f:"
    try:
        for number, cells in records([f"{line}\n" for line in lines], "f"):
            make(number, {"timestamp": cells[0], "value": cells[-1]}, f"f:{number}")
    except BadInput as error:
        said = str(error)
    assert said.startswith("f:")


VALUES = [
    "",
    "null",
    "true",
    "0450",
    "-1",
    "1" + "0" * 400,
    "1e400",
    "[]",
    "{}",
    "[[a]]",
    "{a: {b: c}}",
    "36500d",
    "99999999d",
    "0s",
    "-5m",
    "''",
    "'\\0'",
    '"\\0"',
    "'{count'",
    "'{0}'",
    "'{count:>99999999}'",
    "&a [*a]",
    "!!binary aGVp",
    "2026-01-01T00:00:00Z",
    "text",
    "'a.b.c'",
    ".inf",
    "0x1F",
    "[1, 2]",
    "{1: 2}",
    "a, b",
    "å",
    '"\\ud83d"',
    "{repeat: 1000000000}",
]
RULE = {
    "name": "a",
    "type": "frequency",
    "why": "x",
    "timeframe": "5m",
    "num_events": "2",
    "query_key": "place",
    "filter": "{place: a}",
    "realert": "1m",
    "exponential_realert": "1h",
    "aggregation": "5m",
    "severity": "warning",
    "to": "duty",
    "modes": "[crisis]",
    "texts": "{nb: '{count} {key}'}",
    "count_by": "posts",
    "tiltakskort": "x",
}
EXAMPLE = {"name": "e", "findings": "[{place: a, repeat: 3, every: 1s}]", "until": "1h", "alerts": "[]"}


@examples(200)
@given(
    st.dictionaries(st.sampled_from(list(RULE)), st.sampled_from(VALUES), max_size=2),
    st.dictionaries(st.sampled_from(list(EXAMPLE)), st.sampled_from(VALUES), max_size=2),
)
def test_a_rule_file_is_judged_or_refused_with_its_line(
    tmp_path_factory: pytest.TempPathFactory, options: dict[str, str], example: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("bad") / "r.yaml"
    lines = [f"{name}: {value}" for name, value in {**RULE, **options}.items()]
    lines += ["examples:", *(f"    {name}: {value}" for name, value in {**EXAMPLE, **example}.items())]
    lines[lines.index("examples:") + 1] = "  - " + lines[lines.index("examples:") + 1].strip()
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    said: list[str] = []
    with suppress(ConfigError):
        said = [problem for spec in load_rules(path, fields=None) for problem in judge_examples(spec)]
    assert not [problem for problem in said if "raised" in problem]
    try:
        load_rules(path, fields=None)
    except ConfigError as error:
        said = [line for line in str(error).splitlines() if not line.startswith(f"{path}:")]
    else:
        said = []
    assert said == []
