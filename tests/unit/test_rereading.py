"""The better tier reads what is registered, in the background; the encoder is the one that comes with the program."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from alerts.annotate.better import ENCODER
from alerts.annotate.corrections import digest_of
from alerts.annotate.learned import Model
from alerts.annotate.story import story
from alerts.annotate.worker import Annotator
from alerts.register import digest, rereading
from alerts.register.ranking import tiers
from alerts.register.rereading import Rereading
from alerts.register.view import Register
from listener.bus import hashchain
from listener.bus.protocol import Bus, Message, TopicPartition, open_bus
from listener.clock import Clock, ManualClock, SystemClock
from listener.errors import ConfigError
from listener.model.decisions import Correction
from listener.model.records import Cue, Finding, Kind, Mention, encode
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.settings.files import packaged_config

START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
CONFIG = packaged_config()
BETTER = partial(Model, CONFIG, encoder=ENCODER)
TEXTS = [
    "Går det an å få vite om pappa er flyttet? Han er 84 og lå på 7 Nord på FUS. Ingen svarer",
    "KNUT. TA. NED. DRONA. #FUS",
    "Kan noen kjøre tepper til gymsalen på Nordvik? De fryser der inne",
    "Visstnok er drikkevannet på Nordvik forurenset av diesel",
]


@pytest.fixture(scope="module")
def default() -> Annotator:
    return Annotator(Model(CONFIG).understander)


@pytest.fixture(scope="module")
def better() -> Annotator:
    return Annotator(BETTER().understander)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with closing(open_bus("embedded:", tmp_path, ManualClock(START), durable=False)) as opened:
        opened.ensure(topic_specs(1, {}))
        yield opened


@pytest.fixture
def view(bus: Bus, tmp_path: Path) -> Iterator[Register]:
    with closing(Register(bus, tmp_path / "register.sqlite")) as opened:
        yield opened


def mention(number: int, text: str, **more: Any) -> Mention:
    at = START + timedelta(seconds=number)
    its = {"author": f"p_{number}", "lang": "no", "incidents": {"brann-0": ()}, **more}
    return Mention(source="x", id=f"p{number}", at=at, captured_at=at, text=text, **its)


def heard(bus: Bus, view: Register, default: Annotator, *texts: str) -> list[Finding]:
    findings = [found for n, text in enumerate(texts) for found in default.findings(mention(n, text))]
    bus.publish([Message("findings", each.key, encode(each)) for each in findings])
    view.catch_up()
    return findings


def worker(bus: Bus, tmp_path: Path, clock: Clock | None = None, better: Any = BETTER) -> Rereading:
    clock = clock or SystemClock()
    part = Health(clock).part("reread")
    return Rereading(bus, tmp_path / "register.sqlite", clock=clock, part=part, better=better)


def read_all(its: Rereading) -> None:
    """Without its rests."""
    its._next = float("-inf")
    while its.step(0.0):
        its._next = float("-inf")


def test_what_the_better_tier_says_takes_the_place_of_the_default_tiers_word(
    bus: Bus, view: Register, tmp_path: Path, default: Annotator, better: Annotator
) -> None:
    findings = heard(bus, view, default, *TEXTS)
    before = view.registered()
    assert (tiers(before).better, tiers(before).waiting) == (0, len(TEXTS))
    with closing(worker(bus, tmp_path)) as its:
        read_all(its)
    after = view.registered()
    assert (tiers(after).better, tiers(after).waiting) == (len(TEXTS), 0)
    for finding, row in zip(findings, after, strict=True):
        said = better.understood(finding)
        assert row.kinds == " ".join(cue.kind for cue in said["cues"])
        assert row.exposed == (said["patient_exposed"] >= 0.5) + (said["patient_exposed"] >= 0.9)
        assert (row.story, row.language) == (finding.story, finding.language)
    assert [row.exposed for row in before[:2]] == [1, 1]
    assert [row.exposed for row in after[:2]] == [0, 0], "the encoder knows that neither shows a patient"
    assert [found.patient_exposed for found in map(view.finding, after)] == [each.patient_exposed for each in findings]


def test_the_newest_come_first_and_it_rests_as_long_as_it_worked(
    bus: Bus, view: Register, tmp_path: Path, default: Annotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard(bus, view, default, *(f"{TEXTS[2]}, gruppe {n}" for n in range(6)))
    monkeypatch.setattr(rereading, "AT_ONCE", 2)
    clock = ManualClock(START)

    class Slow(Model):
        def current(self, now: float) -> Any:
            clock.advance(timedelta(seconds=3))
            return super().current(now)

    with closing(worker(bus, tmp_path, clock, partial(Slow, CONFIG, encoder=ENCODER))) as its:
        assert its.step(0.0)
        assert [row.tier for row in view.registered()] == [0, 0, 0, 0, 1, 1]
        clock.advance(timedelta(seconds=2.9))
        assert not its.step(0.0)
        clock.advance(timedelta(seconds=0.2))
        assert its.step(0.0)
        assert [row.tier for row in view.registered()] == [0, 0, 1, 1, 1, 1]


def test_what_comes_little_by_little_is_digested_together(
    bus: Bus, view: Register, tmp_path: Path, default: Annotator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digest, "RECORDS", 3)

    def comes(*numbers: int) -> None:
        found = [its for n in numbers for its in default.findings(mention(n, f"{TEXTS[2]}, gruppe {n}"))]
        bus.publish([Message("findings", each.key, encode(each)) for each in found])
        view.step(0.0)

    def digested() -> int:
        with closing(sqlite3.connect(tmp_path / "register.sqlite")) as db:
            return int(db.execute("SELECT count(*) FROM digests").fetchone()[0])

    clock = ManualClock(START)
    with closing(worker(bus, tmp_path, clock, None)) as its:
        comes(*range(7))
        assert its.step(0.0), "of so much it goes on at once"
        assert digested() == 3
        assert not its.step(0.0), "one is left, for the next time"
        assert digested() == 6
        for n in range(7, 9):
            clock.advance(timedelta(seconds=rereading.LOOK_SECONDS / 3))
            comes(n)
            assert not its.step(0.0)
        assert digested() == 6
        clock.advance(timedelta(seconds=rereading.LOOK_SECONDS / 2))
        assert not its.step(0.0)
        assert digested() == 9
        assert not digest.waits(view._db)


def test_what_a_person_corrected_stays_what_the_person_said(
    bus: Bus, view: Register, tmp_path: Path, default: Annotator
) -> None:
    (finding,) = heard(bus, view, default, TEXTS[3])
    its = {"kinds": (Kind.QUESTION,), "themes": ("waiting",), "story": story(TEXTS[3]), "text": digest_of(TEXTS[3])}
    hashchain.append(bus, "decisions", Correction(at=START, by="Kari", post=finding.post_key, **its))
    with closing(worker(bus, tmp_path)) as reader:
        read_all(reader)
    (row,) = view.registered()
    assert (row.kinds, row.themes, row.tier) == ("question", "waiting", 1)


def test_a_purge_takes_it_away_and_nothing_comes_back(
    bus: Bus, view: Register, tmp_path: Path, default: Annotator
) -> None:
    heard(bus, view, default, *TEXTS)
    with closing(worker(bus, tmp_path)) as its:
        its.step(0.0)
        assert len(view.registered()) == len(TEXTS)
        bus.purge([(TopicPartition("findings", 0), "brann-0:x:p2")])
        its._next, its._chosen_at, its._all_read = float("-inf"), float("-inf"), None
        read_all(its)
        view.catch_up()
        read_all(its)
    assert [row.post for row in view.registered()] == ["x:p0", "x:p1", "x:p3"]


def test_what_is_in_a_language_that_is_not_read_waits_for_nothing(
    bus: Bus, view: Register, tmp_path: Path, default: Annotator
) -> None:
    heard(bus, view, default, "Больница горит, где мои родители? Помогите пожалуйста", TEXTS[2])
    assert tiers(view.registered()).waiting == 1
    with closing(worker(bus, tmp_path)) as its:
        read_all(its)
    assert [row.tier for row in view.registered()] == [0, 1]


def test_where_the_encoder_breaks_off_the_default_tier_stands_and_digests_are_made(
    bus: Bus, view: Register, tmp_path: Path, default: Annotator, caplog: pytest.LogCaptureFixture
) -> None:
    findings = heard(bus, view, default, *TEXTS[:2])
    broken = tmp_path / "encoder.bin"
    broken.write_bytes(ENCODER.read_bytes()[:-1])
    bus.publish([Message("findings", "brann-0:x:p9", encode(findings[0].model_copy(update={"id": "p9"})))])
    while view.step(0.0):
        pass
    its = worker(bus, tmp_path, better=partial(Model, CONFIG, encoder=broken))
    with closing(its), pytest.raises(ConfigError, match="is damaged"):
        its.step(0.0)
    with closing(sqlite3.connect(tmp_path / "register.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM digests").fetchone() == (3,)
    assert {row.tier for row in view.registered()} == {0}

    class Failing:
        def understand(self, *_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

    class Broken(Model):
        def current(self, now: float) -> Any:
            return Failing()

    with closing(worker(bus, tmp_path, better=partial(Broken, CONFIG))) as its:
        read_all(its)
    assert caplog.text.count("could not read a post (ZeroDivisionError)") == 3
    assert {row.kinds for row in view.registered()} == {" ".join(found.kinds) for found in findings}


def test_without_the_setting_only_digests_are_made(
    bus: Bus, view: Register, tmp_path: Path, default: Annotator
) -> None:
    findings = [found for n, text in enumerate(TEXTS) for found in default.findings(mention(n, text))]
    bus.publish([Message("findings", each.key, encode(each)) for each in findings])
    with closing(worker(bus, tmp_path, better=None)) as its:
        assert not its.step(0.0), "there is nothing yet"
        while view.step(0.0):
            pass
        read_all(its)
    assert {row.tier for row in view.registered()} == {0}
    assert view.perhaps_quoted(f"Noen skriver: {TEXTS[3]}") == [TEXTS[3]]
    assert Cue(kind=Kind.RUMOUR).kind in view.registered()[3].kinds
