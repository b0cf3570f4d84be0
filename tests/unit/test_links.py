"""A link names one page, and nobody without the key makes another of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alerts.notify.links import TOKEN_LENGTH, Links
from alerts.notify.plan import digest
from listener.errors import ConfigError
from listener.model.deliveries import Page, PageWhy
from listener.settings.receiver import LinkSettings, ReceiverSettings
from tests.unit.telling_support import T0, after

LINKS = Links("https://lyttepost.sykehus.example", b"k" * 32, timedelta(days=1))
PAGE = Page(id=digest("a"), at=T0, why=PageWhy.STEP, person="kari", alerts={"a1": "firing"}, code="4711")


def token_of(page: Page, links: Links = LINKS) -> str:
    link = links.to(page)
    assert link is not None
    return link.rpartition("/")[2]


def test_a_link_leads_back_to_its_page_and_is_short() -> None:
    assert LINKS.page_named(token_of(PAGE)) == PAGE.id
    assert len(token_of(PAGE)) == TOKEN_LENGTH == 24
    assert LINKS.to(PAGE) == f"https://lyttepost.sykehus.example/a/{token_of(PAGE)}"


@given(st.text("0123456789abcdef", min_size=16, max_size=16), st.integers(0, TOKEN_LENGTH * 8 - 1))
def test_a_token_in_which_anything_was_changed_is_none(id_: str, bit: int) -> None:
    token = bytearray(token_of(PAGE.model_copy(update={"id": id_})), "ascii")
    assert LINKS.page_named(token.decode()) == id_
    token[bit // 8] ^= 1 << bit % 8
    changed = token.decode("latin-1")
    assert LINKS.page_named(changed) is None


@given(st.text(max_size=40))
@example("=" * TOKEN_LENGTH)
@example("A" * TOKEN_LENGTH)
@example("\N{FULLWIDTH LATIN CAPITAL LETTER A}" * TOKEN_LENGTH)
def test_what_was_made_up_is_none(text: str) -> None:
    assert LINKS.page_named(text) is None


def test_a_token_of_another_key_is_none() -> None:
    assert replace(LINKS, key=b"l" * 32).page_named(token_of(PAGE)) is None


@pytest.mark.parametrize("changed", [{"why": PageWhy.NOTICE}, {"why": PageWhy.CANARY}, {"alerts": {}}])
def test_what_waits_for_no_answer_has_no_link(changed: dict[str, object]) -> None:
    assert LINKS.to(PAGE.model_copy(update=changed)) is None


def test_a_link_ends() -> None:
    assert not LINKS.is_over(PAGE, after(hours=24))
    assert LINKS.is_over(PAGE, after(hours=24, seconds=1))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://lyttepost.sykehus.example", "https://"),
        ("lyttepost.sykehus.example", "no web address"),
        ("ftp://a.example", "no web address"),
        ("https://", "no web address"),
        ("https://a.example:0", "no web address"),
        ("https://a.example:x", "port"),
        ("https://kari@a.example", "user"),
        ("https://a.example/?b=1", r"\?"),
        ("https://a.example/ b", "blanks"),
        ("https://blåbær.example/æ", "ASCII|host"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        LinkSettings.model_validate({"url": url, "key_file": str(tmp_path / "key")})


def test_on_this_machine_http_will_do_and_a_slash_at_the_end_is_left_out(tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:9470/", "http://localhost:9470", "https://a.example/lyttepost/"):
        its = LinkSettings.model_validate({"url": url, "key_file": str(tmp_path / "key")})
        assert its.url == url.rstrip("/")


@pytest.mark.parametrize(("held", "says"), [(None, "key"), (b"", "empty"), (b"short\n", "16 are needed; .*openssl")])
def test_a_key_that_is_none_is_said_with_its_file_and_what_to_do(tmp_path: Path, held: bytes | None, says: str) -> None:
    path = tmp_path / "key"
    if held is not None:
        path.write_bytes(held)
        path.chmod(0o600)
    its = ReceiverSettings.model_validate({"links": {"url": "https://a.example", "key_file": str(path)}})
    assert its.links is not None
    with pytest.raises(ConfigError, match=says) as told:
        Links.of(its.links)
    assert "receiver.links.key_file" in str(told.value)
    assert "short" not in str(told.value).replace(str(path), "")
