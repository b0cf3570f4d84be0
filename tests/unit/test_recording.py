"""Recordings: every shape of line, every kind of damage, the pace, and going on where we were."""

from __future__ import annotations

import gzip
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.clock import Clock, ManualClock, SystemClock
from listener.errors import ConfigError, Corrupt
from listener.model.records import AuthorClass, Post, Quoted
from listener.sources.common.fields import Unusable
from listener.sources.common.recorded_source import MAX_LINES, RecordedSource
from listener.sources.common.seen_ids import SeenIds
from listener.sources.contract import Batch, DropReason
from listener.sources.recording.parser import of_platforms, posts_in
from listener.sources.x.payload import Includes, make_author, parse_answer, parse_post

START = datetime(2026, 3, 1, 20, 0, 0, tzinfo=UTC)


def recorded(path: str, speed: float | None, clock: Clock) -> RecordedSource:
    return RecordedSource("recording", posts_in, path, speed, clock)


def plain(number: int, seconds: float = 0, **more: Any) -> dict[str, Any]:
    at = (START + timedelta(seconds=seconds)).isoformat()
    return {"id": str(number), "created_at": at, "text": f"melding {number}", **more}


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def batches(path: Path | str, speed: float | None = None, resume: str | None = None) -> Iterator[Batch]:
    source = recorded(str(path), speed, ManualClock(START))
    source.open(resume)
    while source.state()["state"] != "ended":
        batch = source.read(1.0)
        if batch is not None:
            assert batch.read == len(batch.posts) + len(batch.bad) + batch.duplicates
            yield batch
    source.close()


def one(path: Path | str) -> Batch:
    (batch,) = batches(path)
    assert batch.final
    return batch


def reasons(batch: Batch) -> dict[DropReason, int]:
    return dict(Counter(bad.reason for bad in batch.bad))


# --- platforms -------------------------------------------------------------------------------------------------------


def test_a_line_is_of_the_platform_that_it_names_where_that_counts(tmp_path: Path) -> None:
    answer = {"data": {"id": "5", "created_at": START.isoformat(), "text": "svar"}, "platform": "x"}
    lines = [plain(1, platform="facebook"), plain(2, platform="Twitter for iPhone"), plain(3, platform=7), answer]
    path = write(tmp_path / "r", *lines)
    source = RecordedSource("mine", of_platforms(), str(path), None, ManualClock(START))
    source.open(None)
    batch = source.read(1.0)
    assert batch is not None
    assert [post.source for post in batch.posts] == ["facebook", "mine", "mine", "x"]
    (unnamed,) = of_platforms("x")(plain(1), "mine")
    assert isinstance(unnamed, Post)
    assert unnamed.source == "x"
    assert [post.source for post in one(path).posts] == ["recording"] * 4, "on a live bus it is of none"


def test_two_platforms_may_give_the_same_id(tmp_path: Path) -> None:
    path = write(tmp_path / "r", *(plain(1, n, platform=name) for n, name in enumerate(["facebook", "x", "facebook"])))
    source = RecordedSource("x", of_platforms(), str(path), None, ManualClock(START))
    source.open(None)
    batch = source.read(1.0)
    assert batch is not None
    assert ([post.source for post in batch.posts], batch.duplicates) == (["facebook", "x"], 1)
    assert one(path).duplicates == 2


# --- lines -----------------------------------------------------------------------------------------------------------


def test_a_plain_post_keeps_what_it_says(tmp_path: Path) -> None:
    line = plain(
        1,
        author_id=7,
        username="Kari_N",
        followers=120,
        lang="nb",
        place="Nes",
        reply_to="9",
        text="Brann &amp; røyk #Nes, spør @Vakta",
        unknown={"a": [1]},
        informativeness="x",
    )
    (post,) = one(write(tmp_path / "r", line)).posts
    assert (post.source, post.id, post.at) == ("recording", "1", START)
    assert post.text == "Brann & røyk #Nes, spør @Vakta"
    assert post.author is not None
    assert (post.author.id, post.author.handle, post.author.followers) == ("7", "Kari_N", 120)
    assert (post.lang, post.place, post.reply_to, post.repost_of, post.url) == ("nb", "Nes", "9", None, None)
    assert post.hashtags == ("Nes",)
    assert post.handles == {}


def test_an_author_may_be_an_object_a_name_or_unknown(tmp_path: Path) -> None:
    batch = one(
        write(
            tmp_path / "r",
            plain(1, author={"id": "7", "username": "kari", "followers": 3}),
            plain(2, author="Ola"),
            plain(3),
        )
    )
    said = [post.author and (post.author.id, post.author.handle, post.author.followers) for post in batch.posts]
    assert said == [("7", "kari", 3), ("@ola", "Ola", None), None]


def answer(**more: Any) -> dict[str, Any]:
    data = {"id": "10", "created_at": "2026-03-01T20:00:00.000Z", "text": "Det brenner", "author_id": "7", **more}
    users = [
        {"id": "7", "username": "kari", "public_metrics": {"followers_count": 5}},
        {"id": "8", "username": "FjordbyUnivsyk", "verified_type": "government"},
    ]
    tweets = [
        {
            "id": "5",
            "author_id": "8",
            "text": "Kort …",
            "created_at": "2026-03-01T19:00:00Z",
            "note_tweet": {"text": "Lang melding &lt;3", "entities": {"hashtags": [{"tag": "nes"}]}},
        }
    ]
    places = [{"id": "p", "full_name": "Nes, Fjordby"}]
    return {"data": data, "includes": {"users": users, "tweets": tweets, "places": places}, "matching_rules": []}


def parsed(**more: Any) -> Post:
    (item,) = parse_answer(answer(**more), "x")
    assert isinstance(item, Post)
    return item


def test_what_a_post_of_x_quotes_comes_with_it() -> None:
    post = parsed(text="Herregud, se her", referenced_tweets=[{"type": "quoted", "id": "5"}])
    assert post.quoted == Quoted(text="Lang melding <3", hashtags=("nes",))
    assert post.text == "Herregud, se her"
    assert parsed().quoted is None
    assert parsed(referenced_tweets=[{"type": "quoted", "id": "404"}]).quoted is None
    assert parsed(referenced_tweets=[{"type": "replied_to", "id": "5"}]).quoted is None


def test_whom_a_quoted_post_names_is_no_account_of_the_post_that_quotes_it() -> None:
    """X neither sends nor bills it."""
    raw = answer(referenced_tweets=[{"type": "quoted", "id": "6"}])
    named = {"mentions": [{"username": "Ola_N", "id": "12"}]}
    raw["includes"]["tweets"] = [{"id": "6", "text": "spør dem", "author_id": "8", "entities": named}]
    (post,) = parse_answer(raw, "x")
    assert isinstance(post, Post)
    assert post.quoted == Quoted(text="spør dem", handles=("ola_n",))
    assert post.handles == {"fjordbyunivsyk": "8"}


@pytest.mark.parametrize("odd", [{}, {"text": 7}, {"text": ""}, {"text": "a", "entities": "b"}, {"text": "\ud800"}])
def test_an_odd_quoted_post_costs_nothing_of_the_post_that_quotes_it(odd: dict[str, Any]) -> None:
    raw = answer(referenced_tweets=[{"type": "quoted", "id": "5"}])
    raw["includes"]["tweets"] = [{"id": "5", **odd}]
    (post,) = parse_answer(raw, "x")
    assert isinstance(post, Post)
    assert post.text == "Det brenner"


def test_a_post_of_x_is_filled_from_what_came_with_it() -> None:
    post = parsed(
        geo={"place_id": "p"},
        in_reply_to_user_id="8",
        referenced_tweets=[{"type": "replied_to", "id": "4"}, {"type": "quoted", "id": "5"}],
        edit_history_tweet_ids=["9", "10"],
        entities={
            "hashtags": [{"tag": "Brann"}],
            "mentions": [{"username": "Vakta", "id": "11"}],
            "urls": [{"url": "https://t.co/a", "expanded_url": "https://example.no/b"}],
        },
    )
    assert post.author is not None
    assert (post.author.handle, post.author.followers, post.author.author_class) == ("kari", 5, AuthorClass.UNKNOWN)
    assert (post.place, post.reply_to, post.quote_of, post.edits) == ("Nes, Fjordby", "4", "5", ("9",))
    assert (post.hashtags, post.links) == (("Brann",), ("https://example.no/b",))
    assert post.handles == {"vakta": "11", "fjordbyunivsyk": "8"}
    assert post.url == "https://x.com/i/web/status/10"


def test_a_repost_bears_the_whole_text_of_the_original() -> None:
    post = parsed(text="RT @FjordbyUnivsyk: Kort …", referenced_tweets=[{"type": "retweeted", "id": "5"}])
    assert post.text == "RT @FjordbyUnivsyk: Lang melding <3"
    assert (post.repost_of, post.hashtags, post.handles) == ("5", ("nes",), {"fjordbyunivsyk": "8"})


def test_a_long_post_is_read_whole_and_a_government_is_a_public_body() -> None:
    post = parsed(author_id="8", note_tweet={"text": "Alt sammen"})
    assert post.text == "Alt sammen"
    assert post.author is not None
    assert post.author.author_class is AuthorClass.PUBLIC_BODY


@pytest.mark.parametrize(
    ("verified", "whose"),
    [
        ("government", AuthorClass.PUBLIC_BODY),
        ("business", AuthorClass.ORGANISATION),
        ("blue", AuthorClass.UNKNOWN),
        ("none", AuthorClass.UNKNOWN),
        (None, AuthorClass.UNKNOWN),
        (5, AuthorClass.UNKNOWN),
    ],
)
def test_what_x_has_verified_says_whose_an_account_is(verified: object, whose: AuthorClass) -> None:
    assert make_author("8", {"username": "noen", "verified_type": verified}).author_class is whose


def test_a_page_of_search_gives_its_posts_and_names_those_that_will_not_do(tmp_path: Path) -> None:
    page = {**answer(), "data": [answer()["data"], {"id": "11"}, answer(id="12")["data"], 5]}
    batch = one(write(tmp_path / "r", page, {"meta": {"result_count": 0}}))
    assert [post.id for post in batch.posts] == ["10", "12"]
    assert reasons(batch) == {DropReason.MISSING_FIELD: 1, DropReason.WRONG_TYPE: 1}


def test_an_id_may_be_a_number_wherever_an_id_stands(tmp_path: Path) -> None:
    data = {
        "id": 10,
        "created_at": "2026-03-01T20:00:00Z",
        "text": "@Vakta Det brenner",
        "author_id": 7,
        "in_reply_to_user_id": 8,
        "referenced_tweets": [{"type": "quoted", "id": 5}],
        "edit_history_tweet_ids": [9, 10],
        "geo": {"place_id": 3},
        "entities": {"mentions": [{"username": "Vakta", "id": 11}]},
    }
    includes = {
        "users": [{"id": 7, "username": "kari"}, {"id": 8, "username": "per"}, {"id": 6, "username": "ola"}],
        "tweets": [{"id": 5, "text": "Før", "author_id": 6}],
        "places": [{"id": 3, "full_name": "Nes"}],
    }
    edits = {"edits": [20, "21"], "repost_of": 5, "reply_to": 6.0, "quote_of": 9007199254740993.0}
    post, flat = one(write(tmp_path / "r", {"data": data, "includes": includes}, plain(22, author_id=7, **edits))).posts
    assert post.author is not None
    assert (post.id, post.author.id, post.author.handle) == ("10", "7", "kari")
    assert (post.quote_of, post.edits, post.place) == ("5", ("9",), "Nes")
    assert post.handles == {"vakta": "11", "per": "8", "ola": "6"}
    # A number that is no whole one, or has lost digits, is no id.
    assert (flat.edits, flat.repost_of, flat.reply_to, flat.quote_of) == (("20", "21"), "5", "6", None)


@pytest.mark.parametrize("wrapped", [True, False])
def test_what_flattening_put_inside_a_post_is_read(tmp_path: Path, wrapped: bool) -> None:
    user = {"id": 9, "username": "Vakta", "public_metrics": {"followers_count": 3}}
    line = {
        "id": "2",
        "created_at": "2026-03-01T20:00:00Z",
        "text": "RT @Vakta: Kort …",
        "author": {"id": "5", "username": "per", "public_metrics": {"followers_count": 12}},
        "in_reply_to_user_id": "6",
        "in_reply_to_user": {"id": "6", "username": "Ola"},
        "geo": {"place_id": "p", "full_name": "Nes, Fjordby"},
        "referenced_tweets": [
            {
                "type": "retweeted",
                "id": 1,
                "text": "Kort …",
                "note_tweet": {"text": "Lang melding med stedet til slutt", "entities": {"hashtags": [{"tag": "nes"}]}},
                "author": user,
            },
            {"type": "quoted", "id": "3", "text": "Sitert", "author_id": "8", "author": {"username": "kari"}},
        ],
    }
    (post,) = one(write(tmp_path / "r", {"data": line} if wrapped else line)).posts
    assert post.text == "RT @Vakta: Lang melding med stedet til slutt"
    assert post.author is not None
    assert (post.author.id, post.author.handle, post.author.followers) == ("5", "per", 12)
    assert (post.repost_of, post.quote_of, post.place, post.hashtags) == ("1", "3", "Nes, Fjordby", ("nes",))
    assert post.handles == {"vakta": "9", "kari": "8", "ola": "6"}


def test_half_a_character_costs_no_more_than_itself(tmp_path: Path) -> None:
    """`\\ud83d` alone, in a text, a name, a key, or as raw bytes; a whole pair and a written backslash are not one."""
    at = '"created_at": "2026-03-01T20:00:00Z"'
    lines = [
        f'{{"data": [{{"id": "1", {at}, "text": "en"}}, {{"id": "2", {at}, "text": "to \\uD83D."}}, '
        f'{{"id": "3", {at}, "text": "tre \\ud83d\\ude00 \\\\ud83d"}}]}}',
        f'{{"id": "4", {at}, "text": "fire", "author": {{"id": "7", "username": "a\\ude00"}}, "\\ud83d": 1}}',
    ]
    path = tmp_path / "r"
    raw = f'{{"id": "5", {at}, "text": "fem \ud83d"}}\n'.encode("utf-8", "surrogatepass")
    path.write_bytes("".join(f"{line}\n" for line in lines).encode() + raw)
    batch = one(path)
    assert [post.text for post in batch.posts] == ["en", "to \ufffd.", "tre 😀 \\ud83d", "fire", "fem \ufffd"]
    assert (batch.read, batch.bad) == (5, ())
    assert batch.posts[3].author is not None
    assert batch.posts[3].author.handle == "a\ufffd"


def test_an_instant_may_have_a_small_z_or_a_leap_second(tmp_path: Path) -> None:
    lines = plain(1) | {"created_at": "2026-03-01t20:00:00z"}, plain(2) | {"created_at": "2026-03-01T19:59:60Z"}
    assert {post.at for post in one(write(tmp_path / "r", *lines)).posts} == {START}


def test_a_word_is_the_same_in_two_spellings_of_its_letters(tmp_path: Path) -> None:
    tags = {"entities": {"hashtags": [{"tag": "Ulleva\u030al"}]}}
    first, second = one(
        write(tmp_path / "r", plain(1, **tags), plain(2, hashtags=["Ullev\u00e5l"], place="Ga\u030ard"))
    ).posts
    assert first.hashtags == second.hashtags == ("Ullevål",)
    assert second.place == "Gård"


HALVES_TOO = st.characters(codec=None)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(HALVES_TOO, max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "text", "type", "tag", "users", "tweets", "username", "urls", "mentions", "place_id", "author"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
fields = st.dictionaries(
    st.sampled_from(
        [
            "id",
            "text",
            "created_at",
            "author_id",
            "entities",
            "referenced_tweets",
            "note_tweet",
            "geo",
            "lang",
            "edit_history_tweet_ids",
            "in_reply_to_user_id",
            "author",
            "username",
            "public_metrics",
        ]
    ),
    json_values,
    max_size=6,
)


@given(fields, json_values)
def test_no_shape_of_json_raises_anything_but_a_reason(more: dict[str, Any], includes: Any) -> None:
    with suppress(Unusable):
        parse_post({**answer()["data"], **more}, Includes(includes), "x")
    (item,) = parse_answer({"data": more, "includes": includes}, "x")
    assert isinstance(item, Post | Unusable)


@given(st.lists(st.text(st.sampled_from("0123x"), min_size=1, max_size=4), max_size=2000))
def test_ids_seen_are_as_in_a_set(ids: list[str]) -> None:
    seen, known = SeenIds(), set[str]()
    for post_id in ids:
        assert seen.add(post_id) is (post_id not in known)
        known.add(post_id)
    assert len(seen) == len(known)


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"id": "2", "created', DropReason.BAD_JSON),
        ('"a"', DropReason.WRONG_TYPE),
        ({"created_at": "2026-03-01T20:00:00Z", "text": "x"}, DropReason.MISSING_FIELD),
        ({"id": "2", "text": "x"}, DropReason.MISSING_FIELD),
        ({"id": "2", "created_at": "2026-03-01T20:00:00Z"}, DropReason.MISSING_FIELD),
        ({"id": "2", "created_at": "2026-03-01T20:00:00Z", "text": ""}, DropReason.MISSING_FIELD),
        ({"id": ["2"], "created_at": "2026-03-01T20:00:00Z", "text": "x"}, DropReason.WRONG_TYPE),
        ({"id": "2", "created_at": 5, "text": "x"}, DropReason.WRONG_TYPE),
        ({"id": "2", "created_at": "2026-03-01T20:00:00Z", "text": {"a": 1}}, DropReason.WRONG_TYPE),
        ({"id": "2", "created_at": "2026-13-45T20:00:00Z", "text": "x"}, DropReason.BAD_DATE),
        ({"id": "2", "created_at": "2026-03-01T20:00:00", "text": "x"}, DropReason.BAD_DATE),
        ({"id": "2", "created_at": "9999-12-31T23:59:59-12:00", "text": "x"}, DropReason.BAD_DATE),
        ({"id": "2", "created_at": "0001-01-01T00:00:00+12:00", "text": "x"}, DropReason.BAD_DATE),
        ({"id": "2", "created_at": "2061-03-01T20:00:00Z", "text": "x"}, DropReason.LONE_DATE),
        ({"errors": [{"title": "operational-disconnect"}]}, DropReason.NOT_A_POST),
        ({"id": "2", "action": "tweet_delete", "created_at": "2026-03-01T20:00:00Z"}, DropReason.NOT_A_POST),
        ({"data": [{"id": "7", "username": "kari", "created_at": "2020-01-01T00:00:00Z"}]}, DropReason.NOT_A_POST),
        ('{"id": "2", "created_at": "2026-03-01T20:00:00Z", "text": "\\ud83"}', DropReason.BAD_JSON),
        ({"id": 1.9e18, "created_at": "2026-03-01T20:00:00Z", "text": "x"}, DropReason.WRONG_TYPE),
        ({"id": True, "created_at": "2026-03-01T20:00:00Z", "text": "x"}, DropReason.WRONG_TYPE),
        ({"id": "2", "created_at": "2026-03-01T20:00:61Z", "text": "x"}, DropReason.BAD_DATE),
        ("[" * 100_000, DropReason.BAD_JSON),
        (plain(2, text="x" * 1_000_000), DropReason.TOO_LONG),
    ],
)
def test_a_line_that_will_not_do_is_named_and_the_rest_is_heard(tmp_path: Path, line: Any, reason: DropReason) -> None:
    path = write(tmp_path / "r", plain(1), "", line, plain(3))
    batch = one(path)
    assert [post.id for post in batch.posts] == ["1", "3"]
    (bad,) = batch.bad
    assert (bad.reason, bad.where) == (reason, f"{path}:3")
    assert bad.length == len((line if isinstance(line, str) else json.dumps(line)).encode())
    assert len(bad.digest) == 64
    assert batch.until == START


def test_an_id_seen_twice_is_counted_and_every_version_of_a_post_is_given(tmp_path: Path) -> None:
    edited = {**answer(id="20", edit_history_tweet_ids=["15", "20"])}
    path = write(tmp_path / "r", plain(1), plain(1, 5), edited, answer(id="15"), answer(id="30"))
    batch = one(path)
    assert [post.id for post in batch.posts] == ["1", "20", "15", "30"]
    assert batch.duplicates == 1
    assert batch.read == 5


def test_a_truncated_last_line_is_named_and_a_whole_one_is_heard(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text(json.dumps(plain(1)) + "\n" + json.dumps(plain(2)))
    assert len(one(path).posts) == 2
    path.write_text(json.dumps(plain(1)) + "\n" + json.dumps(plain(2))[:-9])
    assert reasons(one(path)) == {DropReason.TRUNCATED_LINE: 1}


def test_gzip_is_known_by_its_content_in_several_members(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    parts = [gzip.compress(f"{json.dumps(plain(n))}\n".encode()) for n in range(3)]
    path.write_bytes(b"".join(parts) + b"\0" * 512)
    assert [post.id for post in one(path).posts] == ["0", "1", "2"]


def test_a_byte_order_mark_is_no_part_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "recording.jsonl"
    marked = [b"\xef\xbb\xbf" + f"{json.dumps(plain(n))}\n".encode() for n in range(3)]
    for content in (b"".join(marked), gzip.compress(b"".join(marked)), b"".join(map(gzip.compress, marked))):
        path.write_bytes(content)
        batch = one(path)
        assert [post.id for post in batch.posts] == ["0", "1", "2"]
        assert (batch.read, batch.bad) == (3, ())


def test_damaged_gzip_gives_what_can_be_had(tmp_path: Path) -> None:
    path = tmp_path / "r.gz"
    rows = "".join(json.dumps(plain(n, text=os.urandom(40).hex())) + "\n" for n in range(3000)).encode()
    whole = gzip.compress(rows)
    path.write_bytes(whole[: len(whole) // 2])
    given = list(batches(path))
    assert sum(len(batch.posts) for batch in given) > 1000
    assert [bad.reason for batch in given for bad in batch.bad] == [DropReason.TRUNCATED_GZIP]
    path.write_bytes(whole[: len(whole) // 2] + b"\xff" * 500 + whole[len(whole) // 2 :])
    assert [bad.reason for batch in batches(path) for bad in batch.bad][-1] is DropReason.CORRUPT_GZIP


def test_an_empty_recording_ends_at_once(tmp_path: Path) -> None:
    for content in (b"", b"\n\r\n", b"\xef\xbb\xbf", gzip.compress(b"", mtime=0)):
        (tmp_path / "r").write_bytes(content)
        batch = one(tmp_path / "r")
        assert (batch.posts, batch.until, batch.read) == ((), None, 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"dato,tekst\n1,brann\n", "no JSON objects"),
        (b'[{"id": "1"}]\n', "JSON list"),
        (b'[\n{"id": "1"},\n{"id": "2"}\n]\n', "JSON list"),
        (b"\x00\x01\x02" * 500, "binary"),
        (b"PK\x03\x04abc\n", "unzip"),
        (b"\x28\xb5\x2f\xfdabc\n", "zstd"),
        ('{"id": "1"}\n'.encode("utf-16"), "UTF-16"),
        (gzip.compress(b"\x89PNG\r\n\x1a\n", mtime=0), "is no recording"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_refused_with_the_fix(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{path}:1: .*{says}"):
        recorded(str(path), None, ManualClock(START)).open(None)


def test_a_first_line_cut_off_at_its_beginning_is_only_a_bad_line(tmp_path: Path) -> None:
    assert reasons(one(write(tmp_path / "r", 'ext": "brann"}', plain(1)))) == {DropReason.BAD_JSON: 1}


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "nothing", "No such file"), (tmp_path, "is a folder")):
        with pytest.raises(ConfigError, match=says):
            recorded(str(path), None, ManualClock(START)).open(None)


def test_a_wrong_first_date_does_not_hide_the_others(tmp_path: Path) -> None:
    late = plain(1) | {"created_at": "2090-01-01T00:00:00Z"}
    batch = one(write(tmp_path / "r", late, plain(2), plain(3, 1)))
    assert [post.id for post in batch.posts] == ["2", "3"]
    assert batch.until == START + timedelta(seconds=1)


def test_of_two_posts_years_apart_neither_is_refused(tmp_path: Path) -> None:
    batch = one(write(tmp_path / "r", plain(1), "{", plain(2) | {"created_at": "2016-12-31T23:59:60Z"}))
    assert [post.id for post in batch.posts] == ["1", "2"]


def test_years_without_a_post_are_believed_when_the_next_is_there_too(tmp_path: Path) -> None:
    years = 7 * 365 * 86400
    batch = one(write(tmp_path / "r", plain(1), plain(2, years), '{"id": "x"}', plain(3, years + 60)))
    assert [post.id for post in batch.posts] == ["1", "2", "3"]


# --- cuts and going on -----------------------------------------------------------------------------------------------


def recording(path: Path, count: int = 3300) -> Path:
    lines: list[Any] = []
    for n in range(count):
        lines.append(plain(n, n * 0.07 - (n % 11 == 0) * 30 + (n > 3000) * 600))
        if n % 97 == 0:
            lines += ["{bad", plain(n, 1), ""]
    return write(path, *lines)


@pytest.mark.parametrize("speed", [None, 60.0, 1.0])
def test_going_on_from_any_cursor_gives_the_very_same_batches(tmp_path: Path, speed: float | None) -> None:
    path = recording(tmp_path / "r")
    whole = list(batches(path, speed))
    assert len(whole) > 3
    assert sum(len(batch.posts) for batch in whole) == 3300
    assert [b.until for b in whole if b.until] == sorted(b.until for b in whole if b.until)
    assert len({batch.cursor for batch in whole}) == len(whole)
    for index in range(0, len(whole) - 1, max(1, len(whole) // 12)):
        assert list(batches(path, speed, whole[index].cursor)) == whole[index + 1 :]


def test_another_speed_loses_and_repeats_nothing(tmp_path: Path) -> None:
    path = recording(tmp_path / "r")
    for batch_index, (before, after) in enumerate([(None, 60.0), (60.0, None), (3600.0, 60.0)], start=1):
        first = list(batches(path, before))[:batch_index]
        rest = list(batches(path, after, first[-1].cursor))
        ids = [post.id for batch in (*first, *rest) for post in batch.posts]
        assert sorted(ids, key=int) == [str(n) for n in range(3300)]


def test_a_recording_played_to_its_end_only_ends_again(tmp_path: Path) -> None:
    path = recording(tmp_path / "r", 10)
    last = one(path)
    assert list(batches(path, None, last.cursor)) == [Batch(until=last.until, cursor=last.cursor, final=True)]


def test_a_source_may_be_closed_and_opened_again(tmp_path: Path) -> None:
    source = recorded(str(recording(tmp_path / "r", 10)), None, ManualClock(START))
    source.open(None)
    first = source.read(1)
    source.close()
    source.close()
    assert source.read(1) is None
    source.open(None)
    assert source.read(1) == first
    assert source.counts.posts == 10


def test_another_recording_is_played_from_its_beginning(tmp_path: Path) -> None:
    cursor = one(recording(tmp_path / "r", 10)).cursor
    source = recorded(str(write(tmp_path / "s", plain(77))), None, ManualClock(START))
    source.open(cursor)
    batch = source.read(1)
    assert batch is not None
    assert [post.id for post in batch.posts] == ["77"]
    assert "another recording" in source.state()["note"]


def test_an_unreadable_cursor_is_our_own_corruption(tmp_path: Path) -> None:
    with pytest.raises(Corrupt):
        recorded(str(recording(tmp_path / "r", 1)), None, ManualClock(START)).open("x")


def test_posts_of_one_instant_do_not_fill_the_memory(tmp_path: Path) -> None:
    sizes = [b.read for b in batches(write(tmp_path / "r", *(plain(n) for n in range(MAX_LINES + 10))))]
    assert sizes == [MAX_LINES, 10]


# --- pace ------------------------------------------------------------------------------------------------------------


def test_at_speed_60_a_recorded_minute_takes_a_second(tmp_path: Path) -> None:
    clock = ManualClock(START)
    source = RecordedSource(
        "recording", posts_in, str(write(tmp_path / "r", *(plain(n, n * 60) for n in range(11)))), 60, clock
    )
    source.open(None)
    given: list[tuple[float, Batch]] = []
    while source.state()["state"] != "ended":
        if batch := source.read(0.1):
            given.append((clock.monotonic(), batch))
    for when, batch in given:
        assert batch.until is not None
        assert when == pytest.approx((batch.until - START).total_seconds() / 60, abs=0.002)
    assert given[-1][0] == pytest.approx(10, abs=0.002)
    assert sum(len(batch.posts) for _, batch in given) == 11


def test_quiet_time_gives_signs_of_life(tmp_path: Path) -> None:
    path = write(tmp_path / "r", plain(1, 0.5), plain(2, 5.5))
    untils = [(batch.until - START).total_seconds() for batch in batches(path, 1.0) if batch.until]
    assert untils == [0.5, 1, 2, 3, 4, 5.5]
    assert len(list(batches(path))) == 1


def test_nothing_is_given_before_its_time(tmp_path: Path) -> None:
    clock = ManualClock(START)
    source = recorded(str(write(tmp_path / "r", plain(1), plain(2, 30))), 1, clock)
    source.open(None)
    first = source.read(0)
    assert first is not None
    assert [post.id for post in first.posts] == ["1"]
    assert source.read(0) is None
    assert clock.monotonic() == 0
    clock.advance(timedelta(seconds=1.001))
    sign = source.read(0)
    assert sign is not None
    assert (sign.posts, sign.until) == ((), START + timedelta(seconds=1))


def test_close_ends_a_wait_at_once(tmp_path: Path) -> None:
    source = RecordedSource(
        "recording", posts_in, str(write(tmp_path / "r", plain(1), plain(2, 3600))), 1, SystemClock()
    )
    source.open(None)
    assert source.read(0) is not None
    while source.read(0) is not None:
        pass
    begun = time.monotonic()
    threading.Timer(0.05, source.close).start()
    assert source.read(30) is None
    assert time.monotonic() - begun < 2


def test_a_pipe_is_heard_as_it_comes() -> None:
    read_end, write_end = os.pipe()
    source = recorded(f"/dev/fd/{read_end}", None, SystemClock())
    source.open(None)
    assert source.read(0.01) is None
    lines = [json.dumps(plain(n)) for n in (1, 2, 3)]
    os.write(write_end, f"{lines[0]}\n{lines[1]}\n{lines[2][:20]}".encode())
    batch = source.read(0.05)
    assert batch is not None
    assert [post.id for post in batch.posts] == ["1", "2"]
    assert source.read(0.01) is None
    assert source.state()["state"] == "waiting"
    os.write(write_end, f"{lines[2][20:]}\n".encode())
    os.close(write_end)
    last = source.read(1)
    assert last is not None
    assert ([post.id for post in last.posts], last.final) == (["3"], True)
    source.close()
    os.close(read_end)


def test_the_state_shows_how_far_it_is(tmp_path: Path) -> None:
    source = RecordedSource(
        "recording", posts_in, str(write(tmp_path / "r", plain(1), "{bad", plain(1))), None, ManualClock(START)
    )
    source.open(None)
    assert source.state()["state"] == "playing"
    source.read(1)
    state = source.state()
    assert (state["state"], state["read"], state["posts"], state["duplicates"]) == ("ended", 3, 1, 1)
    assert (state["bad"], state["progress"], state["position"]) == ({"bad_json": 1}, 1.0, "2026-03-01T20:00:00Z")
    json.dumps(state)


# --- outside data ----------------------------------------------------------------------------------------------------


@pytest.mark.evaluation
def test_real_payloads_all_parse_or_are_refused_with_a_reason() -> None:
    folder = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    if not folder:
        pytest.skip("LYTTEPOST_EVALUATION_DATA names no folder; the real payloads of X are not part of the project")
    posts, bad = 0, Counter[DropReason]()
    for path in sorted((Path(folder) / "x-payloads").glob("*.json*")):
        for batch in batches(path):
            posts += len(batch.posts)
            bad.update(line.reason for line in batch.bad)
    assert posts > 100
    assert set(bad) <= {DropReason.NOT_A_POST}
