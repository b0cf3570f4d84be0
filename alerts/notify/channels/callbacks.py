"""What a gateway tells us by itself, at an address of ours: receipts of what we sent, and what people replied.

Settings say where each thing stands in its call; `told` and `replied` read it. `alerts.notify.receiver` is who listens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict

from alerts.notify.channels.numbers import same_number
from alerts.notify.channels.template import Encoding, Tree, find, said
from alerts.notify.channels.text import one_line
from listener.model.receipts import Received

LONGEST_ID = 200
LONGEST_CODE = 40
LONGEST_REPLY = 500
MOST_IDS = 20
"""Of one message or one call: more are somebody else's."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")


def _pattern(text: object) -> str:
    word = said(text)
    try:
        re.compile(word)
    except re.error:
        raise ValueError("is no regular expression") from None
    return word


Word = Annotated[str | int | float | bool, AfterValidator(_pattern)]
"""A regular expression that a whole word must match; `0`, `true` and `delivered` are the simplest ones."""


def matches(words: Sequence[object], text: str) -> bool:
    return any(re.fullmatch(str(word), text) for word in words)


class _Call(BaseModel):
    """`format` is that of a POST's body; a GET has its fields in the address. `encoding`: of the letters of a form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["form", "json", "xml"] = "form"
    encoding: Encoding = "utf-8"


class ReceiptSettings(_Call):
    """`id`, `outcome`, `code`: where they stand. `part`: the end of an id that tells the parts of one message apart.
    An outcome in none of the lists is pending: it decides nothing."""

    id: str
    part: Annotated[str, AfterValidator(_pattern)] | None = None
    outcome: str
    delivered: tuple[Word, ...]
    undelivered: tuple[Word, ...]
    code: str | None = None


class ReplySettings(_Call):
    """`number`: who wrote or pressed a key. `text`: what. `id`: which message or call that was, by the gateway's id or
    by ours, which may stand in the address that the gateway was given (`…/reply?id={id}`). `answer`: what the gateway
    is told, if it wants to hear more than that we have it (TwiML, JSON)."""

    number: str
    text: str
    id: str | None = None
    answer: str = ""


class Callbacks(NamedTuple):
    """`token` stands in the address that the gateway calls: who does not know it is not listened to."""

    token: str
    receipt: ReceiptSettings | None
    reply: ReplySettings | None


@runtime_checkable
class CallsBack(Protocol):
    """A channel whose gateway calls us."""

    @property
    def callbacks(self) -> Callbacks | None: ...


class Told(NamedTuple):
    """One receipt."""

    id: str
    part: str | None
    outcome: Received
    code: str | None


def told(settings: ReceiptSettings, call: Tree) -> list[Told]:
    """The receipts of one call, mostly one. Raises ValueError when it holds none."""
    ids, outcomes = find(call, settings.id), find(call, settings.outcome)
    codes = find(call, settings.code) if settings.code else []
    if not ids or len(ids) != len(outcomes) or len(ids) > MOST_IDS:
        raise ValueError("an id and an outcome for each must be there")
    if len(codes) != len(ids):
        codes = outcomes
    return [_told(settings, *each) for each in zip(ids, outcomes, codes, strict=True)]


def _told(settings: ReceiptSettings, whole: str, word: str, code: str) -> Told:
    id_, part = whole, None
    if settings.part and (found := re.search(f"(?:{settings.part})$", whole)) and found.start():
        id_, part = whole[: found.start()], found[0]
    if not fine_id(id_):
        raise ValueError("the id is none")
    outcome = Received.PENDING
    if matches(settings.delivered, word):
        outcome = Received.DELIVERED
    elif matches(settings.undelivered, word):
        outcome = Received.UNDELIVERED
    return Told(id_, part and one_line(part, LONGEST_CODE), outcome, one_line(code, LONGEST_CODE) or None)


def fine_id(text: str) -> bool:
    """Whether it may be what a provider calls a message: it is kept for years."""
    return 0 < len(text) <= LONGEST_ID and text.isascii() and text.isprintable()


class Reply(NamedTuple):
    """One reply. `id`: of the message or call that it answers; empty where the gateway does not say."""

    number: str
    text: str
    id: str


def replied(settings: ReplySettings, call: Tree, query: Tree = None) -> Reply:
    """`query`: what stands in the address that was called, where the id may be. Raises ValueError when there is no
    number; a reply may be empty."""
    number = next((same for each in find(call, settings.number) if (same := same_number(each))), None)
    if number is None:
        raise ValueError("a number must be there")
    ids = (find(call, settings.id) or find(query, settings.id)) if settings.id else []
    text = one_line(" ".join(find(call, settings.text)), LONGEST_REPLY)
    return Reply(number, text, next(filter(fine_id, ids), ""))
