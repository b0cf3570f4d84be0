"""How Mastodon is heard: at which servers, each with a user's token of its own, and what of each beside hashtags."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr

from listener.settings.addresses import bare_address, each_once
from listener.settings.types import Duration, FilePath, Tree, within

EXAMPLE = "write an address such as https://mastodon.example"
MAX_SERVERS = 20
"""Each is a connection and two threads."""


def _server(text: str) -> str:
    address = bare_address(text, ("https", "http"), EXAMPLE, f"is no address of a server; {EXAMPLE}")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"takes neither blanks nor letters beyond ASCII; {EXAMPLE}")
    return address.lower()


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
    each_once([server.name for server in servers])
    return servers


class MastodonSettings(Tree):
    servers: Annotated[tuple[MastodonServer, ...], Field(max_length=MAX_SERVERS), AfterValidator(_each_once)] = ()
    silence: Annotated[Duration, within(timedelta(seconds=10), timedelta(minutes=5))] = timedelta(seconds=30)
    probe: Annotated[Duration, within(timedelta(seconds=30), timedelta(hours=1))] = timedelta(minutes=2)
