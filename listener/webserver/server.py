"""A small web server in a thread of its own, which clients that dawdle cost nothing.

A connection has a deadline for each request, and there is room for so many; when there are more, the oldest that is not
kept open on purpose makes room, and one whose request is yet to come whole before one that waits for its answer.
uvicorn has no deadline for who sends its head byte by byte.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from listener.errors import ConfigError

MAX_CONNECTIONS = 64
DEADLINE_SECONDS = 15.0
"""Of a connection, from its first byte to its last."""
HANDSHAKE_SECONDS = 5.0
"""For a client's part in the handshake of TLS, before its connection counts."""
BACKLOG = 128
HEAD = 16 * 1024
"""Bytes of a request's head, its address included."""
STOP_SECONDS = 2.0


class _Loop(asyncio.SelectorEventLoop):
    """asyncio waits a minute for a client's part in the handshake, and until then it is none of our connections."""

    async def create_server(self, *args: Any, **more: Any) -> asyncio.Server:
        if more.get("ssl") is not None:
            more["ssl_handshake_timeout"] = HANDSHAKE_SECONDS
        return await super().create_server(*args, **more)


class _Config(uvicorn.Config):
    """With what `_Connection` must know."""

    most: int = MAX_CONNECTIONS

    def get_loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop]:
        return _Loop


class _Connection(H11Protocol):
    deadline: asyncio.TimerHandle | None = None
    is_dropped = False
    """It was hung up on, though it is still among the connections until the loop turns."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.deadline = self.loop.call_later(DEADLINE_SECONDS, transport.abort)
        there = [each for each in self.connections if isinstance(each, _Connection) and not each.is_dropped]
        if len(there) > getattr(self.config, "most", MAX_CONNECTIONS):
            mine = [each for each in there if each.deadline]
            min(mine, key=lambda each: (each.waits_for_us, each.deadline.when() if each.deadline else 0.0)).drop()

    @property
    def waits_for_us(self) -> bool:
        """Its request has come whole, and its answer was not begun: it does not dawdle."""
        cycle = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_started

    def drop(self) -> None:
        """Hang up, to make room."""
        self.is_dropped = True
        self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.keep_open()
        super().connection_lost(exc)

    def keep_open(self) -> None:
        """It has no deadline any more."""
        if self.deadline is not None:
            self.deadline.cancel()
            self.deadline = None


class WebServer:
    """Listens from the moment it is made until `close`."""

    def __init__(
        self,
        make: Callable[[WebServer], Any],
        listening: socket.socket,
        name: str,
        *,
        most: int = MAX_CONNECTIONS,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        """`make`: gives the ASGI application. `listening`: of `listen`. `certificate`: its file and its key's; without
        it the server speaks plain HTTP."""
        self._listening = listening
        self.port: int = listening.getsockname()[1]
        config = _Config(
            make(self),
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            # Its log names addresses, and a token may be part of ours.
            log_level=logging.CRITICAL + 1,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=5,
            # So many are let in before the loop turns and closes those that were hung up on.
            backlog=BACKLOG,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=HEAD,
            ssl_certfile=str(certificate[0]) if certificate else None,
            ssl_keyfile=str(certificate[1]) if certificate else None,
        )
        config.most = most
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def stopping(self) -> bool:
        """Who keeps a connection open must end it now."""
        return self._server.should_exit

    def keep_open(self, client: object) -> None:
        """The connection from this address (a scope's `client`) has no deadline any more. For the server's thread."""
        for each in self._server.server_state.connections:
            if isinstance(each, _Connection) and each.client == client:
                each.keep_open()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)

    def _serve(self) -> None:
        try:
            self._server.run(sockets=[self._listening])
        finally:
            self._listening.close()


def listen(host: str, port: int, settings: str) -> socket.socket:
    """`settings`: the part of settings.yaml that says where. Raises ConfigError when the port cannot be had."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        fix = f"stop the program that has it (`ss -ltnp` names it), or set another {settings}.host or {settings}.port"
        raise ConfigError(
            f"{settings}.host, {settings}.port: cannot listen on {host} port {port}: {why}; {fix}"
        ) from None
