"""Who would be paged next: the dispatcher's own plan, run forward on alerts that nobody answers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from escalation_support import START, fire, pages, people, run
from telling_support import alert

from alerts.notify.foresee import foresee
from alerts.notify.listing import list_alerts
from alerts.notify.plan import Fault, Trouble
from alerts.notify.recipients import People
from alerts.notify.silences import Silences
from alerts.notify.state import AlertBook
from listener.model.decisions import Silence
from listener.model.deliveries import Page
from listener.model.records import Decision, DecisionKind


def foreseen(who: People, minutes: float, **more: object) -> list[Page | Trouble]:
    book = AlertBook()
    book.fire(alert("a1", at=START, to="crisis", **more), START)
    return list(foresee(book, who, lambda channel: channel == "sms", START, START + timedelta(minutes=minutes)))


def who(**more: object) -> People:
    return People.model_validate(people(**more), context={"scripted": True})


def told(found: list[Page | Trouble]) -> list[tuple[float, str]]:
    return [((p.at - START).total_seconds() / 60, p.person) for p in found if isinstance(p, Page) and p.until is None]


def test_what_is_foreseen_is_what_the_dispatcher_does_when_all_is_taken_and_nobody_answers() -> None:
    does = dict.fromkeys((minute, to) for minute, to, _ in pages(run(people(), [fire(0)], 40)))
    found = told(foreseen(who(), 40, severity="critical"))
    assert found == list(does)
    assert found[:4] == [(0, "A"), (5, "B"), (10, "C"), (15, "A")]


def test_a_page_that_quiet_hours_keep_says_until_when() -> None:
    quiet = people()
    quiet["people"]["B"]["quiet"] = {"warning": {"from": "22:00", "to": "07:00"}}
    found = foreseen(People.model_validate(quiet, context={"scripted": True}), 14, severity="warning")
    (kept,) = (page for page in found if isinstance(page, Page) and page.until is not None)
    assert (kept.person, kept.until) == ("B", START.replace(hour=7))


def test_a_route_that_there_is_not_leads_to_the_last_resort_and_says_so() -> None:
    nobody = People.model_validate({}, context={"scripted": True})
    found = foreseen(nobody, 1, severity="critical")
    assert [each.what for each in found if isinstance(each, Trouble)] == [Fault.UNKNOWN_ROUTE]
    assert told(found) == [(0, "console")]


def test_a_book_that_is_kept_is_listed_again_and_again_as_the_log_has_it() -> None:
    book = AlertBook()
    book.fire(alert("a1", at=START, to="crisis", severity="critical"), START)
    for minute in (0, 1, 2):
        now = START + timedelta(minutes=minute)
        (state,) = book.open()
        coming = list_alerts(book, who(), lambda channel: channel == "sms", now).coming(state)
        assert coming is not None
        assert (coming.person, coming.at) == ("A", now)
        assert list(book.pages.all()) == []
        assert book.pages.naming("a1") == []


@pytest.mark.parametrize("first", ["silence", "word"])
def test_a_silence_says_who_ended_it_in_whichever_order_it_is_read(first: str) -> None:
    silences = Silences()
    silence = Silence(
        id="s1", at=START, by="kari", why="x", match={"rule": "r"}, start=START, end=START + timedelta(hours=1)
    )
    word = Decision(kind=DecisionKind.UNSILENCE, id="s1", at=START + timedelta(minutes=5), by="ola")
    later = Decision(kind=DecisionKind.UNSILENCE, id="s1", at=START + timedelta(minutes=9), by="per")
    if first == "silence":
        silences.take(silence)
        silences.end(word)
    else:
        silences.end(word)
        silences.take(silence)
    silences.end(later)
    state = silences.get("s1")
    assert state is not None
    assert (state.end, state.ended) == (word.at, word)
