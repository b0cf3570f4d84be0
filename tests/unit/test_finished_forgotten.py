"""What has long been finished leaves the memory of a process that runs for months, and changes nothing of the rest."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from alerts.notify.escalation import Escalation
from alerts.notify.pages import PageLog
from alerts.notify.state import CANARIES_KEPT, KEPT, AlertBook
from listener.model.deliveries import Delivery, Outcome, Page, PageWhy
from listener.model.receipts import Receipt, Received
from listener.model.records import Alert, Decision, DecisionKind, Event
from tests.unit.telling_support import T0, after, alert, people

WHO = people({"duty": ["kari"]})
LONG_AGO = KEPT + timedelta(hours=2)


def word(kind: DecisionKind, id_: str, at: datetime) -> Decision:
    return Decision(kind=kind, id=id_, at=at, by="Kari", digest=f"{kind}{id_}{at}")


def page_everything(book: AlertBook, at: datetime) -> list[Page]:
    pages = Escalation(book, WHO, lambda channel: channel == "sms").plan(at).pages
    for page in pages:
        book.take(page, at)
        for way in ("email", "webhook"):
            sent = Delivery(
                intent=page.id + way, page=page.id, alert=next(iter(page.alerts)), alerts=tuple(page.alerts), at=at,
                step=0, channel=way, target="kari", outcome=Outcome.SENT, provider_ids=(page.id + way,),
            )  # fmt: skip
            book.take(sent, at)
    return pages


def finished(
    *, resolved: bool = True, answer: DecisionKind | None = DecisionKind.ACKNOWLEDGE, **more: object
) -> AlertBook:
    """A book with a1, fired and paged at T0, and what then became of it within a few minutes."""
    book = AlertBook()
    book.take(alert("a1", **more), T0)
    page_everything(book, T0)
    if answer is not None:
        book.take(word(answer, "a1", after(minutes=1)), after(minutes=1))
    if resolved:
        book.take(alert("a1", Event.RESOLVED, after(minutes=2), **more), after(minutes=2))
    return book


def test_what_was_answered_and_has_passed_goes_with_its_pages_after_a_month() -> None:
    book = finished()
    book.forget(T0 + KEPT)
    assert book.get("a1") is not None
    assert list(book.pages.all())
    book.forget(T0 + LONG_AGO)
    assert book.get("a1") is None
    assert not list(book.pages.all())
    assert book.all() == book.acknowledged() == book.open() == []


@pytest.mark.parametrize(
    "book",
    [
        finished(answer=None),
        finished(resolved=False),
        finished(resolved=False, answer=None),
        finished(rule_type="ops"),
        finished(rule_type="notice"),
    ],
    ids=["nobody answered", "still firing", "open", "about ourselves", "about an incident"],
)
def test_what_is_not_finished_or_said_of_ourselves_stays_however_old(book: AlertBook) -> None:
    book.forget(T0 + timedelta(days=4000))
    assert book.get("a1") is not None
    assert len(list(book.pages.all())) <= 1


def test_what_a_person_closed_goes_though_its_rule_never_said_that_it_passed() -> None:
    book = finished(resolved=False, answer=DecisionKind.CLOSE)
    book.forget(T0 + LONG_AGO)
    assert book.get("a1") is None


def test_a_word_that_came_later_puts_it_off() -> None:
    book = finished()
    book.take(word(DecisionKind.NOTE, "a1", T0 + KEPT), T0 + KEPT)
    book.forget(T0 + LONG_AGO)
    assert book.get("a1") is not None


def test_a_canary_goes_after_a_day() -> None:
    book = finished(synthetic=True, answer=DecisionKind.CLOSE)
    book.forget(T0 + CANARIES_KEPT + timedelta(hours=1))
    assert book.get("a1") is None


def test_what_is_forgotten_stays_forgotten_whatever_comes_late() -> None:
    book = finished()
    (page,) = [each.page for each in book.pages.all()]
    now = T0 + LONG_AGO
    book.forget(now)
    book.take(alert("a1"), now)
    book.take(word(DecisionKind.NOTE, "a1", now), now)
    late = Delivery(
        intent="x", page=page.id, alert="a1", alerts=("a1",), at=now, step=0, channel="email", target="kari"
    )
    book.take(late, now)
    lost = Receipt(channel="email", provider_id=f"{page.id}email", outcome=Received.UNDELIVERED, at=now)
    book.take(lost, now)
    assert book.get("a1") is None
    assert Escalation(book, WHO, lambda _: False).plan(now).is_empty


def test_the_pages_of_a_run_that_still_goes_on_stay_together() -> None:
    """Which step it is at follows from them: a1 is long finished, a2 of the same group is not."""
    grouped = WHO.model_copy(update={"grouping": WHO.grouping.model_copy(update={"by": ("rule",)})})
    books = []
    for forgets in (False, True):
        book = AlertBook()
        book.take(alert("a1"), T0)
        plan = Escalation(book, grouped, lambda _: False)
        pages = [page for minute in (0, 5) for page in taken(book, plan, after(minutes=minute))]
        assert len(pages) == 2
        book.take(alert("a2", at=after(minutes=6)), after(minutes=6))
        pages += taken(book, plan, after(minutes=12))
        assert set(pages[-1].alerts) == {"a1", "a2"}
        book.take(word(DecisionKind.CLOSE, "a1", after(minutes=13)), after(minutes=13))
        if forgets:
            book.forget(T0 + LONG_AGO)
        books.append((book, plan))
    one, other = (plan.plan(T0 + LONG_AGO) for _, plan in books)
    assert one == other
    assert all(len(list(book.pages.all())) == 3 for book, _ in books)
    book, at = books[1][0], T0 + LONG_AGO
    book.take(word(DecisionKind.CLOSE, "a2", at), at)
    book.forget(at + LONG_AGO)
    assert book.all() == list(book.pages.all()) == [], "they go together"


def taken(book: AlertBook, plan: Escalation, at: datetime) -> list[Page]:
    pages = plan.plan(at).pages
    for page in pages:
        book.take(page, at)
    return pages


def test_a_year_of_canaries_takes_no_more_room_than_a_day() -> None:
    book = AlertBook()
    for hour in range(24 * 365):
        at = after(hours=hour)
        id_ = f"c{hour}"
        canary: Alert = alert(id_, at=at, synthetic=True, incident="canary", rule="canary")
        book.take(canary, at)
        book.take(Page(id=f"{hour:016x}", at=at, why=PageWhy.CANARY, person="ledger", alerts={id_: "firing"}), at)
        book.take(word(DecisionKind.CLOSE, id_, at), at)
        book.forget(at)
    assert len(book.all()) <= 26
    assert len(list(book.pages.all())) <= 26


def test_a_page_goes_with_the_last_of_its_alerts() -> None:
    log = PageLog()
    for number, why in enumerate((PageWhy.STEP, PageWhy.NOTICE)):
        log.take_page(Page(id=f"{number:016x}", at=T0, why=why, person="kari", alerts={"a": "firing", "b": "firing"}))
    log.take_page(Page(id="h" * 16, at=T0, why=PageWhy.NOTICE, what="help", person="kari", alerts={"reply": ""}))
    log.forget({"a"}, T0)
    assert len(list(log.all())) == 3
    log.forget({"b"}, after(hours=1))
    assert list(log.all()) == []
