"""LinkedIn over real sockets: what is heard of the Page, and each fault of the API ends as it must."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from session_support import SPEED, SourceSession

from listener.model.gaps import Cause, is_whole
from listener.model.records import Origin
from listener.runtime.checks import Check
from listener.settings.schema import Settings
from listener.sources.contract import Examination, source_types
from listener.sources.linkedin.source import LinkedInSource
from tests.fakes.linkedin import FakeLinkedIn
from tests.fakes.platform import ScaledClock

TYPE = source_types()["linkedin"]


@dataclass
class Room(SourceSession):
    kind, makes = TYPE, LinkedInSource
    fake: FakeLinkedIn
    folder: Path
    more: dict[str, Any] = field(default_factory=dict)

    def settings(self) -> Settings:
        its = {
            "enabled": True, "basis": "prøve", "base_url": self.fake.url, "organization": 2031,
            "version": f"{self.clock.now():%Y%m}", "every": "1m", "in_calm": "5m", "token": self.fake.token,
            **self.more,
        }  # fmt: skip
        return Settings.model_validate({"linkedin": {name: value for name, value in its.items() if value is not None}})

    def of(self, text: str) -> list[tuple[Origin | None, str | None]]:
        return [(b.origin, b.incident) for b in self.batches for p in b.posts if p.text == text]

    def comes(self, text: str) -> None:
        self.until(lambda: self.of(text), text)

    @property
    def notices(self) -> list[tuple[str, bool]]:
        return [(notice.what, notice.over) for batch in self.batches for notice in batch.notices]

    @property
    def deleted(self) -> list[str]:
        return [id_ for batch in self.batches for id_ in batch.deleted]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    clock = ScaledClock(SPEED)
    with FakeLinkedIn(clock=clock, calls=100_000) as fake:
        made = Room(fake, tmp_path, clock=clock, more={"calls": 100_000})
        yield made
        made.close()


def test_edits_are_versions_deletions_are_told_and_a_mention_is_heard(room: Room) -> None:
    room.open(incidents=[room.incident()])
    room.heard()
    first = room.fake.comment("Er det åpent?", id="a")
    room.comes("Er det åpent?")
    room.fake.tell({"edit": "a", "text": "Er det åpent nå?"})
    room.fake.tell({"text": "Tenker på dere", "by": None, "mention": True})
    room.comes("Er det åpent nå?")
    room.comes("Tenker på dere")
    room.fake.tell({"delete": "a"})
    room.until(lambda: room.deleted, "a deletion")
    posts = [post for batch in room.batches for post in batch.posts]
    assert {post.id for post in posts if "åpent" in post.text} == {first.urn}
    assert [post.version is None for post in posts if "åpent" in post.text] == [True, False]
    assert next(post for post in posts if "Tenker" in post.text).author is None
    room.pass_(120)
    assert (room.deleted, len(room.of("Er det åpent?"))) == ([first.urn], 1)


def test_what_is_deleted_before_it_is_given_is_never_given(room: Room) -> None:
    room.open(incidents=[room.incident()])
    room.heard()
    room.fake.do("status", status=503, on="notifications")
    room.fake.comment("Angret", id="a")
    room.fake.tell({"delete": "a"})
    room.fake.comment("Står")
    room.fake.do("heal")
    room.comes("Står")
    assert room.of("Angret") == []
    assert len(room.deleted) == 1


def test_what_was_said_before_is_looked_back_to_and_older_is_left(room: Room) -> None:
    now = room.clock.now()
    for text, hours in (("I går", 24), ("For en halv time siden", 0.5)):
        room.fake.page.write(text, "ola", now - timedelta(hours=hours))
    room.open(incidents=[room.incident()])
    room.comes("For en halv time siden")
    room.pass_(60)
    assert room.of("For en halv time siden") == [(Origin.LOOKBACK, "brann-0")]
    assert room.of("I går") == []


def test_in_calm_comments_come_once_to_be_counted_and_a_switch_looks_back_to_them(room: Room) -> None:
    room.fake.page.write("Var der", "ola", room.clock.now() - timedelta(hours=2))
    room.open()
    room.heard()
    room.fake.comment("I ro")
    room.comes("I ro")
    assert (room.of("Var der"), room.of("I ro")) == ([], [(None, None)])
    room.pass_(30)
    assert room.source is not None
    room.source.follow([room.incident()], ())
    room.until(lambda: (Origin.LOOKBACK, "brann-0") in room.of("I ro"), "looked back")


def test_what_was_said_before_a_crisis_was_closed_is_still_its_own(room: Room) -> None:
    room.more["every"] = "1h"
    crisis = room.incident()
    room.open(incidents=[crisis])
    room.heard()
    room.fake.comment("Rett før slutten")
    closed = replace(crisis, closed_at=room.clock.now() + timedelta(seconds=1))
    assert room.source is not None
    room.source.follow((), (), [closed])
    room.until(lambda: (Origin.GAP_FILL, "brann-0") in room.of("Rett før slutten"), "given to the one that is over")


@pytest.mark.parametrize(
    ("verb", "params", "cause"),
    [
        ("status", {"status": 503, "on": "notifications"}, Cause.HTTP_5XX),
        ("garbage", {"on": "notifications"}, Cause.GARBLED),
        ("garbage", {"on": "notifications", "size": 6_000_000}, Cause.GARBLED),
        ("reset", {"on": "notifications"}, Cause.RESET),
        ("cut", {"on": "notifications"}, Cause.RESET),
        ("forbid", {}, Cause.FORBIDDEN),
        ("sunset", {"version": "209901"}, Cause.REFUSED),
        ("quota", {"left": 0}, Cause.RATE_LIMITED),
    ],
)
def test_a_fault_is_a_gap_with_its_cause(room: Room, verb: str, params: dict[str, Any], cause: Cause) -> None:
    room.open(incidents=[room.incident()])
    room.heard()
    room.fake.do(verb, **params)
    assert room.gap(lasts=True).cause == cause


def test_what_was_said_in_a_gap_is_found_after_it(room: Room) -> None:
    room.open(incidents=[room.incident()])
    room.heard()
    room.fake.do("status", status=503, on="notifications")
    gap = room.gap(lasts=True)
    room.fake.comment("Imens")
    room.fake.do("heal")
    room.comes("Imens")
    over = room.gaps[gap.id]
    assert is_whole(over)
    assert room.of("Imens") == [(Origin.GAP_FILL, None)]
    assert [batch.fills for batch in room.batches if any(p.text == "Imens" for p in batch.posts)] == [gap.id]


@pytest.mark.parametrize(
    ("verb", "params"), [("empty_pages", {"count": 2}), ("repeats", {}), ("shuffle", {}), ("deaf_to_time", {})]
)
def test_however_pages_come_each_comment_comes_once(room: Room, verb: str, params: dict[str, Any]) -> None:
    room.fake.per_page = 5
    for number in range(4):
        room.fake.page.write(f"gammel {number}", "ola", room.clock.now() - timedelta(days=3))
    room.open(incidents=[room.incident()])
    room.heard()
    room.fake.do(verb, **params)
    room.fake.do("twice", count=1)
    wanted = 4 if verb == "repeats" else 12
    with room.fake.lock:
        for number in range(wanted):
            room.fake.comment(f"ny {number}")
    for number in range(wanted):
        room.comes(f"ny {number}")
    room.pass_(70)
    counts = [len(room.of(f"ny {number}")) for number in range(wanted)]
    assert counts == [2, *[1] * (wanted - 1)], "one came twice, under two numbers: the bus knows it by its id"
    assert not any(room.of(f"gammel {number}") for number in range(4))


def test_a_new_token_in_its_file_is_used_at_once_and_ops_are_told_of_the_old_one(room: Room) -> None:
    path = room.folder / "token"
    path.write_text(room.fake.token)
    room.more |= {"token": None, "token_file": str(path)}
    room.open(incidents=[room.incident()])
    room.heard()
    room.fake.do("token", token="et-nytt")
    assert room.gap(lasts=True).cause == Cause.UNAUTHORIZED
    assert room.source is not None
    assert room.source.state()["state"] == "stopped"
    assert "401" in room.source.state()["problem"]
    assert room.fake.token not in str(room.source.state())
    asked = len(room.fake.requests())
    room.pass_(300)
    assert len(room.fake.requests()) == asked, "asked on, though only a person can help"
    path.write_text("et-nytt")
    room.heard()
    assert [what for what in room.notices if what[0] == "linkedin_refused"] == [
        ("linkedin_refused", False), ("linkedin_refused", True),
    ]  # fmt: skip


def test_a_day_s_calls_are_spread_counted_and_end_in_a_gap_until_midnight(room: Room) -> None:
    room.more["calls"] = 30
    room.open(incidents=[room.incident()])
    room.heard()
    room.pass_(600)
    uses = [batch.quota for batch in room.batches if batch.quota is not None]
    assert uses[-1].used == sum(batch.calls.get(call, 0) for batch in room.batches for call in batch.calls)
    assert uses[-1].used <= 4, "what is left of the day's calls must last to its end"
    assert (uses[-1].source, uses[-1].units, uses[-1].day) == ("linkedin", 30, f"{room.clock.now():%Y-%m-%d}")
    assert {gap.cause for gap in room.gaps.values()} == {Cause.RATE_LIMITED}
    assert room.source is not None
    assert room.source.state()["quota"]["units"] == 30


def test_of_a_version_and_a_token_that_end_ops_are_told_ahead(room: Room) -> None:
    now = room.clock.now()
    old = now - timedelta(days=340)
    room.more |= {"version": f"{old:%Y%m}", "token_expires": f"{now + timedelta(days=5):%Y-%m-%d}"}
    room.open()
    room.until(lambda: ("linkedin_ending", False) in room.notices, "a notice")
    (notice,) = (n for batch in room.batches for n in batch.notices if n.what == "linkedin_ending")
    assert "linkedin.version" in notice.words["what"]
    assert "linkedin.token" in notice.words["what"]


def test_after_a_time_in_which_nobody_ran_what_came_and_what_went_is_found(room: Room) -> None:
    crisis = room.incident()
    room.open(incidents=[crisis])
    room.heard()
    gone = room.fake.comment("Først", id="a")
    room.comes("Først")
    room.until(lambda: room.batches[-1].until, "a tick")
    room.close()
    cursor = next(batch.cursor for batch in reversed(room.batches) if batch.cursor)
    room.fake.comment("Imens")
    room.fake.tell({"delete": "a"})
    time.sleep(1.0)
    room.batches = []
    room.open(cursor, incidents=[crisis])
    room.comes("Imens")
    room.until(lambda: room.deleted, "a deletion")
    assert room.deleted == [gone.urn]
    assert room.of("Først") == []
    gap = room.gap(lasts=False)
    assert (gap.cause, is_whole(gap)) == (Cause.PROCESS_DOWN, True)


def examined(room: Room) -> dict[str, Check]:
    its = Examination(settings=room.settings(), incidents=(), standing=(), clock=room.clock, seconds=300, running=False)
    return {check.id: check for check in TYPE.examine(its)}


def test_doctor_says_that_it_is_off_and_why(room: Room) -> None:
    its = Examination(settings=Settings(), incidents=(), standing=(), clock=room.clock, seconds=300, running=False)
    (check,) = TYPE.examine(its)
    assert (check.level.value, "lawyer" in check.says) == ("ok", True)


def test_doctor_asks_once_and_takes_no_empty_answer_for_silence(room: Room) -> None:
    found = examined(room)
    assert found["linkedin.answers"].level.value == "warning"
    assert "ADMINISTRATOR" in found["linkedin.answers"].fix
    assert found["linkedin.ending"].level.value == "warning", "nobody knows when the token ends"
    room.fake.comment("Hei")
    room.more["token_expires"] = f"{room.clock.now() + timedelta(days=50):%Y-%m-%d}"
    assert {id_: check.level.value for id_, check in examined(room).items()} == {
        "linkedin.ending": "ok", "linkedin.answers": "ok",
    }  # fmt: skip
    room.fake.do("forbid")
    assert "rw_organization_admin" in examined(room)["linkedin.answers"].says
    room.fake.do("quota", left=0)
    assert examined(room)["linkedin.answers"].level.value == "warning"
    assert len(room.fake.requests()) == 4
