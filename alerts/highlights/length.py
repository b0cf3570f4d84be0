"""How long a text is for X: as its own counter has it (twitter-text, version 3 of its configuration).

Most letters count one, what lies beyond the alphabets of Europe two, an emoji two however many characters it is made
of, and an address 23, for X puts a short one in its place. Counted after composing (NFC).

An address without `https://` counts 23 at X too where its ending is a domain's. Of these we know those of two letters
and the usual ones, and count it as its letters do where that is more: X may think that it is none.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from typing import Final

LONGEST: Final = 280
LINK: Final = 23

_LABEL: Final = 60
"""Bytes of a part of a host's name, less than four of those that there may be: letters of others need them."""
_LIGHT: Final = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
"""Code points that count one; all others count two."""
_STARTS: Final = tuple(first for first, _ in _LIGHT)
ADDRESS: Final = re.compile(r"(?i)(?<![\w@#$.])https?://[^\s<>\"«»]+(?<![.,;:!?'()\]}…])")
_ENDINGS: Final = (
    "[a-z]{2}|com|org|net|edu|gov|int|info|biz|name|museum|app|art|blog|care|clinic|cloud|club|dev|digital|events|"
    "health|help|hospital|life|live|news|online|oslo|page|shop|site|social|space|store|studio|tech|today|video|world|xyz"
)
_BARE: Final = re.compile(
    rf"(?i)(?<![\w@#$/.-])(?:[\w-]{{1,63}}\.)+(?:{_ENDINGS})(?![\w@-])(?:/[^\s<>\"«»]*)?(?<![.,;:!?'()\]}}…])"
)
_PICTURE: Final = (
    "[\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55\u3030\u303d\u3297\u3299"
    "\U0001f004-\U0001f1e5\U0001f200-\U0001faff]"
)
_TONE: Final = "[\U0001f3fb-\U0001f3ff]"
_ONE: Final = f"{_PICTURE}\ufe0f?{_TONE}?"
_EMOJI: Final = re.compile(
    f"[\U0001f1e6-\U0001f1ff]{{2}}|[#*0-9]\ufe0f?\u20e3|[\u00a9\u00ae]\ufe0f"
    f"|\U0001f3f4[\U000e0061-\U000e007a]+\U000e007f|{_ONE}(?:\u200d{_ONE})*"
)


def weighted(text: str) -> int:
    """The length that X counts; at most `LONGEST` is published."""
    plain = unicodedata.normalize("NFC", text)
    count, rest = 0, 0
    for found in ADDRESS.finditer(plain):
        count += _without_links(plain[rest : found.start()]) + (LINK if _is_host(found[0]) else _letters(found[0]))
        rest = found.end()
    return count + _without_links(plain[rest:])


def _is_host(address: str) -> bool:
    """Whether its host is one that can be: X shortens no other."""
    host = re.split(r"[/?#]", address.partition("//")[2], maxsplit=1)[0].rpartition("@")[2]
    labels = host.partition(":")[0].split(".")
    return len(labels) > 1 and all(0 < len(label.encode("punycode")) < _LABEL for label in labels)


def _without_links(text: str) -> int:
    count, rest = 0, 0
    for found in _BARE.finditer(text):
        count += _letters(text[rest : found.start()]) + max(LINK, _letters(found[0]))
        rest = found.end()
    return count + _letters(text[rest:])


def _letters(text: str) -> int:
    emojis = 0
    for found in _EMOJI.finditer(text):
        emojis += 2 - sum(map(_weight, found[0]))
    return emojis + sum(map(_weight, text))


def _weight(letter: str) -> int:
    point = ord(letter)
    place = bisect_right(_STARTS, point) - 1
    return 1 if place >= 0 and point <= _LIGHT[place][1] else 2


def cut(text: str, most: int) -> str:
    """Its beginning, as long as X may count: whole words and `…` where not all of it fits."""
    if weighted(text) <= most:
        return text
    words = text.split(" ")
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if weighted(" ".join(words[:middle]) + "…") <= most else (low, middle - 1)
    if low:
        return " ".join(words[:low]).rstrip(" ,;:–-") + "…"
    letters = 0
    while letters < len(text) and weighted(text[: letters + 1] + "…") <= most:
        letters += 1
    return text[:letters] + "…"
