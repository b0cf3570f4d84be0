"""Pseudonyms: the same person has the same name everywhere, and nobody without the key can find out who it is.

A pseudonym is an HMAC-SHA256 of source and author id. Without the key it cannot be reversed by trying all account
names; whoever has the key can, so the key is a secret as the posts themselves: it lies in a file of its own, outside
the data folder and its backups. With a new key, old and new pseudonyms no longer fit together: it is
changed in calm only.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from listener.errors import ConfigError
from listener.permissions import make_folder, open_regular, sync, write_whole

KEY_BYTES = 32
PREFIX = "p_"
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [first + second for first in _LETTERS for second in _LETTERS]
"""Base 32, ten bits at a time: the library's function takes longer than the HMAC."""


def pseudonym(key: bytes, source: str, author_id: str) -> str:
    """Source and author id → `p_` and 16 letters (80 bits: two of a million people get the same once in 10¹² runs)."""
    begun, ending = _keyed(key)
    inner, outer = begun.copy(), ending.copy()
    inner.update(f"{source}\0{author_id}".encode("utf-8", "surrogatepass"))
    outer.update(inner.digest())
    bits = int.from_bytes(outer.digest()[:10])
    return PREFIX + "".join([_PAIRS[bits >> shift & 1023] for shift in range(70, -1, -10)])


@lru_cache(maxsize=4)
def _keyed(key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """The two hashes of an HMAC-SHA256 (RFC 2104), the key already in them: each post takes a copy, in half the time
    that `hmac.digest` needs for beginning anew."""
    block = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    return hashlib.sha256(bytes(b ^ 0x36 for b in block)), hashlib.sha256(bytes(b ^ 0x5C for b in block))


def pseudonym_of_handle(key: bytes, source: str, handle: str) -> str:
    """A handle whose author id we do not have → a pseudonym; upper and lower case are one."""
    return pseudonym(key, source, "@" + handle.casefold())


def load_key(path: Path, create: bool) -> bytes:
    """The key in a file of 64 hexadecimal digits that only its owner may read.

    With `create`, a missing one is made; of two processes that try at the same instant both get the same. Raises
    ConfigError that names the file and how to fix it.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        if not create:
            raise ConfigError(f"{path}: no such file; make the pseudonym key with {_by_hand(path)}") from None
    except OSError as error:
        raise _unreadable(path, error) from None
    # Linked, not moved: the first to link wins, and nobody ever sees a half-written key.
    _write(path, lambda new: os.link(new, path))
    try:
        return _read(path)
    except OSError as error:
        raise _unreadable(path, error) from None


def rotate_key(path: Path) -> bytes:
    """Put a new key in the place of the old one, which is gone. Raises ConfigError when that cannot be done."""
    return _write(path, lambda new: os.replace(new, path))


def check_key_outside(path: Path, data_folder: Path) -> None:
    """Refuse a key inside the data folder, by its name or through a link: a backup would hold lock and key."""
    named, real = Path(os.path.abspath(path)), path.resolve()
    folders = (Path(os.path.abspath(data_folder)), data_folder.resolve())
    if any(place.is_relative_to(folder) for place in (named, real) for folder in folders):
        raise ConfigError(
            f"{path}: the pseudonym key must not lie inside the data folder {data_folder}, whose backups would "
            f"hold it; move it elsewhere"
        )


def _read(path: Path) -> bytes:
    with open_regular(path) as file:
        mode = os.fstat(file.fileno()).st_mode
        if mode & 0o077:
            raise ConfigError(f"{path}: others may read or change the pseudonym key; `chmod 600 {path}`")
        text = file.read(4096).strip()
    fix = (
        "restore it from where you keep it; if it is lost for good, make another: `lyttepost privacy rotate-key --lost`"
    )
    if not text:
        raise ConfigError(f"{path}: the pseudonym key is empty; {fix}")
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise ConfigError(f"{path}: the pseudonym key is not hexadecimal; {fix}") from None
    if len(key) < KEY_BYTES:
        raise ConfigError(f"{path}: the pseudonym key has {len(key)} bytes, {KEY_BYTES} are needed; {fix}")
    return key


def _write(path: Path, place: Callable[[Path], None]) -> bytes:
    """A new key in a file beside `path`, whole and on the disk, then put in its place."""
    key = secrets.token_bytes(KEY_BYTES)
    try:
        make_folder(path.parent)
        try:
            write_whole(path, key.hex().encode() + b"\n", place)
        except FileExistsError:
            sync(path.parent)  # another process was first: its key is the key
    except OSError as error:
        raise ConfigError(
            f"{path}: the pseudonym key cannot be written: {error.strerror}; "
            f"choose a folder that this user may write, or make it with {_by_hand(path)}"
        ) from None
    return key


def _unreadable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{path}: the pseudonym key cannot be read: {error.strerror}; it must be a file that belongs to the user who "
        f"runs the service: `chown USER {path}`"
    )


def _by_hand(path: Path) -> str:
    return f"`(umask 077; openssl rand -hex {KEY_BYTES} > {path})`"
