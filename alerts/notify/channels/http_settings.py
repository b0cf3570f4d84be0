"""What the settings of channels that send over HTTP have in common: an address, headers, a login, a time limit."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from urllib3.util import Url

from alerts.notify.channels.addresses import web_address
from alerts.notify.channels.contract import ChannelError, FailureReason
from listener.errors import ConfigError
from listener.settings.types import FilePath, read_secret

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
HEADER_VALUE = re.compile(r"[\x20-\x7e\t]{1,4000}")
OURS = frozenset(
    {
        "connection", "content-length", "content-type", "expect", "host", "idempotency-key", "te", "trailer",
        "transfer-encoding", "upgrade", "user-agent", "x-lyttepost-signature", "x-lyttepost-timestamp",
    }
)  # fmt: skip
"""Headers that we or the connection set: a second one would contradict the first."""


def _is_http(value: SecretStr) -> SecretStr:
    url = web_address(value.get_secret_value())
    if url.auth is not None:
        raise ValueError("must not hold a user and password: send them in headers, as Authorization")
    if url.fragment is not None:
        raise ValueError("holds a # and what comes after it is never sent; write %23 where it is meant")
    return value


def _are_headers(value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    seen: set[str] = set()
    out: dict[str, SecretStr] = {}
    for name, secret in value.items():
        text = secret.get_secret_value().strip()
        if not HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a header: letters, digits and - only")
        if name.lower() in OURS or name.lower() in seen:
            raise ValueError(f"{name} is set already; leave it out")
        if not HEADER_VALUE.fullmatch(text):
            raise ValueError(f"{name}: its value must be one line of ASCII, not empty, at most 4,000 characters")
        seen.add(name.lower())
        out[name] = SecretStr(text)
    return out


Address = Annotated[SecretStr, AfterValidator(_is_http)]
"""A web address. It is a secret too: many services put their key into it."""
Headers = Annotated[Mapping[str, SecretStr], AfterValidator(_are_headers)]


class HttpSettings(BaseModel):
    """`timeout` is seconds for each read or write; the whole send takes at most four of them."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    url: Address
    headers: Headers = Field(default_factory=dict)
    timeout: float = Field(default=10.0, gt=0, le=30)

    @property
    def address(self) -> Url:
        return web_address(self.url.get_secret_value())

    def sent_headers(self) -> dict[str, str]:
        return {name: value.get_secret_value() for name, value in self.headers.items()}


class LoginSettings(HttpSettings):
    """With a user and password, sent as HTTP's basic authentication."""

    user: str | None = None
    password: SecretStr | None = None
    password_file: FilePath | None = None

    @model_validator(mode="after")
    def _complete(self) -> LoginSettings:
        has = self.password is not None or self.password_file is not None
        if (self.user is not None) != has:
            raise ValueError("a user needs either password or password_file, and a password needs a user")
        if self.user is not None and any(name.lower() == "authorization" for name in self.headers):
            raise ValueError("keep one of user and the header Authorization")
        if self.user is not None and (not self.user.strip() or ":" in self.user or not self.user.isprintable()):
            raise ValueError("user is empty, or holds a colon or a control character")
        self.secret()
        return self

    def secret(self) -> str:
        """The password; empty where nobody logs in. Raises ValueError, which does not repeat it."""
        try:
            found = read_secret(self.password, self.password_file, "password")
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return found.get_secret_value() if found else ""

    def login(self) -> dict[str, str]:
        """The header that logs in, if anybody does. Raises ChannelError when the password can be read no more."""
        if self.user is None:
            return {}
        pair = f"{self.user}:{secret_or_fail(self)}".encode()
        return {"Authorization": f"Basic {b64encode(pair).decode()}"}


def secret_or_fail(settings: LoginSettings) -> str:
    """Raises ChannelError where the file that held the password at the start is gone or spoilt."""
    try:
        return settings.secret()
    except ValueError:
        raise ChannelError(FailureReason.LOGIN, permanent=True) from None
