"""The addresses that gateways call, `/CHANNEL/TOKEN/receipt` and `/CHANNEL/TOKEN/reply`, by GET or POST.

A call that we can read is answered with 200 once what it says is on the bus, whatever it is about: an unknown id or a
repeat is no fault of the gateway's. Only where the bus cannot write it is 503, so that the gateway calls again. Who
knows no token is told that there is nothing (404). What is too large, too slow or not readable is refused.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from alerts.notify.channels.callbacks import Callbacks, ReceiptSettings, ReplySettings, replied, told
from alerts.notify.channels.template import Tree, parse
from alerts.notify.receiver.intake import CallOutcome, Job, ReceiptOf, Replied
from listener.errors import BusError
from listener.runtime.logs import reason_of
from listener.runtime.metrics import Metrics

log = logging.getLogger(__name__)

LARGEST = 64 * 1024
"""Bytes of a call's body or address."""
BODY_SECONDS = 5.0
"""For all of a call's body, however it drips."""

Take = Callable[[Job], Awaitable[None]]
"""Durable when it returns. Raises BusError or TimeoutError."""


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        self.status = status


def application(callbacks: Mapping[str, Callbacks], take: Take, metrics: Metrics) -> Starlette:
    """`callbacks`: channel → what its gateway calls with."""

    async def receipt(request: Request) -> Response:
        channel, its = _whose(request, callbacks)
        if its.receipt is None:
            raise _Refused(404)
        call = await _read(request, its.receipt)
        await take(tuple(ReceiptOf(channel, each) for each in told(its.receipt, call)))
        return PlainTextResponse("ok")

    async def reply(request: Request) -> Response:
        channel, its = _whose(request, callbacks)
        if its.reply is None:
            raise _Refused(404)
        number, text = replied(its.reply, await _read(request, its.reply))
        await take(Replied(channel, number, text))
        return Response(its.reply.answer, media_type=_kind(its.reply.answer))

    def guarded(endpoint: Callable[[Request], Awaitable[Response]], what: str) -> Route:
        async def answer(request: Request) -> Response:
            named = str(request.path_params["channel"])
            channel = named if named in callbacks else ""
            try:
                return await endpoint(request)
            except _Refused as refused:
                metrics.callbacks.labels(channel, CallOutcome.REFUSED).inc()
                return PlainTextResponse("", refused.status)
            except ValueError as error:
                metrics.callbacks.labels(channel, CallOutcome.MALFORMED).inc()
                where = f"channels.{channel}.{what}"
                log.warning("receiver: a call about %s cannot be read: %s; compare it with its pages", where, error)
                return PlainTextResponse("", 400)
            except (BusError, TimeoutError):
                metrics.callbacks.labels(channel, CallOutcome.FAILED).inc()
                return PlainTextResponse("", 503)
            except ClientDisconnect:
                return PlainTextResponse("", 400)
            except Exception as error:
                metrics.callbacks.labels(channel, CallOutcome.FAILED).inc()
                log.error("receiver: %s; report it", reason_of(error))
                return PlainTextResponse("", 500)

        return Route(f"/{{channel}}/{{token}}/{what}", answer, methods=["GET", "POST"])

    return Starlette(routes=[guarded(receipt, "receipt"), guarded(reply, "reply")])


def _whose(request: Request, callbacks: Mapping[str, Callbacks]) -> tuple[str, Callbacks]:
    channel, token = request.path_params["channel"], request.path_params["token"]
    its = callbacks.get(channel)
    # Compared in constant time also where there is no such channel.
    right = hmac.compare_digest(token.encode(), (its.token if its else "").encode())
    if its is None or not right:
        raise _Refused(404)
    if request.method == "HEAD":
        raise _Refused(405)
    return channel, its


async def _read(request: Request, settings: ReceiptSettings | ReplySettings) -> Tree:
    """The fields of a call. Raises ValueError where they cannot be read."""
    query: bytes = request.scope["query_string"]
    if request.method == "GET":
        return parse(query, "form", settings.encoding)
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for more in request.stream():
                body += more
                if len(body) > LARGEST:
                    raise _Refused(413)
    except TimeoutError:
        raise _Refused(408) from None
    if not body and query:
        return parse(query, "form", settings.encoding)
    return parse(body, settings.format, settings.encoding)


def _kind(answer: str) -> str:
    return "text/xml" if answer.startswith("<") else "application/json" if answer.startswith("{") else "text/plain"
