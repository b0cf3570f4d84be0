"""When a certificate ends. Python's own `ssl` tells that of a peer, and not of a file.

A certificate is DER (X.690) within PEM; of RFC 5280 only the way to `notAfter` is read here:

    Certificate ::= SEQUENCE { TBSCertificate ::= SEQUENCE {
        [0] version OPTIONAL, serialNumber, signature, issuer, validity SEQUENCE { notBefore, notAfter }, … } … }
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from listener.settings.schema import Settings

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
LARGEST = 1_000_000
"""Bytes of a file that is read: more than any bundle of authorities has."""


class _Element(NamedTuple):
    tag: int
    content: bytes


def certificate_files(settings: Settings) -> dict[str, Path]:
    """The certificates that the settings name, by the name of the setting."""
    tls, board = settings.bus.kafka.tls, settings.board
    named = {
        "bus.kafka.tls.ca_file": tls.ca_file,
        "bus.kafka.tls.cert_file": tls.cert_file,
        "board.certificate.file": board.certificate.file if board and board.certificate else None,
    }
    return {setting: path.expanduser() for setting, path in named.items() if path is not None}


def ends(path: Path) -> datetime:
    """When the first of a file's certificates ends to end, in UTC. Raises OSError, or ValueError for what is none."""
    with path.open("rb") as file:
        text = file.read(LARGEST).decode("ascii", "replace")
    found = [_not_after(ssl.PEM_cert_to_DER_cert(each)) for each in _PEM.findall(text)]
    if not found:
        raise ValueError("holds no certificate in PEM")
    return min(found)


def _not_after(der: bytes) -> datetime:
    (certificate,) = _elements(der)
    body = next(_elements(certificate.content))
    fields = [each for each in _elements(body.content) if each.tag != _VERSION]
    if len(fields) < 4 or fields[3].tag != _SEQUENCE:
        raise ValueError("is not laid out as a certificate")
    _, last = _elements(fields[3].content)
    text = last.content.decode("ascii")
    if last.tag == _UTC_TIME:  # two digits: from 1950 to 2049
        text = f"{19 if int(text[:2]) >= 50 else 20}{text}"
    elif last.tag != _GENERALIZED_TIME:
        raise ValueError("does not say when it ends")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _elements(der: bytes) -> Iterator[_Element]:
    """What stands one after the other. Raises ValueError where it is cut off."""
    at = 0
    while at < len(der):
        if at + 2 > len(der):
            raise ValueError("is cut off")
        tag, length, start = der[at], der[at + 1], at + 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(der[at + 2 : start], "big")
        if start + length > len(der):
            raise ValueError("is cut off")
        yield _Element(tag, der[start : start + length])
        at = start + length
