"""Hosts and web addresses as they must be written to be reached: checked with the settings, and again at each send."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from ipaddress import ip_address

import idna
from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
LONGEST_HOST = 253


def ascii_host(name: str) -> str:
    """A host as the network knows it: a name in ASCII, `xn--…` for letters beyond, or an IP address without brackets.

    Raises ValueError, which does not repeat the name.
    """
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    with suppress(ValueError):
        return str(ip_address(bare))
    folded = name.lower().removesuffix(".")
    if not folded.isascii() or "xn--" in folded:
        try:
            folded = idna.encode(folded, uts46=True, std3_rules=True).decode().removesuffix(".")
        except (idna.IDNAError, UnicodeError):
            raise ValueError("is no host name") from None
    labels = folded.split(".")
    if len(folded) > LONGEST_HOST or not all(LABEL.fullmatch(label) for label in labels):
        raise ValueError("is no host name")
    if labels[-1].isdigit():
        raise ValueError("is neither a host name nor an IP address")
    return folded


def web_address(text: str) -> Url:
    """An address with its path percent-encoded and its host in ASCII.

    Raises ValueError, which does not repeat the address: it may hold a key.
    """
    text = text.strip()
    if any(unicodedata.category(c)[0] == "C" for c in text):
        raise ValueError("holds a line break or a control character")
    try:
        url = parse_url(text)
    except LocationParseError:
        raise ValueError("is no web address: its host or port cannot be") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("must begin with https:// (or http://) and name a host")
    if url.port == 0:
        raise ValueError("its port must be from 1 to 65535")
    return url._replace(host=ascii_host(url.host))
