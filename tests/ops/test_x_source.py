"""X against a fake X on a real socket: each thing that stock tweepy does wrong ends well here.

A minute of the listener's and the fake's time passes in each second of the test's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from listener_support import ListenerDeployment
from x_support import SPEED, TOKEN, Town, town

from listener.clock import SystemClock
from listener.model.incidents import Action
from tests.fakes.x import ScaledClock


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path, ScaledClock(SPEED)) as here:
        yield here


@pytest.fixture
def crisis(fast: Town) -> ListenerDeployment:
    """Listening for `granvik`."""
    deployment = fast.deployment()
    deployment.open("granvik")
    settle(deployment)
    return deployment


def hear(town: Town, deployment: ListenerDeployment, said: str = "det brenner i granvik") -> str:
    """A post, heard live."""
    post = town.fake.post(said)
    deployment.turn_until(lambda: deployment.captured()[post.id] == 1)
    return post.id


def settle(deployment: ListenerDeployment, seconds: float = 10.0) -> None:
    """Heard again, and all that was missed is searched."""
    deployment.turn_until(lambda: deployment.hears() and not deployment.state["unfilled"], seconds)


def cut(town: Town, deployment: ListenerDeployment) -> None:
    """The connection is reset, and that is noticed."""
    town.fake.do("reset")
    deployment.turn_until(lambda: not deployment.hears())


def connects(town: Town) -> int:
    return len(town.fake.requests("/search/stream", "GET"))


# --- calm, crisis, calm ----------------------------------------------------------------------------------------------


def test_in_calm_no_stream_is_open_and_left_over_rules_go(fast: Town) -> None:
    fast.fake.do("foreign_rule", value="katt", tag="another app")
    fast.fake.do("foreign_rule", value="gammel", tag="lyttepost:left-over")
    deployment = fast.deployment()
    deployment.turn_until(lambda: [r.value for r in fast.fake.world.rules.values()] == ["katt"])
    deployment.turn_for(0.3)
    assert connects(fast) == 0
    assert deployment.state["state"] == "idle"
    assert deployment.values("mentions") == []


def test_an_incident_opens_the_stream_and_its_end_closes_it(fast: Town, crisis: ListenerDeployment) -> None:
    hear(fast, crisis)
    crisis.switch(Action.CLOSE)
    crisis.turn_until(lambda: not fast.fake.streams.open and not fast.fake.world.rules)
    fast.fake.post("granvik, etterpå")
    crisis.turn_for(0.3)
    assert len(crisis.captured()) == 1
    assert crisis.state["state"] == "idle"


def test_the_time_until_x_has_confirmed_is_a_gap_and_filled(fast: Town) -> None:
    deployment = fast.deployment()
    deployment.turn_for(0.1)
    fast.fake.do("refuse", on="rules.post", seconds=20)
    deployment.open("granvik")
    deployment.turn_for(0.1)
    post = fast.fake.post("brann i granvik")
    deployment.turn_until(lambda: deployment.captured()[post.id] == 1)
    settle(deployment)
    assert deployment.origins() == {post.id: "gap_fill"}
    assert deployment.causes() == ["rules_unconfirmed"]
    assert fast.lost(deployment) == []


def test_a_new_track_is_heard_and_foreign_rules_are_left_alone(fast: Town, crisis: ListenerDeployment) -> None:
    fast.fake.do("foreign_rule", value="katt", tag=None)
    crisis.switch(Action.CHANGE, "sandnesbrua", incident="brann-0")
    crisis.turn_until(lambda: any("sandnesbrua" in r.value for r in fast.fake.world.rules.values()))
    settle(crisis)
    hear(fast, crisis, "kø ved sandnesbrua")
    assert sorted(r.value for r in fast.fake.world.rules.values()) == ['"granvik" OR "sandnesbrua"', "katt"]


def test_a_quote_is_heard_for_what_it_quotes_and_keeps_none_of_it(fast: Town, crisis: ListenerDeployment) -> None:
    about_us = fast.fake.post("det brenner i granvik, sier naboen")
    crisis.turn_until(lambda: crisis.captured()[about_us.id] == 1)
    quote = fast.fake.post("Herregud, se her", quote_of=about_us.id)
    crisis.turn_until(lambda: crisis.captured()[quote.id] == 1)
    (mention,) = (v for v in crisis.values("mentions", "mention") if v["id"] == quote.id)
    assert (mention["text"], mention["quote_of"]) == ("Herregud, se her", about_us.id)
    assert "naboen" not in str(mention)
    assert crisis.metric("posts_matched_total") == 2


def test_a_track_with_an_accent_is_heard_in_both_spellings(fast: Town) -> None:
    deployment = fast.deployment()
    deployment.open("kafé nordvik", "malmö havn")
    settle(deployment)
    for said in ("kafé nordvik", "Kafe Nordvik", "Malmö havn", "Malmø havn"):
        hear(fast, deployment, said)


def test_lookback_brings_the_hours_before_newest_first(tmp_path: Path) -> None:
    clock = ScaledClock(SPEED)
    with town(tmp_path, clock) as here:
        now = clock.now()
        before = [
            here.fake.world.publish({"text": f"granvik {n}", "created_at": (now - timedelta(minutes=n)).isoformat()})
            for n in (10, 100, 200, 400)
        ]
        deployment = here.deployment()
        deployment.open("granvik", lookback=6 * 3600)
        deployment.turn_until(lambda: sum(deployment.captured().values()) == 3)
        settle(deployment)
        found = [v["id"] for v in deployment.values("mentions", "mention")]
        assert found == [post.id for post in before[:3]]
        assert set(deployment.origins().values()) == {"lookback"}


def test_an_open_incident_looks_back_further_when_it_is_asked_to(tmp_path: Path) -> None:
    clock = ScaledClock(SPEED)
    with town(tmp_path, clock) as here:
        now = clock.now()
        before = [
            here.fake.world.publish({"text": f"granvik {n}", "created_at": (now - timedelta(minutes=n)).isoformat()})
            for n in (10, 100, 400)
        ]
        deployment = here.deployment()
        deployment.open("granvik", lookback=3600)
        deployment.turn_until(lambda: sum(deployment.captured().values()) == 1)
        settle(deployment)
        deployment.switch(Action.OPEN, lookback=10 * 3600, lookback_asked=True)
        deployment.turn_until(lambda: sum(deployment.captured().values()) == 3)
        settle(deployment)
        assert deployment.captured() == {post.id: 1 for post in before}
        assert set(deployment.origins().values()) == {"lookback"}


# --- how a connection ends ------------------------------------------------------------------------------------------

ENDS: list[tuple[str, Callable[[Town], Any], str]] = [
    ("a reset", lambda t: t.fake.do("reset"), "reset"),
    ("an abrupt close", lambda t: t.fake.do("abort"), "reset"),
    ("a clean close", lambda t: t.fake.do("close"), "closed"),
    ("silence", lambda t: t.fake.do("silence", seconds=300, loses=True), "silence"),
    ("half a line", lambda t: t.fake.do("half_line", now=True), "closed"),
    ("a notice and a close", lambda t: t.fake.do("notice"), "operational_disconnect"),
    ("a notice and nothing more", lambda t: t.fake.do("notice", close=False), "operational_disconnect"),
]


@pytest.mark.parametrize(("how", "cause"), [pytest.param(how, cause, id=name) for name, how, cause in ENDS])
def test_after_an_end_it_connects_again_and_fills_the_gap(
    fast: Town, crisis: ListenerDeployment, how: Callable[[Town], Any], cause: str
) -> None:
    hear(fast, crisis)
    with fast.deaf(crisis, lambda: how(fast)):
        missed = fast.fake.post("granvik, mens ingen hørte", live=False)
    crisis.turn_until(lambda: crisis.captured()[missed.id] == 1)
    settle(crisis)
    later = hear(fast, crisis, "granvik igjen")
    assert crisis.origins()[missed.id] == "gap_fill"
    assert crisis.origins()[later] == "live"
    gap = crisis.gaps()[-1]
    assert gap.cause == cause
    assert gap.refilled == 1
    assert gap.refilled_until == gap.end
    assert set(crisis.captured().values()) == {1}
    assert fast.lost(crisis) == []


@pytest.mark.parametrize("line", ["garbage", "bad_utf8", "huge_line"])
def test_a_line_that_cannot_be_read_ends_nothing_and_is_searched_for(
    fast: Town, crisis: ListenerDeployment, line: str
) -> None:
    hear(fast, crisis)
    before = connects(fast)
    fast.fake.do(line)
    hear(fast, crisis, "granvik etter søppel")
    settle(crisis)
    assert connects(fast) == before
    assert sorted(crisis.causes()) == ["garbled", "rules_unconfirmed"]
    assert len(crisis.values("deadletters")) == 1


STRANGE = (
    "[]", "0", "null", '"granvik"', "{}", '{"data": null}', '{"data": []}', '{"data": 5}', '{"data": {"id": {}}}',
    '{"data": {"id": "5", "text": ["granvik"], "created_at": "2031-02-03T12:00:00Z"}}', '{"errors": {}}',
    '{"errors": [null, 5, {"title": 7}]}', '{"data": {"id": "6", "text": "granvik", "created_at": "snart"}}',
    '{"data": {"id": "7", "text": "granvik"}, "includes": [], "matching_rules": "alle"}', "[" * 5000, "NaN",
)  # fmt: skip


def test_no_line_of_whatever_shape_ends_the_stream_or_is_passed_over_in_silence(
    fast: Town, crisis: ListenerDeployment
) -> None:
    """Stock tweepy ends for good, without a word, when its handler meets one it did not expect."""
    hear(fast, crisis)
    before = connects(fast)
    for line in STRANGE:
        fast.fake.do("garbage", line=line)
    hear(fast, crisis)
    settle(crisis)
    assert connects(fast) == before
    assert len(crisis.values("deadletters")) == len(STRANGE)


@pytest.mark.parametrize("then", ["close", "abort", "reset"])
def test_a_post_whose_line_is_cut_in_half_is_found_by_search(fast: Town, crisis: ListenerDeployment, then: str) -> None:
    hear(fast, crisis)
    fast.fake.do("half_line", then=then)
    cut_off = fast.fake.post("granvik, midt i et ord")
    settle(crisis)
    crisis.turn_until(lambda: crisis.captured()[cut_off.id] == 1)
    settle(crisis)
    assert crisis.origins()[cut_off.id] == "gap_fill"
    assert set(crisis.captured().values()) == {1}
    assert [v["reason"] for v in crisis.values("deadletters")] == ["broken_line"]


def test_whatever_fails_in_the_streams_thread_ends_no_stream_for_good(fast: Town) -> None:
    luck: Iterator[Exception] = iter([ZeroDivisionError("chance")])

    def chance() -> float:
        value = next(luck, 0.5) if deployment.captured() else 0.5
        if isinstance(value, Exception):
            raise value
        return value

    deployment = fast.deployment(chance=chance)
    deployment.open("granvik")
    settle(deployment)
    hear(fast, deployment)
    missed = fast.fake.post("granvik, mens ingen hørte", live=False)
    fast.fake.do("reset")
    deployment.turn_until(lambda: deployment.captured()[missed.id] == 1)
    settle(deployment)
    hear(fast, deployment)
    assert next(luck, None) is None
    assert fast.lost(deployment) == []


def test_a_long_post_is_heard_whole(fast: Town, crisis: ListenerDeployment) -> None:
    said = "granvik " + "og så en lang historie " * 30 + "slutt"
    first = hear(fast, crisis, said)
    assert [v["text"] for v in crisis.values("mentions", "mention") if v["id"] == first] == [said]


@pytest.mark.parametrize("oddity", ["untagged", "unmatched"])
def test_a_post_without_its_rules_tag_is_a_post(fast: Town, crisis: ListenerDeployment, oddity: str) -> None:
    fast.fake.do(oddity)
    hear(fast, crisis)
    hear(fast, crisis)


def test_a_post_sent_twice_is_captured_once(fast: Town, crisis: ListenerDeployment) -> None:
    fast.fake.do("twice", count=2)
    first, second = hear(fast, crisis), hear(fast, crisis)
    fast.fake.do("again", last=2)
    last = hear(fast, crisis)
    assert crisis.captured() == {first: 1, second: 1, last: 1}


def test_an_edit_is_captured_with_the_ids_it_had_before_and_counted_as_one_post(
    fast: Town, crisis: ListenerDeployment
) -> None:
    first = hear(fast, crisis)
    edit = fast.fake.do("edit", id=first, text="det brenner ikke i granvik")
    again = fast.fake.do("edit", id=edit, text="det brenner litt i granvik")
    fast.fake.do("again", last=3)
    last = hear(fast, crisis)
    mentions = {v["id"]: v for v in crisis.values("mentions", "mention")}
    assert crisis.captured() == {first: 1, edit: 1, again: 1, last: 1}
    assert [mentions[i].get("edits") for i in (first, edit, again)] == [[], [first], [first, edit]]
    assert mentions[again]["text"] == "det brenner litt i granvik"
    assert sum(v["count"] for v in crisis.values("volumes", "volume") if v["track"] == "granvik") == 2


def test_an_edit_that_comes_before_its_post_ends_the_same(fast: Town, crisis: ListenerDeployment) -> None:
    fast.fake.do("unordered", count=2)
    first = fast.fake.post("det brenner i granvik").id
    edit = fast.fake.do("edit", id=first, text="det brenner ikke i granvik")
    crisis.turn_until(lambda: sum(crisis.captured().values()) == 2)
    assert [v["id"] for v in crisis.values("mentions", "mention")] == [edit, first]
    assert sum(v["count"] for v in crisis.values("volumes", "volume") if v["track"] == "granvik") == 1


def test_what_search_brings_of_an_edited_post_is_captured_once(fast: Town, crisis: ListenerDeployment) -> None:
    first = hear(fast, crisis)
    cut(fast, crisis)
    edit = fast.fake.do("edit", id=first, text="det brenner ikke i granvik")
    settle(crisis)
    crisis.turn_until(lambda: crisis.captured()[edit] == 1)
    assert crisis.captured() == {first: 1, edit: 1}


def test_200_and_then_close_keeps_within_the_connects_that_x_allows(fast: Town, crisis: ListenerDeployment) -> None:
    """Stock tweepy connects 450 times a second."""
    began = fast.clock.now()
    fast.fake.do("close_at_connect", times=1000)
    fast.fake.do("reset")
    crisis.turn_for(15 * 60 / SPEED)
    times = [r.at for r in fast.fake.requests("/search/stream", "GET") if r.at >= began]
    assert 20 < len(times) <= 50
    assert max(later - earlier for earlier, later in pairwise(times)) < timedelta(minutes=3)
    assert all(r.status == 200 for r in fast.fake.requests("/search/stream", "GET"))
    assert ("x_silent", "fired") in crisis.alerts()
    fast.fake.do("heal")
    fast.fake.do("close_at_connect", times=0)
    settle(crisis, 15)
    assert ("x_silent", "resolved") in crisis.alerts()
    assert fast.lost(crisis) == []


def test_503_is_tried_again_ever_more_seldom(fast: Town, crisis: ListenerDeployment) -> None:
    fast.fake.do("refuse", status=503, on="stream", seconds=60)
    cut(fast, crisis)
    settle(crisis)
    tries = [r.at for r in fast.fake.requests("/search/stream", "GET") if r.status == 503]
    waits = [(b - a).total_seconds() for a, b in pairwise(tries)]
    # Never sooner than X asks; later is this machine's business.
    assert waits
    assert all(wait >= 5 * 2**number for number, wait in enumerate(waits)), waits


def test_429_waits_until_x_says(fast: Town, crisis: ListenerDeployment) -> None:
    fast.fake.do("limit", on="stream", seconds=150)
    cut(fast, crisis)
    settle(crisis)
    tries = [r for r in fast.fake.requests("/search/stream", "GET") if r.status == 429]
    assert len(tries) == 1
    gap = crisis.gaps()[-1]
    assert gap.end is not None
    assert 140 < (gap.end - gap.start).total_seconds() < 200


def test_429_without_a_time_waits_a_minute_at_first(fast: Town, crisis: ListenerDeployment) -> None:
    fast.fake.do("limit", on="stream", seconds=100, reset=False)
    cut(fast, crisis)
    settle(crisis)
    tries = [r.at for r in fast.fake.requests("/search/stream", "GET") if r.status == 429]
    assert len(tries) == 2
    assert (tries[1] - tries[0]).total_seconds() >= 60


def test_too_many_connections_are_cleared(fast: Town, crisis: ListenerDeployment) -> None:
    fast.fake.do("stuck")
    cut(fast, crisis)
    settle(crisis)
    assert fast.fake.requests("/connections/all", "DELETE")
    assert crisis.metric("reconnects_total", cause="too_many_connections") == 1


@pytest.mark.parametrize(("status", "what"), [(401, "x_unauthorized"), (403, "x_forbidden")])
def test_whoever_changes_the_tracks_of_a_refused_listener_need_not_wait(
    fast: Town, crisis: ListenerDeployment, status: int, what: str
) -> None:
    """Asked again by itself, too, with pauses of minutes: see test_x_refusals."""
    hear(fast, crisis)
    fast.fake.do("refuse", status=status, on="stream")
    before = connects(fast)
    fast.fake.do("reset")
    crisis.turn_until(lambda: (what, "fired") in crisis.alerts())
    crisis.turn_for(5)
    assert before + 2 <= connects(fast) <= before + 8
    assert crisis.part.unready() is not None
    assert crisis.state["state"] == "stopped"
    assert crisis.gaps()[-1].end is None
    fast.fake.do("heal")
    crisis.switch(Action.CHANGE, "sandnesbrua", incident="brann-0")
    settle(crisis)
    crisis.turn_until(lambda: crisis.part.unready() is None)
    assert fast.lost(crisis) == []


def test_a_key_that_is_refused_for_rules_is_told_in_calm_already(fast: Town) -> None:
    fast.fake.do("refuse", status=401, on="rules.get")
    deployment = fast.deployment()
    deployment.turn_until(lambda: ("x_unauthorized", "fired") in deployment.alerts())
    deployment.turn_until(lambda: deployment.part.unready() is not None)
    assert TOKEN not in str(deployment.records("alerts"))


# --- rules ------------------------------------------------------------------------------------------------------------


def test_one_refused_track_makes_no_other_unheard(fast: Town) -> None:
    deployment = fast.deployment()
    fast.fake.do("partial_rules", count=1, times=3)
    deployment.open("granvik", "sandnesbrua", "kaia", "#brann")
    deployment.turn_until(deployment.hears)
    assert list(deployment.state["refused"]) == ["#brann"]
    for said in ("i granvik", "på sandnesbrua", "nede ved kaia"):
        hear(fast, deployment, said)
    assert ("x_track_refused", "fired") in deployment.alerts()


def test_rules_that_x_lost_are_put_back_and_the_time_is_a_gap(fast: Town, crisis: ListenerDeployment) -> None:
    hear(fast, crisis)
    fast.fake.do("drop_rules")
    missed = fast.fake.post("granvik uten regel")
    crisis.turn_until(lambda: crisis.captured()[missed.id] == 1, 15)
    assert crisis.causes()[-1] == "rules_missing"
    assert fast.lost(crisis) == []


def test_an_answer_that_drips_or_never_comes_holds_up_nobody(tmp_path: Path) -> None:
    with town(tmp_path, ScaledClock(SPEED)) as here:
        here.fake.do("hang", on="rules.get", hold=3600, times=1)
        here.fake.do("slow", on="rules.get", hold=3600, times=1)
        deployment = here.deployment(rest_seconds=0.4)
        deployment.open("granvik")
        longest = 0.0
        began = time.monotonic()
        while not deployment.hears():
            turn = time.monotonic()
            deployment.turn()
            longest = max(longest, time.monotonic() - turn)
            assert time.monotonic() - began < 10
        assert longest < 0.3


# --- search -----------------------------------------------------------------------------------------------------------


def test_what_search_cannot_fill_stays_an_open_gap_and_is_tried_again(fast: Town, crisis: ListenerDeployment) -> None:
    hear(fast, crisis)
    settle(crisis)
    fast.fake.do("refuse", status=503, on="search", seconds=120)
    with fast.deaf(crisis):
        missed = fast.fake.post("granvik i gapet", live=False)
    crisis.turn_until(lambda: crisis.hears() and bool(crisis.state["unfilled"]))
    crisis.turn_for(1.0)
    gap = crisis.gaps()[-1]
    assert gap.end is not None
    assert gap.refilled_until is None
    assert crisis.metric("gaps_open") == 1
    crisis.turn_until(lambda: crisis.captured()[missed.id] == 1, 15)
    settle(crisis)
    assert crisis.metric("gaps_open") == 0


def test_a_gap_of_many_pages_is_filled_whole(fast: Town, crisis: ListenerDeployment) -> None:
    hear(fast, crisis)
    with fast.deaf(crisis):
        missed = [fast.fake.post(f"granvik nummer {n}", live=False).id for n in range(350)]
    crisis.turn_until(lambda: crisis.captured().keys() >= set(missed), 20)
    settle(crisis)
    assert set(crisis.captured().values()) == {1}
    assert crisis.gaps()[-1].refilled == 350


# --- crashes, stops, successors -------------------------------------------------------------------------------------


def test_the_time_in_which_nobody_ran_is_a_gap_and_filled(fast: Town, crisis: ListenerDeployment) -> None:
    heard = hear(fast, crisis)
    crisis.turn_for(0.2)
    last = crisis.ticks()[-1]
    crisis.die()
    missed = fast.fake.post("granvik mens ingen kjørte")
    time.sleep(0.5)
    again = fast.deployment()
    again.turn_until(lambda: again.captured()[missed.id] == 1)
    settle(again)
    gap = again.gaps()[-1]
    assert (gap.cause, gap.start) == ("process_down", last)
    assert again.captured() == {heard: 1, missed.id: 1}
    assert fast.lost(again) == []


def test_a_crash_in_a_gap_goes_on_with_the_same_gap(fast: Town, crisis: ListenerDeployment) -> None:
    hear(fast, crisis)
    fast.fake.do("refuse", status=503, on="stream")
    fast.fake.do("reset")
    crisis.turn_until(lambda: crisis.gaps()[-1].end is None)
    crisis.turn_for(0.2)
    crisis.die()
    fast.fake.do("heal")
    missed = fast.fake.post("granvik, ennå i gapet")
    again = fast.deployment()
    settle(again)
    assert again.captured()[missed.id] == 1
    assert again.causes() == ["rules_unconfirmed", "reset"]


def test_a_successor_takes_over_and_a_zombie_publishes_nothing(fast: Town, crisis: ListenerDeployment) -> None:
    hear(fast, crisis)
    crisis.turn_for(0.2)
    time.sleep(0.2)  # longer than the lease, in their time
    second = fast.deployment(holder="another@test")
    post = fast.fake.post("granvik til begge")
    time.sleep(0.1)
    second.turn_until(second.hears)
    for _ in range(5):
        crisis.listen.step(0.0)
    second.turn_until(lambda: second.captured()[post.id] == 1)
    settle(second)
    assert set(second.captured().values()) == {1}
    assert crisis.state["connected"] is False


def test_close_shuts_the_socket_at_once(tmp_path: Path) -> None:
    """Stock tweepy waits for the next byte: up to 20 s."""
    with town(tmp_path, SystemClock()) as here:
        deployment = here.deployment()
        deployment.open("granvik")
        deployment.turn_until(lambda: deployment.state["connected"])
        began = time.monotonic()
        deployment.listen.close()
        assert time.monotonic() - began < 1
        deadline = time.monotonic() + 2
        while here.fake.streams.open:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_full_queue_is_a_gap_and_filled(tmp_path: Path) -> None:
    with town(tmp_path, ScaledClock(SPEED)) as here:
        deployment = here.deployment(most_lines=20)
        deployment.open("granvik")
        deployment.turn_until(deployment.hears)
        posts = [here.fake.post(f"granvik {n}").id for n in range(100)]
        time.sleep(0.3)
        deployment.turn_until(lambda: deployment.captured().keys() >= set(posts), 15)
        settle(deployment)
        assert "queue_full" in deployment.causes()
        assert set(deployment.captured().values()) == {1}


def test_ticks_stand_still_in_a_gap(fast: Town, crisis: ListenerDeployment) -> None:
    hear(fast, crisis)
    fast.fake.do("refuse", on="stream")
    fast.fake.do("reset")
    crisis.turn_until(lambda: crisis.gaps()[-1].end is None)
    gap = crisis.gaps()[-1]
    crisis.turn_for(1.0)
    assert max(crisis.ticks()) <= gap.start
