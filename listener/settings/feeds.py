"""Where a feed may lie, as a setting or an option names it: a web address or a file. Asked without asking anybody."""

from __future__ import annotations

from urllib.parse import urlsplit

from listener.settings.files import expanded
from listener.settings.hosts import host_problem, port_problem

EXAMPLE = "write an address such as https://www.example.org/feed.xml, or the path of a file"


def is_web(feed: str) -> bool:
    """Whether it is an address and not a file. What has another scheme is meant as an address, and is none."""
    return "://" in feed


def feed_problem(feed: str, example: str = EXAMPLE) -> str | None:
    """None, or why nothing can ever be read there, with what to write. It does not repeat the address."""
    if not feed.strip():
        return f"is empty; {example}"
    if not is_web(feed):
        try:
            expanded(feed)
        except ValueError as error:
            return str(error)
        return None if feed.isprintable() else f"holds a control character; {example}"
    try:
        parts = urlsplit(feed)
        host, port = parts.hostname or "", parts.netloc.rpartition("@")[2].rpartition("]")[2].rpartition(":")
    except ValueError:
        return f"is no web address; {example}"
    if parts.scheme not in ("https", "http"):
        return f"must begin with https:// (or http://); {example}"
    if parts.username is not None:
        return f"a user or password does not belong here; {example}"
    if why := host_problem(host):
        return f"its host {why}; {example}"
    if port[1] and (why := port_problem(port[2])):
        return f"{why}; {example}"
    if not feed.isascii() or not feed.isprintable() or " " in feed:
        return f"takes neither blanks nor letters beyond ASCII: write them as %20 or %C3%A6; {example}"
    return None
