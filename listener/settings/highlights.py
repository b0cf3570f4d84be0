"""Calm highlights: which feeds are read, when is published, and the keys of the account that publishes.

The keys are not those by which X is listened to: `config check` refuses a token that stands in both places.
"""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, SecretStr, model_validator

from listener.errors import ConfigError
from listener.settings.addresses import api_address, feed_address
from listener.settings.types import Duration, FilePath, Tree, read_secret, within

KEYS = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")


class UserKeys(NamedTuple):
    """What X calls the keys of an OAuth 1.0a user context. Shown by nothing."""

    consumer_key: SecretStr
    consumer_secret: SecretStr
    access_token: SecretStr
    access_token_secret: SecretStr


def hours_of(text: str) -> tuple[time, time]:
    """`08:00-20:00` → both; midnight as an end is 24:00. Raises ValueError."""
    found = _HOURS.fullmatch(text.strip())
    example = "write them like 08:00-20:00"
    if found is None:
        raise ValueError(f"are no hours of a day; {example}")
    first, last = (int(found[1]), int(found[2])), (int(found[3]), int(found[4]))
    if max(first[1], last[1]) > 59 or first >= last or first[0] > 23 or last > (24, 0):
        raise ValueError(f"must begin before they end, on one day; {example}")
    return time(*first), time() if last == (24, 0) else time(*last)


def _hours(text: str) -> str:
    hours_of(text)
    return text


class HighlightsSettings(Tree):
    """Nothing is read without feeds, and nothing published without keys."""

    feeds: tuple[Annotated[str, AfterValidator(feed_address)], ...] = ()
    courses: tuple[Annotated[str, AfterValidator(feed_address)], ...] = ()
    every: Annotated[Duration, within(timedelta(minutes=5), timedelta(days=1))] = timedelta(hours=1)
    newest: Annotated[Duration, within(timedelta(hours=1), timedelta(days=90))] = timedelta(days=7)
    hours: Annotated[str, AfterValidator(_hours)] | None = "08:00-20:00"
    apart: Annotated[Duration, within(timedelta(minutes=1), timedelta(days=7))] = timedelta(hours=1)
    late: Annotated[Duration, within(timedelta(minutes=1), timedelta(days=7))] = timedelta(hours=2)
    base_url: Annotated[str, AfterValidator(api_address)] = "https://api.x.com"
    consumer_key: SecretStr | None = None
    consumer_key_file: FilePath | None = None
    consumer_secret: SecretStr | None = None
    consumer_secret_file: FilePath | None = None
    access_token: SecretStr | None = None
    access_token_file: FilePath | None = None
    access_token_secret: SecretStr | None = None
    access_token_secret_file: FilePath | None = None

    @model_validator(mode="after")
    def _one_sort_each(self) -> HighlightsSettings:
        if both := set(self.feeds) & set(self.courses):
            raise ValueError(f"{len(both)} of the feeds stands under feeds and under courses; keep it under courses")
        return self

    @property
    def all_feeds(self) -> tuple[str, ...]:
        return (*self.feeds, *self.courses)

    @property
    def publishes(self) -> bool:
        """Whether any key is set."""
        return any(getattr(self, name) or getattr(self, f"{name}_file") for name in KEYS)

    @property
    def on(self) -> bool:
        return bool(self.all_feeds) or self.publishes

    def keys(self) -> UserKeys | None:
        """All four, from the settings or their files as they are now; None where none is set.

        Raises ConfigError that names what is missing, and repeats nothing of it.
        """
        found = {
            name: read_secret(getattr(self, name), getattr(self, f"{name}_file"), f"highlights.{name}", header=True)
            for name in KEYS
        }
        missing = [name for name, secret in found.items() if secret is None]
        if len(missing) == len(KEYS):
            return None
        if missing:
            raise ConfigError(
                f"highlights.{missing[0]}: is missing, and X wants all four: {', '.join(KEYS)}; the developer portal "
                "shows them once, under Keys and tokens"
            )
        return UserKeys(*(secret for secret in found.values() if secret is not None))
