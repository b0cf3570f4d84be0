"""Findings as lines: what is taken, what is refused and how it is named, and that what is written is read again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.annotate.story import story
from alerts.judge.jsonl import ALL_SOURCES, BadLine, read_line, write_answered, write_finding, write_gap, write_tick
from listener.model.answers import Answered, AnswerGiven, Standing, Verdict
from listener.model.records import AuthorClass, Cue, Finding, Gap, Kind, Origin, Reach, Tick

AT = datetime(2031, 1, 31, 19, 0, tzinfo=UTC)
NOW = "2031-01-31T19:00:00Z"


def read(line: Any) -> Finding | Tick | Gap | Answered:
    return read_line(line.encode() if isinstance(line, str) else json.dumps(line).encode(), "brann")


def found(**line: Any) -> Finding:
    finding = read({"id": "1", "at": NOW, **line})
    assert isinstance(finding, Finding)
    return finding


def test_id_and_time_are_enough() -> None:
    bare = found()
    assert (bare.id, bare.at, bare.captured_at, bare.count, bare.origin) == ("1", AT, AT, 1, Origin.LIVE)
    assert bare.incident == "brann"
    assert bare.story == "1", "without a text each post is a story of its own"


def test_ids_that_are_numbers_are_taken() -> None:
    assert found(id=7).id == "7"


@pytest.mark.parametrize(
    "at", ["2031-01-31T20:00:00+01:00", "2031-01-31T19:00:00.000000+00:00", "2031-01-31 19:00:00Z"]
)
def test_instants_are_taken_in_any_zone(at: str) -> None:
    assert found(at=at).at == AT


def test_a_text_has_its_story_as_live() -> None:
    text = "Kan noen kjøre vann og tepper til skolen i kveld?"
    assert found(text=text).story == story(text)
    assert found(text=f"RT @ola: {text}", repost_of="9").story == story(text)
    assert found(text=text, story="vann").story == "vann"


def test_what_is_null_is_left_out() -> None:
    nulls = dict.fromkeys(("author", "text", "source", "lang", "kinds", "fields", "count", "place"))
    assert found(**nulls) == found()


def test_a_tick_is_for_all_sources_and_a_gap_is_the_same_when_it_ends() -> None:
    tick = read({"tick": NOW})
    assert isinstance(tick, Tick)
    assert (tick.source, tick.until, tick.final) == (ALL_SOURCES, AT, False)
    begun, ended = (
        read({"gap": [NOW, None], "source": "x"}),
        read({"gap": [NOW, "2031-01-31T19:01:00Z"], "source": "x"}),
    )
    assert isinstance(begun, Gap)
    assert isinstance(ended, Gap)
    assert begun.id == ended.id
    assert (begun.end, ended.end) == (None, AT + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "1"', "is no JSON"),
        ("[]", "must be an object"),
        ({"at": NOW}, "id: must be set"),
        ({"id": "1"}, "at: must be set"),
        ({"id": "1", "at": "2031-01-31T19:00:00"}, "at: has no time zone; end it with Z"),
        ({"id": "1", "at": "hemmelig"}, "at: must be an instant like 2031-01-31T19:00:00Z"),
        ({"id": "1", "at": 1_900_000_000}, "at: must be an instant"),
        ({"id": "1", "at": "0001-01-01T00:00:00Z"}, "at: must lie between 1970 and 9000"),
        ({"tick": "9999-12-31T23:59:60Z"}, "tick: must be an instant"),
        ({"gap": ["9998-12-31T23:59:59Z", None]}, "gap.0: must lie between 1970 and 9000"),
        ({"id": "1", "at": NOW, "count": 10**13}, "count: Input should be less than or equal to"),
        ({"id": "1", "at": NOW, "kinds": ["hemmelig"]}, "kinds.0: Input should be 'viewpoint', 'wish'"),
        ({"id": "1", "at": NOW, "kinds": "wish"}, "kinds: "),
        ({"id": "1", "at": NOW, "autor": "hemmelig"}, "autor: no such key; remove it or put it into `fields`"),
        ({"id": "1", "at": NOW, "count": 0}, "count: Input should be greater than or equal to 1"),
        ({"id": "1", "at": NOW, "count": "hemmelig"}, "count: Input should be a valid integer"),
        ({"id": "1", "at": NOW, "fields": []}, "fields: must be a mapping"),
        ({"tick": NOW, "source": "x"}, "source: no such key"),
        ({"gap": [NOW, "2031-01-31T18:00:00Z"]}, "gap: ends before it begins"),
        ({"gap": NOW}, "gap: "),
        ('{"id": "1", "at": "' + NOW + '", "text": "\\ud800"}', "is no JSON"),
    ],
)
def test_what_cannot_be_used_is_named_without_its_value(line: Any, says: str) -> None:
    with pytest.raises(BadLine) as raised:
        read(line)
    assert str(raised.value).startswith(says)
    assert "hemmelig" not in str(raised.value)


def test_what_is_written_is_read_again() -> None:
    whole = Finding(
        source="x", id="1", at=AT, captured_at=AT + timedelta(seconds=2), origin=Origin.GAP_FILL, text="Vi fryser, æøå",
        lang="no", author="a1", author_class=AuthorClass.MEDIA, reach=Reach.LARGE, repost_of="0", reply_to="00",
        quote_of="000", edits=("e",), hashtags=("brann",), links=("https://a.example",), place="Fjordby",
        url="https://x.example/1", incident="brann", tracks=("brann*",), cues=(Cue(kind=Kind.WISH),), story="s",
        count=3, fields={"by": ["a", 1]}, exercise=True,
    )  # fmt: skip
    assert read_line(write_finding(whole), "brann") == whole
    bare = found()
    assert read_line(write_finding(bare), "brann") == bare
    gap = read({"gap": [NOW, None], "source": "x"})
    assert isinstance(gap, Gap)
    assert read_line(write_gap(gap), "brann") == gap
    assert read_line(write_tick(AT), "brann") == Tick(source=ALL_SOURCES, until=AT)


def test_what_was_answered_is_written_and_read_again_without_its_words() -> None:
    given = AnswerGiven(at=AT, by="Kari", verdict=Verdict.FALSE, words="Vannet er trygt.", people=9, posts=12)
    whole = Answered(incident="brann", story="s1", theme="water", at=AT, decision=3, given=given)
    bare = whole.model_copy(update={"given": given.model_copy(update={"words": ""})})
    assert read(write_answered(whole).decode()) == bare
    aside = bare.model_copy(update={"given": AnswerGiven(at=AT, by="Ola", standing=Standing.DISMISSED), "theme": ""})
    assert read(write_answered(aside).decode()) == aside
    back = bare.model_copy(update={"given": None})
    assert read(write_answered(back).decode()) == back
    assert read({"answered": NOW, "decision": 3, "story": "s1", "standing": "new"}) == back.model_copy(
        update={"theme": ""}
    )
