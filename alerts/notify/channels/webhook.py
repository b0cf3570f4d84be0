"""A webhook: the card as JSON in one HTTP POST. Leaves the site: the card it is given holds no post's text.

`Idempotency-Key` is the intent, the same for every attempt of one step. With a secret, `X-Lyttepost-Signature` is
`sha256=` and the HMAC of `X-Lyttepost-Timestamp`, a full stop and the body. What each answer means is in `http.py`.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from alerts.notify.channels import http
from alerts.notify.channels.addresses import web_address
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import (
    ChannelError,
    ChannelType,
    Deliver,
    FailureReason,
    SendNote,
    checked,
    one_line_target,
)
from listener.errors import ConfigError
from listener.settings.types import FilePath, secret_bytes

HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
HEADER_VALUE = re.compile(r"[\x20-\x7e\t]{1,4000}")
OURS = frozenset(
    {
        "connection", "content-length", "content-type", "expect", "host", "idempotency-key", "te", "trailer",
        "transfer-encoding", "upgrade", "user-agent", "x-lyttepost-signature", "x-lyttepost-timestamp",
    }
)  # fmt: skip
"""Headers that we or the connection set: a second one would contradict the first."""


class WebhookSettings(BaseModel):
    """The address is a secret too: many services put their key into it. `timeout` is seconds for each read or write."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    secret: SecretStr | None = None
    secret_file: FilePath | None = None
    timeout: float = Field(default=10.0, gt=0, le=30)

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: SecretStr) -> SecretStr:
        url = web_address(value.get_secret_value())
        if url.auth is not None:
            raise ValueError("must not hold a user and password: send them in headers, as Authorization")
        if url.fragment is not None:
            raise ValueError("holds a # and what comes after it is never sent; write %23 where it is meant")
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
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

    @model_validator(mode="after")
    def _readable(self) -> WebhookSettings:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("keep one of secret and secret_file")
        self.key()
        return self

    def key(self) -> bytes | None:
        """None where nothing is to be signed. Raises ValueError when it cannot be read or is empty."""
        if self.secret_file is not None:
            try:
                return secret_bytes(self.secret_file, "secret_file")
            except ConfigError as error:
                raise ValueError(str(error)) from None
        if self.secret is None:
            return None
        if not self.secret.get_secret_value().strip():
            raise ValueError("secret is empty; leave it out, or nothing is signed")
        return self.secret.get_secret_value().encode("utf-8", "surrogatepass")


class Webhook:
    in_house = False

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._url = web_address(settings.url.get_secret_value())

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        fields = {**card.fields, "to": checked(one_line_target, target)}
        # Half a surrogate from a command line, which UTF-8 cannot write, must not cost the alert.
        body = json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace")
        return partial(http.post, self._url, body, self._headers(body, note), timeout=self._settings.timeout)

    def _headers(self, body: bytes, note: SendNote) -> dict[str, str]:
        stamp = str(int(note.at.timestamp()))
        headers = {name: value.get_secret_value() for name, value in self._settings.headers.items()}
        headers |= {
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": note.intent,
            "X-Lyttepost-Timestamp": stamp,
        }
        try:
            key = self._settings.key()
        except ValueError:
            raise ChannelError(FailureReason.LOGIN, permanent=True) from None
        if key is not None:
            signed = hmac.new(key, stamp.encode() + b"." + body, "sha256").hexdigest()
            headers["X-Lyttepost-Signature"] = f"sha256={signed}"
        return headers


def open_channel(settings: Mapping[str, Any]) -> Webhook:
    return Webhook(WebhookSettings.model_validate(settings))


TYPE = ChannelType(open=open_channel, check=one_line_target)
