"""The small parts of the X source: lines, intake, gaps, memory, reading."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.errors import Corrupt
from listener.model.gaps import Cause, is_whole
from listener.model.incidents import Incident
from listener.sources.common.buffer import Down, Line, Lost, ReceiveBuffer
from listener.sources.common.gap_tracker import GapBook, unheard
from listener.sources.common.line_splitter import Lines, TooLong
from listener.sources.contract import DropReason
from listener.sources.x.cursor import Memory
from listener.sources.x.reading import read_line, read_page
from listener.sources.x.search import SLICE, slices_of

NOON = datetime(2031, 2, 3, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


# --- lines -----------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=20).filter(lambda b: not set(b) & {10, 13}), max_size=20), st.randoms())
def test_lines_are_the_same_however_the_bytes_come(lines: list[bytes], chance: object) -> None:
    data = b"".join(line + b"\r\n" for line in lines)
    cutter, out = Lines(), []
    while data:
        size = chance.randint(1, 9)  # type: ignore[attr-defined]
        out += cutter.feed(data[:size])
        data = data[size:]
    assert out == lines
    assert cutter.left() is None


def test_a_line_that_is_far_too_long_is_measured_and_not_kept() -> None:
    cutter = Lines(longest=100)
    out = [each for chunk in (b"a" * 60, b"a" * 60, b"a" * 60, b"\nnext\n") for each in cutter.feed(chunk)]
    (long, after) = out
    assert isinstance(long, TooLong)
    assert long.length == 180
    assert after == b"next"


def test_half_a_line_is_reported_at_the_end() -> None:
    cutter = Lines()
    cutter.feed(b'whole\r\n{"data":')
    left = cutter.left()
    assert left is not None
    assert left.length == 8


# --- intake ----------------------------------------------------------------------------------------------------------


def test_what_finds_no_room_is_reported_in_its_place_and_never_silently_dropped() -> None:
    buffer = ReceiveBuffer(most_lines=2)
    for second in range(5):
        buffer.line(at(second), b"x")
    taken, until = buffer.take(10)
    assert [item.at for item in taken if isinstance(item, Line)] == [at(0), at(1)]
    assert taken[-1] == Lost(at(1), at(4), 3)
    assert until == at(4)
    buffer.line(at(9), b"y")
    assert buffer.take(10) == ([Line(at(9), b"y")], at(9))


def test_it_is_heard_only_up_to_what_was_taken() -> None:
    buffer = ReceiveBuffer()
    for second in range(3):
        buffer.line(at(second), b"x")
    buffer.touch(at(20))
    assert buffer.take(2)[1] == at(1)
    assert buffer.take(2)[1] == at(20)


def test_the_end_of_a_connection_always_finds_room() -> None:
    buffer = ReceiveBuffer(most_lines=1)
    buffer.line(at(0), b"x")
    buffer.line(at(1), b"y")
    buffer.say(Down(at(1), Cause.RESET))
    assert [type(item) for item in buffer.take(10)[0]] == [Line, Lost, Down]


# --- gaps ------------------------------------------------------------------------------------------------------------


def test_while_a_gap_lasts_it_is_one_and_keeps_the_cause_that_it_began_with() -> None:
    book = GapBook("x")
    first = book.begin(at(0), Cause.RESET)
    assert book.begin(at(5), Cause.HTTP_5XX) == first
    assert [gap.end for gap in book.take()] == [None]


def test_a_refusal_is_the_cause_of_the_gap_that_it_holds_open() -> None:
    book = GapBook("x")
    first = book.begin(at(0), Cause.PROCESS_DOWN)
    book.take()
    refused = book.begin(at(5), Cause.UNAUTHORIZED)
    assert (refused.id, refused.start, refused.cause) == (first.id, at(0), Cause.UNAUTHORIZED)
    assert book.begin(at(9), Cause.HTTP_5XX) == refused
    assert book.take() == (refused,)
    assert book.begin(at(9), Cause.RATE_LIMITED).cause == Cause.RATE_LIMITED
    book.because = Cause.BUDGET_CEILING
    assert book.begin(at(9), Cause.FORBIDDEN).cause == Cause.RATE_LIMITED, "we do not even ask"


def test_what_ended_before_a_gap_that_lasts_is_reported_later_and_lengthens_it() -> None:
    """A queue that is read late: its connection was gone before the tracks changed."""
    book = GapBook("x")
    first = book.begin(at(60), Cause.RULES_UNCONFIRMED)
    book.take()
    assert book.begin(at(0), Cause.RESET).id == first.id
    assert [(gap.id, gap.start) for gap in book.take()] == [(first.id, at(0))]


def test_a_gap_is_whole_when_it_is_filled_to_its_end() -> None:
    book = GapBook("x")
    book.begin(at(0), Cause.RESET)
    gap = book.end(at(60))
    assert gap is not None
    half = book.filled(gap.id, at(30), done=False)
    assert half is not None
    assert not is_whole(half)
    whole = book.filled(gap.id, at(65), done=True)
    assert whole is not None
    assert is_whole(whole)
    assert whole.refilled_until == whole.end
    assert book.unfilled == ()


def test_a_gap_out_of_searchs_reach_stays_open_in_the_ledger() -> None:
    book = GapBook("x")
    book.begin(at(0), Cause.PROCESS_DOWN)
    gap = book.end(at(60))
    assert gap is not None
    left = book.filled(gap.id, None, done=True)
    assert left is not None
    assert not is_whole(left)


def test_a_clock_set_back_makes_no_gap_end_before_it_began() -> None:
    book = GapBook("x")
    book.begin(at(60), Cause.RESET)
    gap = book.end(at(0))
    assert gap is not None
    assert gap.end == gap.start


def test_garbage_in_a_row_is_one_gap() -> None:
    book = GapBook("x")
    for second in range(10):
        book.between(at(second - 10), at(second), Cause.GARBLED)
    assert len(book.unfilled) == 1
    assert book.unfilled[0].end == at(9)


def test_a_gap_that_touches_one_of_its_cause_grows_both_ways_and_one_that_lies_apart_is_another() -> None:
    book = GapBook("x")
    first = book.between(at(100), at(200), Cause.GARBLED)
    grown = book.between(at(50), at(120), Cause.GARBLED)
    assert first is not None
    assert grown is not None
    assert (grown.id, grown.start, grown.end) == (first.id, at(50), at(200))
    book.between(at(0), at(10), Cause.GARBLED)
    assert [(gap.start, gap.end) for gap in book.unfilled] == [(at(50), at(200)), (at(0), at(10))]


def test_what_the_ledger_holds_is_gone_on_with() -> None:
    book = GapBook("x")
    lasting = book.begin(at(0), Cause.RESET)
    again = GapBook("x")
    again.recall([lasting])
    assert again.begin(at(99), Cause.PROCESS_DOWN) == lasting


# --- search ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newest_first", [True, False])
def test_slices_cover_the_time_once(newest_first: bool) -> None:
    slices = list(slices_of(at(0), at(4000), newest_first=newest_first))
    ordered = list(reversed(slices)) if newest_first else slices
    assert ordered[0][0] == at(0)
    assert ordered[-1][1] == at(4000)
    assert all(earlier[1] == later[0] for earlier, later in pairwise(ordered))
    assert all(end - start <= SLICE for start, end in slices)


def test_no_time_has_no_slices() -> None:
    assert not slices_of(at(5), at(5))


# --- memory ----------------------------------------------------------------------------------------------------------


def test_the_cursor_says_all_again() -> None:
    memory = Memory(at(1), {"brann-0": at(-60)}, {"x_silent": at(-5)}, again={"a1": at(3)})
    assert Memory.parse(str(memory)) == memory


def test_a_cursor_of_before_the_second_sweep_is_read() -> None:
    assert Memory.parse('{"heard": null, "checked": null, "back": {}, "notices": {}}') == Memory()


@pytest.mark.parametrize("text", ["", "{}", '{"heard": "yesterday", "checked": null, "back": {}, "notices": {}}', "[]"])
def test_a_cursor_that_is_none_of_ours_stops_us(text: str) -> None:
    with pytest.raises(Corrupt):
        Memory.parse(text)


# --- reading ---------------------------------------------------------------------------------------------------------

POST = {"id": "17", "text": "brann", "created_at": "2031-02-03T12:00:00.000Z", "edit_history_tweet_ids": ["17"]}


def test_a_line_is_a_post_with_or_without_its_rules() -> None:
    for more in ({}, {"matching_rules": [{"id": "1"}]}, {"errors": [{"title": "Not Found Error"}]}):
        read = read_line(json.dumps({"data": POST, **more}).encode(), "x")
        assert [post.id for post in read.posts] == ["17"]
        assert not read.disconnect


@pytest.mark.parametrize(
    ("raw", "reason", "garbled"),
    [
        (b'{"data": {"id": "17", ', DropReason.BAD_JSON, True),
        (b"<html>", DropReason.BAD_JSON, True),
        (b'{"data":{"id":"1","text":"\xff"}}', DropReason.BAD_JSON, True),
        (b'{"data": {"id": "17", "text": "a"}}', DropReason.MISSING_FIELD, False),
        (b"[]", DropReason.WRONG_TYPE, False),
        (b'{"tick": 1}', DropReason.NOT_A_POST, False),
    ],
)
def test_what_is_no_post_has_its_reason_and_raises_nothing(raw: bytes, reason: DropReason, garbled: bool) -> None:
    read = read_line(raw, "x")
    assert [line.reason for line in read.bad] == [reason]
    assert read.garbled is garbled


def test_the_notice_of_a_disconnect_is_understood() -> None:
    notice = {"errors": [{"title": "operational-disconnect", "disconnect_type": "UpstreamOperationalDisconnect"}]}
    assert read_line(json.dumps(notice).encode(), "x").disconnect


def test_an_empty_page_of_search_is_no_fault() -> None:
    read = read_page({"meta": {"result_count": 0}}, "x")
    assert (read.posts, read.bad) == ([], [])


# --- unheard ---------------------------------------------------------------------------------------------------------


def incident(opened: float, closed: float | None = None) -> Incident:
    return Incident(
        id=f"brann-{opened}", name="Brann", tracks=("granvik",), opened_at=at(opened), opened_by="vakt", why="prøve",
        review_at=at(9999), closed_at=None if closed is None else at(closed),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("heard", "incidents", "stretches"),
    [
        (None, [incident(10)], [(10, None)]),
        (None, [incident(10, 20)], []),
        (15, [incident(10)], [(15, None)]),
        (15, [incident(10, 20)], [(15, 20)]),
        (25, [incident(10, 20)], []),
        (5, [incident(10, 20), incident(30)], [(10, 20), (30, None)]),
        (15, [incident(10, 20), incident(18, 40)], [(15, 40)]),
        (15, [incident(30), incident(10, 20), incident(12)], [(15, None)]),
    ],
)
def test_unheard_is_what_was_open_since_the_last_word(
    heard: float | None, incidents: list[Incident], stretches: list[tuple[float, float | None]]
) -> None:
    expected = [(at(start), None if end is None else at(end)) for start, end in stretches]
    assert unheard(None if heard is None else at(heard), incidents) == expected
