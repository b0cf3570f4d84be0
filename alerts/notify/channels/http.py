"""One HTTP exchange, for every channel that sends by HTTP. `post` is one whose status alone decides.

2xx is delivered; 408, 425, 429 and 5xx are temporary, and so is whatever the network does; a wrong certificate and
every other answer are permanent. Redirects are not followed, to whatever host: they would carry the headers' secrets
along.

By `urllib3`'s connections, which have been here all along under tweepy. They take our TLS context, let a send be told
apart by phases (nothing handed over yet, or handed over and unanswered), and their socket can be shut when the time is
up. httpx and requests hide the phases behind their pools and limit each read only, never the whole, so that who drips
keeps them for ever; httpx logs every address, and requests takes proxies and passwords from the environment. What
urllib3 logs holds the address, which may be a key: `unlogged` keeps it out of every log, `--verbose` included.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse
from urllib3.util import Url

from alerts.notify.channels.contract import LONGEST_SEND, ChannelError, FailureReason
from listener.runtime.cancel import time_limit
from listener.runtime.unlogged import unlogged

TEMPORARY = frozenset({408, 425, 429})
LARGEST_ANSWER = 64 * 1024
"""Bytes of an answer's body that are read."""


@dataclass(frozen=True)
class Response:
    """What the far end said. `body` is empty where it was not asked for."""

    status: int
    body: bytes = b""


def post(url: Url, body: bytes, headers: Mapping[str, str], *, timeout: float) -> tuple[str, ...]:
    """Hand `body` over to `url`; of the answer only its status is read. Gives no ids. Raises ChannelError."""
    judge(exchange(url, body, headers, timeout=timeout).status)
    return ()


def post_json(url: Url, data: object, headers: Mapping[str, str], *, timeout: float) -> tuple[str, ...]:
    """As `post`, of something that JSON can say."""
    return post(url, json_bytes(data), {**headers, "Content-Type": "application/json; charset=utf-8"}, timeout=timeout)


def json_bytes(data: object) -> bytes:
    """In UTF-8. Half a surrogate from a command line, which that cannot write, must not cost the alert."""
    return json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")


def exchange(
    url: Url,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    timeout: float,
    method: str = "POST",
    read: bool = False,
) -> Response:
    """Send one request to `url`, as `web_address` gives it, and take the answer whatever its status.

    `timeout` is seconds for each read or write; the whole send ends within four of them, and within LONGEST_SEND. Names
    and values of `headers` are one line of ASCII each; `User-Agent` is set here. `read`: the answer's body is wanted.

    Raises ChannelError, which holds neither the address nor anything that the far end said. A body that is wanted,
    behind a status of success, and that cannot be read to its end is no answer: the message may have arrived.
    """
    longest = min(4 * timeout, LONGEST_SEND)
    with unlogged(), time_limit(longest), closing(_connection(url, timeout)) as connection:
        try:
            connection.connect()
        except ssl.SSLError as error:
            wrong = isinstance(error, ssl.SSLCertVerificationError)
            raise ChannelError(FailureReason.INSECURE, permanent=wrong) from None
        except (OSError, HTTPError):
            raise ChannelError(FailureReason.UNREACHABLE, permanent=False) from None
        try:
            own = {"User-Agent": "lyttepost", **headers}
            connection.request(method, url.request_uri, body, own, preload_content=False)
            answer = connection.getresponse()
        except (OSError, HTTPException, HTTPError):
            raise ChannelError(FailureReason.NO_ANSWER, permanent=False) from None
        with closing(answer):
            if not read:
                return Response(answer.status)
            try:
                content = _content(answer)
            except (OSError, HTTPException, HTTPError):
                content = None
    if content is not None and len(content) <= LARGEST_ANSWER:
        return Response(answer.status, content)
    if answer.status // 100 == 2:
        raise ChannelError(FailureReason.NO_ANSWER, permanent=False, code=answer.status)
    return Response(answer.status)


def judge(status: int) -> None:
    """Raises ChannelError for every status but 2xx."""
    if status // 100 == 2:
        return
    if status in TEMPORARY or status // 100 == 5:
        raise ChannelError(FailureReason.BUSY, permanent=False, code=status)
    if status // 100 == 3:
        raise ChannelError(FailureReason.REDIRECTED, permanent=True, code=status)
    reason = FailureReason.LOGIN if status in (401, 403) else FailureReason.REFUSED
    raise ChannelError(reason, permanent=True, code=status)


def _content(answer: BaseHTTPResponse) -> bytes:
    """At most a byte more than may be. Raises HTTPError where it breaks off before its announced end."""
    content = b""
    while len(content) <= LARGEST_ANSWER:
        more = answer.read(LARGEST_ANSWER + 1 - len(content), decode_content=False)
        if not more:
            break
        content += more
    return content


def _connection(url: Url, timeout: float) -> HTTPConnection:
    host = url.host or ""
    if url.scheme == "https":
        return HTTPSConnection(host, url.port or 443, timeout=timeout, ssl_context=ssl.create_default_context())
    return HTTPConnection(host, url.port or 80, timeout=timeout)
