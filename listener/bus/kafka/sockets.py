"""Sockets that are closed when a connection does not come about.

kafka-python leaves those to the garbage collector; while a cluster is away, which is a refused connection each second
and client, a process that collects seldom would run out of file handles. It takes other kinds of connections by the
scheme of `proxy_url`: this is one that goes through no proxy.
"""

from __future__ import annotations

from typing import Any

from kafka.net.inet import KafkaNetSocket

DIRECT = "direct://"


class ClosingSocket(KafkaNetSocket):
    """Registers itself with kafka-python by being defined."""

    SCHEMES = ("direct",)

    async def connect(self, net: Any, addrinfo: Any, socket_options: Any = (), timeout_at: float | None = None) -> Any:
        family, kind, protocol, _, address = addrinfo
        made = self.socket(family, kind, protocol)
        try:
            made.setblocking(False)
            for option in socket_options:
                made.setsockopt(*option)
            return await self.sock_connect(net, made, address, timeout_at=timeout_at)  # type: ignore[no-untyped-call]
        except BaseException:
            made.close()
            raise
