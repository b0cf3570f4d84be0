"""The journal: one line of the log for each decision, for a program, and nothing in it that leads to a person."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from logged import logged

from alerts.notify.answers import acknowledge_all
from alerts.notify.journal import Journal, reference
from alerts.notify.state import read_book
from listener.bus import hashchain
from listener.clock import ManualClock
from listener.model.answers import Standing, Verdict
from listener.model.base import Recorded
from listener.model.decisions import (
    Answer,
    Correction,
    Note,
    Silence,
    Stand,
    Status,
    Swap,
    TriedWay,
    WayConfirmed,
    WayTest,
)
from listener.model.highlights import Highlight, HighlightStep, HighlightWord, Step, Why, Word
from listener.model.receipts import Receipt, Received
from listener.model.records import Decision, DecisionKind, Kind, Sample
from listener.runtime.logs import LogFormat
from tests.ops.dispatch_support import TEXT, DispatchDeployment, idle, turn
from tests.unit.telling_support import T0, alert

POST = "bluesky:at://did:plc:abcdefghijklmnopqrstuvwx/app.bsky.feed.post/3kabc"
SECRETS = (TEXT, POST, "did:plc", "kari", "ola", "sykehus.example", "fordi jeg sier det", "Kari Nordmann")


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the log has said so far, each line decoded."""
    with logged(ManualClock(T0), LogFormat.JSON) as stream:
        # What the mail server of the test says is not our log.
        logging.getLogger().handlers[0].addFilter(lambda record: not record.name.startswith("mail."))
        yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for secret in SECRETS:
        assert secret not in stream.getvalue()


def test_from_the_post_to_the_acknowledgement_each_decision_is_one_line(
    deployment: DispatchDeployment, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    dispatcher = deployment.dispatcher()
    deployment.fire(samples=[Sample(key=POST, digest="d" * 16)])
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    idle(dispatcher)  # topics are read in no order of theirs
    acknowledge_all(deployment.bus, read_book(deployment.bus), ["a1"], "Kari Nordmann", "fordi jeg sier det", T0)
    idle(dispatcher)
    events = [line for line in lines() if "event" in line]
    assert [line["event"] for line in events[:6]] == [
        "alert.fired", "page.due", "page.due", "delivery.sent", "delivery.sent", "decision.acknowledge",
    ]  # fmt: skip
    assert {line["why"] for line in events[6:] if line["event"] == "page.due"} == {"notice"}, "others hear who has it"
    fired, acknowledged, events = events[0], events[5], events[:6]
    assert fired["alert"] == "a1" == acknowledged["about"]
    assert fired["posts"] == [reference(POST)]
    assert (fired["rule"], fired["severity"], fired["level"]) == ("many_questions", "warning", "info")
    pages = [line for line in events if line["event"] == "page.due"]
    assert {line["page"] for line in events if line["event"] == "delivery.sent"} == {line["page"] for line in pages}
    assert all(line["alerts"] == ["a1"] and line["why"] == "step" for line in pages)


def test_what_failed_is_a_warning_with_its_reason(
    deployment: DispatchDeployment, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    deployment.hook.answer = 503
    dispatcher = deployment.dispatcher()
    deployment.fire()
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    idle(dispatcher)
    (failed,) = [line for line in lines() if line.get("event") == "delivery.temporary_failure"]
    assert failed["level"] == "warning"
    assert failed["channel"] == "webhook"
    assert failed["reason"]


def test_who_stands_by_and_who_begins_says_nothing_of_what_was_decided_before(
    deployment: DispatchDeployment, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    first, standby = deployment.dispatcher(), deployment.dispatcher(holder="two")
    deployment.fire()
    turn(first, lambda: len(deployment.outcomes()) == 2)
    idle(standby)
    idle(first)
    said = [line["event"] for line in lines() if "event" in line]
    assert said.count("alert.fired") == 1
    deployment.clock.advance(timedelta(minutes=5))
    idle(deployment.dispatcher(holder="three"))
    assert [line["event"] for line in lines() if "event" in line][: len(said)] == said
    assert [line["event"] for line in lines() if "event" in line].count("alert.fired") == 1


def test_a_purged_post_and_a_silences_values_are_not_named(
    deployment: DispatchDeployment, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    dispatcher = deployment.dispatcher()
    idle(dispatcher)
    why = "fordi jeg sier det"
    hashchain.append(
        deployment.bus, "decisions",
        Decision(kind=DecisionKind.PURGE, id=POST, at=T0, by="Kari Nordmann", why=why),
    )  # fmt: skip
    silence = Silence(
        id="s1", at=T0, by="Kari Nordmann", why=why, match={"story": POST}, start=T0, end=T0 + timedelta(hours=1)
    )
    hashchain.append(deployment.bus, "decisions", silence)
    idle(dispatcher)
    assert [(line["event"], line["about"]) for line in lines() if "event" in line] == [
        ("decision.purge", reference(POST)),
        ("decision.silence", "s1"),
    ]


def test_what_is_older_than_the_process_is_history(lines: Callable[[], list[dict[str, Any]]]) -> None:
    journal = Journal(T0)
    journal.take(alert("old"), T0 - timedelta(seconds=1))
    journal.take(alert("new"), T0)
    assert [line["alert"] for line in lines()] == ["new"]


WHO: dict[str, Any] = {"by": "Kari Nordmann", "at": T0}
ABOUT: dict[str, Any] = {**WHO, "incidents": ("brann",), "story": "5f0c"}
SPAN: dict[str, Any] = {"start": T0, "end": T0 + timedelta(hours=8)}
WAY = TriedWay(code="K7QX", channel="sms", place="d" * 8)


@pytest.mark.parametrize(
    ("record", "event", "about", "fields"),
    [
        (Note(**ABOUT, words=TEXT), "decision.note", "5f0c", {}),
        (Status(**ABOUT, status=Standing.PASSED_ON), "decision.status", "5f0c", {"code": "passed_on"}),
        (Answer(**ABOUT, verdict=Verdict.FALSE, words=TEXT), "decision.answer", "5f0c", {"code": "false"}),
        (
            Correction(**WHO, post=POST, story="5f0c", text="d" * 16, kinds=(Kind.WISH,)),
            "decision.correction", reference(POST), {"kinds": ["wish"]},
        ),
        (
            Swap(**WHO, overrides=(Stand(**SPAN, remove="kari", add="ola"), Stand(**SPAN, remove="ola", add="kari"))),
            "decision.swap", "duty", {},
        ),
        (WayTest(**WHO, person="kari", ways=(WAY,)), "decision.way_test", "duty", {"channels": ["sms"]}),
        (WayConfirmed(**WHO, person="kari", way=WAY), "decision.way_confirmed", "duty", {"channels": ["sms"]}),
        (
            Highlight(**WHO, id="h1", revision=0, feed="f", guid="g", link="https://a.example", title=TEXT, text=TEXT),
            "decision.highlight", "h1", {},
        ),
        (HighlightWord(**WHO, id="h1", revision=0, word=Word.DROP), "decision.highlight_word", "h1", {"code": "drop"}),
        (
            HighlightStep(**WHO, id="h1", revision=0, step=Step.HELD, why=Why.CRISIS),
            "decision.highlight_step", "h1", {"code": "held", "reason": "crisis"},
        ),
        (
            Decision(kind=DecisionKind.ASSIGN, id="a1", **WHO, why="fordi jeg sier det", to="ola"),
            "decision.assign", "a1", {},
        ),
        (Decision(kind=DecisionKind.BUDGET, id="x", **WHO, usd=50.0), "decision.budget", "x", {"usd": 50.0}),
    ],
)  # fmt: skip
def test_whatever_people_decide_is_one_line_and_names_nobody(
    lines: Callable[[], list[dict[str, Any]]], record: Recorded, event: str, about: str, fields: dict[str, Any]
) -> None:
    Journal(T0).take(record, T0)
    (line,) = lines()
    assert (line["event"], line["about"]) == (event, about)
    assert line.items() >= fields.items()


def test_what_a_provider_says_later_is_one_line(lines: Callable[[], list[dict[str, Any]]]) -> None:
    Journal(T0).take(
        Receipt(channel="sms", provider_id="+4791234567", outcome=Received.UNDELIVERED, at=T0, code="21"), T0
    )
    (line,) = lines()
    assert (line["event"], line["level"], line["code"]) == ("receipt.undelivered", "warning", "21")
    assert "+4791234567" not in json.dumps(line)


def test_what_nobody_said_because_its_process_died_says_who_takes_over(
    deployment: DispatchDeployment, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    first, standby = deployment.dispatcher(), deployment.dispatcher(holder="two")
    idle(first)
    deployment.fire("a1")
    idle(standby)
    assert [line for line in lines() if "event" in line] == [], "the one who dies has not read it"
    deployment.clock.advance(timedelta(seconds=6))
    turn(standby, lambda: standby.leads)
    fired = [line for line in lines() if line.get("event") == "alert.fired"]
    assert [(line["alert"], line["read_as_standby"]) for line in fired] == [("a1", True)]


def test_what_a_standby_read_long_ago_was_said_by_who_led(lines: Callable[[], list[dict[str, Any]]]) -> None:
    journal = Journal(T0)
    for seconds in (0, 60, 69):
        at = T0 + timedelta(seconds=seconds)
        journal.take(alert(f"a{seconds}"), at, leads=False)
    journal.lead(T0 + timedelta(seconds=71))
    assert [line["alert"] for line in lines()] == ["a69"]
    journal.lead(T0 + timedelta(seconds=71))
    assert len(lines()) == 1, "once"
