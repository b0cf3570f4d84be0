"""One GET of Meta's Graph API: bounded in time and size, never before Meta lets us, and with nothing of it in any log.

The token goes where Meta's pages say, into the address, beside `appsecret_proof`. So no error of the network is
repeated, and what the client below logs of addresses is thrown away. Redirects are not followed: they would carry the
token along. A proxy of the environment is used, a `.netrc` is not.

How long nobody may call is known here, for every caller: what comes too early gets its answer without a call.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

import requests

from listener.clock import Clock
from listener.runtime.cancel import CancelScope
from listener.runtime.unlogged import unlogged
from listener.sources.common.graph.access import GraphAccess
from listener.sources.common.graph.answers import (
    FORBIDDEN_SECONDS,
    Answer,
    Outcome,
    failure_of,
    outcome_of,
    why_of,
)
from listener.sources.common.graph.usage import LONGEST, Usage, usage_of
from listener.sources.common.json import read_json
from listener.sources.common.key import Key

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 10.0
CALL_SECONDS: Final = 15.0
"""A call that has no whole answer by then has failed, however busily its server drips."""
LARGEST: Final = 5_000_000
"""Bytes of an answer. A page of fifty comments with their replies has some tens of thousands."""
_CHUNK: Final = 16 * 1024
_FIRST, _MOST, _JITTER = 2.0, 300.0, 0.3
"""Seconds of the pause after a first fault, and of the longest; and how much of it chance takes away."""
_FIRST_LIMIT, _MOST_LIMIT = 300.0, 3600.0
"""The same where calls are limited and nobody says for how long."""


class Shut(threading.Event):
    """The client was closed, or nobody waits for this call any more. `head`: what the head of its answer tells, where
    that has come: whether and how long to wait stands there, and counts though the rest never comes."""

    head: Answer | None = None

    def __init__(self) -> None:
        super().__init__()
        self.scope = CancelScope()


class GraphClient:
    """For all threads. `seconds`, real ones, are for a whole call; `chance` gives numbers from 0 to 1."""

    def __init__(
        self,
        access: GraphAccess,
        clock: Clock,
        *,
        seconds: float = CALL_SECONDS,
        largest: int = LARGEST,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.app = access.app
        self.key = Key(access.name, access.token, access.file)
        self._base = f"{access.base_url.rstrip('/')}/{access.version}/"
        self._version = access.version
        self._clock = clock
        self._seconds = seconds
        self._largest = largest
        self._chance = chance
        self._lock = threading.Lock()
        self._session = _session()
        self._open: set[tuple[Shut, queue.SimpleQueue[Answer | None]]] = set()
        self._closed = False
        self._faults = self._limits = 0
        self._shut: tuple[float, Answer] | None = None
        """Until when on the monotonic clock nobody calls, and what they are told."""
        self._told_wait = False
        """Nobody may call for longer than `take_told_wait` has said."""
        self._void: tuple[str, Answer] | None = None
        """The token that was refused, and what was said of it."""
        self.calls = 0
        """Calls made."""
        self.served = ""
        """In which version Meta answered last; another than was asked for where ours has ended."""
        self.usage = Usage()

    # --- what is known before a call ------------------------------------------------------------------------------

    @property
    def shut_until(self) -> datetime | None:
        """Until when nobody may call; None: now. To be kept over a restart, and given to `shut`."""
        with self._lock:
            left = 0.0 if self._shut is None else self._shut[0] - self._clock.monotonic()
        return self._clock.now() + timedelta(seconds=left) if left > 0 else None

    def shut(self, until: datetime) -> None:
        """An earlier process was told to wait until then."""
        left = min(until - self._clock.now(), LONGEST)
        if left > timedelta():
            told = Answer(outcome=Outcome.RATE_LIMITED, asked=False, why="too many calls were made")
            self._shut_for(left.total_seconds(), told)

    def take_told_wait(self) -> bool:
        """Whether nobody may call for longer than when this was last asked. Then `shut_until` is to be written down at
        once, though there is nothing else to say, or a restart would not know of it."""
        with self._lock:
            told, self._told_wait = self._told_wait, False
        return told

    @property
    def outdated(self) -> str | None:
        """The version that Meta answers in, where it is not the one that was asked for: ours has ended there."""
        return self.served if self.served and self.served != self._version else None

    # --- a call ---------------------------------------------------------------------------------------------------

    def get(self, path: str, params: Mapping[str, str] | None = None, *, token: str | None = None) -> Answer:
        """Ask for `path`, which is written behind the version. Never raises, and ends within `seconds`. `token`:
        another than ours, such as the app's own."""
        self.key.reread()
        if (early := self._early(token)) is not None:
            return early
        used = token or self.key.token
        answer = self._call(path, dict(params or {}), used)
        return self._learn(answer, used)

    def close(self) -> None:
        """Whoever waits for an answer gets one at once, and its thread ends."""
        with self._lock:
            self._closed, calls = True, list(self._open)
        for shut, done in calls:
            shut.set()
            done.put(None)
            shut.scope.cancel()
        self._session.close()

    def reopen(self) -> None:
        with self._lock:
            self._closed = False

    def _early(self, token: str | None) -> Answer | None:
        with self._lock:
            if self._closed:
                return _closed()
            if self._shut is not None:
                left = self._shut[0] - self._clock.monotonic()
                if left > 0:
                    return replace(self._shut[1], asked=False, data={}, wait=left)
                self._shut = None
            if token is None and self._void is not None:
                if self._void[0] == self.key.token:
                    return replace(self._void[1], asked=False)
                self._void = None
        return None

    def _call(self, path: str, params: dict[str, str], token: str) -> Answer:
        """In a thread of its own: a socket's timeout begins anew with each byte, so it ends no dripping answer."""
        shut, done = Shut(), queue.SimpleQueue[Answer | None]()
        with self._lock:
            self._open.add((shut, done))
            self.calls += 1
        params["access_token"] = token
        if (proof := self.app.proof(token)) is not None and token != self.app.token:
            params["appsecret_proof"] = proof
        threading.Thread(target=self._run, args=(path, params, shut, done), daemon=True, name="graph-call").start()
        try:
            came = done.get(timeout=self._seconds)
        except queue.Empty:
            # With what it holds: who drips for ever would keep a thread for each call.
            shut.scope.cancel()
            head = shut.head or Answer(outcome=Outcome.UNAVAILABLE)
            came = replace(head, why=f"Meta gave no answer within {self._seconds:g} s")
        finally:
            shut.set()
            with self._lock:
                self._open.discard((shut, done))
        return came or _closed()

    def _run(self, path: str, params: Mapping[str, str], shut: Shut, done: queue.SimpleQueue[Answer | None]) -> None:
        with unlogged(), shut.scope:
            try:
                if shut.is_set():
                    # It comes late to a busy machine: by now it may be forbidden to call.
                    return
                done.put(self._ask(path, params, shut))
            except Exception as error:
                # Its words may hold the address, and with it the token.
                done.put(Answer(outcome=Outcome.UNAVAILABLE, why=_network(error)))

    def _ask(self, path: str, params: Mapping[str, str], shut: Shut) -> Answer:
        response = self._session.get(
            self._base + path.lstrip("/"),
            params=params,
            timeout=(min(CONNECT_SECONDS, self._seconds), min(READ_SECONDS, self._seconds)),
            stream=True,
            allow_redirects=False,
        )
        headers = {name.lower(): value for name, value in response.headers.items()}
        usage = usage_of(headers)
        outcome = outcome_of(response.status_code, None, used_up=usage.is_used_up)
        head = shut.head = Answer(outcome=outcome, status=response.status_code, usage=usage)
        with response:
            content = bytearray()
            try:
                for chunk in response.iter_content(_CHUNK):
                    content += chunk
                    if shut.is_set():
                        return _closed()
                    if len(content) > self._largest:
                        why = f"an answer of more than {self._largest / 1e6:g} MB was not read"
                        return replace(head, why=why)
            except requests.exceptions.RequestException as error:
                return replace(head, why=_network(error))
        return _read(response.status_code, headers, bytes(content))

    # --- what an answer teaches -----------------------------------------------------------------------------------

    def _learn(self, answer: Answer, token: str) -> Answer:
        if answer.version and answer.version != self.served:
            self.served = answer.version
            if self.outdated:
                log.warning(
                    "graph: %s has ended at Meta, which answers in %s: set meta.version, and see what changed",
                    self._version, answer.version,
                )  # fmt: skip
        self.usage = answer.usage if answer.usage.percent is not None else self.usage
        with self._lock:
            answer = self._paused(answer)
            if answer.outcome is Outcome.UNAUTHORIZED and token == self.key.token:
                self._void = token, answer
        if answer.outcome is Outcome.RATE_LIMITED:
            self._shut_for(answer.wait or 0.0, answer)
        elif answer.usage.regain > timedelta():
            # Answered, and told all the same that there is nothing left.
            told = Answer(outcome=Outcome.RATE_LIMITED, usage=answer.usage, why="Meta told us to wait")
            self._shut_for(answer.usage.regain.total_seconds(), told)
        return answer

    def _paused(self, answer: Answer) -> Answer:
        """With how long to wait before the same is asked again."""
        match answer.outcome:
            case Outcome.OK:
                self._faults = self._limits = 0
                return answer
            case Outcome.RATE_LIMITED:
                told = answer.usage.regain.total_seconds()
                guessed = min(_FIRST_LIMIT * 2.0 ** min(self._limits, 10), _MOST_LIMIT)
                self._limits += 1
                # A little later than told, so that a rounded minute is over.
                return replace(answer, wait=(told or guessed) + 1 + 5 * self._chance())
            case Outcome.FORBIDDEN:
                return replace(answer, wait=FORBIDDEN_SECONDS)
            case Outcome.UNAVAILABLE:
                wait = min(_FIRST * 2.0 ** min(self._faults, 10), _MOST)
                self._faults += 1
                return replace(answer, wait=wait * (1 - _JITTER * self._chance()))
            case _:
                return replace(answer, wait=None)

    def _shut_for(self, seconds: float, told: Answer) -> None:
        with self._lock:
            until = self._clock.monotonic() + min(seconds, LONGEST.total_seconds())
            if self._shut is None or until > self._shut[0]:
                self._shut, self._told_wait = (until, told), True


def _session() -> requests.Session:
    session = requests.Session()
    session.headers["User-Agent"] = "lyttepost"
    session.auth = _no_auth
    return session


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Else requests looks for a password in `.netrc`."""
    return request


def _closed() -> Answer:
    return Answer(outcome=Outcome.UNAVAILABLE, asked=False, why="we are stopping")


def _network(error: Exception) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return "Meta's certificate cannot be trusted: is there a proxy between, or a wrong clock?"
    if isinstance(error, requests.exceptions.Timeout):
        return "Meta gave no answer in time"
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return "Meta's answer broke off"
    return "Meta cannot be reached"


def _read(status: int, headers: Mapping[str, str], content: bytes) -> Answer:
    """An answer, in what it says. Pure."""
    try:
        body: Any = read_json(content)
    except ValueError:
        body = None
    usage = usage_of(headers)
    told: dict[str, Any] = {
        "status": status,
        "date": _date(headers.get("date")),
        "usage": usage,
        "version": _version(headers.get("facebook-api-version", "")),
    }
    failure = failure_of(body)
    if status == 200 and failure is None:
        if isinstance(body, dict):
            return Answer(outcome=Outcome.OK, data=body, **told)
        return Answer(outcome=Outcome.UNAVAILABLE, why="Meta's answer cannot be read", **told)
    outcome = outcome_of(status, failure, used_up=usage.is_used_up)
    if failure is not None:
        told |= {"code": failure.code, "subcode": failure.subcode, "trace": failure.trace}
    return Answer(outcome=outcome, why=why_of(outcome, status, failure), **told)


def _date(written: str | None) -> datetime | None:
    try:
        return parsedate_to_datetime(written or "").astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _version(written: str) -> str:
    plain = written.strip()
    return plain if plain.startswith("v") and plain[1:].replace(".", "").isdigit() and len(plain) < 12 else ""
