"""The channel's owner, in whose name comments are asked for that wait for review: an access token, made anew in time.

An access token holds for an hour. The refresh token stays until the owner takes it back; then `refused` says so, and
the public comments are heard all the same. No token stands in a `repr` or a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from listener.model.gaps import Cause
from listener.sources.common.json import read_json
from listener.sources.common.polling import Answer, Ask, Outcome
from listener.sources.youtube.access import OwnersGrant
from listener.sources.youtube.api import Refused, Trouble, read

MARGIN: Final = timedelta(minutes=1)
"""So long before its end an access token is made anew."""
_SHORTEST, _LONGEST = 60, 3600


class Owner:
    """`refused`: why the owner's comments are not given; None while nothing says that they are not."""

    def __init__(self, grant: OwnersGrant) -> None:
        self._grant = grant
        self._token = ""
        self._until: datetime | None = None
        self._denials = 0
        self.refused: str | None = None

    def has_token(self, now: datetime) -> bool:
        return bool(self._token) and self._until is not None and now < self._until

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    def denied(self, why: str) -> None:
        """What was asked for with the token is not given. Once that may be a token that has ended before its time."""
        self._token, self._until, self._denials = "", None, self._denials + 1
        if self._denials > 1:
            self.refused = why

    def answered(self) -> None:
        """It is given."""
        self._denials, self.refused = 0, None

    def ask(self) -> Ask:
        """For an access token."""
        grant = self._grant
        form = {
            "client_id": grant.client_id, "client_secret": grant.client_secret, "refresh_token": grant.refresh_token,
            "grant_type": "refresh_token",
        }  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return Ask(grant.token_url, headers, "POST", urlencode(form).encode())

    def take(self, outcome: Outcome, now: datetime) -> Refused | None:
        """What came of `ask`; None: there is a token."""
        if not isinstance(outcome, Answer) or outcome.status != 200:
            refused = read(outcome)
            if not isinstance(refused, Refused):
                refused = Refused(Trouble.NETWORK, Cause.GARBLED)
            if refused.trouble in (Trouble.UNAUTHORIZED, Trouble.FORBIDDEN, Trouble.REFUSED):
                self.refused = refused.why
            return refused
        try:
            found = read_json(outcome.body)
        except ValueError:
            found = None
        token = found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
            return Refused(Trouble.NETWORK, Cause.GARBLED)
        lasts = found.get("expires_in")
        seconds = min(max(lasts if type(lasts) is int else _SHORTEST, _SHORTEST), _LONGEST)
        self._token, self._until = token, now + timedelta(seconds=seconds) - MARGIN
        return None
