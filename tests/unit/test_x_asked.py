"""What X's refusals name, what is left out of later calls for it, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.sources.x.requested_fields import FIELDS, LONGEST, NEEDED, Asked, named_in, reason_of
from tests.fakes.x.problems import invalid_request

USERS = ",".join(FIELDS["user.fields"])


def body(name: str, given: str, message: str = "") -> dict[str, Any]:
    answer = invalid_request([{"parameters": {name: [given]}, "message": message}]).body
    assert isinstance(answer, dict)
    return answer


@pytest.mark.parametrize(
    ("answer", "dropped"),
    [
        (body("user.fields", USERS, "The `user.fields` query parameter value [verified_type] is not one of [id,name]"),
         ("user.fields=verified_type",)),
        (body("user.fields", "verified_type", "Not in your plan"), ("user.fields=verified_type",)),
        ({"title": "Invalid", "parameter": "expansions", "value": "geo.place_id"}, ("expansions=geo.place_id",)),
        (body("place.fields", "id,full_name", "The query parameter [place.fields] is not one of [expansions]"),
         ("place.fields=id", "place.fields=full_name")),
        (body("tweet.fields", "id,text,created_at", "The value [created_at] is not one of [id,text]"), ()),
        (body("query", "granvik", "There were errors processing your request"), ()),
        ({"title": "Unauthorized"}, ()),
        (None, ()),
        ("<html>", ()),
        ({"errors": [None, "user.fields", {"parameters": ["user.fields"]}, {"parameters": {"user.fields": 7}}]},
         tuple(f"user.fields={value}" for value in FIELDS["user.fields"])),
    ],
)  # fmt: skip
def test_what_an_answer_blames_is_left_out(answer: Any, dropped: tuple[str, ...]) -> None:
    asked = Asked()
    assert asked.drop(answer) == dropped
    assert asked.drop(answer) == (), "the second time it is nothing new"
    assert asked.dropped == dropped
    left = {f"{name.replace('_', '.')}={v}" for name, values in asked.now().items() for v in values}
    assert not left & set(dropped)


def test_all_of_it_is_asked_for_under_the_names_that_tweepy_has() -> None:
    assert Asked().now()["user_fields"] == list(FIELDS["user.fields"])


def test_whatever_is_refused_a_post_keeps_what_makes_it_one() -> None:
    asked = Asked()
    for name, values in FIELDS.items():
        asked.drop(body(name, ",".join(values), "nothing of it"))
    assert {name: set(values) for name, values in asked.now().items()} == {"tweet_fields": set(NEEDED["tweet.fields"])}


def test_only_x_s_title_and_the_parameters_names_are_reported() -> None:
    said = body("query", "hemmelig ord", "hemmelig")
    assert reason_of(said) == "Invalid Request (query)"
    assert "hemmelig" not in str(
        reason_of({**said, "detail": "hemmelig", "errors": [*said["errors"], {"x": "hemmelig"}]})
    )


def test_a_title_is_cleaned_and_bounded() -> None:
    assert reason_of({"title": "Bad\n\x1b[31mred" + "x" * 500}) == "Bad  [31mred" + "x" * (LONGEST - 12)
    assert reason_of({"title": 7}) is None
    assert reason_of({"title": "T", "errors": [{"parameters": {"a b\n": [], "ids": []}}]}) == "T (ids)"


names = st.text() | st.sampled_from(["errors", "parameters", "user.fields", "verified_type", "title", "message"])
json = st.recursive(
    st.none() | st.booleans() | st.integers() | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=20,
)


@given(json)
def test_no_answer_makes_us_fall(answer: Any) -> None:
    told = reason_of(answer)
    assert told is None or (len(told) < 1000 and told.isprintable())
    assert named_in(answer).keys() <= FIELDS.keys()
    Asked().drop(answer)
