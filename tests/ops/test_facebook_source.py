"""A Facebook Page against a fake Facebook on real sockets, which calls and is asked: each fault ends with nothing lost.

Twenty seconds of Facebook's time pass in each of the test's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from facebook_support import SECRET, TRACK, Wall, deleted, mention, versions, wall
from listener_support import WrongClock

from listener.bus.scan import scan_records
from listener.bus.spool import Spool, path_of
from listener.model.gaps import Cause, is_whole
from listener.model.incidents import Action
from listener.sources.facebook.post_ids import POST_IDS

SLOWLY = 20.0
"""Real seconds that anything may take."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Wall]:
    with wall(tmp_path) as found:
        yield found


# --- what is told by calls --------------------------------------------------------------------------------------------


def test_a_comment_is_captured_as_it_is_said_and_the_call_is_answered_once_it_lies_on_the_bus(here: Wall) -> None:
    its = here.crisis()
    id_ = here.hear(its)
    assert its.origins()[id_] == "live"
    its.turn_until(lambda: here.fake.caller.idle, SLOWLY)
    assert here.fake.caller.made == [200]
    said = mention(its, id_)
    assert said["reply_to"] == here.post
    assert said["url"].endswith(f"permalink.php?story_fbid=500001&id=1000&comment_id={id_.rpartition('_')[2]}")
    assert POST_IDS.in_link(said["url"]) == id_
    assert "Kari" not in str(said)


def test_what_is_said_below_a_post_about_it_is_about_it(tmp_path: Path) -> None:
    with wall(tmp_path, text=f"Det brenner i {TRACK} sykehus") as here:
        its = here.crisis()
        below = here.hear(its, "Er alle trygge?")
        answer = here.hear(its, "Det lurer jeg også på", reply_to=below)
        assert TRACK not in mention(its, below)["text"] + mention(its, answer)["text"]
        assert mention(its, answer)["reply_to"] == below


def test_by_the_name_of_the_page_a_track_finds_all_that_is_said_on_it(here: Wall) -> None:
    its = here.deployment(handle="fjordbysyk")
    its.open("@fjordbysyk")
    its.turn_until(its.hears, SLOWLY)
    id_ = here.hear(its, "Når åpner poliklinikken?")
    assert mention(its, id_)["incidents"] != {}


def test_what_no_call_tells_of_is_asked_for_and_heard_late(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("untold", count=1)
    id_ = here.say()
    its.turn_until(lambda: its.captured()[id_] == 1, SLOWLY)
    assert its.origins()[id_] == "gap_fill"
    assert here.lost(its) == []


def test_where_no_call_comes_at_all_ops_are_told_until_one_comes(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("mute", seconds=10_000, loses=True)
    ids = [here.say() for _ in range(3)]
    its.turn_until(lambda: ("webhook_silent", "fired") in its.alerts(), SLOWLY)
    assert set(ids) <= set(its.captured())
    here.fake.caller.mute_until = None
    here.hear(its)
    its.turn_until(lambda: ("webhook_silent", "resolved") in its.alerts(), SLOWLY)


def test_twice_in_another_order_and_late_it_counts_once(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("twice", count=5)
    here.fake.do("swap", count=3)
    here.fake.do("gather", seconds=20)
    ids = [here.say() for _ in range(40)]
    its.turn_until(lambda: set(ids) <= set(its.captured()), SLOWLY)
    its.turn_until(lambda: here.fake.caller.idle, SLOWLY)
    its.turn_for(2.0)
    assert set(its.captured().values()) == {1}


def test_an_edit_is_a_version_of_the_same_comment_whoever_tells_of_it(here: Wall) -> None:
    its = here.crisis()
    id_ = here.hear(its)
    here.fake.world.edit(id_, f"det brenner IKKE i {TRACK}")
    its.turn_until(lambda: len(versions(its, id_)) == 2, SLOWLY)
    here.fake.do("untold", count=1)
    here.fake.world.edit(id_, f"det brenner likevel i {TRACK}")
    its.turn_until(lambda: len(versions(its, id_)) == 3, SLOWLY)
    its.turn_for(3.0)
    assert versions(its, id_)[1:] == [f"det brenner IKKE i {TRACK}", f"det brenner likevel i {TRACK}"]
    assert {v["edits"][0] for v in its.values("mentions", "mention") if v["id"] != id_} == {id_}


def test_an_edit_that_comes_before_what_it_changed_counts_and_the_older_words_do_not(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("gather", seconds=30)
    id_ = here.say("det brenner i granvik nord")
    here.goes_by(2)
    here.fake.world.edit(id_, "det brenner i granvik sør")
    here.fake.caller._new.reverse()
    its.turn_until(lambda: len(versions(its, id_)) == 1 and here.fake.caller.idle, SLOWLY)
    its.turn_for(2.0)
    assert versions(its, id_) == ["det brenner i granvik sør"]


def test_what_is_deleted_is_purged_and_comments_go_with_their_post(here: Wall) -> None:
    its = here.crisis()
    one, two = here.hear(its), here.hear(its)
    answer = here.hear(its, reply_to=two)
    here.fake.world.delete(two)
    its.turn_until(lambda: deleted(its) >= {two, answer}, SLOWLY)
    assert one not in deleted(its)
    here.fake.world.delete(here.post)
    its.turn_until(lambda: one in deleted(its), SLOWLY)


def test_what_was_deleted_before_it_came_is_never_stored(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("gather", seconds=30)
    id_ = here.say()
    here.fake.world.delete(id_)
    here.fake.caller._new.reverse()
    after = here.say()
    its.turn_until(lambda: its.captured()[after] == 1 and here.fake.caller.idle, SLOWLY)
    its.turn_for(2.0)
    assert its.captured()[id_] == 0


def test_what_is_told_late_and_was_deleted_before_a_restart_is_found_out(here: Wall) -> None:
    its = here.crisis()
    id_ = here.say(told=False)
    thing = here.fake.world.things[id_]
    thing.at -= timedelta(minutes=5)
    thing.gone_at = here.clock.now()
    here.fake.world._tell(thing, "add", thing.at)
    its.turn_until(lambda: its.captured()[id_] == 1, SLOWLY)
    its.turn_until(lambda: id_ in deleted(its), SLOWLY)


def test_what_was_said_and_deleted_shortly_before_a_restart_and_is_told_after_it_is_found_out(here: Wall) -> None:
    first = here.crisis()
    here.hear(first)
    id_ = here.say(told=False)
    thing = here.fake.world.things[id_]
    first.die()
    thing.at = thing.gone_at = here.clock.now()
    second = here.deployment()
    here.fake.world._tell(thing, "add", thing.at)
    second.turn_until(lambda: second.captured()[id_] == 1, SLOWLY)
    second.turn_until(lambda: id_ in deleted(second), SLOWLY)


def test_once_a_day_it_is_asked_of_all_that_is_held_whether_it_is_there_yet(here: Wall) -> None:
    its = here.crisis()
    gone, stays = here.hear(its), here.hear(its)
    here.fake.do("untold", count=1)
    here.fake.world.delete(gone)
    its.turn_for(1.0)
    assert deleted(its) == set()
    its.source._memory.verified -= timedelta(days=2)
    its.turn_until(lambda: gone in deleted(its), SLOWLY)
    its.turn_for(1.0)
    assert stays not in deleted(its)


def test_what_the_page_hides_stays_for_its_author_took_nothing_back(here: Wall) -> None:
    its = here.crisis()
    id_ = here.hear(its)
    here.fake.world.hide(id_, True)
    here.fake.world.hide(id_, False)
    here.fake.world.like(id_)
    its.turn_until(lambda: here.fake.caller.idle, SLOWLY)
    its.turn_for(1.0)
    assert deleted(its) == set()
    assert its.captured()[id_] == 1


def test_a_mention_is_nobodys_and_one_without_words_is_asked_for(here: Wall) -> None:
    its = here.crisis()
    told = here.fake.world.say(f"{TRACK} brenner, sier naboen", mention=True)
    its.turn_until(lambda: its.captured()[told.id] == 1, SLOWLY)
    assert "author" not in mention(its, told.id)
    here.fake.do("gather", seconds=10)
    bare = here.fake.world.say(f"{TRACK} brenner fortsatt", mention=True)
    for change in here.fake.caller._new:
        del change["changes"][0]["value"]["message"]
    its.turn_until(lambda: its.captured()[bare.id] == 1, SLOWLY)


def test_who_writes_there_is_named_to_nobody_and_the_page_is_known_as_ourselves(here: Wall) -> None:
    its = here.crisis()
    first = here.hear(its, f"Hva skjer i {TRACK}?", by="Kari Fjell")
    answer = here.hear(its, f"Kari Fjell, det brenner i {TRACK}", by="Ola Strand", reply_to=first)
    said = mention(its, answer)
    assert "fjell" not in str(said).lower()
    assert said["author"] != mention(its, first)["author"]
    assert mention(its, first)["author"] in said["text"]
    own = here.hear(its, f"Ingen er skadet i {TRACK}", by=None)
    assert mention(its, own)["author_class"] == "own"


def test_markup_and_entities_stay_the_words_that_they_are(here: Wall) -> None:
    its = here.crisis()
    text = f"<b>{TRACK}</b> &amp; R&D &lt;script&gt; 5 < 7 «sa han» 🚒\n\nny linje"
    assert mention(its, here.hear(its, text))["text"] == text


def test_garbage_and_far_too_much_harm_nothing(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("garbage_call")
    here.fake.do(
        "garbage_call", body='{"object":"page","entry":[{"id":"1000","changes":[{"field":"feed","value":7}]}]}'
    )
    here.fake.do("garbage_call", body='{"object":"instagram","entry":[]}')
    here.fake.do("garbage_call", body="[" * 9000)
    here.fake.do("huge_call")
    here.hear(its)
    its.turn_until(lambda: here.fake.caller.idle, SLOWLY)
    its.turn_until(lambda: len(here.fake.caller.made) == 6, SLOWLY)
    assert here.fake.caller.made.count(200) == 5
    assert len(list(scan_records(its.bus, ["deadletters"]))) == 4


def test_a_wrong_signature_is_refused_and_what_it_told_is_found_all_the_same(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("forge", count=1)
    id_ = here.hear(its)
    its.turn_until(lambda: here.fake.caller.idle, SLOWLY)
    assert 401 in here.fake.caller.made
    assert its.captured()[id_] == 1


# --- what is asked ----------------------------------------------------------------------------------------------------


def test_what_was_said_while_nobody_listened_is_found_and_the_gap_is_filled(here: Wall) -> None:
    first = here.crisis()
    here.hear(first)
    first.die()
    ids = [here.say() for _ in range(5)]
    here.goes_by(40)
    second = here.deployment()
    second.turn_until(lambda: set(ids) <= set(second.captured()), SLOWLY)
    second.turn_until(second.hears, SLOWLY)
    assert second.causes() == [Cause.PROCESS_DOWN]
    assert is_whole(second.gaps()[0])
    second.turn_until(lambda: here.fake.caller.idle, SLOWLY)
    assert set(second.captured().values()) == {1}


def test_pages_that_are_empty_and_have_a_next_one_end_nothing(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("mute", seconds=10_000, loses=True)
    ids = [here.say() for _ in range(130)]
    here.fake.do("hollow", on="comments", times=3)
    here.fake.do("hollow", on="feed", times=1)
    its.turn_until(lambda: set(ids) <= set(its.captured()), SLOWLY)


def test_not_one_call_is_made_before_the_time_told_also_over_a_restart(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("limit", minutes=2, code=80001)
    here.fake.do("mute", seconds=10_000, loses=True)
    its.turn_until(lambda: Cause.RATE_LIMITED in its.causes(), SLOWLY)
    id_ = here.say()
    calls = len(here.fake.asked)
    its.turn_for(1.0)
    its.die()
    second = here.deployment()
    second.turn_until(lambda: second.state["state"] == "connecting", SLOWLY)
    second.turn_for(2.0)
    assert len(here.fake.asked) == calls
    second.turn_until(lambda: second.captured()[id_] == 1, SLOWLY)
    second.turn_until(second.hears, SLOWLY)
    assert here.fake.too_early == 0
    assert is_whole(second.gaps()[0])


def test_told_to_wait_by_the_last_answer_of_a_round_no_call_is_made_after_a_kill_either(here: Wall) -> None:
    its = here.deployment(lists=("feed",), calm_every=timedelta(seconds=5))
    its.turn_until(lambda: "counted" in its.state and its.state["state"] == "counting", SLOWLY)
    here.fake.do("usage", percent=100, minutes=10, on="comments")
    its.turn_until(lambda: "waits_until" in its.state, SLOWLY)
    its.turn_for(0.1)
    its.die()
    calls = len(here.fake.asked)
    second = here.deployment()
    second.turn_until(lambda: second.state["state"] == "connecting", SLOWLY)
    second.turn_for(1.0)
    assert len(here.fake.asked) == calls


def test_a_token_that_has_expired_is_a_gap_ops_are_told_and_nothing_is_tried_again(here: Wall, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(here.fake.token)
    its = here.crisis(token_file=file)
    here.fake.do("expire", subcode=463)
    its.turn_until(lambda: ("source_unauthorized", "fired") in its.alerts(), SLOWLY)
    assert Cause.UNAUTHORIZED in its.causes()
    assert its.state["state"] == "stopped"
    assert here.fake.token not in str(its.state)
    calls = len(here.fake.asked)
    its.turn_for(4.0)
    assert len(here.fake.asked) == calls
    here.fake.do("mute", seconds=10_000, loses=True)
    id_ = here.say()
    here.fake.do("renew", token="EAAa-nytt")
    file.write_text("EAAa-nytt")
    its.turn_until(lambda: its.captured()[id_] == 1, SLOWLY)
    its.turn_until(its.hears, SLOWLY)
    assert ("source_unauthorized", "resolved") in its.alerts()
    assert is_whole(its.gaps()[0])


def test_the_gap_of_a_restart_that_a_void_token_holds_open_says_so(here: Wall) -> None:
    first = here.crisis()
    here.hear(first)
    first.die()
    here.fake.do("expire", subcode=463)
    here.goes_by(40)
    second = here.deployment()
    second.turn_until(lambda: Cause.UNAUTHORIZED in second.causes(), SLOWLY)
    assert second.causes() == [Cause.UNAUTHORIZED]


def test_a_permission_that_is_gone_is_asked_for_once_an_hour(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("lose", scope="pages_read_user_content")
    its.turn_until(lambda: ("source_forbidden", "fired") in its.alerts(), SLOWLY)
    calls = len(here.fake.asked)
    its.turn_for(3.0)
    assert len(here.fake.asked) == calls
    assert Cause.FORBIDDEN in its.causes()


@pytest.mark.parametrize("how", ["kind", "vanish"])
def test_empty_lists_for_a_wrong_token_are_no_silence(here: Wall, how: str) -> None:
    its = here.crisis()
    here.fake.do(how)
    its.turn_until(lambda: ("source_unauthorized", "fired") in its.alerts(), SLOWLY)
    assert its.causes() == [Cause.UNAUTHORIZED]
    its.turn_for(1.0)
    assert its.ticks()[-1] <= its.clock.now() - timedelta(seconds=5)


@pytest.mark.parametrize(("verb", "how"), [("status", {"status": 503}), ("reset", {}), ("garbage", {}), ("cut", {})])
def test_a_fault_that_passes_makes_no_gap_and_loses_nothing(here: Wall, verb: str, how: dict[str, int]) -> None:
    its = here.crisis()
    here.fake.do(verb, times=2, **how)
    here.fake.do("untold", count=1)
    id_ = here.say()
    its.turn_until(lambda: its.captured()[id_] == 1, SLOWLY)
    assert its.gaps() == []


def test_a_fault_that_lasts_is_a_gap_that_is_filled_when_it_is_over(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("mute", seconds=10_000, loses=True)
    here.fake.do("status", status=503)
    its.turn_until(lambda: its.gaps() != [], SLOWLY)
    id_ = here.say()
    here.fake.do("heal", on="all")
    its.turn_until(lambda: its.captured()[id_] == 1, SLOWLY)
    its.turn_until(its.hears, SLOWLY)
    assert here.lost(its) == []
    assert is_whole(its.gaps()[0])
    assert its.gaps()[0].refilled >= 1


def test_a_round_that_broke_off_hides_nothing_that_lies_behind_it(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("mute", seconds=10_000, loses=True)
    ids = [here.say() for _ in range(230)]
    its.turn_until(lambda: bool(its.captured()), SLOWLY)
    here.fake.do("reset", on="comments", times=1)
    its.turn_until(lambda: set(ids) <= set(its.captured()), SLOWLY)


def test_a_fault_that_lasts_is_asked_about_ever_more_rarely(here: Wall) -> None:
    its = here.crisis()
    here.fake.do("status", status=503)
    its.turn_until(lambda: its.gaps() != [], SLOWLY)
    calls = len(here.fake.asked)
    its.turn_for(3.0)
    assert len(here.fake.asked) - calls < 8


def test_a_post_that_is_not_there_any_more_stops_nobody(here: Wall) -> None:
    its = here.crisis()
    other = here.fake.world.say("Et annet innlegg")
    its.turn_for(2.5)
    here.fake.world.things[other.id].gone_at = here.clock.now()
    here.fake.do("mute", seconds=10_000, loses=True)
    id_ = here.say()
    its.turn_until(lambda: its.captured()[id_] == 1, SLOWLY)
    assert its.gaps() == []


def test_what_was_said_before_the_incident_is_looked_for(here: Wall) -> None:
    its = here.deployment()
    its.turn_until(lambda: its.state["state"] == "counting", SLOWLY)
    early = here.say(at=here.clock.now() - timedelta(hours=5), told=False)
    before = here.say(at=here.clock.now() - timedelta(hours=1), told=False)
    its.open(TRACK, lookback=7200.0)
    its.turn_until(lambda: its.captured()[before] == 1, SLOWLY)
    now = here.hear(its)
    assert its.origins() == {before: "lookback", now: "live"}
    assert its.captured()[early] == 0


def test_what_was_passed_over_in_calm_since_the_opening_is_heard(here: Wall) -> None:
    its = here.deployment()
    its.turn_until(lambda: its.state["state"] == "counting", SLOWLY)
    opened = here.clock.now() - timedelta(seconds=1)
    id_ = here.say()
    its.turn_until(lambda: here.fake.caller.idle, SLOWLY)
    assert its.captured()[id_] == 0
    its.switch(Action.OPEN, TRACK, lookback=0.0)
    its.turn_until(its.hears, SLOWLY)
    its.switch(Action.CHANGE, "granvik*")
    its.turn_for(1.0)
    assert opened < here.clock.now()
    here.hear(its)


def test_in_calm_it_is_counted_asked_seldom_and_no_word_of_it_is_written(here: Wall) -> None:
    its = here.deployment(standing=(TRACK,), calm_every=timedelta(seconds=60))
    its.turn_until(lambda: its.state["state"] == "counting", SLOWLY)
    id_ = here.say(f"hemmeligheten i {TRACK}")
    its.turn_until(lambda: here.fake.caller.idle, SLOWLY)
    here.fake.do("untold", count=1)
    here.say(f"den andre hemmeligheten i {TRACK}")
    its.turn_until(lambda: sum(v["count"] for v in its.values("volumes", "volume")) == 2, SLOWLY)
    its.turn_for(1.0)
    assert sum(v["count"] for v in its.values("volumes", "volume")) == 2
    assert its.captured() == {}
    held = b"".join(file.read_bytes() for file in here.folder.rglob("*") if file.is_file())
    assert b"hemmeligheten" not in held
    assert id_.encode() not in held


@pytest.mark.parametrize("off", [3600.0, -3600.0])
def test_a_clock_that_is_an_hour_off_loses_nothing(here: Wall, off: float) -> None:
    clock = WrongClock(here.clock, off)
    its = here.crisis(clock=clock)
    told = here.hear(its)
    here.fake.do("untold", count=1)
    untold = here.hear(its)
    assert abs(clock.now() - its.ticks()[-1]) < timedelta(seconds=60)
    assert its.origins()[told] == "live"
    assert its.origins()[untold] in ("live", "gap_fill")
    its.die()
    here.goes_by(30)
    missed = here.say()
    second = here.deployment(clock=clock)
    second.turn_until(lambda: second.captured()[missed] == 1, SLOWLY)


def test_without_a_webhook_all_is_asked_for(here: Wall) -> None:
    its = here.crisis(called=False)
    id_ = here.hear(its)
    its.turn_until(lambda: its.ticks() and its.ticks()[-1] >= here.fake.world.things[id_].at, SLOWLY)
    assert its.state["called"] is None
    assert its.gaps() == []


def test_while_the_bus_is_away_calls_are_answered_by_what_lies_on_disk(
    here: Wall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.bus.sqlite.store.BUSY_SECONDS", 0.05)
    spool = Spool(path_of(tmp_path, "facebook"), 1 << 20, here.clock)
    its = here.crisis(spool=spool)
    with closing(sqlite3.connect(tmp_path / "bus.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        id_ = here.say()
        its.reporter = _Quiet()  # type: ignore[assignment]
        its.turn_until(lambda: 200 in here.fake.caller.made, SLOWLY)
        db.execute("ROLLBACK")
    its.turn_until(lambda: its.captured()[id_] == 1, SLOWLY)
    assert SECRET not in str(its.state)


class _Quiet:
    """A reporter that cannot reach the bus either."""

    def step(self, timeout: float) -> bool:
        return False
