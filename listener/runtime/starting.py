"""The start of a process, at night: the bus may be away or without a leader, and a supervisor that only starts it
again and again would hide why. It waits, alive and not ready, and says for what.

As soon as the bus is there it says on `presence` that it is coming, so that who switches the mode waits for it.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.errors import BusError
from listener.model.incidents import Presence
from listener.runtime.control import say_presence
from listener.runtime.health import Health
from listener.runtime.logs import Outage, reason_of

T = TypeVar("T")

RETRY_SECONDS: Final = 1.0
SAY_SECONDS: Final = 1.0
NOT_YET: Final = -1
"""The epoch of who has followed no command so far."""


def when_bus_is_there(
    make: Callable[[], T], health: Health, clock: Clock, waits: Callable[[], None] = lambda: None
) -> T:
    """What `make` makes, which is tried again for as long as it raises BusError, and leaves nothing open when it does.

    `waits` is called once, when it has to be waited for. What else `make` raises is raised: a wrong password, a topic
    that is not as it must be, a log that was lost.
    """
    part, outage, never = health.starts(), Outage("the bus", clock), threading.Event()
    part.problem("starting")
    try:
        while True:
            try:
                made = make()
            except BusError as error:
                if part.reason == "starting":
                    waits()
                health.leave_only(part)  # parts that were half made do not turn, and are no reason to be restarted
                outage.lasts(reason_of(error))
                part.problem(f"waits for the bus: {reason_of(error)}")
                clock.wait(RETRY_SECONDS, never)
                continue
            outage.look()
            return made
    finally:
        part.leave()


@contextmanager
def announced(bus: Bus, process: str, roles: Sequence[str], clock: Clock) -> Iterator[None]:
    """Within, the process says each second that it is there and has not followed yet; and that it leaves, if it fails.

    Raises BusError.
    """

    def say(leaving: bool = False) -> None:
        say_presence(
            bus,
            Presence(
                process=process, roles=tuple(roles), host=socket.gethostname(), pid=os.getpid(), epoch=NOT_YET,
                at=clock.now(), leaving=leaving,
            ),
        )  # fmt: skip

    def go_on() -> None:
        while not done.is_set():
            clock.wait(SAY_SECONDS, done)
            if not done.is_set():
                try:
                    say()
                except BusError:
                    return  # whoever starts the process meets it too, and waits

    done = threading.Event()
    say()
    thread = threading.Thread(target=go_on, name="starting", daemon=True)
    thread.start()
    try:
        yield
    except BaseException:
        done.set()
        thread.join()
        with suppress(BusError):
            say(leaving=True)
        raise
    done.set()
    thread.join()
