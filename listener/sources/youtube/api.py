"""What is asked of YouTube's Data API v3, and what its answers mean. Pure: nothing is sent here.

The key goes in a header and stands in no address. What an error says in words may hold markup and our own request:
only its `reason`, a word of the API's, is repeated.

Source: YouTube Data API v3, `commentThreads.list`, `comments.list` (a unit each, failed calls too), *Errors*; Google's
system parameters (`X-Goog-Api-Key`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode

from listener.model.gaps import Cause
from listener.sources.common.json import read_json
from listener.sources.common.polling import Ask, Outcome, Unanswered

THREADS: Final = "/youtube/v3/commentThreads"
COMMENTS: Final = "/youtube/v3/comments"
COST: Final = 1
"""Units of each of our calls."""
MOST_IDS: Final = 50
"""Ids in one call."""
_SIZE: Final = "100"
"""Asked for on a page; users report some 20 threads all the same."""


class Trouble(StrEnum):
    """Why there is no page, by what follows from it."""

    NETWORK = "network"
    SERVER = "server"
    QUOTA = "quota"
    """Nothing is left of the day's units."""
    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    DISABLED = "disabled"
    """Comments are turned off there: no fault."""
    GONE = "gone"
    """What was asked about is not there (any more)."""
    PAGE = "page"
    """Its token of a page is not taken: again, from page one."""
    REFUSED = "refused"


_CAUSES: Final[Mapping[Trouble, Cause]] = {
    Trouble.SERVER: Cause.HTTP_5XX,
    Trouble.QUOTA: Cause.RATE_LIMITED,
    Trouble.RATE_LIMITED: Cause.RATE_LIMITED,
    Trouble.UNAUTHORIZED: Cause.UNAUTHORIZED,
    Trouble.FORBIDDEN: Cause.FORBIDDEN,
}
_BY_REASON: Final[Mapping[str, Trouble]] = {
    "quotaExceeded": Trouble.QUOTA,
    "dailyLimitExceeded": Trouble.QUOTA,
    "rateLimitExceeded": Trouble.RATE_LIMITED,
    "userRateLimitExceeded": Trouble.RATE_LIMITED,
    "commentsDisabled": Trouble.DISABLED,
    "processingFailure": Trouble.PAGE,
    "invalidPageToken": Trouble.PAGE,
    "API_KEY_INVALID": Trouble.UNAUTHORIZED,
    "keyInvalid": Trouble.UNAUTHORIZED,
    "keyExpired": Trouble.UNAUTHORIZED,
    "authError": Trouble.UNAUTHORIZED,
}
_BY_STATUS: Final[Mapping[int, Trouble]] = {
    401: Trouble.UNAUTHORIZED,
    403: Trouble.FORBIDDEN,
    404: Trouble.GONE,
    429: Trouble.RATE_LIMITED,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `endpoint` is what the account of the day calls it; `owner`: it is asked in the owner's name."""

    endpoint: str
    path: str
    params: Mapping[str, str] = field(repr=False)
    owner: bool = False

    def ask(self, base_url: str, headers: Mapping[str, str]) -> Ask:
        """`headers` hold the key or the owner's token."""
        return Ask(f"{base_url}{self.path}?{urlencode(self.params)}", {"Accept": "application/json", **headers})


@dataclass(frozen=True, slots=True)
class Page:
    """`at`: the platform's clock, where the answer tells it; `next`: the token of the page behind it."""

    items: tuple[Mapping[str, Any], ...] = field(repr=False)
    next: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """`why`: the API's own word, or the status."""

    trouble: Trouble
    cause: Cause
    why: str = ""


def listed(channel: str, token: str | None = None, *, held: bool = False) -> Request:
    """A page of the threads under all videos of a channel, the newest first; or of those held for review."""
    params = {
        "part": "snippet,replies", "allThreadsRelatedToChannelId": channel, "order": "time", "maxResults": _SIZE,
        "textFormat": "plainText",
    }  # fmt: skip
    if held:
        params["moderationStatus"] = "heldForReview"
    if token:
        params["pageToken"] = token
    return Request("held" if held else "threads", THREADS, params, owner=held)


def replies_to(thread: str, token: str | None = None, *, owner: bool = False) -> Request:
    params = {"part": "snippet", "parentId": thread, "maxResults": _SIZE, "textFormat": "plainText"}
    return Request("replies", COMMENTS, {**params, **({"pageToken": token} if token else {})}, owner=owner)


def threads_again(ids: Iterable[str]) -> Request:
    """What has become of these threads: at most MOST_IDS."""
    return Request("again", THREADS, {"part": "snippet,replies", "id": ",".join(ids), "textFormat": "plainText"})


def comments_still(ids: Iterable[str], *, owner: bool = False) -> Request:
    """Which of these comments are there yet: at most MOST_IDS."""
    params = {"part": "snippet", "id": ",".join(ids), "textFormat": "plainText"}
    return Request("still", COMMENTS, params, owner=owner)


def read(outcome: Outcome) -> Page | Refused:
    if isinstance(outcome, Unanswered):
        return Refused(Trouble.NETWORK, outcome.cause)
    try:
        body = read_json(outcome.body)
    except ValueError:
        body = None
    if outcome.status != 200:
        return _refused(outcome.status, body)
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list):
        return Refused(Trouble.NETWORK, Cause.GARBLED)
    token = body.get("nextPageToken")
    known = tuple(item if isinstance(item, dict) else {} for item in items)
    return Page(known, token if isinstance(token, str) and token else None, _date(outcome.headers))


def _refused(status: int, body: Any) -> Refused:
    reasons = list(_reasons(body))
    trouble = next((_BY_REASON[reason] for reason in reasons if reason in _BY_REASON), None)
    if trouble is None:
        trouble = Trouble.SERVER if status >= 500 else _BY_STATUS.get(status, Trouble.REFUSED)
    return Refused(trouble, _CAUSES.get(trouble, Cause.REFUSED), " ".join((f"HTTP {status}", *reasons[:1])))


def _reasons(body: Any) -> Iterable[str]:
    """The API's own words, the most telling first."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):  # of the token's endpoint
        error = {"errors": [{"reason": error}]}
    for name in ("details", "errors"):
        found = error.get(name) if isinstance(error, dict) else None
        for each in found if isinstance(found, list) else ():
            reason = each.get("reason") if isinstance(each, dict) else None
            if isinstance(reason, str) and re.fullmatch(r"\w{1,50}", reason):
                yield reason


def _date(headers: Mapping[str, str]) -> datetime | None:
    try:
        found = parsedate_to_datetime(headers.get("date", ""))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError):
        return None
