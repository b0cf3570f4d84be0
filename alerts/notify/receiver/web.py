"""The addresses that gateways call, `/CHANNEL/TOKEN/receipt` and `/CHANNEL/TOKEN/reply`, by GET or POST; and the page
by which a person answers, `/a/TOKEN`, where GET only shows.

A call that we can read is answered with 200 once what it says is on the bus, whatever it is about: an unknown id or a
repeat is no fault of the gateway's. Only where the bus cannot write it is 503, so that the gateway calls again. Who
knows no token is told that there is nothing (404). What is too large, too slow or not readable is refused.
"""

from __future__ import annotations

import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from alerts.notify.channels.callbacks import Callbacks, replied, told
from alerts.notify.channels.template import Encoding, Kind, Tree, find, parse
from alerts.notify.links import PATH
from alerts.notify.receiver.answer_page import AnswerPages, Shown, Trouble
from alerts.notify.receiver.html import STYLE, as_page
from alerts.notify.receiver.intake import Call, CallOutcome, ReceiptOf, Replied
from listener.errors import BusError
from listener.runtime.logs import reason_of
from listener.runtime.metrics import Metrics
from listener.webserver.body import NotTaken, read_body
from listener.webserver.jobs import HandOver, NotBegun

log = logging.getLogger(__name__)

LINK = "link"
"""Stands for a channel where the page of a link is counted."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Of a page that only a link leads to: nothing is fetched from elsewhere, and its address is told to nobody."""


def application(
    callbacks: Mapping[str, Callbacks],
    take: Callable[[Call], None],
    hand_over: HandOver,
    metrics: Metrics,
    pages: AnswerPages | None = None,
) -> Starlette:
    """`callbacks`: channel → what its gateway calls with. `take`: writes down what it tells. `pages`: where links are
    set up. Both are called by `hand_over`."""

    async def receipt(request: Request) -> Response:
        channel, its = _whose(request, callbacks)
        if its.receipt is None:
            raise NotTaken(404)
        call = await _read(request, its.receipt.format, its.receipt.encoding)
        receipts = tuple(ReceiptOf(channel, each) for each in told(its.receipt, call))
        await hand_over(lambda: take(receipts), press=True)
        return PlainTextResponse("ok")

    async def reply(request: Request) -> Response:
        channel, its = _whose(request, callbacks)
        if its.reply is None:
            raise NotTaken(404)
        call = await _read(request, its.reply.format, its.reply.encoding)
        answer = replied(its.reply, call, parse(request.scope["query_string"], "form"))
        await hand_over(lambda: take(Replied(channel, *answer)), press=True)
        return Response(its.reply.answer, media_type=_kind(its.reply.answer))

    def guarded(endpoint: Callable[[Request], Awaitable[Response]], what: str) -> Route:
        async def answer(request: Request) -> Response:
            named = str(request.path_params["channel"])
            channel = named if named in callbacks else ""
            try:
                return await endpoint(request)
            except NotTaken as refused:
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

    routes = [guarded(receipt, "receipt"), guarded(reply, "reply")]
    app = Starlette(routes=[*(_page_routes(pages, hand_over, metrics) if pages else ()), *routes])
    # It would send a token on to http, by a host of the caller's choice.
    app.router.redirect_slashes = False
    return app


def _page_routes(pages: AnswerPages, hand_over: HandOver, metrics: Metrics) -> list[Route]:
    """What cannot be read or written is told on a page too: whoever holds the telephone must know that nobody heard."""

    async def page(request: Request) -> Response:
        token = str(request.path_params["token"])
        found: Shown | Trouble | None
        try:
            if pages.links.page_named(token) is None:
                raise NotTaken(404)  # a guess: the bus is not asked
            if request.method == "POST":
                form = await _read(request, "form", "utf-8")
                who, name = (" ".join(find(form, field)) for field in ("who", "name"))
                found = await hand_over(lambda: pages.press(token, who, name), press=True)
            else:
                found = await hand_over(lambda: pages.look(token))
            shown = None if found is None else _answer(found)
        except NotTaken as refused:
            metrics.callbacks.labels(LINK, CallOutcome.REFUSED).inc()
            slow = refused.status == HTTPStatus.REQUEST_TIMEOUT
            return _answer(pages.trouble("away" if slow else "unknown", HTTPStatus(refused.status)))
        except ValueError:
            metrics.callbacks.labels(LINK, CallOutcome.MALFORMED).inc()
            return _answer(pages.trouble("unknown", HTTPStatus.BAD_REQUEST))
        except ClientDisconnect:
            return PlainTextResponse("", 400)
        except Exception as error:
            metrics.callbacks.labels(LINK, CallOutcome.FAILED).inc()
            if not isinstance(error, BusError | TimeoutError):
                log.error("receiver: %s; report it", reason_of(error))
            # What was begun may have been written down all the same.
            unsure = request.method == "POST" and not isinstance(error, NotBegun)
            return _answer(pages.trouble("unsure" if unsure else "away", HTTPStatus.SERVICE_UNAVAILABLE))
        metrics.callbacks.labels(LINK, CallOutcome.ANSWERED if shown is None else CallOutcome.SHOWN).inc()
        if shown is None:
            # To look is asked for anew, so that to load the page again presses nothing.
            return RedirectResponse(token, HTTPStatus.SEE_OTHER, headers=HEADERS)
        return shown

    async def style(_: Request) -> Response:
        return Response(STYLE, media_type="text/css", headers=HEADERS | {"Cache-Control": "max-age=86400"})

    return [
        Route(f"/{PATH}/style.css", style, methods=["GET"]),
        Route(f"/{PATH}/{{token}}", page, methods=["GET", "POST"]),
    ]


def _answer(found: Shown | Trouble) -> Response:
    if isinstance(found, Trouble):
        return HTMLResponse(as_page(found), found.status, headers=HEADERS)
    return HTMLResponse(as_page(found), HTTPStatus.UNPROCESSABLE_ENTITY if found.unchosen else 200, headers=HEADERS)


def _whose(request: Request, callbacks: Mapping[str, Callbacks]) -> tuple[str, Callbacks]:
    channel, token = request.path_params["channel"], request.path_params["token"]
    its = callbacks.get(channel)
    # Compared in constant time also where there is no such channel.
    right = hmac.compare_digest(token.encode(), (its.token if its else "").encode())
    if its is None or not right:
        raise NotTaken(404)
    if request.method == "HEAD":
        raise NotTaken(405)
    return channel, its


async def _read(request: Request, kind: Kind, encoding: Encoding) -> Tree:
    """The fields of a call. Raises NotTaken, and ValueError where they cannot be read."""
    query: bytes = request.scope["query_string"]
    if request.method == "GET":
        return parse(query, "form", encoding)
    body = await read_body(request)
    if not body and query:
        return parse(query, "form", encoding)
    return parse(body, kind, encoding)


def _kind(answer: str) -> str:
    return "text/xml" if answer.startswith("<") else "application/json" if answer.startswith("{") else "text/plain"
