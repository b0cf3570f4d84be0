"""What far ends receive, byte by byte: letters beyond ASCII, long lines, and nothing that anybody slipped in."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.utils import parseaddr
from quopri import decodestring
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import ChannelError, FailureReason, SendNote
from alerts.notify.channels.email import Email, SmtpSettings
from alerts.notify.channels.text import one_line
from alerts.notify.channels.webhook import Webhook, WebhookSettings
from tests.fakes.smtp import FakeSmtp, smtp_server
from tests.fakes.webhook import webhook_server

NOTE = SendNote("a" * 32, "alert1", 2, 1, False, datetime(2031, 3, 2, 2, 14, tzinfo=UTC))
HEADERS = ["Subject", "From", "To", "Date", "Message-ID", "References", "Auto-Submitted"]
BODY_HEADERS = ["Content-Type", "Content-Transfer-Encoding", "MIME-Version"]


@pytest.fixture(scope="module")
def smtp() -> Iterator[FakeSmtp]:
    with smtp_server(enable_SMTPUTF8=False) as fake:
        yield fake


def email(fake: FakeSmtp, **more: Any) -> Email:
    base = {"host": "127.0.0.1", "port": fake.port, "encryption": "none", "from": "lytte@sykehus.example"}
    return Email(SmtpSettings.model_validate({**base, "timeout": 5, **more}))


def mailed(fake: FakeSmtp, subject: str, text: str = "x", **more: Any) -> bytes:
    card = Card(subject, tuple(text.split("\n")), {}, False)
    email(fake, **more).prepare(card, "kari@sykehus.example", note=NOTE)()
    return fake.seen[-1].raw


def header(raw: bytes, name: str) -> str:
    """Unfolded, as RFC 5322 has it."""
    head = re.sub(r"\r\n(?=[ \t])", "", raw.partition(b"\r\n\r\n")[0].decode("ascii"))
    (found,) = [line for line in head.split("\r\n") if line.startswith(f"{name}:")]
    return found.partition(":")[2].removeprefix(" ")


def names(raw: bytes) -> list[str]:
    return re.findall(r"(?m)^([!-9;-~]+):", raw.partition(b"\r\n\r\n")[0].decode())


def by_the_letter(value: str) -> str:
    """RFC 2047 by hand: blanks between two encoded words are none."""
    joined = re.sub(r"(=\?[^? ]+\?[^? ]+\?[^? ]*\?=)\s+(?==\?)", r"\1", value.strip())

    def word(found: re.Match[str]) -> str:
        assert len(found[0]) <= 75
        text = decodestring(found[3].encode(), header=True) if found[2] in "qQ" else b64decode(found[3])
        return text.decode(found[1])

    return re.sub(r"=\?([^? ]+)\?([^? ]+)\?([^? ]*)\?=", word, joined)


SUBJECTS = [
    "KRITISK: Mange spør om veien",
    "ØVELSE · KRITISK: Røyk på nordsiden: 2 står og ser på nå, 14 spør om pårørendetelefon",
    "KRITISK: Ny emneknagg hos 14 personer på 5 min: åpningstider og besøkstid på Ås sykehus i natt",
    "PÅMINNELSE 3 · HAR GÅTT OVER · ADVARSEL: Æ e i A æ å, sa mannen fra Trøndelag da røyken kom sigende",
    "CRITICAL: plain words only, and so many of them that the line has to be folded more than one time",
    "KRITISK: 🔥🚑 røyk · 👨‍👩‍👧 savnet · e\u0301n familie · ﷽ · 漢字 · עברית",
    "å" * 200,
    "=?utf-8?B?QmNjOiB4QGV2aWwuZXhhbXBsZQ==?=",
    "KRITISK: =?utf-8?q?Bcc=3A?= og mer =?",
    "x" * 300,
    "",
    "?",
    *(f"KRITISK: {'ord ' * n}{m} står · så" for n in range(8, 20) for m in (1, 22, 333)),
]


@pytest.mark.parametrize("subject", SUBJECTS)
def test_a_subject_arrives_letter_for_letter(smtp: FakeSmtp, subject: str) -> None:
    raw = mailed(smtp, subject)
    wanted = one_line(subject)
    assert by_the_letter(header(raw, "Subject")) == wanted
    assert str(make_header(decode_header(header(raw, "Subject")))) == wanted
    assert smtp.seen[-1].message["Subject"] == wanted
    assert names(raw) == HEADERS + BODY_HEADERS


@examples(150)
@given(st.text(st.one_of(st.sampled_from(" æøåÆØÅ·–:,"), st.characters(codec="utf-8")), max_size=200), st.data())
def test_whatever_the_subject_and_the_text_no_letter_is_lost_and_no_line_too_long(
    smtp: FakeSmtp, subject: str, data: st.DataObject
) -> None:
    text = data.draw(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029")))
    raw = mailed(smtp, subject, text)
    assert by_the_letter(header(raw, "Subject")) == one_line(subject)
    assert names(raw) == HEADERS + BODY_HEADERS
    assert max(map(len, raw.split(b"\r\n"))) <= 78
    assert raw.replace(b"\r\n", b"").isascii()
    body = decodestring(raw.partition(b"\r\n\r\n")[2]).decode()
    assert body.removesuffix("\r\n") == text


HOSTILE = [
    "Brann\r\nBcc: alle@sykehus.example",
    "Kari\rReply-To: x@evil.example",
    "a\x00b\x07\x1b[31mc\x7f",
    "a\u2028Bcc: b",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_header_is_slipped_in(smtp: FakeSmtp, text: str) -> None:
    card = Card(text, (text,), {"text": text}, False)
    note = SendNote(NOTE.intent, text, 0, 1, False, NOTE.at)
    email(smtp).prepare(card, "kari@sykehus.example", note=note)()
    assert names(smtp.seen[-1].raw) == HEADERS + BODY_HEADERS
    assert smtp.seen[-1].to == "kari@sykehus.example"
    with webhook_server() as hook:
        Webhook(WebhookSettings.model_validate({"url": hook.url})).prepare(card, "", note=note)()
        assert hook.seen[0].json == {"text": text, "to": ""}


@pytest.mark.parametrize(
    "name", ["Lyttepost på Ås sykehus", "Lytteposten, vakt", 'Den "nye" vakta', "Vakt " * 13 + "vakt", "Å" * 70]
)
def test_the_senders_name_arrives_letter_for_letter(smtp: FakeSmtp, name: str) -> None:
    quoted = name.replace('"', r"\"")
    raw = mailed(smtp, "x", **{"from": f'"{quoted}" <lytte@sykehus.example>'})
    value = header(raw, "From")
    assert value.endswith("<lytte@sykehus.example>")
    # Not by `email`'s own parser: some versions of it put blanks between encoded words of a name.
    shown, address = parseaddr(by_the_letter(value) if "=?" in value else value)
    assert (shown, address) == (name, "lytte@sykehus.example")
    assert max(map(len, raw.split(b"\r\n"))) <= 110


def test_a_domain_beyond_ascii_needs_nothing_of_the_server(smtp: FakeSmtp) -> None:
    card = Card("x", ("x",), {}, False)
    box = {"from": "Lytte <lytte@ålesund-sykehus.example>"}
    email(smtp, **box).prepare(card, "vakt@ålesund-sykehus.example", note=NOTE)()
    assert smtp.seen[-1].to == "vakt@xn--lesund-sykehus-kib.example"
    assert header(smtp.seen[-1].raw, "To") == "vakt@xn--lesund-sykehus-kib.example"
    assert header(smtp.seen[-1].raw, "From") == "Lytte <lytte@xn--lesund-sykehus-kib.example>"
    assert smtp.options == []


def test_letters_before_the_at_need_a_server_that_takes_them(smtp: FakeSmtp) -> None:
    card = Card("Røyk", ("x",), {}, False)
    deliver = email(smtp).prepare(card, "kåre@sykehus.example", note=NOTE)
    with pytest.raises(ChannelError) as caught:
        deliver()
    assert (caught.value.reason, caught.value.permanent) == (FailureReason.NO_SMTPUTF8, True)
    with smtp_server(enable_SMTPUTF8=True) as modern:
        email(modern).prepare(card, "kåre@sykehus.example", note=NOTE)()
        (mail,) = modern.seen
        assert (mail.to, mail.message["To"]) == ("kåre@sykehus.example", "kåre@sykehus.example")
        assert "SMTPUTF8" in modern.options


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize(("user", "password"), [("lytte", "hemmelig"), ("lytte", "blåbærøl€"), ("kåre", "æ" * 300)])
def test_a_password_beyond_ascii_logs_in(mechanism: str, user: str, password: str) -> None:
    with smtp_server((mechanism,)) as fake:
        fake.accounts = {user.encode(): password.encode()}
        mailed(fake, "x", user=user, password=password)
        assert fake.logged_in == [(mechanism, user.encode())]
        with pytest.raises(ChannelError) as caught:
            mailed(fake, "x", user=user, password=password + "ø")
        assert (caught.value.reason, caught.value.permanent, caught.value.code) == (FailureReason.LOGIN, True, 535)


@pytest.mark.parametrize("password", ["hemmelig", "blåbær"])
def test_a_server_without_login_is_a_failure_for_good(smtp: FakeSmtp, password: str) -> None:
    with pytest.raises(ChannelError) as caught:
        mailed(smtp, "x", user="lytte", password=password)
    assert (caught.value.reason, caught.value.permanent) == (FailureReason.LOGIN, True)


def test_a_password_file_is_read_as_written_by_any_editor(tmp_path: Any) -> None:
    path = tmp_path / "password"
    path.write_bytes("\ufeffblåbær\r\n".encode())
    with smtp_server(("PLAIN",)) as fake:
        fake.accounts = {b"lytte": "blåbær".encode()}
        channel = email(fake, user="lytte", password_file=path)
        card = Card("x", ("x",), {}, False)
        channel.prepare(card, "kari@sykehus.example", note=NOTE)()
        assert len(fake.logged_in) == 1
        # It may be changed, and be wrong, while we run.
        path.write_bytes("blåbær".encode("latin-1"))
        with pytest.raises(ChannelError) as caught:
            channel.prepare(card, "kari@sykehus.example", note=NOTE)
        assert (caught.value.reason, caught.value.permanent) == (FailureReason.LOGIN, True)


GOOD_MAIL = {"host": "mail.example", "from": "l@sykehus.example"}
GOOD_HOOK = {"url": "https://hooks.example/x"}


@pytest.mark.parametrize(
    "more",
    [
        {"host": "mail server"}, {"host": ""}, {"host": "mail.example:25"}, {"host": "smtp://mail.example"},
        {"host": "999.1.1.1"}, {"port": 0}, {"port": 65536}, {"timeout": 0}, {"timeout": 31},
        {"from": "lytte"}, {"from": "kåre@sykehus.example"}, {"from": "a@b.example, c@d.example"},
        {"from": "l@b.example\r\nBcc: x@evil.example"}, {"user": "l"}, {"password": "x"}, {"password_file": "x"},
        {"user": "l", "password": "x", "password_file": "/y"}, {"user": "", "password": "x"},
        {"user": "l\x00", "password": "x"}, {"user": "l", "password": ""}, {"user": "l", "password": "x\ny"},
        {"user": "l", "password": "a\x00b"}, {"user": "l", "password_file": "/nowhere"},
        {"user": "l", "password_file": "/"}, {"user": "l", "password_file": "smtp"},
    ],
)  # fmt: skip
def test_mail_settings_that_can_never_send_are_refused(more: dict[str, Any]) -> None:
    SmtpSettings.model_validate(GOOD_MAIL)
    with pytest.raises(ValidationError):
        SmtpSettings.model_validate({**GOOD_MAIL, **more})


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"\xef\xbb\xbf", "blåbær".encode("latin-1"), b"two\nlines", b"a\x00b"]
)
def test_a_password_file_that_is_none_is_refused_without_showing_it(tmp_path: Any, content: bytes) -> None:
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(ValidationError) as caught:
        SmtpSettings.model_validate({**GOOD_MAIL, "user": "l", "password_file": tmp_path / "p"})
    message = caught.value.errors(include_input=False)[0]["msg"]
    assert "password" in message
    assert "two" not in message


@pytest.mark.parametrize(
    "more",
    [
        {"url": "https://hooks.example:65536/x"}, {"url": "https://hooks.example:0/"}, {"url": "https://a b.example/"},
        {"url": "https://kari:hemmelig@hooks.example/x"}, {"url": "https://hooks.example/x#key"},
        {"url": "https://hooks.example/a\r\nb"}, {"headers": {"X Y": "1"}}, {"headers": {"": "1"}},
        {"headers": {"X-Å": "1"}}, {"headers": {"X": "blåbær"}}, {"headers": {"X": "a\r\nHost: evil"}},
        {"headers": {"X": ""}}, {"headers": {"X": "a" * 4001}}, {"headers": {"X:": "1"}}, {"headers": {"X": "a\x00"}},
        {"headers": {"content-length": "3"}}, {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"host": "evil"}}, {"headers": {"X-a": "1", "x-A": "2"}}, {"headers": {"content-type": "text/x"}},
        {"secret": ""}, {"secret": "x", "secret_file": "/y"}, {"secret_file": "/nowhere"}, {"secret_file": "/"},
        {"secret_file": "../webhook"},
    ],
)  # fmt: skip
def test_webhook_settings_that_can_never_send_are_refused(more: dict[str, Any]) -> None:
    WebhookSettings.model_validate(GOOD_HOOK)
    with pytest.raises(ValidationError) as caught:
        WebhookSettings.model_validate({**GOOD_HOOK, **more})
    shown = json.dumps(caught.value.errors(include_input=False, include_context=False))
    assert "hemmelig" not in shown
    assert "blåbær" not in shown


def test_an_empty_secret_file_does_not_leave_the_body_unsigned(tmp_path: Any) -> None:
    (tmp_path / "s").write_bytes(b"n\xf8kkel\n")
    with webhook_server() as hook:
        channel = Webhook(WebhookSettings.model_validate({"url": hook.url, "secret_file": tmp_path / "s"}))
        channel.prepare(Card("x", ("x",), {}, False), "", note=NOTE)()
        assert "X-Lyttepost-Signature" in hook.seen[0].headers
        (tmp_path / "s").write_bytes(b"\n")
        with pytest.raises(ChannelError) as caught:
            channel.prepare(Card("x", ("x",), {}, False), "", note=NOTE)
        assert (caught.value.reason, caught.value.permanent) == (FailureReason.LOGIN, True)


def test_blanks_around_a_headers_value_and_in_a_path_are_what_a_person_meant() -> None:
    with webhook_server() as hook:
        url = f" http://127.0.0.1:{hook.port}/vakt rom/åpen?navn=Kåre&x=1\n"
        made = Webhook(WebhookSettings.model_validate({"url": url, "headers": {"Authorization": " Bearer t\n"}}))
        made.prepare(Card("x", ("x",), {}, False), "", note=NOTE)()
        (call,) = hook.seen
        assert call.path == "/vakt%20rom/%C3%A5pen?navn=K%C3%A5re&x=1"
        assert call.headers["Authorization"] == "Bearer t"
        assert len([name for name in call.headers if name.lower() in ("content-type", "user-agent")]) == 2


def test_a_page_goes_beside_the_text_and_both_arrive_letter_for_letter(smtp: FakeSmtp) -> None:
    html = "<p>Æ e i A æ å · 🔥</p>\n" + "<p>" + "ord " * 400 + "\ud800</p>\n"
    card = Card("Røyk", ("Røyk", "på nordsiden"), {}, True, html=html)
    email(smtp).prepare(card, "kari@sykehus.example", note=NOTE)()
    mail = smtp.seen[-1]
    assert mail.message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.message.iter_parts()] == ["text/plain", "text/html"]
    assert mail.text.split() == ["Røyk", "på", "nordsiden"]
    assert mail.html.replace("\r\n", "\n") == html.replace("\ud800", "?")
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 78
    assert mail.raw.isascii()
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.message["Importance"] == "high"
    assert mail.message["Message-ID"] == f"<{NOTE.intent}@sykehus.example>"
