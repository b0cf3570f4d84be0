"""Consumer groups on any bus: who reads what, from where, and who is told to stop."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections import Counter

import pytest
from bus_support import PARTITIONS, PATIENCE, Site, drain, eventually, everything, finish, mentions, said

from listener.bus.protocol import Bus, Commit, Message, TopicPartition
from listener.errors import BusError, Fenced

ALL = frozenset(TopicPartition("mentions", n) for n in range(PARTITIONS))


def join(bus: Bus, member: str, **more):
    return bus.consumer(["mentions"], group="stage", member=member, **more)


def commit(bus: Bus, consumer, records, metadata: str = "") -> None:
    with bus.transaction(f"stage-{consumer.member}") as transaction:
        transaction.commit(consumer, {r.tp: Commit(r.offset + 1, metadata) for r in records})


def copy(bus: Bus, consumer, records) -> None:
    """What a stage does: records and offsets in one transaction."""
    with bus.transaction(f"stage-{consumer.member}") as transaction:
        for record in records:
            transaction.publish(Message("findings", record.key, record.value))
        transaction.commit(consumer, {r.tp: Commit(r.offset + 1) for r in records})


def settle(consumers, want: int | None = None) -> None:
    """Poll until the members share all partitions, each having some."""

    def settled() -> bool:
        for consumer in consumers:
            consumer.poll(0)
        sizes = [len(c.assignment) for c in consumers]
        shared = frozenset().union(*(c.assignment for c in consumers)) == ALL and sum(sizes) == PARTITIONS
        return shared and all(sizes)

    assert eventually(settled)


def test_a_group_begins_at_the_beginning_and_then_where_it_committed(site: Site, bus):
    bus.publish(mentions(20))
    consumer = join(bus, "a")
    records = drain(consumer, 20)
    commit(bus, consumer, records)
    consumer.close()
    bus.publish(mentions(5, 20))
    later = site.open()
    again = join(later, "a")
    assert {r.key for r in drain(again, 5)} == {f"x:{n}" for n in range(20, 25)}
    later.close()


def test_what_was_not_committed_comes_again(bus):
    bus.publish(mentions(20))
    consumer = join(bus, "a")
    assert len(drain(consumer, 20)) == 20
    consumer.close()
    assert len(drain(join(bus, "a"), 20)) == 20


def test_groups_do_not_share(bus):
    bus.publish(mentions(20))
    one = bus.consumer(["mentions"], group="one", member="m")
    two = bus.consumer(["mentions"], group="two", member="m")
    assert len(drain(one, 20)) == len(drain(two, 20)) == 20


def test_four_thousand_characters_beside_a_commit_are_kept(site: Site, bus):
    bus.publish(mentions(20))
    consumer = join(bus, "a")
    records = drain(consumer, 20)
    note = "æ☃0" * 1333 + "!"
    commit(bus, consumer, records, note)
    consumer.close()
    later = site.open()
    again = join(later, "b")
    assert again.poll(0) == []
    tp = records[-1].tp
    assert again.committed(tp) == Commit(records[-1].offset + 1, note)
    later.close()


def test_more_than_that_is_refused(bus):
    bus.publish(mentions(1))
    consumer = join(bus, "a")
    with pytest.raises(BusError, match="4001 characters"):
        commit(bus, consumer, drain(consumer, 1), "x" * 4001)


def test_a_reader_without_a_group_cannot_commit(bus):
    bus.publish(mentions(1))
    reader = bus.reader(["mentions"])
    (record,) = drain(reader, 1)
    with pytest.raises(BusError, match="group"), bus.transaction("w") as transaction:
        transaction.commit(reader, {record.tp: Commit(1)})


def test_the_assignment_comes_before_its_records_and_may_seek(bus):
    bus.publish(mentions(40))
    first = join(bus, "a")
    commit(bus, first, drain(first, 40))
    first.close()
    told = []

    def assigned(tps) -> None:
        told.append(tps)
        for tp in tps:
            assert consumer.position(tp) == consumer.committed(tp).offset
            consumer.seek(tp, 0)

    consumer = join(bus, "a", on_assign=assigned)
    assert told == []
    assert len(drain(consumer, 40)) == 40
    assert told == [ALL]


def test_seeking_where_one_does_not_read_is_an_error(bus):
    consumer = join(bus, "a")
    consumer.poll(0)
    with pytest.raises(BusError):
        consumer.seek(TopicPartition("findings", 0), 0)


def test_two_members_share_the_partitions(bus):
    one, two = join(bus, "a"), join(bus, "b")
    settle([one, two])
    assert one.assignment.isdisjoint(two.assignment)
    bus.publish(mentions(100))
    first, second = drain(one, 1), drain(two, 1)
    assert {r.tp for r in first} <= one.assignment
    assert {r.tp for r in second} <= two.assignment


def test_who_leaves_is_followed_at_once(bus):
    one, two = join(bus, "a"), join(bus, "b")
    settle([one, two])
    two.close()
    assert eventually(lambda: one.poll(0) == [] and one.assignment == ALL, patience=2)


def test_a_member_too_many_waits_in_reserve(bus):
    consumers = [join(bus, f"m{n}") for n in range(PARTITIONS + 1)]
    shared = [0, *[1] * PARTITIONS]
    assert eventually(lambda: [c.poll(0) for c in consumers] and sorted(len(c.assignment) for c in consumers) == shared)


def replace(bus: Bus, member: str):
    """Another member, which got partitions though the one before it had not come back for more."""
    other = join(bus, member)
    assert eventually(lambda: other.poll(0.1) is not None and bool(other.assignment))
    return other


def test_who_was_replaced_between_poll_and_commit_writes_nothing(site: Site, bus):
    site.needs_all()
    bus.publish(mentions(40))
    one = join(bus, "a")
    records = drain(one, 40)
    two = replace(bus, "b")
    with pytest.raises(Fenced):
        copy(bus, one, records)
    assert everything(bus, "findings") == []
    settle([one, two])


def test_nobody_commits_where_another_reads(bus):
    one, two = join(bus, "a"), join(bus, "b")
    settle([one, two])
    with pytest.raises(Fenced), bus.transaction("stage-a") as transaction:
        transaction.commit(one, {tp: Commit(1) for tp in two.assignment})
    assert all(one.committed(tp) is None for tp in ALL)


def test_who_was_fenced_begins_again_where_the_group_is(site: Site, bus):
    site.needs_all()
    bus.publish(mentions(40))
    one = join(bus, "a")
    records = drain(one, 40)
    replace(bus, "b").close()
    with pytest.raises(Fenced):
        commit(bus, one, records)
    again = drain(one, 40)
    assert len(again) == 40
    commit(bus, one, again)
    assert not any(bus.lag("stage").values())


def test_the_same_name_again_takes_over_at_once_and_fences_the_former(bus):
    bus.publish(mentions(40))
    former = join(bus, "a")
    records = drain(former, 40)
    successor = join(bus, "a")
    again = drain(successor, 40, patience=2)
    assert len(again) == 40
    with pytest.raises(Fenced):
        commit(bus, former, records)
    commit(bus, successor, again)
    with pytest.raises(Fenced):
        drain(former, 1, patience=5)
    former.close()
    assert successor.poll(0.6) == []
    assert successor.assignment == ALL


def test_lag_counts_what_the_group_has_not_committed(bus):
    bus.publish(mentions(40))
    consumer = join(bus, "a")
    assert sum(bus.lag("stage").values()) == 40
    commit(bus, consumer, drain(consumer, 40))
    assert bus.lag("stage") == dict.fromkeys(ALL, 0)
    bus.publish(mentions(7, 40))
    assert sum(bus.lag("stage").values()) == 7


def test_two_processes_share_the_work_and_one_that_is_killed_is_replaced(site: Site, bus, processes):
    site.needs_all()
    one, other = processes("stage", "a", 600), processes("stage", "b", 600)
    sent = 0

    def both_at_work() -> bool:
        nonlocal sent
        if sent < 500:
            bus.publish(mentions(10, sent))
            sent += 10
        return {r.key[0] for r in everything(bus, "findings")} == {"a", "b"}

    assert eventually(both_at_work)
    one.kill()
    bus.publish(mentions(600 - sent, sent))
    finish(other)
    assert Counter(r.value for r in everything(bus, "findings")) == Counter(m.value for m in mentions(600))


def test_a_zombie_is_fenced_and_writes_nothing(site: Site, bus, processes):
    site.needs_all()
    bus.publish(mentions(100))
    zombie = processes("stage", "a", 100, 3)
    assert said(zombie) == "holding"
    zombie.send_signal(signal.SIGSTOP)
    finish(processes("stage", "b", 100))
    done = everything(bus, "findings")
    assert Counter(r.value for r in done) == Counter(m.value for m in mentions(100))
    zombie.send_signal(signal.SIGCONT)
    assert finish(zombie, "\n") == "fenced\n"
    assert everything(bus, "findings") == done


def test_a_process_started_again_under_its_name_fences_the_former(bus, processes):
    bus.publish(mentions(100))
    former = processes("stage", "a", 100, 3)
    assert said(former) == "holding"
    finish(processes("stage", "a", 100))
    assert finish(former, "\n") == "fenced\n"
    assert Counter(r.value for r in everything(bus, "findings")) == Counter(m.value for m in mentions(100))


def test_members_that_come_and_go_lose_nothing_and_double_nothing(bus):
    total = 3000
    bus.publish(mentions(total))
    failures: list[BaseException] = []

    def work(name: str, batches: int) -> None:
        """Take some batches, leave, come back, until all is done."""
        try:
            deadline = time.monotonic() + PATIENCE
            while any(bus.lag("stage").values()) and time.monotonic() < deadline:
                consumer = join(bus, name)
                for _ in range(batches):
                    records = consumer.poll(0.05, 40)
                    with contextlib.suppress(Fenced):
                        copy(bus, consumer, records)
                consumer.close()
        except BaseException as error:
            failures.append(error)

    join(bus, "first").close()
    with bus.transaction("first") as transaction:
        consumer = join(bus, "first")
        settle([consumer])
        transaction.commit(consumer, {tp: Commit(0) for tp in ALL})
    consumer.close()
    threads = [threading.Thread(target=work, args=(f"m{n}", 5 + 6 * n)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 2)
    assert failures == []
    assert Counter(r.value for r in everything(bus, "findings")) == Counter(m.value for m in mentions(total))


def test_a_lease_has_one_holder_until_it_is_given_back(bus):
    one, two = bus.lease("listener:x", "one", 30), bus.lease("listener:x", "two", 30)
    assert one.renew()
    assert one.renew()
    assert not two.renew()
    assert bus.lease("listener:y", "two", 30).renew()
    two.release()
    assert not two.renew()
    one.release()
    assert two.renew()
    assert not one.renew()


def test_a_lease_that_is_not_renewed_is_lost(bus):
    one, two = bus.lease("listener:x", "one", 0.3), bus.lease("listener:x", "two", 30)
    assert one.renew()
    assert not two.renew()
    assert eventually(two.renew, patience=5)
    assert not one.renew()


def test_who_lost_a_lease_learns_it_before_it_is_theirs_again(bus):
    one, two = bus.lease("listener:x", "one", 0.3), bus.lease("listener:x", "two", 30)
    assert one.renew()
    assert eventually(two.renew)
    two.release()
    assert not one.renew()
    assert eventually(one.renew)


def test_a_lease_outlives_its_killed_holder_no_longer_than_its_time(bus, processes):
    holder = processes("hold_lease", "one", 1.0)
    assert said(holder) == "True"
    holder.kill()
    lease = bus.lease("listener:x", "two", 1.0)
    assert eventually(lease.renew, patience=10)
