"""Fetching a document over HTTP: bounded in time, size and redirects, over encryption that can be trusted."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

import urllib3
from urllib3 import exceptions

from listener.errors import LyttepostError
from listener.settings.feeds import feed_problem, is_web

CHUNK = 16 * 1024
_LONGEST_VALIDATOR = 500
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class DownloadError(LyttepostError):
    """Why nothing could be read there, and what to do; the address itself is named by whoever asked for it."""


class NotModified(DownloadError):
    """What stands there is what it was: nothing is wrong."""


@dataclass(frozen=True)
class Validators:
    """What an answer says of the version that it gave; empty where it does not."""

    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Validators:
        """Of an answer's headers, names in lower case. What cannot be sent back is left out."""
        return cls(_sendable(headers.get("etag", "")), _sendable(headers.get("last-modified", "")))

    def headers(self) -> dict[str, str]:
        found = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: text for name, text in found.items() if text}


def _sendable(text: str) -> str:
    return text if len(text) <= _LONGEST_VALIDATOR and text.isascii() and text.isprintable() else ""


@dataclass(frozen=True)
class Limits:
    """Seconds for the whole of a document and for each step of the talk, bytes of an answer, redirects in a row.

    `seconds` is kept by whoever waits: a thread that reads headers that trickle cannot be ended.
    """

    seconds: float = 20.0
    step: float = 10.0
    size: int = 5_000_000
    redirects: int = 5


LIMITS = Limits()


UNKNOWN = Validators()


def download(address: str, accept: str, limits: Limits, known: Validators = UNKNOWN) -> tuple[bytes, Mapping[str, str]]:
    """What stands at an address, and the answer's headers, names in lower case. Raises DownloadError; NotModified where
    it is still the version that is `known`."""
    asked = {"User-Agent": "lyttepost", "Accept": accept, "Accept-Encoding": "identity"} | known.headers()
    with urllib3.PoolManager(ssl_context=ssl.create_default_context(), retries=False) as pool:
        for _ in range(limits.redirects + 1):
            try:
                response = pool.request(
                    "GET", address, headers=asked, timeout=limits.step, preload_content=False, redirect=False
                )
                try:
                    if response.status not in REDIRECTS:
                        headers = {name.lower(): text for name, text in response.headers.items()}
                        return _body(response, limits), {"content-location": address, **headers}
                    address = redirected(address, response.headers.get("location", ""))
                finally:
                    response.close()
            except (exceptions.HTTPError, OSError) as error:
                raise DownloadError(_reason(error, limits)) from None
    raise DownloadError(
        f"redirects more than {limits.redirects} times in a row; name the address it leads to in a browser"
    )


def _body(response: urllib3.BaseHTTPResponse, limits: Limits) -> bytes:
    if response.status == 304:
        raise NotModified("is what it was")
    if response.status in (401, 403):
        raise DownloadError(f"may not be read ({response.status}); name an address that is open to this machine")
    if response.status in (404, 410):
        raise DownloadError(f"is not there ({response.status}); look whether the address is right")
    if response.status != 200:
        raise DownloadError(f"answers {response.status}; try again later, and tell those who run it")
    content = bytearray()
    while chunk := response.read(CHUNK):
        content += chunk
        if len(content) > limits.size:
            raise DownloadError(too_large(limits))
    return bytes(content)


def redirected(address: str, location: str) -> str:
    """Where an answer leads, from the address that gave it. Raises DownloadError for what is not followed."""
    target = urljoin(address, location)
    if not location or not is_web(target) or feed_problem(target):
        raise DownloadError("redirects to what is no web address; name the address it leads to in a browser")
    if address.startswith("https:") and not target.startswith("https:"):
        raise DownloadError("redirects from https to http, which anybody may change on the way; name an https address")
    return target


def _reason(error: Exception, limits: Limits) -> str:
    """What the network did, in words; neither the address nor what the far end said is in it."""
    if isinstance(error, (exceptions.SSLError, ssl.SSLError)):
        return "its certificate or encryption cannot be trusted; have it mended, and do not use http instead"
    if isinstance(error, (exceptions.TimeoutError, TimeoutError)) and not isinstance(
        error, exceptions.NewConnectionError
    ):
        return f"gives no answer within {limits.step:g} s; try again, or look whether its server answers at all"
    if isinstance(error, exceptions.ProtocolError):
        return "breaks off in the middle of its answer, or answers with what is no HTTP; try again"
    return "cannot be reached; look at the host's name, the network and the firewall"


def too_large(limits: Limits) -> str:
    return f"is larger than {limits.size / 1_000_000:g} MB; name what holds the newest things only"


def media_type(headers: Mapping[str, str]) -> str:
    """What the far end calls it, as far as it is a name of ours to repeat; else nothing."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind if re.fullmatch(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}", kind) else ""
