"""What X refuses, part by part: since when, why, and in which words for a person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from listener.sources.x.client import Trouble
from listener.sources.x.cursor import Memory
from listener.sources.x.refusals import Part, Refusal, Refusals
from listener.sources.x.status import LASTS, REFUSED_NOTICES, SILENT_AFTER, Notices

NOON = datetime(2031, 2, 3, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_refusal_lasts_since_its_first_and_ends_with_what_is_none() -> None:
    refusals = Refusals()
    refusals.failed(Part.STREAM, Trouble.UNAUTHORIZED, None, at(0))
    refusals.failed(Part.STREAM, Trouble.UNAUTHORIZED, "Unauthorized", at(5))
    assert list(refusals) == [Refusal(Part.STREAM, Trouble.UNAUTHORIZED, at(0), "Unauthorized")]
    refusals.failed(Part.STREAM, Trouble.FORBIDDEN, None, at(9))
    assert [(each.trouble, each.since) for each in refusals] == [(Trouble.FORBIDDEN, at(9))]
    refusals.failed(Part.STREAM, Trouble.NETWORK, None, at(11))
    assert not refusals
    assert refusals.over(Part.STREAM) is False


def test_parts_are_refused_each_by_itself() -> None:
    refusals = Refusals()
    refusals.failed(Part.RULES, Trouble.UNAUTHORIZED, None, at(0))
    refusals.failed(Part.STREAM, Trouble.REFUSED, "Invalid Request (tweet.fields=id)", at(1))
    assert refusals.over(Part.RULES) is True
    (left,) = refusals
    assert "stream (Invalid Request (tweet.fields=id))" in str(left)


@pytest.mark.parametrize("trouble", list(REFUSED_NOTICES))
def test_ops_are_alerted_to_what_lasts_in_time_and_once(trouble: Trouble) -> None:
    notices = Notices(Memory())
    refusal = Refusal(Part.STREAM, trouble, at(0))
    notices.mind_refusals([refusal], at(0) + LASTS / 2, well=False)
    assert notices.take() == ()
    for after in (LASTS, 2 * LASTS, SILENT_AFTER):
        notices.mind_refusals([refusal, Refusal(Part.RULES, trouble, at(3))], at(0) + after, well=False)
    assert [(each.what, each.over) for each in notices.take()] == [(REFUSED_NOTICES[trouble], False)]
    assert SILENT_AFTER > LASTS
    notices.mind_refusals([], at(99), well=False)
    assert notices.take() == (), "not refused is not yet let in"
    notices.mind_refusals([], at(100), well=True)
    assert [(each.what, each.over) for each in notices.take()] == [(REFUSED_NOTICES[trouble], True)]
