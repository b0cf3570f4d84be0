"""What lies on `deliveries`: who is paged about what, each send and what became of it. Hash-chained, without text."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from operator import attrgetter
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from listener.model.base import Chained, Instant
from listener.model.receipts import Receipt
from listener.model.records import Severity
from listener.model.topics import Topic


class Outcome(StrEnum):
    """What became of a send."""

    SENT = "sent"
    TEMPORARY = "temporary_failure"
    PERMANENT = "permanent_failure"


class PageWhy(StrEnum):
    """Why somebody is paged."""

    STEP = "step"
    CHANGED = "changed"
    """Alerts joined the group, or passed, since they were paged."""
    DIGEST = "digest"
    """What the brake had kept, all at once."""
    QUIET_HOURS_OVER = "quiet_hours_over"
    LAST_RESORT = "last_resort"
    """Nobody of the policy could be reached."""
    ASSIGNED = "assigned"
    """A colleague asked this person to take it."""
    CANARY = "canary"
    NOTICE = "notice"
    """Nothing to answer: sent once, by ways that wake nobody; `what` says which."""


class Deferral(StrEnum):
    """Why a page is kept until later."""

    QUIET_HOURS = "quiet_hours"
    BRAKE = "brake"


class Page(Chained):
    """What one person is told at one step, written down before anything is sent. No text.

    `severity`: of the gravest alert that it names; unset in records of older versions.

    `groups`: the groups that it is about, each with the start of its run. `alerts`: every alert that it names and the
    condition in which it names it; an acknowledgement of the page covers exactly these. `held`: alerts that one of them
    holds back. `until`: it is kept so long, for the reason `deferred`, and a later page tells it. Without a person the
    step had nobody. `code` is what its answer names it by.
    """

    type: Literal["page"] = "page"
    id: str
    at: Instant
    why: PageWhy
    person: str = ""
    policy: str = ""
    groups: Mapping[str, Instant] = Field(default_factory=dict)
    round: int = 0
    step: int = 0
    alerts: Mapping[str, str] = Field(default_factory=dict)
    held: tuple[str, ...] = ()
    until: Instant | None = None
    deferred: Deferral | None = None
    what: str = ""
    gently: bool = False
    """By ways that wake nobody, where the person has any."""
    about: str = ""
    """The page that it helps to answer; the silence that it says will end."""
    way: tuple[str, str] | None = None
    """Channel and target, where it goes by that way alone."""
    code: str = ""
    exercise: bool = False
    severity: Severity | None = None
    repeats: bool = False
    """The person had the same just before, with a step that was refused: it is sent with the mark."""

    @property
    def key(self) -> str:
        return next(iter(self.alerts), self.id)


class Delivery(Chained):
    """An intent to send a page to somebody by one way (`outcome` unset), or what became of it. No text.

    `intent` names the page, channel and target; `attempt` counts tries; `may_repeat` says that the same may have been
    sent before. `alerts`: all that the page names, `alert` the first of them. `provider_ids`: what the provider calls
    it, by which its receipts will speak of it.
    """

    type: Literal["delivery"] = "delivery"
    intent: str
    page: str = ""
    alert: str
    alerts: tuple[str, ...] = ()
    at: Instant
    step: int
    channel: str
    target: str
    attempt: int = 1
    may_repeat: bool = False
    exercise: bool = False
    outcome: Outcome | None = None
    reason: str | None = None
    provider_ids: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.alert


DeliveriesRecord = Annotated[Page | Delivery | Receipt, Field(discriminator="type")]
DELIVERIES: Topic[Page | Delivery | Receipt] = Topic("deliveries", TypeAdapter(DeliveriesRecord), attrgetter("key"))
