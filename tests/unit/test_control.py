from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import ManualClock
from listener.model.incidents import Action, Command, Mode, Presence, Result
from listener.runtime.control import (
    Control,
    Follower,
    Presences,
    followers,
    laggards,
    missing_roles,
    say_presence,
    source_states,
    wait_for_followers,
)

T0 = datetime(2031, 5, 17, 3, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(T0)


@pytest.fixture
def bus(tmp_path: Path, clock: ManualClock) -> Iterator[Bus]:
    opened = open_bus("embedded:", tmp_path, clock)
    Control(opened)
    yield opened
    opened.close()


def opening(name: str = "Brann", by: str = "kari") -> Command:
    return Command(action=Action.OPEN, at=T0, by=by, why="meldt", name=name)


def presence(process: str = "all@x", *, epoch: int = 0, at: datetime = T0, roles: str = "listener alerts") -> Presence:
    return Presence(process=process, roles=tuple(roles.split()), host="x", pid=7, epoch=epoch, at=at)


class Running(ManualClock):
    """A clock that another thing happens on: each look at the monotonic time takes a quarter of a second."""

    def monotonic(self) -> float:
        self.advance(timedelta(seconds=0.25))
        return super().monotonic()


# --- commands ----------------------------------------------------------------------------------------------------


def test_a_command_reports_what_the_fold_made_of_it(bus: Bus) -> None:
    control = Control(bus)
    assert control.append(opening()).result is Result.OPENED
    assert control.append(opening()).result is Result.UNCHANGED
    assert control.state.epoch == 1


def test_a_command_reports_its_own_outcome_and_not_a_later_one(bus: Bus) -> None:
    mine, theirs = Control(bus), Control(bus)
    theirs.append(opening("Flom"))
    transition = mine.append(opening("Brann"))
    theirs.append(Command(action=Action.CLOSE, at=T0, by="ola", why="over"))
    assert (transition.offset, transition.result, transition.incidents) == (1, Result.OPENED, ("brann-1",))
    assert mine.refresh().mode is Mode.CALM
    assert mine.state == theirs.state


def test_two_at_the_same_instant_are_both_in_one_history(bus: Bus) -> None:
    start, seen = threading.Barrier(8), []

    def switch(number: int) -> None:
        control = Control(bus)
        start.wait()
        seen.append(control.append(opening("Brann" if number % 2 else "Flom", by=f"p{number}")))

    threads = [threading.Thread(target=switch, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = Control(bus).refresh()
    assert sorted(t.offset for t in seen) == list(range(8))
    assert {t.command.by for t in state.history if t.command} == {f"p{n}" for n in range(8)}
    assert len(state.open) == 2
    assert sum(t.result is Result.OPENED for t in seen) == 2
    assert all(state.history[t.offset] == t for t in seen)


def test_a_tombstone_on_control_is_history_and_no_end(bus: Bus) -> None:
    bus.publish([Message("control", "x", None)])
    control = Control(bus)
    control.append(opening())
    assert [t.result for t in control.state.history] == [Result.UNREADABLE, Result.OPENED]


def test_a_command_s_key_is_its_incident(bus: Bus) -> None:
    control = Control(bus)
    control.append(opening("Brann, Ullevål"))
    control.append(Command(action=Action.CHANGE, at=T0, by="k", why="w", incident="brann-ullevaal-0", add=("røyk",)))
    control.append(Command(action=Action.CLOSE, at=T0, by="k", why="w"))
    keys = [record.key for record in bus.reader(["control"]).poll(0)]
    assert keys == ["brann-ullevaal", "brann-ullevaal-0", "all"]


# --- who is there ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ago", "there"), [(0, True), (3, True), (3.1, False), (-3, True), (-3600, False)])
def test_who_spoke_in_the_last_three_seconds_is_there(bus: Bus, clock: ManualClock, ago: float, there: bool) -> None:
    """-3600: the clock was set back by an hour after that word."""
    say_presence(bus, presence(at=T0 - timedelta(seconds=ago)))
    assert bool(Presences(bus, clock).refresh()) is there


def test_who_speaks_while_we_listen_is_there_whatever_its_clock_says(bus: Bus, clock: ManualClock) -> None:
    presences = Presences(bus, clock)
    assert presences.refresh() == []
    say_presence(bus, presence(at=T0 - timedelta(hours=1)))
    assert presences.refresh()
    clock.advance(timedelta(seconds=3.1))
    assert presences.refresh() == []


def test_who_said_that_it_leaves_is_gone(bus: Bus, clock: ManualClock) -> None:
    say_presence(bus, presence())
    say_presence(bus, replace(presence(), leaving=True))
    assert Presences(bus, clock).refresh() == []


def test_a_bad_presence_is_nobody(bus: Bus, clock: ManualClock) -> None:
    say_presence(bus, presence("a"))
    say_presence(bus, presence("b"))
    bus.publish([Message("presence", "a", b"?"), Message("presence", "c", b"{}")])
    assert [p.process for p in Presences(bus, clock).refresh()] == ["b"]


def test_a_role_is_missing_when_nobody_who_follows_has_it() -> None:
    found = followers([presence("b", epoch=4, roles="alerts"), presence("a", epoch=5, roles="listener")], 5)
    assert [f.presence.process for f in found] == ["a", "b"]
    assert missing_roles(found) == ["alerts"]
    assert laggards(found) == ["b"]


def test_sources_are_reported_by_the_one_that_listens() -> None:
    listening = replace(presence("l", roles="listener"), sources={"x": {"state": "streaming"}})
    assert source_states([presence("a", roles="alerts"), listening]) == {"x": {"state": "streaming"}}


def test_a_follower_as_json_says_whether_it_follows() -> None:
    assert Follower(presence(epoch=3), True).to_json() == {
        "process": "all@x",
        "roles": ["listener", "alerts"],
        "host": "x",
        "pid": 7,
        "epoch": 3,
        "at": "2031-05-17T03:00:00Z",
        "follows": True,
    }


# --- waiting -----------------------------------------------------------------------------------------------------


def test_waiting_ends_as_soon_as_both_roles_follow(bus: Bus) -> None:
    clock = Running(T0)
    say_presence(bus, presence("l", epoch=5, roles="listener"))
    say_presence(bus, presence("a", epoch=6, roles="alerts"))
    assert missing_roles(wait_for_followers(bus, 5, clock)) == []
    assert clock.now() - T0 < timedelta(seconds=1)


@pytest.mark.parametrize("late", [presence("l2", epoch=4), presence("a", epoch=4, roles="alerts")])
def test_waiting_goes_on_for_two_seconds_while_one_lags(bus: Bus, late: Presence) -> None:
    clock = Running(T0)
    say_presence(bus, presence("l", epoch=5, roles="listener" if late.process == "a" else "listener alerts"))
    say_presence(bus, late)
    assert laggards(wait_for_followers(bus, 5, clock)) == [late.process]
    assert timedelta(seconds=2) <= clock.now() - T0 < timedelta(seconds=3)


class Talking(Running):
    """While somebody waits, a process says from `silent` seconds on what it has applied: from `follows` on `epoch`."""

    def __init__(
        self, bus: Bus, epoch: int, follows: float, roles: str = "listener alerts", silent: float = 0.0
    ) -> None:
        super().__init__(T0)
        self._bus, self._epoch, self._follows, self._roles, self._said = bus, epoch, follows, roles, -1
        self._silent = silent

    def monotonic(self) -> float:
        passed = (self.now() - T0).total_seconds()
        if passed >= self._silent and int(passed) > self._said:
            self._said = int(passed)
            epoch = self._epoch if passed >= self._follows else self._epoch - 1
            say_presence(self._bus, replace(presence("all", epoch=epoch, roles=self._roles), at=self.now()))
        return super().monotonic()


def test_one_that_is_slow_and_says_that_it_is_there_is_waited_for(bus: Bus) -> None:
    clock, named = Talking(bus, 5, follows=6.0), []
    found = wait_for_followers(bus, 5, clock, named.append)
    assert (missing_roles(found), laggards(found), named) == ([], [], [["all"]])
    assert timedelta(seconds=6) <= clock.now() - T0 < timedelta(seconds=8)


def test_one_that_never_follows_is_waited_for_ten_seconds(bus: Bus) -> None:
    clock, named = Talking(bus, 5, follows=600.0), []
    assert laggards(wait_for_followers(bus, 5, clock, named.append)) == ["all"]
    assert named == [["all"]]
    assert timedelta(seconds=10) <= clock.now() - T0 < timedelta(seconds=11)


def test_who_is_starting_is_waited_for(bus: Bus) -> None:
    clock, named = Talking(bus, 5, follows=0.0, silent=5.0), []
    found = wait_for_followers(bus, 5, clock, named.append, lambda: ["listener", "judge", "annotate", "dispatch"])
    assert (missing_roles(found), named) == ([], [["listener", "alerts"]])
    assert clock.now() - T0 < timedelta(seconds=7)


def test_who_starts_without_the_role_that_lacks_is_not_waited_for(bus: Bus) -> None:
    clock = Running(T0)
    found = wait_for_followers(bus, 5, clock, starting=lambda: ["listener", "board"])
    assert missing_roles(found) == ["listener", "alerts"]
    assert clock.now() - T0 < timedelta(seconds=3)


def test_nobody_is_waited_for_longer_where_a_role_is_missing(bus: Bus) -> None:
    clock = Talking(bus, 5, follows=600.0, roles="listener")
    assert laggards(wait_for_followers(bus, 5, clock)) == ["all"]
    assert clock.now() - T0 < timedelta(seconds=3)


def test_waiting_for_nobody_ends_after_two_seconds(bus: Bus) -> None:
    clock = Running(T0)
    assert wait_for_followers(bus, 0, clock) == []
    assert clock.now() - T0 < timedelta(seconds=3)
