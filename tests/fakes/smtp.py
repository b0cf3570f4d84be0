"""A mail server on a loopback socket that keeps what it accepts and misbehaves on command."""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult


@dataclass(frozen=True)
class Mail:
    to: str
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        message = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def text(self) -> str:
        body = self.message.get_body(("plain",))
        assert body is not None
        return str(body.get_content())

    @property
    def html(self) -> str:
        body = self.message.get_body(("html",))
        assert body is not None
        return str(body.get_content())


class FakeSmtp:
    """`faults` are used up one a message: `421`, `451 rcpt`, `550`, `hang`, `reset`, `accept then reset`."""

    def __init__(self) -> None:
        self.faults: deque[str] = deque()
        self.always: str | None = None
        self.seen: list[Mail] = []
        self.tries = 0
        self.arrived = threading.Event()
        self.port = 0
        self.accounts: dict[bytes, bytes] = {}
        self.logged_in: list[tuple[str, bytes]] = []
        self.options: list[str] = []

    def log_in(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        success = self.accounts.get(data.login) == data.password
        if success:
            self.logged_in.append((mechanism, data.login))
        return AuthResult(success=success, handled=False)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        self.tries += 1
        self.fault = self.faults.popleft() if self.faults else self.always
        if self.fault in ("550", "451 rcpt", "421"):
            return f"{self.fault[:3]} not now, not ever"
        if self.fault == "hang":
            await asyncio.sleep(60)
        if self.fault == "reset":
            server.transport.abort()
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.fault == "451":
            return "451 later"
        if self.fault == "554":
            return "554 no such content"
        self.options = list(envelope.mail_options)
        self.seen.append(Mail(envelope.rcpt_tos[0], envelope.original_content))
        self.arrived.set()
        if self.fault == "accept then reset":
            server.transport.abort()
        return "250 taken"


@contextmanager
def smtp_server(mechanisms: tuple[str, ...] = (), **more: Any) -> Iterator[FakeSmtp]:
    """`mechanisms`: those of AUTH that are offered, for `accounts`; `more` is aiosmtpd's."""
    fake = FakeSmtp()
    if mechanisms:
        others = {"PLAIN", "LOGIN"} - set(mechanisms)
        more |= {"authenticator": fake.log_in, "auth_require_tls": False}
        more["auth_exclude_mechanism"] = others
    # Port 0 is asked for at the socket, so that two servers never want the same one.
    controller = _Controller(fake, hostname="127.0.0.1", port=0, **more)
    controller.start()
    try:
        fake.port = controller.port
        yield fake
    finally:
        controller.stop()


class _Controller(Controller):
    def _trigger_server(self) -> None:
        """aiosmtpd knocks at its own port to begin; with port 0 it is known only now."""
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
