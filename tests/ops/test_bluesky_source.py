"""Bluesky against fake hosts on real sockets: each way in which a stream goes wrong ends with nothing lost.

Ten seconds of the listener's and the network's time pass in each second of the test's.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from bluesky_support import FAST, Sky, sky
from listener_support import ListenerDeployment, WrongClock

from listener.bus.protocol import Lease
from listener.ingest.absent import Absent
from listener.ingest.gaps import to_ledger
from listener.ingest.worker import LEASE_SECONDS
from listener.model.gaps import Cause, closed, is_whole, open_gap
from listener.model.incidents import Action
from tests.fakes.bluesky import did_of

SLOWLY = 20.0
"""Real seconds that something may take which waits for twenty of the network's, or more."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Sky]:
    with sky(tmp_path) as found:
        yield found


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Sky]:
    with sky(tmp_path, FAST) as found:
        yield found


@pytest.fixture
def crisis(here: Sky) -> ListenerDeployment:
    """Listening for `granvik`."""
    deployment = here.deployment()
    deployment.open("granvik")
    deployment.turn_until(deployment.hears, SLOWLY)
    return deployment


def hear(here: Sky, deployment: ListenerDeployment, said: str = "det brenner i granvik") -> str:
    """A post, captured."""
    uri = here.say(said)
    deployment.turn_until(lambda: deployment.captured()[uri] == 1, SLOWLY)
    return uri


def versions(deployment: ListenerDeployment, uri: str) -> list[str]:
    return [v["text"] for v in deployment.values("mentions", "mention") if v["id"].partition("@")[0] == uri]


def nothing_lost_or_twice(here: Sky, deployment: ListenerDeployment) -> None:
    deployment.turn_until(lambda: deployment.hears() and not here.lost(deployment), SLOWLY)
    assert not [uri for uri, count in deployment.captured().items() if count > 1]


# --- calm, crisis, calm --------------------------------------------------------------------------------------------


def test_in_calm_posts_of_standing_tracks_are_counted_and_no_word_is_kept(here: Sky) -> None:
    deployment = here.deployment(standing=("granvik", "ous*"))
    deployment.turn_until(lambda: deployment.state["state"] == "counting", SLOWLY)
    for number in range(3):
        here.say(f"hemmelig ord i granvik nummer {number}")
    here.say("ousvold, et annet sted")
    deployment.turn_until(lambda: sum(v["count"] for v in deployment.values("volumes", "volume")) >= 4, SLOWLY)
    tracks = {v["track"] for v in deployment.values("volumes", "volume")}
    assert tracks == {"granvik", "ous*"}
    assert deployment.values("mentions", "mention") == []
    assert deployment.values("mentions", "deletion") == []
    held = b"".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())
    assert b"hemmelig" not in held
    assert b"did:plc" not in held


def test_in_calm_of_one_that_is_deleted_at_once_nothing_is_kept_either(here: Sky) -> None:
    deployment = here.deployment(standing=("granvik",))
    deployment.turn_until(lambda: deployment.state["state"] == "counting", SLOWLY)
    here.network.delete(here.say())
    here.say("granvik igjen")
    here.goes_by(3)  # all three lie there when somebody takes
    deployment.turn_until(lambda: bool(deployment.values("volumes", "volume")), SLOWLY)
    assert deployment.values("mentions", "deletion") == []
    assert b"did:plc" not in b"".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())


def test_in_calm_it_is_known_which_minutes_had_no_post_and_little_is_written(fast: Sky) -> None:
    deployment = fast.deployment(standing=("granvik",))
    deployment.turn_until(lambda: bool(deployment.values("volumes", "heard")), SLOWLY)
    heard = deployment.values("volumes", "heard")[0]
    assert heard["incidents"] == {"": ["granvik"]}
    assert deployment.values("volumes", "volume") == []
    ticks = deployment.ticks()
    assert (ticks[-1] - ticks[0]).total_seconds() / (len(ticks) - 1) > 10


def test_minutes_of_calm_are_counted_once_over_a_restart(here: Sky) -> None:
    first = here.deployment(standing=("granvik",))
    first.turn_until(lambda: first.state["state"] == "counting", SLOWLY)
    for _ in range(3):
        here.say()
    first.turn_until(lambda: sum(v["count"] for v in first.values("volumes", "volume")) == 3, SLOWLY)
    first.turn_until(lambda: bool(first.ticks()), SLOWLY)
    first.die()
    here.say()
    second = here.deployment("listener@other", standing=("granvik",))
    second.turn_until(lambda: sum(v["count"] for v in second.values("volumes", "volume")) == 4, SLOWLY)
    second.turn_for(0.5)
    assert sum(v["count"] for v in second.values("volumes", "volume")) == 4


def test_what_was_said_between_the_switch_and_our_hearing_of_it_is_read_again(here: Sky) -> None:
    deployment = here.deployment(standing=("ous*",))
    deployment.turn_until(lambda: deployment.state["state"] == "counting", SLOWLY)
    deployment.open("granvik")
    uri = here.say()
    seen = deployment.state["seen"]
    while deployment.state["seen"] <= seen + 1:
        here.goes_by(0.2)  # it is passed over before we hear of the incident
    deployment.turn_until(lambda: deployment.captured()[uri] == 1, SLOWLY)
    deployment.switch(Action.CLOSE)
    deployment.turn_until(lambda: deployment.state["state"] == "counting", SLOWLY)
    here.say("granvik, etterpå")
    deployment.turn_for(0.5)
    assert len(deployment.captured()) == 1


def test_the_switch_itself_makes_no_gap_and_what_comes_then_is_not_heard_late(tmp_path: Path) -> None:
    with sky(tmp_path, 6.0) as here:
        deployment = here.deployment()
        deployment.turn_until(lambda: deployment.state["state"] == "counting", SLOWLY)
        for _ in range(28):  # longer than it is read back at the switch, and more than is read in one turn
            for _ in range(60):
                here.say("noe annet")
            deployment.turn()
            here.goes_by(0.5)
        deployment.open("granvik")
        uri = here.say()
        here.goes_by(2)  # it is read, and passed over, before we hear of the switch
        deployment.turn_until(lambda: deployment.captured()[uri] == 1, SLOWLY)
        assert deployment.origins()[uri] == "live"
        assert deployment.gaps() == []


def test_the_hours_before_an_incident_are_read_too_and_a_kill_amid_them_loses_none(fast: Sky) -> None:
    said = [fast.say(f"granvik før {n}") for n in range(3)]
    gone = fast.say("granvik, slettet")
    fast.network.delete(gone)
    fast.goes_by(30)
    first = fast.deployment(hosts=[fast.east.url])
    fast.east.do("hang", on="subscribe", hold=3600, times=2)
    first.open("granvik", lookback=3600.0)
    first.turn_for(0.5)
    first.die()
    fast.east.do("heal")
    again = fast.deployment("listener@other")
    again.turn_until(again.hears, SLOWLY)
    now = hear(fast, again)
    again.turn_until(lambda: set(said) <= set(again.captured()) and not again.state["looking_back"], SLOWLY)
    assert [again.origins()[uri] for uri in (*said, now)] == ["lookback"] * 3 + ["live"]
    named = {uri for v in again.values("mentions", "deletion") for uri in v["ids"]}
    assert again.captured()[gone] == 0 or gone in named
    assert not [uri for uri, count in again.captured().items() if count > 1]
    again.turn_for(0.3)
    again.die()
    third = fast.deployment("listener@third")
    third.turn_until(third.hears, SLOWLY)
    assert third.state["looking_back"] == []


def test_a_track_that_is_added_is_heard_from_then_on(here: Sky, crisis: ListenerDeployment) -> None:
    hear(here, crisis)
    (incident,) = {i for v in crisis.values("mentions", "mention") for i in v["incidents"]}
    crisis.switch(Action.CHANGE, "sørøya", incident=incident)
    uri = here.say("ferga til Sørøya er innstilt")
    crisis.turn_until(lambda: crisis.captured()[uri] == 1, SLOWLY)


# --- edits and deletions -------------------------------------------------------------------------------------------


def test_an_edit_keeps_its_id_and_is_a_version(here: Sky, crisis: ListenerDeployment) -> None:
    uri = hear(here, crisis)
    here.network.edit(uri, "det brenner ikke i granvik likevel")
    crisis.turn_until(lambda: len(versions(crisis, uri)) == 2, SLOWLY)
    assert versions(crisis, uri)[-1] == "det brenner ikke i granvik likevel"
    (edited,) = [v for v in crisis.values("mentions", "mention") if v.get("edits")]
    assert edited["edits"] == [uri]


def test_a_deletion_is_named_of_what_is_held_and_of_nothing_else(here: Sky, crisis: ListenerDeployment) -> None:
    held, other = hear(here, crisis), here.say("en kopp kaffe")
    here.network.delete(other)
    here.network.delete(held)
    crisis.turn_until(lambda: bool(crisis.values("mentions", "deletion")), SLOWLY)
    crisis.turn_for(0.3)
    assert [v["ids"] for v in crisis.values("mentions", "deletion")] == [[held]]


def test_an_account_that_is_deleted_takes_all_that_is_held_of_it(here: Sky, crisis: ListenerDeployment) -> None:
    his = [here.say(f"granvik {n}", by="per") for n in range(3)]
    hers = hear(here, crisis)
    crisis.turn_until(lambda: set(his) <= set(crisis.captured()), SLOWLY)
    here.network.account("per")
    here.network.account("en annen")
    crisis.turn_until(lambda: bool(crisis.values("mentions", "deletion")), SLOWLY)
    assert sorted(crisis.values("mentions", "deletion")[0]["ids"]) == sorted(his)
    assert hers not in crisis.values("mentions", "deletion")[0]["ids"]


def test_what_was_deleted_while_nobody_listened_is_named_after_the_restart_in_calm_too(
    here: Sky, crisis: ListenerDeployment
) -> None:
    uri = hear(here, crisis)
    crisis.switch(Action.CLOSE)
    crisis.turn_until(lambda: crisis.state["state"] == "counting", SLOWLY)
    crisis.turn_for(0.3)
    crisis.die()
    here.network.delete(uri)
    again = here.deployment("listener@other")
    again.turn_until(lambda: bool(again.values("mentions", "deletion")), SLOWLY)
    assert again.values("mentions", "deletion")[0]["ids"] == [uri]


def test_a_creation_that_comes_behind_its_deletion_is_never_stored(here: Sky, crisis: ListenerDeployment) -> None:
    here.east.do("swap")
    uri = here.say()
    here.network.delete(uri)
    after = hear(here, crisis, "granvik igjen")
    assert crisis.captured() == {after: 1}


# --- the stream goes wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "cause"),
    [
        ("close", "closed"),
        ("abort", "reset"),
        ("cut_streams", "reset"),
        ("half_frame", "reset"),
        ("too_slow", "queue_full"),
    ],
)
def test_a_connection_that_ends_goes_on_elsewhere_with_nothing_lost_or_twice(
    here: Sky, crisis: ListenerDeployment, verb: str, cause: str
) -> None:
    hear(here, crisis)
    here.east.do(verb)
    for number in range(3):
        here.say(f"granvik i mellomtiden {number}")
    nothing_lost_or_twice(here, crisis)
    hear(here, crisis)
    assert cause in crisis.metrics_reconnects()
    assert crisis.state["host"] == here.west.url
    nothing_lost_or_twice(here, crisis)


def test_a_host_that_is_mute_is_left_for_the_other(here: Sky, crisis: ListenerDeployment) -> None:
    hear(here, crisis)
    here.east.do("silence", seconds=36_000, loses=True)
    said = here.say()
    crisis.turn_until(lambda: crisis.captured()[said] == 1, SLOWLY)
    assert crisis.state["host"] == here.west.url
    assert "silence" in crisis.metrics_reconnects()
    nothing_lost_or_twice(here, crisis)
    assert all(is_whole(gap) for gap in crisis.gaps())


def test_an_outage_of_all_hosts_is_a_gap_that_is_filled(here: Sky, crisis: ListenerDeployment) -> None:
    hear(here, crisis)
    for host in (here.east, here.west):
        host.do("status", status=503, on="subscribe")
        host.do("cut_streams")
    crisis.turn_until(lambda: bool(crisis.gaps()), SLOWLY)
    said = here.say()
    crisis.turn_for(0.3)
    assert crisis.state["state"] == "connecting"
    for host in (here.east, here.west):
        host.do("heal")
    crisis.turn_until(lambda: crisis.captured()[said] == 1 and crisis.hears(), SLOWLY)
    assert crisis.origins()[said] == "gap_fill"
    (gap,) = crisis.gaps()
    assert is_whole(gap)
    assert gap.refilled == 1
    nothing_lost_or_twice(here, crisis)


def test_a_restart_is_a_gap_that_is_filled(here: Sky, crisis: ListenerDeployment) -> None:
    hear(here, crisis)
    crisis.turn_for(0.3)
    crisis.die()
    said = here.say()
    here.goes_by(15)
    again = here.deployment("listener@other")
    again.turn_until(lambda: again.captured()[said] == 1 and again.hears(), SLOWLY)
    assert again.causes() == ["process_down"]
    assert all(is_whole(gap) for gap in again.gaps())
    nothing_lost_or_twice(here, again)


def test_a_gap_that_another_wrote_while_nobody_listened_is_taken_over_and_filled(
    here: Sky, crisis: ListenerDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.ingest.absent.PATIENCE", 15.0)
    hear(here, crisis)
    crisis.turn_for(0.3)
    crisis.die()

    def lease(source: str) -> Lease:
        return crisis.bus.lease(f"source:{source}", "another", LEASE_SECONDS)

    absent = Absent(crisis.bus, ["x"], lease, reporter=crisis.reporter, clock=here.clock, part=crisis.part)
    said, tries = here.say(), 0
    while not crisis.gaps() and (tries := tries + 1) < 1000:
        absent.step(0.0)
        here.goes_by(0.5)
    absent.close()
    assert [(gap.cause, gap.end) for gap in crisis.gaps()] == [("process_down", None)]
    again = here.deployment("listener@other")
    again.turn_until(lambda: again.captured()[said] == 1 and again.hears(), SLOWLY)
    (gap,) = again.gaps()
    assert is_whole(gap)
    nothing_lost_or_twice(here, again)


@pytest.mark.parametrize("version", [1, 2])
def test_what_no_host_keeps_any_more_stays_a_gap(fast: Sky, version: int) -> None:
    first = fast.deployment(version=version)
    first.open("granvik")
    first.turn_until(first.hears, SLOWLY)
    hear(fast, first)
    first.turn_until(lambda: bool(first.ticks()), SLOWLY)
    first.turn_for(0.3)
    first.die()
    lost = fast.say()
    # Version 1 tells nothing: by the time alone is it known, a minute of the network being too long to be silence.
    fast.goes_by(90 if version == 1 else 30)
    for host in (fast.east, fast.west):
        host.do("keeps", seconds=8)
    again = fast.deployment("listener@other", version=version)
    again.turn_until(again.hears, SLOWLY)
    hear(fast, again)
    assert again.captured()[lost] == 0
    unfilled = [gap for gap in again.gaps() if not is_whole(gap)]
    at = fast.network.posts[lost].at
    assert [gap.cause for gap in unfilled] == ["process_down"]
    assert unfilled[0].start <= at <= unfilled[0].end


def test_what_was_lost_for_want_of_room_while_the_bus_was_away_is_read_again(
    here: Sky, crisis: ListenerDeployment
) -> None:
    start = here.clock.now()
    hear(here, crisis)
    end = here.clock.now()
    lost = closed(open_gap("bluesky", start, Cause.BUS_AWAY), end, refilled=0, refilled_until=None)
    crisis.bus.publish([to_ledger(lost)])
    missed = here.network.post("granvik, tapt", at=start + (end - start) / 2).uri
    crisis.turn_for(0.3)
    crisis.die()
    again = here.deployment("listener@other")
    again.turn_until(lambda: all(map(is_whole, again.gaps())) and again.hears(), SLOWLY)
    assert again.captured()[missed] == 1
    nothing_lost_or_twice(here, again)


def test_a_host_that_lost_its_numbers_is_read_on_by_time(here: Sky, crisis: ListenerDeployment) -> None:
    hear(here, crisis)
    crisis.turn_for(0.3)
    crisis.die()
    here.east.do("renumber", first=1)
    here.east.log.entries = here.east.log.entries[-3:]
    said = [here.say() for _ in range(3)]
    again = here.deployment("listener@other", hosts=[here.east.url])
    again.turn_until(lambda: set(said) <= set(again.captured()), SLOWLY)
    nothing_lost_or_twice(here, again)


def test_a_host_that_is_behind_is_left_for_the_other(fast: Sky) -> None:
    deployment = fast.deployment()
    deployment.open("granvik")
    deployment.turn_until(deployment.hears, SLOWLY)
    fast.east.do("host_clock", seconds=-3600)
    fast.east.log.entries.clear()
    fast.east.do("cut_streams")
    fast.west.do("status", status=503, on="subscribe", seconds=60)
    deployment.turn_until(lambda: deployment.state["host"] == fast.east.url and bool(deployment.gaps()), SLOWLY)
    deployment.turn_until(lambda: deployment.state["host"] == fast.west.url and deployment.hears(), 40)
    hear(fast, deployment)
    assert "behind" in deployment.metrics_reconnects()


def test_a_hosts_clock_an_hour_ahead_ends_no_window(here: Sky, crisis: ListenerDeployment) -> None:
    here.east.do("host_clock", seconds=3600)
    uri = hear(here, crisis)
    (at,) = [v["at"] for v in crisis.values("mentions", "mention") if v["id"] == uri]
    crisis.turn_for(0.5)
    latest = here.clock.now() + timedelta(seconds=6)
    assert max(crisis.ticks()) < latest
    assert at < latest.isoformat()


def test_our_own_clock_may_be_an_hour_off_and_right_itself(here: Sky) -> None:
    clock = WrongClock(here.clock)
    deployment = here.deployment(clock=clock)
    deployment.open("granvik")
    deployment.turn_until(deployment.hears, SLOWLY)
    hear(here, deployment)
    clock.off = -3600.0  # set back: what is heard is heard, and windows go on ending
    before = max(deployment.ticks())
    hear(here, deployment)
    deployment.turn_until(lambda: max(deployment.ticks()) > before + timedelta(seconds=2), SLOWLY)
    clock.off = 3600.0  # set ahead: everything looks late, and is heard all the same
    late = hear(here, deployment)
    deployment.turn_until(lambda: deployment.state["state"] == "connecting", SLOWLY)
    clock.off = 0.0
    deployment.turn_until(deployment.hears, SLOWLY)
    hear(here, deployment)
    assert deployment.captured()[late] == 1
    nothing_lost_or_twice(here, deployment)


def test_the_authors_own_clock_does_not_count(here: Sky, crisis: ListenerDeployment) -> None:
    uri = here.say("granvik", createdAt="1999-01-01T00:00:00Z")
    crisis.turn_until(lambda: crisis.captured()[uri] == 1, SLOWLY)
    (at,) = [v["at"] for v in crisis.values("mentions", "mention")]
    assert at[:4] != "1999"


def test_what_is_no_event_is_counted_and_stops_nothing(here: Sky, crisis: ListenerDeployment) -> None:
    for verb in ("garbage_frame", "bad_utf8", "binary", "unknown_kind", "twice"):
        here.east.do(verb)
    here.east.do("garbage_frame", content="{}")
    here.east.do("garbage_frame", content='{"kind":"commit"}')
    hear(here, crisis)
    here.east.do("huge", size=10_000_000)
    hear(here, crisis)
    reasons = {v["reason"] for v in crisis.values("deadletters")}
    assert {"bad_json", "not_a_post"} <= reasons
    assert all("granvik" not in str(v) for v in crisis.values("deadletters"))
    nothing_lost_or_twice(here, crisis)


def test_no_word_of_a_post_is_logged_however_much_is(
    here: Sky, crisis: ListenerDeployment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hear(here, crisis, "granvik hemmeligord")
    here.east.do("garbage_frame", content="hemmeligord")
    here.east.do("cut_streams")
    hear(here, crisis)
    assert "hemmeligord" not in caplog.text
    assert "did:plc" not in caplog.text


def test_refused_by_all_it_says_why_and_tries_again(fast: Sky) -> None:
    for host in (fast.east, fast.west):
        host.do("status", status=403, on="subscribe", body={"error": "Forbidden", "message": "kari sa noe"})
    deployment = fast.deployment()
    deployment.open("granvik")
    deployment.turn_until(lambda: deployment.state["state"] == "stopped", SLOWLY)
    assert deployment.state["problem"] == "Bluesky refuses us: HTTP 403 Forbidden"
    deployment.turn_until(lambda: ("source_silent", "fired") in deployment.alerts(), SLOWLY)
    for host in (fast.east, fast.west):
        host.do("heal")
    said = fast.say()
    deployment.turn_until(lambda: deployment.captured()[said] == 1, 40)
    deployment.turn_until(lambda: ("source_silent", "resolved") in deployment.alerts(), SLOWLY)
    assert "problem" not in deployment.state


def test_a_post_by_an_account_that_the_settings_name_is_heard(here: Sky) -> None:
    did = did_of("fjordby")
    deployment = here.deployment(accounts={"fjordby.bsky.social": did})
    deployment.open("@fjordby.bsky.social")
    deployment.turn_until(deployment.hears, SLOWLY)
    his = here.say("vi åpner igjen klokka ti", by="fjordby")
    answer = here.say("takk", by="kari", reply_to=his)
    deployment.turn_until(lambda: {his, answer} <= set(deployment.captured()), SLOWLY)
