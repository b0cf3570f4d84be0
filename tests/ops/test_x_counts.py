"""Counting X in calm, against a fake X: what `volumes` says is what there was, minute by minute, whatever goes wrong.

Three minutes of the listener's and the fake's time pass in each second of the test's; in a crisis, one.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest
from listener_support import ListenerDeployment
from x_support import SPEED, Town, town

from listener.bus.protocol import Bus, TopicPartition
from listener.ingest.worker import LEASE_SECONDS
from listener.model.incidents import Action
from listener.model.records import VOLUMES, Volume, decode
from listener.model.tracks import is_total, total_of
from listener.sources.x.counts import WEEK
from listener.units import parse_instant
from tests.fakes.x import ScaledClock

TRACKS = ("granvik", "sandnesbrua")
TOTAL = total_of(TRACKS)
MINUTE = timedelta(minutes=1)
FAST = 180.0
WORD = "hemmeligord"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path, ScaledClock(FAST)) as fast:
        yield fast


def wait_minutes(deployment: ListenerDeployment, minutes: float) -> None:
    """Of the fast clock."""
    deployment.turn_for(minutes * 60 / FAST)


def counter(
    here: Town, holder: str = "listener@test", tracks: tuple[str, ...] = TRACKS, **more: object
) -> ListenerDeployment:
    return here.deployment(holder, standing=tracks, count_every=MINUTE, **more)


def said(here: Town, ago: timedelta, times: int = 1, about: str = "granvik") -> None:
    """So many posts in one minute of the past."""
    at = (here.clock.now() - ago).replace(second=7, microsecond=0)
    for second in range(times):
        moment = (at + timedelta(seconds=second % 50)).isoformat()
        here.fake.world.publish({"text": f"{WORD} {about} {second}", "created_at": moment}, live=False)


class Kept:
    """What `volumes` holds, read on and on: track → minute → count. `twice`: what stands there more than once."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._offset = 0
        self.counts: dict[str, dict[datetime, int]] = defaultdict(dict)
        self.twice: set[tuple[str, datetime]] = set()

    def read(self) -> Kept:
        while records := self._bus.read(TopicPartition("volumes", 0), self._offset, 5000):
            for record in records:
                volume = decode(VOLUMES, record.value or b"")
                if not isinstance(volume, Volume):
                    continue
                counts = self.counts[volume.track]
                if volume.minute in counts:
                    self.twice.add((volume.track, volume.minute))
                counts[volume.minute] = counts.get(volume.minute, 0) + volume.count
            self._offset = records[-1].offset + 1
        return self


KEPT: WeakKeyDictionary[Bus, Kept] = WeakKeyDictionary()


def truth(here: Town, track: str) -> Counter[datetime]:
    """Minute → posts, as the fake's world has them."""
    query = " OR ".join(f'"{t}"' for t in TRACKS) if is_total(track) else f'"{track}"'
    posts = (here.fake.world.posts[each] for each in here.fake.world.matching(query))
    return Counter(post.created_at.replace(second=0, microsecond=0) for post in posts)


def kept(deployment: ListenerDeployment) -> Kept:
    return KEPT.setdefault(deployment.bus, Kept(deployment.bus)).read()


def counted(deployment: ListenerDeployment, track: str = TOTAL) -> dict[datetime, int]:
    return kept(deployment).counts[track]


def has_baselines(deployment: ListenerDeployment) -> bool:
    """A week of each track and of the total."""
    return all(len(counted(deployment, track)) > WEEK - 15 for track in (TOTAL, *TRACKS))


def settled(deployment: ListenerDeployment, until: datetime, track: str = TOTAL) -> bool:
    """The track is counted up to then, the minute of `until` with it."""
    return max(counted(deployment, track), default=until - MINUTE) >= until.replace(second=0, microsecond=0)


def assert_true(here: Town, deployment: ListenerDeployment, track: str = TOTAL) -> None:
    """Every minute has the count that there was, stands there once, and none lies uncounted between two."""
    there, ours = truth(here, track), counted(deployment, track)
    assert {m: c for m, c in ours.items() if c != there[m]} == {}
    assert ours
    assert [minute for name, minute in kept(deployment).twice if name == track] == []
    assert len(ours) == (max(ours) - min(ours)) // MINUTE + 1


def calls(here: Town) -> int:
    return len(here.fake.requests("/counts/recent"))


def test_a_week_is_counted_at_first_and_then_every_minute(here: Town) -> None:
    for minutes, times in ((3, 2), (60, 5), (3000, 7), (7 * 1440 - 30, 3), (7 * 1440 + 30, 9)):
        said(here, timedelta(minutes=minutes), times)
    said(here, timedelta(minutes=400), 4, "sandnesbrua")
    deployment = counter(here)
    deployment.turn_until(lambda: has_baselines(deployment))
    for track in (TOTAL, *TRACKS):
        assert_true(here, deployment, track)
    assert sum(counted(deployment).values()) == 2 + 5 + 7 + 3 + 4
    baseline = {track: len(counted(deployment, track)) for track in TRACKS}
    for _ in range(3):
        here.fake.post(f"{WORD} sandnesbrua", live=False)
        wait_minutes(deployment, 0.6)
    now = here.clock.now()
    deployment.turn_until(lambda: settled(deployment, now))
    assert_true(here, deployment)
    assert sum(counted(deployment).values()) == 24
    assert {track: len(counted(deployment, track)) for track in TRACKS} == baseline
    assert deployment.state["state"] == "counting"
    assert deployment.state["connected"] is False
    assert parse_instant(deployment.state["counted"]) == max(counted(deployment)) + MINUTE
    deployment.turn()
    newest = deployment.metric("source_counted_timestamp_seconds")
    assert newest == (max(counted(deployment)) + MINUTE).timestamp()
    assert not here.fake.requests("/search/stream")
    assert not here.fake.requests("/search/recent")


def test_what_x_finds_late_is_counted_all_the_same(here: Town) -> None:
    here.fake.do("search_lag", seconds=90)
    deployment = counter(here)
    deployment.turn_until(lambda: bool(counted(deployment)))
    for _ in range(8):
        here.fake.post(f"{WORD} granvik", live=False)
        wait_minutes(deployment, 0.4)
    now = here.clock.now()
    deployment.turn_until(lambda: settled(deployment, now))
    assert_true(here, deployment)
    assert sum(counted(deployment).values()) == 8


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(("refuse", {"status": 503}), id="503"),
        pytest.param(("drop", {}), id="reset"),
        pytest.param(("limit", {"reset": True}), id="429"),
    ],
)
def test_minutes_missed_in_a_failure_are_counted_later(here: Town, fault: tuple[str, dict[str, object]]) -> None:
    deployment = counter(here)
    deployment.turn_until(lambda: bool(counted(deployment)))
    verb, how = fault
    here.fake.do(verb, on="counts", seconds=300, **how)  # longer than is looked, on a busy machine too
    began = here.clock.now()
    for _ in range(6):
        here.fake.post(f"{WORD} granvik", live=False)
        wait_minutes(deployment, 0.5)
    newest = max(counted(deployment))
    assert newest < began
    if verb == "limit":
        tried = [r for r in here.fake.requests("/counts/recent") if r.status == 429]
        assert len(tried) == 1, "not before X says"
    now = here.clock.now()
    deployment.turn_until(lambda: settled(deployment, now), 20)
    assert_true(here, deployment)
    assert sum(counted(deployment).values()) == 6


def test_after_a_crash_no_minute_is_counted_twice_and_none_is_missing(here: Town) -> None:
    said(here, timedelta(hours=30), 6)
    here.fake.api.search.count_page = 2000
    deployment = counter(here)
    deployment.turn_until(lambda: len(counted(deployment)) >= 1440)
    deployment.die()
    said(here, timedelta(minutes=1), 3)
    again = counter(here)
    again.turn_until(lambda: has_baselines(again))
    now = here.clock.now()
    again.turn_until(lambda: settled(again, now))
    for track in (TOTAL, *TRACKS):
        assert_true(here, again, track)
    before = calls(here)
    again.die()
    third = counter(here)
    now = here.clock.now()
    third.turn_until(lambda: settled(third, now))
    assert_true(here, third)
    single = [r for r in here.fake.requests("/counts/recent")[before:] if " OR " not in r.params["query"]]
    assert single == [], "a baseline is fetched once"


def test_a_successor_goes_on_and_a_zombie_publishes_nothing(tmp_path: Path) -> None:
    with town(tmp_path, ScaledClock(4)) as here:
        said(here, timedelta(days=2), 5)
        first = counter(here)
        first.turn_until(lambda: len(counted(first)) >= 1440)
        time.sleep(LEASE_SECONDS / 4 + 0.1)
        second = counter(here, holder="another@test")
        second.turn_until(lambda: second.state.get("counted") is not None)
        for _ in range(20):
            first.listen.step(0.0)
            second.turn()
        second.turn_until(lambda: has_baselines(second))
        for track in (TOTAL, *TRACKS):
            assert_true(here, second, track)
        assert "counted" not in first.state


def test_a_burst_splits_the_total_and_an_hour_of_quiet_joins_it_again(tmp_path: Path) -> None:
    with town(tmp_path, ScaledClock(600)) as here:
        loud = threading.Event()
        deployment = counter(here, burst=lambda counts: loud.is_set())
        deployment.turn_until(lambda: has_baselines(deployment))
        asked = calls(here)
        deployment.turn_for(0.3)
        queries = {r.params["query"] for r in here.fake.requests("/counts/recent")[asked:]}
        assert queries == {'"granvik" OR "sandnesbrua"'}, "tracks are not asked for one by one"
        said(here, timedelta(), 5, "sandnesbrua")
        loud.set()
        deployment.turn_until(lambda: deployment.state["split"])
        loud.clear()
        now = here.clock.now()
        deployment.turn_until(lambda: all(settled(deployment, now, track) for track in TRACKS))
        for track in (TOTAL, *TRACKS):
            assert_true(here, deployment, track)
        assert sum(counted(deployment, "sandnesbrua").values()) == 5
        deployment.turn_until(lambda: not deployment.state["split"], 20)
        asked = calls(here)
        deployment.turn_for(0.5)
        assert {r.params["query"] for r in here.fake.requests("/counts/recent")[asked + 2 :]} == queries
        assert_true(here, deployment)


def test_a_real_burst_is_one_and_is_known_after_a_restart(here: Town) -> None:
    said(here, timedelta(minutes=4), 40)
    deployment = counter(here)
    deployment.turn_until(lambda: deployment.state.get("split") is True)
    deployment.die()
    again = counter(here)
    again.turn_until(lambda: again.state.get("split") is True)
    quiet = counter(here, holder="another@test", burst=lambda counts: False)
    again.listen.close()
    quiet.turn_until(lambda: quiet.state.get("counted") is not None)
    assert quiet.state["split"] is False


def test_a_track_removed_is_not_asked_for_and_others_together_are_another_total(here: Town) -> None:
    said(here, timedelta(hours=2), 3)
    deployment = counter(here)
    deployment.turn_until(lambda: has_baselines(deployment))
    deployment.die()
    before = calls(here)
    fewer = counter(here, tracks=("granvik",))
    alone = total_of(("granvik",))
    fewer.turn_until(lambda: len(counted(fewer, alone)) > WEEK - 15)
    wait_minutes(fewer, 1.5)
    assert all("sandnesbrua" not in r.params["query"] for r in here.fake.requests("/counts/recent")[before:])
    assert alone != TOTAL
    assert sum(counted(fewer, alone).values()) == 3


def test_a_crisis_rests_the_counts_and_the_time_between_is_filled(tmp_path: Path) -> None:
    with town(tmp_path, ScaledClock(SPEED)) as here:
        calm_crisis_calm(here)


def calm_crisis_calm(here: Town) -> None:
    loud = threading.Event()
    deployment = counter(here, burst=lambda counts: loud.is_set())
    deployment.turn_until(lambda: has_baselines(deployment))
    deployment.open("brann")
    deployment.turn_until(deployment.hears)
    asked = calls(here)
    posts = [here.fake.post(f"{WORD} granvik brann").id for _ in range(3)]
    deployment.turn_until(lambda: all(deployment.captured()[each] == 1 for each in posts))
    deployment.turn_for(2.5)
    posts += [here.fake.post(f"{WORD} sandnesbrua").id]
    deployment.turn_until(lambda: deployment.captured()[posts[-1]] == 1)
    assert calls(here) == asked, "the stream counts"
    deployment.switch(Action.CLOSE)
    now = here.clock.now()
    deployment.turn_until(lambda: deployment.state["state"] == "counting" and settled(deployment, now), 20)
    assert_true(here, deployment)
    assert sum(counted(deployment).values()) == 4
    loud.set()
    deployment.turn_until(lambda: all(settled(deployment, now + MINUTE, track) for track in TRACKS), 20)
    assert sum(counted(deployment, "granvik").values()) == 3, "what the stream has counted is not counted again"
    assert sum(counted(deployment, "sandnesbrua").values()) == 1
    for track in TRACKS:
        ours = counted(deployment, track)
        assert len(ours) == (max(ours) - min(ours)) // MINUTE + 1


def test_what_search_finds_after_a_crisis_is_not_counted_a_second_time(tmp_path: Path) -> None:
    with town(tmp_path, ScaledClock(SPEED)) as here:
        loud = threading.Event()
        deployment = counter(here, burst=lambda counts: loud.is_set())
        deployment.turn_until(lambda: has_baselines(deployment))
        deployment.open("brann")
        deployment.turn_until(deployment.hears)
        here.fake.do("refuse", status=503, on="search")
        with here.deaf(deployment):
            missed = here.fake.post(f"{WORD} granvik i gapet", live=False)
        deployment.turn_until(lambda: deployment.hears() and bool(deployment.state["unfilled"]))
        loud.set()
        deployment.switch(Action.CLOSE)
        now = here.clock.now()
        deployment.turn_until(lambda: all(settled(deployment, now, track) for track in TRACKS), 20)
        assert sum(counted(deployment, "granvik").values()) == 0
        assert sum(counted(deployment).values()) == 1
        here.fake.do("heal")
        deployment.turn_until(lambda: deployment.captured()[missed.id] == 1, 20)
        later = here.clock.now()
        deployment.turn_until(lambda: settled(deployment, later, "granvik"), 20)
        assert sum(counted(deployment, "granvik").values()) == 1
        assert_true(here, deployment)


def test_a_refused_track_is_named_and_all_others_are_counted(here: Town) -> None:
    said(here, timedelta(hours=1), 2)
    here.fake.do("refuse_queries", words=["torvet"])
    tracks = (*TRACKS, "torvet", "@elsewhere.example.org")
    deployment, total = counter(here, tracks=tracks), total_of(tracks)
    deployment.turn_until(lambda: sum(counted(deployment, total).values()) == 2)
    assert sorted(deployment.state["uncounted"]) == ["@elsewhere.example.org", "torvet"]
    wait_minutes(deployment, 1.0)
    refused = [r for r in here.fake.requests("/counts/recent") if r.status == 400]
    assert len(refused) <= 4, "it is not asked for again"


@pytest.mark.parametrize(("status", "what"), [(401, "x_unauthorized"), (403, "x_forbidden")])
def test_a_key_that_x_refuses_stops_the_counts_and_ops_are_told_once(here: Town, status: int, what: str) -> None:
    """Until X answers again, which is asked with growing pauses: see test_x_refusals."""
    here.fake.do("refuse", status=status, on="counts")
    deployment = counter(here)
    deployment.turn_until(lambda: deployment.alerts() == [(what, "fired")])
    wait_minutes(deployment, 2.0)
    assert calls(here) <= 7
    assert deployment.state["state"] == "stopped"
    assert deployment.state["problem"]
    assert deployment.alerts() == [(what, "fired")]


def test_ops_are_alerted_when_nothing_is_counted_for_long_and_when_it_is_over(tmp_path: Path) -> None:
    with town(tmp_path, ScaledClock(600)) as here:
        here.fake.do("refuse", status=503, on="counts")
        deployment = here.deployment(standing=TRACKS, count_every=MINUTE)
        deployment.turn_until(lambda: deployment.alerts() == [("x_not_counted", "fired")])
        assert deployment.state["state"] == "connecting"
        here.fake.do("heal")
        deployment.turn_until(lambda: deployment.alerts()[1:] == [("x_not_counted", "resolved")])
        assert deployment.state["state"] == "counting"


def test_no_word_of_a_post_is_asked_for_or_written(here: Town, tmp_path: Path) -> None:
    said(here, timedelta(minutes=30), 5)
    deployment = counter(here)
    deployment.turn_until(lambda: has_baselines(deployment))
    assert sum(counted(deployment).values()) == 5
    assert deployment.values("mentions", "mention") == []
    assert {r.path for r in here.fake.requests()} <= {"/2/tweets/counts/recent", "/2/tweets/search/stream/rules"}
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"granvik" in content for content in files), "the search finds what is there"
    assert not any(WORD.encode() in content for content in files)
