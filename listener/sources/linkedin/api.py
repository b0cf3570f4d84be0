"""What LinkedIn is asked, and what its answers say. Pure.

One call is all there is: the notifications of what happened at the organisation's Page, of up to 60 days, page by page.
In which order they come, and whether the time asked for is kept to, is nowhere promised: neither is relied upon.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from listener.model.gaps import Cause
from listener.sources.common.fields import dicts
from listener.sources.common.json import read_json
from listener.sources.common.polling import Answer, Ask, Outcome, Unanswered
from listener.sources.linkedin.access import Access

PATH: Final = "/rest/organizationalEntityNotifications"
ENDPOINT: Final = "notifications"
ACTIONS: Final = ("COMMENT", "COMMENT_EDIT", "COMMENT_DELETE", "SHARE_MENTION")
PER_PAGE: Final = 100
REACH: Final = timedelta(days=60)


class Trouble(StrEnum):
    """What an answer asks us to do."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    VERSION = "version"
    """426: the version of the API is not served any more. Only whoever sets another can help."""
    LIMITED = "limited"
    """Nothing is left of the day's calls; no header says when there will be."""
    REFUSED = "refused"
    PASSING = "passing"


CAUSES: Final[Mapping[Trouble, Cause]] = {
    Trouble.UNAUTHORIZED: Cause.UNAUTHORIZED,
    Trouble.FORBIDDEN: Cause.FORBIDDEN,
    Trouble.VERSION: Cause.REFUSED,
    Trouble.LIMITED: Cause.RATE_LIMITED,
    Trouble.REFUSED: Cause.REFUSED,
}
_STATUS: Final = {401: Trouble.UNAUTHORIZED, 403: Trouble.FORBIDDEN, 426: Trouble.VERSION, 429: Trouble.LIMITED}


@dataclass(frozen=True, slots=True)
class Failure:
    """`sent`: it counts among the day's calls."""

    trouble: Trouble
    cause: Cause
    status: int = 0
    sent: bool = True


@dataclass(frozen=True, slots=True)
class Page:
    """`elements`: as they came, whatever they are. `more`: there is a next page, though this one may be empty."""

    elements: tuple[Any, ...]
    more: bool


def ask(access: Access, since: datetime, until: datetime, start: int, count: int = PER_PAGE) -> Ask:
    """For the notifications of `[since, until)`, from the `start`-th on."""
    query = (
        f"q=criteria&actions=List({','.join(ACTIONS)})&organizationalEntity={quote(access.organization, safe='')}"
        f"&timeRange=(start:{milliseconds(since)},end:{milliseconds(until)})&start={start}&count={count}"
    )
    headers = {
        "Authorization": f"Bearer {access.key.token}",
        "Linkedin-Version": access.version,
        "X-Restli-Protocol-Version": "2.0.0",
        "Accept": "application/json",
    }
    return Ask(f"{access.base_url}{PATH}?{query}", headers)


def read(outcome: Outcome) -> Page | Failure:
    if isinstance(outcome, Unanswered):
        return Failure(Trouble.PASSING, outcome.cause, sent=outcome.sent)
    if outcome.status != 200:
        return _failure(outcome)
    try:
        raw = read_json(outcome.body)
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or not isinstance(raw.get("elements"), list):
        return Failure(Trouble.PASSING, Cause.GARBLED, 200)
    elements = tuple(raw["elements"])
    return Page(elements, _has_next(raw.get("paging"), len(elements)))


def _failure(answer: Answer) -> Failure:
    status = answer.status
    if (trouble := _STATUS.get(status)) is not None:
        return Failure(trouble, CAUSES[trouble], status)
    if status >= 500:
        return Failure(Trouble.PASSING, Cause.HTTP_5XX, status)
    return Failure(Trouble.REFUSED, Cause.REFUSED, status)


def _has_next(paging: Any, count: int) -> bool:
    """By the links; where there are none, a full page has a next one."""
    if not isinstance(paging, dict):
        return count >= PER_PAGE
    links = paging.get("links")
    if isinstance(links, list) and links:
        return any(link.get("rel") == "next" for link in dicts(links))
    size = paging.get("count")
    return count >= (size if isinstance(size, int) and size > 0 else PER_PAGE)


def milliseconds(at: datetime) -> int:
    return int(at.timestamp()) * 1000 + at.microsecond // 1000
