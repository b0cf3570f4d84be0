"""What lies on the bus: frozen, strict, versioned; and what is refused is refused without repeating a word of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from listener.model.base import SCHEMA_VERSION, Recorded
from listener.model.incidents import Action, Command, encode_command
from listener.model.records import (
    FINDINGS,
    MENTIONS,
    BadRecord,
    Cue,
    Finding,
    Gap,
    Kind,
    Mention,
    NewerSchema,
    Origin,
    Post,
    Reach,
    Tick,
    decode,
    encode,
    reach_of,
)
from listener.model.schemas import SCHEMAS

AT = "2031-02-03T04:05:06Z"
CAPTURED = {"source": "x", "id": "1", "at": AT, "captured_at": AT, "text": "ordet"}
CHAINED = {"prev": "p", "digest": "d", "at": AT}
ABOUT = {**CHAINED, "by": "kari", "incidents": ["brann-0"], "story": "s"}

HALF = {"from": AT, "to": "2031-01-12T19:00:00Z"}
WAY = {"code": "4711", "channel": "sms", "place": "c0ffee00"}
EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "post": {"source": "x", "id": "1", "at": AT, "text": "ordet", "author": {"id": "7", "followers": 3}},
    "mention": {**CAPTURED, "incidents": {"brann-0": ["fjordby*"]}},
    "tick": {"source": "x", "until": AT, "cursor": "c", "final": True},
    "deletion": {"source": "x", "at": AT, "ids": ["17", "18"]},
    "gap": {"id": "g", "source": "x", "from": AT, "to": AT, "cause": "stream closed"},
    "finding": {**CAPTURED, "incident": "brann-0", "story": "s", "cues": [{"kind": "wish", "words": ["håper"]}]},
    "volume": {"source": "x", "track": "fjordby*", "minute": AT, "count": 3},
    "heard": {"source": "x", "from": AT, "to": AT, "incidents": {"brann-0": ["fjordby*"]}},
    "incident": {
        "id": "brann-0",
        "name": "Brann",
        "tracks": ["fjordby*"],
        "opened_at": AT,
        "opened_by": "kari",
        "why": "røyk",
        "review_at": AT,
    },
    "command": {"action": "open", "at": AT, "by": "kari", "why": "røyk", "name": "Brann", "add": ["fjordby*"]},
    "presence": {"process": "p", "roles": ["listener"], "host": "h", "pid": 1, "epoch": 0, "at": AT},
    "alert": {
        "id": "a",
        "event": "fired",
        "at": AT,
        "incident": "brann-0",
        "incident_name": "Brann",
        "rule": "r",
        "rule_type": "any",
        "count": 1,
        "reason": "matched",
        "first_seen": AT,
        "samples": [{"key": "x:1", "digest": "d"}],
    },
    "answered": {"incident": "brann-0", "story": "s", "at": AT, "decision": 3, "given": {"at": AT, "by": "kari"}},
    "note": {**ABOUT, "words": "meldt til politiet"},
    "status": {**ABOUT, "status": "passed_on", "why": "til beredskap", "people": 3, "posts": 4},
    "answer": {**ABOUT, "theme": "water", "verdict": "false", "words": "Vannet er trygt.", "people": 3, "posts": 4},
    "correction": {**CHAINED, "by": "kari", "post": "x:1", "story": "s", "text": "d", "kinds": ["wish"]},
    "swap": {
        **CHAINED,
        "by": "kari",
        "overrides": [{**HALF, "remove": "a", "add": "b"}, {**HALF, "remove": "b", "add": "a"}],
    },
    "way_test": {**CHAINED, "by": "kari", "person": "ola", "ways": [WAY]},
    "way_confirmed": {**CHAINED, "by": "ola", "person": "ola", "way": WAY},
    "page": {
        **CHAINED,
        "id": "p1",
        "why": "step",
        "person": "kari",
        "policy": "crisis",
        "groups": {"g": AT},
        "round": 1,
        "step": 2,
        "alerts": {"a": "firing"},
        "held": ["b"],
        "until": AT,
        "deferred": "brake",
        "code": "4711",
    },
    "silence": {**CHAINED, "id": "s1", "by": "kari", "why": "kjent", "match": {"rule": "r"}, "start": AT, "end": AT},
    "delivery": {**CHAINED, "intent": "i", "alert": "a", "step": 0, "channel": "email", "target": "kari@example.org"},
    "receipt": {**CHAINED, "channel": "sms", "provider_id": "m1", "part": "0", "outcome": "delivered", "code": "1001"},
    "spending": {
        "source": "x",
        "at": AT,
        "month": {"posts": 3, "usd": 0.015},
        "day": {"posts": 1, "usd": 0.005},
        "incidents": {"brann-0": {"posts": 2, "usd": 0.01}},
        "calls": {"search": 2},
        "recent": [{"minute": AT, "usd": 0.005}],
        "crossed": {"soft": AT},
    },
    "quota": {
        "source": "youtube",
        "at": AT,
        "day": "2031-03-02",
        "units": 10000,
        "used": 41,
        "calls": {"threads": 40, "replies": 1},
        "exhausted": False,
    },
    "decision": {**CHAINED, "kind": "acknowledge", "id": "a", "by": "kari"},
    "highlight": {
        **CHAINED,
        "id": "h",
        "by": "lyttepost",
        "revision": 0,
        "feed": "https://granvik.example/f.xml",
        "guid": "g",
        "link": "https://granvik.example/mr",
        "title": "Ny MR-maskin",
        "text": "Ny MR-maskin",
        "starts": AT,
    },
    "highlight_word": {
        **CHAINED,
        "id": "h",
        "by": "kari",
        "revision": 1,
        "word": "approve",
        "epoch": 3,
        "when": AT,
        "text": "x",
    },
    "highlight_step": {
        **CHAINED,
        "id": "h",
        "by": "lyttepost",
        "revision": 2,
        "step": "not_sent",
        "why": "network",
        "intent": "i",
        "process": "p",
        "post": "17",
        "until": AT,
    },
    "deadletter": {"at": AT, "stage": "s", "reason": "bad_json", "length": 3, "digest": "d", "where": "f:1"},
    "key": {"at": AT, "fingerprint": "c0ffee00"},
}
ON_THE_BUS = [name for name in SCHEMAS if name not in ("incident", "command", "presence")]


def adapter(name: str) -> TypeAdapter[Any]:
    return SCHEMAS[name]


def as_bytes(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def test_every_record_is_here_with_an_example() -> None:
    assert EXAMPLES.keys() == SCHEMAS.keys()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_record_has_a_schema_with_its_version(name: str) -> None:
    properties = adapter(name).json_schema(by_alias=True)["properties"]
    assert properties["v"] == {"const": SCHEMA_VERSION, "default": SCHEMA_VERSION, "title": "V", "type": "integer"}


@pytest.mark.parametrize("name", ON_THE_BUS)
def test_a_record_is_written_and_read_again_unchanged(name: str) -> None:
    record = decode(adapter(name), as_bytes(EXAMPLES[name]))
    written = encode(record)
    assert decode(adapter(name), written) == record
    assert b"\n" not in written
    assert {"v": 1, "type": name}.items() <= json.loads(written).items()


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_record_is_frozen(name: str) -> None:
    record = adapter(name).validate_python(EXAMPLES[name])
    with pytest.raises((ValidationError, dataclasses.FrozenInstanceError)):
        record.v = 2


@pytest.mark.parametrize("name", ON_THE_BUS)
def test_a_record_of_a_newer_schema_is_refused_with_its_version_and_not_guessed_at(name: str) -> None:
    newer = as_bytes({**EXAMPLES[name], "type": name, "v": SCHEMA_VERSION + 1, "what_we_cannot_know": "yet"})
    with pytest.raises(NewerSchema, match="schema version 2; this program knows up to 1"):
        decode(adapter(name), newer)
    assert NewerSchema.reason == "newer_schema"


@pytest.mark.parametrize("version", [0, -1, "1", "2", None, 1.5, [1]])
def test_a_version_that_is_none_is_a_bad_record(version: object) -> None:
    with pytest.raises(BadRecord) as caught:
        decode(adapter("volume"), as_bytes({**EXAMPLES["volume"], "v": version}))
    assert not isinstance(caught.value, NewerSchema)
    assert str(caught.value) == "v: literal_error"


@pytest.mark.parametrize("adapter", [MENTIONS, FINDINGS])
def test_a_kind_of_record_that_only_a_newer_schema_knows_is_newer(adapter: TypeAdapter[Any]) -> None:
    with pytest.raises(NewerSchema):
        decode(adapter, as_bytes({"v": 2, "type": "whisper"}))
    with pytest.raises(BadRecord, match="union_tag_invalid"):
        decode(adapter, as_bytes({"v": 1, "type": "whisper"}))


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"hemmelig",
        b"\xff\xfe hemmelig",
        b"[]",
        b'"hemmelig"',
        b"null",
        b"7",
        as_bytes({**EXAMPLES["mention"], "type": "mention", "text": ["hemmelig"]}),
        as_bytes({**EXAMPLES["mention"], "type": "mention", "at": "hemmelig"}),
        as_bytes({**EXAMPLES["mention"], "type": "mention", "origin": "hemmelig"}),
        as_bytes({**EXAMPLES["mention"], "type": "mention", "incidents": {"brann-0": "hemmelig"}}),
        as_bytes({"type": "hemmelig"}),
        as_bytes({**EXAMPLES["mention"], "type": "mention", "text": "hemmelig"})[:-9],
    ],
)
def test_what_is_no_record_is_refused_without_repeating_it(value: bytes) -> None:
    with pytest.raises(BadRecord) as caught:
        decode(MENTIONS, value)
    # A key may be named, because without it nobody can fix anything; it stands before a colon.
    told = [problem.partition(": ")[2] for problem in str(caught.value).split("; ")]
    assert "hemmelig" not in "".join(told)
    assert str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", ON_THE_BUS)
def test_a_field_of_a_later_version_is_passed_over(name: str) -> None:
    known = decode(adapter(name), as_bytes(EXAMPLES[name]))
    assert decode(adapter(name), as_bytes({**EXAMPLES[name], "surprise": {"deep": [1]}})) == known


@pytest.mark.parametrize(
    ("name", "field"), [("post", "at"), ("mention", "captured_at"), ("tick", "until"), ("gap", "from")]
)
def test_an_instant_without_a_zone_is_refused(name: str, field: str) -> None:
    with pytest.raises(BadRecord, match="timezone_aware"):
        decode(adapter(name), as_bytes({**EXAMPLES[name], field: "2031-02-03T04:05:06"}))


def test_an_instant_is_in_pythons_own_utc_whatever_was_written() -> None:
    tick = decode(MENTIONS, b'{"type":"tick","source":"x","until":"2031-02-03T05:05:06+01:00"}')
    assert isinstance(tick, Tick)
    assert tick.until.tzinfo is UTC
    assert b'"until":"2031-02-03T04:05:06Z"' in encode(tick)


def test_an_instant_that_utc_cannot_express_is_a_bad_record() -> None:
    with pytest.raises(BadRecord, match="until"):
        decode(MENTIONS, b'{"type":"tick","source":"x","until":"0001-01-01T00:00:00+05:00"}')


def test_unset_fields_are_left_out() -> None:
    tick = Tick(source="x", until=datetime(2031, 2, 3, tzinfo=UTC))
    assert json.loads(encode(tick)).keys() == {"v", "type", "source", "until", "final"}


def test_a_gap_says_from_and_to() -> None:
    gap = decode(adapter("gap"), as_bytes(EXAMPLES["gap"]))
    assert gap == Gap(id="g", source="x", start=gap.start, end=gap.end, cause="stream closed")
    assert {"from": AT, "to": AT}.items() <= json.loads(encode(gap)).items()


def test_mentions_ticks_and_gaps_share_a_topic_and_are_distinguished() -> None:
    for name, kind in (("mention", Mention), ("tick", Tick), ("gap", Gap)):
        assert type(decode(MENTIONS, as_bytes({**EXAMPLES[name], "type": name}))) is kind
    assert type(decode(FINDINGS, as_bytes({**EXAMPLES["finding"], "type": "finding"}))) is Finding


def test_a_mention_is_live_and_no_canary_unless_it_says_so() -> None:
    mention = Mention.model_validate(EXAMPLES["mention"])
    assert (mention.origin, mention.synthetic, mention.exercise) == (Origin.LIVE, False, False)
    assert [origin.value for origin in Origin] == ["live", "gap_fill", "lookback"]


def test_keys_are_those_of_the_topics() -> None:
    finding = Finding.model_validate({**EXAMPLES["finding"], "id": "9"})
    assert (finding.post_key, finding.key) == ("x:9", "brann-0:x:9")
    assert finding.kinds == (Kind.WISH,)
    assert finding.cues == (Cue(kind=Kind.WISH, words=("håper",)),)


def test_no_record_that_is_archived_has_a_place_for_text() -> None:
    for name in ("alert", "page", "delivery", "receipt", "decision", "deadletter", "volume", "spending", "quota"):
        assert "text" not in json.dumps(adapter(name).json_schema(by_alias=True)["properties"]).casefold(), name


def test_what_a_switch_writes_is_what_the_schema_says() -> None:
    command = Command(
        action=Action.OPEN, at=datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC), by="kari", why="røyk", name="Brann"
    )
    assert adapter("command").validate_json(encode_command(command)) == command


@pytest.mark.parametrize(
    ("followers", "band"),
    [
        (None, Reach.UNKNOWN),
        (0, Reach.UNDER_100),
        (99, Reach.UNDER_100),
        (100, Reach.UNDER_1K),
        (999, Reach.UNDER_1K),
        (1_000, Reach.UNDER_10K),
        (10_000, Reach.UNDER_100K),
        (99_999, Reach.UNDER_100K),
        (100_000, Reach.LARGE),
        (10**9, Reach.LARGE),
    ],
)
def test_reach_is_a_band_and_no_number(followers: int | None, band: Reach) -> None:
    assert reach_of(followers) is band


def every_model() -> list[type[BaseModel]]:
    found, left = [], [Recorded]
    while left:
        model = left.pop()
        found.append(model)
        left += model.__subclasses__()
    return found


def test_every_model_with_a_type_is_in_the_schemas() -> None:
    types = {model.model_fields["type"].default for model in every_model() if "type" in model.model_fields}
    assert types == set(ON_THE_BUS)
    assert Post in every_model()
