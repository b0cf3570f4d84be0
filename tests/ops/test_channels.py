"""The channels against far ends that misbehave: what arrives, and what is said of what does not."""

from __future__ import annotations

import hmac
import io
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from alerts.notify.channels import email as mail_channel
from alerts.notify.channels.card import Card
from alerts.notify.channels.console import Console, ConsoleSettings
from alerts.notify.channels.contract import (
    CHANNELS,
    Channel,
    ChannelError,
    FailureReason,
    SendNote,
    open_channels,
    uncertain,
)
from alerts.notify.channels.email import Email, SmtpSettings
from alerts.notify.channels.webhook import Webhook, WebhookSettings
from listener.errors import ConfigError
from listener.settings.files import RawSettings, parse_yaml
from tests.fakes.drip import dripping_server
from tests.fakes.smtp import FakeSmtp, smtp_server
from tests.fakes.webhook import FakeWebhook, webhook_server

AT = datetime(2031, 3, 2, 2, 14, tzinfo=UTC)
NOTE = SendNote("a" * 32, "alert1", 2, 1, False, AT)
CARD = Card("KRITISK: Mange spør om veien", ("KRITISK: Mange spør om veien", "27 treff på 5 min"), {"text": "x"}, True)


@pytest.fixture
def smtp():
    with smtp_server() as fake:
        yield fake


@pytest.fixture
def hook():
    with webhook_server() as fake:
        yield fake


def email(fake: FakeSmtp, **more: object) -> Email:
    settings = {"host": "127.0.0.1", "port": fake.port, "encryption": "none", "from": "lytte@sykehus.example"}
    return Email(SmtpSettings.model_validate({**settings, "timeout": 0.3, **more}))


def webhook(fake: FakeWebhook, **more: object) -> Webhook:
    return Webhook(WebhookSettings.model_validate({"url": fake.url, "timeout": 0.3, **more}))


def send(channel: Channel, card: Card, target: str, *, note: SendNote) -> None:
    channel.prepare(card, target, note=note)()


def failure(send: Callable[[], None]) -> ChannelError:
    with pytest.raises(ChannelError) as caught:
        send()
    return caught.value


def test_a_mail_arrives_with_its_letters_and_a_name_of_its_intent(smtp: FakeSmtp) -> None:
    send(email(smtp), CARD, "Kari <kari@sykehus.example>", note=NOTE)
    (mail,) = smtp.seen
    assert mail.to == "kari@sykehus.example"
    assert mail.message["Subject"] == CARD.subject
    assert mail.text.splitlines() == list(CARD.lines)
    assert mail.message["Message-ID"] == f"<{NOTE.intent}@sykehus.example>"
    assert mail.message["References"] == "<alert1@sykehus.example>"
    assert mail.message["Importance"] == "high"


def test_a_repeat_bears_the_same_message_id(smtp: FakeSmtp) -> None:
    for attempt in (1, 2):
        note = SendNote(NOTE.intent, NOTE.alert, 2, attempt, attempt > 1, AT)
        send(email(smtp), CARD, "kari@sykehus.example", note=note)
    assert len({mail.message["Message-ID"] for mail in smtp.seen}) == 1


@pytest.mark.parametrize(
    ("fault", "reason", "permanent", "may_have_arrived"),
    [
        ("421", FailureReason.BUSY, False, False),
        ("451 rcpt", FailureReason.BUSY, False, False),
        ("451", FailureReason.BUSY, False, False),
        ("550", FailureReason.BAD_TARGET, True, False),
        ("554", FailureReason.REFUSED, True, False),
        ("hang", FailureReason.BROKEN_OFF, False, False),
        ("reset", FailureReason.BROKEN_OFF, False, False),
        ("accept then reset", FailureReason.NO_ANSWER, False, True),
    ],
)
def test_what_a_mail_server_says_decides_whether_to_try_again(
    smtp: FakeSmtp, fault: str, reason: FailureReason, permanent: bool, may_have_arrived: bool
) -> None:
    smtp.faults.append(fault)
    error = failure(lambda: send(email(smtp), CARD, "kari@sykehus.example", note=NOTE))
    assert (error.reason, error.permanent, uncertain(error.word)) == (reason, permanent, may_have_arrived)


def test_no_mail_server_is_temporary() -> None:
    dead = FakeSmtp()
    dead.port = 1
    error = failure(lambda: send(email(dead), CARD, "kari@sykehus.example", note=NOTE))
    assert (error.reason, error.permanent) == (FailureReason.UNREACHABLE, False)


def test_a_server_without_starttls_gets_nothing_when_encryption_was_asked_for(smtp: FakeSmtp) -> None:
    error = failure(lambda: send(email(smtp, encryption="starttls"), CARD, "kari@sykehus.example", note=NOTE))
    assert (error.reason, error.permanent, smtp.tries) == (FailureReason.INSECURE, True, 0)


def test_an_address_that_is_none_is_permanent_and_asks_no_server(smtp: FakeSmtp) -> None:
    error = failure(lambda: send(email(smtp), CARD, "kari", note=NOTE))
    assert (error.reason, error.permanent, smtp.tries) == (FailureReason.BAD_TARGET, True, 0)


def test_an_error_holds_neither_address_nor_password_nor_what_the_server_said(smtp: FakeSmtp) -> None:
    smtp.faults.append("550")
    error = failure(lambda: send(email(smtp), CARD, "kari@sykehus.example", note=NOTE))
    assert str(error) == "bad_target 550"
    assert error.__cause__ is None


def test_a_password_comes_from_a_file_and_shows_nowhere(tmp_path) -> None:
    (tmp_path / "password").write_text("hemmelig\n")
    base = {"host": "mail.example", "from": "a@b.example", "user": "lytte"}
    settings = SmtpSettings.model_validate({**base, "password_file": tmp_path / "password"})
    assert settings.secret() == "hemmelig"
    assert "hemmelig" not in repr(SmtpSettings.model_validate({**base, "password": "hemmelig"}))
    with pytest.raises(ValidationError, match="password or password_file"):
        SmtpSettings.model_validate(base)


def test_a_webhook_gets_json_with_its_intent_and_signature(hook: FakeWebhook) -> None:
    send(webhook(hook, secret="nøkkel", headers={"Authorization": "Bearer t"}), CARD, "vaktrom", note=NOTE)
    (call,) = hook.seen
    assert call.path == "/hook?room=1"
    assert call.json == {"text": "x", "to": "vaktrom"}
    assert call.headers["Idempotency-Key"] == NOTE.intent
    assert call.headers["Authorization"] == "Bearer t"
    stamp = call.headers["X-Lyttepost-Timestamp"]
    expected = hmac.new("nøkkel".encode(), stamp.encode() + b"." + call.body, "sha256").hexdigest()
    assert call.headers["X-Lyttepost-Signature"] == f"sha256={expected}"


@pytest.mark.parametrize(
    ("fault", "reason", "permanent", "may_have_arrived"),
    [
        ("500", FailureReason.BUSY, False, False),
        ("429", FailureReason.BUSY, False, False),
        ("408", FailureReason.BUSY, False, False),
        ("404", FailureReason.REFUSED, True, False),
        ("401", FailureReason.LOGIN, True, False),
        ("hang", FailureReason.NO_ANSWER, False, True),
        ("reset", FailureReason.NO_ANSWER, False, True),
    ],
)
def test_what_a_webhook_answers_decides_whether_to_try_again(
    hook: FakeWebhook, fault: str, reason: FailureReason, permanent: bool, may_have_arrived: bool
) -> None:
    hook.faults.append(fault)
    error = failure(lambda: send(webhook(hook), CARD, "", note=NOTE))
    assert (error.reason, error.permanent, uncertain(error.word)) == (reason, permanent, may_have_arrived)


def test_a_redirect_to_another_host_is_not_followed(hook: FakeWebhook) -> None:
    with webhook_server() as other:
        hook.faults.append(f"307 {other.url}")
        error = failure(lambda: send(webhook(hook, secret="s"), CARD, "", note=NOTE))
        assert (error.reason, error.permanent) == (FailureReason.REDIRECTED, True)
        assert other.tries == 0


def test_a_slow_answer_is_an_answer(hook: FakeWebhook) -> None:
    hook.faults.append("slow")
    send(webhook(hook, timeout=5), CARD, "", note=NOTE)
    assert len(hook.seen) == 1


# Each reads on as long as something comes: no single read takes longer than its time.
ENDLESS = {
    "a greeting of many lines": (b"220-", b"hei\r\n220-"),
    "an answer of many lines": (b"220 hei\r\n", b"250-x\r\n"),
    "a line without an end": (b"220 hei\r\n250-", b"x"),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_mail_server_that_never_comes_to_an_end_is_left_after_the_time_for_a_send(case: str) -> None:
    with dripping_server(*ENDLESS[case]) as port:
        slow = FakeSmtp()
        slow.port = port
        began = time.monotonic()
        error = failure(lambda: send(email(slow), CARD, "kari@sykehus.example", note=NOTE))
    assert (error.reason, error.permanent) in ((FailureReason.BROKEN_OFF, False), (FailureReason.UNREACHABLE, False))
    assert not uncertain(error.word)
    assert 1.0 < time.monotonic() - began < 4


@pytest.mark.parametrize("beginning", [b"HTTP/1.1 100 Continue\r\n\r\n", b"", b"HTTP/1.1 2"])
def test_a_webhook_that_never_comes_to_an_end_is_left_after_the_time_for_a_send(beginning: bytes) -> None:
    with dripping_server(beginning) as port:
        slow = Webhook(WebhookSettings.model_validate({"url": f"http://127.0.0.1:{port}/", "timeout": 0.3}))
        began = time.monotonic()
        error = failure(lambda: send(slow, CARD, "", note=NOTE))
    assert (error.reason, error.permanent, uncertain(error.word)) == (FailureReason.NO_ANSWER, False, True)
    assert time.monotonic() - began < 4


def test_headers_without_an_end_do_not_undo_the_status_and_show_no_address(caplog: pytest.LogCaptureFixture) -> None:
    with dripping_server(b"HTTP/1.1 200 OK\r\n") as port:
        slow = Webhook(WebhookSettings.model_validate({"url": f"http://127.0.0.1:{port}/key", "timeout": 0.6}))
        send(slow, CARD, "", note=NOTE)
    assert caplog.text == ""


def test_an_answers_body_is_not_waited_for() -> None:
    with dripping_server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n") as port:
        slow = Webhook(WebhookSettings.model_validate({"url": f"http://127.0.0.1:{port}/", "timeout": 5}))
        began = time.monotonic()
        send(slow, CARD, "", note=NOTE)
    assert time.monotonic() - began < 1


def test_a_webhook_address_shows_nowhere() -> None:
    settings = WebhookSettings.model_validate({"url": "https://hooks.example/T0/secret"})
    assert "secret'" not in repr(settings)
    assert "T0" not in repr(settings)
    with pytest.raises(ValidationError, match="https://"):
        WebhookSettings.model_validate({"url": "hooks.example"})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_console_shows_texts_on_a_terminal_only() -> None:
    assert Console(Terminal()).in_house
    assert not Console(io.StringIO()).in_house
    assert Console(io.StringIO(), ConsoleSettings(texts="always")).in_house
    assert not Console(Terminal(), ConsoleSettings(texts="never")).in_house


def test_a_console_that_is_no_utf8_still_shows_the_alert() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    send(Console(stream), CARD, "", note=NOTE)
    assert b"Mange sp?r om veien" in raw.getvalue()


def test_a_closed_console_is_a_channel_error() -> None:
    stream = io.StringIO()
    console = Console(stream)
    stream.close()
    assert not failure(lambda: send(console, CARD, "", note=NOTE)).permanent


def test_every_channel_of_the_table_opens_from_settings_and_bad_ones_name_the_line(tmp_path) -> None:
    def settings(text: str) -> RawSettings:
        file = parse_yaml(text, tmp_path / "settings.yaml")
        return RawSettings(file.data, file, {}, tmp_path)

    good = settings(
        "channels:\n  email: {host: mail.example, from: a@b.example}\n  webhook: {url: 'https://hooks.example/x'}\n"
        "  apprise: {services: {kari: 'json://localhost'}}\n"
        + "".join(f"  {name}: {{url: 'https://x.example'}}\n" for name in ("alertmanager", "ntfy", "slack", "teams"))
        + "".join(
            f"  {name}: {{url: 'https://x.example', body: {{form: {{n: '{{to}}', t: '{{text}}'}}}}}}\n"
            for name in ("sms", "voice")
        )
    )
    opened = open_channels(CHANNELS, good)
    assert set(opened) == set(CHANNELS)
    assert [name for name, channel in opened.items() if channel.in_house and name != "console"] == []
    assert {name for name, channel in opened.items() if channel.wakes} == {"ntfy", "sms", "voice"}
    with pytest.raises(ConfigError, match=r"settings\.yaml:3: channels\.email\.hots"):
        open_channels(["email"], settings("channels:\n  email:\n    hots: mail.example\n"))
    with pytest.raises(ConfigError, match=r"channels\.email"):
        open_channels(["email"], settings("channels: {}\n"))


def test_a_name_server_that_does_not_answer_delays_no_mail(smtp: FakeSmtp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_channel, "_own_name", [])
    never = threading.Event()

    def ask() -> str:
        never.wait(30)
        return "late.example.org"

    began = time.monotonic()
    assert mail_channel.own_name(ask, 0.1) == "[127.0.0.1]"
    assert time.monotonic() - began < 2
    assert mail_channel.own_name(lambda: "lyttepost.example.org") == "lyttepost.example.org"
    # It is known from now on, and nobody is asked.
    assert mail_channel.own_name(ask) == "lyttepost.example.org"
    never.set()
    send(email(smtp), CARD, "kari@sykehus.example", note=NOTE)
    assert len(smtp.seen) == 1
