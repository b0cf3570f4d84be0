"""Who publishes: a web server on loopback with feeds and pages, and with paths at which it misbehaves."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from xml.sax.saxutils import escape

from tests.fakes.serving import serving

RSS, ATOM, HTML = "application/rss+xml", "application/atom+xml", "text/html; charset=utf-8"
HUGE = 8_000_000

Item = tuple[str, str, datetime | None]
"""Title, summary (HTML), when it was published."""


@dataclass
class Publisher:
    """`pages`: path → what stands there and what it is called. `asked`: the paths that were asked for."""

    pages: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """The paths whose asker had the newest version, and was told so."""
    stop: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def put(self, path: str, content: str | bytes, kind: str = RSS) -> str:
        """Publish it there; gives its address."""
        self.pages[path] = (content.encode() if isinstance(content, str) else content, kind)
        return self.at(path)

    def at(self, path: str) -> str:
        """`/hang`, `/reset`, `/cut`, `/loop`, `/huge`, `/file` (redirects to a file), `/moved/…` (redirects to …) and
        `/status/CODE` misbehave; what is not there is 404."""
        return f"http://127.0.0.1:{self.port}{path}"


def rss(*items: Item) -> str:
    body = "".join(
        f"<item><title>{escape(title)}</title><description>{escape(text)}</description>"
        f"<link>https://nordvik.example/{number}</link>"
        + (f"<pubDate>{format_datetime(at)}</pubDate>" if at else "")
        + "</item>"
        for number, (title, text, at) in enumerate(items)
    )
    return f'<?xml version="1.0" encoding="utf-8"?><rss version="2.0"><channel><title>N</title>{body}</channel></rss>'


def atom(*items: Item) -> str:
    body = "".join(
        f'<entry><title>{escape(title)}</title><summary type="html">{escape(text)}</summary>'
        f'<link href="/{number}"/>' + (f"<updated>{at.isoformat()}</updated>" if at else "") + "</entry>"
        for number, (title, text, at) in enumerate(items)
    )
    return f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>N</title>{body}</feed>'


@contextmanager
def publisher() -> Iterator[Publisher]:
    fake = Publisher()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append(self.path)
            with suppress(OSError):
                self._answer()

        def _answer(self) -> None:
            match self.path.split("/"):
                case ["", "hang"]:
                    fake.stop.wait(60)
                case ["", "reset"]:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                case ["", "cut"]:
                    self._send(200, {"Content-Type": RSS, "Content-Length": "10000"}, rss()[:60].encode())
                    self.close_connection = True
                case ["", "loop"]:
                    self._send(302, {"Location": "/loop", "Content-Length": "0"})
                case ["", "file"]:
                    self._send(302, {"Location": "file:///etc/hostname", "Content-Length": "0"})
                case ["", "moved", *rest]:
                    self._send(301, {"Location": "/" + "/".join(rest), "Content-Length": "0"})
                case ["", "huge"]:
                    self._send(200, {"Content-Type": RSS}, b"<rss version='2.0'><channel>" + b" " * HUGE)
                case ["", "status", code]:
                    self._send(int(code), {"Content-Length": "0"})
                case _ if self.path in fake.pages:
                    content, kind = fake.pages[self.path]
                    etag = f'"{sha256(content).hexdigest()[:16]}"'
                    if self.headers.get("If-None-Match") == etag:
                        fake.unchanged.append(self.path)
                        self._send(304, {"ETag": etag})
                        return
                    headers = {"Content-Type": kind, "Content-Length": str(len(content)), "ETag": etag}
                    self._send(200, headers, content)
                case _:
                    self._send(404, {"Content-Length": "0"})

        def _send(self, status: int, headers: Mapping[str, str], content: bytes = b"") -> None:
            self.send_response(status)
            for name, text in headers.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(Handler, fake.stop) as fake.port:
        yield fake
