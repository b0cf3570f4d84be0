"""An end for a whole exchange with a far end, for clients whose own time limits are for each read alone.

Who sends a byte now and then keeps every single read within its time, for ever: a head that trickles, a body that
drips, a proxy between. Whatever a thread connects to by `urllib3` (and so by requests, tweepy, Authlib and Apprise)
while it is within a `CancelScope` is held there by a second handle of the operating system. So any thread can shut it,
whatever the client has made of it meanwhile, TLS and a body that is half read included; then whoever reads wakes at
once, and no thread stays behind.

What cannot be cancelled is the look-up of a name: the system's resolver ends it in its own time. A connection that
comes to stand after that is shut at once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from typing import Any, TypeVar

from urllib3.connection import HTTPConnection
from urllib3.util import connection as urllib3_connection

T = TypeVar("T")
S = TypeVar("S")

_here = threading.local()


class CancelScope:
    """What is connected to within it can be shut by `cancel`, from any thread. To be entered once, by one thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handles: list[socket] = []
        self._outer: CancelScope | None = None
        self.cancelled = False

    def __enter__(self) -> CancelScope:
        self._outer, _here.scope = getattr(_here, "scope", None), self
        return self

    def __exit__(self, *_: object) -> None:
        _here.scope = self._outer
        with self._lock:
            handles, self._handles = self._handles, []
        for each in handles:
            each.close()

    def cancel(self) -> None:
        """Shut what is connected, and what will be. Nothing where the scope was left already."""
        with self._lock:
            self.cancelled = True
            for each in self._handles:
                _shut(each)

    def hold(self, connection: Any) -> None:
        """`connection`: anything with a file number, such as a socket under TLS."""
        try:
            # Not `dup` of its own: a socket under TLS has none.
            handle = socket(fileno=os.dup(connection.fileno()))
        except OSError:
            return  # no room for a handle is no reason to send nothing: each read has its own limit still
        with self._lock:
            self._handles.append(handle)
            if self.cancelled:
                _shut(handle)
        if self._outer is not None:
            self._outer.hold(connection)


def _shut(handle: socket) -> None:
    with suppress(OSError):
        handle.shutdown(SHUT_RDWR)


@contextmanager
def time_limit(seconds: float) -> Iterator[CancelScope]:
    """A scope that is cancelled after so long."""
    with CancelScope() as scope:
        timer = threading.Timer(seconds, scope.cancel)
        timer.name, timer.daemon = "time-limit", True
        timer.start()
        try:
            yield scope
        finally:
            timer.cancel()


def within(seconds: float, call: Callable[[], T], name: str) -> T:
    """What `call` gives, made in a thread of that name, within a scope of its own. Raises what `call` raises, and
    TimeoutError when the seconds are over: even a name that is looked up for ever keeps nobody longer."""
    outcome: Future[T] = Future()
    scope = CancelScope()

    def run() -> None:
        try:
            with scope:
                found = call()
        except Exception as error:
            outcome.set_exception(error)
        else:
            outcome.set_result(found)

    threading.Thread(target=run, daemon=True, name=name).start()
    try:
        return outcome.result(timeout=seconds)
    except TimeoutError:
        # Of `call` itself, it ended: then there is nothing to cancel.
        scope.cancel()
        raise


def hold(connection: S) -> S:
    """The same connection, held by the scope that this thread is in, if any."""
    scope: CancelScope | None = getattr(_here, "scope", None)
    if scope is not None:
        scope.hold(connection)
    return connection


def _watch_urllib3() -> None:
    """Its clients take no such thing as an argument, and each of theirs has another way to be led; so once, here."""
    create, request = urllib3_connection.create_connection, HTTPConnection.request

    def create_held(*args: Any, **more: Any) -> socket:
        return hold(create(*args, **more))

    def request_held(self: HTTPConnection, *args: Any, **more: Any) -> None:
        if self.sock is not None:
            hold(self.sock)  # one that was kept open from an earlier exchange
        request(self, *args, **more)

    vars(urllib3_connection)["create_connection"] = create_held
    type.__setattr__(HTTPConnection, "request", request_held)


_watch_urllib3()
