"""Processes that end with the one that started them, however it ends, and ports for them to listen at."""

from __future__ import annotations

import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

PORTS = range(20_000, 32_000)
"""Below where the kernel takes outgoing ports from, else one of those could sit on a dead broker's port."""


@contextmanager
def watchdog() -> Iterator[int]:
    """A process group for `Popen(process_group=…)`. All of it is killed at the end of the `with`, and as soon as we are
    no more: its leader waits for the end of a pipe that the kernel closes for us."""
    process = subprocess.Popen(
        ["sh", "-c", "cat; kill -KILL 0"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, process_group=0
    )
    assert process.stdin
    try:
        yield process.pid
    finally:
        process.stdin.close()
        process.wait()


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens at, all different."""
    found: list[int] = []
    with ExitStack() as held:
        for port in random.Random().sample(PORTS, len(PORTS)):
            trial = held.enter_context(socket.socket())
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                return found
    raise RuntimeError(f"fewer than {count} ports are free")
