"""Instagram against a fake one on real sockets: what is heard and how late, each fault, and that nothing goes unsaid.

Twenty seconds of the listener's and Instagram's time pass in each second of the test's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from instagram_support import DEFAULT_TOKEN, EVERY, FAST, Gram, GramListener, gram
from listener_support import WrongClock

from listener.bus.scan import scan_records
from listener.model.gaps import Cause, is_whole
from listener.model.incidents import Action
from listener.model.records import AuthorClass
from listener.sources.instagram import questions
from tests.fakes.graph import APP_SECRET
from tests.fakes.instagram import NAME

SLOWLY = 20.0
"""Real seconds that something may take which waits for some of Instagram's."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Gram]:
    with gram(tmp_path) as found:
        yield found


@pytest.fixture
def fastest(tmp_path: Path) -> Iterator[Gram]:
    """For what takes an hour."""
    with gram(tmp_path, 600.0) as found:
        yield found


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Gram]:
    with gram(tmp_path, FAST) as found:
        yield found


def hear(here: Gram, listener: GramListener, text: str = "det brenner i granvik", **more: Any) -> str:
    """A comment, captured."""
    post = here.fake.comment(text, **more).post
    listener.turn_until(lambda: listener.captured()[post] == 1, SLOWLY)
    return post


def nothing_lost_or_twice(here: Gram, listener: GramListener) -> None:
    listener.turn_until(lambda: listener.hears() and not here.lost(listener), SLOWLY)
    assert not [post for post, count in listener.captured().items() if count > 1]


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# --- what is heard ---------------------------------------------------------------------------------------------------


def test_comments_and_answers_to_them_are_heard_and_belong_to_what_they_stand_under(here: Gram) -> None:
    listener = here.crisis("granvik", "@fjordbysykehus")
    fire = here.fake.medium("Brann i Granvik: vi evakuerer")
    first = here.fake.comment("Hvor lenge varer det? &amp; hvem ringer vi", by="kari", under=fire)
    answers = [here.fake.comment(f"Samme her {n}", by=f"ola{n}", to=first) for n in range(5)]
    own = here.fake.comment("Ring 123, sier vi", by=NAME, to=first)
    wanted = {said.post for said in (first, *answers, own)}
    listener.turn_until(lambda: set(listener.posts()) >= wanted, SLOWLY)
    said = {value["id"]: value for value in listener.values("mentions", "mention")}
    assert said[first.post]["text"] == "Hvor lenge varer det? & hvem ringer vi"
    # "How long?" is about the fire, for it stands under a post about it; of that post's words none is kept.
    assert set(next(iter(said[first.post]["incidents"].values()))) == {"granvik", "@fjordbysykehus"}
    assert "evakuerer" not in json.dumps(said)
    assert said[answers[4].post]["reply_to"] == first.post
    assert said[own.post]["author_class"] == AuthorClass.OWN
    assert said[first.post]["author_class"] == AuthorClass.UNKNOWN
    assert b"kari" not in bytes_of(here.folder)
    assert len({said[each.post]["author"] for each in answers}) == 5


def test_how_often_it_is_asked_is_told_by_the_process_that_asks_alone(here: Gram) -> None:
    listener, standby = here.crisis("granvik"), here.deployment("standby@test")
    assert listener.metric("source_interval_seconds", source="instagram") == EVERY
    for turned in (listener, standby, listener, standby):
        turned.turn()
    assert standby.metric("source_interval_seconds", source="instagram") == 0


def test_by_hashtag_and_tag_media_of_others_are_nobodys(here: Gram) -> None:
    listener = here.crisis("granvik", hashtags=("mittous",), tagged=True)
    by_tag = here.fake.foreign("Røyk i Granvik #mittous", by="ola")
    tagged = here.fake.foreign("I Granvik med @fjordbysykehus", by="per", tagged=True)
    here.fake.foreign("Granvik, uten merke", by="liv")
    listener.turn_until(lambda: set(listener.posts()) == {by_tag.post, tagged.post}, SLOWLY)
    values = listener.values("mentions", "mention")
    assert [value.get("author") for value in values] == [None, None]
    assert listener.state["allowances"] == {"hashtags": {"used": 1, "of": 30}}
    assert listener.metric("source_allowance_used", source="instagram", allowance="hashtags") == 1
    assert listener.metric("source_allowance", source="instagram", allowance="hashtags") == 30
    listener.turn_for(1.0)
    assert len(here.fake.requests("tag")) == 1  # its id is kept: a search is asked once
    assert all(count == 1 for count in listener.captured().values())


def test_a_mention_is_told_by_its_ids_and_fetched_at_once(here: Gram) -> None:
    listener = here.crisis("@fjordbysykehus", calls=True)
    comment = here.fake.mention("@fjordbysykehus hva skjer?", by="per")
    caption = here.fake.mention("Takk til @fjordbysykehus", by="liv", in_caption=True)
    listener.turn_until(lambda: set(listener.posts()) == {comment.post, caption.post}, SLOWLY)
    assert listener.gaps() == []
    assert here.fake.caller.lost == []
    assert listener.state["mentions"] == {"waiting": 0, "lost": 0, "told": True}


def test_a_comment_is_told_by_the_webhook_between_two_rounds_and_counts_once(here: Gram) -> None:
    listener = here.crisis(calls=True, every=600.0)
    rounds = len(here.fake.requests("comments"))
    post = here.fake.comment("granvik brenner", by="kari").post
    listener.turn_until(lambda: listener.captured()[post] == 1, SLOWLY)
    assert len(here.fake.requests("comments")) == rounds
    listener.die()
    again = here.crisis()  # reads it once more
    again.turn_for(0.5)
    assert again.captured()[post] == 1
    authors = {value["author"] for value in again.values("mentions", "mention")}
    other = hear(here, again, "granvik igjen", by="kari")
    assert {v["author"] for v in again.values("mentions", "mention") if v["id"] == other} == authors


def test_calls_come_twice_late_and_out_of_order_and_each_counts_once(here: Gram) -> None:
    listener = here.crisis("granvik", calls=True)
    here.fake.do("twice", count=3)
    here.fake.do("swap", count=4)
    said = [here.fake.comment(f"granvik {n}").post for n in range(6)]
    here.fake.do("mute", seconds=15)
    said.append(here.fake.mention("granvik, @fjordbysykehus").post)
    here.fake.do("heal")
    listener.turn_until(lambda: set(listener.posts()) == set(said), SLOWLY)
    listener.turn_until(lambda: here.fake.caller.waiting == 0, SLOWLY)
    nothing_lost_or_twice(here, listener)


def test_a_forged_call_is_refused_and_leaves_nothing(here: Gram) -> None:
    listener = here.crisis("hemmelig", calls=True, every=600.0)
    here.fake.do("forge", count=1)
    here.fake.comment("hemmelig forfalsket")
    listener.turn_until(lambda: len(here.fake.caller.lost) == 1, SLOWLY)
    listener.turn_for(0.3)
    assert here.fake.caller.lost[0].status == 401
    assert listener.posts() == {}
    assert b"forfalsket" not in bytes_of(here.folder)


# --- calm ------------------------------------------------------------------------------------------------------------


def test_in_calm_it_is_counted_minute_by_minute_and_no_word_is_kept_nor_a_call_made_for_a_mention(fast: Gram) -> None:
    listener = fast.deployment(standing=("granvik", "ous*"), hashtags=("mittous",), calls=True)
    listener.turn_until(lambda: listener.state["state"] == "counting", SLOWLY)
    fast.call_back(listener)
    for number in range(3):
        fast.fake.comment(f"hemmelig ord i granvik nummer {number}", by="karinordmann")
    fast.fake.foreign("ousvold #mittous hemmelig")
    fast.fake.mention("hemmelig granvik @fjordbysykehus")
    listener.turn_until(lambda: sum(v["count"] for v in listener.values("volumes", "volume")) >= 4, SLOWLY)
    listener.die()
    again = fast.deployment("listener@other", standing=("granvik", "ous*"), hashtags=("mittous",))
    again.turn_until(lambda: again.state["state"] == "counting", SLOWLY)
    again.turn_for(2.0)
    assert sum(v["count"] for v in again.values("volumes", "volume")) == 4
    assert again.values("mentions", "mention") == []
    held = bytes_of(fast.folder)
    assert b"hemmelig" not in held
    assert b"karinordmann" not in held
    assert not [r for r in fast.fake.requests("node") if "mentioned" in r.one("fields")]


def test_what_was_said_before_an_incident_is_looked_back_for_and_what_came_before_that_is_not(fast: Gram) -> None:
    now = fast.clock.now()
    long_ago = fast.fake.comment("granvik i går", at=now - timedelta(hours=20))
    before = fast.fake.comment("granvik før", at=now - timedelta(hours=1))
    by_tag = fast.fake.foreign("granvik før #mittous", at=now - timedelta(hours=2))
    listener = fast.crisis("granvik", lookback=6 * 3600.0, hashtags=("mittous",))
    after = hear(fast, listener)
    assert listener.origins() == {before.post: "lookback", by_tag.post: "lookback", after: "live"}
    assert long_ago.post not in listener.posts()
    listener.die()
    again = fast.crisis("granvik", lookback=6 * 3600.0, hashtags=("mittous",))
    again.turn_for(0.5)
    assert again.captured().total() == 3


def test_after_the_crisis_nothing_is_kept_any_more(here: Gram) -> None:
    listener = here.crisis(standing=("granvik",), calls=True)
    post = hear(here, listener)
    here.fake.do("error", code=2, on="node", status=500)
    here.fake.mention("granvik, @fjordbysykehus")
    listener.turn_until(lambda: listener.state["mentions"]["waiting"] == 1, SLOWLY)
    listener.switch(Action.CLOSE)
    listener.turn_until(lambda: listener.state["mentions"]["waiting"] == 0, SLOWLY)
    here.fake.do("heal")
    listener.turn_until(lambda: listener.state["state"] == "counting", SLOWLY)
    here.fake.comment("granvik, etterpå")
    listener.turn_for(4.0)
    assert set(listener.posts()) == {post}


# --- what is not heard -----------------------------------------------------------------------------------------------


def test_a_kill_loses_no_comment_and_a_mention_that_was_told_to_nobody_is_a_gap_that_stays(here: Gram) -> None:
    first = here.crisis("granvik", calls=True)
    hear(here, first)
    here.fake.do("call_back", url=None)
    first.die()
    said = here.fake.comment("granvik, mens vi var borte").post
    lost = here.fake.mention("granvik, omtalt mens vi var borte")
    here.goes_by(60)
    second = here.crisis("granvik", calls=True)
    second.turn_until(lambda: second.captured()[said] == 1, SLOWLY)
    second.turn_until(lambda: bool(second.unfilled("mentions")), SLOWLY)
    assert lost.post not in second.posts()
    (gap,) = second.unfilled("mentions")
    assert gap.cause == Cause.PROCESS_DOWN
    assert gap.end is not None
    assert gap.start <= lost.at <= gap.end
    assert all(is_whole(each) for each in second.gaps() if each.part is None)
    nothing_lost_or_twice(here, second)


def test_a_mention_that_was_answered_well_is_fetched_after_a_kill(here: Gram) -> None:
    first = here.crisis("granvik", calls=True)
    here.fake.do("error", code=2, on="node", status=500)  # the account too: nothing can be fetched
    said = here.fake.mention("granvik, @fjordbysykehus").post
    first.turn_until(lambda: len(here.fake.caller.done) == 1, SLOWLY)
    first.die()
    here.fake.do("heal")
    second = here.deployment("listener@other")
    second.turn_until(lambda: second.captured()[said] == 1, SLOWLY)


def test_a_mention_that_is_gone_before_it_was_fetched_is_told_as_lost(here: Gram) -> None:
    listener = here.crisis("granvik", calls=True)
    here.fake.do("mute", seconds=8)
    said = here.fake.mention("granvik, @fjordbysykehus")
    here.fake.delete(said)
    listener.turn_until(lambda: listener.state["mentions"]["lost"] == 1, SLOWLY)
    listener.turn_until(lambda: bool(listener.unfilled("mentions")), SLOWLY)
    (gap,) = listener.unfilled("mentions")
    assert gap.cause == Cause.REFUSED
    assert gap.end is not None
    assert (gap.end - gap.start) <= timedelta(seconds=2)


def test_limited_no_call_is_made_before_the_time_told_and_after_a_kill_neither(fast: Gram) -> None:
    first = fast.crisis("granvik")
    hear(fast, first)
    fast.fake.do("limit", minutes=4)
    first.turn_until(lambda: any(gap.cause == Cause.RATE_LIMITED for gap in first.gaps()), SLOWLY)
    first.turn_until(lambda: "waits_until" in first.state, SLOWLY)
    said = fast.fake.comment("granvik, mens vi venter").post
    first.turn_for(0.2)
    first.die()
    second = fast.deployment("listener@other")
    second.turn_until(lambda: second.captured()[said] == 1, SLOWLY)
    assert fast.fake.too_early == 0
    second.turn_until(lambda: all(map(is_whole, second.gaps())), SLOWLY)
    assert second.origins()[said] == "gap_fill"


def test_an_expired_token_is_a_gap_and_a_page_until_another_lies_in_its_file(here: Gram, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(DEFAULT_TOKEN, encoding="utf-8")
    listener = here.crisis(file=file)
    here.fake.do("expire", subcode=460)
    listener.turn_until(lambda: any(gap.cause == Cause.UNAUTHORIZED for gap in listener.gaps()), SLOWLY)
    listener.turn_until(lambda: ("lyttepost.source_refused", "fired") in told(listener), SLOWLY)
    assert listener.state["state"] == "stopped"
    assert "code 190, subcode 460" in listener.state["problem"]
    calls = len(here.fake.requests())
    said = here.fake.comment("granvik, mens nøkkelen var ugyldig").post
    listener.turn_for(1.5)
    assert len(here.fake.requests()) == calls
    here.fake.do("renew", token="another-token")
    file.write_text("another-token", encoding="utf-8")
    listener.turn_until(lambda: listener.captured()[said] == 1, SLOWLY)
    listener.turn_until(lambda: ("lyttepost.source_refused", "resolved") in told(listener), SLOWLY)
    nothing_lost_or_twice(here, listener)


def told(listener: GramListener) -> set[tuple[str, str]]:
    return {(value["rule"], value["event"]) for value in listener.values("alerts")}


def test_a_token_of_the_wrong_kind_that_gets_empty_lists_is_no_silence(here: Gram) -> None:
    listener = here.crisis()
    here.fake.do("kind", kind="APP")
    listener.turn_until(lambda: not listener.hears(), SLOWLY)
    listener.turn_until(lambda: any(gap.cause == Cause.REFUSED for gap in listener.gaps()), SLOWLY)


def test_an_account_that_comes_back_empty_with_200_is_no_silence(fast: Gram) -> None:
    here = fast
    listener = here.crisis()
    here.fake.do("status", status=200, on="node", body={"data": []})
    listener.turn_until(lambda: any(gap.cause == Cause.REFUSED for gap in listener.gaps()), SLOWLY)
    assert "the account did not come back" in listener.state["problem"]
    here.fake.do("heal")
    said = here.fake.comment("granvik").post
    listener.turn_until(lambda: listener.captured()[said] == 1, 40)


def test_one_permission_that_is_gone_is_a_gap_of_its_part_and_the_others_go_on(fastest: Gram) -> None:
    fast = fastest
    listener = fast.crisis("granvik", hashtags=("mittous",), every=60.0)
    fast.fake.do("lose", scope="instagram_public_content")
    listener.turn_until(lambda: bool(listener.unfilled("hashtags")), SLOWLY)
    (gap,) = listener.unfilled("hashtags")
    assert (gap.cause, gap.end) == (Cause.FORBIDDEN, None)
    by_tag = fast.fake.foreign("granvik #mittous").post
    post = hear(fast, listener)
    assert listener.origins()[post] == "live"
    assert listener.hears()
    assert "Instagram's hashtags" in listener.state["problem"]
    assert not [gap for gap in listener.gaps() if gap.part is None]
    fast.fake.do("grant", scope="instagram_public_content")
    listener.turn_until(lambda: listener.captured()[by_tag] == 1, 60)  # asked again after an hour
    listener.turn_until(lambda: not listener.unfilled("hashtags"), SLOWLY)
    assert listener.origins()[by_tag] == "gap_fill"


def test_pages_that_are_empty_and_have_a_next_one_are_read_on(here: Gram) -> None:
    listener = here.crisis("granvik", hashtags=("mittous",))
    here.fake.do("hollow", on="comments", times=3)
    here.fake.do("hollow", on="recent_media", times=3)
    by_tag = here.fake.foreign("granvik #mittous").post
    post = here.fake.comment("granvik").post
    listener.turn_until(lambda: {by_tag, post} <= set(listener.posts()), SLOWLY)
    assert listener.gaps() == []


@pytest.mark.parametrize("next_there", [True, False])
def test_more_comments_than_a_page_holds_are_a_gap_though_a_next_page_may_fill_it(fast: Gram, next_there: bool) -> None:
    first = fast.crisis("granvik", every=10.0)
    hear(fast, first)
    first.die()
    if not next_there:
        fast.fake.do("no_next", on="comments", times=100)
    now = fast.clock.now()
    said = [fast.fake.comment(f"granvik {n}", at=now + timedelta(seconds=n)).post for n in range(120)]
    fast.goes_by(130)
    second = fast.deployment("listener@other")
    second.turn_until(lambda: any(g.cause == Cause.TOO_MANY for g in second.gaps()) or second.hears(), SLOWLY)
    second.turn_until(second.hears, SLOWLY)
    second.turn_for(0.5)
    found = set(said) & set(second.posts())
    assert len(found) == (120 if next_there else 50)
    open_ = [gap for gap in second.gaps() if not is_whole(gap)]
    assert bool(open_) is not next_there
    assert fast.lost(second) == []


def test_more_hashtags_than_the_week_has_are_refused_and_those_of_before_stay_spent(here: Gram) -> None:
    first = here.crisis("granvik", hashtags=tuple(f"gammel{n}" for n in range(28)))
    first.turn_until(lambda: first.state["allowances"]["hashtags"]["used"] == 28, SLOWLY)
    first.turn_for(0.5)
    first.die()
    second = here.deployment("listener@other", hashtags=("ny1", "ny2", "ny3", "ny4"))
    second.turn_until(lambda: second.hears() and second.state["allowances"]["hashtags"]["used"] == 30, SLOWLY)
    assert second.state["refused_hashtags"] == ["ny3", "ny4"]
    assert "ny3, ny4 must wait" in second.state["problem"]
    second.turn_for(0.5)
    assert len(here.fake.searched) == 30


@pytest.mark.parametrize(
    ("verb", "params"),
    [
        ("status", {"status": 503, "times": 2}),
        ("error", {"code": 1, "status": 500, "times": 2}),
        ("garbage", {"times": 2}),
        ("garbage", {"times": 1, "size": 10_000_000}),
        ("cut", {"times": 2}),
        ("reset", {"times": 2}),
        ("hang", {"times": 1, "hold": 3600}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("on", [pytest.param("node", marks=pytest.mark.long), "comments"])
def test_a_fault_that_passes_makes_no_gap_and_loses_nothing(
    here: Gram, on: str, verb: str, params: dict[str, Any]
) -> None:
    listener = here.crisis("granvik", seconds=0.3)
    here.fake.do(verb, on=on, **params)
    said = here.fake.comment("granvik").post
    listener.turn_until(lambda: listener.captured()[said] == 1, SLOWLY)
    assert listener.unfilled() == []
    nothing_lost_or_twice(here, listener)


def test_one_that_lasts_is_a_gap_that_is_filled(fast: Gram) -> None:
    listener = fast.crisis()
    fast.fake.do("status", status=502)
    listener.turn_until(lambda: any(gap.cause == Cause.HTTP_5XX for gap in listener.gaps()), SLOWLY)
    said = fast.fake.comment("granvik").post
    listener.turn_until(lambda: ("lyttepost.source_silent", "fired") in told(listener), SLOWLY)
    fast.fake.do("heal")
    listener.turn_until(lambda: listener.captured()[said] == 1, 40)
    assert listener.origins()[said] == "gap_fill"
    listener.turn_until(lambda: all(map(is_whole, listener.gaps())), SLOWLY)
    (gap,) = listener.gaps()
    assert gap.refilled == 1


def test_garbage_in_an_answer_is_one_dead_letter_and_not_one_a_round(here: Gram) -> None:
    listener = here.crisis("granvik", every=10.0)
    bad = {"id": "17900000000000999", "text": 7, "timestamp": "2031-02-03T12:00:00+0000"}
    here.fake.do("status", status=200, on="comments", body={"data": [bad, {"id": "1", "text": "x"}]}, times=3)
    listener.turn_until(lambda: len(here.fake.requests("comments")) > 4, SLOWLY)
    listener.turn_for(0.3)
    assert len(list(scan_records(listener.bus, ["deadletters"]))) == 2
    assert b"17900000000000999" not in bytes_of(here.folder)
    hear(here, listener)


def test_a_medium_that_is_deleted_between_list_and_reading_is_no_fault(here: Gram) -> None:
    listener = here.crisis()
    here.fake.do("error", code=100, subcode=33, on="comments", times=1)
    listener.turn_for(0.5)
    hear(here, listener)
    assert listener.gaps() == []


# --- deletions -------------------------------------------------------------------------------------------------------


def test_a_comment_that_is_gone_is_named_and_one_that_only_does_not_answer_is_not(fast: Gram) -> None:
    listener = fast.crisis("granvik", recheck=600.0, calls=True)
    gone, stays, brief = (hear(fast, listener, f"granvik {n}") for n in range(3))
    mention = fast.fake.mention("granvik @fjordbysykehus").post
    listener.turn_until(lambda: listener.captured()[mention] == 1, SLOWLY)
    listener.die()
    fast.fake.delete(gone.partition("_")[2])
    again = fast.deployment("listener@other", recheck=600.0)
    again.turn_until(lambda: gone in again.deleted(), 60)
    fast.fake.do("error", code=100, on="node", times=1)
    again.turn_for(2.0)
    assert again.deleted() == {gone}
    assert {stays, brief} <= set(again.posts())


# --- clocks, logs, media ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", [3600.0, -3600.0])
def test_with_our_clock_an_hour_off_comments_are_heard_and_no_window_ends_too_early(here: Gram, off: float) -> None:
    clock = WrongClock(here.clock)
    clock.off = off
    listener = here.deployment(clock=clock)
    listener.open("granvik", lookback=7200.0)
    listener.turn_until(listener.hears, SLOWLY)
    post = here.fake.comment("granvik").post
    listener.turn_until(lambda: listener.captured()[post] == 1, SLOWLY)
    assert max(listener.ticks()) <= min(here.clock.now(), clock.now()) + timedelta(seconds=10)


def test_our_clock_set_back_while_it_runs_stops_nothing(here: Gram) -> None:
    clock = WrongClock(here.clock)
    listener = here.deployment(clock=clock)
    listener.open("granvik")
    listener.turn_until(listener.hears, SLOWLY)
    hear(here, listener, "granvik 1")
    clock.off = -3600.0
    hear(here, listener, "granvik 2")
    ticks = listener.ticks()
    assert ticks == sorted(ticks)


def test_no_log_holds_the_token_a_name_or_a_word(here: Gram, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    listener = here.crisis("granvik", calls=True)
    hear(here, listener, "hemmelig granvik", by="karinordmann")
    here.fake.mention("hemmelig granvik")
    for code in (2, 100, 190):
        here.fake.do("error", code=code, times=1)
        listener.turn_for(0.5)
    words = caplog.text + json.dumps(dict(listener.state))
    for word in (DEFAULT_TOKEN, APP_SECRET, "hemmelig", "karinordmann", "Kari Nordmann", "access_token="):
        assert word not in words


def test_no_picture_is_ever_fetched_or_its_address_asked_for(here: Gram) -> None:
    listener = here.crisis("granvik", hashtags=("mittous",), tagged=True, calls=True)
    here.fake.foreign("granvik #mittous", tagged=True)
    here.fake.mention("granvik @fjordbysykehus", in_caption=True)
    hear(here, listener)
    asked = [request.one("fields") for request in here.fake.requests()]
    wanted = [value for name, value in vars(questions).items() if isinstance(value, str) and name.isupper()]
    for fields in (*asked, *wanted):
        assert not any(word in fields for word in ("media_url", "thumbnail", "picture", "video", "children"))
    assert here.fake.requests("picture") == []
