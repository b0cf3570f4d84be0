"""What every entry of SOURCES must do. A new source needs a platform in `source_support.PLATFORMS`, and nothing here.

Each check is a function of a platform, so that the second half can hold the checks to it: one with a
fault fails.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import source_support
from source_support import PLATFORMS, TRACK, Platform, Session, process, session

from listener.clock import Clock, SystemClock
from listener.errors import Corrupt
from listener.model.gaps import Cause, closed, open_gap
from listener.model.incidents import Incident
from listener.model.records import Gap, Post
from listener.runtime.checks import Check, CheckLevel
from listener.runtime.metrics import SourceState
from listener.settings.prices import Tariff
from listener.settings.schema import Settings
from listener.sources.contract import (
    SOURCES,
    AsksAboutHeld,
    Batch,
    CatchUp,
    Costs,
    Counts,
    Deletes,
    Examination,
    Follows,
    HasQuota,
    HearsInCalm,
    KnowsAliases,
    KnowsHeld,
    OfferedCounts,
    Source,
    SourceType,
)
from listener.sources.x.cursor import Memory
from listener.sources.x.source import XSource
from listener.units import format_instant, parse_instant

CLOSES_WITHIN = 1.0
"""Real seconds."""
LONG_AGO = 1.5
"""Real seconds; on a live platform so many minutes."""
SHORT = 0.5
"""Real seconds in which what must not come would have come."""


def is_a_source(platform: Platform, folder: Path) -> None:
    """Made by its type where it is set up and only there; with the name of its entry, and every member."""
    assert isinstance(platform.type, SourceType)
    assert platform.type.make(Settings(), platform.clock) is None, "made without being set up"
    platform.type.check(platform.settings)
    assert list(platform.type.doubts(Settings())) == []
    for settings in (platform.settings, Settings()):
        found = list(platform.type.examine(examination(platform, settings)))
        assert all(isinstance(check, Check) and check.id.startswith(f"{platform.name}.") for check in found)
        assert not any(check.level is CheckLevel.FAILED for check in found)
    source = platform.source()
    assert isinstance(source, Source)
    assert source.name == platform.name
    assert isinstance(source.catch_up, CatchUp)
    assert source.only_exercise is not isinstance(source, Follows), "live and told what is wanted, or of the past"
    assert isinstance(source, Follows) or not isinstance(source, Counts | Costs), "of the past, and counts or costs"
    source.close()


def examination(platform: Platform, settings: Settings) -> Examination:
    return Examination(
        settings=settings, incidents=(), standing=(TRACK,), clock=platform.clock, seconds=300, running=False
    )


def tells_its_state(platform: Platform, folder: Path) -> None:
    """Whenever it is asked: closed, open, read, and closed again."""
    source = platform.source()
    good_state(source)
    source.close()
    with session(platform) as its:
        good_state(its.source)
        its.read_until(lambda: its.up, "heard")
        its.come([*platform.there[:1], *platform.say(1)])
        good_state(its.source)
    good_state(its.source)


def good_state(source: Source) -> None:
    state = source.state()
    json.dumps(dict(state))
    assert isinstance(state["state"], str)
    if isinstance(source, Follows):
        assert SourceState(state["state"])
    if state.get("heard") is not None:
        assert parse_instant(state["heard"]).tzinfo is UTC
    if state.get("counted") is not None:
        assert parse_instant(state["counted"]).tzinfo is UTC
    assert isinstance(state.get("queue", 0), int)
    assert isinstance(state.get("problem"), str | None)
    assert state.get("every", 0.0) >= 0
    assert isinstance(state.get("reach", 0.0), int | float)
    assert TRACK not in json.dumps({key: state[key] for key in state.keys() & {"problem", "note"}})


def gives_every_post_once(platform: Platform, folder: Path) -> None:
    with session(platform) as its:
        its.read_until(lambda: its.up, "heard")
        wanted = list(platform.there)
        for _ in range(3):
            said = platform.say(2)
            its.come([*platform.there, *said])
            wanted += said
        its.read_until(lambda: its.batches[-1].until is not None, "a time up to which it is heard")
        if not isinstance(its.source, Follows):
            its.read_until(lambda: its.batches[-1].final, "its end")
            assert its.source.read(0.01) is None
        assert sorted(its.ids) == sorted(wanted)
        assert [platform.type.post_ids.parse(id_) for id_ in wanted] == wanted, "an id that nobody could name"
        good_batches(its)


def good_batches(its: Session) -> None:
    ends = [batch.until for batch in its.batches if batch.until is not None]
    assert ends == sorted(ends), "until went back"
    counted = OfferedCounts()
    for batch in its.batches:
        counted.add(batch)
        assert batch.until is None or batch.cursor is not None, "heard, and no place to go on from"
        assert {post.source for post in batch.posts} <= {its.source.name}
        assert {gap.source for gap in batch.gaps} <= {its.source.name}
        assert all(post.at.tzinfo is UTC for post in batch.posts)
        assert all(post.author is None or post.author.id for post in batch.posts)
        assert not (batch.final and isinstance(its.source, Follows)), "a live source has no end"
    assert its.source.counts == counted


def goes_on_from_a_cursor(platform: Platform, folder: Path) -> None:
    """As after a kill: what a batch's cursor covers is given, what comes after it comes from a new source."""
    with session(platform) as before:
        before.read_until(lambda: before.up, "heard")
        said = platform.say(3)
        before.read_until(lambda: before.ids and set(before.ids) >= set(said), "posts")
        before.read_until(lambda: before.batches[-1].until is not None, "a tick")
    away = platform.say(2)
    if away:
        time.sleep(LONG_AGO)  # else a search that reaches a little back finds it without knowing that it was missed
    with session(platform, before.cursor) as after:
        wanted = {*platform.there, *said, *away}
        match after.source.catch_up:
            case CatchUp.REPLAY:
                after.read_until(lambda: set(before.ids) | set(after.ids) >= wanted, "the rest")
                assert not set(before.ids) & set(after.ids), "given again"
            case CatchUp.RESCAN:
                after.read_until(lambda: set(before.ids) | set(after.ids) >= wanted, "what was said in between")
                assert after.gaps, "not heard in between, and no gap"
            case CatchUp.NONE:
                after.read_until(lambda: any(gap.end is not None for gap in after.gaps), "a gap")
        after.read_until(lambda: after.up, "heard again")
        good_batches(after)


def is_on_the_bus_exactly_once(platform: Platform, folder: Path) -> None:
    """Two processes, one after the other, as the second finds it after a kill of the first."""
    said: list[str] = []
    there = platform.there
    with process(platform, folder) as first:
        source = first.worker.source
        first.open(exercise=source.only_exercise)
        first.turn_until(lambda: Session(platform, source).up, "heard")
        said += platform.say(3)
        first.turn_until(lambda: first.mentions() and set(first.mentions()) >= set(said), "mentions")
    gone = platform.say(2) if source.catch_up is not CatchUp.NONE else []
    with process(platform, folder) as second:
        second.turn_until(lambda: set(second.mentions()) >= {*there, *said, *gone}, "the rest")
        assert sorted(second.mentions()) == sorted([*there, *said, *gone])


def keeps_still_without_an_incident(platform: Platform, folder: Path) -> None:
    """No content of a post is on the bus in calm, and of a source of the past nothing is read."""
    with process(platform, folder) as its:
        for _ in range(3):
            its.turn()
        platform.say(3)
        deadline = time.monotonic() + SHORT
        while time.monotonic() < deadline:
            its.turn()
        assert its.mentions() == []
        if its.worker.source.only_exercise:
            assert its.worker.source.counts == OfferedCounts()
            its.open(exercise=False)
            for _ in range(5):
                its.turn()
            assert its.mentions() == [], "played in earnest"
        else:
            good_state(its.worker.source)


def closes_at_once_and_opens_again(platform: Platform, folder: Path) -> None:
    source = platform.source()
    for _ in range(2):
        closes(source)
    with session(platform) as its:
        its.read_until(lambda: its.batches, "a batch")
        if not isinstance(its.source, Follows):
            its.read_until(lambda: its.batches[-1].final, "its end")
        reading = threading.Thread(target=its.source.read, args=(3600.0 * 24,), daemon=True)
        reading.start()
        time.sleep(0.05)
        closes(its.source)
        reading.join(CLOSES_WITHIN)
        assert not reading.is_alive(), "it still reads"
        closes(its.source)
        if isinstance(its.source, Follows):
            its.source.recall(())
        its.source.open(its.cursor)
        its.follow(platform.incident())
        good_state(its.source)
        closes(its.source)


def closes(source: Source) -> None:
    began = time.monotonic()
    source.close()
    assert time.monotonic() - began < CLOSES_WITHIN


def refuses_a_cursor_of_another(platform: Platform, folder: Path) -> None:
    source = platform.source()
    try:
        with pytest.raises(Corrupt):
            source.open("no cursor")
    finally:
        source.close()


def counts_no_minute_twice(platform: Platform, folder: Path) -> None:
    """Counts: in calm, and not what others have counted."""
    if not isinstance(platform.source(), Counts):
        return
    with session(platform, crisis=False) as its:
        its.read_until(lambda: any(batch.volumes for batch in its.batches), "counts")
        counted = [volume for batch in its.batches for volume in batch.volumes]
    assert {volume.source for volume in counted} == {platform.name}
    assert len({(volume.track, volume.minute) for volume in counted}) == len(counted)
    with session(platform, crisis=False) as again:
        assert isinstance(again.source, Counts)
        again.source.learn_counts(counted)
        again.read_until(lambda: any(batch.volumes for batch in again.batches), "counts of later minutes")
        given = {(volume.track, volume.minute) for batch in again.batches for volume in batch.volumes}
        assert not given & {(volume.track, volume.minute) for volume in counted}


def costs_nothing_while_halted(platform: Platform, folder: Path) -> None:
    """Costs: it names its calls and its price; halted it makes none and hears nothing, which is a gap."""
    if not isinstance(platform.source(), Costs):
        return
    with session(platform) as its:
        assert isinstance(its.source, Costs)
        assert isinstance(its.source.tariff, Tariff)
        assert its.source.state()["caps"] == its.source.tariff.budget.model_dump()
        its.read_until(lambda: its.up, "heard")
        assert sum(count for batch in its.batches for count in batch.calls.values()) > 0
        its.source.halt(True)
        its.read_until(lambda: any(gap.cause == Cause.BUDGET_CEILING for gap in its.gaps), "a gap")
        its.read_for(0.2)
        before = len(its.batches)
        missed = platform.say(1)
        its.read_for(SHORT)
        assert not set(missed) & set(its.ids), "heard while halted"
        assert not any(batch.calls for batch in its.batches[before:])
        its.source.halt(False)
        its.read_until(lambda: its.up, "heard again")


def keeps_the_account_of_its_day(platform: Platform, folder: Path) -> None:
    """HasQuota: what was used is told with its batches, shown, and gone on with by the next process."""
    if not isinstance(platform.source(), HasQuota):
        return
    with session(platform) as its:
        its.read_until(lambda: its.up, "heard")
        its.come(platform.say(1))
        told = [batch.quota for batch in its.batches if batch.quota is not None]
        calls = sum(count for batch in its.batches for count in batch.calls.values())
        assert 0 < told[-1].used <= told[-1].units
        assert sum(told[-1].calls.values()) == calls
        assert [use.used for use in told] == sorted(use.used for use in told)
        assert its.source.state()["quota"]["used"] >= told[-1].used
    again = platform.source()
    assert isinstance(again, HasQuota)
    again.learn_quota(told[-1])
    assert again.state()["quota"] == {"used": told[-1].used, "units": told[-1].units, "exhausted": False}
    with process(platform, folder) as one:
        one.open(exercise=False)
        one.turn_until(lambda: Session(platform, one.worker.source).up, "heard")
        used = one.worker.source.state()["quota"]["used"]
    with process(platform, folder) as two:
        two.turn_until(lambda: two.worker.source.state()["state"] != "idle", "open")
        assert two.worker.source.state()["quota"]["used"] >= used - 1  # the last call may not be told of yet


def names_what_was_deleted(platform: Platform, folder: Path) -> None:
    """Deletes: what is deleted while it listens, and in time in which nobody does as far as it declares."""
    if not isinstance(platform.source(), Deletes):
        return
    with session(platform) as before:
        before.read_until(lambda: before.up, "heard")
        said = platform.say(3)
        before.come(said)
        knows(before, said)
        platform.delete(said[:1])
        before.read_until(lambda: before.deleted, "a deletion")
        assert before.deleted == set(said[:1])
        good_batches(before)
    platform.delete(said[1:2])
    with session(platform, before.cursor) as after:
        assert isinstance(after.source, Deletes)
        knows(after, said, before.aliases)
        assert isinstance(after.source.catch_up_deletes, CatchUp)
        after.read_until(lambda: after.up, "heard again")
        if after.source.catch_up_deletes is not CatchUp.NONE:
            after.read_until(lambda: set(said[1:2]) <= after.deleted, "what was deleted in between")
        after.read_for(SHORT)
        assert after.deleted <= set(said[:2])


def knows(its: Session, held: Sequence[str], aliases: Iterable[tuple[str, tuple[str, ...]]] = ()) -> None:
    """As the worker says it, of what is on the bus."""
    if isinstance(its.source, KnowsHeld):
        its.source.learn_held(held)
    if isinstance(its.source, KnowsAliases):
        its.source.learn_aliases(aliases)


def brings_deletions_to_the_bus(platform: Platform, folder: Path) -> None:
    """Deletes: those of posts from before too."""
    if not isinstance(platform.source(), Deletes):
        return
    said = platform.say(2)
    with process(platform, folder) as its:
        its.open(exercise=False)
        its.turn_until(lambda: Session(platform, its.worker.source).up, "heard")
        if isinstance(its.worker.source, KnowsHeld):
            said = platform.say(2)
            its.turn_until(lambda: set(its.mentions()) >= set(said), "mentions")
        platform.delete(said)
        its.turn_until(lambda: its.deleted() >= set(said), "deletions")


def asks_about_what_is_held(platform: Platform, folder: Path) -> None:
    """AsksAboutHeld: about all that is held, and once until a day is over; what is deleted goes to the bus."""
    source = platform.source()
    if not isinstance(source, AsksAboutHeld):
        return
    said = platform.say(3)
    platform.delete(said[:2])
    source.ask_about(lambda: said)
    with session(platform, source=source) as its:
        its.read_until(lambda: its.deleted >= set(said[:2]), "deletions")
        its.read_until(lambda: its.source.state().get("deletions_checked"), "a complete check")
        assert its.deleted == set(said[:2])
        good_batches(its)
    read = platform.type.checks_deletions
    assert read is not None
    assert read(its.cursor) is not None
    assert read(None) is None
    again = platform.source()
    assert isinstance(again, AsksAboutHeld)
    again.ask_about(lambda: said)
    with session(platform, its.cursor, source=again) as after:
        after.read_for(SHORT)
        assert after.deleted == set()


def follows_at_once(platform: Platform, folder: Path) -> None:
    """Follows: it hears what is wanted as soon as it is, and no more when it is not."""
    if not isinstance(platform.source(), Follows):
        return
    with session(platform, crisis=False) as its:
        assert isinstance(its.source, Follows)
        its.read_for(0.1)
        its.follow(platform.incident())
        its.read_until(lambda: its.up, "heard")
        its.come(platform.say(1))
        its.source.tend()
        began = time.monotonic()
        its.follow()
        assert time.monotonic() - began < CLOSES_WITHIN
        its.read_for(0.2)
        late = platform.say(1)
        its.read_for(SHORT)
        good_state(its.source)
        # Who hears in calm gives posts to be counted; that nothing is kept of them, `keeps_still_without_an_incident`.
        assert isinstance(its.source, HearsInCalm) or not set(late) & set(its.ids)


Rule = Callable[[Platform, Path], None]

CHECKS: tuple[Rule, ...] = (
    is_a_source,
    tells_its_state,
    gives_every_post_once,
    goes_on_from_a_cursor,
    is_on_the_bus_exactly_once,
    keeps_still_without_an_incident,
    closes_at_once_and_opens_again,
    refuses_a_cursor_of_another,
    counts_no_minute_twice,
    costs_nothing_while_halted,
    keeps_the_account_of_its_day,
    names_what_was_deleted,
    brings_deletions_to_the_bus,
    asks_about_what_is_held,
    follows_at_once,
)


@pytest.mark.parametrize("name", sorted(SOURCES.keys() | PLATFORMS.keys()))
def test_every_source_has_a_platform_to_be_tried_on(name: str) -> None:
    if name not in PLATFORMS:
        pytest.fail(f"add {name} to PLATFORMS in tests/contract/source_support.py", pytrace=False)
    assert name in SOURCES


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", PLATFORMS)  # one that SOURCES has and this lacks is named once, above
def test_a_source(name: str, check: Rule, tmp_path: Path) -> None:
    with PLATFORMS[name](tmp_path) as platform:
        check(platform, tmp_path)


# --- the checks themselves: each fault is found -----------------------------------------------------------------------


class Listed:
    """A source of the past in its simplest form: a list of posts, five in a batch."""

    catch_up = CatchUp.REPLAY
    only_exercise = True
    its_name = "recording"

    def __init__(self, clock: Clock) -> None:
        self.name = self.its_name
        self.counts = OfferedCounts()
        self.closed = threading.Event()
        self.clock = clock
        self.at = 0
        self.word = "closed"

    def open(self, resume: str | None) -> None:
        self.counts = OfferedCounts()
        self.closed.clear()
        self.at, self.word = self.place(resume), "playing"

    def place(self, resume: str | None) -> int:
        try:
            return int(resume or "0")
        except ValueError:
            raise Corrupt("the list's cursor is unreadable") from None

    def read(self, timeout: float) -> Batch | None:
        if self.word != "playing":
            self.clock.wait(timeout, self.closed)
            return None
        posts = tuple(self.post(number) for number in range(self.at, min(self.at + 5, POSTS)))
        self.at += 5
        batch = self.batch(posts)
        self.word = "ended" if batch.final else "playing"
        self.counts.add(batch)
        return batch

    def batch(self, posts: tuple[Post, ...]) -> Batch:
        return Batch(posts=posts, until=posts[-1].at, cursor=str(self.at), final=self.at >= POSTS)

    def post(self, number: int) -> Post:
        return Post(source=self.name, id=str(number), at=FIRST + timedelta(seconds=number), text=f"brann i {TRACK}")

    def state(self) -> Mapping[str, Any]:
        return {"state": self.word}

    def close(self) -> None:
        self.word = "closed"
        self.closed.set()


FIRST, POSTS = datetime(2031, 2, 3, 12, tzinfo=UTC), 20


class Repeats(Listed):
    def place(self, resume: str | None) -> int:
        return max(0, super().place(resume) - 1)


class Loses(Listed):
    def place(self, resume: str | None) -> int:
        return super().place(resume) + (1 if resume else 0)


class TakesAnyCursor(Listed):
    def place(self, resume: str | None) -> int:
        return int(resume) if resume and resume.isdigit() else 0


class GoesBack(Listed):
    def batch(self, posts: tuple[Post, ...]) -> Batch:
        return Batch(posts=posts, until=FIRST - timedelta(seconds=self.at), cursor=str(self.at), final=self.at >= POSTS)


class HasNoPlace(Listed):
    def batch(self, posts: tuple[Post, ...]) -> Batch:
        return Batch(posts=posts, until=posts[-1].at, final=self.at >= POSTS)


class CountsNothing(Listed):
    def read(self, timeout: float) -> Batch | None:
        batch = super().read(timeout)
        self.counts = OfferedCounts()
        return batch


class OfAnother(Listed):
    def post(self, number: int) -> Post:
        return super().post(number).model_copy(update={"source": "x"})


class IsNamedElse(Listed):
    its_name = "listed"


class HangsOnClose(Listed):
    def close(self) -> None:
        time.sleep(CLOSES_WITHIN + 0.2)
        super().close()


class ReadsOn(Listed):
    def close(self) -> None:
        self.word = "closed"


class TellsNoState(Listed):
    def state(self) -> Mapping[str, Any]:
        return {"position": FIRST}


class IsPlayedInEarnest(Listed):
    only_exercise = False


class Stub:
    name = "recording"
    only_exercise = True

    def __init__(self, clock: Clock) -> None: ...


class FollowsInItsOwnWords(Listed):
    """Live, but with a state that nobody knows."""

    only_exercise = False

    def recall(self, gaps: Any) -> None: ...
    def follow(self, incidents: Any, standing: Any, over: Any = ()) -> None: ...
    def tend(self) -> None: ...


class Heard(Listed):
    """A live source in its simplest form: it hears what is said while it is open, and of the rest that it was not."""

    catch_up = CatchUp.NONE
    only_exercise = False

    def __init__(self, clock: Clock, air: list[Post]) -> None:
        super().__init__(clock)
        self.air = air
        self.wanted = False
        self.gaps: list[Gap] = []

    def recall(self, gaps: Sequence[Gap]) -> None:
        self.gaps = []

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        self.wanted, self.at = bool(incidents), len(self.air)

    def tend(self) -> None: ...

    def open(self, resume: str | None) -> None:
        super().open(None)
        try:
            start = None if resume is None else parse_instant(resume)
        except ValueError:
            raise Corrupt("the cursor is unreadable") from None
        self.gaps += [] if start is None else self.missed(start)

    def missed(self, start: datetime) -> list[Gap]:
        gap = open_gap(self.name, start, Cause.PROCESS_DOWN)
        return [closed(gap, self.clock.now(), refilled=0, refilled_until=None)]

    def read(self, timeout: float) -> Batch | None:
        if self.clock.wait(timeout if timeout > 1 else 0.01, self.closed):
            return None
        posts, gaps = tuple(self.air[self.at :]) if self.wanted else (), tuple(self.gaps)
        self.at, self.gaps, now = len(self.air), [], self.clock.now()
        batch = Batch(posts=posts, until=now, cursor=format_instant(now), gaps=gaps)
        self.counts.add(batch)
        return batch

    def state(self) -> Mapping[str, Any]:
        return {"state": "listening" if self.wanted else "idle"}


class Unsays(Heard):
    """Its platform says which posts were deleted, those of the time in between too. `gone`: when, and which."""

    catch_up_deletes = CatchUp.REPLAY

    def __init__(self, clock: Clock, air: list[Post], gone: list[tuple[datetime, str]]) -> None:
        super().__init__(clock, air)
        self.gone = gone
        self.named = len(gone)

    def open(self, resume: str | None) -> None:
        super().open(resume)
        self.named = self.first(None if resume is None else parse_instant(resume))

    def first(self, since: datetime | None) -> int:
        """The first deletion that is news to who goes on from there."""
        return len(self.gone) if since is None else sum(at < since for at, _ in self.gone)

    def read(self, timeout: float) -> Batch | None:
        end = len(self.gone)
        batch = super().read(timeout)
        if batch is None:
            return None
        deleted, self.named = tuple(id_ for _, id_ in self.gone[self.named : end]), end
        return replace(batch, deleted=deleted)


class NamesNoneOfBefore(Unsays):
    """And says that it does."""

    def first(self, since: datetime | None) -> int:
        return len(self.gone)


class NamesNone(Unsays):
    def read(self, timeout: float) -> Batch | None:
        batch = super().read(timeout)
        return None if batch is None else replace(batch, deleted=())


class TellsNoGap(Heard):
    def missed(self, start: datetime) -> list[Gap]:
        return []


def heard(make: Callable[[Clock, list[Post]], Heard]) -> Platform:
    air: list[Post] = []
    clock = SystemClock()

    def say(count: int) -> list[str]:
        ids = [str(len(air) + number) for number in range(count)]
        air.extend(Post(source="recording", id=i, at=clock.now(), text=f"brann i {TRACK}") for i in ids)
        return ids

    return replace(listed(lambda its: make(its, air)), there=(), say=say)


def unsaid(make: type[Unsays]) -> Platform:
    gone: list[tuple[datetime, str]] = []
    platform = heard(lambda clock, air: make(clock, air, gone))
    return replace(platform, delete=lambda ids: gone.extend((platform.clock.now(), id_) for id_ in ids))


def listed(make: Callable[[Clock], Any]) -> Platform:
    def made(settings: Settings, clock: Clock) -> Any:
        return None if settings.sources.recording.path is None else make(clock)

    its = SourceType(make=made, setting=("sources", "recording"), check=lambda settings: None)
    settings = Settings.model_validate({"sources": {"recording": {"path": "-"}}})
    return Platform("recording", its, settings, SystemClock(), [str(number) for number in range(POSTS)])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_small_source_that_keeps_the_contract_passes(check: Rule, tmp_path: Path) -> None:
    check(listed(Listed), tmp_path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_small_live_source_that_keeps_the_contract_passes(check: Rule, tmp_path: Path) -> None:
    check(heard(Heard), tmp_path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_small_source_that_hears_of_deletions_passes(check: Rule, tmp_path: Path) -> None:
    assert isinstance(unsaid(Unsays).source(), Deletes)
    check(unsaid(Unsays), tmp_path)


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (NamesNone, names_what_was_deleted),
        (NamesNone, brings_deletions_to_the_bus),
        (NamesNoneOfBefore, names_what_was_deleted),
    ],
)
def test_a_source_that_names_no_deletion_fails(
    make: type[Unsays], check: Rule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_support, "WITHIN", 1.0)
    with pytest.raises(AssertionError):
        check(unsaid(make), tmp_path)


def test_a_live_source_that_misses_and_tells_no_gap_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_support, "WITHIN", 1.0)
    with pytest.raises(AssertionError):
        goes_on_from_a_cursor(heard(TellsNoGap), tmp_path)


@pytest.mark.parametrize(
    ("make", "check"),
    [
        (Stub, is_a_source),
        (IsNamedElse, is_a_source),
        (IsPlayedInEarnest, is_a_source),
        (TellsNoState, tells_its_state),
        (FollowsInItsOwnWords, tells_its_state),
        (GoesBack, gives_every_post_once),
        (HasNoPlace, gives_every_post_once),
        (CountsNothing, gives_every_post_once),
        (OfAnother, gives_every_post_once),
        (Repeats, goes_on_from_a_cursor),
        (Loses, goes_on_from_a_cursor),
        (Loses, is_on_the_bus_exactly_once),
        (HangsOnClose, closes_at_once_and_opens_again),
        (ReadsOn, closes_at_once_and_opens_again),
        (TakesAnyCursor, refuses_a_cursor_of_another),
    ],
)
def test_a_source_with_a_fault_fails(
    make: Callable[[Clock], Any], check: Rule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_support, "WITHIN", 1.0)
    with pytest.raises((AssertionError, TypeError, ValueError, pytest.fail.Exception)):
        check(listed(make), tmp_path)


def never(self: XSource, *args: Any, **more: Any) -> None:
    """What was asked for is not done."""


def open_as_if_heard(self: XSource, resume: str | None, its: Callable[..., None] = XSource.open) -> None:
    its(self, str(Memory(self._clock.now())))


def follow_no_end(self: XSource, incidents: Any, standing: Any, its: Callable[..., None] = XSource.follow) -> None:
    if incidents or not self._followed:
        its(self, incidents, standing)


@pytest.mark.parametrize(
    ("method", "fault", "check"),
    [
        ("learn_counts", never, counts_no_minute_twice),
        ("halt", never, costs_nothing_while_halted),
        ("open", open_as_if_heard, goes_on_from_a_cursor),
        ("follow", follow_no_end, follows_at_once),
    ],
)
def test_a_live_source_with_a_fault_fails(
    method: str, fault: Callable[..., None], check: Rule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(XSource, method, fault)
    with PLATFORMS["x"](tmp_path) as platform:
        monkeypatch.setattr(source_support, "WITHIN", 5.0)
        with pytest.raises(AssertionError):
            check(platform, tmp_path)
