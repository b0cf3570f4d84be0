"""A line of X read straight into a post is the post that the parser of all shapes makes of it, or is left to that."""

from __future__ import annotations

import json
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from listener.model.records import AuthorClass, Post
from listener.sources.common.fields import Unusable
from listener.sources.common.json import read_json
from listener.sources.x.payload import parse_answer
from listener.sources.x.typed_line import read_post

AT = "2031-02-03T12:00:00.000Z"
USERS = [
    {"id": "7", "username": "Kari", "public_metrics": {"followers_count": 12, "tweet_count": 3}},
    {"id": "8", "username": "Fjordavisa", "verified_type": "government", "name": "Fjordavisa"},
]
ENTITIES = {
    "hashtags": [{"start": 0, "end": 5, "tag": "Brann"}],
    "mentions": [{"username": "Fjordavisa", "id": "8"}, {"username": "Ola_N", "id": "9"}],
    "urls": [{"url": "https://t.co/a", "expanded_url": "https://a.example/b"}],
}
PLAIN = {
    "id": "17", "text": "Brann &amp; røyk! @Fjordavisa", "created_at": AT, "lang": "no", "author_id": "7",
    "edit_history_tweet_ids": ["16", "17"], "entities": ENTITIES, "public_metrics": {"like_count": 0},
}  # fmt: skip
REPLY = {**PLAIN, "in_reply_to_user_id": "8", "referenced_tweets": [{"type": "replied_to", "id": "5"}]}
REPOST = {**PLAIN, "text": "RT @fjordavisa: Brann", "referenced_tweets": [{"type": "retweeted", "id": "5"}]}
ORIGINAL = {"id": "5", "text": "Brann på &lt;sykehuset&gt; #natt", "author_id": "8", "created_at": AT}
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {"data": PLAIN, "includes": {"users": USERS}, "matching_rules": [{"id": "1", "tag": "a"}]},
    "bare": {"data": {"id": "17", "text": "brann #natt", "created_at": AT}},
    "reply": {"data": REPLY, "includes": {"users": USERS, "tweets": [ORIGINAL]}},
    "repost": {"data": REPOST, "includes": {"users": USERS, "tweets": [ORIGINAL]}},
    "repost of what is not there": {"data": REPOST, "includes": {"users": USERS}},
}
OTHERS: dict[str, dict[str, Any]] = {
    "a quote": {"data": {**PLAIN, "referenced_tweets": [{"type": "quoted", "id": "5"}]}},
    "a long post": {"data": {**PLAIN, "note_tweet": {"text": "Mer."}}},
    "a place": {"data": {**PLAIN, "geo": {"place_id": "1"}}},
    "a user within": {"data": {**PLAIN, "author": {"id": "7", "username": "Kari"}}},
    "a post within": {"data": {**PLAIN, "referenced_tweets": [{"type": "replied_to", "id": "5", "text": "a"}]}},
    "a number for an id": {"data": {**PLAIN, "id": 17}},
    "no time": {"data": {"id": "17", "text": "brann"}},
    "a time long ago": {"data": {**PLAIN, "created_at": "1999-01-01T00:00:00.000Z"}},
    "a page": {"data": [PLAIN]},
    "too many links": {"data": {**PLAIN, "entities": {"urls": [{"url": "https://a.example"}] * 1001}}},
}  # fmt: skip


def parsed(line: bytes) -> Post | None:
    """What the parser of all shapes makes of a line: its one post, if it is one."""
    try:
        found = parse_answer(read_json(line), "x")
    except (Unusable, ValueError):
        return None
    return found[0] if len(found) == 1 and isinstance(found[0], Post) else None


def written(answer: Any, *, ascii_only: bool = False) -> bytes:
    return json.dumps(answer, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("shape", SHAPES)
def test_the_usual_shapes_are_read(shape: str) -> None:
    line = written(SHAPES[shape])
    found = read_post(line, "x")
    assert found is not None
    assert found == parsed(line)


def test_a_repost_is_whole_and_names_whom_it_addresses() -> None:
    found = read_post(written(SHAPES["repost"]), "x")
    assert found is not None
    assert found.text == "RT @Fjordavisa: Brann på <sykehuset> #natt"
    assert found.handles == {"fjordavisa": "8", "ola_n": "9"}
    assert (found.repost_of, found.edits, found.hashtags) == ("5", ("16",), ("natt",))
    assert found.author is not None
    assert (found.author.followers, found.author.author_class) == (12, AuthorClass.UNKNOWN)


@pytest.mark.parametrize("shape", OTHERS)
def test_any_other_shape_is_left_to_who_knows_all(shape: str) -> None:
    assert read_post(written(OTHERS[shape]), "x") is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
    | st.sampled_from(["", "5", "7", "17", AT, "RT @x: a", "#a", "government", "quoted", "retweeted", 7, 8.0, 10**40]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(
        ["id", "text", "username", "type", "tag", "url", "author_id", "users", "tweets", "hashtags", "note_tweet"]
    ), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where anything stands in an answer."""
    found = [here] if here else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        found += places(inner, (*here, name))
    return found


@examples(400)
@given(data=st.data(), shape=st.sampled_from(sorted(SHAPES) + sorted(OTHERS)[1:]))
def test_whatever_stands_anywhere_a_post_that_is_read_is_the_same(data: st.DataObject, shape: str) -> None:
    answer = json.loads(json.dumps((SHAPES | OTHERS)[shape]))
    for _ in range(data.draw(st.integers(1, 3))):
        where = data.draw(st.sampled_from(places(answer)))
        holder = answer
        for name in where[:-1]:
            holder = holder[name]
        if data.draw(st.booleans()) and isinstance(holder, dict):
            del holder[where[-1]]
        else:
            holder[where[-1]] = data.draw(VALUES)
        if not places(answer):
            return
    line = written(answer, ascii_only=data.draw(st.booleans()))
    found = read_post(line, "x")
    assert found is None or found == parsed(line)


@examples(200)
@given(data=st.data(), shape=st.sampled_from(sorted(SHAPES)))
def test_no_damage_to_the_bytes_makes_a_post_of_what_is_none(data: st.DataObject, shape: str) -> None:
    line = bytearray(written(SHAPES[shape]))
    place = data.draw(st.integers(0, len(line) - 1))
    line[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    found = read_post(bytes(line), "x")
    assert found is None or found == parsed(bytes(line))


@pytest.mark.parametrize("name", [b'"name":"\xff"', b'"name":"\xed\xa0\x80"', b'"\xff":1', b'"name":"\\ud800"'])
def test_what_is_passed_over_is_utf_8(name: bytes) -> None:
    line = written(SHAPES["plain"]).replace(b'"name": "Fjordavisa"', name)
    assert name in line
    assert read_post(line, "x") is None


def test_what_is_nested_too_deeply_is_left_to_the_other() -> None:
    line = written({**SHAPES["bare"], "more": json.loads("[" * 300 + "]" * 300)})
    assert read_post(line, "x") is None
