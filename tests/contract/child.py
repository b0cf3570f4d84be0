"""The other processes of the contract suite: `child.py URL FOLDER PART ARGUMENTS…`."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

from listener.bus.protocol import Bus, Commit, Consumer, Link, Message, Record, open_bus
from listener.clock import SystemClock
from listener.crashpoints import point
from listener.errors import BusError, Fenced

BATCH = 7


def heard(consumer: Consumer) -> list[Record]:
    """The next batch. As a worker does it, who gets no answer asks again: who was killed in a transaction leaves it
    open, and until it ends by itself the group's place is not told."""
    try:
        return consumer.poll(0.1, BATCH)
    except Fenced:
        raise
    except BusError:
        return []


def stage(bus: Bus, member: str, total: str, hold_at: str = "0") -> None:
    """mentions → findings, `BATCH` records a transaction, until the group has committed `total` of them.

    At the batch `hold_at` it says "holding" with the batch in its hands and waits for a line.
    """
    consumer = bus.consumer(["mentions"], group="stage", member=member)
    batches = 0
    while sum(bus.end_offset(tp) for tp in bus.lag("stage")) < int(total) or any(bus.lag("stage").values()):
        records = heard(consumer)
        if not records:
            continue
        batches += 1
        if batches == int(hold_at):
            print("holding", flush=True)
            sys.stdin.readline()
        point("stage.before_publish")
        try:
            with bus.transaction(f"stage-{member}") as transaction:
                for record in records:
                    transaction.publish(Message("findings", f"{member}:{record.key}", record.value))
                transaction.commit(consumer, {r.tp: Commit(r.offset + 1, f"from {member}") for r in records})
        except Fenced:
            print("fenced", flush=True)
            if int(hold_at):
                return
        point("stage.after_publish")
    consumer.close()


def effects(bus: Bus, member: str, total: str) -> None:
    """As `stage`, with an effect outside the bus: a line said for each record before its offset is committed."""
    consumer = bus.consumer(["mentions"], group="stage", member=member)
    while sum(bus.end_offset(tp) for tp in bus.lag("stage")) < int(total) or any(bus.lag("stage").values()):
        records = heard(consumer)
        for record in records:
            print(record.where, flush=True)
        point("dispatch.after_send")
        with bus.transaction(f"stage-{member}") as transaction:
            transaction.commit(consumer, {r.tp: Commit(r.offset + 1) for r in records})


def publish(bus: Bus, who: str, count: str, batch: str) -> None:
    for start in range(0, int(count), int(batch)):
        numbers = range(start, min(start + int(batch), int(count)))
        bus.publish([Message("mentions", f"{who}:{n}", str(n).encode()) for n in numbers])


def press(bus: Bus, seconds: str) -> None:
    """Write at full speed."""
    messages = [Message("mentions", f"x:{n}", b"." * 600) for n in range(1000)]
    print("pressing", flush=True)
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        bus.publish(messages)


def watch(bus: Bus, seconds: str) -> None:
    """Read at full speed."""
    print("watching", flush=True)
    end = time.monotonic() + float(seconds)
    reader = bus.reader(["mentions"])
    while time.monotonic() < end:
        if not reader.poll(0):
            reader = bus.reader(["mentions"])


def chain(bus: Bus, who: str, count: str) -> None:
    """Append records that each begin with the digest of the one before."""

    def link(last: Record | None) -> list[Link]:
        before = hashlib.sha256(last.value or b"").hexdigest() if last else ""
        return [Link(who, f"{before} {who}".encode())]

    for _ in range(int(count)):
        bus.append_after("decisions", link)


def hold_lease(bus: Bus, holder: str, ttl: str) -> None:
    print(bus.lease("listener:x", holder, float(ttl)).renew(), flush=True)
    sys.stdin.readline()


PARTS: dict[str, Callable[..., None]] = {
    part.__name__: part for part in (stage, effects, publish, press, watch, chain, hold_lease)
}


def main(url: str, folder: str, part: str, *args: str) -> None:
    bus = open_bus(url, Path(folder), SystemClock())
    PARTS[part](bus, *args)
    bus.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
