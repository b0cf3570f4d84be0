"""What is to be written down at an instant, and the groups that it is worked out from: data, see `escalation`."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from alerts.duty.policy import Policy
from alerts.notify.state import AlertState
from listener.model.deliveries import Page, PageWhy
from listener.model.records import Severity


class Fault(StrEnum):
    """What ops must know about telling people."""

    EMPTY_STEP = "empty_step"
    """Nobody stands where a step of a policy looks."""
    UNKNOWN_ROUTE = "unknown_route"
    """A rule names a route or policy that people.yaml does not have."""
    POLICY_GONE = "policy_gone"
    """Open alerts were paged by a policy that people.yaml no longer has: they go by their route as it is now."""
    ALL_FAILED = "all_failed"
    """Nobody of a policy could be reached: the last resort is called."""


class NoticeKind(StrEnum):
    ACKNOWLEDGED = "acknowledged"
    """Somebody has it."""
    RESOLVED = "resolved"
    SILENCE_ENDS_SOON = "silence_ends_soon"
    HELP = "help"
    """To who wrote what we do not understand; the receiver writes it down."""
    INCIDENT = "incident"
    """What an alert of the type `notice` says."""
    REPORT = "report"
    """The situation report, by ways that take documents."""


@dataclass(frozen=True)
class Trouble:
    """Found at a step: `policy` is whose, `about` the first alert of the page."""

    what: Fault
    policy: str
    step: int
    about: str


@dataclass
class Plan:
    """`reopened`: acknowledged alerts that wait for an answer again, and since when. `wake_at`: when to ask again at
    the latest, though nothing happens. `codes`: those of `pages`."""

    pages: list[Page] = field(default_factory=list)
    reopened: list[tuple[AlertState, datetime]] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    codes: set[str] = field(default_factory=set)
    wake_at: datetime | None = None

    def wake(self, at: datetime) -> None:
        self.wake_at = at if self.wake_at is None else min(self.wake_at, at)

    @property
    def is_empty(self) -> bool:
        return not (self.pages or self.reopened)


@dataclass(frozen=True)
class AlertGroup:
    """The members, the most severe and newest first, each with the instant since when it may be paged, and whether at
    once."""

    id: str
    name: str
    policy: Policy | None
    members: tuple[AlertState, ...]
    since: Mapping[str, datetime]
    at_once: Container[str]

    @property
    def severity(self) -> Severity:
        return self.members[0].alert.severity

    def conditions(self) -> dict[str, str]:
        return {state.id: state.condition.value for state in self.members}


def named(page: Page, id_: str, why: PageWhy, *, gently: bool = False) -> Page:
    """With its id, and the code that answers it."""
    code = str(1000 + int(id_, 16) % 9000) if page.person else ""
    return page.model_copy(update={"id": id_, "why": why, "gently": gently, "code": code})


def digest(*parts: str) -> str:
    """A short id that is the same for the same parts."""
    return sha256("\x1f".join(parts).encode()).hexdigest()[:16]
