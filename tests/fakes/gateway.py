"""Gateways for SMS and voice on a loopback socket, each with the manners that its provider's pages tell of.

A `Manner` says how a request is read, how it is answered, and how a receipt is made. `FakeGateway` takes messages,
misbehaves on command, and calls back.
"""

from __future__ import annotations

import base64
import http.client
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

from tests.fakes.serving import serving

FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Request:
    """One call as it came in. `fields`: of its body, or of its address."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    fields: Any

    @property
    def login(self) -> str:
        return base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode()


class Sent(NamedTuple):
    """A message that the gateway took, and what it calls it."""

    to: str
    text: str
    ids: tuple[str, ...]


class Reply(NamedTuple):
    status: int
    body: bytes
    kind: str = "application/json"


class Call(NamedTuple):
    """A callback: its fields in the address (GET), as a form, or as JSON."""

    method: str
    fields: Mapping[str, Any]
    kind: str = FORM


def as_json(data: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(data, ensure_ascii=False).encode())


@dataclass(frozen=True)
class Manner:
    """`read`: fields → number and text. `accepted`, `refused` (a bad number), `busy`: the answers. `receipt`: id and
    whether it was delivered → the callback. `reply`: number and text → the callback. `parts`: one id a part."""

    read: Callable[[Any], tuple[str, str]]
    accepted: Callable[[tuple[str, ...]], Reply]
    refused: Reply
    temporary: Reply
    receipt: Callable[[str, bool], Call]
    reply: Callable[[str, str], Call] | None = None
    parts: bool = False


def _pswin(session: ElementTree.Element) -> tuple[str, str]:
    return session.findtext("MSGLST/MSG/RCV") or "", session.findtext("MSGLST/MSG/TEXT") or ""


def _pswin_says(status: str, ref: str = "") -> Reply:
    message = f"<MSG><ID>1</ID><REF>{ref}</REF><STATUS>{status}</STATUS><INFO>mottaker på veg</INFO></MSG>"
    said = f"<SESSION><LOGON>OK</LOGON><REASON></REASON><MSGLST>{message}</MSGLST></SESSION>"
    return Reply(
        200, f'<?xml version="1.0"?><!DOCTYPE SESSION SYSTEM "report.dtd">{said}'.encode("latin-1"), "text/xml"
    )


def json_call(**fields: object) -> Call:
    return Call("POST", {name.replace("_", "-"): value for name, value in fields.items()}, "application/json")


def form_call(**fields: object) -> Call:
    return Call("POST", fields)


def get_call(**fields: object) -> Call:
    return Call("GET", fields)


MANNERS: Mapping[str, Manner] = {
    "LINK Mobility": Manner(
        read=lambda data: (data["destination"], data["userData"]),
        accepted=lambda ids: as_json({"messageId": ids[0], "resultCode": 1005, "description": "Queued", "smsCount": 2}),
        refused=as_json({"resultCode": 2104, "description": "Invalid destination"}),
        temporary=as_json({"resultCode": 3, "description": "Try again"}, 500),
        receipt=lambda id_, yes: json_call(
            refId="r", id=f"{id_}$0", operator="no.telenor", resultCode=1001 if yes else 1004, segments=2
        ),
    ),
    "PSWinCom": Manner(
        read=_pswin,
        accepted=lambda ids: _pswin_says("OK", ids[0]),
        refused=_pswin_says("FAIL"),
        temporary=Reply(503, b"busy", "text/plain"),
        receipt=lambda id_, yes: form_call(
            RCV="4740612345", REF=id_, STATE="DELIVRD" if yes else "BARRED", DELIVERYTIME="2031.03.02 03:14"
        ),
        reply=lambda number, text: form_call(SND=number.removeprefix("+"), RCV="2026", TXT=text.encode("latin-1")),
    ),
    "Sveve": Manner(
        read=lambda data: (data["messages"][0]["to"], data["messages"][0]["msg"]),
        accepted=lambda ids: as_json({"response": {"msgOkCount": 1, "stdSMSCount": 1, "ids": [int(ids[0])]}}),
        refused=as_json({"response": {"fatalError": "Feil brukernavn/passord", "msgOkCount": 0}}),
        temporary=Reply(429, b"", "text/plain"),
        receipt=lambda id_, yes: get_call(
            number="+4740612345", status=str(yes).lower(), id=id_, ref="r", errorCode="" if yes else "3"
        ),
        reply=lambda number, text: get_call(number=number.removeprefix("+47"), id="9", msg=text),
    ),
    "46elks": Manner(
        read=lambda form: (form["to"], form["message"]),
        accepted=lambda ids: as_json({"id": ids[0], "status": "created", "cost": 3500, "to": "+4740612345"}),
        refused=Reply(403, b'"Invalid to number"'),
        temporary=Reply(500, b"oops", "text/plain"),
        receipt=lambda id_, yes: form_call(id=id_, status="delivered" if yes else "failed"),
        reply=lambda number, text: form_call(**{"id": "s9", "from": number, "to": "+4660000000", "message": text}),
    ),
    "Twilio": Manner(
        read=lambda form: (form["To"], form["Body"]),
        accepted=lambda ids: as_json({"sid": ids[0], "status": "queued", "error_code": None}, 201),
        refused=as_json({"code": 21614, "message": "'To' number is not a valid mobile number", "status": 400}, 400),
        temporary=as_json({"code": 20429, "message": "Too Many Requests", "status": 429}, 429),
        receipt=lambda id_, yes: form_call(
            MessageSid=id_, MessageStatus="delivered" if yes else "undelivered", ErrorCode="" if yes else "30005"
        ),
        reply=lambda number, text: form_call(MessageSid="SM9", From=number, Body=text),
    ),
    "Vonage": Manner(
        read=lambda form: (form["to"], form["text"]),
        accepted=lambda ids: as_json({"messages": [{"to": "47", "message-id": id_, "status": "0"} for id_ in ids]}),
        refused=as_json({"message-count": "1", "messages": [{"status": "6", "error-text": "Unroutable message"}]}),
        temporary=as_json({"message-count": "1", "messages": [{"status": "1", "error-text": "Throttled"}]}),
        receipt=lambda id_, yes: json_call(
            messageId=id_, status="delivered" if yes else "failed", err_code="0" if yes else "6"
        ),
        reply=lambda number, text: json_call(msisdn=number.removeprefix("+"), text=text),
        parts=True,
    ),
}
"""By the headings of alerts/notify/channels/README.md."""


class FakeGateway:
    """`faults` are used up one a request: `refuse`, `temporary`, `stall`, `drip`, `reset after`, a status (`429`,
    `302`), `garbage` (success that cannot be read), `latin-1` (an answer that is no UTF-8).

    `habits`, for every message that is taken: `receipt first` (it calls back before it answers), `receipts`, `repeats`
    (each receipt thrice), `delivered then failed`. Without any it lies: it takes a message and never says a word again.
    """

    def __init__(self, manner: Manner) -> None:
        self.manner = manner
        self.faults: deque[str] = deque()
        self.habits: set[str] = set()
        self.callback: str | None = None
        self.requests: list[Request] = []
        self.sent: list[Sent] = []
        self.answers: list[int] = []
        self.stop = threading.Event()
        self.port = 0
        self._last = 100
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/send"

    def take(self, request: Request) -> Sent:
        to, text = self.manner.read(request.fields)
        with self._lock:
            count = 2 if self.manner.parts else 1
            ids = tuple(f"{self._last + n}" for n in range(1, count + 1))
            self._last += count
            if self.manner is MANNERS["Twilio"]:
                ids = tuple(f"SM{id_}" for id_ in ids)
            sent = Sent(to, text, ids)
            self.sent.append(sent)
        return sent

    def report(self, sent: Sent, delivered: bool = True) -> None:
        """Call back with a receipt for each id."""
        for id_ in sent.ids:
            for _ in range(3 if "repeats" in self.habits else 1):
                self.call(self.manner.receipt(id_, delivered))

    def call(self, call: Call, path: str = "receipt") -> int:
        """A callback of ours; gives the status it was answered with."""
        assert self.callback is not None
        parts = urlsplit(self.callback)
        where, body = f"{parts.path}/{path}", b""
        if call.kind == "application/json":
            body = json.dumps(call.fields, ensure_ascii=False).encode()
        else:
            body = urlencode(call.fields).encode()
        if call.method == "GET":
            where, body = f"{where}?{body.decode()}", b""
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
        try:
            connection.request(call.method, where, body, {"Content-Type": call.kind})
            self.answers.append(connection.getresponse().status)
        finally:
            connection.close()
        return self.answers[-1]


def _fields(content_type: str, body: bytes) -> Any:
    if "json" in content_type:
        return json.loads(body)
    if "xml" in content_type:
        return ElementTree.fromstring(body)  # noqa: S314
    encoding = "latin-1" if "8859" in content_type else "utf-8"
    pairs = parse_qsl(body.decode("ascii"), True, encoding=encoding, errors="strict")
    assert len(dict(pairs)) == len(pairs), "a field stands twice"
    return dict(pairs)


@contextmanager
def gateway(manner: Manner) -> Iterator[FakeGateway]:
    fake = FakeGateway(manner)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            content_type = self.headers.get("Content-Type", FORM)
            query = urlsplit(self.path).query.encode()
            fields = _fields(content_type, body or query)
            request = Request(self.command, self.path, dict(self.headers), body, fields)
            fake.requests.append(request)
            with suppress(OSError):
                self._answer(request, fake.faults.popleft() if fake.faults else "")

        do_GET = do_PUT = do_POST

        def _answer(self, request: Request, fault: str) -> None:
            if fault == "stall":
                fake.stop.wait(60)
            elif fault == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n")
                while not fake.stop.wait(0.05):
                    self.wfile.write(b" ")
            elif fault == "refuse":
                self._send(fake.manner.refused)
            elif fault == "temporary":
                self._send(fake.manner.temporary)
            elif fault.isdigit():
                self._send(Reply(int(fault), b"", "text/plain"))
            else:
                self._accept(request, fault)

        def _accept(self, request: Request, fault: str) -> None:
            sent = fake.take(request)
            if "receipt first" in fake.habits:
                fake.report(sent)
            if fault == "reset after":
                self.connection.close()
                return
            answer = fake.manner.accepted(sent.ids)
            if fault == "garbage":
                answer = Reply(200, b"<html>login", "text/html")
            elif fault == "latin-1":
                answer = Reply(answer.status, answer.body.replace(b"{", '{"info": "på veg", '.encode("latin-1"), 1))
            self._send(answer)
            if fake.habits & {"receipts", "delivered then failed"}:
                fake.report(sent)
            if "delivered then failed" in fake.habits:
                fake.report(sent, delivered=False)

        def _send(self, answer: Reply) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(Handler, fake.stop) as fake.port:
        yield fake
