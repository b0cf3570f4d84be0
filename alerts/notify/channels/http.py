"""One HTTP POST, for every channel that sends by HTTP: 2xx is delivered, anything else a `ChannelError`.

408, 425, 429 and 5xx are temporary, and so is whatever the network does; a wrong certificate and every other answer are
permanent. Redirects are not followed, to whatever host: they would carry the headers' secrets along. Of the answer only
its status is read. By the standard library's client: urllib3's writes the address, which may hold a key, into the log
when an answer's headers are broken.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from urllib3.util import Url

from alerts.notify.channels.contract import LONGEST_SEND, ChannelError, FailureReason, time_limit

TEMPORARY = frozenset({408, 425, 429})


def post(url: Url, body: bytes, headers: Mapping[str, str], *, timeout: float) -> None:
    """Hand `body` over to `url`, as `web_address` gives it. `timeout` is seconds for each read or write; the whole send
    ends within four of them, and within LONGEST_SEND.

    Names and values of `headers` are one line of ASCII each. `User-Agent` is set here.

    Raises ChannelError, which holds neither the address nor anything that the far end said.
    """
    longest = min(4 * timeout, LONGEST_SEND)
    with closing(_connection(url, timeout)) as connection, time_limit(longest, lambda: connection.sock):
        try:
            connection.connect()
        except ssl.SSLError as error:
            wrong = isinstance(error, ssl.SSLCertVerificationError)
            raise ChannelError(FailureReason.INSECURE, permanent=wrong) from None
        except OSError:
            raise ChannelError(FailureReason.UNREACHABLE, permanent=False) from None
        try:
            connection.request("POST", url.request_uri, body, {"User-Agent": "lyttepost", **headers})
            status = connection.getresponse().status
        except (OSError, HTTPException):
            raise ChannelError(FailureReason.NO_ANSWER, permanent=False) from None
    _judge(status)


def _connection(url: Url, timeout: float) -> HTTPConnection:
    host = url.host or ""
    # A port that is left out would be looked for in an IPv6 address.
    if url.scheme == "https":
        return HTTPSConnection(host, url.port or 443, timeout=timeout, context=ssl.create_default_context())
    return HTTPConnection(host, url.port or 80, timeout=timeout)


def _judge(status: int) -> None:
    if status // 100 == 2:
        return
    if status in TEMPORARY or status // 100 == 5:
        raise ChannelError(FailureReason.BUSY, permanent=False, code=status)
    if status // 100 == 3:
        raise ChannelError(FailureReason.REDIRECTED, permanent=True, code=status)
    reason = FailureReason.LOGIN if status in (401, 403) else FailureReason.REFUSED
    raise ChannelError(reason, permanent=True, code=status)
