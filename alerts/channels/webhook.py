"""A webhook: the card as JSON in one HTTP POST. Leaves the house: the card it is given holds no post's text.

`Idempotency-Key` is the intent, the same for every attempt of one step. With a secret, `X-Lyttepost-Signature` is
`sha256=` and the HMAC of `X-Lyttepost-Timestamp`, a full stop and the body. 2xx is delivered; 408, 425, 429 and 5xx are
temporary; everything else is permanent. Redirects are not followed, to whatever host: they would carry the headers'
secrets along.
"""

from __future__ import annotations

import hmac
import http.client
import json
import ssl
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from alerts.card import Card
from alerts.channels import ChannelError, Reason, SendNote

TEMPORARY = frozenset({408, 425, 429})


class WebhookSettings(BaseModel):
    """The address is a secret too: many services put their key into it. `timeout` is seconds for each read or write."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr
    headers: Mapping[str, SecretStr] = Field(default_factory=dict)
    secret: SecretStr | None = None
    secret_file: Path | None = None
    timeout: float = Field(default=10.0, gt=0, le=30)

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must begin with https:// (or http://) and name a host")
        return value

    @model_validator(mode="after")
    def _readable(self) -> WebhookSettings:
        if self.secret is not None and self.secret_file is not None:
            raise ValueError("keep one of secret and secret_file")
        if self.secret_file is not None and not self.secret_file.is_file():
            raise ValueError("secret_file: no such file")
        return self

    def key(self) -> bytes:
        if self.secret_file is not None:
            return self.secret_file.read_bytes().strip()
        return self.secret.get_secret_value().encode() if self.secret else b""


class Webhook:
    in_house = False

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._url = urlsplit(settings.url.get_secret_value())

    def send(self, card: Card, target: str, *, note: SendNote) -> None:
        body = json.dumps({**card.fields, "to": target}, ensure_ascii=False).encode()
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        headers = self._headers(body, note)
        with closing(self._connection()) as connection:
            try:
                connection.connect()
            except ssl.SSLError as error:
                wrong = isinstance(error, ssl.SSLCertVerificationError)
                raise ChannelError(Reason.INSECURE, permanent=wrong) from None
            except (OSError, UnicodeError):
                raise ChannelError(Reason.UNREACHABLE, permanent=False) from None
            try:
                connection.request("POST", path, body, headers)
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException):
                raise ChannelError(Reason.NO_ANSWER, permanent=False) from None
        _judge(status)

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=self._settings.timeout)

    def _headers(self, body: bytes, note: SendNote) -> dict[str, str]:
        stamp = str(int(note.at.timestamp()))
        headers = {name: value.get_secret_value() for name, value in self._settings.headers.items()}
        headers |= {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "lyttepost",
            "Idempotency-Key": note.intent,
            "X-Lyttepost-Timestamp": stamp,
        }
        if key := self._settings.key():
            signed = hmac.new(key, stamp.encode() + b"." + body, "sha256").hexdigest()
            headers["X-Lyttepost-Signature"] = f"sha256={signed}"
        return headers


def _judge(status: int) -> None:
    if status // 100 == 2:
        return
    if status in TEMPORARY or status // 100 == 5:
        raise ChannelError(Reason.BUSY, permanent=False, code=status)
    if status // 100 == 3:
        raise ChannelError(Reason.REDIRECTED, permanent=True, code=status)
    raise ChannelError(Reason.LOGIN if status in (401, 403) else Reason.REFUSED, permanent=True, code=status)


def open_channel(settings: Mapping[str, Any]) -> Webhook:
    return Webhook(WebhookSettings.model_validate(settings))
