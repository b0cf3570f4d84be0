"""What of a feed's document is news: known by name, words and date, whatever the feed does with its entries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from listener.errors import Corrupt
from listener.model.records import AuthorClass, Origin
from listener.privacy.screen import Screen
from listener.settings.listened_feeds import ListenedFeed
from listener.sources.common.feeds import Entry, Feed
from listener.sources.feeds.cursor import FeedMemory, Memory, short
from listener.sources.feeds.reading import News, Reading

NOON = datetime(2031, 3, 2, 12, tzinfo=UTC)
URL = "https://posten.example/rss"


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def entry(name: str, minutes: float | None, title: str = "Røyk over sykehuset", **more: Any) -> Entry:
    when = None if minutes is None else at(minutes)
    link = more.pop("link", f"https://posten.example/{name}")
    return Entry(feed=URL, title=title, text=more.pop("text", ""), link=link, at=when, guid=name, first=when, **more)


def feed(**more: Any) -> ListenedFeed:
    return ListenedFeed(url=URL, name="Posten", **more)


class Desk:
    """One feed, read every two minutes."""

    def __init__(self, memory: FeedMemory | None = None, **more: Any) -> None:
        self.reading = Reading("feeds", feed(**more), memory or FeedMemory())
        self.time = -2.0

    def read(self, *entries: Entry, broken: bool = False, takes: float = 0.0) -> News:
        """`takes`: minutes until the answer is there."""
        self.time += 2
        return self.reading.read(Feed(URL, entries, broken=broken), at(self.time), at(self.time + takes))

    def fresh(self, *entries: Entry) -> list[str]:
        return [item.post.id for item in self.read(*entries).items if item.fresh]


def test_of_what_was_there_at_first_nothing_is_news_and_what_comes_later_is_once() -> None:
    desk = Desk()
    old, new = entry("https://p.example/a", -60), entry("https://p.example/b", 1)
    assert desk.fresh(old) == []
    assert desk.fresh(new, old) == ["https://p.example/b"]
    assert desk.fresh(old, new) == []


def test_an_entry_that_was_dropped_is_no_news_when_it_comes_back() -> None:
    desk = Desk()
    desk.read()
    entries = [entry(f"https://p.example/{n}", 1 + n / 1000) for n in range(700)]
    assert len(desk.fresh(*entries[:400])) == 400
    assert len(desk.fresh(*entries[300:])) == 300
    assert desk.fresh(*entries[:400]) == []


def test_a_change_of_its_words_is_an_edit_with_a_version_and_a_new_date_alone_is_none() -> None:
    desk = Desk()
    desk.read()
    desk.read(entry("a", 1))
    touched = Entry(feed=URL, title="Røyk over sykehuset", text="", link="https://posten.example/a", at=at(5), guid="a")
    assert desk.fresh(touched) == []
    (item,) = desk.read(entry("a", 1, "Røyk over sykehuset: ingen skadet")).items
    assert (item.post.id, item.fresh, item.is_edit, item.first) == ("posten.example/a", True, True, at(1))
    assert item.post.at == at(desk.time), "it was not there the last time"
    (again,) = desk.read(entry("a", 1, "Røyk over sykehuset: ingen skadet")).items
    assert (again.fresh, again.post) == (False, item.post)


def test_an_edit_that_says_when_it_was_made_counts_from_then() -> None:
    desk = Desk()
    desk.read()
    desk.read(entry("a", 1))
    changed = Entry(feed=URL, title="Nytt", text="", link="https://posten.example/a", at=at(3), guid="a", first=at(1))
    (item,) = desk.read(changed).items
    assert (item.post.at, item.first) == (at(3), at(1))


def test_entries_without_a_date_count_from_when_they_are_first_seen_but_for_those_of_the_beginning() -> None:
    desk = Desk()
    assert desk.read(entry("a", None)).items == ()
    (item,) = desk.read(entry("a", None), entry("b", None)).items
    assert (item.post.id, item.post.at, item.fresh) == ("posten.example/b", at(2), True)


def test_a_restart_knows_those_without_a_date_and_what_was_held() -> None:
    desk = Desk()
    desk.read(entry("a", None))
    desk.read(entry("a", None), entry("b", 1))
    desk.reading.hold(["posten.example/b"])
    kept = Memory.parse(str(Memory(feeds={"Posten": desk.reading.memory}))).feeds["Posten"]
    assert kept == desk.reading.memory
    after = Desk(kept)
    after.time = desk.time
    news = after.read(entry("a", None), entry("b", 1, "Røyk: ingen skadet"), entry("c", 3))
    assert news.scanned
    assert [(item.post.id, item.is_edit, item.fresh) for item in news.items] == [
        ("posten.example/c", False, True),
        ("posten.example/b", True, True),
    ]


def test_a_date_in_the_future_or_before_all_feeds_is_none() -> None:
    desk = Desk()
    desk.read()
    ahead, ancient = entry("a", 60), entry("b", -60 * 24 * 365 * 60)
    items = {item.post.id: item.post.at for item in desk.read(ahead, ancient).items}
    assert items == {"posten.example/a": at(2), "posten.example/b": at(2)}


def test_where_all_entries_have_one_name_their_links_tell_them_apart() -> None:
    desk = Desk()
    desk.read()
    first = entry("0", 1, "Røyk", link="https://p.example/1")
    second = entry("0", 1, "Brann", link="https://p.example/2")
    assert desk.fresh(first, second) == ["https://p.example/1", "https://p.example/2"]


def test_where_entries_have_other_names_each_time_they_are_known_by_link_and_words() -> None:
    desk = Desk()
    desk.read(entry("a1", -5, link="https://p.example/a"))
    news = desk.read(entry("a2", -5, link="https://p.example/a"))
    assert ([item.fresh for item in news.items], news.lost) == ([False], None)


def test_a_turnover_of_the_whole_feed_is_lost_time() -> None:
    desk = Desk()
    desk.read(entry("a", -5), entry("b", -6))
    assert desk.read(entry("a", -5), entry("c", 1)).lost is None
    assert desk.read(entry("x", 3), entry("y", 3.5)).lost == (at(2), at(4))
    assert desk.read().blank
    assert desk.read(entry("x", 3), entry("z", 7)).lost is None


def test_what_was_published_while_the_answer_was_on_its_way_may_be_lost_too() -> None:
    desk = Desk()
    desk.read(entry("a", -5), entry("b", -6))
    assert desk.read(entry("x", 2.8), entry("y", 2.9), takes=0.95).lost == (at(0), at(2.95))
    assert desk.reading.memory.anchored == at(2), "what was said since then need not be in it"


def test_a_feed_that_was_empty_for_a_while_may_have_held_what_nobody_read() -> None:
    desk = Desk()
    assert not desk.read().blank, "it may always be"
    assert desk.read(entry("a", 1)).lost is None
    assert desk.read().blank
    assert desk.read(entry("z", 6)).lost == (at(2), at(6))


def test_that_a_feed_was_empty_is_believed_where_all_is_newer_and_there_was_room_for_more() -> None:
    def filled(*entries: Entry) -> tuple[datetime, datetime] | None:
        desk = Desk()
        desk.read(entry("a", -5), entry("b", -6), entry("c", -7))
        assert desk.read().blank
        assert desk.read().blank
        return desk.read(*entries).lost

    before = at(0), at(2)
    assert filled(entry("x", 5)) == before, "what came and went before it was empty first"
    assert filled(entry("x", 5), entry("y", 3)) == (at(0), at(4)), "that one was there when it said that it was empty"
    assert filled(entry("x", 5), entry("y", None)) == (at(0), at(6)), "who knows since when"
    assert filled(*(entry(name, 5) for name in "xyz")) == (at(0), at(6)), "it may have held others in between"


def test_one_empty_answer_alone_is_not_believed_for_the_feed_may_hold_fewer_by_now() -> None:
    desk = Desk()
    desk.read(*(entry(str(n), -1 - n) for n in range(10)))
    assert desk.read().blank
    assert desk.read(entry("y", 3.9), entry("x", 3.8)).lost == (at(0), at(4))
    assert desk.read().blank
    desk.reading.unchanged(at(8))
    desk.time = 8
    assert desk.read(entry("z", 9)).lost == (at(4), at(6)), "it is empty still, says its server"


def test_a_feed_that_was_empty_at_first_and_holds_many_at_once_may_have_held_more() -> None:
    def filled(count: int, minutes: float) -> tuple[datetime, datetime] | None:
        desk = Desk()
        desk.read()
        return desk.read(*(entry(str(n), minutes) for n in range(count))).lost

    assert filled(7, 1.5) is None
    assert filled(8, 1.5) == (at(0), at(2))
    assert filled(50, -1) is None, "it was there before"


def test_nothing_is_forgotten_over_an_empty_document_and_one_that_is_still_empty_anchors_nothing() -> None:
    desk = Desk()
    desk.read(entry("a", -5), entry("b", None))
    desk.reading.hold(["posten.example/a"])
    assert desk.read().blank
    desk.reading.unchanged(at(3))
    memory = desk.reading.memory
    assert (memory.read, memory.emptied, memory.anchored) == (at(3), at(3), at(0))
    assert memory.held.keys() == {short("posten.example/a")}
    assert Memory.parse(str(Memory(feeds={"Posten": memory}))).feeds["Posten"] == memory
    assert desk.read(entry("b", None)).lost is None
    assert memory.emptied is None


def test_an_entry_that_always_stands_there_proves_nothing_of_those_between() -> None:
    desk = Desk()
    old = entry("about-us", -60 * 24 * 365)
    desk.read(*(entry(str(n), -1 - n) for n in range(10)), old)
    assert desk.read(*(entry(str(n), 1 + n / 100) for n in range(20, 30)), old).lost is not None


def test_what_a_document_that_is_cut_off_lacks_was_not_dropped() -> None:
    """Where nothing in it is known, something may be lost: that is said."""
    desk = Desk()
    desk.read(entry("a", -5), entry("b", -6))
    assert desk.read(entry("c", 1), broken=True).lost == (at(0), at(2))
    assert desk.reading.memory.newest == (short("posten.example/a"), short("posten.example/b"))
    assert desk.read(entry("c", 1), entry("a", -5)).lost is None


@pytest.mark.parametrize(
    ("entry_", "id_"),
    [
        (entry("tag:posten.example,2031:1", 1), "posten.example/tag:posten.example,2031:1"),
        (entry("https://p.example/å b", 1), "https://p.example/%C3%A5%20b"),
        (entry("", 1, link="https://p.example/x"), "https://p.example/x"),
        (entry("", 1, "Brann nå", link=""), "posten.example/Brann%20n%C3%A5"),
    ],
)
def test_an_entry_has_a_name_without_blanks(entry_: Entry, id_: str) -> None:
    desk = Desk()
    desk.read()
    assert desk.fresh(entry_) == [id_]


def test_a_name_of_thousands_of_letters_is_cut_and_still_one_of_its_own() -> None:
    desk = Desk()
    desk.read()
    ids = desk.fresh(entry("https://p.example/" + "x" * 600, 1), entry("https://p.example/" + "x" * 601, 1))
    assert len(set(ids)) == 2
    assert max(map(len, ids)) == 300


def test_a_post_is_the_house_s_and_of_its_class() -> None:
    desk = Desk(by="own")
    desk.read()
    (item,) = desk.read(entry("a", 1, text="Ring 22 00 00 00")).items
    post = item.post
    assert (post.text, post.url) == ("Røyk over sykehuset\nRing 22 00 00 00", "https://posten.example/a")
    assert post.author is not None
    assert (post.author.id, post.author.author_class) == ("feed:posten", AuthorClass.OWN)
    assert desk.read(entry("b", 3, link="javascript:alert(1)")).items[0].post.url is None


@pytest.mark.parametrize(("account", "author"), [(None, "~"), ("@Fjellbyposten", "@fjellbyposten")])
def test_what_is_stored_names_the_house_where_the_settings_do_and_masks_what_it_quotes(
    account: str | None, author: str
) -> None:
    desk = Desk(account=account)
    desk.read()
    (item,) = desk.read(entry("a", 1, text="Kari Nordmann, 01017012345, sier: @kari_n har mer")).items
    screen = Screen(b"k" * 32, {"fjellbyposten": AuthorClass.MEDIA})
    safe = screen.mention(item.post, incidents={}, origin=Origin.LIVE, captured_at=NOON, exercise=False)
    assert safe.author is not None
    assert safe.author == author or (account is None and "posten" not in safe.author.lower())
    assert safe.author_class is AuthorClass.MEDIA
    assert "01017012345" not in safe.text
    assert "@kari_n" not in safe.text


def test_a_house_named_by_a_word_leaves_that_word_in_texts_and_links() -> None:
    desk = Desk()
    desk.read()
    (item,) = desk.read(entry("a", 1, text="Posten leverer ikke i dag")).items
    safe = Screen(b"k" * 32, {}).mention(item.post, incidents={}, origin=Origin.LIVE, captured_at=NOON, exercise=False)
    assert "Posten leverer ikke i dag" in safe.text
    assert (safe.url, safe.links) == ("https://posten.example/a", ("https://posten.example/a",))


@pytest.mark.parametrize("cursor", ["", "{}", "[]", '{"feeds": {"a": {}}, "alive": null, "notices": {}}', "no cursor"])
def test_a_cursor_of_another_is_refused(cursor: str) -> None:
    with pytest.raises(Corrupt):
        Memory.parse(cursor)
