"""Passwords: what one may be, and their argon2id hashes.

Parameters are argon2-cffi's defaults, which are RFC 9106's for machines short of memory (64 MiB, three passes); a hash
with others is made anew at the next log-in. A check takes a twentieth of a second and that memory, so it is done apart
and by two at a time: see `alerts.board.access.apart`.
"""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from alerts.board.access.names import folded

SHORTEST, LONGEST = 12, 1_000
"""Characters."""
FEWEST = 5
"""Different characters."""

_LISTED = """
passwordpassword password1234 password12345 password123456 passord12345 passord123456 passordpassord passord1234!
hemmelig1234 hemmelighemmelig 123456789012 1234567890123 12345678901234 123456789abc 1234567890ab 1q2w3e4r5t6y
1qaz2wsx3edc 1qaz2wsx3edc4rfv qazwsxedcrfv q1w2e3r4t5y6 qwertyuiop12 qwertyuiop123 qwertyuiopas qwertyuiopåa
qwerty123456 qwertyuiopasdfghjkl asdfghjkl123 abcdefghijkl abcdefgh1234 abcd12345678 abc123456789 administrator
administrator1 admin1234567 adminadminadmin welcome12345 welcome123456 velkommen123 velkommen1234 letmeinletmein
iloveyou1234 iloveyouiloveyou sommer123456 sommersommer vinter123456 vintervinter januar123456 lyttepost123
lyttepost1234 lyttepostlyttepost sykehus12345 sykehussykehus sykehus123456 changeme1234 changemechangeme
trustno1trustno1 football1234 baseball1234 dragon123456 sunshine1234 princess1234 monkey123456 superman1234
hei123456789
"""
COMMONEST = frozenset(_LISTED.split())
"""Of those long enough, what people choose first and guessers try first."""

_HASHER = PasswordHasher()
NOBODYS = _HASHER.hash("nobody has this password")
"""Checked for a name that is no account's, so that it takes as long."""


def password_problem(password: str, name: str) -> str | None:
    """None, or why it may not be `name`'s password, with what to write."""
    plain = _composed(password)
    if len(plain) < SHORTEST:
        return f"has {len(plain)} characters; write at least {SHORTEST}, such as four words"
    if len(plain) > LONGEST:
        return f"has {len(plain):,} characters; write at most {LONGEST:,}"
    if any(unicodedata.category(each) == "Cc" for each in plain):
        return "holds a control character, which a page cannot send; write it anew"
    bare = folded(plain)
    if folded(name) in (bare, bare[::-1]):
        return "is the name; write one that nobody can guess"
    if bare in COMMONEST:
        return "is among those that everybody tries; write one that nobody can guess"
    if len(set(bare)) < FEWEST:
        return f"is of fewer than {FEWEST} different characters; write one that nobody can guess"
    return None


def hashed(password: str) -> str:
    return _HASHER.hash(_composed(password))


def is_right(digest: str, password: str) -> bool:
    """In a time that says nothing of either. A hash that is none is never right."""
    try:
        return _HASHER.verify(digest, _composed(password))
    except (VerificationError, InvalidHashError):
        return False


def is_old(digest: str) -> bool:
    """It was made with other parameters than new ones are."""
    return _HASHER.check_needs_rehash(digest)


def _composed(password: str) -> str:
    """An å is the same whether a keyboard sends one character for it or two."""
    return unicodedata.normalize("NFC", password)
