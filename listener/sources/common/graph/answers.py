"""What became of a call to the Graph API, and what to do about it: one type that all sources of Meta's read. Pure.

| told | outcome | asked again |
|---|---|---|
| 4, 17, 32, 613, 80001, 80002; 429; 4xx with no code at 100 % | RATE_LIMITED | not before the time told, by nobody |
| 190, 102, 104 | UNAUTHORIZED | with another token |
| 190 of subcode 492; 10; 200 to 299 | FORBIDDEN | once an hour: a role that is given back makes no new token |
| 368; 100, 1705; any other code | STOPPED | by a person's word |
| 1, 2; 5xx; no answer, or none that can be read | UNAVAILABLE | after a pause that grows |

Nothing that Meta wrote is repeated but its numbers: a message may hold a name, or the token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from listener.model.gaps import Cause
from listener.sources.common.graph.usage import Usage

LIMITS: Final = frozenset({4, 17, 32, 613, 80001, 80002})
_TOKEN: Final = frozenset({102, 104, 190})
_ROLE_GONE: Final = 492
_NOT_THERE: Final = 100
_BRIEF: Final = frozenset({1, 2})
FORBIDDEN_SECONDS: Final = 3600.0


class Outcome(StrEnum):
    """What happened, by what follows from it."""

    OK = "ok"
    RATE_LIMITED = "rate_limited"
    """Not one call before the time told: each makes the wait longer."""
    UNAUTHORIZED = "unauthorized"
    """The token is expired or void. The same will never do again."""
    FORBIDDEN = "forbidden"
    """A role or a permission is missing, or was taken away for want of use."""
    STOPPED = "stopped"
    """Blocked, or asked what the API does not know: the same again will do no better, and a person must look."""
    UNAVAILABLE = "unavailable"
    """A fault of Meta's or of the network, which passes."""


CAUSES: Final = {
    Outcome.RATE_LIMITED: Cause.RATE_LIMITED,
    Outcome.UNAUTHORIZED: Cause.UNAUTHORIZED,
    Outcome.FORBIDDEN: Cause.FORBIDDEN,
    Outcome.STOPPED: Cause.REFUSED,
}
"""Of a gap, by what Meta answers. A call that is `UNAVAILABLE` has its own: see `Answer.cause`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`data` is the decoded answer, empty unless `outcome` is OK. `wait`: the same may be asked again after so many
    seconds; None: not before a person has changed something. `asked` is False where the call was not made, because it
    would have been too early.

    `date` is when Meta says that it answered. `why` is for a person, and holds no word of Meta's.
    """

    outcome: Outcome
    data: Mapping[str, Any] = field(default_factory=dict)
    wait: float | None = 0.0
    asked: bool = True
    status: int = 0
    code: int = 0
    subcode: int = 0
    date: datetime | None = None
    usage: Usage = field(default_factory=Usage)
    version: str = ""
    """In which version of the API it was answered, as the answer says."""
    trace: str = ""
    """Meta's own number of the call, for whoever asks them."""
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.OK

    @property
    def not_there(self) -> bool:
        """What was asked for is not there, or we may not see it: of a single thing nothing tells these apart."""
        return self.code == _NOT_THERE

    @property
    def cause(self) -> Cause:
        """Why nothing was heard, for a gap."""
        if self.outcome is Outcome.UNAVAILABLE:
            return Cause.HTTP_5XX if self.status >= 500 or self.code in _BRIEF else Cause.UNREACHABLE
        return CAUSES.get(self.outcome, Cause.GARBLED)

    @property
    def needs_person(self) -> bool:
        """Nothing but what a person does makes it well."""
        return self.outcome in (Outcome.UNAUTHORIZED, Outcome.FORBIDDEN, Outcome.STOPPED)

    def items(self) -> list[Mapping[str, Any]]:
        """The objects of a page."""
        raw = self.data.get("data")
        return [each for each in raw if isinstance(each, dict)] if isinstance(raw, list) else []


@dataclass(frozen=True, slots=True)
class Failure:
    """Meta's error, as far as it is numbers."""

    code: int = 0
    subcode: int = 0
    transient: bool = False
    trace: str = ""


def failure_of(body: Any) -> Failure | None:
    """The error in a decoded answer; None where there is none."""
    raw = body.get("error") if isinstance(body, dict) else None
    if not isinstance(raw, dict):
        return None
    trace = raw.get("fbtrace_id")
    return Failure(
        _int(raw.get("code")),
        _int(raw.get("error_subcode")),
        raw.get("is_transient") is True,
        trace if isinstance(trace, str) and re.fullmatch(r"[\w-]{1,40}", trace) else "",
    )


def outcome_of(status: int, failure: Failure | None, *, used_up: bool = False) -> Outcome:
    """What an answer that holds no data says. Without an error of Meta's a status is the word of some proxy's, and no
    word of the token; but one with `used_up` in its head, a limit that is used up, is a refusal for that."""
    if failure is None or not failure.code:
        limited = status == 429 or (used_up and 400 <= status < 500)
        return Outcome.RATE_LIMITED if limited else Outcome.UNAVAILABLE
    if failure.code in LIMITS or status == 429:
        return Outcome.RATE_LIMITED
    if failure.code == 10 or 200 <= failure.code <= 299:
        return Outcome.FORBIDDEN
    if failure.code in _TOKEN:
        return Outcome.FORBIDDEN if failure.subcode == _ROLE_GONE else Outcome.UNAUTHORIZED
    if failure.code in _BRIEF or status >= 500 or failure.transient:
        return Outcome.UNAVAILABLE
    return Outcome.STOPPED


_WHY: Final = {
    Outcome.RATE_LIMITED: "too many calls",
    Outcome.UNAUTHORIZED: "the token is not accepted: it has expired, or the password was changed",
    Outcome.FORBIDDEN: "a role or permission is missing, or ended after 90 days without use",
    Outcome.STOPPED: "the call is refused",
    Outcome.UNAVAILABLE: "Meta is not available",
}
_OF_CODE: Final = {
    _NOT_THERE: "something that is asked for is not there, or not for a token of this kind",
    368: "our app or account is blocked for what Meta takes as misuse",
    1705: "the id or the kind of token is wrong",
}


def why_of(outcome: Outcome, status: int, failure: Failure | None) -> str:
    """For a person: what is the case, with the numbers by which Meta's pages explain it."""
    if failure is None or not failure.code:
        return f"{_WHY[outcome]} (HTTP {status})" if status else _WHY[outcome]
    words = _OF_CODE.get(failure.code, _WHY[outcome]) if outcome is Outcome.STOPPED else _WHY[outcome]
    sub = f", subcode {failure.subcode}" if failure.subcode else ""
    trace = f", trace {failure.trace}" if failure.trace else ""
    return f"{words} (code {failure.code}{sub}{trace})"


def _int(raw: Any) -> int:
    """A number that fits; 0 for what is none."""
    if isinstance(raw, str) and re.fullmatch(r"[0-9]{1,9}", raw):
        return int(raw)
    return raw if type(raw) is int and 0 <= raw < 10**9 else 0
