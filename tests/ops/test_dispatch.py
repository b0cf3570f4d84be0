"""The dispatcher on a real bus, with real far ends: who is told, once, whatever breaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from math import isnan
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest

from alerts.notify.answers import acknowledge_all
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import Deliver, SendNote
from alerts.notify.dispatcher import LEASE_SECONDS
from alerts.notify.links import Links
from alerts.notify.recipients import People
from alerts.notify.state import Handling, read_book
from listener.bus import hashchain
from listener.bus.protocol import Bus, Consumer, Message, Record, open_bus
from listener.clock import SystemClock
from listener.errors import BusError, Corrupt, UsageError
from listener.model.deliveries import DELIVERIES, Outcome, Page, PageWhy
from listener.model.records import Event, Sample, decode, encode
from tests.ops.dispatch_support import TEXT, DispatchDeployment, idle, turn
from tests.unit.telling_support import T0, alert, people


def test_everybody_on_the_route_is_told_once_with_the_intent_written_first(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher()
    deployment.fire()
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    idle(dispatcher)
    assert deployment.told() == ["kari@sykehus.example", "ola"]
    hashchain.verify(deployment.records("deliveries"))
    for target in ("kari@sykehus.example", "ola"):
        assert [d.outcome for d in deployment.deliveries() if d.target == target] == [None, Outcome.SENT]
    assert deployment.metrics.registry.get_sample_value(
        "lyttepost_deliveries_total", {"channel": "email", "outcome": "sent"}
    )
    assert deployment.metrics.registry.get_sample_value("lyttepost_alerts_undelivered") == 0


def test_a_message_that_leaves_bears_the_link_of_its_page_and_what_a_console_prints_does_not(
    deployment: DispatchDeployment,
) -> None:
    links = Links("https://lyttepost.sykehus.example", b"k" * 32, timedelta(days=1))
    dispatcher = deployment.dispatcher(people({"duty": ["kari", "ola", "console"]}), links=links)
    deployment.fire()
    turn(dispatcher, lambda: len(deployment.outcomes()) == 3)
    told = {each.person: each for each in pages(deployment)}
    assert links.to(told["kari"]) in deployment.smtp.seen[0].text
    assert deployment.hook.seen[0].json["reply_link"] == links.to(told["ola"])
    assert "https://lyttepost" not in deployment.console.getvalue()
    assert not any(b"/a/" in (record.value or b"") for record in deployment.records("deliveries"))
    acknowledge_all(deployment.bus, read_book(deployment.bus), ["a1"], "Kari", "", deployment.clock.now())
    turn(dispatcher, lambda: len(deployment.smtp.seen) + len(deployment.hook.seen) == 3)
    notice = deployment.smtp.seen[1].text if len(deployment.smtp.seen) > 1 else deployment.hook.seen[1].json["text"]
    assert "https://lyttepost" not in notice


def pages(deployment: DispatchDeployment) -> list[Page]:
    found = (decode(DELIVERIES, record.value or b"") for record in deployment.records("deliveries"))
    return [each for each in found if isinstance(each, Page)]


def test_who_is_named_by_anothers_link_hears_of_it(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people({"duty": ["kari", "ola"]}))
    deployment.fire()
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    (his,) = [each for each in pages(deployment) if each.person == "ola"]
    acknowledge_all(deployment.bus, read_book(deployment.bus), ["a1"], "Kari", "", deployment.clock.now(), page=his.id)
    turn(dispatcher, lambda: len(deployment.outcomes()) == 4)
    assert "Kari tar den" in deployment.smtp.seen[1].text


def test_help_goes_by_the_way_of_the_reply_alone_and_says_what_waits(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people({"duty": ["kari", "ola"]}))
    deployment.fire()
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    (waits,) = [each for each in pages(deployment) if each.person == "ola"]
    for number, about in enumerate((waits.id, "")):
        page = Page(
            id=f"{number:016x}", at=T0, why=PageWhy.NOTICE, what="help", person="ola", way=("webhook", "ola"),
            about=about, alerts={"reply": ""},
        )  # fmt: skip
        hashchain.append(deployment.bus, "deliveries", page)
    turn(dispatcher, lambda: len(deployment.hook.seen) == 3)
    idle(dispatcher)
    assert len(deployment.smtp.seen) == 1
    with_alert, without = sorted((call.json["text"] for call in deployment.hook.seen[1:]), key=len, reverse=True)
    assert "Svaret ble ikke forstått" in with_alert
    assert "ADVARSEL" in with_alert
    assert "Ingen varsler venter på svar" in without
    assert len(deployment.outcomes()) == 4


def test_steps_go_on_over_a_restart_until_a_person_acknowledges(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher()
    deployment.fire()
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    deployment.clock.advance_to(T0.replace(minute=5))
    turn(dispatcher, lambda: len(deployment.outcomes()) == 4)
    dispatcher.close()
    restarted = deployment.dispatcher()
    idle(restarted)
    assert len(deployment.told()) == 4
    assert deployment.smtp.seen[1].text.splitlines()[1].startswith("ADVARSEL · UBESVART")
    done = acknowledge_all(
        deployment.bus, read_book(deployment.bus), ["a1"], "Kari", "ser på det", deployment.clock.now()
    )
    assert [state.handling for state in done.mine] == [Handling.ACKNOWLEDGED]
    deployment.clock.advance_to(T0.replace(hour=9))
    idle(restarted)
    assert len(deployment.told()) == 4
    assert (
        deployment.metrics.registry.get_sample_value(
            "lyttepost_alerts_open", {"severity": "warning", "exercise": "false"}
        )
        == 0
    )


def test_a_second_acknowledgement_changes_nothing_and_says_who_was_first(deployment: DispatchDeployment) -> None:
    deployment.fire()
    stale = read_book(deployment.bus)
    first = acknowledge_all(deployment.bus, read_book(deployment.bus), ["a1"], "Kari", "", T0)
    again = acknowledge_all(deployment.bus, read_book(deployment.bus), ["a1"], "Ola", "", T0)
    at_the_same_time = acknowledge_all(deployment.bus, stale, ["a1"], "Per", "", T0)
    assert [len(done.mine) for done in (first, again, at_the_same_time)] == [1, 0, 0]
    for done in (first, again, at_the_same_time):
        (state,) = (*done.mine, *done.before)
        assert state.handled is not None
        assert state.handled.by == "Kari"
    hashchain.verify(deployment.records("decisions"))
    with pytest.raises(UsageError, match="--by"):
        acknowledge_all(deployment.bus, stale, ["a1"], " ", "", T0)


def test_a_mail_server_that_hangs_does_not_delay_the_webhook(deployment: DispatchDeployment) -> None:
    deployment.smtp.always = "hang"
    dispatcher = deployment.dispatcher(channels=deployment.channels(timeout=1.5))
    deployment.fire()
    began = time.monotonic()
    turn(dispatcher, lambda: deployment.hook.seen)
    assert time.monotonic() - began < 1.0
    assert deployment.smtp.seen == []


def test_an_alert_to_many_by_a_channel_that_hangs_keeps_another_waiting_for_one_send_and_no_longer(
    deployment: DispatchDeployment,
) -> None:
    deployment.smtp.always = "hang"
    crowd = [f"p{number}" for number in range(12)]
    contact = {name: [{"channel": "email", "target": f"{name}@sykehus.example"}] for name in (*crowd, "night")}
    who = People.model_validate(
        {
            "people": {name: {"name": name, "contacts": its} for name, its in contact.items()},
            "routes": {"crowd": crowd, "duty": ["night"], "fallback": ["night"]},
            "repeat_every": dict.fromkeys(("critical", "warning", "info"), "1h"),
            "grouping": {"by": ["alert"]},
        }
    )
    dispatcher = deployment.dispatcher(who, workers=2, channels=deployment.channels(timeout=0.5))
    deployment.fire("a1", to="crowd")
    turn(dispatcher, lambda: deployment.smtp.tries == 2)
    deployment.fire("a2", to="duty")

    def begun() -> list[str]:
        return [each.alert for each in deployment.deliveries() if each.outcome is None]

    turn(dispatcher, lambda: "a2" in begun())
    # The two that hang, and of what began when the first of them gave up nothing before it.
    assert begun().index("a2") <= 3


def test_a_temporary_failure_is_tried_again_and_arrives_once(deployment: DispatchDeployment) -> None:
    deployment.smtp.faults.append("451")
    dispatcher = deployment.dispatcher(people({"duty": ["kari"]}))
    deployment.fire()
    turn(dispatcher, lambda: deployment.outcomes())
    idle(dispatcher)
    assert deployment.smtp.tries == 1
    deployment.clock.advance_to(T0.replace(second=5))
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    assert [outcome[2:] for outcome in deployment.outcomes()] == [("temporary_failure", 1), ("sent", 2)]
    assert "GJENTATT" not in deployment.smtp.seen[0].message["Subject"]


def test_a_mail_that_was_taken_before_the_line_broke_is_repeated_marked_under_its_own_id(
    deployment: DispatchDeployment,
) -> None:
    deployment.smtp.faults.append("accept then reset")
    dispatcher = deployment.dispatcher(people({"duty": ["kari"]}))
    deployment.fire()
    turn(dispatcher, lambda: deployment.outcomes())
    deployment.clock.advance_to(T0.replace(second=5))
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    first, second = deployment.smtp.seen
    assert "GJENTATT?" not in first.message["Subject"]
    assert second.message["Subject"].startswith("GJENTATT? · [")
    assert first.message["Message-ID"] == second.message["Message-ID"]


def test_when_nobody_on_the_route_can_be_reached_the_fallback_and_ops_are_told(deployment: DispatchDeployment) -> None:
    deployment.smtp.always = "550"
    dispatcher = deployment.dispatcher(people({"duty": ["kari"], "fallback": ["reserve"], "ops": ["ola"]}))
    deployment.fire()
    turn(dispatcher, lambda: len(deployment.hook.seen) == 3)
    idle(dispatcher)
    calls = [(call.json["to"], call.json["rule"]) for call in deployment.hook.seen]
    assert ("reserve", "many_questions") in calls
    assert sorted(calls)[:2] == [("ola", "lyttepost.all_failed"), ("ola", "lyttepost.contact_failed")]
    assert deployment.smtp.tries == 1


def test_an_alert_for_a_route_that_does_not_exist_reaches_somebody_and_ops_hear_of_it_once(
    deployment: DispatchDeployment,
) -> None:
    dispatcher = deployment.dispatcher(people({"fallback": ["reserve"], "ops": ["ola"]}))
    deployment.fire(to="nattevakt")
    deployment.fire("a2", to="nattevakt")
    turn(dispatcher, lambda: len(deployment.hook.seen) == 3)
    idle(dispatcher)
    assert sorted(deployment.told()) == ["ola", "reserve", "reserve"]
    (to_ops,) = [call.json for call in deployment.hook.seen if call.json["to"] == "ola"]
    assert "nattevakt" in to_ops["headline"]


def test_an_incomplete_card_is_sent_and_ops_are_told_of_the_rule(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people({"duty": ["kari"], "ops": ["ola"]}))
    deployment.fire(headline={})
    turn(dispatcher, lambda: deployment.smtp.seen and deployment.hook.seen)
    assert "Varselet er ufullstendig" in deployment.smtp.seen[0].text
    assert "many_questions: headline.nb" in deployment.hook.seen[0].json["headline"]


def test_no_text_id_or_word_of_a_post_leaves_the_house_or_is_kept_in_the_ledger(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people({"duty": ["kari", "ola"], "crisis_team": []}))
    leaky = {
        "key": "savnetoddny",
        "key_fields": ("text",),
        "reason": "new term savnetoddny",
        "samples": (Sample(key="x:178820931", digest="d"),),
    }
    deployment.fire(**leaky)
    deployment.fire("a2", to="crisis_team", **leaky)
    turn(dispatcher, lambda: len(deployment.told()) == 2 and "a2" in deployment.console.getvalue())
    turn(dispatcher, lambda: len(deployment.outcomes()) >= 3)
    assert TEXT in deployment.console.getvalue()
    outside = [mail.raw + mail.text.encode() + str(mail.message["Subject"]).encode() for mail in deployment.smtp.seen]
    outside += [call.body + repr(call.headers).encode() for call in deployment.hook.seen]
    outside += [record.value or b"" for record in deployment.records("deliveries")]
    assert len(outside) >= 8
    for blob in outside:
        for word in ("oddny", "bestemor", "sykehjem", "178820931"):
            assert word not in blob.decode().casefold()


def test_an_exercise_goes_out_marked_everywhere(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher()
    deployment.fire(exercise=True)
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    assert deployment.smtp.seen[0].message["Subject"].startswith("ØVELSE · ")
    assert deployment.smtp.seen[0].text.startswith("ØVELSE · ")
    assert deployment.hook.seen[0].json["text"].startswith("ØVELSE · ")
    assert deployment.hook.seen[0].json["exercise"] is True
    assert all(delivery.exercise for delivery in deployment.deliveries())


def test_a_canary_wakes_nobody(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher()
    deployment.fire(synthetic=True)
    turn(dispatcher, lambda: len(deployment.deliveries()) == 2)
    idle(dispatcher)
    assert (deployment.told(), deployment.console.getvalue()) == ([], "")
    assert [(d.channel, d.outcome) for d in deployment.deliveries()] == [("ledger", None), ("ledger", Outcome.SENT)]


def test_a_broken_chain_stops_it_loudly_before_anything_is_sent(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher()
    deployment.fire()
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    dispatcher.close()
    forged = decode(DELIVERIES, deployment.records("deliveries")[-1].value or b"").model_copy(update={"target": "per"})
    deployment.bus.publish([Message("deliveries", "a1", encode(forged))])
    deployment.fire("a2")
    again = deployment.dispatcher()
    with pytest.raises(Corrupt, match=r"deliveries/0:6"):
        again.step(0.0)
    assert len(deployment.told()) == 2


def test_one_dispatcher_tells_and_the_other_takes_over_when_it_is_gone(deployment: DispatchDeployment) -> None:
    first, second = deployment.dispatcher(), deployment.dispatcher(holder="two")
    deployment.fire()
    idle(first, 1)
    for _ in range(20):
        second.step(0.01)
        first.step(0.01)
    turn(first, lambda: len(deployment.outcomes()) == 2)
    assert len(deployment.told()) == 2
    deployment.clock.advance_to(T0.replace(minute=6))
    turn(second, lambda: len(deployment.outcomes()) == 4)
    idle(first)
    assert len(deployment.told()) == 4
    assert {delivery.may_repeat for delivery in deployment.deliveries()} == {False}


class Faltering:
    """A real bus whose readers give a record at a time, and fail once behind the first."""

    def __init__(self, inner: Bus) -> None:
        self._inner = inner
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def reader(self, topics: Sequence[str], **more: Any) -> Consumer:
        reader = self._inner.reader(topics, **more)
        poll, given = reader.poll, []

        def one(timeout: float, limit: int = 1000) -> list[Record]:
            if given and not self.failed:
                self.failed = True
                raise BusError("the bus is away")
            given.append(limit)
            return poll(timeout, 1)

        reader.poll = one
        return reader


def test_who_takes_over_sends_nothing_before_it_has_read_what_its_predecessor_sent(
    deployment: DispatchDeployment,
) -> None:
    deployment.fire()
    turn(deployment.dispatcher(), lambda: len(deployment.outcomes()) == 2)
    deployment.clock.advance(timedelta(seconds=LEASE_SECONDS + 1))
    written, bus = len(deployment.deliveries()), deployment.bus
    deployment.bus = faltering = cast(Bus, Faltering(bus))
    second = deployment.dispatcher(holder="two")
    deployment.bus = bus
    idle(second, 4)
    assert faltering.failed
    assert len(deployment.deliveries()) == written


def test_a_channel_whose_threads_all_hang_is_given_up_and_the_fallback_told(deployment: DispatchDeployment) -> None:
    deployment.smtp.always = "hang"
    who = people({"duty": ["kari"], "fallback": ["reserve"]}, repeat="1h")
    dispatcher = deployment.dispatcher(who, workers=1, send_limit=30, channels=deployment.channels(timeout=20))
    deployment.fire()
    turn(dispatcher, lambda: deployment.smtp.tries)
    deployment.clock.advance_to(T0.replace(second=31))
    turn(dispatcher, lambda: deployment.outcomes())
    for second in (37, 55):
        deployment.clock.advance_to(T0.replace(second=second))
        turn(dispatcher, lambda second=second: len(deployment.outcomes()) == (2 if second == 37 else 3))
    turn(dispatcher, lambda: deployment.hook.seen)
    assert [d.reason for d in deployment.deliveries() if d.outcome and d.channel == "email"] == [
        "hung",
        "stuck",
        "stuck",
    ]
    assert [d.may_repeat for d in deployment.deliveries() if d.outcome is None and d.channel == "email"] == [
        False,
        True,
        True,
    ]
    assert deployment.hook.seen[0].json["to"] == "reserve"


def test_closing_does_not_wait_for_what_hangs_and_the_successor_says_it_may_be_a_repeat(
    deployment: DispatchDeployment,
) -> None:
    deployment.hook.always = "hang"
    who = people({"duty": ["ola"]})
    dispatcher = deployment.dispatcher(who, channels=deployment.channels(timeout=20))
    deployment.fire()
    turn(dispatcher, lambda: deployment.hook.tries)
    began = time.monotonic()
    dispatcher.close()
    assert time.monotonic() - began < 4.5
    deployment.hook.always = None
    turn(deployment.dispatcher(who), lambda: deployment.hook.seen)
    assert deployment.hook.seen[0].json["may_repeat"] is True


def test_a_record_that_cannot_be_read_is_buried_once_and_ops_are_told(deployment: DispatchDeployment) -> None:
    deployment.bus.publish([Message("alerts", "a9", b'{"v":2}')])
    deployment.fire()
    who = people({"duty": ["kari"], "ops": ["ola"]})
    for _ in range(2):
        dispatcher = deployment.dispatcher(who)
        turn(dispatcher, lambda: deployment.hook.seen and deployment.smtp.seen)
        idle(dispatcher)
        dispatcher.close()
    assert [record.key for record in deployment.records("deadletters")] == ["alerts/0:0"]
    assert [call.json["rule"] for call in deployment.hook.seen] == ["lyttepost.unreadable"]


def test_resolving_is_no_answer_and_the_next_step_says_it_has_passed(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people({"duty": ["kari"]}))
    deployment.fire()
    turn(dispatcher, lambda: deployment.outcomes())
    deployment.fire(event=Event.RESOLVED)
    deployment.clock.advance_to(T0.replace(minute=5))
    turn(dispatcher, lambda: len(deployment.outcomes()) == 2)
    assert deployment.smtp.seen[1].message["Subject"].startswith("OVER · ")


class Broken:
    """A channel with a fault of ours: in making the message, or while it is handed over."""

    in_house = False

    wakes = False

    def __init__(self, while_sending: bool) -> None:
        self._while_sending = while_sending
        self.tries = 0

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        self.tries += 1
        return self._raise if self._while_sending else self._raise()

    def _raise(self) -> NoReturn:
        raise UnicodeEncodeError("ascii", "hemmelig å", 9, 10, "ordinal not in range(128)")


@pytest.mark.parametrize("while_sending", [False, True])
def test_a_fault_of_ours_is_told_to_ops_and_only_one_while_sending_may_be_a_repeat(
    deployment: DispatchDeployment, caplog: pytest.LogCaptureFixture, while_sending: bool
) -> None:
    broken = Broken(while_sending)
    who = people({"duty": ["kari"], "ops": ["ola"], "fallback": ["reserve"]}, repeat="1h")
    dispatcher = deployment.dispatcher(who, channels={**deployment.channels(), "email": broken})
    deployment.fire()
    turn(dispatcher, lambda: deployment.hook.seen)
    deployment.clock.advance_to(T0.replace(minute=1))
    turn(dispatcher, lambda: broken.tries == (2 if while_sending else 1))
    idle(dispatcher)
    mails = [d for d in deployment.deliveries() if d.channel == "email"]
    reason, outcome = ("defect_in_sending", "temporary_failure") if while_sending else ("defect", "permanent_failure")
    assert {(d.reason, d.outcome) for d in mails if d.outcome} == {(reason, outcome)}
    assert [d.may_repeat for d in mails if d.outcome is None] == ([False, True] if while_sending else [False])
    told = [(call.json["to"], call.json["rule"]) for call in deployment.hook.seen]
    assert ("ola", "lyttepost.contact_failed") in told
    assert (("reserve", "many_questions") in told) is not while_sending
    assert "UnicodeEncodeError at test_dispatch.py" in caplog.text
    assert "hemmelig" not in caplog.text


def gauge(deployment: DispatchDeployment, name: str, **labels: str) -> float | None:
    return deployment.metrics.registry.get_sample_value(f"lyttepost_{name}", labels)


def test_the_console_of_last_resort_and_a_fallback_are_not_the_route_and_do_not_count_as_reached(
    deployment: DispatchDeployment,
) -> None:
    deployment.smtp.always = "550"
    dispatcher = deployment.dispatcher(people({"duty": ["kari"], "fallback": ["reserve"]}))
    deployment.fire()
    turn(dispatcher, lambda: ("reserve", "sent") in [outcome[1:3] for outcome in deployment.outcomes()])
    deployment.hook.always = "404"
    deployment.fire("a2")
    turn(dispatcher, lambda: deployment.console.getvalue().count("alerts ack a2"))
    idle(dispatcher)
    # Ops have no route here, so that their own alerts reach nobody either.
    own = [state for state in read_book(deployment.bus).open() if state.alert.to == "duty"]
    assert len(own) == 2
    assert gauge(deployment, "alerts_undelivered") == len(read_book(deployment.bus).open())
    assert gauge(deployment, "dispatch_latency_seconds_count") == 0
    (shown,) = [
        c.json["text"] for c in deployment.hook.seen if c.json["to"] == "reserve" and c.json["alert_id"] == "a1"
    ]
    assert "Ingen er varslet tidligere" in shown


def test_how_long_nobody_has_answered_is_shown_until_somebody_does(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people({"duty": ["console"]}))
    idle(dispatcher)
    oldest = "alerts_oldest_open_timestamp_seconds"
    labels = {"severity": alert("a1").severity, "exercise": "false"}
    assert isnan(gauge(deployment, oldest, **labels) or 0)
    deployment.fire()
    turn(dispatcher, lambda: deployment.outcomes())
    idle(dispatcher)
    (state,) = read_book(deployment.bus).open()
    assert gauge(deployment, oldest, **labels) == state.fired_at.timestamp()
    acknowledge_all(deployment.bus, read_book(deployment.bus), [state.id], "Kari", "", T0)
    turn(dispatcher, lambda: isnan(gauge(deployment, oldest, **labels) or 0))


def test_the_console_counts_where_it_is_the_route(deployment: DispatchDeployment) -> None:
    who = people({"duty": ["console"]})
    dispatcher = deployment.dispatcher(who)
    deployment.fire()
    turn(dispatcher, lambda: deployment.outcomes())
    idle(dispatcher)
    assert gauge(deployment, "alerts_undelivered") == 0
    assert gauge(deployment, "dispatch_latency_seconds_count") == 1


def test_failures_in_a_row_are_counted_by_channel_over_a_restart_and_end_with_a_success(
    deployment: DispatchDeployment,
) -> None:
    deployment.smtp.always = "451"
    who = people({"duty": ["kari", "ola"]}, repeat="1h")
    dispatcher = deployment.dispatcher(who)
    deployment.fire()
    for count, second in enumerate((0, 5, 20), start=1):
        deployment.clock.advance_to(T0.replace(second=second))
        turn(
            dispatcher, lambda count=count: gauge(deployment, "channel_consecutive_failures", channel="email") == count
        )
    dispatcher.close()
    deployment.metrics.channel_failures.labels("email").set(0)
    again = deployment.dispatcher(who)
    idle(again)
    assert gauge(deployment, "channel_consecutive_failures", channel="email") == 3
    assert gauge(deployment, "channel_consecutive_failures", channel="webhook") == 0
    deployment.smtp.always = None
    deployment.clock.advance_to(T0.replace(minute=2))
    turn(again, lambda: gauge(deployment, "channel_consecutive_failures", channel="email") == 0)


def test_failures_of_yesterday_are_no_failures_of_a_process_that_begins_today(deployment: DispatchDeployment) -> None:
    deployment.smtp.always = "451"
    dispatcher = deployment.dispatcher(people({"duty": ["kari"]}, repeat="7d"))
    deployment.fire()
    turn(dispatcher, lambda: deployment.outcomes())
    acknowledge_all(deployment.bus, read_book(deployment.bus), ["a1"], "Kari", "", T0)
    dispatcher.close()
    deployment.metrics.channel_failures.labels("email").set(0)
    deployment.clock.advance_to(T0.replace(day=3))
    idle(deployment.dispatcher(people({"duty": ["kari"]}, repeat="7d")))
    assert gauge(deployment, "channel_consecutive_failures", channel="email") == 0


PROGRAM = """
import sys
from pathlib import Path
from prometheus_client import CollectorRegistry
from alerts.notify.channels.webhook import Webhook, WebhookSettings
from alerts.notify.dispatcher import LEASE_SECONDS, Dispatcher
from alerts.notify.messages import load_messages
from listener.bus.protocol import open_bus
from listener.clock import SystemClock
from listener.settings.files import packaged_config
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from tests.unit.telling_support import people

folder, url = sys.argv[1:]
clock = SystemClock()
channels = {"webhook": Webhook(WebhookSettings.model_validate({"url": url}))}
dispatcher = Dispatcher(
    open_bus("embedded:", Path(folder), clock), people({"duty": ["ola"]}, repeat="1h"),
    load_messages(packaged_config(), "en"), channels, clock=clock, metrics=Metrics(CollectorRegistry(), "0"),
    part=Health(clock).part("dispatch"), holder="host-alerts",
)
for _ in range(40):
    dispatcher.step(0.02)
dispatcher.close()
"""


@pytest.mark.parametrize(("point", "arrived_before"), [("dispatch.after_intent", 0), ("dispatch.after_send", 1)])
def test_killed_around_the_send_it_sends_again_and_says_so(
    deployment: DispatchDeployment, point: str, arrived_before: int
) -> None:
    bus = open_bus("embedded:", deployment.folder, SystemClock())
    bus.publish([Message("alerts", "a1", encode(alert()))])

    def run(crash: str) -> int:
        root = Path(__file__).parents[2]
        environment = {**os.environ, "PYTHONPATH": str(root)} | ({"LYTTEPOST_CRASH": crash} if crash else {})
        arguments = [sys.executable, "-c", PROGRAM, str(deployment.folder), deployment.hook.url]
        return subprocess.run(arguments, env=environment, cwd=root, timeout=30, check=False).returncode

    assert run(point) == -signal.SIGKILL
    assert len(deployment.hook.seen) == arrived_before
    assert [delivery.outcome for delivery in deployment.deliveries()] == [None]
    assert run("") == 0
    assert run("") == 0
    assert len(deployment.hook.seen) == arrived_before + 1
    assert deployment.hook.seen[-1].json["subject"].startswith("REPEATED? · ")
    assert len({call.headers["Idempotency-Key"] for call in deployment.hook.seen}) == 1
    hashchain.verify(deployment.records("deliveries"))
    bus.close()
