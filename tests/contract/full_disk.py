"""Scenes on a small disk that is full: `full_disk.py FOLDER SCENE`. The folder is a file system of 16 MB."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from listener.bus.protocol import Link, Message
from listener.bus.sqlite.bus import EmbeddedBus
from listener.clock import SystemClock
from listener.errors import BusError, BusFull
from listener.model.topics import topic_specs

RESERVE = 2 << 20
WHAT_WAKES_PEOPLE = ("control", "gaps", "alerts", "deliveries", "presence", "deadletters")


def open_here(folder: Path) -> EmbeddedBus:
    bus = EmbeddedBus("", folder / "data", SystemClock(), reserve=RESERVE)
    bus.ensure(topic_specs(2, {}))
    return bus


def fill(folder: Path) -> Path:
    """Take every byte that is left."""
    ballast = folder / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"." * size):
                    pass
            except OSError:
                continue
    return ballast


def refused(bus: EmbeddedBus) -> bool:
    try:
        bus.publish([Message("mentions", f"x:{n}", b"." * 600) for n in range(1000)])
    except BusFull as error:
        return "make room" in str(error)
    return False


def a_running_service(folder: Path) -> None:
    bus = open_here(folder)
    consumer = bus.consumer(["alerts"], group="dispatch", member="dispatch")
    lease = bus.lease("listener:x", "me", 30)
    bus.publish([Message("mentions", "x:before", b"kept")])
    ballast = fill(folder)
    assert refused(bus)
    for round_ in range(20):
        for topic in WHAT_WAKES_PEOPLE:
            bus.publish([Message(topic, "k", b"%d" % round_)])
    bus.append_after("decisions", lambda last: [Link("k", b"acknowledged")])
    assert not (folder / "data" / "reserve.bin").exists()
    assert lease.renew()
    assert len(consumer.poll(1)) == 20
    assert refused(bus)
    assert "make room" in (bus.healthy() or "")
    service_beside = open_here(folder)
    service_beside.publish([Message("control", "k", b"from a command")])
    service_beside.close()

    ballast.unlink()
    deadline = time.monotonic() + 10
    while refused(bus):
        assert time.monotonic() < deadline, "there is room, and it is not used"
        time.sleep(0.1)
    assert (folder / "data" / "reserve.bin").stat().st_size == RESERVE
    assert bus.healthy() is None
    assert len(bus.reader(["control"]).poll(0)) == 21
    assert len(bus.reader(["mentions"]).poll(0, 5000)) == 1001
    bus.close()


def a_command_alone(folder: Path) -> None:
    bus = open_here(folder)
    bus.publish([Message("mentions", "x:before", b"kept")])
    bus.close()
    fill(folder)
    bus = open_here(folder)
    bus.publish([Message("control", "k", b"a crisis")])
    assert [record.value for record in bus.reader(["control"]).poll(0)] == [b"a crisis"]
    bus.close()
    fill(folder)
    assert "disk" in said_without_a_byte_left(folder)


def said_without_a_byte_left(folder: Path) -> str:
    """The reserve gone and the disk full once more: how the command is refused."""
    try:
        bus = open_here(folder)
        for _ in range(10_000):
            bus.publish([Message("control", "k", b"." * 1000)])
    except BusError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    scenes = {context.__name__: context for context in (a_running_service, a_command_alone)}
    scenes[sys.argv[2]](Path(sys.argv[1]))
