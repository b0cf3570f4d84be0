"""Where the board is served, and who may look at it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from listener.errors import ConfigError
from listener.settings.files import RawSettings
from listener.settings.hosts import is_loopback
from listener.settings.receiver import known_host, web_address
from listener.settings.types import Duration, FilePath, Tree, read_secret, within

Role = Literal["crisis_team", "duty_officer", "ops", "communications", "reader"]
EVERYBODY = "*"
"""Stands among `roles` for whoever has none of the others."""

_FRAMING = frozenset({"cookie", "host", "authorization", "origin", "forwarded"})
"""Headers that say something else than who somebody is; so do all that begin with `x-forwarded-`."""


def _encrypted(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme == "http" and parts.hostname and not is_loopback(parts.hostname):
        raise ValueError("must begin with https://: whoever is on the way could log in as others")
    return web_address(text)


def _bare(text: str) -> str:
    found = _encrypted(text)
    if urlsplit(found).path:
        raise ValueError("ends with the host or port: the board takes all of a host; leave the path out")
    return found


def _issuer(text: str) -> str:
    _encrypted(text)
    return text  # to the letter: a slash at its end is part of the name


class CertificateSettings(Tree):
    """PEM files: the certificate with those above it, and its key."""

    file: FilePath
    key_file: FilePath


class SessionSettings(Tree):
    """`idle`: a log-in that does nothing for so long ends. `longest`: it ends after so long whatever it does."""

    idle: Annotated[Duration, within(timedelta(minutes=1), timedelta(days=1))] = timedelta(hours=1)
    longest: Annotated[Duration, within(timedelta(minutes=5), timedelta(days=7))] = timedelta(hours=12)

    @model_validator(mode="after")
    def _idle_is_shorter(self) -> SessionSettings:
        if self.idle > self.longest:
            raise ValueError("idle is longer than longest, and would never end anything; shorten it")
        return self


def _network(text: str) -> str:
    try:
        found = ip_network(text)
    except ValueError:
        raise ValueError("is no address and no range; write one such as 127.0.0.1 or 10.0.0.0/8") from None
    if found.prefixlen == 0:
        raise ValueError("is every address there is: anybody could say who they are; name the proxy's own")
    return text


def _header(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,99}", text):
        raise ValueError("is no name of a header; write one such as X-Remote-User")
    if text.lower() in _FRAMING or text.lower().startswith("x-forwarded-"):
        raise ValueError("is a header with a meaning of its own; let the proxy use one such as X-Remote-User")
    return text


def _word(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be one line of text, and not empty")
    return text


Header = Annotated[str, AfterValidator(_header)]
Word = Annotated[str, Field(max_length=200), AfterValidator(_word)]
Roles = dict[Word, Role]


class ProxySettings(Tree):
    """The proxy in front of the board. What it says of a request counts where the request comes from `addresses`.

    With `user_header` it also says who somebody is; `roles` gives the role of each group of `role_header`.
    """

    addresses: Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], Field(min_length=1)]
    user_header: Header | None = None
    role_header: Header | None = None
    roles: Roles = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_both(self) -> ProxySettings:
        if self.user_header is None and (self.role_header is not None or self.roles):
            raise ValueError("user_header is missing: role_header and roles are about whom it names")
        if self.user_header is not None:
            _roles_fit(self.roles, self.role_header, "role_header")
            if self.role_header is not None and self.role_header.lower() == self.user_header.lower():
                raise ValueError("user_header and role_header are the same; they need one header each")
        return self

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(each) for each in self.addresses)


class OidcSettings(Tree):
    """The house's own log-in. `roles`: what `role_claim` holds → the role. `name_claim`: the name beside decisions."""

    issuer: Annotated[str, Field(max_length=500), AfterValidator(_issuer)]
    client_id: Word
    client_secret_file: FilePath
    role_claim: Word | None = None
    roles: Roles
    name_claim: Word = "name"

    @model_validator(mode="after")
    def _roles_have_a_claim(self) -> OidcSettings:
        _roles_fit(self.roles, self.role_claim, "role_claim")
        return self

    def secret(self) -> SecretStr:
        """What shows the provider that it is us. Raises ConfigError that names the file, and repeats nothing of it."""
        found = read_secret(None, self.client_secret_file, "board.oidc.client_secret")
        assert found is not None  # noqa: S101
        return found


def _roles_fit(roles: Mapping[str, str], named: str | None, name: str) -> None:
    example = f"write it as roles: {{GROUP: crisis_team}}, or {{'{EVERYBODY}': reader}} for everybody"
    if not roles:
        raise ValueError(f"roles is missing: nobody could look; {example}")
    if named is None and set(roles) != {EVERYBODY}:
        raise ValueError(f"{name} is missing: it says which groups of roles somebody is in")


class BoardSettings(Tree):
    """The web pages of the crisis team."""

    host: Annotated[str, AfterValidator(known_host)] = "127.0.0.1"
    port: int = Field(default=9471, ge=0, le=65535)
    url: Annotated[str, Field(max_length=100), AfterValidator(_bare)] | None = None
    certificate: CertificateSettings | None = None
    sessions: SessionSettings = SessionSettings()
    proxy: ProxySettings | None = None
    oidc: OidcSettings | None = None

    @model_validator(mode="after")
    def _log_in_leads_back(self) -> BoardSettings:
        if self.oidc is not None and self.url is None:
            raise ValueError("url is missing: whoever logs in by oidc is sent back there; write the board's address")
        return self


def check_exposed(board: BoardSettings, raw: RawSettings | None = None) -> None:
    """Raises ConfigError where passwords and pages would cross a network in the clear. `raw`: to name file and line."""
    if is_loopback(board.host) or board.certificate is not None or board.proxy is not None:
        return
    problem = (
        f"{board.host} is reached by others than this machine, and without encryption: set board.certificate, or "
        "board.proxy where a proxy with a certificate stands in front; 127.0.0.1 is this machine alone"
    )
    raise raw.error(("board", "host"), problem) if raw else ConfigError(f"board.host: {problem}")
