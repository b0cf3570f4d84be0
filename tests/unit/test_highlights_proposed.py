"""From a feed to what is proposed: title, link, course dates, each thing once, and nothing that is old."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts.highlights.compose import CONSIDERED, Composing, plain_link, proposals
from alerts.highlights.dates import dates_in
from alerts.highlights.length import LONGEST, weighted
from listener.model.highlights import Highlight
from listener.sources.common.feeds import Entry, Feed, read_document

NOW = datetime(2031, 3, 4, 9, 0, tzinfo=UTC)
OSLO = ZoneInfo("Europe/Oslo")
HOW = Composing(timedelta(days=7), "nb", OSLO)
NEWS, COURSES = "https://granvik.example/news.xml", "https://granvik.example/courses.xml"


def entry(title: str = "Ny MR-maskin", link: str = "https://granvik.example/mr", **more: Any) -> Entry:
    return Entry(**{"feed": NEWS, "title": title, "text": "", "link": link, "at": NOW - timedelta(hours=1), **more})


def proposed(*entries: Entry, feed: str = NEWS, known: Sequence[str] = ()) -> list[Highlight]:
    return proposals([Feed(feed, entries)], [COURSES], set(known), HOW, NOW)


def test_title_and_link() -> None:
    (found,) = proposed(entry())
    assert found.text == "Ny MR-maskin\nhttps://granvik.example/mr"
    assert (found.guid, found.revision, found.starts) == ("https://granvik.example/mr", 0, None)


def test_a_title_that_is_too_long_is_cut_and_the_link_never() -> None:
    (found,) = proposed(entry("Blodgivere " * 60))
    assert found.text.endswith("…\nhttps://granvik.example/mr")
    assert LONGEST - 12 < weighted(found.text) <= LONGEST


def test_each_thing_once_by_its_name_and_by_its_link() -> None:
    one, moved = entry(guid="g1"), entry("Ny MR-maskin!", "https://granvik.example/mr-2", guid="g1")
    same = entry("Ny MR-maskin", guid="g2")
    assert [each.guid for each in proposed(one, moved, same)] == [f"{NEWS} g1"]
    assert proposed(one, known=[f"{NEWS} g1"]) == proposed(one, known=["https://granvik.example/mr"]) == []
    assert proposed(one)[0].id == proposed(moved)[0].id


def test_two_feeds_that_count_from_one_name_two_things() -> None:
    news, course = entry(guid="1"), entry("Kurs", "https://granvik.example/kurs", guid="1", feed=COURSES)
    found = proposals([Feed(NEWS, (news,)), Feed(COURSES, (course,))], [COURSES], set(), HOW, NOW)
    assert len({each.id for each in found}) == 2


def test_an_emoji_stays_whole_and_what_cannot_be_seen_goes() -> None:
    (found,) = proposed(
        entry("Familiedag \U0001f468\u200d\U0001f469\u200d\U0001f467 p\u200då \u202eGran\u00advik\u200d")
    )
    assert found.title == "Familiedag \U0001f468\u200d\U0001f469\u200d\U0001f467 på Granvik"


@pytest.mark.parametrize(
    "wrong",
    [
        entry(title=" "),
        entry(link=""),
        entry(link="javascript:alert(1)"),
        entry(link="https://bruker:ord@granvik.example/"),
        entry(at=NOW - timedelta(days=8)),
        entry(title="Pasient 01018000055 er funnet"),
    ],
)
def test_what_is_old_has_no_link_or_names_somebody_is_not_proposed(wrong: Entry) -> None:
    assert proposed(wrong) == []


def test_a_feed_that_is_new_to_us_proposes_its_newest_oldest_first() -> None:
    many = [entry(f"Sak {n}", f"https://granvik.example/{n}", at=NOW - timedelta(minutes=n)) for n in range(60)]
    found = proposed(*many)
    assert len(found) == CONSIDERED
    assert [found[0].title, found[-1].title] == [f"Sak {CONSIDERED - 1}", "Sak 0"]


@pytest.mark.parametrize(
    ("link", "plain"),
    [
        (" https://a.no/b?utm_source=rss&id=3#top ", "https://a.no/b?id=3"),
        ("https://a.no/b?fbclid=1", "https://a.no/b"),
        ("https://a.no/b?q=a%20b", "https://a.no/b?q=a%20b"),
        ("https://a.no/åpning?q=%20ø", "https://a.no/%C3%A5pning?q=%20%C3%B8"),
        ("https://å.no/b", ""),
        (f"https://a.no/{2_000 * 'b'}", ""),
        ("https://a.no/b c", ""),
        ("/b", ""),
        ("ftp://a.no/b", ""),
    ],
)
def test_a_link_loses_what_counts_clicks(link: str, plain: str) -> None:
    assert plain_link(link) == plain


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("Kurs 12. mars 2031", "2031-03-12", "2031-03-12"),
        ("Kurs 12.–13. mars", "2031-03-12", "2031-03-13"),
        ("Kurs 12. og 13. mars i Granvik", "2031-03-12", "2031-03-13"),
        ("Kurs 2. januar", "2032-01-02", "2032-01-02"),
        ("Course on March 12, 2031", "2031-03-12", "2031-03-12"),
        ("Course 12-14 May 2031", "2031-05-12", "2031-05-14"),
        ("Course, 3rd floor, Sep 4", "2031-09-04", "2031-09-04"),
        ("Kurs 12.03.2031 kl. 10.30", "2031-03-12", "2031-03-12"),
        ("2031-04-01–2031-04-03", "2031-04-01", "2031-04-03"),
        ("Etter møtet 1. mars 2031: kurs 8. mai 2031", "2031-05-08", "2031-05-08"),
    ],
)
def test_the_dates_of_a_course_are_found_in_its_words(text: str, first: str, last: str) -> None:
    assert dates_in(text, date(2031, 3, 4)) == (date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    "text", ["", "Kurs snart", "31. februar 2031", "kl. 10.30", "rom 12. 3", "12. mars 2030", "99.99.2031"]
)
def test_what_is_no_date_to_come_is_none(text: str) -> None:
    assert dates_in(text, date(2031, 3, 4)) is None


def test_a_course_bears_its_dates_and_news_do_not() -> None:
    its = entry("Kurs i hjertelungeredning", text="To dager, 12.–13. mars. Påmelding innen 10. mars.")
    (course,) = proposed(its, feed=COURSES)
    assert course.text == "Kurs i hjertelungeredning (12.–13. mars 2031)\nhttps://granvik.example/mr"
    assert course.starts == datetime(2031, 3, 12, tzinfo=OSLO).astimezone(UTC)
    assert proposed(its)[0].text == "Kurs i hjertelungeredning\nhttps://granvik.example/mr"


def test_a_course_that_has_begun_is_not_proposed() -> None:
    assert proposed(entry("Kurs", text="4. mars 2031"), feed=COURSES) == []


EVENTS = """<?xml version="1.0"?><rss version="2.0" xmlns:ev="http://purl.org/rss/1.0/modules/event/"><channel><title>K</title>
<item><title>Kurs i stell av sår</title><link>https://granvik.example/k1</link><guid isPermaLink="false">k-1</guid>
<ev:startdate>2031-03-20T09:00:00+01:00</ev:startdate><ev:enddate>2031-03-21T15:00:00+01:00</ev:enddate></item>
<item><title>Kveldskurs</title><link>https://granvik.example/k2</link>
<pubDate>Thu, 03 Apr 2031 17:00:00 GMT</pubDate></item>
</channel></rss>"""


def test_a_feed_may_say_itself_when_a_course_is() -> None:
    from listener.sources.common.feeds import AHEAD, believed

    read = believed(read_document(COURSES, EVENTS.encode(), {"content-type": "application/rss+xml"}), NOW + AHEAD)
    found = {each.title: each for each in proposals([read], [COURSES], set(), HOW, NOW)}
    assert found["Kurs i stell av sår"].text.startswith("Kurs i stell av sår (20.–21. mars 2031)")
    assert found["Kurs i stell av sår"].guid == f"{COURSES} k-1"
    assert found["Kveldskurs"].text.startswith("Kveldskurs (3. april 2031)")


def test_in_english() -> None:
    how = Composing(timedelta(days=7), "en", OSLO)
    its = entry("Wound care", text="30 March to 2 April 2031 and 30 March")
    (found,) = proposals([Feed(COURSES, (its,))], [COURSES], set(), how, NOW)
    assert found.text.startswith("Wound care (30 March 2031)")
