"""Text from outside in one Unicode spelling: composed letters, and no half of a character. Pure, and in linear time."""

from __future__ import annotations

import re
import unicodedata

MARKS = 30
"""Marks that one letter may bear, as Unicode's stream-safe texts have it (UAX 15). No writing needs a tenth of them,
and putting thousands in order takes the square of their number."""

_PLAIN = re.compile("[\x00-\u02ff]*")
"""Text without a combining mark, and composed as it stands."""
# Named by what they are not: to compile a class of all that lies beyond takes a fiftieth of a switch's time.
_TOO_MANY = re.compile(rf"([^\x00-\u02ff]{{{MARKS}}})[^\x00-\u02ff]+")


def nfc(text: str) -> str:
    """Letters composed (NFC): `å` is one character, whatever typed it. Of marks in a row, the first `MARKS`."""
    if text.isascii() or _PLAIN.fullmatch(text):
        return text
    if _TOO_MANY.search(text):
        text = _TOO_MANY.sub(_fewer, text)
    return unicodedata.normalize("NFC", text)


def same(text: str) -> str:
    """What two spellings of one word have in common: neither case nor the spelling of a letter matters."""
    return text.casefold() if text.isascii() else nfc(nfc(text).casefold())


def whole(text: str) -> str:
    """U+FFFD for each half of a character (a lone surrogate), which nobody could store; two that fit become one."""
    if text.isascii():
        return text
    try:
        text.encode()  # a tenth of the time that a search for halves takes
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _fewer(run: re.Match[str]) -> str:
    """A run of characters beyond Latin, without the marks that are too many on one letter."""
    out: list[str] = []
    marks = 0
    for char in run[0]:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= MARKS:
            out.append(char)
    return "".join(out)
