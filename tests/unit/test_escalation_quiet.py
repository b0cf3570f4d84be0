"""A group of which nothing was to be written down is not worked out again until something changes: what is planned is
the same, at every turn of the dispatcher, as if it had been.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from alerts.notify import dispatcher
from alerts.notify.escalation import Escalation
from alerts.notify.plan import AlertGroup, Plan
from alerts.notify.quiet import QuietGroups
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook
from listener.model.deliveries import Delivery, Outcome
from listener.model.receipts import Receipt, Received
from tests.unit.escalation_support import SMS, event, fire, people, run
from tests.unit.telling_support import T0, after, alert
from tests.unit.test_escalation import ALERTS, EVENT, made


class Checked(Escalation):
    """Says what it plans only if one that remembers nothing plans the same."""

    spared = 0

    def plan(self, now: datetime, covered: Container[str] = ()) -> Plan:
        anew = Escalation(self._book.with_own_pages(), self._people, self._wakes, set(self._whole))
        before = dict(self._quiet._known)
        wanted, found = anew.plan(now, covered), super().plan(now, covered)
        type(self).spared += sum(before.get(group) is its for group, its in self._quiet._known.items())
        assert found == wanted
        return found


class BlindToPages(Checked):
    """A control: it takes no notice of what became of pages."""

    def __init__(self, *its: Any) -> None:
        super().__init__(*its)
        self._quiet = Blind(self._book)


class Blind(QuietGroups):
    def rests_on(self, group: AlertGroup) -> tuple[tuple[object, ...], tuple[object, ...]]:
        return group.members, ()


TWO_ROLES = people(
    people={
        "A": {"roles": ["duty"], "ways": [SMS, {"channel": "email", "target": "a@x.example"}]},
        "B": {"ways": [{"channel": "sms", "target": "B"}], "quiet": {"warning": {"from": "03:10", "to": "03:40"}}},
        "C": {"roles": ["ops"], "ways": [{"channel": "sms", "target": "C"}]},
    },
    policies={
        "crisis": {"steps": [{"to": ["duty"]}, {"after": "3m", "to": ["B"]}, {"after": "8m", "to": ["C", "duty"]}],
                   "repeat_every": "12m"},
    },
    roster={"duty": {"zone": "UTC", "layers": []}},
)  # fmt: skip
POLICIES = (
    people(),
    people(ack_timeout="10m"),
    people(brake={"pages": 2, "within": "10m"}),
    people(grouping={"by": [], "wait": "2m", "interval": "5m"}),
    people(inhibit=[{"source": {"rule": "rule-a1"}, "target": {"rule": "rule-a2"}}], ack_timeout="15m"),
    TWO_ROLES,
)
MORE = st.one_of(
    EVENT, st.tuples(st.just("fire"), ALERTS), st.tuples(st.just("email"), st.sampled_from(["reject", "accept"]))
)


def happens(minutes: float, what: str, about: Any, number: int) -> dict[str, Any]:
    if what == "email":
        return event(minutes, "channel", channel="email", answers=about)
    if what == "fire":
        return fire(
            minutes, f"{about}-{number % 2}", rule=f"rule-{about}", severity=("critical", "warning")[number % 2]
        )
    return made(minutes, what, f"{about}-{number % 2}" if what in ("ack", "close", "resolve") else about, number)


@examples(60)
@given(st.sampled_from(POLICIES), st.lists(st.tuples(st.integers(0, 40), MORE), max_size=14))
def test_whatever_happens_the_plan_is_as_if_all_were_worked_out_anew(
    policy: dict[str, Any], happenings: list[tuple[int, tuple[str, Any]]]
) -> None:
    events = [happens(minutes, what, about, n) for n, (minutes, (what, about)) in enumerate(happenings)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatcher, "Escalation", Checked)
        run(policy, events, until=90)


def refused_later(escalation: type[Checked]) -> list[str]:
    """Who is paged when a provider says of a taken message, minutes later, that it could not be delivered."""
    who, book = People.model_validate(people(), context={"scripted": True}), AlertBook()
    book.fire(alert(to="crisis", severity="critical"), T0)
    its = escalation(book, who, lambda channel: channel == "sms")
    (page,) = its.plan(T0).pages
    book.pages.take_page(page)
    sent = Delivery(
        intent="i", page=page.id, alert="a1", at=T0, step=0, channel="sms", target="A", attempt=1,
        outcome=Outcome.SENT, provider_ids=("m1",),
    )  # fmt: skip
    book.take(sent, T0)
    assert its.plan(after(minutes=1)).is_empty
    assert its.plan(after(minutes=2)).is_empty
    book.take(Receipt(at=after(minutes=2), channel="sms", provider_id="m1", outcome=Received.UNDELIVERED), T0)
    return [page.person for page in its.plan(after(minutes=2)).pages]


def test_a_group_that_waited_goes_on_when_a_page_of_it_turns_out_to_be_refused() -> None:
    assert refused_later(Checked) == ["B"]


def test_a_plan_that_is_blind_to_pages_is_found_out() -> None:
    with pytest.raises(AssertionError):
        refused_later(BlindToPages)


def test_groups_of_which_nothing_is_to_be_done_are_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "Escalation", Checked)
    Checked.spared = 0
    run(people(), [fire(n / 10, f"a{n}", rule=f"r{n}") for n in range(20)], until=20)
    assert Checked.spared > 100
