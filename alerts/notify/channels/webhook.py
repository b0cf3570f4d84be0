"""A webhook: the card as JSON in one HTTP POST. Leaves the site: the card it is given holds no post's text.

`Idempotency-Key` is the intent, the same for every attempt of one step. With a secret, `X-Lyttepost-Signature` is
`sha256=` and the HMAC of `X-Lyttepost-Timestamp`, a full stop and the body. What each answer means is in `http.py`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import SecretStr, model_validator

from alerts.notify.channels import http
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
from alerts.notify.channels.http_settings import HttpSettings
from listener.errors import ConfigError
from listener.settings.types import FilePath, secret_bytes


class WebhookSettings(HttpSettings):
    """With a secret, each body is signed."""

    secret: SecretStr | None = None
    secret_file: FilePath | None = None

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
    wakes = False

    def __init__(self, settings: WebhookSettings) -> None:
        self._settings = settings

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        body = http.json_bytes({**card.fields, "to": checked(one_line_target, target)})
        return partial(
            http.post, self._settings.address, body, self._headers(body, note), timeout=self._settings.timeout
        )

    def _headers(self, body: bytes, note: SendNote) -> dict[str, str]:
        stamp = str(int(note.at.timestamp()))
        headers = self._settings.sent_headers() | {
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
