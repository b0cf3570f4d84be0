"""The server's side of a websocket (RFC 6455), written out: with a library's the client's would be tried on itself."""

from __future__ import annotations

import base64
import hashlib
import select
import socket
from collections.abc import Iterator, Mapping

from .web import Handler

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole message of the server's."""
    head = bytes([0x80 | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    if len(payload) < 1 << 16:
        return head + b"\x7e" + len(payload).to_bytes(2, "big") + payload
    return head + b"\x7f" + len(payload).to_bytes(8, "big") + payload


def text(content: bytes) -> bytes:
    return frame(TEXT, content)


def goodbye(code: int, reason: str = "") -> bytes:
    """A close frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode()[:123])


class WebSocket:
    """One connection, from a request that asks for it."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._unread = b""
        self.closed: int | None = None
        """The code that the client closed it with."""
        self.heard = 0
        """Messages of the client's; most streams take none."""
        self.said: list[bytes] = []
        """Those messages, until somebody takes them."""

    @staticmethod
    def is_asked_for(headers: Mapping[str, str]) -> bool:
        low = {name.lower(): value for name, value in headers.items()}
        return low.get("upgrade", "").lower() == "websocket" and "sec-websocket-key" in low

    def accept(self, subprotocol: str | None = None) -> None:
        """Answer the request; `subprotocol` is what is spoken, where the client offered it."""
        key = self._handler.headers.get("Sec-WebSocket-Key", "").encode()
        answer = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode(),  # noqa: S324 -- RFC
        }
        offered = [each.strip() for each in self._handler.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if subprotocol is not None and subprotocol in offered:
            answer["Sec-WebSocket-Protocol"] = subprotocol
        self._handler.close_connection = True
        self._handler.write_head(101, answer)

    def is_read(self) -> bool:
        """Whether the client is still there; answers its pings and its goodbye meanwhile."""
        try:
            while select.select([self._handler.connection], [], [], 0)[0]:
                piece = self._handler.connection.recv(1 << 16, socket.MSG_DONTWAIT)
                if not piece:
                    return False
                self._unread += piece
        except (BlockingIOError, InterruptedError):
            pass
        except (OSError, ValueError):
            return False
        for opcode, payload in self._messages():
            if opcode == PING:
                self._handler.connection.sendall(frame(PONG, payload))
            elif opcode == CLOSE:
                self.closed = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
                self._handler.connection.sendall(frame(CLOSE, payload[:2]))
                return False
            elif opcode in (TEXT, BINARY):
                self.heard += 1
                self.said.append(payload)
        return True

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        """The client's frames that have come whole; it masks them."""
        while len(self._unread) >= 6:
            head, size, at = self._unread[0], self._unread[1] & 0x7F, 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, at = int.from_bytes(self._unread[2 : 2 + width], "big"), 2 + width
            if len(self._unread) < at + 4 + size:
                return
            mask, body = self._unread[at : at + 4], self._unread[at + 4 : at + 4 + size]
            self._unread = self._unread[at + 4 + size :]
            yield head & 0x0F, bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))
