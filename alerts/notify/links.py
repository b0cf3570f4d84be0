"""Links by which a page is answered on a phone: each names one page, is signed, and is no use when it is old.

A link holds the page's id and a part of its HMAC-SHA256, so that whoever has no key can neither make one nor change one
into another, and it can be told from a guess without a look at the log. Whether it still counts follows from the
page: how old it is, and whether its person still stands in people.yaml.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from listener.model.deliveries import Page, PageWhy
from listener.settings.receiver import LinkSettings

PATH = "a"
"""`https://HOST/a/TOKEN`: an SMS has room for little."""
ID_BYTES = 8
MARK_BYTES = 10
"""80 bits: at a thousand guesses a second one fits in 10¹³ years."""
TOKEN_LENGTH = (ID_BYTES + MARK_BYTES) * 4 // 3


@dataclass(frozen=True)
class Links:
    """`url`: where our receiver is seen from outside. `valid`: how long after its page a link counts."""

    url: str
    key: bytes
    valid: timedelta

    @classmethod
    def of(cls, settings: LinkSettings) -> Links:
        """Raises ConfigError for a key that cannot be read."""
        return cls(settings.url, settings.key(), settings.valid)

    def to(self, page: Page) -> str | None:
        """The link that answers this page; None for one that waits for no answer."""
        if not page.alerts or page.why in (PageWhy.NOTICE, PageWhy.CANARY):
            return None
        id_ = bytes.fromhex(page.id)
        return f"{self.url}/{PATH}/{urlsafe_b64encode(id_ + self._mark(id_)).decode()}"

    def page_named(self, token: str) -> str | None:
        """The id of the page that a token names; None where it is none of ours."""
        if len(token) != TOKEN_LENGTH or not token.isascii():
            return None
        try:
            whole = urlsafe_b64decode(token)
        except (Error, ValueError):
            return None
        id_, mark = whole[:ID_BYTES], whole[ID_BYTES:]
        return id_.hex() if hmac.compare_digest(mark, self._mark(id_)) else None

    def is_over(self, page: Page, now: datetime) -> bool:
        return now - page.at > self.valid

    def _mark(self, id_: bytes) -> bytes:
        return hmac.digest(self.key, b"answer\0" + id_, sha256)[:MARK_BYTES]
