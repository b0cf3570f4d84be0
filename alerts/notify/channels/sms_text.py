"""What an SMS costs and how a text is made to fit one: the alphabet GSM-7 of 3GPP TS 23.038, segments of TS 23.040.

One letter outside GSM-7 makes the whole message UCS-2, in which a segment holds 70 characters instead of 160: a dash, a
middle dot, a curly quotation mark. `fit` replaces those by what a person reads as the same.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import NamedTuple

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""One septet each. The escape to the second table is none of them."""
EXTENDED = frozenset("\f^{}\\[~]|€")
"""Two septets each, which are never parted."""


class Encoding(StrEnum):
    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


class Segments(NamedTuple):
    """`units`: septets of GSM-7, or 16-bit units of UCS-2. `segments`: how many messages it is sent and paid as."""

    encoding: Encoding
    units: int
    segments: int


_ALONE = {Encoding.GSM_7: 160, Encoding.UCS_2: 70}
_CHAINED = {Encoding.GSM_7: 153, Encoding.UCS_2: 67}
"""Units of a segment: of one alone, and of one of several, whose header takes the rest."""


def count(text: str) -> Segments:
    """How a text is sent as it stands."""
    encoding = Encoding.GSM_7 if all(c in BASIC or c in EXTENDED for c in text) else Encoding.UCS_2
    sizes = [_size(c, encoding) for c in text]
    units = sum(sizes)
    if units <= _ALONE[encoding]:
        return Segments(encoding, units, 1)
    segments, room = 1, _CHAINED[encoding]
    for size in sizes:
        if size > room:
            # What takes two units moves on whole.
            segments, room = segments + 1, _CHAINED[encoding]
        room -= size
    return Segments(encoding, units, segments)


def _size(character: str, encoding: Encoding) -> int:
    if encoding is Encoding.GSM_7:
        return 2 if character in EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1


_ALIKE = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―−·•‧∙", "-"),
        **dict.fromkeys("“”„‟«»″", '"'),
        **dict.fromkeys("‘’‚‛‹›′`´", "'"),
        **dict.fromkeys("↑⬆▲△↗", "+"),
        **dict.fromkeys("↓⬇▼▽↘", "-"),
        "…": "...", "→": "->", "←": "<-", "×": "x", "≥": ">=", "≤": "<=", "≈": "~",
        "đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "ŋ": "n", "Ŋ": "N", "ŧ": "t", "Ŧ": "T", "ł": "l", "Ł": "L",
        "þ": "th", "Þ": "Th", "œ": "oe", "Œ": "OE", "ı": "i", "⁄": "/",
    }
)  # fmt: skip

CUT = "..."
_ANSWER = re.compile(r"(?:\s+(?:https?://\S+|\d{3,8}))+\s*\Z")
"""A link or a code at the very end."""


def answer_in(text: str) -> str:
    """What in a text tells how to answer: its last line where it has several, else the links and codes that end it."""
    first, _, last = text.strip().rpartition("\n")
    if first.strip():
        return last.strip()
    found = _ANSWER.search(text)
    return found[0].strip() if found else ""


def fit(text: str, segments: int = 2, keep: str | None = None) -> str:
    """One line of at most `segments` segments that begins as `text` does and ends with `keep` as it is.

    `keep`: how to answer, a code or a link, which must arrive whole; where it is not given, `answer_in(text)`. It is
    looked for at the end of `text`, and added where it is not there. What is too long is cut from the end of the rest.
    Letters of other scripts stay, and make the message UCS-2; every other character that GSM-7 lacks is replaced or
    left out, and so is whatever is invisible. Only a `keep` that is longer than all there is room for makes it longer.
    """
    end = plain(answer_in(text) if keep is None else keep)
    body = plain(text)
    if end and body.endswith(end):
        body = body[: -len(end)].rstrip()
    whole = f"{body} {end}".strip()
    if count(whole).segments <= segments:
        return whole
    # The longest beginning that fits. Without the letters that made it UCS-2 it may fit again: so no bisection.
    for length in range(min(len(body) - 1, segments * _ALONE[Encoding.GSM_7]), 0, -1):
        short = f"{body[:length].rstrip()}{CUT} {end}".strip()
        if count(short).segments <= segments:
            return short
    return end


def plain(text: str) -> str:
    """One line without control and invisible characters, in GSM-7 where a person reads the same."""
    line = " ".join("".join(_gsm(c) for c in unicodedata.normalize("NFC", text)).split())
    return line.strip()


def _gsm(character: str) -> str:
    if character.isspace():
        return " "
    if character in BASIC or character in EXTENDED:
        return character
    bare = "".join(
        c for c in unicodedata.normalize("NFKD", character.translate(_ALIKE)) if not unicodedata.combining(c)
    )
    bare = bare.translate(_ALIKE)
    if bare and all(c in BASIC or c in EXTENDED for c in bare):
        return bare
    return character if unicodedata.category(character)[0] in "LN" else ""
