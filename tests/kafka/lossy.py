"""A way to a broker on which answers get lost, as they do when a connection breaks at the worst moment.

    with a_lossy_broker() as (cluster, way):
        way.lose(END_TXN)          # the broker has done it, and we never hear of it

Clients find the broker at its proxy only, which is what it advertises. Requests and answers are those of Kafka's
protocol: four bytes of length, then the request's key in two and its number in four, or the answer's number in four.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Final

from broker import PLAIN, Cluster, Node, brokers, default_properties
from processes import free_ports

PRODUCE: Final = 0
FIND_COORDINATOR: Final = 10
INIT_PRODUCER_ID: Final = 22
END_TXN: Final = 26
TXN_OFFSET_COMMIT: Final = 28

Change = Callable[[bytes], bytes | None]
"""An answer as it is → as it arrives, or None: the connection breaks instead."""


class LossyWay:
    """Passes on what goes between clients and the broker, but for what it was told to lose."""

    def __init__(self, port: int, to: int) -> None:
        self._to = to
        self._lock = threading.Lock()
        self._changes: dict[int, deque[Change]] = {}
        self._swallowed: set[int] = set()
        self.seen: list[int] = []
        """The keys of the requests that came by, in order."""
        self._listening = socket.create_server(("127.0.0.1", port))
        self._open: set[socket.socket] = {self._listening}
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, key: int, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Break the connection in place of the next answer to such a request, after `meanwhile`."""

        def change(answer: bytes) -> None:
            meanwhile()

        self.change(key, change)

    def change(self, key: int, change: Change) -> None:
        with self._lock:
            self._changes.setdefault(key, deque()).append(change)

    def swallow(self, *keys: int) -> None:
        """From now on pass on no such request, and answer none."""
        self._swallowed = set(keys)

    def close(self) -> None:
        for each in list(self._open):
            self._end(each)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    broker = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    client.close()
                    continue
                self._open |= {client, broker}
                asked: deque[int] = deque()
                for work, ours, theirs in ((self._requests, client, broker), (self._answers, broker, client)):
                    threading.Thread(target=self._work, args=[work, ours, theirs, asked], daemon=True).start()

    def _work(
        self,
        work: Callable[[socket.socket, socket.socket, deque[int]], None],
        ours: socket.socket,
        theirs: socket.socket,
        asked: deque[int],
    ) -> None:
        with suppress(OSError):
            work(ours, theirs, asked)
        self._end(ours)
        self._end(theirs)

    def _requests(self, client: socket.socket, broker: socket.socket, asked: deque[int]) -> None:
        while frame := _frame(client):
            (key,) = struct.unpack_from(">h", frame, 4)
            self.seen.append(key)
            if key not in self._swallowed:
                asked.append(key)
                broker.sendall(frame)

    def _answers(self, broker: socket.socket, client: socket.socket, asked: deque[int]) -> None:
        while frame := _frame(broker):
            key = asked.popleft()
            with self._lock:
                change = self._changes[key].popleft() if self._changes.get(key) else None
            if change is not None:
                changed = change(frame[4:])
                if changed is None:
                    return
                frame = struct.pack(">i", len(changed)) + changed
            client.sendall(frame)

    def _end(self, one: socket.socket) -> None:
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
        self._open.discard(one)


def _frame(source: socket.socket) -> bytes:
    """With its length; nothing at the end."""
    head = _exactly(source, 4)
    return head + _exactly(source, struct.unpack(">i", head)[0]) if head else b""


def _exactly(source: socket.socket, size: int) -> bytes:
    parts = b""
    while len(parts) < size:
        part = source.recv(size - len(parts))
        if not part:
            return b""
        parts += part
    return parts


@contextmanager
def a_lossy_broker() -> Iterator[tuple[Cluster, LossyWay]]:
    """Its `url` is the broker's own; what clients then hear of is the proxy."""
    (port,) = free_ports(1)

    def advertised(node: Node, nodes: Sequence[Node]) -> Mapping[str, object]:
        said = default_properties(node, nodes, clients=PLAIN, settings={})
        own = {**node.ports, "CLIENTS": port}
        listening = {name: number for name, number in own.items() if name != "CONTROLLER"}
        return {
            **said,
            "advertised.listeners": ",".join(f"{name}://127.0.0.1:{number}" for name, number in listening.items()),
        }

    with brokers(1, properties=advertised) as cluster, closing(LossyWay(port, cluster.node(1).ports["CLIENTS"])) as way:
        yield cluster, way
