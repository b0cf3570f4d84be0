"""Gaps of X that end in an odd way: nobody was there when the crisis ended, search knows late, search refuses, the
disk is full. A minute of the listener's and the fake's time passes in each second of the test's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disks import MIB, fill, mounted
from listener_support import ListenerDeployment
from x_support import SPEED, Town, town

from listener.bus.protocol import Lease
from listener.ingest.absent import Absent
from listener.ingest.worker import LEASE_SECONDS
from listener.model.gaps import is_whole
from listener.model.incidents import Action
from listener.units import format_instant
from tests.fakes.x import ScaledClock


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path, ScaledClock(SPEED)) as here:
        yield here


@pytest.fixture
def crisis(fast: Town) -> ListenerDeployment:
    """Listening for `granvik`, and has heard of it."""
    return begun(fast.deployment())


def begun(deployment: ListenerDeployment) -> ListenerDeployment:
    deployment.open("granvik")
    deployment.turn_until(lambda: deployment.hears() and not deployment.state["unfilled"])
    deployment.turn_for(0.1)
    return deployment


def hear(town: Town, deployment: ListenerDeployment) -> str:
    post = town.fake.post("det brenner i granvik")
    deployment.turn_until(lambda: deployment.captured()[post.id] == 1)
    return post.id


def connects(town: Town) -> int:
    return len(town.fake.requests("/search/stream", "GET"))


# --- the end of a crisis in which nobody ran --------------------------------------------------------------------------


def test_an_incident_that_ends_while_nobody_runs_leaves_a_gap_that_is_filled(
    fast: Town, crisis: ListenerDeployment
) -> None:
    heard = hear(fast, crisis)
    crisis.turn_for(0.2)
    last = crisis.ticks()[-1]
    crisis.die()
    missed = fast.fake.post("granvik mens ingen kjørte")
    time.sleep(0.3)
    crisis.switch(Action.CLOSE)
    later = fast.fake.post("granvik etter at det var over", live=False)
    again = fast.deployment()
    again.turn_until(lambda: bool(again.gaps()) and again.gaps()[-1].cause == "process_down")
    gap = again.gaps()[-1]
    closed_at = next(iter(again.reporter.state.incidents.values())).closed_at
    assert (gap.start, gap.end) == (last, closed_at)
    again.turn_until(lambda: is_whole(again.gaps()[-1]))
    assert again.captured() == {heard: 1, missed.id: 1}
    assert later.id not in again.captured()
    assert again.gaps()[-1].refilled == 1
    assert not fast.fake.streams.open


@pytest.mark.parametrize("ended", [False, True])
def test_a_gap_that_another_wrote_while_nobody_ran_is_taken_over_and_filled(
    fast: Town, crisis: ListenerDeployment, monkeypatch: pytest.MonkeyPatch, ended: bool
) -> None:
    """`ended`: its incident was closed, and the gap with it, before anybody came back."""
    monkeypatch.setattr("listener.ingest.absent.PATIENCE", 15.0)
    monkeypatch.setattr("listener.ingest.absent.CALM_SECONDS", 5.0)
    heard = hear(fast, crisis)
    crisis.turn_for(0.2)
    crisis.die()

    def lease(source: str) -> Lease:
        return crisis.bus.lease(f"source:{source}", "another", LEASE_SECONDS)

    absent = Absent(crisis.bus, (), lease, reporter=crisis.reporter, clock=fast.clock, part=crisis.part)

    def turn_until(condition: Callable[[], bool]) -> None:
        for _ in range(1000):
            crisis.reporter.step(0.0)
            absent.step(0.0)
            if condition():
                break
            time.sleep(0.02)
        assert condition()

    missed = fast.fake.post("granvik mens ingen kjørte")
    turn_until(lambda: bool(crisis.gaps()) and crisis.gaps()[-1].end is None)
    if ended:
        crisis.switch(Action.CLOSE)
        turn_until(lambda: crisis.gaps()[-1].end is not None)
    absent.close()
    again = fast.deployment()
    again.turn_until(lambda: again.captured() == {heard: 1, missed.id: 1})
    again.turn_until(lambda: all(is_whole(gap) for gap in again.gaps()))
    assert {gap.cause for gap in again.gaps() if gap.refilled} == {"process_down"}


def test_a_gap_that_lasted_when_its_incident_ended_unheard_ends_with_it(fast: Town, crisis: ListenerDeployment) -> None:
    hear(fast, crisis)
    fast.fake.do("refuse", on="stream")
    fast.fake.do("reset")
    crisis.turn_until(lambda: crisis.gaps()[-1].end is None)
    crisis.turn_for(0.1)
    crisis.die()
    crisis.switch(Action.CLOSE)
    time.sleep(0.2)
    again = fast.deployment()
    again.turn_until(lambda: all(gap.end is not None for gap in again.gaps()))
    assert again.causes() == ["rules_unconfirmed", "reset"]
    assert again.gaps()[-1].end == next(iter(again.reporter.state.incidents.values())).closed_at


def test_a_crisis_that_ended_while_we_ran_leaves_no_gap_at_the_next_start(
    fast: Town, crisis: ListenerDeployment
) -> None:
    hear(fast, crisis)
    crisis.switch(Action.CLOSE)
    crisis.turn_until(lambda: not fast.fake.world.rules)
    crisis.turn_for(0.3)
    crisis.die()
    time.sleep(0.3)
    again = fast.deployment()
    again.turn_for(0.5)
    assert again.causes() == ["rules_unconfirmed"]


def test_a_gap_that_is_not_filled_yet_when_the_crisis_ends_is_filled_all_the_same(
    fast: Town, crisis: ListenerDeployment
) -> None:
    hear(fast, crisis)
    fast.fake.do("refuse", on="search", seconds=120)
    with fast.deaf(crisis):
        missed = fast.fake.post("granvik i gapet", live=False)
    crisis.turn_until(lambda: crisis.hears() and bool(crisis.state["unfilled"]))
    crisis.switch(Action.CLOSE)
    crisis.turn_until(lambda: crisis.captured()[missed.id] == 1, 15)
    assert all(map(is_whole, crisis.gaps()))


# --- search that knows late -------------------------------------------------------------------------------------------


def cut_and_missed(town: Town, deployment: ListenerDeployment) -> str:
    """A gap, and a post in it that search knows only two minutes later."""
    town.fake.do("search_lag", seconds=120)
    with town.deaf(deployment):
        missed = town.fake.post("granvik i gapet", live=False)
    deployment.turn_until(lambda: deployment.hears() and not deployment.state["unfilled"])
    assert is_whole(deployment.gaps()[-1])
    assert deployment.gaps()[-1].refilled == 0
    assert missed.id not in deployment.captured()
    return missed.id


def test_what_search_knew_too_late_is_found_by_a_second_sweep(fast: Town, crisis: ListenerDeployment) -> None:
    missed = cut_and_missed(fast, crisis)
    crisis.turn_until(lambda: crisis.captured()[missed] == 1)
    crisis.turn_for(0.2)
    gap = crisis.gaps()[-1]
    assert (gap.refilled, is_whole(gap)) == (1, True)
    assert crisis.origins()[missed] == "gap_fill"
    searches = [r for r in fast.fake.requests("/search/recent") if gap.end and r.at > gap.end]
    assert len([r for r in searches if r.params["start_time"] <= format_instant(gap.end or gap.start)]) <= 4
    assert all(r.status == 200 for r in searches)


def test_a_second_sweep_outlives_the_process(fast: Town, crisis: ListenerDeployment) -> None:
    missed = cut_and_missed(fast, crisis)
    swept = crisis.gaps()[-1]
    crisis.turn_for(0.1)
    crisis.die()
    again = fast.deployment()
    again.turn_until(lambda: again.captured()[missed] == 1, 15)
    again.turn_for(0.2)
    assert {gap.id: gap.refilled for gap in again.gaps()}[swept.id] == 1
    assert set(again.captured().values()) == {1}


# --- search that refuses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403])
def test_a_search_that_x_refuses_is_told_to_ops_until_it_answers(
    fast: Town, crisis: ListenerDeployment, status: int
) -> None:
    hear(fast, crisis)
    fast.fake.do("refuse", status=status, on="search")
    fast.fake.do("reset")
    crisis.turn_until(lambda: ("x_search_refused", "fired") in crisis.alerts())
    assert crisis.hears()
    assert crisis.alerts().count(("x_search_refused", "fired")) == 1
    assert not is_whole(crisis.gaps()[-1])
    fast.fake.do("heal")
    crisis.switch(Action.CHANGE, "sandnesbrua", incident="brann-0")
    crisis.turn_until(lambda: ("x_search_refused", "resolved") in crisis.alerts())


def test_a_search_that_only_fails_is_no_refusal(fast: Town, crisis: ListenerDeployment) -> None:
    hear(fast, crisis)
    fast.fake.do("refuse", status=503, on="search", seconds=90)
    fast.fake.do("reset")
    crisis.turn_until(lambda: not crisis.hears())
    crisis.turn_until(lambda: crisis.hears() and not crisis.state["unfilled"], 15)
    assert all(what != "x_search_refused" for what, _ in crisis.alerts())


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 120 MiB, of which the reserve takes 32."""
    with mounted(tmp_path / "disk", 120 * MIB) as place:
        yield place


@pytest.fixture
def full(small_disk: Path) -> Iterator[tuple[Town, ListenerDeployment, Path]]:
    """Listening, with a queue of 20 lines, on a disk that has filled up."""
    with town(small_disk / "data", ScaledClock(SPEED)) as here:
        deployment = begun(here.deployment(durable=True, most_lines=20))
        hear(here, deployment)
        other = fill(small_disk)
        for _ in range(4):
            here.fake.post("det brenner i granvik")
        deployment.turn_until(lambda: "disk_full" in deployment.causes())
        yield here, deployment, other


def all_found(here: Town, deployment: ListenerDeployment) -> None:
    deployment.turn_until(lambda: deployment.captured().keys() == here.fake.world.posts.keys(), 20)
    deployment.turn_until(lambda: deployment.hears() and not deployment.state["unfilled"], 15)
    assert set(deployment.captured().values()) == {1}
    assert all(map(is_whole, deployment.gaps()))


def test_while_the_disk_is_full_the_stream_is_kept_and_what_is_too_much_is_a_gap(
    full: tuple[Town, ListenerDeployment, Path],
) -> None:
    here, deployment, other = full
    before, known = connects(here), len(deployment.captured())
    here.fake.do("reset")
    deployment.turn_until(lambda: connects(here) > before and bool(here.fake.streams.open))
    here.fake.do("silence", seconds=300, loses=True)
    deployment.turn_until(lambda: connects(here) > before + 1 and bool(here.fake.streams.open))
    for number in range(60):
        here.fake.post(f"granvik {number}")
    deployment.turn_for(0.5)
    assert len(deployment.captured()) == known
    other.unlink()
    all_found(here, deployment)
    assert {"disk_full", "reset", "queue_full"} <= set(deployment.causes())


def test_while_the_disk_is_full_the_tracks_follow_the_mode(full: tuple[Town, ListenerDeployment, Path]) -> None:
    here, deployment, other = full
    here.fake.do("reset")
    deployment.switch(Action.CHANGE, "sandnesbrua", incident="brann-0")
    deployment.turn_until(lambda: any("sandnesbrua" in rule.value for rule in here.fake.world.rules.values()))
    here.fake.post("kø på sandnesbrua")
    deployment.turn_for(0.3)
    other.unlink()
    all_found(here, deployment)
