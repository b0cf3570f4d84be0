"""Where gateways call us, and the links by which people answer a message, with the key that signs them."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from listener.errors import ConfigError
from listener.settings.hosts import host_problem
from listener.settings.types import Duration, FilePath, Tree, secret_bytes, within

EXAMPLE = "write an address such as https://lyttepost.sykehus.no"
SHORTEST_KEY = 16
"""Bytes."""
MAKE_KEY = "`(umask 077; openssl rand -hex 32 > FILE)` makes one"


def known_host(text: str) -> str:
    if why := host_problem(text):
        raise ValueError(f"{why}; 127.0.0.1 is this machine alone, 0.0.0.0 every address it has")
    return text


def web_address(text: str) -> str:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"its host or port cannot be; {EXAMPLE}") from None
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        raise ValueError(f"is no web address; {EXAMPLE}")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"takes neither a user nor anything after ? or #; {EXAMPLE}")
    if why := host_problem(parts.hostname):
        raise ValueError(f"its host {why}; {EXAMPLE}")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"takes neither blanks nor letters beyond ASCII; {EXAMPLE}")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise ValueError(f"must begin with https://: whoever reads a link on its way can answer for others; {EXAMPLE}")
    return text.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be one line of text")
    return text.strip()


class LinkSettings(Tree):
    """`call`: whom a page tells people to call whose link does not work, such as the switchboard and its number.
    `texts`: it shows the words of posts, but for those that may show who a patient is."""

    url: Annotated[str, Field(max_length=100), AfterValidator(web_address)]
    key_file: FilePath
    valid: Annotated[Duration, within(timedelta(hours=1), timedelta(days=30))] = timedelta(days=1)
    call: Annotated[str, Field(max_length=100), AfterValidator(_one_line)] = ""
    texts: bool = False

    def key(self) -> bytes:
        """What signs the links. Raises ConfigError that names the file, and repeats nothing of it."""
        where = "receiver.links.key_file"
        key = secret_bytes(self.key_file, where)
        if len(key) < SHORTEST_KEY:
            raise ConfigError(f"{where}: {self.key_file} holds {len(key)} bytes, {SHORTEST_KEY} are needed; {MAKE_KEY}")
        return key


class ReceiverSettings(Tree):
    """Where gateways of SMS and voice call us, and people's links lead; behind a reverse proxy with the certificate."""

    host: Annotated[str, AfterValidator(known_host)] = "127.0.0.1"
    port: int = Field(default=9470, ge=0, le=65535)
    links: LinkSettings | None = None
