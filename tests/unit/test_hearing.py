"""What becomes of a batch: captured, counted, dropped with a reason; in crisis, in calm, and after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from listener.clock import ManualClock
from listener.ingest.capture import Capture, Pending
from listener.model.incidents import Incident
from listener.model.records import (
    MENTIONS,
    Author,
    AuthorClass,
    Deletion,
    Gap,
    Mention,
    Origin,
    Post,
    Quoted,
    Reach,
    decode,
    first_key,
)
from listener.privacy.purge import is_about
from listener.privacy.screen import Screen
from listener.runtime.metrics import Metrics
from listener.sources.contract import Batch

NOON = datetime(2031, 2, 3, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def post(id_: str, text: str = "det brenner i granvik", *, minutes: float = 1, edits: Sequence[str] = ()) -> Post:
    return Post(source="x", id=id_, at=at(minutes), text=text, edits=tuple(edits))


def incident(id_: str = "brann-0", closed: float | None = None) -> Incident:
    return Incident(
        id=id_, name="Brann", tracks=("granvik",), opened_at=NOON, opened_by="vakt", why="prøve", review_at=at(600),
        closed_at=None if closed is None else at(closed),
    )  # fmt: skip


def hearing(screen: Screen | None = None) -> Capture:
    clock, metrics = ManualClock(at(30)), Metrics(CollectorRegistry(), "0")
    return Capture("x", screen or Screen(b"k" * 32, {}), (), partitions=1, clock=clock, metrics=metrics)


def capture(ears: Capture, *posts: Post, **more: Any) -> Pending:
    pending = ears.capture(Batch(posts=posts, **more), None)
    ears.seen.update(pending.seen)
    return pending


def mentions(pending: Pending) -> list[Mention]:
    found = [decode(MENTIONS, m.value or b"") for m in pending.messages if m.topic == "mentions"]
    return [each for each in found if isinstance(each, Mention)]


def ids(pending: Pending) -> list[str]:
    return [mention.id for mention in mentions(pending)]


def types(pending: Pending) -> list[str]:
    return [json.loads(message.value or b"")["type"] for message in pending.messages]


def counted(pending: Pending) -> int:
    values = [json.loads(m.value or b"") for m in pending.messages if m.topic == "volumes"]
    return sum(value["count"] for value in values if value["type"] == "volume")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("at_once", [True, False])
def test_every_version_of_a_post_is_captured_once_and_counted_as_one_post(
    order: tuple[int, ...], at_once: bool
) -> None:
    versions = [post("1"), post("2", "granvik, nå", edits=["1"]), post("3", "granvik, straks", edits=["1", "2"])]
    came = [versions[n] for n in order]
    ears = hearing()
    ears.listen_for((incident(),))
    batches = [came] if at_once else [[each] for each in came]
    taken = [capture(ears, *batch) for batch in batches]
    assert sorted(id_ for pending in taken for id_ in ids(pending)) == ["1", "2", "3"]
    assert sum(map(counted, taken)) == 1
    assert ids(capture(ears, *versions)) == []


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_edits_that_keep_their_id_are_captured_once_each_and_counted_as_one_post(order: tuple[int, ...]) -> None:
    versions = [post("1"), post("1").model_copy(update={"version": "a"}), post("1").model_copy(update={"version": "b"})]
    ears = hearing()
    ears.listen_for((incident(),))
    taken = [capture(ears, versions[n]) for n in order]
    found = {mention.id: mention for pending in taken for mention in mentions(pending)}
    assert sorted(found) == ["1", "1@a", "1@b"]
    assert {first_key(mention) for mention in found.values()} == {"x:1"}
    assert sum(map(counted, taken)) == 1
    assert ids(capture(ears, *versions)) == []
    told = [message for pending in taken for message in pending.messages if message.topic == "mentions"]
    assert all(is_about(message, frozenset({"x:1"})) for message in told), "forgotten together"


def test_a_post_without_an_author_is_captured_without_one() -> None:
    ears = hearing()
    ears.listen_for((incident(),))
    (mention,) = mentions(capture(ears, post("1")))
    assert (mention.author, mention.author_class, mention.reach) == (None, AuthorClass.UNKNOWN, Reach.UNKNOWN)


def test_what_a_predecessor_captured_is_known_version_by_version() -> None:
    first = hearing()
    first.listen_for((incident(),))
    (known,) = mentions(capture(first, post("2", edits=["1"])))
    ears = hearing()
    ears.listen_for((incident(),))
    ears.remember(known)
    pending = capture(ears, post("1"), post("2", edits=["1"]), post("3", edits=["1", "2"]))
    assert ids(pending) == ["1", "3"]
    assert counted(pending) == 0


def test_a_post_that_makes_us_stumble_is_a_dead_letter_and_the_others_are_heard() -> None:
    def stumble(kind: str, count: int) -> None:
        raise RuntimeError("words of a post")

    ears = hearing(Screen(b"k" * 32, {}, stumble))
    ears.listen_for((incident(),))
    pending = capture(ears, post("1"), post("2", "granvik, ring 22 33 44 55"), post("3"))
    assert ids(pending) == ["1", "3"]
    (letter,) = [json.loads(m.value or b"") for m in pending.messages if m.topic == "deadletters"]
    assert letter["reason"] == "failed_RuntimeError"
    assert "granvik" not in str(letter)
    assert "words" not in str(letter)


def test_of_a_closed_incident_only_what_was_said_while_it_was_open_is_taken_and_only_from_search() -> None:
    ears = hearing()
    ears.listen_for((), (incident(closed=10),))
    posts = post("1", minutes=-1), post("2", minutes=5), post("3", minutes=11)
    assert ids(capture(ears, *posts)) == []
    pending = capture(ears, *posts, origin=Origin.GAP_FILL)
    assert [(m.id, dict(m.incidents), m.exercise) for m in mentions(pending)] == [
        ("2", {"brann-0": ("granvik",)}, False)
    ]
    assert ids(capture(ears, *posts, origin=Origin.LOOKBACK)) == []


def test_with_the_ticks_goes_which_minutes_were_heard_throughout_and_for_whom() -> None:
    ears = hearing()
    ears.listen_for((incident(),))
    pending = [capture(ears, until=at(minutes)) for minutes in (1.0, 2.1, 3.5)]
    values = [json.loads(m.value or b"") for each in pending for m in each.messages if m.topic == "volumes"]
    assert [(v["from"], v["to"], v["incidents"]) for v in values] == [
        ("2031-02-03T12:01:00Z", "2031-02-03T12:03:00Z", {"brann-0": ["granvik"]})
    ]
    gap = Gap(id="g", source="x", start=at(4.5), cause="reset")
    assert not [m for m in capture(ears, gaps=(gap,)).messages if m.topic == "volumes"]
    closed = gap.model_copy(update={"end": at(6.5)})
    (heard,) = [json.loads(m.value or b"") for m in capture(ears, gaps=(closed,), until=at(9.5)).messages
                if m.topic == "volumes" and b'"from":"2031-02-03T12:07' in (m.value or b"")]  # fmt: skip
    assert heard["to"] == "2031-02-03T12:09:00Z"


def test_a_source_that_says_its_end_again_reports_no_minute_twice() -> None:
    ears = hearing()
    ears.listen_for((incident(),))
    capture(ears, until=at(1.5))
    assert types(capture(ears, until=at(4.5), final=True)) == ["heard", "tick"]
    again = hearing()
    again.until, again.ended = at(4.5), True
    again.listen_for((incident(),))
    assert types(capture(again, until=at(4.5), final=True)) == ["tick"]


def test_a_quote_whose_quoted_words_match_is_a_mention_and_counted() -> None:
    ears = hearing()
    ears.listen_for((incident(),))
    quote = post("2", "Herregud, se her").model_copy(update={"quoted": Quoted(text="det brenner i granvik")})
    heard = capture(ears, quote)
    assert ids(heard) == ["2"]
    assert mentions(heard)[0].incidents == {"brann-0": ("granvik",)}
    assert counted(heard) == 1
    assert all(b"brenner" not in (message.value or b"") for message in heard.messages)


def deletions(pending: Pending) -> list[Deletion]:
    found = [decode(MENTIONS, m.value or b"") for m in pending.messages if m.topic == "mentions"]
    return [each for each in found if isinstance(each, Deletion)]


@pytest.mark.parametrize("crisis", [True, False])
def test_what_was_deleted_is_said_in_crisis_and_in_calm(crisis: bool) -> None:
    ears = hearing()
    if crisis:
        ears.listen_for((incident(),))
    pending = capture(ears, post("1"), post("2"), deleted=("2", "17"))
    assert ids(pending) == (["1"] if crisis else [])
    assert counted(pending) == (1 if crisis else 0)
    assert deletions(pending) == [Deletion(source="x", at=at(30), ids=("2", "17"))]


def test_a_thousand_deletions_are_a_record() -> None:
    pending = capture(hearing(), deleted=tuple(map(str, range(2_500))))
    assert [len(each.ids) for each in deletions(pending)] == [1000, 1000, 500]


def test_what_the_hospital_says_itself_is_a_mention_and_is_not_counted() -> None:
    ears = hearing()
    ears.listen_for((incident(),))
    ours = post("1").model_copy(update={"author": Author(id="us", author_class=AuthorClass.OWN)})
    pending = capture(ears, ours, post("2"))
    assert ids(pending) == ["1", "2"]
    assert mentions(pending)[0].author_class is AuthorClass.OWN
    assert counted(pending) == 1
