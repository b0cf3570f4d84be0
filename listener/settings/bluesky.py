"""How Bluesky is heard: its hosts, its protocol's version, and accounts that are known by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from listener.model.tracks import account_track
from listener.settings.addresses import bare_address, each_once
from listener.settings.types import Duration, Tree, within

EXAMPLE = "write an address such as wss://jetstream.us-east.bsky.network"


def _host(text: str) -> str:
    return bare_address(text, ("wss", "ws", "https", "http"), EXAMPLE, f"is no address of a host; {EXAMPLE}")


def _each_once(hosts: tuple[str, ...]) -> tuple[str, ...]:
    each_once([urlsplit(host).netloc.lower() for host in hosts])
    return hosts


def _accounts(named: Mapping[str, str]) -> dict[str, str]:
    out: dict[str, str] = {}
    for handle, did in named.items():
        account_track(handle)
        if not re.fullmatch(r"did:(?:plc:[a-z2-7]{24}|web:[A-Za-z0-9._:%-]{1,200})", did):
            raise ValueError("an account's identity is written as did:plc: and 24 letters, or as did:web: and a name")
        out[handle.strip().lstrip("@").lower()] = did
    return out


class BlueskySettings(Tree):
    enabled: bool = False
    version: Literal[1, 2] = 2
    hosts: Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], AfterValidator(_each_once)] = ()
    silence: Annotated[Duration, within(timedelta(seconds=5), timedelta(minutes=5))] = timedelta(seconds=20)
    accounts: Annotated[dict[str, str], AfterValidator(_accounts)] = Field(default_factory=dict)
