"""The journal: one line of the log for each decision, for a program, and nothing in it that leads to a person."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from alerts.notify.answers import acknowledge_all
from alerts.notify.journal import Journal, reference
from alerts.notify.state import read_book
from listener.bus import hashchain
from listener.clock import ManualClock
from listener.model.decisions import Silence
from listener.model.records import Decision, DecisionKind, Sample
from listener.runtime.logs import LogFormat, set_up
from tests.ops.dispatch_support import TEXT, DispatchDeployment, idle, turn
from tests.unit.telling_support import T0, alert

POST = "bluesky:at://did:plc:abcdefghijklmnopqrstuvwx/app.bsky.feed.post/3kabc"
SECRETS = (TEXT, POST, "did:plc", "kari", "ola", "sykehus.example", "fordi jeg sier det", "Kari Nordmann")


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What the log has said so far, each line decoded."""
    stream = io.StringIO()
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    root.handlers.clear()
    set_up(stream, ManualClock(T0), form=LogFormat.JSON)
    # What the mail server of the test says is not our log.
    root.handlers[0].addFilter(lambda record: not record.name.startswith("mail."))
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for secret in SECRETS:
        assert secret not in stream.getvalue()
    root.handlers[:] = kept
    root.setLevel(level)


def test_from_the_post_to_the_acknowledgement_each_decision_is_one_line(
    deployment: DispatchDeployment, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    dispatcher = deployment.dispatcher()
    deployment.fire(samples=[Sample(key=POST, digest="d" * 16)])
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
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
