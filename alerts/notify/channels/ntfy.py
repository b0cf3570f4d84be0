"""Push by ntfy, to an app on a person's telephone. Wakes, and leaves the site: the card holds no post's text.

A contact's target is a topic. Who knows a topic's name may read it, unless the server guards it: use one of your own,
or topics that nobody can guess and that need a token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import SecretStr, model_validator
from urllib3.util import Url

from alerts.notify.channels import http
from alerts.notify.channels.callbacks import fine_id
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import ChannelError, ChannelType, Deliver, FailureReason, SendNote, checked
from alerts.notify.channels.http_settings import LoginSettings
from alerts.notify.channels.text import one_line
from listener.errors import ConfigError
from listener.settings.types import FilePath, read_secret

TOPIC = re.compile(r"[A-Za-z0-9_-]{1,64}")
LONGEST = 3900
"""Bytes of a message; a little more, and the server makes a file of it, which no lock screen shows."""
URGENT, USUAL = 5, 3


class NtfySettings(LoginSettings):
    """`url` is the server's, without a topic. With a token, or with a user and password."""

    token: SecretStr | None = None
    token_file: FilePath | None = None

    @model_validator(mode="after")
    def _of_a_server(self) -> NtfySettings:
        if (self.address.path or "/") != "/" or self.address.query is not None:
            raise ValueError("url: write the server alone, such as https://ntfy.example.org; the topic is a target")
        if self.bearer() and (self.user is not None or any(name.lower() == "authorization" for name in self.headers)):
            raise ValueError("keep one of token, user and the header Authorization")
        return self

    def bearer(self) -> str:
        """The token; empty without one. Raises ValueError, which does not repeat it."""
        try:
            found = read_secret(self.token, self.token_file, "token", header=True)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return found.get_secret_value() if found else ""


class Ntfy:
    in_house = False
    wakes = True

    def __init__(self, settings: NtfySettings) -> None:
        self._settings = settings

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        message = {
            "topic": checked(topic, target),
            "title": one_line(card.subject, 200),
            "message": _shortened(card.text),
            "priority": URGENT if card.urgent else USUAL,
        }
        if isinstance(link := card.fields.get("board_url"), str):
            message["click"] = link
        try:
            token = self._settings.bearer()
        except ValueError:
            raise ChannelError(FailureReason.LOGIN, permanent=True) from None
        headers = self._settings.sent_headers() | self._settings.login()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return partial(_send, self._settings.address, http.json_bytes(message), headers, self._settings.timeout)


def _shortened(text: str) -> str:
    content = text.encode("utf-8", "replace")
    return content.decode() if len(content) <= LONGEST else content[:LONGEST].decode(errors="ignore") + "…"


def _send(url: Url, body: bytes, headers: dict[str, str], timeout: float) -> tuple[str, ...]:
    answer = http.exchange(url, body, headers, timeout=timeout, read=True)
    http.judge(answer.status)
    try:
        id_ = json.loads(answer.body)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        # Some other server, that takes everything: nobody was woken by a page that says welcome.
        raise ChannelError(FailureReason.REFUSED, permanent=True, code=answer.status) from None
    return (id_,) if isinstance(id_, str) and fine_id(id_) else ()


def topic(target: str) -> str:
    """A topic's name. Raises ValueError, which does not repeat it."""
    if not TOPIC.fullmatch(target.strip()):
        raise ValueError("is no topic of ntfy: 1 to 64 letters without accents, digits, - or _")
    return target.strip()


def open_channel(settings: Mapping[str, Any]) -> Ntfy:
    return Ntfy(NtfySettings.model_validate(settings))


TYPE = ChannelType(open=open_channel, check=topic)
