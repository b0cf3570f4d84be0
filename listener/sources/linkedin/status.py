"""What ops are told of LinkedIn: that it refuses us, and what will end while nobody looks. Pure but for its memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from listener.sources.common.notices import NoticeBook
from listener.sources.contract import Notice
from listener.sources.linkedin.access import TOKEN_AHEAD, VERSION_AHEAD, Access, token_ends, version_ends
from listener.sources.linkedin.api import Failure, Trouble

REFUSED: Final = "linkedin_refused"
ENDING: Final = "linkedin_ending"
SILENT: Final = "source_silent"
SILENT_AFTER: Final = timedelta(minutes=30)
SILENT_IN_CALM: Final = timedelta(hours=6)
WHY: Final[Mapping[Trouble, str]] = {
    Trouble.UNAUTHORIZED: "the token has expired or was revoked (401): put a new one into linkedin.token_file",
    Trouble.FORBIDDEN: "the token's member is no ADMINISTRATOR of the Page, or rw_organization_admin is missing (403)",
    Trouble.VERSION: "linkedin.version is not served any more (426): set a newer month, and look what changed",
    Trouble.REFUSED: "it does not take our question: look at linkedin.organization and linkedin.version",
}


class Status:
    def __init__(self, standing: dict[str, datetime]) -> None:
        self._book = NoticeBook(standing)
        self.failure: Failure | None = None
        """Why the last call was not answered with notifications."""

    @property
    def problem(self) -> str | None:
        """What a person must fix."""
        why = None if self.failure is None else WHY.get(self.failure.trouble)
        return None if why is None else f"LinkedIn refuses us: {why}"

    def answered(self, failure: Failure | None, now: datetime) -> None:
        self.failure = failure
        if failure is None:
            self._book.over(REFUSED)
        elif failure.trouble in WHY:
            self._book.begin(REFUSED, now, {"status": str(failure.status)})

    def mind(self, access: Access, gap_since: datetime | None, now: datetime, *, crisis: bool) -> None:
        """What lasts, and what comes."""
        if gap_since is None:
            self._book.over(SILENT)
        elif now - gap_since > (SILENT_AFTER if crisis else SILENT_IN_CALM):
            self._book.begin(SILENT, gap_since)
        if what := ending(access, now):
            self._book.begin(ENDING, now, {"what": "; ".join(what)})
        else:
            self._book.over(ENDING)

    def take(self) -> tuple[Notice, ...]:
        return self._book.take()


def ending(access: Access, now: datetime) -> list[str]:
    """What ends soon or has ended, with the day."""
    out = []
    if now >= (ends := version_ends(access.version)) - VERSION_AHEAD:
        out.append(f"linkedin.version {access.version} ({ends:%Y-%m-%d})")
    if access.token_expires is not None and now >= (ends := token_ends(access.token_expires)) - TOKEN_AHEAD:
        out.append(f"linkedin.token ({ends:%Y-%m-%d})")
    return out
