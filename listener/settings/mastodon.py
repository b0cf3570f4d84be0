"""How Mastodon is heard: at which servers, each with a user's token of its own, and what of each beside hashtags."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from listener.settings.addresses import host_address
from listener.settings.types import Duration, FilePath, Tree, within

EXAMPLE = "write an address such as https://mastodon.example"
MAX_SERVERS = 20
"""Each is a connection and two threads."""


def _server(text: str) -> str:
    parts = host_address(text, ("https", "http"), EXAMPLE, f"is no address of a server; {EXAMPLE}")
    if parts.path.strip("/"):
        raise ValueError(f"the path is written behind it by us; {EXAMPLE}")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"takes neither blanks nor letters beyond ASCII; {EXAMPLE}")
    return text.rstrip("/").lower()


class MastodonServer(Tree):
    """`timeline`: what is heard there beside the hashtags, all posts of its own people or all that it knows of."""

    url: Annotated[str, AfterValidator(_server)]
    token: SecretStr | None = None
    token_file: FilePath | None = None
    timeline: Literal["none", "local", "public"] = "none"

    @property
    def name(self) -> str:
        """As people call it: host, and port where it has one."""
        return urlsplit(self.url).netloc


def _each_once(servers: tuple[MastodonServer, ...]) -> tuple[MastodonServer, ...]:
    names = [server.name for server in servers]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice} stands there twice; keep one of them")
    return servers


class MastodonSettings(Tree):
    servers: Annotated[tuple[MastodonServer, ...], Field(max_length=MAX_SERVERS), AfterValidator(_each_once)] = ()
    silence: Annotated[Duration, within(timedelta(seconds=10), timedelta(minutes=5))] = timedelta(seconds=30)
    probe: Annotated[Duration, within(timedelta(seconds=30), timedelta(hours=1))] = timedelta(minutes=2)
