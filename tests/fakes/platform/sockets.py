"""A listening socket on loopback and a thread for each connection; all of them end when they are told to."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer
from typing import Any

_JOIN = 0.9
"""Seconds in which all threads have ended after `stop`."""

Serve = Callable[[socket.socket, Any], Any]


class Sockets:
    """The port is taken at once, connections are taken after `start`. `serve` is given each, with the far end's
    address, in a thread of its own; an OSError of it is the far end's leave. `errors`: the fake's own mistakes."""

    def __init__(self, serve: Serve, port: int = 0, name: str = "fake") -> None:
        self.stopping = threading.Event()
        self.errors: list[str] = []
        self._serve_one = serve
        self._name = name
        self._sockets: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), self)
        self.port = int(self._server.server_address[1])
        self._loop: threading.Thread | None = None

    def start(self) -> None:
        self._loop = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._loop.start()

    def stop(self, and_then: Callable[[], None] = lambda: None) -> None:
        """Close everything; all threads have ended when it returns. `and_then` wakes those that wait for something
        else than their socket. Raises RuntimeError if one has not ended."""
        self.stopping.set()
        if self._loop is not None:
            self._server.shutdown()
            self._loop.join()
        self._server.server_close()
        with self._lock:
            sockets, threads = list(self._sockets), list(self._threads)
        for end in sockets:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        and_then()
        until = time.monotonic() + _JOIN
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        if alive := [t.name for t in threads if t.is_alive()]:
            raise RuntimeError(f"threads of the fake did not end: {', '.join(alive)}")

    def take(self, connection: socket.socket, client: Any) -> None:
        """Serve one TCP connection in a thread of its own."""
        thread = threading.Thread(target=self._serve, args=(connection, client), daemon=True, name=self._name)
        with self._lock:
            self._sockets.add(connection)
            thread.start()
            # A thread is forgotten when it has ended, not before: `stop` waits for the others.
            self._threads = {t for t in self._threads if t.is_alive()} | {thread}

    def _serve(self, connection: socket.socket, client: Any) -> None:
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._serve_one(connection, client)
        except OSError:
            pass  # the far end left
        except Exception:
            self.errors.append(traceback.format_exc())
        finally:
            with self._lock:
                self._sockets.discard(connection)
            connection.close()


class _Server(TCPServer):
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], sockets: Sockets) -> None:
        self._sockets = sockets
        super().__init__(address, BaseHTTPRequestHandler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._sockets.take(request, client_address)
