"""Which pseudonym key is in use: its fingerprint lies on the bus, so that a lost or a wrong key is found out.

With another key every author would get a second pseudonym, and what was registered before would count as said by
other people. So a listener does not start with another key while the bus holds posts, and makes none for itself.
The fingerprint is an HMAC of a constant: it distinguishes one key from another, and leads to none.
"""

from __future__ import annotations

import hmac
import os
import re
from pathlib import Path

from listener.bus.protocol import Bus, Message
from listener.bus.scan import scan_records
from listener.clock import Clock
from listener.errors import ConfigError, Corrupt
from listener.model.records import KEYS, BadRecord, KeyFingerprint, decode, encode
from listener.privacy.pseudonyms import PREFIX, load_key
from listener.privacy.purge import CONTENT

TOPIC = "keys"
NAME = "pseudonym.key"
_PSEUDONYM = re.compile(rb"(?<![0-9A-Za-z_])p_[a-z2-7]{16}(?![a-z2-7])")


def fingerprint(key: bytes) -> str:
    return hmac.digest(key, b"lyttepost: which pseudonym key", "sha256")[:8].hex()


def live_key(path: Path, bus: Bus, clock: Clock) -> bytes:
    """The key of this deployment, made on first use. Raises ConfigError when it is not the one that was used before."""
    if (problem := key_problem(path, bus)) is not None:
        raise ConfigError(problem)
    key = load_key(path, create=True)
    remember(bus, key, clock)
    return key


def key_problem(path: Path, bus: Bus) -> str | None:
    """What is wrong with the key, seen from what the bus holds; None: nothing. Raises ConfigError for a bad file."""
    known = known_fingerprint(bus)
    if not os.path.lexists(path):
        if not holds_content(bus):
            return None
        its = f" (its fingerprint is {known})" if known else ""
        return f"{path}: the pseudonym key is gone, and the bus holds posts taken in with it{its}. {_way(path)}"
    found = fingerprint(load_key(path, create=False))
    if known in (None, found) or not holds_content(bus):
        return None
    return (
        f"{path}: is another pseudonym key (fingerprint {found}) than the one that the posts on the bus were taken in "
        f"with ({known}). {_way(path)}"
    )


def remember(bus: Bus, key: bytes, clock: Clock) -> None:
    """From now on this is the key."""
    its = fingerprint(key)
    if known_fingerprint(bus) == its:
        return
    bus.publish([Message(TOPIC, NAME, encode(KeyFingerprint(at=clock.now(), fingerprint=its)))])


def known_fingerprint(bus: Bus) -> str | None:
    """Of the key that was last used on this bus; None where that was never written down. Raises Corrupt."""
    found = None
    for record in scan_records(bus, [TOPIC]):
        if record.key == NAME:
            found = record.value
    if found is None:
        return None
    try:
        return decode(KEYS, found).fingerprint
    except BadRecord as error:
        raise Corrupt(f"{TOPIC}: {error}; was it written by a newer Lyttepost?") from None


def holds_content(bus: Bus) -> bool:
    """A post that has somebody's pseudonym in it lies on the bus. Others are the same with any key."""
    values = (record.value for record in scan_records(bus, list(CONTENT)))
    return any(value is not None and PREFIX.encode() in value and _has_pseudonym(value) for value in values)


def _has_pseudonym(value: bytes) -> bool:
    return _PSEUDONYM.search(value) is not None


def _way(path: Path) -> str:
    return (
        f"Restore {path.name} from where you keep secrets (a backup of the data folder does not hold it), then "
        f"`chmod 600 {path}` and start again. If it is lost for good, `lyttepost privacy rotate-key --lost --why TEXT "
        f"--by WHO` makes a new one: whoever is heard before and after it then counts as two people, until the posts "
        f"of before are purged or past their retention"
    )
