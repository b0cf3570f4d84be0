"""Where LinkedIn's API is, for which Page, and with what we may enter; and when that ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from listener.errors import ConfigError
from listener.settings.linkedin import LinkedInSettings
from listener.settings.types import read_secret
from listener.sources.common.key import Key

VERSION_MONTHS: Final = 12
"""So long is a version of the API served, then each call is answered with 426."""
VERSION_AHEAD: Final = timedelta(days=31)
TOKEN_AHEAD: Final = timedelta(days=10)
"""So long before a version or a token ends ops are told. A token lives 60 days."""


@dataclass(frozen=True)
class Access:
    base_url: str
    organization: str
    version: str
    key: Key
    token_expires: date | None = None


def linkedin_access(settings: LinkedInSettings) -> Access | None:
    """None where it is not enabled. Raises ConfigError."""
    if not settings.enabled or settings.organization is None:
        return None
    token = read_secret(settings.token, settings.token_file, "linkedin.token", header=True)
    if token is None:
        raise ConfigError(
            "linkedin.token is not set; write the token of a member who is ADMINISTRATOR of the Page into a file and "
            "set linkedin.token_file to its path"
        )
    key = Key("linkedin.token", token.get_secret_value(), settings.token_file)
    return Access(settings.base_url, settings.organization, settings.version, key, settings.token_expires)


def version_ends(version: str) -> datetime:
    """From when on a version may not be served any more: the first day of its month, a year later."""
    return datetime(int(version[:4]) + VERSION_MONTHS // 12, int(version[4:]), 1, tzinfo=UTC)


def token_ends(expires: date) -> datetime:
    """At its day's beginning: nobody knows the hour."""
    return datetime.combine(expires, time(), UTC)
