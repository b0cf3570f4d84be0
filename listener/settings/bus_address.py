"""The address of a bus, `bus.url`: what it means, or why it means nothing. Read alike by all who open one.

    embedded:                  a log in the data folder
    embedded:/srv/x.db         the same, in a file of your choice (`embedded:///srv/x.db` too)
    kafka://a:9092,b:9092      a cluster; `?prefix=north` behind it where several deployments share one

Imports nothing heavy, and repeats nothing that may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from listener.settings.files import expanded
from listener.settings.hosts import host_problem, port_problem

LOG: Final = "bus.sqlite"
"""The embedded log, where `bus.url` names no file."""

_PREFIX = r"[A-Za-z0-9_-]{1,40}"


class KafkaAddress(NamedTuple):
    """`hosts` as `a:9092,b:9092`; `prefix` with its full stop, or nothing."""

    hosts: str
    prefix: str


def check_url(url: str) -> str:
    """The scheme of a sound address. Raises ValueError that says what to write instead."""
    scheme, colon, rest = url.partition(":")
    if not colon or scheme not in _READERS:
        near = next((name for name in _READERS if name.startswith(scheme.strip().lower()[:5] or "?")), None)
        meant = f"; did you mean {near}:?" if near else ""
        shown = f"{scheme!r}" if colon and re.fullmatch(r"\s*\w{1,20}", scheme) else "that"
        raise ValueError(f"no bus is called {shown}; known: {', '.join(_READERS)}{meant}")
    _READERS[scheme](rest)
    return scheme


def embedded_file(rest: str) -> str | None:
    """What stands behind `embedded:` → the file, None for the one in the data folder. Raises ValueError."""
    if rest in ("", "//"):
        return None
    path = rest
    if rest.startswith("//"):
        path = rest.removeprefix("//")
        if not path.startswith(("/", "~")):
            raise ValueError(
                f"embedded: knows no host; write embedded:///{path.lstrip('/')} with the file's whole path"
            )
    if not path.isprintable() or "?" in path or "#" in path:
        raise ValueError("embedded: takes the path of a file and nothing behind it; write embedded:/srv/x.db")
    if not path.startswith(("/", "~")):
        raise ValueError("the path is not whole, and would be another in each folder; write embedded:/srv/x.db")
    if path.endswith("/") or not path.strip("/"):
        raise ValueError("embedded: names a folder; name a file in it, such as embedded:/srv/x.db")
    expanded(path)
    return path


def embedded_log(rest: str, folder: Path) -> Path:
    """What stands behind `embedded:` → where the log lies, for this data folder. Raises ValueError."""
    named = embedded_file(rest)
    return Path(named).expanduser() if named else folder / LOG


def kafka_address(rest: str) -> KafkaAddress:
    """What stands behind `kafka:` → hosts and prefix. Raises ValueError."""
    listed, _, query = rest.removeprefix("//").strip("/").partition("?")
    hosts = listed.strip("/")
    if "@" in hosts:
        raise ValueError("user and password do not belong here; set bus.kafka.sasl")
    for each in hosts.split(","):
        _check_broker(each)
    return KafkaAddress(hosts, _prefix(query))


def _check_broker(each: str) -> None:
    host, colon, port = each.rpartition(":")
    if not colon or not host:
        raise ValueError(f"{each!r} is no host:port; write kafka://host:9092,host2:9092")
    plain = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if plain is host and ":" in host:
        raise ValueError(f"{each!r} is no host:port; write an IPv6 address in brackets, [::1]:9092")
    why = host_problem(plain) or port_problem(port)
    if why:
        raise ValueError(f"{each!r} is no host:port: {why}; write kafka://host:9092,host2:9092")


def _prefix(query: str) -> str:
    if not query:
        return ""
    from urllib.parse import parse_qsl

    given = parse_qsl(query, keep_blank_values=True)
    other = next((name for name, _ in given if name != "prefix"), None)
    if other is not None or not given:
        raise ValueError(f"{other or query!r} is not known; only ?prefix=… is, the rest is bus.kafka.…")
    if len(given) > 1:
        raise ValueError("?prefix= is there twice; keep one of them")
    prefix = given[0][1]
    if not re.fullmatch(_PREFIX, prefix):
        raise ValueError(f"prefix {prefix!r}: use 1 to 40 letters, digits, - or _")
    return f"{prefix}."


_READERS: Mapping[str, Callable[[str], object]] = {"embedded": embedded_file, "kafka": kafka_address}
