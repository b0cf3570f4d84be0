"""The pure parts of the Facebook source: what a call and an answer say, what of it is news, what a round asks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from listener.errors import Corrupt
from listener.model.records import AuthorClass, Origin
from listener.privacy.screen import Screen
from listener.sources.common.fields import Unusable
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.contract import DropReason
from listener.sources.facebook.cursor import Memory
from listener.sources.facebook.known import Known
from listener.sources.facebook.payload import (
    Change,
    Removed,
    Said,
    Untold,
    changes_of,
    post_of,
    read_comment,
    read_post,
    without_names,
)
from listener.sources.facebook.rounds import Failed, Findings, Plan, Read, reading

AT = datetime(2031, 3, 2, 21, 14, 7, tzinfo=UTC)
PAGE, POST = "1000", "1000_500"


def call(*values: Mapping[str, Any], field: str = "feed", page: str = PAGE) -> bytes:
    changes = [{"field": field, "value": value} for value in values]
    entry = {"id": page, "time": int(AT.timestamp()), "changes": changes}
    return json.dumps({"object": "page", "entry": [entry]}).encode()


def comment(verb: str = "add", **more: Any) -> dict[str, Any]:
    return {
        "item": "comment", "verb": verb, "comment_id": "500_7", "post_id": POST, "parent_id": POST,
        "from": {"id": "70012345", "name": "Kari Fjell"}, "created_time": int(AT.timestamp()),
        "message": "Er alle ute?", **more,
    }  # fmt: skip


def told(*values: Mapping[str, Any], field: str = "feed") -> list[Change | Unusable]:
    return list(changes_of(call(*values, field=field), PAGE))


def said(
    text: str = "brann", *, seconds: float = 0.0, edited: bool = False, id_: str = "500_7", post: str = POST
) -> Said:
    return Said(id_, post, AT, text, AT + timedelta(seconds=seconds), post if id_ != post else None, None, edited)


# --- what calls and answers say ---------------------------------------------------------------------------------------


def test_a_comment_of_a_call_has_all_that_is_told_of_it() -> None:
    (found,) = told(comment())
    assert found == Said("500_7", POST, AT, "Er alle ute?", AT, POST, ("70012345", "Kari Fjell"))


def test_older_calls_name_the_sender_beside_and_write_ids_as_numbers() -> None:
    (found,) = told(comment("edited", **{"from": None}, sender_id=70012345, sender_name="Kari Fjell"))
    assert isinstance(found, Said)
    assert (found.author, found.edited) == (("70012345", "Kari Fjell"), True)


@pytest.mark.parametrize("verb", ["remove", "delete", "removed"])
def test_what_is_removed_has_no_words(verb: str) -> None:
    assert told({"item": "comment", "verb": verb, "comment_id": "500_7", "post_id": POST}) == [Removed("500_7", False)]
    assert told({"item": "photo", "verb": verb, "post_id": POST}) == [Removed(POST, True)]


@pytest.mark.parametrize(
    "value",
    [
        comment("hide"),
        comment("unhide"),
        comment("mute"),
        {"item": "reaction", "verb": "add", "post_id": POST, "reaction_type": "love"},
        {"item": "like", "verb": "add", "post_id": POST},
        {"item": "event", "verb": "add", "event_id": "7"},
        {"item": "photo", "verb": "add", "post_id": POST, "created_time": 1},
        {},
    ],
)
def test_what_nobody_says_is_nothing_and_no_fault(value: Mapping[str, Any]) -> None:
    assert told(value) == []


def test_a_mention_has_no_author_and_one_without_words_is_to_be_asked_for() -> None:
    value = {
        "item": "post",
        "verb": "add",
        "post_id": "2000_9",
        "created_time": int(AT.timestamp()),
        "message": "brann",
    }
    (found,) = told(value, field="mention")
    assert isinstance(found, Said)
    assert found.author is None
    assert told({k: v for k, v in value.items() if k != "message"}, field="mention") == [Untold("2000_9", "2000_9")]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", DropReason.BAD_JSON),
        (b"\xff\xfe{", DropReason.BAD_JSON),
        (b"[" * 9000, DropReason.BAD_JSON),
        (b"7", DropReason.WRONG_TYPE),
        (b'{"object": "page"}', DropReason.WRONG_TYPE),
        (b'{"object": "instagram", "entry": []}', DropReason.NOT_A_POST),
    ],
)
def test_what_is_no_call_has_a_reason(body: bytes, reason: DropReason) -> None:
    with pytest.raises(Unusable) as refused:
        list(changes_of(body, PAGE))
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (comment(comment_id=None), DropReason.MISSING_FIELD),
        (comment(comment_id="../me"), DropReason.WRONG_TYPE),
        (comment(created_time=None), DropReason.MISSING_FIELD),
        (comment(created_time="i går"), DropReason.WRONG_TYPE),
        (comment(created_time=-7), DropReason.BAD_DATE),
        (comment(created_time=1e300), DropReason.BAD_DATE),
        (comment(created_time=10**400), DropReason.BAD_DATE),
    ],
)
def test_one_bad_change_is_named_and_those_beside_it_are_read(value: Mapping[str, Any], reason: DropReason) -> None:
    bad, good = told(value, comment())
    assert isinstance(bad, Unusable)
    assert bad.reason is reason
    assert isinstance(good, Said)


def test_another_page_of_the_same_app_is_none_of_ours() -> None:
    assert list(changes_of(call(comment(), page="2000"), PAGE)) == []


def test_an_answer_says_the_same_as_a_call() -> None:
    raw = {
        "id": "500_7", "message": "Er alle ute?", "created_time": "2031-03-02T21:14:07+0000",
        "from": {"id": "70012345", "name": "Kari Fjell"},
    }  # fmt: skip
    (by_call,) = told(comment())
    assert read_comment(raw, POST, AT) == by_call
    assert read_comment({**raw, "message": ""}, POST, AT) is None
    reply = read_comment({**raw, "parent": {"id": "500_6"}}, POST, AT)
    assert reply is not None
    assert reply.parent == "500_6"
    with pytest.raises(Unusable):
        read_post({"id": POST, "message": "x", "created_time": "i går"}, AT)


# --- what becomes a post ----------------------------------------------------------------------------------------------


def test_no_name_of_a_person_is_left_in_a_mention() -> None:
    names = {"kari fjell": "70012345", "liv dal": "70054321"}
    it = Said(
        "500_8", POST, AT, "Kari Fjell, ring meg. Hilsen Liv  Dal og @Liv Dal. Dal er en bygd.", AT, "500_7",
        ("70099999", "Ola Strand"),
    )  # fmt: skip
    post = post_of(it, source="facebook", page=PAGE, at=AT, version=None, above="Brann", handle=None, names=names)
    made = Screen(b"k" * 32, {}).mention(
        post, incidents={"a": ("brann",)}, origin=Origin.LIVE, captured_at=AT, exercise=False
    )
    for name in ("Kari", "Liv Dal", "Ola", "70012345", "70099999", "70054321"):
        assert name not in made.model_dump_json()
    assert "Dal er en bygd" in made.text


def test_the_page_itself_is_the_hospital_and_a_word_is_no_name() -> None:
    it = Said(POST, POST, AT, "Brann", AT, None, (PAGE, "Fjordby sykehus"))
    post = post_of(it, source="facebook", page=PAGE, at=AT, version=None, above="", handle="fjordbysyk", names={})
    assert post.author is not None
    assert post.author.author_class is AuthorClass.OWN
    assert post.quoted is not None
    assert post.quoted.handles == ("fjordbysyk",)
    assert without_names("Anna kommer", {}) == ("Anna kommer", {})


# --- what is news -----------------------------------------------------------------------------------------------------


def test_the_same_words_are_news_once_whoever_tells_of_them() -> None:
    known = Known()
    known.learn_text(POST, "Brann")
    first = known.said(said())
    assert first is not None
    assert first.version is None
    assert known.said(said(seconds=60)) is None
    edited = known.said(said("brann!", seconds=70, edited=True))
    assert edited is not None
    assert edited.version == said("brann!").digest
    assert known.said(said("brann!", seconds=90)) is None
    assert known.said(said("brann", seconds=65)) is None, "read just before it was changed"


def test_an_edit_that_comes_first_is_what_counts() -> None:
    known = Known()
    assert known.said(said("sør", seconds=5, edited=True)) is not None
    assert known.said(said("nord", seconds=5)) is None
    assert known.said(said("nord", seconds=0)) is None


def test_what_was_given_without_the_text_above_it_is_news_when_that_is_known() -> None:
    known = Known()
    assert known.said(said("Er alle ute?")) is not None
    known.learn_text(POST, "Brann")
    assert known.said(said("Er alle ute?")) is not None
    assert known.said(said("Er alle ute?")) is None


def test_what_may_have_been_passed_over_or_lost_is_news_again() -> None:
    known = Known()
    known.learn_text(POST, "Brann")
    known.said(said())
    known.again(AT + timedelta(seconds=1))
    assert known.said(said()) is None
    known.again(AT)
    assert known.said(said()) is not None
    known.forget_given()
    assert known.said(said()) is not None


def test_of_what_is_removed_only_what_is_held_is_named_with_all_below_it() -> None:
    known = Known()
    known.learn_held(["500_7", "500_8", "600_1", POST])
    known.said(Said("500_8", POST, AT, "svar", AT, "500_7"))
    assert known.removed(Removed("500_7", False)) == ("500_7", "500_8")
    assert known.removed(Removed("700_1", False)) == ()
    assert known.said(said()) is None
    known.learn_held(["500_9"])
    assert set(known.removed(Removed(POST, True))) >= {POST, "500_9"}
    assert known.said(said(id_="500_10")) is None


# --- a round ----------------------------------------------------------------------------------------------------------


def ok(*items: Mapping[str, Any], next_: str | None = None, **data: Any) -> Answer:
    paging = {"paging": {"next": f"https://graph.example/x?after={next_}"}} if next_ else {}
    return Answer(outcome=Outcome.OK, status=200, data={"data": list(items), **paging, **data})


def item(id_: str, minutes: float = 0.0) -> dict[str, Any]:
    at = AT + timedelta(minutes=minutes)
    return {"id": id_, "message": f"nr. {id_}", "created_time": f"{at:%Y-%m-%dT%H:%M:%S}+0000"}


def play(answers: list[tuple[str, Answer]], **more: Any) -> tuple[Read | Failed, Findings]:
    """Each answer with the path that is asked for it."""
    known: frozenset[str] = more.pop("known", frozenset())
    plan = Plan(**{
        "page": PAGE, "lists": ("feed",), "until": AT - timedelta(hours=1), "full": True, "probe": False, "untold": (),
        "verify": (),
        "oldest": AT - timedelta(days=14), "choose": lambda posts: posts, "is_known": known.__contains__,
        "now": lambda: AT, **more,
    })  # fmt: skip
    found = Findings()
    asking = reading(plan, found)
    asked = next(asking)
    try:
        for path, answer in answers:
            assert asked.path == path
            asked = asking.send(answer)
    except StopIteration as ended:
        return ended.value, found
    raise AssertionError(f"it asks on: {asked.path}")


def test_a_round_reads_lists_and_all_comments_over_pages_that_are_empty() -> None:
    came, found = play([
        ("1000/feed", ok(next_="1")),
        ("1000/feed", ok(item(POST))),
        ("1000_500/comments", ok(next_="2")),
        ("1000_500/comments", ok(item("500_9"), item("500_8"), next_="3")),
        ("1000_500/comments", ok(item("500_7", -90), next_="4")),
    ])  # fmt: skip
    assert came == Read(whole=True, posts=1)
    assert [each.id for each in found.said] == [POST, "500_9", "500_8", "500_7"]
    assert found.texts == [(POST, f"nr. {POST}")]


def test_a_round_that_is_not_full_ends_with_what_is_known() -> None:
    came, _ = play(
        [("1000/feed", ok(item(POST))), (f"{POST}/comments", ok(item("500_9"), next_="2"))],
        full=False,
        known=frozenset({"500_9"}),
    )
    assert came == Read(whole=True, posts=1)


def test_a_page_from_within_the_second_in_which_listening_began_is_not_taken_for_older() -> None:
    came, found = play(
        [
            ("1000/feed", ok(item(POST))),
            (f"{POST}/comments", ok(item("500_9"), next_="2")),
            (f"{POST}/comments", ok(item("500_8"))),
        ],
        full=False,
        until=AT + timedelta(milliseconds=700),
    )
    assert came == Read(whole=True, posts=1)
    assert [each.id for each in found.said] == [POST, "500_9", "500_8"]


def test_a_token_that_answers_for_another_is_deaf() -> None:
    came, _ = play([("me", ok(id="7"))], probe=True)
    assert isinstance(came, Failed)
    assert came.deaf


def test_one_post_that_is_gone_is_passed_over_and_all_of_them_are_a_fault() -> None:
    gone = Answer(outcome=Outcome.STOPPED, status=400, code=100, wait=None)
    came, _ = play(
        [("1000/feed", ok(item("1000_1", 2), item("1000_2"))), ("1000_1/comments", gone), ("1000_2/comments", ok())]
    )
    assert came == Read(whole=True, posts=2)
    came, _ = play(
        [("1000/feed", ok(item("1000_1", 2), item("1000_2"))), ("1000_1/comments", gone), ("1000_2/comments", gone)]
    )
    assert isinstance(came, Failed)


def test_what_is_to_be_verified_is_gone_only_where_it_is_not_there() -> None:
    gone = Answer(outcome=Outcome.STOPPED, status=400, code=100, wait=None)
    closed = Answer(outcome=Outcome.FORBIDDEN, status=403, code=10, wait=3600.0)
    before = [("me", ok(id=PAGE)), ("1000/feed", ok())]
    came, _ = play(
        [*before, ("500_1", ok(id="500_1")), ("500_2", gone), ("500_3", closed)],
        probe=True, verify=("500_1", "500_2", "500_3"),
    )  # fmt: skip
    assert came == Read(whole=True, posts=0, gone=("500_2",))
    limited = Answer(outcome=Outcome.RATE_LIMITED, status=400, code=4, wait=300.0)
    assert play([*before, ("500_1", limited)], probe=True, verify=("500_1",))[0] == Failed(limited)


def test_a_limit_ends_a_round_wherever_it_comes() -> None:
    limited = Answer(outcome=Outcome.RATE_LIMITED, status=400, code=80001, wait=300.0)
    assert play([("1000/feed", limited)])[0] == Failed(limited)
    assert play([("1000/feed", ok(item(POST))), (f"{POST}/comments", limited)])[0] == Failed(limited)


def test_the_cursor_comes_back_and_another_is_refused() -> None:
    memory = Memory(AT, AT + timedelta(hours=1), True, {"source_silent": AT}, {"brann-0": AT})
    assert Memory.parse(str(memory)) == memory
    assert Memory.parse(str(Memory())) == Memory()
    for wrong in ("", "{}", "[]", "7", '{"heard": "i går"}'):
        with pytest.raises(Corrupt):
            Memory.parse(wrong)
