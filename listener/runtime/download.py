"""Fetching a document over HTTP: bounded in time, size and redirects, over encryption that can be trusted.

Who publishes a document decides where it redirects to and what its names resolve to. So that this leads nobody into our
own network, only the host that a person named may lie inside it; each name is resolved once, here, and connected to
where it was found to be.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3 import exceptions

from listener.errors import LyttepostError
from listener.runtime.cancel import time_limit
from listener.settings.feeds import feed_problem, is_web

CHUNK = 16 * 1024
_LONGEST_VALIDATOR = 500
REDIRECTS = frozenset({301, 302, 303, 307, 308})


class DownloadError(LyttepostError):
    """Why nothing could be read there, and what to do; the address itself is named by whoever asked for it.

    `status`: of an answer that was none of ours to use, else 0. `after`: seconds that it asks us to wait, or None.
    """

    def __init__(self, message: str, *, status: int = 0, after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.after = after


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
    """Seconds for the whole of a document and for each step of the talk, bytes of an answer, redirects in a row."""

    seconds: float = 20.0
    step: float = 10.0
    size: int = 5_000_000
    redirects: int = 5


LIMITS = Limits()
_BROKEN = "breaks off in the middle of its answer, or answers with what is no HTTP; try again"


UNKNOWN = Validators()


def download(
    address: str,
    accept: str,
    limits: Limits,
    known: Validators = UNKNOWN,
    *,
    inside: Collection[str] | None = None,
    given_up: Callable[[], bool] = lambda: False,
) -> tuple[bytes, Mapping[str, str]]:
    """What stands at an address, and the answer's headers, names in lower case, within `limits.seconds`. Raises
    DownloadError; NotModified where it is still the version that is `known`.

    `inside`: the hosts that may lie inside our network; None: the one that the address names. `given_up`: nobody waits
    any more, asked between two pieces of an answer.
    """
    trusted = {host_of(address)} if inside is None else set(inside)
    asked = {"User-Agent": "lyttepost", "Accept": accept, "Accept-Encoding": "identity"} | known.headers()
    with time_limit(limits.seconds) as scope:
        try:
            found = _followed(address, asked, limits, trusted, given_up)
        except NotModified:
            raise
        except DownloadError:
            if scope.cancelled:
                raise _late(limits) from None
            raise
    if scope.cancelled:
        # A body of no known length ends where the connection was shut.
        raise _late(limits)
    return found


def _late(limits: Limits) -> DownloadError:
    return DownloadError(
        f"is not read after {limits.seconds:g} s; try again, or look whether its server answers at all"
    )


def _followed(
    address: str, asked: Mapping[str, str], limits: Limits, trusted: Collection[str], given_up: Callable[[], bool]
) -> tuple[bytes, Mapping[str, str]]:
    """From redirect to redirect. Raises DownloadError."""
    for _ in range(limits.redirects + 1):
        response = _ask(address, asked, limits, trusted)
        try:
            if response.status not in REDIRECTS:
                headers = {name.lower(): text for name, text in response.headers.items()}
                return _body(response, headers, limits, given_up), {"content-location": address, **headers}
            address = redirected(address, response.headers.get("location", ""))
        except (exceptions.HTTPError, OSError) as error:
            raise DownloadError(_reason(error, limits)) from None
        finally:
            response.close()
    raise DownloadError(
        f"redirects more than {limits.redirects} times in a row; name the address it leads to in a browser"
    )


def host_of(address: str) -> str:
    """The host that an address names, in lower case."""
    return urlsplit(address).hostname or ""


def _ask(address: str, headers: Mapping[str, str], limits: Limits, inside: Collection[str]) -> urllib3.BaseHTTPResponse:
    """The head of the answer, from the first of the host's addresses that can be reached. Raises DownloadError."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    failed: Exception | None = None
    try:
        for found in _found(host, parts.port or (443 if parts.scheme == "https" else 80), host in inside):
            pool = _pool(parts.scheme, host, *found, limits)
            try:
                return pool.request(
                    "GET", path, headers={"Host": parts.netloc, **headers}, preload_content=False, redirect=False
                )
            except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError) as error:
                failed = error
    except (exceptions.HTTPError, OSError) as error:
        failed = error
    raise DownloadError(_reason(failed or OSError(), limits)) from None


def _pool(scheme: str, host: str, where: str, port: int, limits: Limits) -> urllib3.HTTPConnectionPool:
    """Connections to one address of a host, whose certificate must be the host's."""
    if scheme != "https":
        return urllib3.HTTPConnectionPool(where, port, timeout=limits.step, retries=False)
    return urllib3.HTTPSConnectionPool(
        where, port, timeout=limits.step, retries=False, ssl_context=ssl.create_default_context(),
        server_hostname=host, assert_hostname=host,
    )  # fmt: skip


def _found(host: str, port: int, trusted: bool) -> list[tuple[str, int]]:
    """The addresses of a host, each once; those inside a network only where it is trusted. Raises DownloadError."""
    found = [(str(info[4][0]), port) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    allowed = [each for each in dict.fromkeys(found) if trusted or not is_inside(each[0])]
    if not allowed:
        raise DownloadError(
            "leads to an address inside a network, where nobody from outside may send us; if it is meant, name that "
            "address itself, and for a feed of the source say `inside: true`"
        )
    return allowed


def is_inside(address: str) -> bool:
    """Whether an IP address is not one of the public network: of this machine, a private network, a link, a group; or
    an IPv6 address that stands for one of these."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if within is None and ip in _NAT64:
            within = ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        if within is not None:
            ip = within
    return ip.is_multicast or not ip.is_global


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _body(
    response: urllib3.BaseHTTPResponse, headers: Mapping[str, str], limits: Limits, given_up: Callable[[], bool]
) -> bytes:
    _refuse(response.status, headers)
    content, unpacked, came = bytearray(), _unpacker(headers.get("content-encoding", ""), limits), 0
    while chunk := response.read1(CHUNK, decode_content=False):
        came += len(chunk)
        # Never more at once than may come in all: a small answer may unpack to one that fills the memory.
        content += unpacked(chunk, limits.size + 1 - len(content))
        if len(content) > limits.size:
            raise DownloadError(too_large(limits), status=200)
        if given_up():
            raise DownloadError(f"is not read after {limits.seconds:g} s; try again later")
    length = headers.get("content-length", "")
    if length.isdigit() and came < int(length) and "transfer-encoding" not in headers:
        raise DownloadError(_BROKEN)
    return bytes(content)


def _unpacker(encoding: str, limits: Limits) -> Callable[[bytes, int], bytes]:
    """Pieces as they came → what was packed in them, at most so many bytes. We ask for none, and some send one."""
    match encoding.strip().lower():
        case "" | "identity":
            return lambda chunk, most: chunk
        case "gzip" | "x-gzip" | "deflate":
            unzip = zlib.decompressobj(47)  # either, by its first bytes
        case _:
            raise DownloadError("answers packed in a way that was not asked for; tell those who run it", status=200)

    def unpack(chunk: bytes, most: int) -> bytes:
        try:
            out = unzip.decompress(chunk, most)
        except zlib.error:
            raise DownloadError("is packed, and cannot be unpacked; try again", status=200) from None
        if unzip.unconsumed_tail:
            raise DownloadError(too_large(limits), status=200)
        return out

    return unpack


def _refuse(status: int, headers: Mapping[str, str]) -> None:
    """Raises DownloadError for whatever is no document, NotModified among it."""
    if status == 304:
        raise NotModified("is what it was", status=status)
    if status in (401, 403):
        raise DownloadError(f"may not be read ({status}); name an address that is open to this machine", status=status)
    if status in (404, 410):
        raise DownloadError(f"is not there ({status}); look whether the address is right", status=status)
    if status != 200:
        after = headers.get("retry-after", "")
        wait = float(after) if re.fullmatch("[0-9]{1,6}", after) else None
        raise DownloadError(f"answers {status}; try again later, and tell those who run it", status=status, after=wait)


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
        return _BROKEN
    return "cannot be reached; look at the host's name, the network and the firewall"


def too_large(limits: Limits) -> str:
    return f"is larger than {limits.size / 1_000_000:g} MB; name what holds the newest things only"


def media_type(headers: Mapping[str, str]) -> str:
    """What the far end calls it, as far as it is a name of ours to repeat; else nothing."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind if re.fullmatch(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}", kind) else ""
