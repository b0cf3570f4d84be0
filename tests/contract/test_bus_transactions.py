"""The heart of any bus: what a stage publishes and how far it read become visible together, or not at all."""

from __future__ import annotations

import signal
from collections import Counter

import pytest
from bus_support import PATIENCE, drain, everything, finish, killed, mentions

from listener.bus.protocol import Commit, Message, TopicPartition
from listener.errors import BusError, Fenced

TOTAL = 60


def test_a_transaction_that_fails_leaves_nothing(bus):
    bus.publish(mentions(10))
    consumer = bus.consumer(["mentions"], group="stage", member="a")
    records = drain(consumer, 10)

    def fail() -> None:
        with bus.transaction("stage-a") as transaction:
            transaction.publish(Message("findings", "k", b"v"))
            transaction.commit(consumer, {r.tp: Commit(r.offset + 1) for r in records})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert everything(bus, "findings") == []
    assert all(consumer.committed(r.tp) is None for r in records)


def test_nothing_is_visible_before_the_end(bus):
    with bus.transaction("stage-a") as transaction:
        transaction.publish(Message("findings", "k", b"v"))
        transaction.publish(Message("alerts", "k", b"v"))
        assert everything(bus, "findings") == everything(bus, "alerts") == []
    assert len(everything(bus, "findings")) == len(everything(bus, "alerts")) == 1


def test_it_holds_one_lease(bus):
    one, two = bus.lease("source:x", "one", 30), bus.lease("source:y", "one", 30)
    assert one.renew()
    assert two.renew()

    def hold_both() -> None:
        with bus.transaction("stage-a") as transaction:
            transaction.publish(Message("findings", "k", b"under neither"))
            transaction.hold(one)
            transaction.hold(one)
            transaction.hold(two)

    with pytest.raises(BusError, match="a transaction holds one lease"):
        hold_both()
    assert everything(bus, "findings") == []


def test_offsets_are_committed_without_records_too(bus):
    bus.publish(mentions(10))
    consumer = bus.consumer(["mentions"], group="stage", member="a")
    records = drain(consumer, 10)
    with bus.transaction("stage-a") as transaction:
        transaction.commit(consumer, {r.tp: Commit(r.offset + 1, "note") for r in records})
    assert consumer.committed(records[-1].tp) == Commit(records[-1].offset + 1, "note")


def test_an_empty_transaction_does_nothing(bus):
    with bus.transaction("stage-a"):
        pass
    assert bus.end_offset(TopicPartition("findings", 0)) == 0


def test_what_waits_for_the_commit_is_called_in_order_once_all_is_on_the_bus(bus):
    called: list[tuple[str, int]] = []

    def note(what: str) -> None:
        called.append((what, len(everything(bus, "findings"))))

    with bus.transaction("stage-a") as transaction:
        transaction.on_commit(lambda: note("first"))
        transaction.publish(Message("findings", "k", b"v"))
        transaction.on_commit(lambda: note("second"))
        assert called == []
    assert called == [("first", 1), ("second", 1)]
    with bus.transaction("stage-a") as transaction:
        transaction.on_commit(lambda: note("nothing to write"))
    assert called[2:] == [("nothing to write", 1)]


def test_what_waits_for_the_commit_is_not_called_when_there_is_none(bus):
    called: list[str] = []

    def fail() -> None:
        with bus.transaction("stage-a") as transaction:
            transaction.on_commit(lambda: called.append("failed"))
            transaction.publish(Message("findings", "k", b"v"))
            raise ZeroDivisionError

    def lose() -> None:
        lease = bus.lease("source:x", "one", 30)
        assert lease.renew()
        lease.release()
        assert bus.lease("source:x", "two", 30).renew()
        with bus.transaction("stage-a") as transaction:
            transaction.hold(lease)
            transaction.on_commit(lambda: called.append("fenced"))
            transaction.publish(Message("findings", "k", b"v"))

    with pytest.raises(ZeroDivisionError):
        fail()
    with pytest.raises(Fenced):
        lose()
    assert called == []
    assert everything(bus, "findings") == []


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize(
    "where", ["bus.before_commit", "bus.after_commit", "stage.before_publish", "stage.after_publish"]
)
def test_outputs_are_there_exactly_once_though_the_stage_was_killed(bus, processes, where, times):
    bus.publish(mentions(TOTAL))
    killed(processes("stage", "a", TOTAL, crash=f"{where}:{times}"))
    halfway = everything(bus, "findings")
    committed = bus.lag("stage")
    if committed:
        assert len(halfway) == TOTAL - sum(committed.values())
    finish(processes("stage", "a", TOTAL))
    assert Counter((r.key, r.value) for r in everything(bus, "findings")) == Counter(
        (f"a:{m.key}", m.value) for m in mentions(TOTAL)
    )


def test_a_stage_killed_again_and_again_gets_there(bus, processes):
    bus.publish(mentions(TOTAL))
    for _ in range(10):
        child = processes("stage", "a", TOTAL, crash="bus.after_commit:5")
        child.communicate(timeout=PATIENCE)
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL
    assert Counter(r.value for r in everything(bus, "findings")) == Counter(m.value for m in mentions(TOTAL))


def test_effects_outside_the_bus_are_done_again_for_the_last_batch_only(bus, processes):
    bus.publish(mentions(TOTAL))
    before = killed(processes("effects", "a", TOTAL, crash="dispatch.after_send:4"))
    seen = Counter(before.split())
    seen.update(finish(processes("effects", "a", TOTAL)).split())
    assert len(seen) == TOTAL
    assert 1 <= seen.total() - TOTAL <= 7
