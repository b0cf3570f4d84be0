"""Hosts and web addresses: written as they must be, or refused before anything is sent to them."""

from __future__ import annotations

import pytest

from alerts.notify.channels.addresses import ascii_host, web_address


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("mail.sykehus.example", "mail.sykehus.example"),
        ("Mail.Sykehus.Example.", "mail.sykehus.example"),
        ("ålesund-sykehus.example", "xn--lesund-sykehus-kib.example"),
        ("A\u030alesund-sykehus.example", "xn--lesund-sykehus-kib.example"),
        ("xn--lesund-sykehus-kib.example", "xn--lesund-sykehus-kib.example"),
        ("sykehus。example", "sykehus.example"),
        ("mail_server", "mail_server"),
        ("r3---x.example", "r3---x.example"),
        ("localhost", "localhost"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
    ],
)
def test_a_host_is_written_as_the_network_knows_it(name: str, written: str) -> None:
    assert ascii_host(name) == written
    assert ascii_host(written) == written


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "mail..example", ".example", "mail server", "mail\r\n.example", "mail\x00.example", "-mail.example",
        "mail-.example", "mail/example", "mail:25", "kari@mail.example", "a" * 64 + ".example", "a.b" * 100,
        "999.1.2.3", "1.2.3", "xn--a.example", "[mail.example]", "2001:db8::g", "ålesund\u202e.example", "å" * 60,
    ],
)  # fmt: skip
def test_what_can_be_no_host_is_refused_without_repeating_it(name: str) -> None:
    with pytest.raises(ValueError, match="host name") as caught:
        ascii_host(name)
    assert len(name) < 5 or name not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "host", "port", "asked"),
    [
        (" https://hooks.example/T0/key\n", "hooks.example", None, "/T0/key"),
        ("https://hooks.example", "hooks.example", None, "/"),
        ("https://hooks.example:8443/æ b?navn=Kåre", "hooks.example", 8443, "/%C3%A6%20b?navn=K%C3%A5re"),
        ("https://hooks.example/already%20there", "hooks.example", None, "/already%20there"),
        ("https://ålesund-sykehus.example/x", "xn--lesund-sykehus-kib.example", None, "/x"),
        ("http://[2001:db8::1]:81/x", "2001:db8::1", 81, "/x"),
    ],
)
def test_a_web_address_is_ready_to_be_asked_for(text: str, host: str, port: int | None, asked: str) -> None:
    url = web_address(text)
    assert (url.host, url.port, url.request_uri) == (host, port, asked)


@pytest.mark.parametrize(
    "text",
    [
        "", "hooks.example/x", "ftp://hooks.example/x", "javascript:alert(1)", "https://", "https:///x", "https:/hooks",
        "https://hooks.example:0/x", "https://hooks.example:65536/x", "https://hooks.example:-1/x",
        "https://hooks.example:x/x", "https://hooks example/x", "https://hooks.example/a\nb", "https://hooks.example/\x00",
        "https://hooks..example/x", "https://[2001:db8::1/x", "https://[::g]/x", "https://300.1.2.3/x",
    ],
)  # fmt: skip
def test_what_can_be_no_web_address_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"host|port|line break|https://") as caught:
        web_address(text)
    assert "hooks" not in str(caught.value)
