"""What msgspec reads and writes is what the models read and write; what it is not sure of it leaves to them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from listener.model.quick import FINDING, MENTION, QuickReader, write
from listener.model.records import (
    FINDINGS,
    MENTIONS,
    AuthorClass,
    BadRecord,
    Cue,
    Finding,
    Kind,
    Mention,
    NewerSchema,
    Origin,
    Reach,
    Stance,
    decode,
    encode,
)

AT = datetime(2031, 2, 3, 4, 5, 6, 7, UTC)
BASE: dict[str, Any] = {"source": "x", "id": "1", "at": AT, "captured_at": AT, "text": "ordet"}
TEXT = st.text(max_size=12) | st.sampled_from(
    ["å æ ø", "\x7f\u2028\u2029", '"\\/\b\f\n\r\t\x00\x1f', "😀\ufeff", "‹tlf›"]
)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
INSTANT = st.integers(-(10**15), 10**17).map(lambda micros: AT + timedelta(microseconds=micros))
CAPTURED: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(("source", "id", "text"), TEXT),
    **dict.fromkeys(("at", "captured_at"), INSTANT),
    **dict.fromkeys(("lang", "author", "repost_of", "reply_to", "quote_of", "place", "url"), st.none() | TEXT),
    **dict.fromkeys(("synthetic", "exercise"), st.booleans()),
    **dict.fromkeys(("edits", "hashtags", "links"), TEXTS),
    "origin": st.sampled_from(Origin),
    "author_class": st.sampled_from(AuthorClass),
    "reach": st.sampled_from(Reach),
}
MENTIONED = st.builds(
    Mention, **CAPTURED, incidents=st.dictionaries(TEXT, TEXTS, max_size=3), aliases=st.none() | TEXTS
)
FOUND = st.builds(
    Finding,
    **CAPTURED,
    incident=TEXT,
    tracks=TEXTS,
    cues=st.lists(st.builds(Cue, kind=st.sampled_from(Kind), words=TEXTS), max_size=3).map(tuple),
    themes=TEXTS,
    theme_sure=st.none() | st.booleans(),
    stance=st.none() | st.sampled_from(Stance),
    language=st.none() | TEXT,
    patient_exposed=st.none() | st.integers(0, 10_000).map(lambda number: round(number / 10_000, 4)),
    story=TEXT,
    count=st.integers(0, 2**70),
)


def read_alike(record: Any, found: Any) -> None:
    for name in type(record).model_fields:
        if name != "cues":
            value = getattr(found, name)
            assert (value, type(value)) == (getattr(record, name), type(getattr(record, name))), name
    if isinstance(record, Finding):
        assert [(cue.kind, cue.words) for cue in found.cues] == [(cue.kind, cue.words) for cue in record.cues]
        assert (found.kinds, found.key) == (record.kinds, record.key)
    assert found.post_key == record.post_key


@examples(200)
@given(MENTIONED | FOUND)
def test_a_record_is_read_as_its_model_reads_it(record: Any) -> None:
    value = encode(record)
    finding = isinstance(record, Finding)
    found: Any = (FINDING if finding else MENTION).read(value)
    if found is None:
        assert re.search(rb"\.\d{7}", value), "no text of it looks like a fraction of a second"
    else:
        read_alike(decode(FINDINGS if finding else MENTIONS, value), found)


@examples(150)
@given(FOUND | MENTIONED)
def test_fields_are_written_as_the_model_writes_them(record: Finding | Mention) -> None:
    fields = {name: getattr(record, name) for name in type(record).model_fields}
    if isinstance(record, Finding):
        fields["cues"] = [{"kind": cue.kind, "words": cue.words} for cue in record.cues]
    assert write(fields) == encode(record)


def test_what_we_write_ourselves_is_read() -> None:
    cue = Cue(kind=Kind.WISH, words=("håper",))
    for record in (Mention(**BASE, incidents={"i": ("t",)}), Finding(**BASE, incident="i", story="s", cues=(cue,))):
        reader: QuickReader[Any] = MENTION if isinstance(record, Mention) else FINDING
        found = reader.read(encode(record))
        read_alike(record, found)
        with pytest.raises(AttributeError):
            found.text = "another"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | INSTANT.map(str),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
INSTANTS = (
    "2031-02-03T04:05:06.1234567Z", "2031-02-03T04:05:06.9999999Z", "2031-02-03T04:05:60Z", "2031-02-03T24:00:00Z",
    "2031-02-03 04:05:06Z", "2031-02-03T04:05:06+01:00", "2031-02-03T04:05:06-00:00", "0001-01-01T00:00:00+01:00",
    "2031-02-03T04:05:06", "2031-02-03T04:05Z", "2031-W01-1T04:05:06Z", "1900000000", 1_900_000_000, "20310203T040506Z",
)  # fmt: skip


def judged(reader: QuickReader[Any], topic: Any, value: bytes) -> None:
    """The model's word stands, whatever it is."""
    found = reader.read(value)
    if found is not None:
        read_alike(decode(topic, value), found)


@examples(300)
@given(data=st.data(), finding=st.booleans())
def test_nothing_is_read_that_the_model_refuses_or_reads_otherwise(data: st.DataObject, finding: bool) -> None:
    record: Any = Finding(**BASE, incident="i", story="s") if finding else Mention(**BASE, incidents={"i": ("t",)})
    raw = json.loads(encode(record))
    name = data.draw(st.sampled_from([*type(record).model_fields, "novelty"]))
    raw[name] = data.draw(JSON | st.sampled_from([*INSTANTS, 2, 1.0, "1", True, *Origin, *Kind, *Reach]))
    names = data.draw(st.permutations(list(raw)))
    kept = names[: data.draw(st.integers(0, 2)) or None]
    for order in (names, kept):
        value = json.dumps({each: raw[each] for each in order}, ensure_ascii=data.draw(st.booleans())).encode(
            "utf-8", "surrogatepass"
        )
        judged(FINDING if finding else MENTION, FINDINGS if finding else MENTIONS, value)


@examples(200)
@given(data=st.data(), record=FOUND | MENTIONED)
def test_no_damage_to_the_bytes_makes_a_difference(data: st.DataObject, record: Any) -> None:
    value = bytearray(encode(record))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(value) - 1))
        value[place : place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    finding = isinstance(record, Finding)
    judged(FINDING if finding else MENTION, FINDINGS if finding else MENTIONS, bytes(value))


@pytest.mark.parametrize("more", [{"v": 2}, {"v": 0}, {"type": "tick"}, {"text": 1}, {"at": "now"}])
def test_a_record_of_another_schema_is_refused_with_the_models_reason(more: Mapping[str, Any]) -> None:
    for record, topic, reader in (
        (Mention(**BASE, incidents={}), MENTIONS, MENTION),
        (Finding(**BASE, incident="i", story="s"), FINDINGS, FINDING),
    ):
        value = json.dumps(json.loads(encode(record)) | more).encode()
        assert reader.read(value) is None
        with pytest.raises(NewerSchema if more == {"v": 2} else BadRecord):
            decode(topic, value)


def test_a_field_of_a_later_version_is_the_models_to_pass_over() -> None:
    finding = Finding(**BASE, incident="i", story="s")
    value = json.dumps(json.loads(encode(finding)) | {"later": 1}).encode()
    assert FINDING.read(value) is None
    assert decode(FINDINGS, value) == finding


def test_what_is_finer_than_a_microsecond_or_in_another_zone_is_left_to_the_model() -> None:
    value = encode(Finding(**BASE, incident="i", story="s"))
    assert FINDING.read(value) is not None
    for instant in ("2031-02-03T04:05:06.0000071Z", AT.astimezone(timezone(timedelta(hours=1))).isoformat()):
        assert FINDING.read(value.replace(b"2031-02-03T04:05:06.000007Z", instant.encode(), 1)) is None


def test_a_model_with_a_field_that_might_be_read_otherwise_is_refused() -> None:
    class Odd(BaseModel):
        odd: Annotated[list[int], "of numbers"]

    with pytest.raises(TypeError, match="not known to be read alike"):
        QuickReader(Odd)
