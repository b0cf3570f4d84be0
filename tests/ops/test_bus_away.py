"""The bus is away while X goes on talking: what is said is kept on disk, and comes to the bus once when it is back.

A minute of the listener's and the fake's time passes in each second of the test's.
The bus here is a log that another program keeps locked; `tests/scenarios` does the same with a broker that is killed.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from listener_support import ListenerDeployment, inside
from x_support import SPEED, Town, town

from listener.bus.hashchain import append
from listener.bus.protocol import Message, partition_of
from listener.bus.spool import Spool, path_of
from listener.errors import BusError
from listener.model.records import Decision, DecisionKind
from listener.privacy.purge import purge_posts
from tests.fakes.x import ScaledClock

ROOMY = 10 << 20
SPOOL = "spool-x.jsonl"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setattr("listener.bus.sqlite.store.BUSY_SECONDS", 0.1)
    with town(tmp_path, ScaledClock(SPEED)) as made:
        yield made


def start(
    here: Town, most: int = ROOMY, holder: str = "listener@test", keep: timedelta | None = None
) -> ListenerDeployment:
    """A listener that keeps what it hears while the bus is away."""
    return here.deployment(holder, spool=Spool(path_of(here.folder, "x"), most, here.clock), keep=keep)


def crisis(here: Town, **more: Any) -> ListenerDeployment:
    deployment = start(here, **more)
    deployment.open("granvik")
    deployment.turn_until(lambda: deployment.hears() and not deployment.state["unfilled"], 20)
    post = here.fake.post("granvik før")
    deployment.turn_until(lambda: deployment.captured()[post.id] == 1)
    return deployment


@contextmanager
def away(here: Town) -> Iterator[None]:
    with closing(sqlite3.connect(here.folder / "bus.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


def posts_counted(deployment: ListenerDeployment) -> int:
    return sum(volume["count"] for volume in deployment.values("volumes", "volume"))


def listen(deployment: ListenerDeployment, until: Callable[[], bool], seconds: float = 10.0) -> None:
    """Only the listener turns: the other workers fail and are tried again."""
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline
        deployment.listen.step(0.01)


def say(
    here: Town, deployment: ListenerDeployment, count: int, text: str = "granvik mens bussen er borte"
) -> list[str]:
    """Posts, of which each is taken in by itself."""
    ids = []
    for number in range(count):
        heard = deployment.source.counts.posts
        ids.append(here.fake.post(f"{text} {number}").id)
        listen(deployment, lambda heard=heard: deployment.source.counts.posts > heard)  # type: ignore[misc]
    return ids


def value(deployment: ListenerDeployment, name: str) -> float:
    return deployment.metrics.registry.get_sample_value(f"lyttepost_{name}", {"source": "x"}) or 0.0


def kept(here: Town) -> bytes:
    return (here.folder / SPOOL).read_bytes()


def test_what_is_said_meanwhile_is_on_the_bus_once_when_it_is_back_and_makes_no_gap(here: Town) -> None:
    deployment = crisis(here)
    gaps = deployment.causes()
    with away(here):
        ids = say(here, deployment, 20)
        assert not deployment.captured().keys() & set(ids)
        assert value(deployment, "spool_bytes") == len(kept(here)) > 0
        assert "are kept on disk" in (deployment.part.unready() or "")
    deployment.turn_until(lambda: deployment.captured().keys() >= set(ids))
    after = here.fake.post("granvik etterpå").id
    deployment.turn_until(lambda: deployment.captured()[after] == 1)
    assert deployment.part.unready() is None
    assert set(deployment.captured().values()) == {1}
    assert deployment.causes() == gaps
    assert deployment.ticks() == sorted(deployment.ticks())
    assert kept(here) == b""
    assert value(deployment, "spool_bytes") == 0


def test_nothing_stands_in_the_file_that_may_not_stand_on_the_bus(here: Town) -> None:
    deployment = crisis(here)
    with away(here):
        say(here, deployment, 1, "granvik: ring 22 33 44 55 eller kari@eksempel.no, hilsen @kari_nordvik")
        listen(deployment, lambda: b"granvik" in kept(here))
        for word in ("22 33 44 55", "kari@eksempel.no", "@kari_nordvik"):
            assert word.encode() not in kept(here), word


def test_a_listener_that_is_killed_meanwhile_goes_on_from_its_disk(here: Town) -> None:
    first = crisis(here)
    with away(here):
        ids = say(here, first, 10)
        first.die()
        missed = here.fake.post("granvik mens ingen hørte").id
    second = start(here)
    second.turn_until(lambda: second.captured().keys() >= {*ids, missed}, 20)
    assert set(second.captured().values()) == {1}
    assert here.lost(second) == []
    origins = second.origins()
    assert {origins[id_] for id_ in ids} == {"live"}
    assert origins[missed] == "gap_fill"
    assert kept(here) == b""


def test_what_was_brought_before_a_kill_is_not_brought_again(here: Town) -> None:
    """The file is there as before; the bus says what it has."""
    first = crisis(here)
    with away(here):
        ids = say(here, first, 10)
        before = kept(here)
    first.turn_until(lambda: first.captured().keys() >= set(ids))
    counted, ticks = posts_counted(first), len(first.ticks())
    first.die()
    (here.folder / SPOOL).write_bytes(before)
    second = start(here)
    second.turn_until(lambda: second.hears() and kept(here) == b"", 20)
    assert set(second.captured().values()) == {1}
    # Posts, not records: a minute that passes meanwhile is a record of its own, of no post.
    assert posts_counted(second) == counted
    assert len(second.ticks()) >= ticks


def test_a_process_that_another_replaced_brings_only_what_is_missing_once_it_listens_again(here: Town) -> None:
    first = crisis(here)
    with away(here):
        ids = say(here, first, 6)
    others = first.bus.lease("source:x", "another", 60.0)
    with closing(sqlite3.connect(here.folder / "bus.sqlite")) as db:
        db.execute("UPDATE leases SET holder='another', ttl=1e9")
        db.commit()
    known = [r for r in first.records("mentions") if r.key.startswith("x:") and r.key != "x:tick"][-1]
    again = (known.value or b"").replace(known.key[2:].encode(), ids[0].encode())
    first.bus.publish([Message("mentions", f"x:{ids[0]}", again, partition_of(f"x:{ids[0]}", 1))])
    first.turn_for(1.0)
    assert first.captured().keys() & set(ids) == {ids[0]}
    labels = {"source": "x", "state": "standby"}
    assert first.metrics.registry.get_sample_value("lyttepost_source_state", labels) == 1
    assert kept(here) != b""
    others.release()
    first.turn_until(lambda: first.captured().keys() >= set(ids), 20)
    assert set(first.captured().values()) == {1}


def test_beyond_the_bound_the_time_is_a_gap_which_is_searched(here: Town) -> None:
    deployment = crisis(here, most=4000)
    with away(here):
        ids = say(here, deployment, 25)
        assert "BOUND" in (deployment.part.unready() or "")
        assert len(kept(here)) <= 4000
        deployment.source._searcher.stop()
    deployment.turn_until(lambda: "bus_away" in deployment.causes(), 20)
    (gap,) = [gap for gap in deployment.gaps() if gap.cause == "bus_away"]
    captured = deployment.captured()
    lost = [id_ for id_ in ids if not captured[id_]]
    assert all(inside(here.fake.world.posts[id_].published_at, gap) for id_ in lost)
    deployment.turn_until(lambda: deployment.captured().keys() >= set(ids), 20)
    assert set(deployment.captured().values()) == {1}
    assert here.lost(deployment) == []


def test_a_purge_reaches_what_is_kept_at_once_and_what_another_machine_keeps_when_it_is_brought(here: Town) -> None:
    deployment = crisis(here)
    with away(here):
        ids = say(here, deployment, 4)
        assert purge_posts(deployment.bus, [f"x:{ids[0]}"], deployment.clock, here.folder) == 1
        assert ids[0].encode() not in kept(here)
        assert ids[1].encode() in kept(here)
    said = Decision(kind=DecisionKind.PURGE, id=ids[1], at=datetime.now(UTC), by="vakt", why="bedt om")
    append(deployment.bus, "decisions", said)
    deployment.turn_until(lambda: deployment.captured().keys() >= set(ids[2:]))
    assert not deployment.captured().keys() & set(ids[:2])
    assert kept(here) == b""


def test_content_past_its_time_is_not_brought(here: Town) -> None:
    deployment = crisis(here, keep=timedelta(0))
    with away(here):
        ids = say(here, deployment, 3)
    deployment.turn_until(lambda: kept(here) == b"")
    assert not deployment.captured().keys() & set(ids)


def test_who_was_not_listening_keeps_nothing(here: Town) -> None:
    deployment = start(here)
    with away(here), pytest.raises(BusError):
        deployment.listen.step(0.0)
    assert kept(here) == b""
