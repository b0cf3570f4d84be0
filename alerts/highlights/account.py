"""The hospital's account at X: what it publishes, by tweepy's user context, and what it has published.

Every call has a session, a thread and a whole time limit of its own. What becomes of a post is told apart by one
question: may it have been published? No, where X says so or was never reached; else nobody knows (`Unsure`). Whether it
may be is asked once more when the connection stands and nothing was sent: the last thing before the post leaves.

tweepy writes `https://api.twitter.com` into each request, which is led to the base address of the settings and signed
anew there: a signature covers the address.
"""

from __future__ import annotations

import logging
import math
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from html import unescape
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import requests
import tweepy
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3 import HTTPConnectionPool, exceptions

from alerts.highlights.contract import Gate, NotSent, Refused, Unsure
from alerts.highlights.text import one_line
from listener.errors import ConfigError
from listener.model.highlights import Why
from listener.runtime.cancel import CancelScope
from listener.settings.highlights import KEYS, UserKeys
from listener.sources.common.json import read_json
from listener.units import parse_instant

# At DEBUG tweepy writes keys and whole answers to the log.
logging.getLogger("tweepy").setLevel(logging.WARNING)
logging.getLogger("tweepy").addHandler(logging.NullHandler())

CONNECT_SECONDS: Final = 5.0
CALL_SECONDS: Final = 10.0
"""A call that has no whole answer by then is given up, however busily its server drips."""
LARGEST: Final = 100_000
"""Bytes of an answer that is no success."""
LOOKED_AT: Final = 50
"""Posts of the account among which one is looked for, the newest."""
CLOCK: Final = timedelta(minutes=90)
"""So much earlier than our intent a post may be by X's clock, where ours is an hour wrong."""
ALIKE: Final = 20
"""Letters at the beginning of a post, by which it is known together with its link."""
LONGEST_WAIT: Final = timedelta(days=1)
_LIMITS: Final = ("x-user-limit-24hour", "x-app-limit-24hour", "x-rate-limit")
_BAD_KEYS: Final = {32, 89, 215}
"""X's errors of keys that come with a 400."""
_FAULTS: Final = (requests.RequestException, exceptions.HTTPError, OSError)
_HOSTS: Final = ("https://api.twitter.com", "https://api.x.com")


@dataclass(frozen=True)
class Profile:
    """Whose keys these are. `writes`: whether they may publish; None where X does not say."""

    id: str
    handle: str
    writes: bool | None


class _Answer(Exception):
    """Anything but success, before tweepy makes an error of it that may fall over its body."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        try:
            found = read_json(body)
        except ValueError:
            found = None
        self.said: Mapping[str, Any] = found if isinstance(found, dict) else {}


def _hook(manager: Any, connected: Callable[[], None]) -> None:
    """The manager's connections call `connected` when they stand, before a byte of a request is written to them."""

    def hooked(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
        base: Any = pool.ConnectionCls

        def connect(connection: Any) -> None:
            base.connect(connection)
            connected()

        made: type[HTTPConnectionPool] = type(
            pool.__name__, (pool,), {"ConnectionCls": type(base.__name__, (base,), {"connect": connect})}
        )
        return made

    classes = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: hooked(pool) for scheme, pool in classes.items()}


class _Adapter(HTTPAdapter):
    """Sends to `base_url`, signs there, follows no redirect, and has a timeout for each step. `connected`: see
    `_hook`."""

    def __init__(
        self,
        base_url: str,
        auth: Callable[[requests.PreparedRequest], requests.PreparedRequest],
        connected: Callable[[], None],
    ) -> None:
        self._base = urlsplit(base_url.rstrip("/"))
        self._auth = auth
        self._connected = connected
        super().__init__()

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more)
        _hook(self.poolmanager, self._connected)

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **more)
        if not known:
            _hook(manager, self._connected)
        return manager

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        url = urlsplit(str(request.url))
        request.url = urlunsplit((*self._base[:2], self._base.path + url.path, url.query, ""))
        request.headers.pop("Authorization", None)
        request = self._auth(request)
        # What the environment says of proxies was looked up for the address that tweepy wrote.
        led = get_environ_proxies(str(request.url))
        response = super().send(request, stream, (CONNECT_SECONDS, CALL_SECONDS), verify, cert, led)
        if not 200 <= response.status_code < 300:
            with response:
                raise _Answer(response.status_code, response.headers, _body(response))
        return response


def _body(response: requests.Response) -> bytes:
    """What its answer says; that it cannot be read changes nothing of its status."""
    try:
        found: bytes = response.raw.read(LARGEST, decode_content=True)
    except (exceptions.HTTPError, OSError):
        return b""
    return found


def _open() -> None:
    pass


class _Shut(Exception):
    """The gate was shut: nothing was sent."""


class _Unreached(Exception):
    """No connection came to stand: nothing was sent."""


class XAccount:
    """An `Account`. `keys` is asked at each call, so that new ones in their files count at once; what it raises is
    raised."""

    def __init__(self, keys: Callable[[], UserKeys | None], base_url: str, seconds: float = CALL_SECONDS) -> None:
        self._keys = keys
        self._base_url = base_url
        self._seconds = seconds

    def ready(self) -> None:
        if self._keys() is None:
            raise ConfigError(f"highlights.{KEYS[0]}: is not set, nor the three others: nothing can be published")

    def publish(self, text: str, gate: Gate) -> str:
        try:
            response = self._call(lambda client: client.create_tweet(text=text, user_auth=True), gate)
        except _Answer as answer:
            raise _of_post(answer) from None
        except _Unreached:
            raise NotSent(Why.NETWORK) from None
        except ConfigError:
            # Its file was readable a moment ago; `ready` tells of it before the next one.
            raise NotSent(Why.STOPPED) from None
        except _FAULTS:
            raise Unsure from None
        found = _data(response).get("id")
        if not isinstance(found, str) or not found.isdecimal():
            raise Unsure
        return found

    def find(self, text: str, link: str, since: datetime, known: Collection[str]) -> str | None:
        account = self._account()
        fields = ["created_at", "entities", "note_tweet"]
        response = self._ask(
            lambda client: client.get_users_tweets(account, max_results=LOOKED_AT, tweet_fields=fields, user_auth=True)
        )
        said = one_line(text)
        for post in _posts(response):
            alike = post.text == said or (link in post.links and post.text[:ALIKE] == said[:ALIKE])
            if alike and post.id not in known and post.at >= since - CLOCK:
                return post.id
        return None

    def profile(self) -> Profile:
        """Raises Refused."""
        response = self._ask(lambda client: client.get_me(user_auth=True))
        found, level = _data(response), response.headers.get("x-access-level", "")
        return Profile(str(found.get("id", "")), str(found.get("username", "")), "write" in level if level else None)

    def _account(self) -> str:
        """An access token begins with the account's id; where one does not, X is asked."""
        keys = self._keys()
        begin, dash, _ = keys.access_token.get_secret_value().partition("-") if keys else ("", "", "")
        return begin if dash and begin.isdecimal() else self.profile().id

    def _ask(self, call: Callable[[Any], requests.Response]) -> requests.Response:
        try:
            return self._call(call)
        except _Answer as answer:
            raise Refused(f"answers {answer.status}") from None
        except (_Unreached, *_FAULTS):
            raise Refused("gives no answer") from None

    def _call(self, call: Callable[[Any], requests.Response], gate: Gate = _open) -> requests.Response:
        """In a thread of its own: a socket's timeout begins anew with each byte, so it ends no dripping answer."""
        keys = self._keys()
        if keys is None:
            raise _Answer(401, {}, b"")
        secrets = [each.get_secret_value() for each in keys]
        came: queue.SimpleQueue[requests.Response | Exception | None] = queue.SimpleQueue()
        open_: queue.SimpleQueue[bool] = queue.SimpleQueue()
        scope = CancelScope()

        def connected() -> None:
            came.put(None)
            if not open_.get():
                raise _Shut

        def run() -> None:
            try:
                client = tweepy.Client(None, *secrets, return_type=requests.Response)
                auth = tweepy.OAuth1UserHandler(*secrets).apply_auth()
                # A session for each call: a connection that is kept open may be one that X has closed.
                with scope, client.session as session:
                    for host in _HOSTS:
                        session.mount(host, _Adapter(self._base_url, auth, connected))
                    came.put(call(client))
            except Exception as error:
                came.put(error)

        threading.Thread(target=run, daemon=True, name="highlights-call").start()
        try:
            return self._wait_for(came, open_, gate)
        finally:
            open_.put(False)  # whoever comes to the gate later finds it shut
            scope.cancel()

    def _wait_for(
        self,
        came: queue.SimpleQueue[requests.Response | Exception | None],
        open_: queue.SimpleQueue[bool],
        gate: Gate,
    ) -> requests.Response:
        passed = False
        while True:
            try:
                found = came.get(timeout=self._seconds if passed else CONNECT_SECONDS)
            except queue.Empty:
                raise (requests.Timeout if passed else _Unreached) from None
            if found is None:
                gate()
                open_.put(True)
                passed = True
            elif isinstance(found, Exception):
                raise found if passed or not isinstance(found, _FAULTS) else _Unreached from None
            else:
                return found


def _of_post(answer: _Answer) -> NotSent | Unsure:
    """What X's answer to a post means for it."""
    status, detail = answer.status, str(answer.said.get("detail", "")).casefold()
    if status >= 500 or status == 408:
        return Unsure()
    if status in (420, 429):
        return NotSent(Why.RATE_LIMITED, status, _wait(answer.headers))
    if status == 403 and "duplicate" in detail:
        return NotSent(Why.DUPLICATE, status)
    if status == 400 and _BAD_KEYS & _codes(answer.said):
        return NotSent(Why.REFUSED, status)
    if status in (400, 413, 422) or (status == 403 and "too long" in detail):
        return NotSent(Why.REJECTED, status)
    # 401, 402, 403, 404, redirects: none of it is about the text, and the next one would fare alike.
    return NotSent(Why.REFUSED, status)


def _codes(said: Mapping[str, Any]) -> set[object]:
    """X's own numbers of errors in an answer."""
    listed = said.get("errors")
    return {each.get("code") for each in listed if isinstance(each, dict)} if isinstance(listed, list) else set()


def _wait(headers: Mapping[str, str]) -> timedelta | None:
    """How long X says to wait, by its own clock: ours may be wrong. Of windows that are used up the longest counts."""
    try:
        now = parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return None
    waits = []
    for limit in _LIMITS:
        try:
            left, reset = float(headers.get(f"{limit}-remaining", 0)), float(headers[f"{limit}-reset"])
        except (KeyError, ValueError):
            continue
        if left <= 0 and now < reset < math.inf:
            waits.append(min(reset - now + 1, LONGEST_WAIT.total_seconds()))
    return timedelta(seconds=max(waits)) if waits else None


def _data(response: requests.Response) -> Mapping[str, Any]:
    """`data` of an answer; empty where there is none."""
    try:
        found = read_json(response.content)
    except ValueError:
        return {}
    data = found.get("data") if isinstance(found, dict) else None
    return data if isinstance(data, dict) else {}


@dataclass(frozen=True)
class _Post:
    id: str
    at: datetime
    text: str
    links: frozenset[str]


def _posts(response: requests.Response) -> Iterator[_Post]:
    """What an answer lists, each with its links as they were written. What is no post is passed over."""
    try:
        found = read_json(response.content)
    except ValueError:
        return
    listed = found.get("data") if isinstance(found, dict) else None
    for raw in listed if isinstance(listed, list) else ():
        try:
            text, links = str(raw["text"]), {}
            for url in (raw.get("entities") or {}).get("urls") or ():
                links[str(url["url"])] = str(url["expanded_url"])
            for short, whole in links.items():
                text = text.replace(short, whole)
            at = parse_instant(str(raw["created_at"])).astimezone(UTC)
            yield _Post(str(raw["id"]), at, one_line(unescape(text)), frozenset(links.values()))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
