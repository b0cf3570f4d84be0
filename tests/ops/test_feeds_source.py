"""Feeds over real sockets: what is heard of them, and what becomes of it when they misbehave."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from session_support import SPEED, SourceSession

from listener.model.gaps import Cause, is_whole
from listener.model.incidents import Incident
from listener.model.records import AuthorClass, Gap, Origin, Post
from listener.runtime.checks import Check
from listener.settings.schema import Settings
from listener.sources.contract import Examination, source_types
from listener.sources.feeds.source import FeedsSource
from tests.fakes.feeds import Entry, FakeFeeds
from tests.fakes.feeds.published_feed import bomb
from tests.fakes.platform import ScaledClock

TYPE = source_types()["feeds"]


@dataclass
class Room(SourceSession):
    kind, makes = TYPE, FeedsSource
    fake: FakeFeeds
    feeds: Sequence[str] = ("posten", "avisa")
    every: str = "30s"
    more: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> Settings:
        read = [{"url": self.fake.address(h), "name": h, "inside": True, **self.more.get(h, {})} for h in self.feeds]
        return Settings.model_validate({"feeds": {"read": read, "every": self.every, "in_calm": "1m"}})

    def follow(self, *incidents: Incident, over: Sequence[Incident] = ()) -> None:
        assert self.source is not None
        self.source.follow(incidents, (), over)

    @property
    def posts(self) -> list[Post]:
        return [post for batch in self.batches for post in batch.posts]

    def of(self, title: str) -> list[tuple[Origin | None, str | None]]:
        """How an entry was given: each time with its origin, and the one incident that it is for."""
        return [(b.origin, b.incident) for b in self.batches for p in b.posts if p.text.startswith(title)]

    def comes(self, title: str) -> Post:
        self.until(lambda: self.of(title), title)
        return next(post for post in self.posts if post.text.startswith(title))

    @property
    def cursor(self) -> str | None:
        return next((batch.cursor for batch in reversed(self.batches) if batch.cursor), None)


@pytest.fixture
def room() -> Iterator[Room]:
    clock = ScaledClock(SPEED)
    with FakeFeeds(clock=clock) as fake:
        made = Room(fake, clock=clock)
        yield made
        made.close()


def test_old_news_never_fires_and_is_looked_back_to_no_further_than_asked(room: Room) -> None:
    room.fake.publish("posten", "I forgårs", published=-172800)
    room.fake.publish("posten", "For en halv time siden", published=-1800)
    room.fake.publish("avisa", "Før i dag", published=-7200)
    room.open(incidents=[room.incident()])
    room.heard()
    room.fake.publish("posten", "Nå")
    room.comes("Nå")
    assert room.of("For en halv time siden") == [(Origin.LOOKBACK, "brann-0")]
    assert room.of("Nå") == [(None, None)]
    assert room.of("I forgårs") == room.of("Før i dag") == []


def test_in_calm_what_comes_is_given_once_to_be_counted_and_what_was_there_is_not(room: Room) -> None:
    room.fake.publish("posten", "Var der", published=-60)
    room.open()
    room.heard()
    room.fake.publish("posten", "Kom")
    room.comes("Kom")
    room.pass_(90)
    assert (room.of("Var der"), room.of("Kom")) == ([], [(None, None)])


def test_a_switch_reads_all_feeds_at_once_and_what_calm_had_seen_is_looked_back_to(room: Room) -> None:
    room.open()
    room.heard()
    room.fake.publish("posten", "Like før")
    room.comes("Like før")
    room.pass_(120)
    room.follow(room.incident())
    room.until(lambda: (Origin.LOOKBACK, "brann-0") in room.of("Like før"), "looked back")
    assert len(room.of("Like før")) == 2


def test_what_was_published_before_a_crisis_was_closed_is_still_its_own(room: Room) -> None:
    crisis, room.every = room.incident(), "1h"
    room.open(incidents=[crisis])
    room.heard()
    room.fake.publish("posten", "Rett før slutten")
    closed = replace(crisis, closed_at=room.clock.now() + timedelta(seconds=1))
    room.pass_(2)
    room.follow(over=[closed])
    room.until(lambda: (Origin.GAP_FILL, "brann-0") in room.of("Rett før slutten"), "given to the one that is over")


@pytest.mark.parametrize(
    ("verb", "params", "cause"),
    [
        ("status", {"status": 503}, Cause.HTTP_5XX),
        ("status", {"status": 404}, Cause.REFUSED),
        ("status", {"status": 401}, Cause.UNAUTHORIZED),
        ("status", {"status": 403}, Cause.FORBIDDEN),
        ("status", {"status": 429, "headers": {"Retry-After": "40"}}, Cause.RATE_LIMITED),
        ("status", {"status": 204}, Cause.REFUSED),
        ("garbage", {}, Cause.GARBLED),
        ("garbage", {"size": 6_000_000}, Cause.GARBLED),
        ("reset", {}, Cause.UNREACHABLE),
        ("cut", {}, Cause.UNREACHABLE),
    ],
)
def test_a_feed_that_cannot_be_read_is_a_gap_that_names_it_and_is_filled_when_it_can(
    room: Room, verb: str, params: dict[str, Any], cause: Cause
) -> None:
    room.feeds = ("posten",)
    room.fake.publish("posten", "Var der", published=-60)
    room.fake.do("style", feed="posten", tags=False)  # of an answer without a body nothing can be missing
    room.open(incidents=[room.incident()])
    room.heard()
    room.fake.do(verb, on="feed", **params)
    gap = room.gap(lasts=True, part="posten")
    assert gap.cause == cause
    room.fake.publish("posten", "Imens")
    room.fake.do("heal")
    room.comes("Imens")
    over = room.gap(lasts=False, part="posten")
    assert is_whole(over)
    assert over.id == gap.id
    (batch,) = (b for b in room.batches if any(p.text.startswith("Imens") for p in b.posts))
    assert (batch.origin, batch.fills) == (Origin.GAP_FILL, gap.id)


@pytest.mark.parametrize(("verb", "cause"), [("page", Cause.GARBLED), ("bomb", Cause.GARBLED)])
def test_a_page_or_a_bomb_in_the_place_of_a_feed_is_a_gap(room: Room, verb: str, cause: Cause) -> None:
    room.fake.publish("posten", "Var der", published=-60)
    room.open(incidents=[room.incident()])
    room.heard()
    bomb()  # takes a moment to make
    room.fake.do(verb, feed="posten", times=1000)
    assert room.gap(lasts=True, part="posten").cause == cause
    room.fake.publish("avisa", "Andre går videre")
    room.comes("Andre går videre")
    assert room.source is not None
    assert room.source.state()["unread"] == ["posten"]
    assert room.source.state()["state"] == "listening"


def test_two_that_hang_do_not_slow_the_third(room: Room) -> None:
    room.feeds = ("posten", "avisa", "radio")
    room.open(incidents=[room.incident()])
    room.heard()
    room.fake.do("hang", on="feed", hold=100000, times=2)
    room.pass_(45)
    for feed in room.feeds:
        room.fake.publish(feed, f"Fra {feed}")
    room.until(lambda: sum(bool(room.of(f"Fra {feed}")) for feed in room.feeds) == 1, "the third")
    began = room.clock.now()
    room.until(lambda: len([g for g in room.gaps.values() if g.part]) == 2, "gaps of the two")
    assert room.clock.now() - began < timedelta(minutes=5)


def test_a_turnover_of_the_whole_feed_is_a_gap_that_stays(room: Room) -> None:
    room.feeds = ("posten",)
    room.fake.publish("posten", "Var der", published=-60)
    room.open(incidents=[room.incident()])
    room.heard()
    room.pass_(61)
    room.fake.do("keeps", feed="posten", count=2)
    with room.fake.lock:
        for number in range(4):
            room.fake.publish("posten", f"Ny {number}")
    gap = room.gap(lasts=False, part="posten")
    assert gap.cause == Cause.TOO_OLD
    assert not is_whole(gap)
    assert room.of("Ny 3")
    assert room.of("Ny 0") == []


def accounted_for(room: Room, entries: Sequence[Entry]) -> bool:
    """Each was given, or was published in a time that stays a gap of its feed."""
    stay = [gap for gap in room.gaps.values() if not is_whole(gap)]
    missing = [entry for entry in entries if not room.of(entry.title)]
    return all(any(g.start <= entry.at and (g.end is None or entry.at <= g.end) for g in stay) for entry in missing)


def test_what_came_and_went_while_the_answer_was_on_its_way_lies_in_a_gap(room: Room) -> None:
    room.feeds = ("posten",)
    room.fake.publish("posten", "Var der", published=-60)
    room.fake.do("keeps", feed="posten", count=2)
    room.open(incidents=[room.incident()])
    room.heard()
    asked = len(room.fake.requests("feed"))
    room.fake.do("delay", on="feed", hold=40, times=1)
    room.until(lambda: len(room.fake.requests("feed")) > asked, "asked once more")
    entries = [room.fake.publish("posten", f"Imens {number}") for number in range(4)]
    room.pass_(20)
    entries += [room.fake.publish("posten", f"Til slutt {number}") for number in range(4)]
    room.comes("Til slutt 3")
    room.pass_(60)
    assert not room.of("Til slutt 0")
    assert accounted_for(room, entries)


@pytest.mark.parametrize("killed", [False, True])
def test_what_came_and_went_before_it_was_empty_and_then_away_lies_in_a_gap(room: Room, killed: bool) -> None:
    crisis, room.feeds = room.incident(), ("posten",)
    room.fake.publish("posten", "Var der", published=-60)
    room.fake.do("keeps", feed="posten", count=2)
    room.open(incidents=[crisis])
    room.heard()
    asked = len(room.fake.requests("feed"))
    entries = [room.fake.publish("posten", f"Før {number}") for number in range(4)]
    room.fake.do("empty", feed="posten", times=1)
    room.until(lambda: len(room.fake.requests("feed")) > asked, "read empty")
    room.fake.do("status", status=503, on="feed")
    lasting = room.gap(lasts=True, part="posten")
    if killed:
        room.close()
        room.open(room.cursor, gaps=[lasting], incidents=[crisis])
    entries += [room.fake.publish("posten", f"Etter {number}") for number in range(4)]
    room.fake.do("heal")
    room.comes("Etter 3")
    room.gap(lasts=False, part="posten")
    assert not room.of("Før 0")
    assert accounted_for(room, entries)


@pytest.mark.parametrize("empty", [1, 2])
def test_what_came_before_a_feed_was_empty_lies_in_a_gap_though_it_holds_fewer_after_a_kill(
    room: Room, empty: int
) -> None:
    """What is there then is all newer than the empty answer, and less than it held before."""
    crisis, room.feeds = room.incident(), ("posten",)
    for number in range(10):
        room.fake.publish("posten", f"Var der {number}", published=-60 - number)
    room.open(incidents=[crisis])
    room.heard()
    entries = [room.fake.publish("posten", f"Før {number}") for number in range(4)]
    asked = len(room.fake.requests("feed"))
    room.fake.do("empty", feed="posten", times=empty)
    room.until(lambda: len(room.fake.requests("feed")) == asked + empty, "read empty")
    read_empty = room.clock.now()
    room.until(lambda: room.batches[-1].until and room.batches[-1].until > read_empty, "a tick")
    room.close()
    room.fake.do("keeps", feed="posten", count=2)
    entries += [room.fake.publish("posten", f"Etter {number}") for number in range(2)]
    cursor, room.batches = room.cursor, [batch for batch in room.batches if batch.posts or batch.gaps]
    room.open(cursor, gaps=list(room.gaps.values()), incidents=[crisis])
    room.comes("Etter 1")
    room.pass_(30)
    assert not room.of("Før 0")
    assert accounted_for(room, entries)


def test_a_gap_that_is_over_is_not_told_as_lasting_with_the_second_part_of_what_was_found(room: Room) -> None:
    crisis, room.feeds = room.incident(minutes=60.0), ("posten",)
    room.fake.publish("posten", "Var der", published=-60)
    room.open(incidents=[crisis])
    room.heard()
    room.fake.do("status", status=503, on="feed")
    lasting = room.gap(lasts=True, part="posten")
    room.fake.publish("posten", "Før den andre")
    room.pass_(70)
    room.follow(crisis, room.incident("storm-0"))
    room.fake.publish("posten", "Etter den andre")
    room.fake.do("heal")
    room.comes("Før den andre")
    room.comes("Etter den andre")
    filling = [batch for batch in room.batches if batch.fills == lasting.id]
    assert len({batch.incident for batch in filling}) == 2
    assert is_whole(room.gaps[lasting.id])


def test_who_is_killed_between_two_parts_of_a_document_has_read_none_of_it(room: Room) -> None:
    crisis, room.feeds, room.every = room.incident(), ("posten",), "1h"
    room.fake.publish("posten", "Var der", published=-60)
    room.fake.do("keeps", feed="posten", count=1)
    room.open(incidents=[crisis])
    room.heard()
    room.until(lambda: room.batches[-1].until, "a tick")
    entry = room.fake.publish("posten", "Mellom de to")
    room.pass_(70)
    room.follow(crisis, storm := room.incident("storm-0"))
    room.comes("Mellom de to")
    assert len(room.of("Mellom de to")) == 1, "the other part is yet to come"
    room.close()
    room.fake.publish("posten", "Siden")
    cursor, room.batches = room.cursor, []
    room.open(cursor, incidents=[crisis, storm])
    room.comes("Siden")
    assert accounted_for(room, [entry])


def test_a_time_in_which_nobody_ran_is_one_gap_and_what_the_feeds_still_hold_is_found(room: Room) -> None:
    crisis = room.incident()
    room.open(incidents=[crisis])
    room.heard()
    room.fake.publish("posten", "Først")
    room.comes("Først")
    room.until(lambda: room.batches[-1].until, "a tick")
    room.close()
    missed = room.fake.publish("avisa", "Imens")
    time.sleep(1.0)
    cursor, room.batches = room.cursor, []
    room.open(cursor, incidents=[crisis])
    room.comes("Imens")
    gap = room.gap(lasts=False)
    assert (gap.cause, gap.part, is_whole(gap)) == (Cause.PROCESS_DOWN, None, True)
    assert gap.start <= missed.at <= (gap.end or room.clock.now())
    assert room.of("Imens") == [(Origin.GAP_FILL, None)]


def test_the_gap_of_a_feed_that_is_read_no_more_is_over(room: Room) -> None:
    room.open(incidents=[room.incident()])
    lost = Gap(id="g", source="feeds", part="borte", start=room.clock.now(), cause=Cause.UNREACHABLE)
    room.close()
    room.open(gaps=[lost], incidents=[room.incident()])
    assert room.gap(lasts=False, part="borte").id == "g"


def test_an_edit_is_a_version_of_its_entry(room: Room) -> None:
    room.open(incidents=[room.incident()])
    room.heard()
    entry = room.fake.publish("posten", "Røyk over granvik", id="a")
    room.comes("Røyk over granvik")
    room.fake.tell({"edit": "a", "title": "Ingen skadet i granvik"})
    post = room.comes("Ingen skadet i granvik")
    assert post.id == entry.guid
    assert post.version is not None


@pytest.mark.parametrize("style", ["atom", "packed", "undated", "one_guid", "new_guids", "touched"])
def test_however_a_feed_is_written_each_entry_comes_once(room: Room, style: str) -> None:
    room.feeds = ("posten",)
    room.fake.publish("posten", "Var der", published=-7200)
    room.fake.do("style", feed="posten", **{style: True})
    room.open(incidents=[room.incident(lookback=60)])
    room.heard()
    for number in range(2):
        room.fake.publish("posten", f"Ny {number}")
        room.comes(f"Ny {number}")
    room.pass_(40)
    assert [len(room.of(f"Ny {n}")) for n in range(2)] == [1, 1]
    assert len(room.of("Var der")) <= (1 if style == "touched" else 0)


def test_the_hospital_s_own_feed_is_known_as_such(room: Room) -> None:
    room.more = {"posten": {"by": "own"}, "avisa": {"by": "public_body", "account": "@avisa"}}
    room.open(incidents=[room.incident()])
    room.heard()
    for feed in room.feeds:
        room.fake.publish(feed, f"Fra {feed}")
    authors = [room.comes(f"Fra {feed}").author for feed in room.feeds]
    assert [author.author_class for author in authors if author] == [AuthorClass.OWN, AuthorClass.PUBLIC_BODY]
    assert [author.handle for author in authors if author] == [None, "avisa"]


def test_nothing_inside_is_read_that_the_settings_do_not_name(room: Room) -> None:
    room.more = {"posten": {"inside": False}}
    room.feeds = ("posten",)
    room.open(incidents=[room.incident()])
    room.gap(lasts=True, part="posten")
    assert room.fake.requests() == []


def test_ops_are_told_once_of_feeds_that_cannot_be_read_and_when_they_can(room: Room) -> None:
    room.open(incidents=[room.incident()])
    room.heard()
    room.fake.do("status", status=503, on="feed")

    def notices() -> list[tuple[str, bool]]:
        return [(notice.what, notice.over) for batch in room.batches for notice in batch.notices]

    room.until(notices, "a notice")
    first = next(notice for batch in room.batches for notice in batch.notices)
    assert set(str(first.words["feeds"]).split(", ")) <= {"posten", "avisa"}
    room.fake.do("heal")
    room.until(lambda: len(notices()) == 2, "over")
    assert notices() == [("feeds_unread", False), ("feeds_unread", True)]


def examined(room: Room) -> dict[str, Check]:
    its = Examination(settings=room.settings(), incidents=(), standing=(), clock=room.clock, seconds=300, running=False)
    return {check.says.partition(":")[0]: check for check in TYPE.examine(its)}


def test_doctor_says_of_each_feed_what_is_wrong_with_it(room: Room) -> None:
    room.feeds = ("god", "udatert", "tom", "gammel", "side", "lukket")
    room.more = {"lukket": {"inside": False}}
    room.fake.publish("god", "Nytt")
    room.fake.publish("udatert", "Nytt", published=None)
    room.fake.publish("gammel", "Nytt", published=-40 * 86400)
    room.fake.do("page", feed="side", times=9)
    found = examined(room)
    assert {name: check.level.value for name, check in found.items()} == {
        "god": "ok", "udatert": "warning", "tom": "warning", "gammel": "warning", "side": "failed", "lukket": "failed",
    }  # fmt: skip
    assert "web page and no feed" in found["side"].says
    assert "inside a network" in found["lukket"].says
