"""How YouTube's comments are heard: whose, with which key, how often, and what a day of it may cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from listener.settings.addresses import host_address
from listener.settings.types import Duration, FilePath, Tree, within

CHANNEL = re.compile(r"UC[A-Za-z0-9_-]{22}")
_HANDLE = re.compile(r"@?[\w.·-]{1,60}")
EXAMPLE = "write an address such as https://www.googleapis.com"


def _channels(named: Mapping[str, str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for channel, handle in named.items():
        if not CHANNEL.fullmatch(channel):
            raise ValueError("a channel is named by its id, which is UC and 22 letters; its page's address has it")
        if handle and not _HANDLE.fullmatch(handle):
            raise ValueError("behind a channel's id stands its handle as in youtube.com/@NAME, or nothing in quotes")
        out[channel] = handle.lstrip("@").lower()
    return out


def _address(text: str) -> str:
    host_address(text, ("https", "http"), EXAMPLE, f"is no address of a host; {EXAMPLE}")
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]


class Every(Tree):
    crisis: Annotated[Duration, within(timedelta(seconds=5), timedelta(minutes=10))] = timedelta(seconds=15)
    calm: Annotated[Duration, within(timedelta(minutes=1), timedelta(days=1))] | None = timedelta(minutes=15)


class OwnerSettings(Tree):
    """The channel's owner, who alone is shown comments that wait for review."""

    client_id: str = ""
    client_secret: SecretStr | None = None
    client_secret_file: FilePath | None = None
    refresh_token: SecretStr | None = None
    refresh_token_file: FilePath | None = None
    token_url: Address = "https://oauth2.googleapis.com/token"  # noqa: S105 -- an address


class YoutubeSettings(Tree):
    base_url: Address = "https://www.googleapis.com"
    channels: Annotated[dict[str, str], AfterValidator(_channels)] = Field(default_factory=dict)
    api_key: SecretStr | None = None
    api_key_file: FilePath | None = None
    every: Every = Every()
    units: int = Field(default=10_000, ge=100, le=10_000_000)
    replies: Annotated[Duration, within(timedelta(hours=1), timedelta(days=30))] = timedelta(days=3)
    deletions: Annotated[Duration, within(timedelta(minutes=1), timedelta(days=1))] = timedelta(hours=22)
    owner: OwnerSettings | None = None
