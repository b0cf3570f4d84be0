"""Sockets that are closed when a connection does not come about, and are read to their end.

kafka-python leaves those to the garbage collector; while a cluster is away, which is a refused connection each second
and client, a process that collects seldom would run out of file handles. It takes other kinds of connections by the
scheme of `proxy_url`: this is one that goes through no proxy.

And what comes together with the end of a connection it throws away. A broker that refuses us says why and closes: on a
busy machine both are there when the client looks, and a wrong password looked like a broker that is away.
"""

from __future__ import annotations

from typing import Any

from kafka.net import manager, transport
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


class ToTheEnd(transport.KafkaTCPTransport):
    """What was read is given first; the end comes when it is all that is left."""

    def _sock_recv(self) -> tuple[bytes, BaseException | None]:
        data, error = super()._sock_recv()  # type: ignore[misc]
        return data, None if data else error


class ToTheEndUnderTls(transport.KafkaSSLTransport):
    def _sock_recv(self) -> tuple[bytes, BaseException | None]:
        data, error = super()._sock_recv()  # type: ignore[misc]
        return data, None if data else error


# The client has no option for it: its connections are made of what these two names stand for.
vars(manager).update(KafkaTCPTransport=ToTheEnd, KafkaSSLTransport=ToTheEndUnderTls)
