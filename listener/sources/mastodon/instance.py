"""What a server says of itself: where it streams, what its people are called behind the @, which feeds are closed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from listener.settings.hosts import is_loopback

PATH: Final = "/api/v2/instance"
STREAM_PATH: Final = "/api/v1/streaming"
OPEN: Final = frozenset({"public", "authenticated"})
"""Since 4.5 a server says who may read a feed; another word than these means that we may not."""


@dataclass(frozen=True)
class Instance:
    """`streaming`: the websocket's address. `closed`: what of `hashtags`, `timelines` is not to be read; None where
    the server does not say, as before 4.5."""

    streaming: str
    domain: str
    closed: frozenset[str] | None = None
    partly: tuple[str, ...] = ()
    """Of what it gives only one half, by its own words: `hashtags (remote)`."""

    def gives(self, feed: str) -> bool:
        """Whether the feed's timeline can be read, as far as the server says."""
        return ("hashtags" if feed.startswith("#") else "timelines") not in (self.closed or ())


class Unfit(ValueError):
    """Where it says it streams we do not go; the message is for people."""


def read_instance(found: Any, url: str) -> Instance:
    """`url`: the server's, as the settings have it. Raises Unfit."""
    raw = found if isinstance(found, dict) else {}
    configuration = _mapping(raw, "configuration")
    own = urlsplit(url)
    told = _mapping(configuration, "urls").get("streaming")
    parts = urlsplit(told if isinstance(told, str) and told else url)
    scheme = {"https": "wss", "http": "ws"}.get(parts.scheme, parts.scheme)
    host = parts.hostname or ""
    if scheme not in ("wss", "ws") or not host or parts.username is not None:
        raise Unfit("where it says it streams is no address")
    if scheme == "ws" and own.scheme == "https" and not is_loopback(host):
        raise Unfit("it would have the token in the clear")
    domain = raw.get("domain")
    access = configuration.get("timelines_access")
    return Instance(
        f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}{STREAM_PATH}",
        domain.lower() if isinstance(domain, str) and domain else own.netloc,
        _closed(access) if isinstance(access, dict) else None,
        tuple(_partly(access)) if isinstance(access, dict) else (),
    )


def _mapping(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = raw.get(name)
    return found if isinstance(found, dict) else {}


def _closed(access: Mapping[str, Any]) -> frozenset[str]:
    """Closed is a feed of which neither half (the server's own, the others') is open to us."""
    return frozenset(name for name, halves in _halves(access) if halves and not any(halves.values()))


def _partly(access: Mapping[str, Any]) -> Iterator[str]:
    for name, halves in _halves(access):
        if any(halves.values()):
            yield from (f"{name} ({half})" for half, is_open in sorted(halves.items()) if not is_open)


def _halves(access: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, bool]]]:
    for name, ours in (("hashtag_feeds", "hashtags"), ("live_feeds", "timelines")):
        told = _mapping(access, name)
        yield ours, {half: told[half] in OPEN for half in ("local", "remote") if isinstance(told.get(half), str)}
