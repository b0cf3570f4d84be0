"""The account that publishes: `POST /2/tweets`, what it has published, and who it is. OAuth 1.0a user context only.

The signature is checked as X does it, over the address that was called; so are the time in it (five minutes either way)
and that a nonce comes once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .problems import Refusal, Reply, duplicate_content, invalid_request, unauthorized
from .shapes import Ask
from .world import Post, World

TIMESTAMP = timedelta(minutes=5)
LONGEST = 280
"""Code points here, links as 23: our own counter is held against X's rules, and not against this."""
_LINK = re.compile(r"https?://\S+")
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class Account:
    """Whose keys publish. `level`: what X says of the keys in `x-access-level`."""

    id: str = "2244994945"
    username: str = "fjordby_sykehus"
    consumer_key: str = "en-app-for-seg"
    consumer_secret: str = "hemmelighet-1"
    token: str = "2244994945-kontoens"
    token_secret: str = "hemmelighet-2"
    level: str = "read-write"
    nonces: set[str] = field(default_factory=set)

    def settings(self) -> dict[str, str]:
        """As the settings call them."""
        return {
            "consumer_key": self.consumer_key,
            "consumer_secret": self.consumer_secret,
            "access_token": self.token,
            "access_token_secret": self.token_secret,
        }


class AccountApi:
    def __init__(self, world: World, account: Account) -> None:
        self._world = world
        self.account = account

    def authorize(self, method: str, url: str, header: str) -> None:
        """Raises Refusal unless this request is signed with the account's keys."""
        given = {name: unquote(value) for name, value in _PARAMETER.findall(header)}
        known = (given.get("oauth_consumer_key"), given.get("oauth_token"))
        if known != (self.account.consumer_key, self.account.token):
            raise Refusal(unauthorized())
        try:
            off = abs(self._world.clock.now().timestamp() - int(given.get("oauth_timestamp", "")))
        except ValueError:
            raise Refusal(unauthorized()) from None
        nonce = given.get("oauth_nonce", "")
        signed = self._signature(method, url, given) == given.get("oauth_signature")
        if off > TIMESTAMP.total_seconds() or not nonce or nonce in self.account.nonces or not signed:
            raise Refusal(unauthorized())
        self.account.nonces.add(nonce)

    def _signature(self, method: str, url: str, given: Mapping[str, str]) -> str:
        parts = urlsplit(url)
        pairs = [(name, value) for name, value in given.items() if name not in ("realm", "oauth_signature")]
        pairs += parse_qsl(parts.query, keep_blank_values=True)
        listed = "&".join(f"{_plain(name)}={_plain(value)}" for name, value in sorted(pairs))
        base = "&".join(map(_plain, (method, f"{parts.scheme}://{parts.netloc}{parts.path}", listed)))
        key = f"{_plain(self.account.consumer_secret)}&{_plain(self.account.token_secret)}"
        return base64.b64encode(hmac.new(key.encode(), base.encode(), hashlib.sha1).digest()).decode()

    def publish(self, body: Any) -> Reply:
        text = body.get("text") if isinstance(body, dict) else None
        if not isinstance(text, str) or not text.strip():
            raise Refusal(invalid_request([{"parameters": {"text": [""]}, "message": "Required field: text"}]))
        if len(_LINK.sub("x" * 23, text)) > LONGEST:
            message = "Your Tweet text is too long. For more information on how Twitter determines text length see docs"
            raise Refusal(invalid_request([{"parameters": {}, "message": message}]))
        if any(post.data.get("said") == text for post in self.published()):
            raise Refusal(duplicate_content())
        short, urls, grown = "", [], 0
        for number, link in enumerate(_LINK.finditer(text)):
            short += text[grown : link.start()]
            grown = link.end()
            address = f"https://t.co/{hashlib.sha256(f'{text}{number}'.encode()).hexdigest()[:10]}"
            urls.append({"start": len(short), "end": len(short) + 23, "url": address, "expanded_url": link[0],
                         "display_url": link[0].partition("//")[2][:20] + "…"})  # fmt: skip
            short += address
        short += text[grown:]
        post = self._world.publish({"text": short, "author_id": self.account.id})
        post.data["text"] = short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        post.data |= {"said": text, "entities": {"urls": urls}} if urls else {"said": text}
        history = [post.id]
        return Reply(201, {"data": {"id": post.id, "text": post.data["text"], "edit_history_tweet_ids": history}})

    def published(self) -> list[Post]:
        """What the account has published and not deleted, oldest first."""
        posts = self._world.between(None, None)
        return [post for post in posts if "said" in post.data and post.deleted_at is None]

    def said(self) -> list[str]:
        """The same, as it was written."""
        return [str(post.data["said"]) for post in self.published()]

    def timeline(self, params: Mapping[str, str]) -> Reply:
        if params["id"] != self.account.id:
            return Reply(200, {"meta": {"result_count": 0}})
        most = int(params.get("max_results", "10"))
        ask = Ask.of({name: value for name, value in params.items() if name.endswith(".fields")})
        newest = [post.data for post in reversed(self.published())][:most]
        shown, _ = ask.answer(newest, self._world.known)
        return Reply(
            200, {"data": shown, "meta": {"result_count": len(shown)}} if shown else {"meta": {"result_count": 0}}
        )

    def me(self) -> Reply:
        return Reply(
            200, {"data": {"id": self.account.id, "name": "Fjordby sykehus", "username": self.account.username}}
        )


def _plain(text: str) -> str:
    return quote(text, safe="-._~")
