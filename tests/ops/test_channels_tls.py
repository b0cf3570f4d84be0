"""Mail over TLS: a right certificate is trusted, one for another name is refused before anything is handed over."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from certificates import authority, signed

from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import ChannelError, FailureReason, SendNote
from alerts.notify.channels.email import Email, SmtpSettings
from tests.fakes.smtp import FakeSmtp, smtp_server

NOTE = SendNote("a" * 32, "alert1", 2, 1, False, datetime(2031, 3, 2, 2, 14, tzinfo=UTC))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The authority's, the server's (for 127.0.0.1), and its key."""
    ca = authority(tmp_path_factory.mktemp("ca"))
    return ca, *signed(ca, "mail")


def send(fake: FakeSmtp, encryption: str, host: str = "127.0.0.1", **more: Any) -> None:
    settings = {"host": host, "port": fake.port, "encryption": encryption, "from": "l@sykehus.example", "timeout": 5}
    channel = Email(SmtpSettings.model_validate({**settings, **more}))
    channel.prepare(Card("Røyk", ("x",), {}, False), "kari@sykehus.example", note=NOTE)()


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
def test_a_right_certificate_is_trusted_and_another_names_is_not(
    certificate: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch, encryption: str
) -> None:
    ca, own, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    how = {"tls_context": context, "require_starttls": True} if encryption == "starttls" else {"ssl_context": context}
    with smtp_server(("PLAIN",), **how) as fake:
        fake.accounts = {b"lytte": "blåbær".encode()}
        send(fake, encryption, user="lytte", password="blåbær")
        assert (len(fake.seen), fake.logged_in) == (1, [("PLAIN", b"lytte")])
        with pytest.raises(ChannelError) as caught:
            send(fake, encryption, host="localhost")
        assert (caught.value.reason, caught.value.permanent) == (FailureReason.INSECURE, True)
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(ChannelError) as caught:
            send(fake, encryption)
        assert (caught.value.reason, caught.value.permanent) == (FailureReason.INSECURE, True)
        assert len(fake.seen) == 1
