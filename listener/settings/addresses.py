"""Addresses that several settings hold: where an API is, and where a feed lies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import SplitResult, urlsplit

from listener.settings.feeds import EXAMPLE, feed_problem, is_web
from listener.settings.files import expanded
from listener.settings.hosts import host_problem


def host_address(text: str, schemes: Collection[str], example: str, otherwise: str) -> SplitResult:
    """The parts of an address of a host, whatever its path. Raises ValueError: why, and `example`; `otherwise` for what
    is no such address at all."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(f"the port must be a number from 1 to 65535; {example}") from None
    if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(otherwise)
    if parts.username is not None:
        raise ValueError(f"a user or password does not belong here; {example}")
    if why := host_problem(parts.hostname):
        raise ValueError(f"its host {why}; {example}")
    if port == 0:
        raise ValueError(f"the port must be a number from 1 to 65535; {example}")
    return parts


def bare_address(text: str, schemes: Collection[str], example: str, otherwise: str, ours: str = "the path is") -> str:
    """An address of a host without a path and without a slash at its end. Raises ValueError as `host_address` does, and
    for a path: that is `ours` to write."""
    if host_address(text, schemes, example, otherwise).path.strip("/"):
        raise ValueError(f"{ours} written behind it by us; {example}")
    return text.rstrip("/")


def api_address(text: str) -> str:
    """Where X's API is, without a slash at its end. Raises ValueError."""
    example = "write an address such as https://api.x.com"
    parts = host_address(text, ("https", "http"), example, "must be an address such as https://api.x.com")
    if parts.path.rstrip("/").rpartition("/")[2] in ("2", "1.1"):
        raise ValueError(f"the version is written behind it by us: leave /2 out; {example}")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(f"takes neither blanks nor letters beyond ASCII; {example}")
    return text.rstrip("/")


def feed_address(text: str) -> str:
    """A feed as every process finds it. Raises ValueError."""
    if why := feed_problem(text):
        raise ValueError(why)
    if not is_web(text) and not expanded(text).is_absolute():
        raise ValueError(f"is neither a web address nor a whole path, from / or ~; {EXAMPLE}")
    return text


def each_once(names: Sequence[str]) -> None:
    """Raises ValueError that says which of them is there twice."""
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{twice} stands there twice; keep one of them")
