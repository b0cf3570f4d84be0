"""How Meta's calls prove themselves, of Facebook and of Instagram: a token that we chose, and HMAC-SHA256 of the body.

Source: Meta, "Webhooks, Getting Started": the handshake is a GET with `hub.mode`, `hub.verify_token` and
`hub.challenge`; a call has `X-Hub-Signature-256: sha256=…`, the HMAC of its raw bytes by the app's secret.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Final

from pydantic import SecretStr

from listener.webhooks.webhook import Greeting

HEADER: Final = "x-hub-signature-256"
_SIGNATURE: Final = re.compile(r"sha256=([0-9a-f]{64})")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}")


class MetaGuard:
    """`app_secret` signs, `verify_token` is what the handshake must name."""

    def __init__(self, app_secret: SecretStr, verify_token: SecretStr) -> None:
        self._secret = app_secret
        self._token = verify_token

    def greet(self, query: Mapping[str, str]) -> Greeting | None:
        told = query.get("hub.verify_token", "").encode()
        right = hmac.compare_digest(told, self._token.get_secret_value().encode())
        challenge = query.get("hub.challenge", "")
        if not right or query.get("hub.mode") != "subscribe" or not _CHALLENGE.fullmatch(challenge):
            return None
        return Greeting(challenge)

    def signed(self, headers: Mapping[str, str]) -> bool:
        return bool(_SIGNATURE.fullmatch(headers.get(HEADER, "")))

    def is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        return hmac.compare_digest(headers.get(HEADER, "").encode(), signature_of(body, self._secret).encode())


def handshake_of(verify_token: SecretStr) -> Mapping[str, str]:
    """The parameters of a handshake as Meta asks it, for `listener.webhooks.doctor`."""
    token = verify_token.get_secret_value()
    return {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "{challenge}"}


def signature_of(body: bytes, app_secret: SecretStr) -> str:
    """The header's value for these bytes."""
    return "sha256=" + hmac.new(app_secret.get_secret_value().encode(), body, hashlib.sha256).hexdigest()
