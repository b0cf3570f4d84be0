"""A gateway for SMS or voice over HTTP, as the settings describe it: what it is sent, and how its answer is understood.

There are as many of them as there are providers, and none is worth a program of its own: README.md in this folder has
ready settings for six. What a placeholder is filled with can never become a field of its own (`template.py`).

A gateway may refuse inside HTTP 200: `success` is about status and body, `codes` about which refusals pass. A refusal
that stands in neither list is permanent: the gateway did say no, so the next person is called now. An answer of success
that cannot be read may have been one, and is uncertain.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, Literal

import phonenumbers
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from urllib3.util import Url

from alerts.notify.channels import http
from alerts.notify.channels.callbacks import (
    MOST_IDS,
    TOKEN,
    Callbacks,
    ReceiptSettings,
    ReplySettings,
    Word,
    fine_id,
    matches,
)
from alerts.notify.channels.contract import ChannelError, Deliver, FailureReason, SendNote
from alerts.notify.channels.http_settings import LoginSettings, secret_or_fail
from alerts.notify.channels.template import Body, Tree, find, parse, said
from listener.errors import ConfigError
from listener.settings.types import FilePath, read_secret

NUMBER = frozenset({"to", "digits", "local"})
PLACEHOLDERS = NUMBER | {"text", "id", "user", "password"}
"""`to`: +4740612345. `digits`: without +. `local`: without the country. `id`: ours, the same at each attempt."""
LONGEST_CODE = 9
"""Digits of a code that is kept."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Condition(_Strict):
    """What an answer must say at `path`: all values there are `equals`, or match, or there is none (`absent`)."""

    path: str = ""
    equals: Annotated[str | int | float | bool, AfterValidator(said)] | None = None
    matches: Word | None = None
    absent: bool = False

    @model_validator(mode="after")
    def _one_test(self) -> Condition:
        if (self.equals is not None) + (self.matches is not None) + self.absent != 1:
            raise ValueError("write one of equals, matches and absent: true")
        return self

    def holds(self, answer: Tree) -> bool:
        found = find(answer, self.path)
        if self.absent:
            return not found
        wanted = re.escape(str(self.equals)) if self.equals is not None else self.matches
        return bool(found) and all(matches((wanted,), each) for each in found)


class Success(_Strict):
    """`status`: any of these, or any 2xx where none is named. `body`: all of these hold."""

    status: tuple[Annotated[int, Field(ge=200, le=299)], ...] = ()
    body: tuple[Condition, ...] = ()


class Codes(_Strict):
    """The gateway's own codes, found at `path` of its answer whatever the status: which of them mean what."""

    path: str
    permanent: tuple[Word, ...] = ()
    temporary: tuple[Word, ...] = ()
    bad_number: tuple[Word, ...] = ()


class GatewaySettings(LoginSettings):
    """`ids`: where in the answer the message's ids stand. The user and password are sent as basic authentication,
    unless the body names them. `callback_token`: of the address that the gateway calls back."""

    method: Literal["POST", "GET", "PUT"] = "POST"
    body: Body
    answer: Literal["json", "xml", "text"] = "json"
    success: Success = Success()
    codes: Codes | None = None
    ids: tuple[str, ...] = ()
    receipt: ReceiptSettings | None = None
    reply: ReplySettings | None = None
    callback_token: SecretStr | None = None
    callback_token_file: FilePath | None = None

    @model_validator(mode="after")
    def _can_send(self) -> GatewaySettings:
        names = self.body.placeholders
        if unknown := sorted(names - PLACEHOLDERS):
            raise ValueError(f"body: {{{unknown[0]}}} is no placeholder; known: {', '.join(sorted(PLACEHOLDERS))}")
        if "text" not in names or not names & NUMBER:
            raise ValueError("body: names no {text}, or none of {to}, {digits} and {local}: nobody would hear anything")
        if names & {"user", "password"} and self.user is None:
            raise ValueError("body: names {user} or {password}, and neither is set")
        if self.method == "GET" and self.body.form is None:
            raise ValueError("a GET has no body: write a form, which is sent in the address")
        if (self.receipt or self.reply) and self.token is None:
            raise ValueError("receipt and reply need callback_token or callback_token_file")
        return self

    @property
    def token(self) -> str | None:
        """Raises ValueError, which does not repeat it."""
        try:
            found = read_secret(self.callback_token, self.callback_token_file, "callback_token")
        except ConfigError as error:
            raise ValueError(str(error)) from None
        if found is not None and not TOKEN.fullmatch(found.get_secret_value()):
            raise ValueError("callback_token must be 16 or more letters without accents, digits, - or _")
        return found.get_secret_value() if found else None

    @property
    def callbacks(self) -> Callbacks | None:
        """None where the gateway does not call. Raises ValueError when the token's file is gone."""
        token = self.token
        return Callbacks(token, self.receipt, self.reply) if token and (self.receipt or self.reply) else None


def message(settings: GatewaySettings, number: str, text: str, note: SendNote) -> Deliver:
    """Make what sends `text`, one line, to `number`, as `numbers.py` writes it. Raises ChannelError."""
    values = {
        "to": number,
        "digits": number.removeprefix("+"),
        "local": str(phonenumbers.parse(number).national_number),
        "text": text,
        "id": note.intent,
        "user": settings.user or "",
        "password": secret_or_fail(settings),
    }
    body, content_type = settings.body.fill(values)
    headers = settings.sent_headers()
    if not settings.body.placeholders & {"user", "password"}:
        headers |= settings.login()
    url, content = settings.address, body
    if settings.method == "GET":
        url, content = _with_query(url, body.decode()), b""
    else:
        headers["Content-Type"] = content_type
    return partial(_send, settings, url, content, headers)


def _with_query(url: Url, query: str) -> Url:
    return url._replace(query=f"{url.query}&{query}" if url.query else query)


def _send(settings: GatewaySettings, url: Url, body: bytes, headers: dict[str, str]) -> tuple[str, ...]:
    answer = http.exchange(url, body or None, headers, timeout=settings.timeout, method=settings.method, read=True)
    try:
        said_by_it: Any = parse(answer.body, settings.answer)
    except ValueError:
        said_by_it = None
    its = settings.success
    accepted = answer.status in its.status if its.status else answer.status // 100 == 2
    if accepted and said_by_it is None and its.body:
        raise ChannelError(FailureReason.NO_ANSWER, permanent=False, code=answer.status)
    if accepted and all(condition.holds(said_by_it) for condition in its.body):
        found = dict.fromkeys(id_ for path in settings.ids for id_ in find(said_by_it, path) if fine_id(id_))
        return tuple(found)[:MOST_IDS]
    raise _refusal(settings.codes, said_by_it, answer.status)


def _refusal(codes: Codes | None, said_by_it: Tree, status: int) -> ChannelError:
    word = next(iter(find(said_by_it, codes.path)), "") if codes else ""
    number = int(word) if word.isascii() and word.isdigit() and len(word) <= LONGEST_CODE else status
    if codes and word:
        for words, reason, permanent in (
            (codes.temporary, FailureReason.BUSY, False),
            (codes.bad_number, FailureReason.BAD_TARGET, True),
            (codes.permanent, FailureReason.REFUSED, True),
        ):
            if matches(words, word):
                return ChannelError(reason, permanent=permanent, code=number)
    try:
        http.judge(status)
    except ChannelError as error:
        return error
    return ChannelError(FailureReason.REFUSED, permanent=True, code=number)
