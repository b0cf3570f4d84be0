"""A far end that never falls silent and never comes to an end: a byte now and then, for ever."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def dripping_server(beginning: bytes, drop: bytes = b"x", every: float = 0.05) -> Iterator[int]:
    """Says `beginning` to who connects, and then `drop` again and again. Gives its port."""
    stop = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.05)

    def talk(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(beginning)
            while not stop.wait(every):
                connection.sendall(drop)

    def listen() -> None:
        talking = []
        while not stop.is_set():
            with suppress(TimeoutError):
                connection, _ = listening.accept()
                connection.settimeout(5)
                talking.append(threading.Thread(target=talk, args=(connection,), daemon=True))
                talking[-1].start()
        for each in talking:
            each.join()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        stop.set()
        thread.join()
        listening.close()
