"""A websocket to where a server says that it streams, and to nowhere else."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from listener.model.gaps import Cause
from listener.sources.mastodon.rest import CAUSES, UNTOLD_WAIT, CallError

WIRE: Final = logging.getLogger(__name__)
"""The client's own log: below a warning it writes what comes, and what comes are people's words."""
WIRE.setLevel(logging.WARNING)

LARGEST: Final = 16_000_000
"""Bytes of a message; posts have some thousand, and what is far longer than one is counted as none."""
CLOSE_SECONDS: Final = 0.3
_PORTS: Final = {"ws": 80, "wss": 443}


@contextmanager
def open_stream(address: str, token: str, seconds: float) -> Iterator[ClientConnection]:
    """Connected within so many real seconds. Raises CallError, also for what breaks it off within the `with`."""
    cause = Cause.UNREACHABLE
    try:
        with connect(
            address,
            additional_headers={"Authorization": f"Bearer {token}"},
            compression=None,
            open_timeout=seconds,
            close_timeout=CLOSE_SECONDS,
            ping_interval=None,
            max_size=LARGEST,
            max_queue=(1024, 256),
            user_agent_header="lyttepost",
            logger=WIRE,
        ) as ws:
            # The client follows redirects; what another host says is nothing that we asked for.
            if not _is_there(ws, address):
                raise CallError(Cause.REFUSED, "its stream sends us elsewhere")
            cause = Cause.RESET
            yield ws
    except InvalidStatus as refused:
        raise _refused(refused.response.status_code) from None
    except ConnectionClosed as closed:
        raise _closed(closed) from None
    except (WebSocketException, OSError, TimeoutError, EOFError, ValueError) as error:
        raise CallError(cause, f"its stream cannot be had ({type(error).__name__})") from None


def _is_there(ws: ClientConnection, address: str) -> bool:
    wanted = urlsplit(address)
    asked = urlsplit(f"//{ws.request.headers.get('Host', '') if ws.request is not None else ''}")
    port = _PORTS[wanted.scheme]
    return (asked.hostname, asked.port or port) == (wanted.hostname, wanted.port or port)


def _refused(status: int) -> CallError:
    why = f"its stream answers {status}"
    if 300 <= status < 400:
        why += ": it is somewhere else by now"
    cause = Cause.HTTP_5XX if status >= 500 else CAUSES.get(status, Cause.REFUSED)
    return CallError(cause, why, status=status, wait=UNTOLD_WAIT if status == 429 else 0.0)


def _closed(closed: ConnectionClosed) -> CallError:
    got = closed.rcvd
    if got is None:
        return CallError(Cause.RESET, "its stream broke off")
    return CallError(Cause.CLOSED, f"it ended the stream ({int(got.code)})")
