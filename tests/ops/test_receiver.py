"""What gateways tell us later: receipts are written once and chained, replies are handed on, nobody else gets in."""

from __future__ import annotations

import http.client
import json
import logging
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine, wait_for
from gateway_support import NUMBER, TOKEN, opened, settings_of
from prometheus_client import CollectorRegistry

from alerts.duty.decided import place_digest
from alerts.duty.people import Place
from alerts.notify.channels.callbacks import CallsBack, ReplySettings, replied
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import SendNote, channel_type
from alerts.notify.followed import FollowedBook
from alerts.notify.receiver.replies import answer_pages
from alerts.notify.receiver.worker import Receiver
from alerts.notify.recipients import load_people
from alerts.notify.sends import intent_id
from alerts.notify.state import read_book
from listener.bus import hashchain
from listener.bus.protocol import Bus, Message, open_bus
from listener.bus.scan import scan, scan_records
from listener.clock import SystemClock
from listener.errors import BusError, ConfigError
from listener.model.decisions import DECISIONS, TriedWay, WayConfirmed, WayTest
from listener.model.deliveries import DELIVERIES, Delivery, Outcome, Page, PageWhy
from listener.model.receipts import Receipt, Received
from listener.model.records import Decision, encode
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.settings.files import packaged_config
from listener.webserver import server
from tests.fakes.gateway import MANNERS, FakeGateway, gateway
from tests.ops.receiver_support import Turning
from tests.ops.test_prometheus import free_port
from tests.unit.telling_support import alert

OTHER = "+4740612399"
NOTE = SendNote("a" * 32, "alert1", 2, 1, False, datetime(2031, 3, 2, 2, 14, tzinfo=UTC))
CARD = Card("KRITISK: røyk", ("KRITISK: røyk",), {}, True)


class Listening:
    """A receiver whose worker turns in a thread, as in `lyttepost run`, and the gateway that calls it."""

    def __init__(self, bus: Bus, settings: dict[str, Any], fake: FakeGateway) -> None:
        self.bus = bus
        self.fake = fake
        self.replies: list[tuple[str, str]] = []
        clock = SystemClock()
        self.metrics = Metrics(CollectorRegistry(), "0")
        self.health = Health(clock)
        channel = channel_type("sms").open(settings)
        assert isinstance(channel, CallsBack)
        assert channel.callbacks is not None
        self.receiver = Receiver(
            bus, {"sms": channel.callbacks}, lambda _, number, text, at, call: self.replies.append((number, text)),
            host="127.0.0.1", port=0, clock=clock, metrics=self.metrics, part=self.health.part("receiver"),
        )  # fmt: skip
        self.root = f"http://127.0.0.1:{self.receiver.port}"
        fake.callback = f"{self.root}/sms/{TOKEN}"
        self._turning = Turning(self.receiver)

    def close(self) -> None:
        self._turning.close()

    def receipts(self) -> list[tuple[str, str | None, str]]:
        found = [each for each in scan(self.bus, DELIVERIES) if isinstance(each, Receipt)]
        return [(each.provider_id, each.part, each.outcome.value) for each in found]

    def counted(self, outcome: str, channel: str = "sms") -> float:
        return self.metrics.registry.get_sample_value(
            "lyttepost_callbacks_total", {"channel": channel, "outcome": outcome}
        ) or 0.0  # fmt: skip

    def request(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.receiver.port, timeout=10)
        with closing(connection):
            connection.request(method, path, body or None, {"Content-Type": content_type})
            return connection.getresponse().status


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    opened_bus = open_bus("embedded:", tmp_path, SystemClock(), durable=False)
    opened_bus.ensure(topic_specs(1, {}))
    yield opened_bus
    opened_bus.close()


def listening(bus: Bus, provider: str, folder: Path, fake: FakeGateway) -> Listening:
    return Listening(bus, settings_of(provider, folder, fake.url), fake)


@pytest.fixture(params=MANNERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def heard(provider: str, bus: Bus, tmp_path: Path) -> Iterator[Listening]:
    with gateway(MANNERS[provider]) as fake:
        here = listening(bus, provider, tmp_path, fake)
        yield here
        here.close()


@pytest.fixture
def elks(bus: Bus, tmp_path: Path) -> Iterator[Listening]:
    with gateway(MANNERS["46elks"]) as fake:
        here = listening(bus, "46elks", tmp_path, fake)
        yield here
        here.close()


def send(provider: str, folder: Path, fake: FakeGateway) -> tuple[str, ...]:
    return opened(provider, folder, fake, timeout=10).prepare(CARD, NUMBER, note=NOTE)()


def sent(bus: Bus, *ids: str) -> None:
    delivery = Delivery(
        intent="i",
        alert="alert1",
        at=NOTE.at,
        step=0,
        channel="sms",
        target=NUMBER,
        outcome=Outcome.SENT,
        provider_ids=ids,
    )
    hashchain.append(bus, "deliveries", delivery)


def part_of(provider: str) -> str | None:
    return "$0" if provider == "LINK Mobility" else None


def test_a_receipt_is_written_with_the_id_that_the_send_was_given(
    heard: Listening, provider: str, tmp_path: Path
) -> None:
    ids = send(provider, tmp_path, heard.fake)
    sent(heard.bus, *ids)
    heard.fake.report(heard.fake.sent[0])
    assert set(heard.fake.answers) == {200}
    assert heard.receipts() == [(id_, part_of(provider), "delivered") for id_ in ids]
    assert heard.counted("recorded") == len(ids)
    assert heard.counted("unknown_id") == 0
    hashchain.verify(scan_records(heard.bus, ["deliveries"]))


def test_a_receipt_that_is_faster_than_the_answer_is_kept(heard: Listening, provider: str, tmp_path: Path) -> None:
    heard.fake.habits.add("receipt first")
    ids = send(provider, tmp_path, heard.fake)
    assert heard.receipts() == [(id_, part_of(provider), "delivered") for id_ in ids]
    assert heard.counted("unknown_id") == len(ids)


def test_delivered_and_then_failed_are_two_receipts_and_repeats_are_none(
    heard: Listening, provider: str, tmp_path: Path
) -> None:
    send(provider, tmp_path, heard.fake)
    (message,) = heard.fake.sent
    heard.fake.habits.add("repeats")
    heard.fake.report(message)
    heard.fake.report(message, delivered=False)
    heard.fake.report(message)
    wanted = [(id_, part_of(provider), what) for what in ("delivered", "undelivered") for id_ in message.ids]
    assert heard.receipts() == wanted
    assert set(heard.fake.answers) == {200}
    assert heard.counted("repeated") == 7 * len(message.ids)


def test_a_reply_is_handed_on_with_the_number_as_we_write_it(heard: Listening, provider: str) -> None:
    reply = MANNERS[provider].reply
    if reply is None:
        pytest.skip("its replies come another way")
    assert heard.fake.call(reply(NUMBER, "ok 4711 på vei"), "reply") == 200
    assert heard.replies == [(NUMBER, "ok 4711 på vei")]
    assert heard.counted("reply") == 1


def test_a_repeat_is_known_after_a_restart(bus: Bus, tmp_path: Path) -> None:
    with gateway(MANNERS["46elks"]) as fake:
        for _ in range(2):
            here = listening(bus, "46elks", tmp_path, fake)
            here.request("GET", f"/sms/{TOKEN}/receipt?id=s1&status=delivered")
            here.close()
        assert here.receipts() == [("s1", None, "delivered")]
        assert here.counted("repeated") == 1


def test_the_same_receipt_at_once_is_written_once(elks: Listening) -> None:
    path = f"/sms/{TOKEN}/receipt?id=s1&status=delivered"
    threads = [threading.Thread(target=elks.request, args=("GET", path)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert elks.receipts() == [("s1", None, "delivered")]
    assert elks.counted("repeated") == 19


def test_what_we_do_not_know_decides_nothing(elks: Listening) -> None:
    assert elks.request("GET", f"/sms/{TOKEN}/receipt?id=s1&status=sent") == 200
    assert elks.request("GET", f"/sms/{TOKEN}/receipt?id=s1&status=something%0Anew") == 200
    assert [outcome for _, _, outcome in elks.receipts()] == [Received.PENDING, Received.PENDING]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"/sms/{TOKEN}x/receipt?id=1&status=sent", 404),
        ("GET", "/sms//receipt?id=1&status=sent", 404),
        ("GET", "/sms/æ/receipt?id=1&status=sent", 404),
        ("GET", f"/voice/{TOKEN}/receipt?id=1&status=sent", 404),
        ("GET", f"/{TOKEN}/sms/receipt?id=1&status=sent", 404),
        ("GET", f"/sms/{TOKEN}/", 404),
        ("GET", "/", 404),
        ("HEAD", f"/sms/{TOKEN}/receipt?id=1&status=sent", 405),
        ("PUT", f"/sms/{TOKEN}/receipt?id=1&status=sent", 405),
        ("GET", f"/sms/{TOKEN}/receipt?status=sent", 400),
        ("GET", f"/sms/{TOKEN}/receipt?id=1", 400),
        ("GET", f"/sms/{TOKEN}/receipt?id=1&id=2&status=sent", 400),
        ("GET", f"/sms/{TOKEN}/receipt?status=sent&id={'1' * 300}", 400),
        ("GET", f"/sms/{TOKEN}/receipt?status=sent&id=%00", 400),
        ("GET", f"/sms/{TOKEN}/receipt?{'&'.join(f'a{n}=1' for n in range(300))}", 400),
        ("GET", f"/sms/{TOKEN}/reply?message=ok", 400),
        ("GET", f"/sms/{TOKEN}/reply?message=ok&from=kari", 400),
        ("GET", f"/sms/{TOKEN}/receipt?id={'1' * 40_000}", 400),
    ],
)
def test_who_knows_no_token_or_makes_no_sense_is_refused_and_nothing_is_written(
    elks: Listening, method: str, path: str, status: int
) -> None:
    assert elks.request(method, path.replace("æ", "%C3%A6")) == status
    assert list(scan(elks.bus, DELIVERIES)) == []
    assert elks.replies == []


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        ("LINK Mobility", b"{"), ("LINK Mobility", b"[]"), ("LINK Mobility", b"[" * 60_000), ("LINK Mobility", b"\xff"),
        ("LINK Mobility", b'{"id": {"a": 1}, "resultCode": []}'), ("LINK Mobility", b"7"), ("LINK Mobility", b""),
        ("LINK Mobility", b"9" * 60_000),
    ],
)  # fmt: skip
def test_a_body_that_is_none_is_400(heard: Listening, body: bytes) -> None:
    assert heard.request("POST", f"/sms/{TOKEN}/receipt", body) == 400
    assert heard.counted("malformed") == 1


def test_a_call_that_is_too_large_is_refused(elks: Listening) -> None:
    assert elks.request("POST", f"/sms/{TOKEN}/receipt", b"x" * 70_000) == 413
    assert elks.counted("refused") == 1


def test_no_log_holds_token_number_or_text(elks: Listening, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    elks.request("GET", f"/sms/{TOKEN}/receipt?id=s1&status=delivered")
    elks.request("GET", f"/sms/{TOKEN}/receipt?id=&status=hemmelig")
    elks.request("GET", f"/sms/{TOKEN}/reply?from=%2B4740612345&message=hemmelig")
    elks.request("GET", f"/sms/{TOKEN}/reply?from=hemmelig")
    raw(elks, b"NONSENSE hemmelig\r\n\r\n")
    assert "channels.sms.receipt cannot be read" in caplog.text
    assert not any(word in caplog.text for word in (TOKEN, "hemmelig", "4061", "s1"))


def raw(here: Listening, first: bytes, drop: bytes = b"", seconds: float = 10) -> float:
    """Send this, then `drop` again and again, until the far end hangs up; seconds that it took."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", here.receiver.port), timeout=0.1) as talking:
        talking.sendall(first)
        while time.monotonic() - began < seconds:
            try:
                if not talking.recv(4096):
                    break
            except TimeoutError:
                if drop:
                    talking.sendall(drop)
            except OSError:
                break
    return time.monotonic() - began


def test_who_dawdles_is_hung_up_on_and_delays_nobody(bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "DEADLINE_SECONDS", 1.0)
    with gateway(MANNERS["46elks"]) as fake:
        here = listening(bus, "46elks", tmp_path, fake)
        head = f"POST /sms/{TOKEN}/receipt HTTP/1.1\r\nHost: x\r\n".encode()
        took: list[float] = []
        slow = [
            threading.Thread(target=lambda first=first: took.append(raw(here, first, b"a")))
            for first in (b"", head, head + b"Content-Length: 99\r\n\r\n")
        ]
        for thread in slow:
            thread.start()
        began = time.monotonic()
        assert here.request("GET", f"/sms/{TOKEN}/receipt?id=s1&status=delivered") == 200
        assert time.monotonic() - began < 1
        for thread in slow:
            thread.join()
        assert len(took) == 3
        assert max(took) < 4
        here.close()


def test_many_who_say_nothing_keep_nobody_out(elks: Listening) -> None:
    with ExitStack() as idle:
        for _ in range(server.MAX_CONNECTIONS + 10):
            idle.enter_context(socket.create_connection(("127.0.0.1", elks.receiver.port), timeout=5))
        assert elks.request("GET", f"/sms/{TOKEN}/receipt?id=s1&status=delivered") == 200


def test_a_head_without_an_end_is_refused(elks: Listening) -> None:
    assert raw(elks, b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000, b"a" * 20_000) < 3


class FullBus:
    """A bus that cannot write, as one whose disk is full."""

    def __init__(self, inner: Bus) -> None:
        self._inner = inner
        self.full = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def append_after(self, *args: Any) -> Any:
        if self.full:
            raise BusError("no room")
        return self._inner.append_after(*args)


def test_what_could_not_be_written_is_called_again_and_then_written(bus: Bus, tmp_path: Path) -> None:
    full: Any = FullBus(bus)
    with gateway(MANNERS["46elks"]) as fake:
        here = listening(full, "46elks", tmp_path, fake)
        path = f"/sms/{TOKEN}/receipt?id=s1&status=delivered"
        assert here.request("GET", path) == 503
        # The gateway has its answer before the worker has told its health.
        wait_for(lambda: here.health.ready()[1]["receiver"] == "no room")
        full.full = False
        assert here.request("GET", path) == 200
        assert here.receipts() == [("s1", None, "delivered")]
        wait_for(lambda: here.health.ready()[1]["receiver"] is None)
        here.close()


def deployed(machine: Machine, fake: FakeGateway) -> int:
    """A configuration with Kari, whom the gateway reaches, on every route; the receiver's port."""
    config, port = machine.folder / "config", free_port()
    shutil.copytree(packaged_config(), config)
    sms = settings_of("46elks", machine.folder, fake.url, timeout=10)
    settings = (
        (config / "settings.yaml")
        .read_text("utf-8")
        .replace("\nchannels: {}", f"\nchannels: {json.dumps({'sms': sms})}")
    )
    (config / "settings.yaml").write_text(settings.replace("receiver: null", f"receiver: {{port: {port}}}"), "utf-8")
    people = (config / "people.yaml").read_text("utf-8")
    people = people.replace("- {channel: console}", "- {channel: sms, target: 406 12 345}")
    (config / "people.yaml").write_text(people, "utf-8")
    fake.callback = f"http://127.0.0.1:{port}/sms/{TOKEN}"
    return port


def test_a_running_service_sends_and_hears_of_it_and_a_reply_is_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path, {"LYTTEPOST_CONFIG": str(tmp_path / "config")})
    with gateway(MANNERS["46elks"]) as fake:
        deployed(machine, fake)
        fake.habits.update({"receipt first", "receipts", "repeats"})
        process = machine.start("run", "--role", "alerts", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "runs on" in line, line + process.stdout.read()
            with closing(open_bus("embedded:", machine.data, SystemClock())) as bus:
                bus.publish([Message("alerts", "a1", encode(alert("a1", at=SystemClock().now())))])
                written = wait_for(
                    lambda: [each for each in scan(bus, DELIVERIES) if getattr(each, "provider_ids", ())]
                )
                wait_for(lambda: len(fake.answers) >= 6)
                receipts = [each for each in scan(bus, DELIVERIES) if isinstance(each, Receipt)]
                fake.call(MANNERS["46elks"].reply(NUMBER, "ok 4711"), "reply")
                wait_for(lambda: len(fake.answers) >= 13)
                notes = [each for each in scan(bus, DECISIONS) if isinstance(each, Decision)]
                hashchain.verify(scan_records(bus, ["deliveries"]))
        finally:
            process.terminate()
            said, _ = process.communicate(timeout=20)
    assert written[0].provider_ids == fake.sent[0].ids
    assert [(each.provider_id, each.outcome) for each in receipts] == [(fake.sent[0].ids[0], "delivered")]
    assert set(fake.answers) == {200}
    assert "Svaret ble ikke forstått" in fake.sent[1].text
    assert [(note.by, note.why) for note in notes if note.kind == "note"] == [("Konsoll", "ok 4711")]
    assert not any(word in said for word in (TOKEN, "40612345", "hemmelig", "4711"))


def test_a_port_that_is_taken_is_said_with_what_to_do(elks: Listening) -> None:
    with pytest.raises(ConfigError, match=r"receiver\.port: cannot listen on 127\.0\.0\.1 port"):
        Receiver(
            elks.bus, {}, lambda *_: None, host="127.0.0.1", port=elks.receiver.port, clock=SystemClock(),
            metrics=elks.metrics, part=elks.health.part("other"),
        )  # fmt: skip


def test_a_reply_of_somebody_we_know_is_kept_and_a_strangers_is_not(bus: Bus, tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text(
        "people: {kari: {name: Kari, contacts: [{channel: sms, target: '40612345'}]}}\n"
        "repeat_every: {critical: 5m, warning: 5m, info: 1h}\n",
        encoding="utf-8",
    )
    on_reply = answer_pages(bus, lambda: load_people(tmp_path / "people.yaml"), lambda: read_book(bus))
    on_reply("sms", NUMBER, "ok 4711", NOTE.at, "")
    on_reply("sms", "+4740612346", "hemmelig", NOTE.at, "")
    said = [each for each in scan(bus, DECISIONS) if isinstance(each, Decision)]
    assert [(each.by, each.kind, each.why) for each in said] == [("Kari", "note", "ok 4711")]


def paged(bus: Bus, folder: Path) -> Callable[..., None]:
    """Kari (SMS and voice) had pages: a1 by SMS with the code 4711, then a2 by SMS and voice with 4712; Ola had a3 by
    SMS with 4713. What they answer."""
    (folder / "people.yaml").write_text(
        "people:\n"
        f"  kari: {{name: Kari, contacts: [{{channel: sms, target: '{NUMBER}'}}, "
        f"{{channel: voice, target: '{NUMBER}'}}]}}\n"
        f"  ola: {{name: Ola, contacts: [{{channel: sms, target: '{OTHER}'}}]}}\n"
        "repeat_every: {critical: 5m, warning: 5m, info: 1h}\n",
        encoding="utf-8",
    )
    for id_ in ("a1", "a2", "a3", "a4"):
        bus.publish([Message("alerts", id_, encode(alert(id_, at=NOTE.at)))])
    sends = (
        ("a1", "kari", "4711", ("sms",)),
        ("a2", "kari", "4712", ("sms", "voice")),
        ("a3", "ola", "4713", ("sms",)),
    )
    for id_, person, code, channels in sends:
        page = Page(id=f"p{id_}", at=NOTE.at, why=PageWhy.STEP, person=person, alerts={id_: "firing"}, code=code)
        hashchain.append(bus, "deliveries", page)
        for channel in channels:
            delivery = Delivery(
                intent=f"{id_}{channel}", page=page.id, alert=id_, alerts=(id_,), at=NOTE.at, step=0, channel=channel,
                target=NUMBER if person == "kari" else OTHER, outcome=Outcome.SENT,
            )  # fmt: skip
            hashchain.append(bus, "deliveries", delivery)
    return answer_pages(bus, lambda: load_people(folder / "people.yaml"), lambda: read_book(bus))


def answered(bus: Bus) -> list[tuple[str, str]]:
    words = [each for each in scan(bus, DECISIONS) if isinstance(each, Decision)]
    return [(each.id, each.by) for each in words if each.kind == "acknowledge"]


def test_the_code_of_a_page_answers_it_and_the_key_of_a_call_the_newest_that_was_read_out(
    bus: Bus, tmp_path: Path
) -> None:
    on_reply = paged(bus, tmp_path)
    on_reply("sms", NUMBER, " 4711\n", NOTE.at)
    on_reply("voice", NUMBER, "1", NOTE.at)
    assert answered(bus) == [("a1", "Kari"), ("a2", "Kari")]
    on_reply("sms", NUMBER, "4711", NOTE.at)
    assert len(answered(bus)) == 2, "a second time changes nothing"


@pytest.mark.parametrize(
    ("channel", "number", "text"),
    [
        ("sms", NUMBER, "4799"),
        ("sms", NUMBER, "4713"),
        ("sms", OTHER, "4711"),
        ("sms", "+4740612346", "4711"),
        ("sms", NUMBER, "nei 4711"),
        ("sms", NUMBER, "I can’t: 4711"),
        ("sms", NUMBER, "4711?"),
        ("sms", NUMBER, "4711 4712"),
        ("sms", NUMBER, "svar 04711"),
        ("sms", NUMBER, "ok 4799"),
        ("sms", NUMBER, "Du skrev: KRITISK kl. 03.00. Kvitter: svar 4711."),
        ("sms", NUMBER, "ja"),
        ("sms", NUMBER, ""),
        ("sms", NUMBER, "1"),
        ("voice", NUMBER, "2"),
        ("voice", NUMBER, ""),
        ("voice", OTHER, "1"),
    ],
)
def test_nothing_else_is_ever_taken_as_yes(bus: Bus, tmp_path: Path, channel: str, number: str, text: str) -> None:
    paged(bus, tmp_path)(channel, number, text, NOTE.at)
    assert answered(bus) == []


def test_the_id_of_a_reply_is_read_from_the_call_or_from_the_address_that_was_called() -> None:
    settings = ReplySettings(number="To", text="Digits", id="id")
    said = {"To": [NUMBER], "Digits": ["1"]}
    assert replied(settings, said, {"id": ["abc"]}) == (NUMBER, "1", "abc")
    assert replied(settings, said | {"id": ["xyz"]}, {"id": ["abc"]}).id == "xyz"
    assert replied(settings, said).id == ""
    assert replied(settings.model_copy(update={"id": None}), said, {"id": ["abc"]}).id == ""


@pytest.mark.parametrize("text", ["svar 4711", "4711 ok", "4711.", "Svar: 4711, er på vei", "«4711»"])
def test_a_code_counts_among_a_few_words(bus: Bus, tmp_path: Path, text: str) -> None:
    on_reply = paged(bus, tmp_path)
    on_reply("sms", NUMBER, text, NOTE.at)
    assert answered(bus) == [("a1", "Kari")]
    on_reply("sms", NUMBER, text, NOTE.at)
    assert len(helped(bus)) == 1, "what is answered already is not meant"


def called(bus: Bus, id_: str, outcome: Outcome | None, minutes: float = 0, **more: Any) -> Delivery:
    """Kari is called about one more alert, by a call of which that became."""
    at = NOTE.at + timedelta(minutes=minutes)
    bus.publish([Message("alerts", id_, encode(alert(id_, at=at)))])
    page = Page(id=f"p{id_}", at=at, why=PageWhy.STEP, person="kari", alerts={id_: "firing"}, code="4799")
    hashchain.append(bus, "deliveries", page)
    delivery = Delivery(
        intent=intent_id(page.id, "voice", NUMBER), page=page.id, alert=id_, alerts=(id_,), at=at, step=0,
        channel="voice", target=NUMBER, outcome=outcome, provider_ids=(f"CA-{id_}",) if outcome else (), **more,
    )  # fmt: skip
    return hashchain.append(bus, "deliveries", delivery)


def test_a_key_answers_the_call_that_the_gateway_names(bus: Bus, tmp_path: Path) -> None:
    on_reply = paged(bus, tmp_path)
    called(bus, "b1", Outcome.SENT, 1)
    ours = called(bus, "b2", None, 2).intent
    called(bus, "b3", Outcome.SENT, 3)
    on_reply("voice", NUMBER, "1", NOTE.at, "CA-b1")
    on_reply("voice", NUMBER, "1", NOTE.at, ours)
    assert answered(bus) == [("b1", "Kari"), ("b2", "Kari")]
    on_reply("voice", NUMBER, "1", NOTE.at, "CA-unknown")
    on_reply("voice", OTHER, "1", NOTE.at, "CA-b3")
    assert len(answered(bus)) == 2, "a call that we do not know is not taken for another, nor another's number"


def test_a_key_without_an_id_never_answers_a_call_that_was_not_made(bus: Bus, tmp_path: Path) -> None:
    on_reply = paged(bus, tmp_path)
    called(bus, "b1", Outcome.PERMANENT, 1, reason="refused 403")
    on_reply("voice", NUMBER, "1", NOTE.at + timedelta(minutes=2))
    assert answered(bus) == [("a2", "Kari")]


@pytest.mark.parametrize("outcome", [Outcome.SENT, None])
def test_of_two_calls_at_once_a_key_without_an_id_answers_neither_and_is_answered_with_help(
    bus: Bus, tmp_path: Path, outcome: Outcome | None
) -> None:
    on_reply = paged(bus, tmp_path)
    called(bus, "b1", outcome, 1)
    on_reply("voice", NUMBER, "1", NOTE.at + timedelta(minutes=2))
    assert answered(bus) == []
    (page,) = helped(bus)
    assert (page.person, page.way) == ("kari", ("sms", NUMBER)), "by a way that is no call"


def test_of_calls_long_apart_a_key_answers_the_newest(bus: Bus, tmp_path: Path) -> None:
    on_reply = paged(bus, tmp_path)
    called(bus, "b1", Outcome.SENT, 20)
    on_reply("voice", NUMBER, "1", NOTE.at + timedelta(minutes=21))
    assert answered(bus) == [("b1", "Kari")]


def test_on_a_shared_telephone_whoever_was_paged_has_it_and_each_test_is_their_own(bus: Bus, tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text(
        "people:\n"
        f"  first: {{name: Kari, ways: [{{channel: sms, target: '{NUMBER}'}}]}}\n"
        f"  kari: {{name: Kari, ways: [{{channel: sms, target: '{NUMBER}'}}]}}\n"
        f"  ola: {{name: Ola, ways: [{{channel: sms, target: '{NUMBER}'}}]}}\n",
        encoding="utf-8",
    )
    people = load_people(tmp_path / "people.yaml")
    for id_, person, code in (("a1", "kari", "4711"), ("a2", "ola", "4712")):
        bus.publish([Message("alerts", id_, encode(alert(id_, at=NOTE.at)))])
        page = Page(id=f"p{id_}", at=NOTE.at, why=PageWhy.STEP, person=person, alerts={id_: "firing"}, code=code)
        hashchain.append(bus, "deliveries", page)
        delivery = Delivery(
            intent=id_, page=page.id, alert=id_, alerts=(id_,), at=NOTE.at, step=0, channel="sms", target=NUMBER,
            outcome=Outcome.SENT,
        )  # fmt: skip
        hashchain.append(bus, "deliveries", delivery)
    book = FollowedBook(bus, SystemClock())
    on_reply = answer_pages(bus, lambda: people, book.read, book.decided)
    for code in ("4711", "4712"):
        on_reply("sms", NUMBER, code, NOTE.at)
    assert answered(bus) == [("a1", "kari"), ("a2", "Ola")], "by the key, where two are called the same"
    ways = (TriedWay(code="21", channel="sms", place=place_digest(Place("sms", NUMBER))),)
    hashchain.append(bus, DECISIONS.name, WayTest(at=NOTE.at, by="ola", person="ola", ways=ways))
    on_reply("sms", NUMBER, "21", NOTE.at)
    assert [each.person for each in scan(bus, DECISIONS) if isinstance(each, WayConfirmed)] == ["ola"]


def helped(bus: Bus) -> list[Page]:
    return [each for each in scan(bus, DELIVERIES) if isinstance(each, Page) and each.what == "help"]


def test_a_reply_that_we_do_not_understand_is_answered_with_how_to_by_the_way_it_came(bus: Bus, tmp_path: Path) -> None:
    on_reply = paged(bus, tmp_path)
    on_reply("sms", NUMBER, "er på vei", NOTE.at)
    (page,) = helped(bus)
    assert (page.person, page.way, page.about) == ("kari", ("sms", NUMBER), "pa2")
    assert answered(bus) == []
    on_reply("voice", NUMBER, "2", NOTE.at + timedelta(hours=1))
    on_reply("sms", "+4740612346", "hva er dette", NOTE.at + timedelta(hours=1))
    assert len(helped(bus)) == 1, "neither a call nor a stranger"


def test_help_ends_with_what_waits_and_an_absence_note_is_not_answered_for_ever(bus: Bus, tmp_path: Path) -> None:
    on_reply = paged(bus, tmp_path)
    on_reply("sms", NUMBER, "4712", NOTE.at)
    for minute in range(0, 24 * 60, 5):
        on_reply("sms", NUMBER, "Jeg har fri til mandag", NOTE.at + timedelta(minutes=minute))
    pages = helped(bus)
    assert len(pages) == 5
    assert pages[0].about == "pa1", "a2 was answered"
    assert pages[1].at - pages[0].at == timedelta(minutes=10)
    on_reply("sms", NUMBER, "4711", NOTE.at + timedelta(days=1, minutes=40))
    on_reply("sms", NUMBER, "takk", NOTE.at + timedelta(days=1, minutes=50))
    assert helped(bus)[-1].about == ""
    assert len([each for each in scan(bus, DECISIONS) if isinstance(each, Decision) and each.kind == "note"]) == 289


def test_the_code_of_a_test_message_says_that_it_came_from_the_number_that_it_went_to(bus: Bus, tmp_path: Path) -> None:
    paged(bus, tmp_path)
    book = FollowedBook(bus, SystemClock())
    on_reply = answer_pages(bus, lambda: load_people(tmp_path / "people.yaml"), book.read, book.decided)
    ways = tuple(TriedWay(code=code, channel="sms", place=place_digest(Place("sms", NUMBER))) for code in ("21", "22"))
    hashchain.append(bus, DECISIONS.name, WayTest(at=NOTE.at, by="ola", person="kari", ways=ways))
    on_reply("sms", OTHER, "21", NOTE.at)
    on_reply("voice", NUMBER, "21", NOTE.at)
    confirmed = [each for each in scan(bus, DECISIONS) if isinstance(each, WayConfirmed)]
    assert confirmed == [], "neither from another's number nor by another way"
    on_reply("sms", NUMBER, " 22 ", NOTE.at)
    (came,) = [each for each in scan(bus, DECISIONS) if isinstance(each, WayConfirmed)]
    assert (came.person, came.by, came.way) == ("kari", "Kari", ways[1])
    assert answered(bus) == []
