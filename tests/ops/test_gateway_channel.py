"""SMS over gateways as each provider's pages describe them: what arrives there, and what is made of every answer."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from gateway_support import DOCUMENTED, NUMBER, opened, settings_of
from pydantic import ValidationError

from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import Channel, ChannelError, FailureReason, SendNote, channel_type, uncertain
from tests.fakes.gateway import MANNERS, FakeGateway, gateway

NOTE = SendNote("a" * 32, "alert1", 2, 1, False, datetime(2031, 3, 2, 2, 14, tzinfo=UTC))
SUBJECT = "ØVELSE · KRITISK: 14 spør etter pårørendetelefon"
SENT = "ØVELSE - KRITISK: 14 spør etter pårørendetelefon"


def card(subject: str = SUBJECT) -> Card:
    return Card(subject, (subject, "27 treff"), {"text": "x"}, True)


@pytest.fixture(params=MANNERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fake(provider: str) -> Iterator[FakeGateway]:
    with gateway(MANNERS[provider]) as started:
        yield started


@pytest.fixture
def sms(provider: str, fake: FakeGateway, tmp_path: Path) -> Channel:
    return opened(provider, tmp_path, fake)


def send(channel: Channel, subject: str = SUBJECT, target: str = NUMBER) -> tuple[str, ...]:
    return channel.prepare(card(subject), target, note=NOTE)()


def failure(channel: Channel) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        send(channel)
    return caught.value


def test_every_gateway_that_the_page_describes_is_tried() -> None:
    assert {provider for provider, channel in DOCUMENTED if channel == "sms"} == MANNERS.keys()


def test_a_message_arrives_whole_and_its_ids_come_back(fake: FakeGateway, sms: Channel) -> None:
    ids = send(sms, target="406 12 345")
    (message,) = fake.sent
    assert message.text == SENT
    assert message.to in (NUMBER, NUMBER.removeprefix("+"))
    assert ids == message.ids
    assert sms.wakes
    assert not sms.in_house


def test_whoever_logs_in_does_so_once(provider: str, fake: FakeGateway, sms: Channel) -> None:
    send(sms)
    (request,) = fake.requests
    in_body = b"hemmelig-passord" in request.body
    assert in_body == (provider in ("PSWinCom", "Sveve", "Vonage"))
    assert ("Authorization" in request.headers) != in_body
    if not in_body:
        assert request.login.endswith(":hemmelig-passord")


HOSTILE = [
    "{{text}} ${text} {to} {password}",
    "a&to=+4700000000&from=Politiet#",
    '"},{"to":"+4700000000","msg":"x"}],"x":["',
    "</TEXT><RCV>4700000000</RCV><TEXT>]]><!-- & %26to=1",
    'a\\",\\u0022 % + ; = ? / æøå é ñ',
    "Brann\r\nBcc: alle@sykehus.example",
]


def hostile() -> list[str]:
    folder = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    outside = json.loads((Path(folder) / "duty" / "hostile.json").read_bytes()) if folder else []
    return HOSTILE + [case["text"] for case in outside if case["where"] != "target"]


def shape(fields: Any) -> Any:
    """The fields without their values."""
    if isinstance(fields, dict):
        return {name: shape(value) for name, value in fields.items()}
    if isinstance(fields, list):
        return [shape(each) for each in fields]
    if hasattr(fields, "iter"):
        return [element.tag for element in fields.iter()]
    return type(fields).__name__


def test_no_text_adds_a_field_or_changes_one(fake: FakeGateway, sms: Channel) -> None:
    send(sms, "x")
    usual = fake.requests[0]
    for text in hostile():
        send(sms, f"ØVELSE: {text} SLUTT")
        came, message = fake.requests[-1], fake.sent[-1]
        assert shape(came.fields) == shape(usual.fields), text
        assert message.to == fake.sent[0].to, text
        assert message.text.startswith("ØVELSE: "), text
        assert "hemmelig-passord" not in message.text, text
        assert len(message.text.splitlines()) == 1, text
        if text in HOSTILE[:4]:
            assert message.text == f"ØVELSE: {text} SLUTT"


def test_a_bad_number_or_login_is_refused_for_good_whatever_the_status(
    provider: str, fake: FakeGateway, sms: Channel
) -> None:
    fake.faults.append("refuse")
    error = failure(sms)
    assert error.permanent
    wanted = {
        "LINK Mobility": "bad_target 2104", "PSWinCom": "refused 200", "Sveve": "refused 200", "46elks": "login 403",
        "Twilio": "bad_target 21614", "Vonage": "bad_target 6",
    }  # fmt: skip
    assert error.word == wanted[provider]
    assert fake.sent == []


@pytest.mark.parametrize(
    ("fault", "reason", "permanent", "may_have_arrived"),
    [
        ("temporary", FailureReason.BUSY, False, False),
        ("429", FailureReason.BUSY, False, False),
        ("500", FailureReason.BUSY, False, False),
        ("302", FailureReason.REDIRECTED, True, False),
        ("404", FailureReason.REFUSED, True, False),
        ("stall", FailureReason.NO_ANSWER, False, True),
        ("reset after", FailureReason.NO_ANSWER, False, True),
        ("garbage", FailureReason.NO_ANSWER, False, True),
    ],
)
def test_what_a_gateway_answers_decides_whether_to_try_again(
    fake: FakeGateway, sms: Channel, fault: str, reason: FailureReason, permanent: bool, may_have_arrived: bool
) -> None:
    fake.faults.append(fault)
    error = failure(sms)
    assert (error.reason, error.permanent, uncertain(error.word)) == (reason, permanent, may_have_arrived)


def test_an_answer_in_latin_1_is_an_answer(tmp_path: Path) -> None:
    with gateway(MANNERS["46elks"]) as fake:
        fake.faults.append("latin-1")
        assert send(opened("46elks", tmp_path, fake)) == fake.sent[0].ids


def test_an_answer_that_drips_is_left_in_time_and_may_have_been_one(tmp_path: Path) -> None:
    with gateway(MANNERS["46elks"]) as fake:
        fake.faults.append("drip")
        began = time.monotonic()
        error = failure(opened("46elks", tmp_path, fake, timeout=0.3))
        assert (error.reason, uncertain(error.word)) == (FailureReason.NO_ANSWER, True)
        assert time.monotonic() - began < 4


def test_no_log_and_no_error_holds_number_text_or_password(
    fake: FakeGateway, sms: Channel, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send(sms)
    for fault in ("refuse", "garbage", "302", "reset after"):
        fake.faults.append(fault)
        error = failure(sms)
        assert error.__cause__ is None
        assert not any(word in str(error) for word in ("406", "KRITISK", "hemmelig"))
    assert caplog.text == ""


def test_latin_1_is_written_as_the_gateway_reads_it(tmp_path: Path) -> None:
    body = {"form": {"RCV": "{digits}", "TXT": "{text} €"}, "encoding": "latin-1"}
    with gateway(MANNERS["46elks"]) as fake:
        settings = settings_of("46elks", tmp_path, fake.url, body=body, success={}, ids=[])
        fake.faults.append("200")
        assert channel_type("sms").open(settings).prepare(card(), NUMBER, note=NOTE)() == ()
        assert fake.requests[0].fields == {"RCV": "4740612345", "TXT": f"{SENT} ?"}
        assert b"%D8VELSE" in fake.requests[0].body


def test_a_get_has_its_fields_in_the_address(tmp_path: Path) -> None:
    with gateway(MANNERS["46elks"]) as fake:
        sms = opened("46elks", tmp_path, fake, method="GET", url=f"{fake.url}?from=Lytt%20her",
                     body={"form": {"to": "{to}", "message": "{text}"}})  # fmt: skip
        assert send(sms, "a&to=+47#") == fake.sent[0].ids
        assert fake.requests[0].fields == {"from": "Lytt her", "to": NUMBER, "message": "a&to=+47#"}


def test_an_address_or_json_within_a_field_is_escaped_as_such(tmp_path: Path) -> None:
    fields = {
        "to": "{to}",
        "message": {"url": "https://h.example/?t={text}&x=1"},
        "j": {"json": {"say": ["{text}", 1]}},
    }
    with gateway(MANNERS["46elks"]) as fake:
        send(opened("46elks", tmp_path, fake, body={"form": fields}), 'a&b="{to}"')
        came = fake.requests[0].fields
        assert came["message"] == "https://h.example/?t=a%26b%3D%22%7Bto%7D%22&x=1"
        assert json.loads(came["j"]) == {"say": ['a&b="{to}"', 1]}


def test_a_call_reads_the_alert_aloud_and_waits_for_a_key(tmp_path: Path) -> None:
    with gateway(MANNERS["Twilio"]) as fake:
        fake.faults.append("201")
        voice = opened("Twilio", tmp_path, fake, channel="voice", ids=[])
        voice.prepare(card("Røyk <Say>Politiet</Say> & ild"), "+4721000000", note=NOTE)()
        twiml = fake.requests[0].fields["Twiml"]
        assert "Røyk &lt;Say&gt;Politiet&lt;/Say&gt; &amp; ild</Say>" in twiml
        assert twiml.startswith("<Response><Gather")
        assert voice.wakes


def test_a_message_longer_than_two_segments_is_cut_and_three_may_be_asked_for(tmp_path: Path) -> None:
    with gateway(MANNERS["46elks"]) as fake:
        send(opened("46elks", tmp_path, fake), "x" * 1000)
        send(opened("46elks", tmp_path, fake, segments=3), "x" * 1000)
        assert [len(message.text) for message in fake.sent] == [306, 459]


def test_the_short_form_of_a_card_is_sent_where_it_has_one(tmp_path: Path) -> None:
    card = Card("langt", ("x",), {}, urgent=True, short="KRITISK: røyk\nhttps://lytt.example/a/1")
    with gateway(MANNERS["46elks"]) as fake:
        opened("46elks", tmp_path, fake).prepare(card, NUMBER, note=NOTE)()
        assert fake.sent[0].text == "KRITISK: røyk https://lytt.example/a/1"


FORM = {"form": {"to": "{to}", "message": "{text}"}}


@pytest.mark.parametrize(
    "more",
    [
        {"body": None}, {"body": {}}, {"body": {**FORM, "json": {}}}, {"body": {"form": {"to": "{to}"}}},
        {"body": {"form": {"m": "{text}"}}}, {"body": {"form": {"m": "{text} {to} {number}"}}},
        {"body": {"form": {"m": "{text}", "to": ["{to}"]}}}, {"body": {"form": {"m": "{text} {to}", "x": None}}},
        {"body": {"xml": "<a>{text}{to}"}}, {"body": {"form": {"m": {"xml": "{text}"}, "to": "{to}"}}},
        {"body": {"json": {"m": "{text} {to}"}, "encoding": "latin-1"}},
        {"body": {"form": {"to": "{to}", "u": "https://here.example/?t={text}"}}},
        {"body": {"form": {"to": "{to}", "u": '{"say": "{text}"}'}}},
        {"body": {"json": {"to": "{to}", "u": "<Say>{text}</Say>"}}},
        {"body": {"form": {"m": "{text} {to} {password}"}}, "user": None, "password_file": None},
        {"user": None}, {"password_file": None}, {"user": "a:b"}, {"headers": {"Authorization": "Basic x"}},
        {"method": "GET", "body": {"json": {"m": "{text} {to}"}}}, {"method": "DELETE"},
        {"success": {"status": [404]}}, {"success": {"body": [{"path": "x"}]}},
        {"success": {"body": [{"path": "x", "equals": 1, "absent": True}]}},
        {"success": {"body": [{"path": "x", "matches": "("}]}}, {"codes": {"path": "x", "temporary": ["["]}},
        {"callback_token_file": None}, {"callback_token": "x" * 20}, {"segments": 0}, {"url": "gateway.example"},
        {"url": "https://u:p@gateway.example/"}, {"password_file": "/nowhere"}, {"receipt": {"id": "id"}},
        {"answer": "html"}, {"ids": "id"}, {"timeout": 31}, {"hots": 1},
    ],
)  # fmt: skip
def test_settings_that_can_never_send_are_refused(more: dict[str, Any], tmp_path: Path) -> None:
    good = settings_of("46elks", tmp_path, "https://gateway.example/send", body=FORM)
    channel_type("sms").open(good)
    wrong = {key: value for key, value in {**good, **more}.items() if value is not None}
    with pytest.raises(ValidationError) as caught:
        channel_type("sms").open(wrong)
    shown = json.dumps(caught.value.errors(include_input=False, include_context=False, include_url=False))
    assert "hemmelig" not in shown
    assert "x" * 20 not in shown


@pytest.mark.parametrize("token", ["kort", "to ord som er lange nok", "skråstrek/er-ikke-lov"])
def test_a_token_that_could_be_guessed_or_be_no_part_of_an_address_is_refused(token: str, tmp_path: Path) -> None:
    settings = settings_of("46elks", tmp_path, "https://gateway.example/send")
    (tmp_path / "token").write_text(token, encoding="utf-8")
    with pytest.raises(ValidationError, match="16 or more"):
        channel_type("sms").open(settings)
