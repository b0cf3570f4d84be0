"""Feeds and pages read over HTTP and from files, from servers that misbehave as servers do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from listener.clock import SystemClock
from listener.runtime.download import Limits, redirected
from listener.sources.common.feeds import Entry, FeedError, read_document, read_feed, read_feeds
from tests.fakes.drip import dripping_server
from tests.fakes.publisher import ATOM, HTML, RSS, Publisher, atom, publisher, rss

AT = datetime(2031, 1, 11, 21, 40, tzinfo=UTC)
LATER = datetime(2031, 1, 11, 22, 10, tzinfo=UTC)
QUICK = Limits(seconds=5.0, step=0.5)
PHONE = ("Telefon for pårørende", "<p>Ring <b>22 00 00 00</b>.</p><p>Åpent hele natten &amp; morgenen</p>", AT)
BUS = ("Buss fra Elvegata", "Parkeringshuset er stengt", LATER)

PAGE = """<!DOCTYPE html><html><head><title>Nordvik &ndash; besøk</title>
<meta property="article:published_time" content="2031-01-11T20:00:00+01:00">
<meta property="article:modified_time" content="2031-01-11T22:40:00+01:00">
<meta name="description" content="Besøk er stengt i kveld"><style>p { color: red }</style></head>
<body><nav><ul><li>Ledige stillinger</li></ul></nav><script>var x = "<p>skript</p>";</script>
<main><h1>Besøk</h1><article><p>Ingen besøk på sengepostene<p>Ring avdelingen</article></main>
<footer><p>Personvern</p></footer></body></html>"""


@pytest.fixture(scope="module")
def web() -> Iterator[Publisher]:
    with publisher() as fake:
        yield fake


def test_the_entries_of_rss_come_newest_first_without_markup(web: Publisher) -> None:
    address = web.put("/rss", rss(PHONE, BUS, ("Uten tid", "", None)))
    bus, phone, untimed = read_feed(address).entries
    assert phone == Entry(
        feed=address,
        title="Telefon for pårørende",
        text="Ring 22 00 00 00. Åpent hele natten & morgenen",
        link="https://nordvik.example/0",
        at=AT,
    )
    assert (bus.title, bus.at, untimed.at) == ("Buss fra Elvegata", LATER, None)


def test_the_entries_of_atom_come_too_with_whole_links(web: Publisher) -> None:
    bus, phone = read_feed(web.put("/deep/atom", atom(PHONE, BUS), ATOM)).entries
    assert (phone.title, phone.at, phone.link) == ("Telefon for pårørende", AT, web.at("/0"))
    assert bus.text == "Parkeringshuset er stengt"


@pytest.mark.parametrize("kind", [RSS, "text/xml", "text/plain", "text/html", "application/octet-stream", ""])
def test_a_feed_is_known_by_what_it_says_whatever_it_is_called(web: Publisher, kind: str) -> None:
    feed = read_feed(web.put("/called", rss(PHONE), kind))
    assert ([entry.title for entry in feed.entries], feed.broken) == (["Telefon for pårørende"], False)


def test_letters_beyond_ascii_are_read_in_the_encoding_that_the_feed_names(web: Publisher) -> None:
    content = rss(PHONE).replace("utf-8", "iso-8859-1").encode("iso-8859-1")
    assert read_feed(web.put("/latin", content)).entries[0].title == "Telefon for pårørende"


def test_a_page_is_one_entry_with_what_its_article_says(web: Publisher) -> None:
    address = web.put("/page", PAGE, HTML)
    assert read_feed(address).entries == (
        Entry(
            feed=address,
            title="Nordvik – besøk",
            text="Besøk er stengt i kveld Ingen besøk på sengepostene Ring avdelingen",
            link=address,
            at=datetime(2031, 1, 11, 21, 40, tzinfo=UTC),
        ),
    )


def test_menus_forms_and_scripts_are_no_words_of_a_page(web: Publisher) -> None:
    page = "<html><title>T</title><p>ord</p><nav><p>meny</p></nav><form><p>søk</p></form><p>til<script>x()</script>"
    assert read_feed(web.put("/menus", page, HTML)).entries[0].text == "ord til"


def test_a_page_in_another_encoding_and_without_a_time_is_read(web: Publisher) -> None:
    content = '<html><meta charset="iso-8859-1"><title>Besøk</title><p>Åpent</p>'.encode("iso-8859-1")
    (entry,) = read_feed(web.put("/old", content, "text/html")).entries
    assert (entry.title, entry.text, entry.at) == ("Besøk", "Åpent", None)


def test_redirects_are_followed(web: Publisher) -> None:
    web.put("/new", rss(PHONE))
    assert len(read_feed(web.at("/moved/moved/new")).entries) == 1


def test_links_are_whole_by_the_address_that_it_was_found_at(web: Publisher) -> None:
    web.put("/there", atom(PHONE).replace('href="/0"', 'href="0"'), ATOM)
    web.put("/deep/there", atom(PHONE).replace('href="/0"', 'href="0"'), ATOM)
    assert read_feed(web.at("/moved/deep/there")).entries[0].link == web.at("/deep/0")
    assert read_feed(web.at("/there")).entries[0].link == web.at("/0")


@pytest.mark.parametrize("time", ["", "i går", "0000-00-00T00:00:00Z", "-1"])
def test_a_time_that_is_none_is_none(web: Publisher, time: str) -> None:
    feed = atom(PHONE, BUS).replace(AT.isoformat(), time)
    assert {entry.title: entry.at for entry in read_feed(web.put("/times", feed)).entries} == {
        BUS[0]: LATER,
        PHONE[0]: None,
    }


@pytest.mark.parametrize(
    ("address", "location", "leads"),
    [
        ("https://a.no/b/feed", "/new", "https://a.no/new"),
        ("https://a.no/b/feed", "https://c.no/", "https://c.no/"),
        ("http://a.no/feed", "https://a.no/feed", "https://a.no/feed"),
        ("https://a.no/feed", "http://a.no/feed", None),
        ("https://a.no/feed", "https://a b.no/", None),
        ("https://a.no/feed", "", None),
    ],
)
def test_no_redirect_leads_from_https_to_http_or_nowhere(address: str, location: str, leads: str | None) -> None:
    if leads is not None:
        assert redirected(address, location) == leads
        return
    with pytest.raises(FeedError, match="redirects"):
        redirected(address, location)


def test_a_feed_without_entries_is_read_and_empty(web: Publisher) -> None:
    assert read_feed(web.put("/none", rss())).entries == ()
    assert read_feed(web.put("/none-atom", atom(), ATOM)).entries == ()


def test_of_broken_xml_what_can_be_read_is_read(web: Publisher) -> None:
    feed = read_feed(web.put("/broken", rss(BUS, PHONE)[:-60]))
    assert (feed.entries[0].title, feed.broken) == (BUS[0], True)


def test_an_entry_that_is_cut_off_is_none_for_its_link_may_be_that_of_another(web: Publisher) -> None:
    whole = rss(BUS, PHONE)
    within = whole.rindex("nordvik.example/1") + len("nordvik.example/")
    feed = read_feed(web.put("/cut-link", whole[:within]))
    assert ([entry.title for entry in feed.entries], feed.broken) == ([BUS[0]], True)
    with pytest.raises(FeedError, match="cut off before its first entry ends"):
        read_feed(web.put("/cut-first", rss(BUS)[:-60]))


def test_a_document_with_a_mistake_in_it_that_has_its_end_loses_no_entry(web: Publisher) -> None:
    feed = read_feed(web.put("/mistake", rss(BUS, PHONE).replace("</channel>", "<br></channel>")))
    assert ([entry.title for entry in feed.entries], feed.broken) == ([BUS[0], PHONE[0]], True)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/hang", "gives no answer within 0.5 s"),
        ("/reset", "breaks off"),
        ("/cut", "breaks off in the middle"),
        ("/loop", "redirects more than 5 times in a row"),
        ("/file", "redirects to what is no web address"),
        ("/huge", "is larger than 5 MB"),
        ("/nowhere", "is not there (404)"),
        ("/status/403", "may not be read (403)"),
        ("/status/503", "answers 503"),
        ("/status/204", "answers 204"),
    ],
)
def test_what_cannot_be_read_says_why(web: Publisher, path: str, why: str) -> None:
    with pytest.raises(FeedError) as error:
        read_feed(web.at(path), QUICK)
    assert str(error.value).startswith(why)


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (b"", RSS, "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "image/png", "is no RSS, no Atom and no web page, but image/png"),
        (b'{"entries": []}', "application/json", "is no RSS, no Atom and no web page, but application/json"),
        (b"<rss version='2.0'><chan", RSS, "is no RSS"),
        (b"<html><script>app()</script></html>", HTML, "is a page without any text"),
        (b"/etc/hostname", "text/plain", "is no RSS"),
        (b"x", "a\x1b[2J/b", "is no RSS, no Atom and no web page;"),
    ],
)
def test_what_is_no_feed_says_so(content: bytes, kind: str, why: str) -> None:
    with pytest.raises(FeedError) as error:
        read_document("https://nordvik.example/feed", content, {"content-type": kind})
    assert str(error.value).startswith(why)


def test_entities_neither_open_files_nor_grow_without_end(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hemmelig")
    for entity in (f'<!ENTITY a SYSTEM "file://{secret}">', _growing()):
        content = f'<?xml version="1.0"?><!DOCTYPE r [{entity}]>' + rss(("T &a; T", "", AT)).partition("?>")[2]
        entries = read_document("f", content.replace("&amp;a;", "&a;").encode(), {}).entries
        assert all("hemmelig" not in entry.title and len(entry.title) < 1000 for entry in entries)


def _growing() -> str:
    more = "".join(f'<!ENTITY {b} "{f"&{a};" * 20}">' for a, b in zip("zyxwvutsrq", "yxwvutsrqa", strict=True))
    return f'<!ENTITY z "zzzzzzzzzz">{more}'


def test_a_certificate_that_nobody_vouches_for_and_no_answer_at_all_are_told_apart() -> None:
    with pytest.raises(FeedError, match="cannot be reached"):
        read_feed("http://127.0.0.1:9/feed", QUICK)
    with dripping_server(b"SSH-2.0-x\r\n") as port, pytest.raises(FeedError, match="certificate or encryption"):
        read_feed(f"https://127.0.0.1:{port}/feed", QUICK)


def test_a_feed_that_fails_or_never_ends_keeps_the_others_from_nothing(web: Publisher) -> None:
    good = web.put("/good", rss(PHONE))
    with dripping_server(b"HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\n\r\n<rss>") as port:
        endless = f"http://127.0.0.1:{port}/"
        begun = monotonic()
        feeds = read_feeds([endless, web.at("/nowhere"), good, good], SystemClock(), Limits(seconds=1.5, step=1.0))
        assert monotonic() - begun < 4
    assert [feed.feed for feed in feeds] == [endless, web.at("/nowhere"), good]
    assert [len(feed.entries) for feed in feeds] == [0, 0, 1]
    assert "is not read after 1.5 s" in (feeds[0].error or "")
    assert "is not there (404)" in (feeds[1].error or "")
    assert feeds[2].error is None


def test_what_is_dated_to_come_does_not_say_when_it_was_published(web: Publisher) -> None:
    clock = SystemClock()
    now = clock.now().replace(microsecond=0)
    times = {"to come": now + timedelta(days=2), "zone": now + timedelta(hours=20), "past": now - timedelta(days=2)}
    address = web.put("/to-come", rss(*((title, "", at) for title, at in times.items())))
    (feed,) = read_feeds([address], clock)
    assert [(entry.title, entry.at) for entry in feed.entries] == [
        ("zone", times["zone"]),
        ("past", times["past"]),
        ("to come", None),
    ]


def test_a_file_is_read_as_an_address_is(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_text(rss(PHONE), encoding="utf-8")
    assert read_feed(str(path)).entries[0].title == PHONE[0]
    with pytest.raises(FeedError, match="is larger than"):
        read_feed(str(path), Limits(size=100))
    page = tmp_path / "page.html"
    page.write_text(PAGE, encoding="utf-8")
    assert read_feed(str(page)).entries[0].title == "Nordvik – besøk"


def test_what_looks_like_the_path_of_a_file_opens_none(tmp_path: Path) -> None:
    path = tmp_path / "feed.xml"
    path.write_text(rss(PHONE), encoding="utf-8")
    with pytest.raises(FeedError, match="is no RSS"):
        read_document("https://nordvik.example/feed", str(path).encode(), {})


def test_a_file_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("gone.xml", "No such file"), ("", "Is a directory"), ("pipe", "no regular file")):
        with pytest.raises(FeedError, match=why):
            read_feed(str(tmp_path / name))
