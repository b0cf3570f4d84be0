"""people.yaml is edited while alerts are open: they go on, by the policy that was chosen or by their route as it is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.notify.escalation import Escalation
from alerts.notify.plan import Fault, Trouble
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook
from listener.model.deliveries import Page
from tests.unit.telling_support import T0, alert

PERSON = {"ways": [{"channel": "sms", "target": "+4740000000"}]}
STEPS = {"steps": [{"to": ["ola"]}], "repeat_every": "15m"}
REPEAT = {"critical": "15m", "warning": "15m", "info": "15m"}


def people(**more: Any) -> People:
    base = {"people": {"kari": PERSON, "ola": PERSON}, "repeat_every": REPEAT, "grouping": {"interval": "5m"}}
    return People.model_validate(base | more, context={"scripted": True})


def at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def told(book: AlertBook, who: People, now: datetime) -> tuple[list[Page], list[Trouble]]:
    """The pages that are written down now, and what ops are told."""
    escalation, pages, troubles = Escalation(book, who, lambda channel: channel == "sms"), [], []
    while True:
        plan = escalation.plan(now)
        troubles += plan.troubles
        if plan.is_empty:
            return pages, troubles
        for page in plan.pages:
            book.pages.take_page(page)
            pages.append(page)


@pytest.mark.parametrize(
    ("before", "after", "gone"),
    [
        ({"policies": {"old": STEPS}, "routes": {"duty": "old"}}, {"new": STEPS}, "old"),
        ({"routes": {"duty": ["kari", "ola"]}}, {"new": STEPS}, "duty"),
    ],
)
def test_an_open_alert_goes_by_its_route_as_it_is_now_when_its_policy_is_gone(
    before: dict[str, Any], after: dict[str, Any], gone: str
) -> None:
    book = AlertBook()
    book.fire(alert(severity="critical", to="duty"), T0)
    assert told(book, people(**before), T0)[0]
    edited = people(policies=after, routes={"duty": "new"})
    assert told(book, edited, at(1))[0] == [], "not sooner than the interval"
    pages, troubles = told(book, edited, at(5))
    assert [(page.person, page.policy) for page in pages] == [("ola", "new")]
    assert {(trouble.what, trouble.policy) for trouble in troubles} == {(Fault.POLICY_GONE, gone)}
    assert told(book, edited, at(10)) == ([], []), "and it stays with that"
    assert [page.person for page in told(book, edited, at(20))[0]] == ["ola"]


def test_a_policy_that_was_chosen_is_kept_though_the_route_names_another_now() -> None:
    book, policies = AlertBook(), {"old": STEPS, "new": {"steps": [{"to": ["kari"]}], "repeat_every": "15m"}}
    book.fire(alert(severity="critical", to="duty"), T0)
    told(book, people(policies=policies, routes={"duty": "old"}), T0)
    pages, troubles = told(book, people(policies=policies, routes={"duty": "new"}), at(15))
    assert ([page.person for page in pages], troubles) == (["ola"], [])


def test_whoever_was_paged_just_now_is_not_paged_again_because_the_grouping_was_edited() -> None:
    book, route = AlertBook(), {"duty": ["ola"]}
    book.fire(alert(severity="critical", to="duty"), T0)
    assert told(book, people(routes=route), T0)[0]
    edited = people(routes=route, grouping={"by": ["rule"], "interval": "5m"})
    assert told(book, edited, at(1))[0] == []
    assert [page.person for page in told(book, edited, at(5))[0]] == ["ola"]
