"""Which of the posts that are held are gone at X, against a fake X: found in a day, whatever is killed or goes wrong.

Twenty seconds of the listener's and the fake's time pass in each second of the test's; the clock can jump ahead.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from math import isnan
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine, live_bus
from listener_support import ListenerDeployment
from prometheus_client import CollectorRegistry
from x_support import TOKEN, Town, town

from alerts.deletions import PAUSE_SECONDS, Deletions
from listener.bus.messages import message
from listener.clock import ManualClock, SystemClock
from listener.ingest.resume import cursor
from listener.model.incidents import Action
from listener.model.records import MENTIONS, Mention, Tick
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.sources.x.cursor import Memory
from listener.sources.x.deletion_check import EVERY, LATE, read_lookup
from listener.sources.x.storage import Truncated, read_result
from tests.fakes.x import ScaledClock

SPEED = 20.0
REASONS = ("deleted", "suspended", "protected", "deactivated", "scrub_geo")


class JumpingClock(ScaledClock):
    """Runs, and jumps ahead when it is told to."""

    ahead = timedelta()

    def now(self) -> Any:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead.total_seconds()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Town]:
    with town(tmp_path, JumpingClock(SPEED)) as its:
        yield its


def jump(here: Town, by: timedelta) -> None:
    assert isinstance(here.clock, JumpingClock)
    here.clock.ahead += by


@pytest.fixture
def held(here: Town) -> dict[str, str]:
    """Word of a post that was captured in a crisis that is over → its id. The listener that heard it is gone."""
    heard = here.deployment()
    heard.open("granvik")
    heard.turn_until(heard.hears, 20)
    posts = {reason: here.fake.post(f"granvik ord{reason}").id for reason in (*REASONS, "blir")}
    heard.turn_until(lambda: all(heard.captured()[id_] for id_ in posts.values()), 20)
    heard.switch(Action.CLOSE)
    heard.turn_for(0.3)
    heard.die()
    heard.bus.close()
    here.fake.do("heal")
    here.fake.api.compliance.jobs.clear()
    return posts


def lose(here: Town, posts: dict[str, str]) -> set[str]:
    """All but one of them are gone at X, each for another reason. Their ids."""
    here.fake.do("delete", id=posts["deleted"])
    for reason in REASONS[1:]:
        here.fake.do("remove", id=posts[reason], reason=reason)
    return {posts[reason] for reason in REASONS}


def named(listener: ListenerDeployment) -> list[str]:
    return [id_ for value in listener.values("mentions", "deletion") for id_ in value["ids"]]


def jobs(here: Town) -> int:
    return len(here.fake.api.compliance.jobs)


def checked(listener: ListenerDeployment) -> float:
    return listener.metric("source_deletions_checked_timestamp_seconds")


def is_checked(listener: ListenerDeployment) -> bool:
    return "deletions_checked" in listener.state and not isnan(checked(listener))


def files_with(folder: Path, word: str) -> list[str]:
    return [path.name for path in sorted(folder.rglob("*")) if path.is_file() and word.encode() in path.read_bytes()]


def test_what_is_gone_at_x_for_whatever_reason_is_in_no_byte_a_moment_after_it_was_asked(
    here: Town, held: dict[str, str], tmp_path: Path
) -> None:
    gone = lose(here, held)
    calm = here.deployment()
    assert isnan(calm.metric("source_deletions_checked_timestamp_seconds"))
    began = here.clock.now().timestamp()
    calm.turn_until(lambda: is_checked(calm), 30)
    assert sorted(named(calm)) == sorted(gone)
    assert began - 60 < checked(calm) < here.clock.now().timestamp()
    clock = ManualClock(here.clock.now())
    metrics, part = Metrics(CollectorRegistry(), "0"), Health(clock).part("purge")
    with closing(Deletions(calm.bus, tmp_path, clock=clock, metrics=metrics, part=part)) as purge:
        for _ in range(4):
            purge.step(0.0)
            clock.advance(timedelta(seconds=PAUSE_SECONDS))
    for reason in REASONS:
        assert files_with(tmp_path, f"ord{reason}") == []
    assert files_with(tmp_path, "ordblir") != []
    (job,) = here.fake.api.compliance.jobs
    assert sorted(job.ids or []) == sorted(held.values())
    assert here.fake.api.compliance.leaks == []
    assert not files_with(tmp_path, "X-Goog-Signature")


def test_it_is_asked_once_a_day_and_not_again_after_a_restart(here: Town, held: dict[str, str]) -> None:
    calm = here.deployment()
    calm.turn_until(lambda: is_checked(calm), 30)
    calm.turn_for(0.3)
    calm.die()
    again = here.deployment()
    again.turn_for(2.0)
    assert jobs(here) == 1
    gone = lose(here, held)
    jump(here, EVERY - timedelta(minutes=10))
    again.turn_for(4.0)
    assert jobs(here) == 1
    jump(here, timedelta(minutes=15))
    again.turn_until(lambda: set(named(again)) == gone, 30)
    assert jobs(here) == 2
    assert here.clock.now().timestamp() - checked(again) < LATE.total_seconds()


def test_where_nothing_of_x_is_held_x_is_not_asked(here: Town) -> None:
    calm = here.deployment()
    calm.turn_for(2.0)
    assert here.fake.requests("/compliance/jobs") == []
    assert isnan(checked(calm))
    assert "x_deletions_unchecked" not in {what for what, _ in calm.alerts()}


STAGES: dict[str, Callable[[Town], bool]] = {
    "asked for": lambda here: jobs(here) == 1,
    "given its ids": lambda here: jobs(here) == 1 and here.fake.api.compliance.jobs[0].ids is not None,
    "done": lambda here: jobs(here) == 1 and here.fake.api.compliance.jobs[0].result is not None,
}


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_the_middle_the_job_is_found_again_and_none_is_made_twice(
    here: Town, held: dict[str, str], stage: str
) -> None:
    gone = lose(here, held)
    first = here.deployment()
    first.turn_until(lambda: STAGES[stage](here), 30)
    first.die()
    second = here.deployment()
    second.turn_until(lambda: is_checked(second), 30)
    assert jobs(here) == 1
    assert set(named(second)) == gone


FAULTS: dict[str, tuple[tuple[str, dict[str, Any]], int]] = {
    "the job fails": (("jobs_fail", {}), 2),
    "the result is cut off": (("cut_results", {}), 1),
    "the storage breaks the connection": (("drop", {"on": "storage.ids", "times": 1}), 1),
    "the storage is away": (("refuse", {"status": 503, "on": "storage.results", "times": 1}), 1),
    "X answers 503": (("refuse", {"status": 503, "on": "compliance.list", "times": 2}), 1),
    "X answers 429": (("limit", {"on": "compliance.post", "seconds": 30}), 1),
    "the answer never comes": (("hang", {"on": "compliance.list", "times": 1}), 1),
    "the job takes its time": (("jobs_take", {"seconds": 100}), 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_goes_wrong_it_is_asked_again_until_it_is_known(here: Town, held: dict[str, str], fault: str) -> None:
    (verb, how), made = FAULTS[fault]
    gone = lose(here, held)
    here.fake.do(verb, **how)
    calm = here.deployment(rest_seconds=3.0)
    calm.turn_until(lambda: is_checked(calm), 60)
    assert set(named(calm)) == gone
    assert jobs(here) == made
    assert here.fake.api.compliance.leaks == []


def test_an_address_that_holds_no_more_is_given_up_for_another_job(here: Town, held: dict[str, str]) -> None:
    gone = lose(here, held)
    here.fake.do("uploads_expire", seconds=-1)
    calm = here.deployment()
    calm.turn_until(lambda: calm.state.get("deletions_why") == "the ids were not taken", 30)
    here.fake.do("uploads_expire", seconds=900)
    jump(here, timedelta(minutes=16))  # the first one is no longer in the way
    calm.turn_until(lambda: is_checked(calm), 60)
    assert set(named(calm)) == gone
    assert jobs(here) == 2


def test_a_plan_without_access_is_told_after_a_day_and_asked_rarely(here: Town, held: dict[str, str]) -> None:
    here.fake.do("refuse", status=403, on="compliance")
    calm = here.deployment()
    calm.turn_until(lambda: "forbidden" in str(calm.state.get("deletions_why")), 30)
    calm.turn_for(3.0)
    assert len(here.fake.requests("/compliance/jobs")) == 1
    assert ("x_deletions_unchecked", "fired") not in calm.alerts()
    jump(here, LATE)
    calm.turn_until(lambda: ("x_deletions_unchecked", "fired") in calm.alerts(), 30)
    here.fake.do("heal")
    jump(here, timedelta(hours=1))
    calm.turn_until(lambda: ("x_deletions_unchecked", "resolved") in calm.alerts(), 60)
    assert is_checked(calm)
    assert calm.alerts().count(("x_deletions_unchecked", "fired")) == 1


def test_in_a_crisis_it_goes_on_and_the_stream_beside_it(here: Town, held: dict[str, str]) -> None:
    gone = lose(here, held)
    crisis = here.deployment()
    crisis.open("sandnesbrua", name="Flom")
    crisis.turn_until(lambda: is_checked(crisis) and crisis.hears(), 40)
    assert set(named(crisis)) == gone
    post = here.fake.post("sandnesbrua er stengt")
    crisis.turn_until(lambda: crisis.captured()[post.id] == 1, 20)


def test_by_looking_up_each_post_is_paid_for_once_a_day(here: Town, held: dict[str, str]) -> None:
    gone = lose(here, held) - {held["scrub_geo"]}
    calm = here.deployment(by_lookup=True)
    calm.turn_until(lambda: is_checked(calm), 30)
    assert set(named(calm)) == gone
    assert here.fake.requests("/compliance/jobs") == []
    spent = calm.values("spending")[-1]
    assert spent["calls"]["lookup"] == 1
    # Those that were captured today were paid for today.
    assert spent["day"]["posts"] == len(held)


def test_a_lookup_says_what_is_gone_and_nothing_of_what_it_does_not_name() -> None:
    answer = {
        "data": [{"id": "1"}, {"id": "2", "withheld": {"copyright": True}}],
        "errors": [
            {"resource_type": "tweet", "resource_id": "3", "parameter": "ids"},
            {"resource_type": "user", "resource_id": "4", "parameter": "author_id"},
            {"resource_type": "tweet", "resource_id": "5", "parameter": "referenced_tweets.id"},
        ],
    }
    assert read_lookup(answer) == (("1", "2"), ("2", "3"))
    assert read_lookup({}) == ((), ())


@pytest.mark.parametrize(
    ("lines", "ids", "whole"),
    [
        ([], (), True),
        ([b'{"id":"17","reason":"deleted"}', b"", b'{"id":17}', b'{"id":"18","reason":"new"}'], ("17", "18"), True),
        ([b'{"id":"17","reason":"deleted"}', b'{"id":"18","rea'], ("17",), False),
        ([b"<html>not here</html>"], (), False),
        ([b'{"no":"id"}', b"[]", b"17", b'{"id":"no number"}', b'{"id":"19"}'], ("19",), False),
    ],
)
def test_of_a_result_that_is_not_whole_what_can_be_read_counts(
    lines: list[bytes], ids: tuple[str, ...], whole: bool
) -> None:
    if whole:
        assert read_result(lines) == ids
        return
    with pytest.raises(Truncated) as caught:
        read_result(lines)
    assert caught.value.ids == ids


def test_the_check_of_retention_proves_it(tmp_path: Path) -> None:
    machine, now = Machine(tmp_path), SystemClock().now()

    def say(complied: timedelta | None) -> None:
        memory = Memory(complied=None if complied is None else now - complied)
        tick = Tick(source="x", until=now, cursor=cursor(str(memory), {""}))
        with live_bus(machine) as bus:
            bus.publish([message(MENTIONS, tick)])

    with live_bus(machine) as bus:
        at = now - timedelta(hours=26)
        mention = Mention(source="x", id="17", at=at, captured_at=at, text="røyk", incidents={"brann-0": ("a",)})
        bus.publish([message(MENTIONS, mention)])
    for complied, code, said in (
        (None, 1, "last asked never  LATE"),
        (timedelta(hours=25, minutes=1), 1, "LATE"),
        (timedelta(hours=3), 0, "ok"),
    ):
        say(complied)
        done = machine.run("privacy", "retention", "--check")
        assert done.returncode == code, done.stderr
        assert said in done.stdout.splitlines()[-1]
        assert ("x: was not asked for a day" in done.stderr) is bool(code)
    rows = json.loads(machine.run("privacy", "retention", "--check", "--json").stdout)
    assert [row["ok"] for row in rows if row.get("deletions_at") == "x"] == [True]


@pytest.mark.parametrize(("status", "level"), [(0, "ok"), (403, "failed")])
def test_doctor_says_whether_the_plan_has_it(tmp_path: Path, status: int, level: str) -> None:
    with town(tmp_path) as here:
        if status:
            here.fake.do("refuse", status=status, on="compliance")
        machine = Machine(tmp_path, {"LYTTEPOST_X__BASE_URL": here.fake.url, "LYTTEPOST_X__BEARER_TOKEN": TOKEN})
        found = {each["id"]: each for each in json.loads(machine.run("doctor", "--json").stdout)["findings"]}
        assert found["x.deletions"]["level"] == level
        if status:
            assert "x.deletions.by: lookup" in found["x.deletions"]["mend"]
