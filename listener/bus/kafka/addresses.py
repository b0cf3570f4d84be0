"""Where a broker's name leads, asked so that nobody waits long for a name server that does not answer.

kafka-python looks a name up in the loop that all connections of a client share, and the system's resolver may take half
a minute to say that there is no answer: heartbeats and answers of brokers that are well would wait with it, and a
group would deal out anew. So a thread looks it up; where that takes long, or no name server can be asked, the addresses
that the name led to last are used.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

WAIT_SECONDS: Final = 2.0
"""Less than a group waits for a heartbeat."""

AddressInfo = tuple[Any, ...]
"""As `socket.getaddrinfo` gives it."""


def _ask(host: str, port: int) -> list[AddressInfo]:
    return list(socket.getaddrinfo(host, port, socket.AF_UNSPEC, socket.SOCK_STREAM))


class Addresses:
    """For all threads. `ask`: looks up a host and port, and may block; raises OSError."""

    def __init__(self, ask: Callable[[str, int], list[AddressInfo]] = _ask, wait: float = WAIT_SECONDS) -> None:
        self._ask = ask
        self._wait = wait
        self._lock = threading.Lock()
        self._known: dict[tuple[str, int], list[AddressInfo]] = {}
        self._asked: dict[tuple[str, int], Future[list[AddressInfo]]] = {}

    def find(self, host: str, port: int) -> list[AddressInfo]:
        """Within `wait` seconds; at once where the same is being looked up already. Empty where nothing is known."""
        key, mine = (host, port), False
        with self._lock:
            asked = self._asked.get(key)
            if asked is None:
                mine, asked = True, self._asked.setdefault(key, Future())
        if mine:
            threading.Thread(target=self._look_up, args=(key, asked), name="kafka-names", daemon=True).start()
        try:
            return asked.result(timeout=self._wait if mine else 0.0)
        except TimeoutError:
            return self._known.get(key, [])
        except OSError as error:
            # That there is no such name is an answer, and that nobody could be asked is none.
            passing = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
            return self._known.get(key, []) if passing else []

    def _look_up(self, key: tuple[str, int], asked: Future[list[AddressInfo]]) -> None:
        try:
            found = self._ask(*key)
        except Exception as error:
            with self._lock:
                del self._asked[key]
            asked.set_exception(error if isinstance(error, OSError) else OSError(type(error).__name__))
            return
        with self._lock:
            self._known[key] = found
            del self._asked[key]
        asked.set_result(found)


ADDRESSES: Final = Addresses()
"""Of this process: what one client has learned serves all."""


class Resolving:
    """For a socket factory of kafka-python."""

    def dns_lookup(self, host: str, port: int, raise_error: bool = False) -> list[AddressInfo]:
        return ADDRESSES.find(host, port)
