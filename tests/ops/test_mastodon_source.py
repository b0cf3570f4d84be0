"""Mastodon against fake servers on real sockets: each way in which one goes wrong ends with nothing lost or twice.

Ten seconds of the listener's and the servers' time pass in each second of the test's.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from listener_support import ListenerDeployment, WrongClock
from mastodon_support import FAST, SPEED, Fediverse, fediverse

from listener.ingest.gaps import to_ledger
from listener.model.gaps import Cause, closed, is_whole, open_gap
from listener.model.incidents import Action
from listener.sources.common.key import Key
from listener.sources.mastodon.access import Access
from listener.sources.mastodon.unsettled import SETTLED
from tests.fakes.mastodon import TOKEN, FakeMastodon
from tests.fakes.platform import Platform, Reply, Route

SLOWLY = 20.0
"""Real seconds that something may take which waits for twenty of the servers', or more."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Fediverse]:
    with fediverse(tmp_path) as found:
        yield found


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Fediverse]:
    with fediverse(tmp_path, FAST) as found:
        yield found


@pytest.fixture
def crisis(here: Fediverse) -> ListenerDeployment:
    """Listening for `#granvik` at both servers."""
    deployment = here.deployment()
    deployment.open("#granvik")
    deployment.turn_until(lambda: hears_all(deployment), SLOWLY)
    return deployment


def hears_all(deployment: ListenerDeployment) -> bool:
    return all(server["heard"] for server in deployment.state["servers"].values()) and deployment.hears()


def hear(here: Fediverse, deployment: ListenerDeployment, said: str = "det brenner #granvik", **more: object) -> str:
    """A post, captured."""
    uri = here.say(said, **more)
    deployment.turn_until(lambda: deployment.captured()[uri] == 1, SLOWLY)
    return uri


def versions(deployment: ListenerDeployment, uri: str) -> list[str]:
    found = deployment.values("mentions", "mention")
    return [v["text"] for v in found if v["id"] == uri or v.get("edits") == [uri]]


def named(deployment: ListenerDeployment) -> set[str]:
    return {uri for v in deployment.values("mentions", "deletion") for uri in v["ids"]}


def nothing_lost_or_twice(here: Fediverse, deployment: ListenerDeployment) -> None:
    deployment.turn_until(lambda: hears_all(deployment) and not here.lost(deployment), SLOWLY)
    assert not [uri for uri, count in deployment.captured().items() if count > 1]


def content(here: Fediverse) -> bytes:
    return b"".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())


# --- calm, crisis, calm --------------------------------------------------------------------------------------------


def test_in_calm_posts_of_standing_tracks_are_counted_and_no_word_is_kept(here: Fediverse) -> None:
    deployment = here.deployment(standing=("#granvik",))
    deployment.turn_until(lambda: deployment.state["state"] == "counting" and not here.lost(deployment), SLOWLY)
    for number in range(3):
        here.say(f"hemmelig ord #granvik nummer {number}", by="kari")
    here.federation.delete(here.say("hemmelig igjen #granvik", by="kari"))
    deployment.turn_until(lambda: sum(v["count"] for v in deployment.values("volumes", "volume")) >= 3, SLOWLY)
    deployment.turn_for(0.3)
    assert {v["track"] for v in deployment.values("volumes", "volume")} == {"#granvik"}
    assert sum(v["count"] for v in deployment.values("volumes", "volume")) in (3, 4), "two servers, each post once"
    assert deployment.values("mentions", "mention") == []
    assert deployment.values("mentions", "deletion") == []
    assert b"hemmelig" not in content(here)
    assert b"kari" not in content(here)


def test_what_is_said_between_a_reading_and_a_subscription_that_takes_its_time_is_captured(here: Fediverse) -> None:
    """At the switch, when most is said; of a hashtag that nobody had used before."""
    here.a.do("subscribe_late", seconds=3)
    deployment = here.deployment(accesses=here.accesses(here.a))
    deployment.turn_until(lambda: deployment.state["state"] == "counting", SLOWLY)
    deployment.open("#granvik")
    deployment.turn_until(lambda: hears_all(deployment), SLOWLY)
    uri = here.say()
    deployment.turn_until(lambda: deployment.captured()[uri] == 1, SLOWLY)
    nothing_lost_or_twice(here, deployment)


def test_minutes_of_calm_are_counted_once_over_a_restart(here: Fediverse) -> None:
    first = here.deployment(standing=("#granvik",))
    first.turn_until(lambda: first.state["state"] == "counting", SLOWLY)
    first.turn_until(lambda: hears_all_counting(first), SLOWLY)
    for _ in range(3):
        here.say()
    first.turn_until(lambda: sum(v["count"] for v in first.values("volumes", "volume")) == 3, SLOWLY)
    first.die()
    here.say()
    second = here.deployment("listener@other", standing=("#granvik",))
    second.turn_until(lambda: sum(v["count"] for v in second.values("volumes", "volume")) == 4, SLOWLY)
    second.turn_for(0.5)
    assert sum(v["count"] for v in second.values("volumes", "volume")) == 4


def hears_all_counting(deployment: ListenerDeployment) -> bool:
    return all(server["heard"] for server in deployment.state["servers"].values())


def test_what_was_said_between_the_switch_and_our_hearing_of_it_is_read_again_and_makes_no_gap(here: Fediverse) -> None:
    deployment = here.deployment(standing=("#granvik",))
    deployment.turn_until(lambda: hears_all_counting(deployment), SLOWLY)
    deployment.open("#granvik", "#sørøya")
    known, new = here.say("ordet #granvik"), here.say("ferga #sørøya")
    here.goes_by(3)
    deployment.turn_until(lambda: deployment.captured()[known] == deployment.captured()[new] == 1, SLOWLY)
    assert deployment.origins() == {known: "live", new: "live"}
    assert deployment.gaps() == []
    deployment.switch(Action.CLOSE)
    deployment.turn_until(lambda: deployment.state["state"] == "counting", SLOWLY)
    here.say("etterpå #granvik")
    deployment.turn_for(0.5)
    assert len(deployment.captured()) == 2


def test_what_a_switch_asked_for_is_read_though_the_connection_breaks_first(here: Fediverse) -> None:
    deployment = here.deployment(standing=("#granvik",))
    deployment.turn_until(lambda: hears_all_counting(deployment), SLOWLY)
    for server in (here.a, here.b):
        server.do("status", status=503, on="tag")
    deployment.open("#granvik")
    said = here.say("ordet #granvik")
    here.goes_by(3)
    deployment.turn_for(0.2)
    for server in (here.a, here.b):
        server.do("abort")
    deployment.turn_until(lambda: "reset" in deployment.metrics_reconnects(), SLOWLY)
    for server in (here.a, here.b):
        server.do("heal")
    deployment.turn_until(lambda: deployment.captured()[said] == 1, SLOWLY)
    nothing_lost_or_twice(here, deployment)


def test_the_hours_before_an_incident_are_read_too_and_a_kill_amid_them_loses_none(fast: Fediverse) -> None:
    said = [fast.say(f"før #granvik {n}") for n in range(50)]
    fast.goes_by(30)
    fast.a.do("status", status=503, on="tag")
    fast.b.do("status", status=503, on="tag")
    first = fast.deployment()
    first.open("#granvik", lookback=3600.0)
    first.turn_for(0.3)
    first.die()
    fast.a.do("heal")
    fast.b.do("heal")
    again = fast.deployment("listener@other")
    again.turn_until(lambda: hears_all(again), SLOWLY)
    now = hear(fast, again)
    again.turn_until(lambda: set(said) <= set(again.captured()) and not again.state["looking_back"], SLOWLY)
    assert [again.origins()[uri] for uri in (*said, now)] == ["lookback"] * 50 + ["live"]
    nothing_lost_or_twice(fast, again)
    again.turn_for(0.3)
    again.die()
    third = fast.deployment("listener@third")
    third.turn_until(third.hears, SLOWLY)
    assert third.state["looking_back"] == []


def test_a_track_that_is_added_is_heard_from_then_on(here: Fediverse, crisis: ListenerDeployment) -> None:
    hear(here, crisis)
    (incident,) = {i for v in crisis.values("mentions", "mention") for i in v["incidents"]}
    crisis.switch(Action.CHANGE, "sørøya", incident=incident)
    uri = here.say("ferga til #Sørøya er innstilt")
    crisis.turn_until(lambda: crisis.captured()[uri] == 1, SLOWLY)


# --- one post of several servers -----------------------------------------------------------------------------------


def test_a_post_that_several_servers_give_is_one_and_one_that_one_gives_is_heard(
    here: Fediverse, crisis: ListenerDeployment
) -> None:
    both = hear(here, crisis)
    alone = [here.say(f"bare hos #granvik {name}", by=f"ola@{name}", known_to=[name]) for name in ("b.example",)]
    crisis.turn_until(lambda: set(alone) <= set(crisis.captured()), SLOWLY)
    nothing_lost_or_twice(here, crisis)
    assert crisis.captured()[both] == 1


def test_a_whole_timeline_is_heard_where_the_settings_say_so_and_words_are_found_in_it(here: Fediverse) -> None:
    deployment = here.deployment(accesses=here.accesses(here.a, timeline="public"))
    deployment.open("brann i granvik")
    deployment.turn_until(deployment.hears, SLOWLY)
    said = here.say("det er brann i Granvik, ingen emneknagg")
    here.say("brann i granvik", account={"noindex": True})
    here.say("brann i granvik, for venner", visibility="unlisted")
    here.say("noe helt annet")
    last = hear(here, deployment, "brann i granvik igjen")
    assert set(deployment.captured()) == {said, last}


# --- edits and deletions -------------------------------------------------------------------------------------------


def test_an_edit_keeps_its_id_and_is_a_version_once(here: Fediverse, crisis: ListenerDeployment) -> None:
    uri = hear(here, crisis)
    here.federation.edit(uri, "det brenner ikke likevel #granvik")
    crisis.turn_until(lambda: len(versions(crisis, uri)) == 2, SLOWLY)
    crisis.turn_for(0.3)
    assert versions(crisis, uri)[-1] == "det brenner ikke likevel #granvik"
    assert len(versions(crisis, uri)) == 2


def test_a_deletion_is_named_of_what_is_held_by_its_uri_and_of_nothing_else(
    here: Fediverse, crisis: ListenerDeployment
) -> None:
    held, other = hear(here, crisis), here.say("en kopp kaffe #kaffe")
    here.federation.delete(other)
    here.federation.delete(held)
    crisis.turn_until(lambda: bool(named(crisis)), SLOWLY)
    crisis.turn_for(0.3)
    assert named(crisis) == {held}


def test_a_deletion_of_a_post_from_before_a_restart_is_known_by_the_servers_number(
    here: Fediverse, crisis: ListenerDeployment
) -> None:
    uri = hear(here, crisis)
    crisis.turn_for(0.3)
    crisis.die()
    for server in (here.a, here.b):
        server.do("status", status=503, on="tag")  # no timeline tells what its number stands for
    again = here.deployment("listener@other")
    again.turn_until(lambda: again.state["connected"] == 2, SLOWLY)
    here.federation.delete(uri)
    again.turn_until(lambda: named(again) == {uri}, SLOWLY)


def test_what_was_deleted_or_edited_while_nobody_listened_is_found_out_after_the_restart(
    fast: Fediverse,
) -> None:
    deployment = fast.deployment()
    deployment.open("#granvik")
    deployment.turn_until(lambda: hears_all(deployment), SLOWLY)
    gone, edited, stays = (hear(fast, deployment, f"nummer {n} #granvik") for n in range(3))
    deployment.turn_for(0.3)
    deployment.die()
    fast.federation.delete(gone)
    fast.federation.edit(edited, "rettet #granvik")
    again = fast.deployment("listener@other")
    again.turn_until(lambda: named(again) == {gone} and len(versions(again, edited)) == 2, SLOWLY)
    again.turn_for(0.3)
    assert named(again) == {gone}
    assert len(versions(again, stays)) == 1


def test_what_a_proxy_says_of_a_post_purges_nothing(fast: Fediverse) -> None:
    deployment = fast.deployment(accesses=fast.accesses(fast.a))
    deployment.open("#granvik")
    deployment.turn_until(deployment.hears, SLOWLY)
    hear(fast, deployment)
    deployment.turn_for(0.3)
    deployment.die()
    fast.a.do("status", status=404, on="status")
    again = fast.deployment("listener@other", accesses=fast.accesses(fast.a))
    again.turn_until(lambda: bool(fast.a.requests("status")), SLOWLY)
    again.turn_for(0.3)
    assert named(again) == set()


def test_in_calm_too_what_was_deleted_is_named(here: Fediverse, crisis: ListenerDeployment) -> None:
    uri = hear(here, crisis)
    crisis.switch(Action.CLOSE)
    crisis.turn_until(lambda: crisis.state["state"] == "counting", SLOWLY)
    crisis.turn_for(0.3)
    crisis.die()
    here.federation.delete(uri)
    again = here.deployment("listener@other", standing=("#granvik",))
    again.turn_until(lambda: named(again) == {uri}, SLOWLY)


def test_what_comes_in_the_wrong_order_is_taken_rightly(here: Fediverse, crisis: ListenerDeployment) -> None:
    for server in (here.a, here.b):
        server.do("swap")
    gone = here.say("angrer #granvik")
    here.federation.delete(gone)
    for server in (here.a, here.b):
        server.do("swap")
    edited = here.say("først #granvik")
    here.federation.edit(edited, "så #granvik")
    crisis.turn_until(lambda: len(versions(crisis, edited)) == 1, SLOWLY)
    crisis.turn_for(0.3)
    assert versions(crisis, edited) == ["så #granvik"]
    assert crisis.captured()[gone] == 0
    assert named(crisis) == set()


# --- the stream goes wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "cause"), [("close", "closed"), ("abort", "reset"), ("cut_streams", "reset"), ("half_frame", "reset")]
)
def test_a_connection_that_ends_is_made_anew_with_nothing_lost_or_twice(
    here: Fediverse, crisis: ListenerDeployment, verb: str, cause: str
) -> None:
    hear(here, crisis)
    here.a.do(verb)
    for number in range(3):
        here.say(f"i mellomtiden #granvik {number}", by="ola", known_to=[])  # at a alone
    nothing_lost_or_twice(here, crisis)
    hear(here, crisis)
    assert cause in crisis.metrics_reconnects()
    assert crisis.gaps() == []


def test_a_server_that_answers_nothing_is_connected_to_anew(here: Fediverse, crisis: ListenerDeployment) -> None:
    hear(here, crisis)
    crisis.turn_for(2 * SETTLED / SPEED)
    here.a.do("freeze")
    said = here.say("hos a #granvik", known_to=[])
    crisis.turn_until(lambda: crisis.captured()[said] == 1, SLOWLY)
    assert "silence" in crisis.metrics_reconnects()
    nothing_lost_or_twice(here, crisis)
    (gap,) = (gap for gap in crisis.gaps() if gap.cause == Cause.SILENCE)
    assert (gap.part, is_whole(gap)) == ("a.example", True)


def test_a_stream_that_answers_and_is_deaf_is_found_out_by_the_timeline(fast: Fediverse) -> None:
    deployment = fast.deployment(accesses=fast.accesses(fast.a), probe=30.0)
    deployment.open("#granvik")
    deployment.turn_until(deployment.hears, SLOWLY)
    hear(fast, deployment)
    deployment.turn_for(2 * SETTLED / FAST)
    fast.a.do("silence", seconds=1e9, loses=True)
    said = fast.say("ingen strøm #granvik")
    deployment.turn_until(lambda: deployment.captured()[said] == 1, SLOWLY)
    deployment.turn_until(lambda: bool(deployment.gaps()) and is_whole(deployment.gaps()[0]), SLOWLY)
    (gap,) = deployment.gaps()
    at = fast.federation.statuses[said].at
    assert gap.start <= at <= gap.end
    assert "silence" in deployment.metrics_reconnects()
    fast.say("strøm igjen #granvik")
    nothing_lost_or_twice(fast, deployment)


def test_a_server_that_is_away_holds_nobody_up_and_is_a_gap_of_its_own_that_is_filled(
    here: Fediverse, crisis: ListenerDeployment
) -> None:
    hear(here, crisis)
    here.a.do("status", status=503, on="all")
    here.a.do("cut_streams")
    crisis.turn_until(lambda: any(gap.part == "a.example" for gap in crisis.gaps()), SLOWLY)
    alone = here.say("hos a #granvik", known_to=[])
    ticks = len(crisis.ticks())
    hear(here, crisis)
    crisis.turn_until(lambda: len(crisis.ticks()) > ticks + 1, SLOWLY)
    assert crisis.hears(), "the other goes on"
    assert crisis.state["servers"]["a.example"]["trouble"] == "its stream answers 503"
    here.a.do("heal")
    crisis.turn_until(lambda: crisis.captured()[alone] == 1 and all(map(is_whole, crisis.gaps())), SLOWLY)
    assert crisis.origins()[alone] == "gap_fill"
    assert {gap.part for gap in crisis.gaps()} == {"a.example"}
    assert [gap.refilled for gap in crisis.gaps()] == [1]
    nothing_lost_or_twice(here, crisis)


def test_two_that_are_away_do_not_slow_the_third(here: Fediverse) -> None:
    with FakeMastodon(federation=here.federation, domain="c.example") as c:
        deployment = here.deployment(accesses=here.accesses(here.a, here.b, c))
        deployment.open("#granvik")
        deployment.turn_until(lambda: hears_all(deployment), SLOWLY)
        here.a.do("hang", on="all", hold=3600)
        here.b.do("slow", on="all", hold=3600)
        for server in (here.a, here.b):
            server.do("freeze")
        deployment.turn_until(lambda: len({gap.part for gap in deployment.gaps()}) == 2, SLOWLY)
        late = []
        for number in range(5):
            said = here.clock.now()
            hear(here, deployment, f"nummer {number} #granvik")
            late.append((here.clock.now() - said).total_seconds())
        assert sorted(late)[2] < 8, "most within a second of the test's"
        ticks = deployment.ticks()
        assert (here.clock.now() - ticks[-1]).total_seconds() < 15
        began = time.monotonic()
        deployment.source.close()
        assert time.monotonic() - began < 1.0


def test_an_answer_that_never_ends_is_left_behind(fast: Fediverse) -> None:
    deployment = fast.deployment(accesses=fast.accesses(fast.a))
    deployment.open("#granvik")
    deployment.turn_until(deployment.hears, SLOWLY)
    hear(fast, deployment)
    fast.a.do("slow", on="tag", hold=100_000, times=1)
    fast.a.do("abort")
    said = fast.say()
    deployment.turn_until(lambda: deployment.captured()[said] == 1, SLOWLY)
    nothing_lost_or_twice(fast, deployment)


def test_when_all_are_away_the_whole_is_a_gap_and_ops_are_told(fast: Fediverse) -> None:
    deployment = fast.deployment()
    deployment.open("#granvik")
    deployment.turn_until(lambda: hears_all(deployment), SLOWLY)
    for server in (fast.a, fast.b):
        server.do("status", status=503, on="all")
        server.do("cut_streams")
    said = fast.say()
    deployment.turn_until(lambda: ("source_silent", "fired") in deployment.alerts(), SLOWLY)
    assert {gap.part for gap in deployment.gaps()} == {None, "a.example", "b.example"}
    assert deployment.state["state"] == "connecting"
    for server in (fast.a, fast.b):
        server.do("heal")
    deployment.turn_until(lambda: all(map(is_whole, deployment.gaps())), 40)
    deployment.turn_until(lambda: ("source_silent", "resolved") in deployment.alerts(), SLOWLY)
    assert deployment.captured()[said] == 1
    nothing_lost_or_twice(fast, deployment)


def test_a_restart_is_a_gap_of_each_that_is_filled(here: Fediverse, crisis: ListenerDeployment) -> None:
    hear(here, crisis)
    crisis.turn_for(0.3)
    crisis.die()
    said = [here.say(f"mens vi var nede #granvik {n}") for n in range(90)]  # three pages
    here.goes_by(15)
    again = here.deployment("listener@other")
    again.turn_until(lambda: set(said) <= set(again.captured()) and hears_all(again), SLOWLY)
    assert set(again.causes()) == {"process_down"}
    assert {gap.part for gap in again.gaps()} >= {"a.example", "b.example"}
    again.turn_until(lambda: all(map(is_whole, again.gaps())), SLOWLY)
    nothing_lost_or_twice(here, again)


def test_a_post_that_its_server_hears_late_is_found_though_its_number_is_of_before(
    here: Fediverse, crisis: ListenerDeployment
) -> None:
    hear(here, crisis)
    for server in (here.a, here.b):
        server.do("deaf", seconds=36_000)
    late = here.say("sen i posten #granvik")
    here.goes_by(1)
    for server in (here.a, here.b):
        server.do("deaf", seconds=0, still=[late])
    hear(here, crisis, "etter #granvik")
    crisis.turn_for(0.3)
    crisis.die()
    for server in (here.a, here.b):
        server.do("hears")
    again = here.deployment("listener@other")
    again.turn_until(lambda: again.captured()[late] == 1, SLOWLY)
    nothing_lost_or_twice(here, again)


def test_what_was_lost_for_want_of_room_while_the_bus_was_away_is_read_again(
    here: Fediverse, crisis: ListenerDeployment
) -> None:
    start = here.clock.now()
    lost = here.say("tapt #granvik")
    here.goes_by(2)
    end = here.clock.now()
    gap = closed(open_gap("mastodon", start, Cause.BUS_AWAY), end, refilled=0, refilled_until=None)
    crisis.turn_for(0.2)
    crisis.die()
    crisis.bus.publish([to_ledger(gap)])
    again = here.deployment("listener@other")
    again.turn_until(lambda: all(is_whole(g) for g in again.gaps() if g.id == gap.id), SLOWLY)
    assert again.captured()[lost] == 1


def test_what_is_no_post_is_counted_and_stops_nothing(here: Fediverse, crisis: ListenerDeployment) -> None:
    for verb in ("garbage_frame", "bad_utf8", "binary", "notification", "twice"):
        here.a.do(verb)
    for wrong in ('{"event":"update"}', '{"event":"update","payload":"[]"}', '{"event":"delete","payload":{}}', "[]"):
        here.a.do("garbage_frame", content=wrong)
    hear(here, crisis)
    here.a.do("huge", size=10_000_000)
    hear(here, crisis, known_to=[])
    reasons = {v["reason"] for v in crisis.values("deadletters")}
    assert {"bad_json", "wrong_type", "missing_field", "too_long"} <= reasons
    assert crisis.metrics_reconnects() == set()
    nothing_lost_or_twice(here, crisis)


# --- who may ask, and how often ------------------------------------------------------------------------------------


def test_a_token_that_is_no_users_any_more_is_a_gap_and_ops_are_told_and_nobody_is_stormed(fast: Fediverse) -> None:
    deployment = fast.deployment(accesses=fast.accesses(fast.a))
    deployment.open("#granvik")
    deployment.turn_until(deployment.hears, SLOWLY)
    fast.a.do("revoke")
    before = len(fast.a.requests())
    said = fast.say()
    deployment.turn_until(lambda: ("mastodon_unauthorized", "fired") in deployment.alerts(), SLOWLY)
    assert deployment.state["state"] == "stopped"
    assert "answers 401" in deployment.state["problem"]
    deployment.turn_until(lambda: deployment.causes() != [], SLOWLY)
    deployment.turn_for(1.0)
    assert len(fast.a.requests()) - before < 6
    fast.a.do("restore")
    deployment.turn_until(lambda: deployment.captured()[said] == 1, 40)
    deployment.turn_until(lambda: ("mastodon_unauthorized", "resolved") in deployment.alerts(), SLOWLY)
    assert "problem" not in deployment.state


def test_limits_are_kept_and_what_was_missed_is_read_when_the_server_lets_us(fast: Fediverse) -> None:
    deployment = fast.deployment(accesses=fast.accesses(fast.a))
    deployment.open("#granvik")
    deployment.turn_until(deployment.hears, SLOWLY)
    hear(fast, deployment)
    fast.a.do("allow", calls=0, window=60)
    fast.a.do("cut_streams")
    said = fast.say("i mellomtiden #granvik")
    deployment.turn_until(lambda: deployment.causes() == ["rate_limited"], SLOWLY)
    calls = len(fast.a.requests("tag"))
    fast.a.do("allow", calls=300)
    deployment.turn_for(0.5)
    assert len(fast.a.requests("tag")) - calls <= 1, "asked again before the time told"
    deployment.turn_until(lambda: deployment.captured()[said] == 1, 40)
    nothing_lost_or_twice(fast, deployment)


def test_a_redirect_is_not_followed_and_the_token_stays(here: Fediverse) -> None:
    class Elsewhere(Platform):
        name = "elsewhere"

        def routes(self) -> tuple[Route, ...]:
            return (Route("any", "GET", "/.*", lambda request: Reply(200, [])),)

    with Elsewhere() as thief:
        here.a.do("status", status=302, on="all", headers={"Location": f"{thief.url}/x"})
        deployment = here.deployment(accesses=here.accesses(here.a))
        deployment.open("#granvik")
        deployment.turn_until(lambda: deployment.state["state"] == "stopped", SLOWLY)
        assert thief.requests() == []
        here.a.do("heal")
        deployment.die()
        there = here.b.url.replace("http", "ws")
        here.a.do("status", status=302, on="stream", headers={"Location": f"{there}/api/v1/streaming"})
        second = here.deployment("listener@test", accesses=here.accesses(here.a))
        second.turn_until(lambda: bool(second.state["servers"]["a.example"].get("trouble")), SLOWLY)
        assert not [asked for asked in here.b.requests() if TOKEN in str(asked.headers)]
        assert here.b.open == []


def test_a_feed_that_is_closed_fills_no_gap(here: Fediverse) -> None:
    deployment = here.deployment(accesses=here.accesses(here.a))
    deployment.open("#granvik")
    deployment.turn_until(deployment.hears, SLOWLY)
    hear(here, deployment)
    deployment.turn_for(0.3)
    deployment.die()
    here.a.do("close_feed")
    said = here.say()
    here.goes_by(15)
    again = here.deployment("listener@other", accesses=here.accesses(here.a))
    again.turn_until(again.hears, SLOWLY)
    hear(here, again)
    (gap,) = again.gaps()
    assert not is_whole(gap)
    here.a.do("abort")
    again.turn_until(lambda: len(again.gaps()) == 2, SLOWLY)  # however short
    assert gap.start <= here.federation.statuses[said].at <= gap.end
    assert here.lost(again) == []


@pytest.mark.parametrize("off", [3600.0, -3600.0])
def test_with_our_clock_an_hour_off_nothing_is_lost_or_twice(here: Fediverse, off: float) -> None:
    clock = WrongClock(here.clock)
    clock.off = off
    deployment = here.deployment(clock=clock)
    deployment.open("#granvik")
    deployment.turn_until(lambda: hears_all(deployment), SLOWLY)
    first = hear(here, deployment)
    here.a.do("abort")
    second = hear(here, deployment)
    clock.off = 0.0
    third = hear(here, deployment)
    deployment.turn_until(lambda: {first, second, third} <= set(deployment.captured()), SLOWLY)
    assert not [uri for uri, count in deployment.captured().items() if count > 1]


def test_a_post_dated_ahead_or_long_ago_is_heard_and_ends_no_window(
    here: Fediverse, crisis: ListenerDeployment
) -> None:
    ahead = here.clock.now() + timedelta(hours=1)
    uri = here.say("fra framtiden #granvik", created_at=ahead.isoformat())
    crisis.turn_until(lambda: crisis.captured()[uri] == 1, SLOWLY)
    (at,) = [v["at"] for v in crisis.values("mentions", "mention")]
    assert at < ahead.isoformat()
    past = here.say("fra fortiden #granvik", created_at=(ahead - timedelta(hours=2)).isoformat())
    crisis.turn_until(lambda: crisis.captured()[past] == 1, SLOWLY)
    assert max(crisis.ticks()) <= here.clock.now()


# --- privacy -------------------------------------------------------------------------------------------------------


def test_no_word_name_or_token_is_logged_however_much_is(
    here: Fediverse, crisis: ListenerDeployment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hear(here, crisis, "hemmeligord #granvik", by="solveig")
    here.a.do("garbage_frame", content="hemmeligord")
    here.a.do("cut_streams")
    hear(here, crisis)
    assert "hemmeligord" not in caplog.text
    assert "solveig" not in caplog.text
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(Access("a", "https://a.example", Key("mastodon.servers.0.token", TOKEN)))


def test_a_name_is_a_pseudonym_in_text_links_and_url_and_the_same_from_every_server(
    here: Fediverse, crisis: ListenerDeployment
) -> None:
    one = hear(here, crisis, "@kari_2@b.example se https://b.example/@kari_2/9 #granvik", by="ola_7@a.example")
    other = hear(here, crisis, "jeg er med #granvik", by="kari_2@b.example", known_to=[])
    found = {v["id"]: v for v in crisis.values("mentions", "mention")}
    assert "kari_2" not in found[one]["text"]
    assert all("kari_2" not in link for link in found[one]["links"])
    assert all("ola_7" not in found[one][part] for part in ("author", "url"))
    assert found[other]["author"] in found[one]["text"]
