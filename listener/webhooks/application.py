"""What the port of the webhooks serves: a path for each platform, a handshake by GET and calls by POST; nothing else.

A call is answered with 200 only once what it brought is durable. Whatever stands against that, the bus away without
room on our disk, another process that has the source, too many calls at once, or too little time, is 503, with when to
try again: the platform sends it again, and what is sent twice is known by its ids. What is no platform's is refused
before it is looked at, and never repeated.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from listener.clock import Clock
from listener.runtime.logs import reason_of
from listener.runtime.metrics import Metrics
from listener.webhooks.webhook import CallOutcome, Webhook
from listener.webserver.body import NotTaken, Room, read_body

log = logging.getLogger(__name__)

LARGEST: Final = 4 * 1024 * 1024
"""Bytes of a call: far more than the thousand changes that one may hold."""
READING: Final = 32 * 1024 * 1024
"""Bytes of all calls that are read at once. What was read lies in a mailbox, which has a bound of its own."""
ANSWER_SECONDS: Final = 5.0
"""So long may it take until what a call brought is durable. A platform that waits in vain for long calls no more."""
RETRY_SECONDS: Final = 10
"""After so long may a platform send again what was not taken now."""

_MISTAKE: Final = "a stranger's, or else the app's secret or the word of the handshake in the settings is another"

HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def application(webhooks: Mapping[str, Webhook], clock: Clock, metrics: Metrics) -> Starlette:
    """`webhooks`: path without its slash → what is served there."""

    room = Room(READING)
    refused_before: set[str] = set()
    """Said once, until a call is good again: strangers call too."""

    async def called(request: Request) -> Response:
        webhook = webhooks.get(request.path_params["source"])
        if webhook is None:
            return _answer(404)
        try:
            if request.method == "POST":
                outcome, answer = await _take(webhook, request, clock, room)
            else:
                outcome, answer = _greet(webhook, request)
        except NotTaken as refused:
            # What it still sends is not read.
            outcome = CallOutcome.FAILED if refused.status == 503 else CallOutcome.TOO_LARGE
            answer = _answer(refused.status, {"Connection": "close"})
        except ClientDisconnect:
            outcome, answer = CallOutcome.FAILED, _answer(400)
        except Exception as error:
            log.error("webhooks: %s; report it", reason_of(error))
            outcome, answer = CallOutcome.FAILED, _answer(503)
        if outcome is CallOutcome.REFUSED and webhook.source not in refused_before:
            log.warning("webhooks: a call for %s proves nothing, and is refused: %s", webhook.source, _MISTAKE)
        (refused_before.add if outcome is CallOutcome.REFUSED else refused_before.discard)(webhook.source)
        metrics.webhook_calls.labels(webhook.source, outcome).inc()
        if outcome is CallOutcome.TAKEN:
            metrics.webhook_called.labels(webhook.source).set(clock.now().timestamp())
        return answer

    app = Starlette(routes=[Route("/{source}", called, methods=["GET", "POST"])])
    app.router.redirect_slashes = False
    return app


def _greet(webhook: Webhook, request: Request) -> tuple[CallOutcome, Response]:
    if request.method != "GET":
        return CallOutcome.REFUSED, _answer(405)
    greeting = webhook.guard.greet(request.query_params)
    if greeting is None:
        return CallOutcome.REFUSED, _answer(401)
    return CallOutcome.HANDSHAKE, Response(greeting.body, media_type=greeting.media_type, headers=HEADERS)


async def _take(webhook: Webhook, request: Request, clock: Clock, room: Room) -> tuple[CallOutcome, Response]:
    if not webhook.guard.signed(request.headers):
        return CallOutcome.REFUSED, _answer(401)
    body = await read_body(request, LARGEST, room)
    if not webhook.guard.is_genuine(request.headers, body):
        return CallOutcome.REFUSED, _answer(401)
    call = webhook.mailbox.put(body, clock.now())
    if call is None:
        return CallOutcome.FAILED, _answer(503)
    try:
        # Shielded: nobody waits for it any more, and it is kept all the same.
        durable = await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(call.durable)), ANSWER_SECONDS)
    except TimeoutError:
        durable = False
    return (CallOutcome.TAKEN, _answer(200)) if durable else (CallOutcome.FAILED, _answer(503))


def _answer(status: int, more: Mapping[str, str] = {}) -> Response:
    again = {"Retry-After": str(RETRY_SECONDS)} if status == 503 else {}
    return PlainTextResponse("", status, headers={**HEADERS, **again, **more})
