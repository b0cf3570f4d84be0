"""Requests to a platform that is polled: one at a time, in a thread of its own, each ended within its seconds.

A source belongs to one thread that must never wait for a far end: it hands a request over (`Poller.ask`), goes on, and
finds later what came of it (`Poller.take`). Whatever the far end does (drips, hangs, sends without end), an outcome
comes: an `Answer` of any status, or `Unanswered` with the cause of the gap that it makes.

By `urllib3`'s connections, as our channels send: the whole of a request is limited and not each read of it, redirects
are not followed, no proxy or password comes from the environment, and no address reaches a log.
"""

from __future__ import annotations

import queue
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Final, Generic, TypeVar

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import parse_url

from listener.model.gaps import Cause
from listener.runtime.cancel import time_limit
from listener.runtime.unlogged import unlogged

SECONDS: Final = 15.0
SIZE: Final = 5_000_000
_CHUNK: Final = 64 * 1024
_TIMEOUT_OF_A_STEP: Final = 10.0
_POISON: Final = None

Q = TypeVar("Q")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. What is secret stands in `headers` or `body`, never in `url`; none of the three is in a `repr`."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the far end said. Names of `headers` are in lower case."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing whole came. `sent`: the far end may have had the request, and counted it."""

    cause: Cause
    sent: bool = True


Outcome = Answer | Unanswered


def answer_to(ask: Ask, *, seconds: float = SECONDS, size: int = SIZE) -> Outcome:
    """Ask now, and wait for it. `size`: bytes of a body that are taken in; a larger one is none.

    The socket is shut when the time is up: its own timeout begins anew with each byte.
    """
    with unlogged(), time_limit(seconds) as scope:
        outcome = _exchange(ask, min(seconds, _TIMEOUT_OF_A_STEP), size)
    # A body of no known length ends where the socket was shut.
    return Unanswered(Cause.SILENCE) if scope.cancelled else outcome


def _exchange(ask: Ask, step: float, size: int) -> Outcome:
    sent = False
    try:
        with closing(_connection(ask.url, step)) as connection:
            connection.connect()
            headers = {"User-Agent": "lyttepost", "Accept-Encoding": "identity", **ask.headers}
            sent = True
            connection.request(ask.method, parse_url(ask.url).request_uri, ask.body, headers, preload_content=False)
            with closing(connection.getresponse()) as answer:
                content = bytearray()
                while chunk := answer.read(_CHUNK, decode_content=False):
                    content += chunk
                    if len(content) > size:
                        return Unanswered(Cause.GARBLED)
                names = {name.lower(): text for name, text in answer.headers.items()}
                return Answer(answer.status, bytes(content), names)
    except TimeoutError:
        return Unanswered(Cause.SILENCE if sent else Cause.UNREACHABLE, sent)
    except (OSError, ssl.SSLError, HTTPException, HTTPError) as error:
        timed_out = isinstance(error, HTTPError) and "timed out" in str(error).lower()
        return Unanswered((Cause.SILENCE if timed_out else Cause.RESET) if sent else Cause.UNREACHABLE, sent)


def _connection(url: str, step: float) -> HTTPConnection:
    """Raises HTTPError for what is no address."""
    parts = parse_url(url)
    host = (parts.host or "").strip("[]")
    if parts.scheme == "https":
        return HTTPSConnection(host, parts.port or 443, timeout=step, ssl_context=ssl.create_default_context())
    return HTTPConnection(host, parts.port or 80, timeout=step)


class OneAtATime(Generic[Q, R]):
    """Questions answered by a thread of its own. Belongs to the thread of a source; `stop` may be called from any.
    `bell` is rung when an outcome is to be taken.

    `answer`: what answers a question, in the own thread. `failed`: the outcome where that raises.
    """

    def __init__(self, name: str, bell: Callable[[], None], answer: Callable[[Q], R], failed: R) -> None:
        self._name = name
        self._bell = bell
        self._answer = answer
        self._failed = failed
        self._asked: queue.SimpleQueue[Q | None] = queue.SimpleQueue()
        self._came: queue.SimpleQueue[R] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.busy = False
        """A request was handed over whose outcome was not taken yet."""

    def ask(self, ask: Q) -> None:
        """Hand over a request. Raises RuntimeError while one is under way: there is one at a time."""
        if self.busy:
            raise RuntimeError("a request is under way")
        self.busy = True
        if self._thread is None:
            self._asked, self._came = queue.SimpleQueue(), queue.SimpleQueue()
            self._thread = threading.Thread(
                target=self._run, args=(self._asked, self._came), name=f"{self._name}-poll", daemon=True
            )
            self._thread.start()
        self._asked.put(ask)

    def take(self) -> R | None:
        """What came of it; None while nothing did."""
        try:
            found = self._came.get_nowait()
        except queue.Empty:
            return None
        self.busy = False
        return found

    def stop(self) -> None:
        """Nothing of what is under way is given any more. Its thread ends with it, and nobody waits for that."""
        self._asked.put(_POISON)
        self._thread, self._came, self.busy = None, queue.SimpleQueue(), False

    def _run(self, asked: queue.SimpleQueue[Q | None], came: queue.SimpleQueue[R]) -> None:
        while (ask := asked.get()) is not None:
            try:
                outcome = self._answer(ask)
            except Exception:
                # Whatever it is, whoever waits must hear of it.
                outcome = self._failed
            came.put(outcome)
            self._bell()


class Poller(OneAtATime[Ask, Outcome]):
    """Answers requests over HTTP."""

    def __init__(self, name: str, bell: Callable[[], None], answer: Callable[[Ask], Outcome] = answer_to) -> None:
        super().__init__(name, bell, answer, Unanswered(Cause.RESET))
