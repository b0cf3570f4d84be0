"""Is this the name or address of a machine? Asked without asking DNS, wherever a setting names a host.

Imports nothing heavy: a mode switch reads the address of its bus through this module.
"""

from __future__ import annotations

import re

LONGEST = 253
"""Characters in a host name."""

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = rf"{_LABEL}(?:\.{_LABEL})*\.?"
"""Compiled when first used. An underscore is in no host name of DNS, but container networks give such names."""


def host_problem(host: str) -> str | None:
    """None, or why `host` can be no machine, with what to write. An IPv6 address stands without its brackets."""
    if not host:
        return "names no host; write a name such as kafka1.example.org, or an address"
    if host.startswith("[") and host.endswith("]"):
        return "write the IPv6 address without its brackets"
    if not host.isascii():
        return "a host name is of ASCII letters; write its xn-- form"
    if ":" in host or re.fullmatch(r"[0-9.]+", host):
        return None if _is_address(host) else "is no IP address; write one such as 127.0.0.1 or ::1"
    if len(host) > LONGEST or not re.fullmatch(_NAME, host):
        return "is no host name or address; write one without scheme, port, path or blanks"
    return None


def port_problem(port: str) -> str | None:
    """None, or why nobody can be reached at this port."""
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        return "the port must be a number from 1 to 65535"
    return None


def is_loopback(host: str) -> bool:
    """Whether it is this machine itself."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def is_in_the_clear(address: str) -> bool:
    """Whether anybody on the way can read what is sent to this address: to another machine, and not encrypted."""
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    return parts.scheme in ("http", "ws") and not is_loopback(parts.hostname or "")


def _is_address(host: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
