"""Which letters are the same: `fold` writes texts and tracks alike, `spellings` says what an exact filter must ask."""

from __future__ import annotations

import math
import re
import unicodedata

from listener.model.normalize import nfc

_OWN_LETTERS = {"å": "å", "æ": "æ", "ø": "ø", "ä": "æ", "ö": "ø"}
_NORDIC = {"æ": "ä", "ø": "ö"}
"""How neighbours write the same letter."""
_NO_ACCENT = {"ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "ſ": "s", "ɨ": "i"}
"""Letters whose stroke Unicode does not count as an accent."""
_BEYOND_LATIN1 = re.compile("[^\x00-\xff]")
_FEW = 100
"""So many different letters are replaced one after another; for more, `str.translate` is faster."""
_SHARP_S, _SOFT_HYPHEN = b"\xdf", b"\xad"


def _fold_char(char: str) -> str:
    """One character → what stands for it: letters, a space, or nothing."""
    if char == "\u200b":  # the zero-width space is a space, whatever its category says
        return " "
    low = char.casefold()
    if low in _OWN_LETTERS:
        return _OWN_LETTERS[low]
    if low in _NO_ACCENT:
        return _NO_ACCENT[low]
    kind = unicodedata.category(char)
    if kind[0] == "M" or kind == "Cf":
        return ""
    # Compatibility forms (bold "letters", full-width) beyond Latin-1 only: there ², ª and ½ stay what they are.
    parts = unicodedata.decomposition(char).split()
    if parts and parts[0][0] == "<":
        parts = parts[1:] if ord(char) > 0xFF else []
    if parts:
        return "".join(_fold_char(chr(int(part, 16))) for part in parts)
    return low if char.isalnum() or char == "_" else " "


class _Table(dict[int, str]):
    """Code point → fold, worked out when first met; bounded by Unicode itself."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold_char(chr(code))
        return folded


_TABLE = _Table()
_LATIN1 = bytes(ord(f) if len(f := _fold_char(chr(c))) == 1 and f < "\u0100" else c for c in range(256))
"""The fold of Latin-1, byte by byte, but for ß (two letters), the soft hyphen (nothing) and µ (stays itself)."""
_TABLE[0xB5] = "µ"


def fold(text: str) -> str:
    """Text → its words, folded, with one space between them and none around. Equal words fold to equal strings."""
    if not text.isascii():
        text = nfc(text)
        beyond = set(_BEYOND_LATIN1.findall(text))
        if len(beyond) > _FEW:
            return " ".join(text.translate(_TABLE).split())
        for char in beyond:
            text = text.replace(char, _TABLE[ord(char)])
    try:
        raw = text.encode("latin-1")
    except UnicodeEncodeError:
        return " ".join(text.translate(_TABLE).split())
    # Byte by byte is several times faster than str.translate, and most of what we hear fits into Latin-1.
    raw = raw.replace(_SHARP_S, b"ss").translate(_LATIN1, _SOFT_HYPHEN)
    return b" ".join(raw.split()).decode("latin-1")


def spellings(text: str, most: int = 8) -> tuple[tuple[str, ...], bool]:
    """What a text may be written as, for a filter that is exact where `fold` is not: `text` itself first, then each of
    its accented letters plain, ø as ö, æ as ä and the other way round, the same letter always in the same way.

    False beside them: there are more than `most`, and these are `text` and the plainest alone. A letter without an
    accent stays as it is: where one could stand is not known.
    """
    choices: dict[str, tuple[str, ...]] = {}
    for char in dict.fromkeys(text):
        plain = _fold_char(char)
        others = [each for each in (plain, _NORDIC.get(plain)) if each and each != char.lower()]
        if char.isalnum() and others:
            choices[char] = (char, *others)
    if math.prod(map(len, choices.values())) > most:
        return tuple(dict.fromkeys((text, "".join(choices[c][1] if c in choices else c for c in text)))), False
    found = [text]
    for char, of in choices.items():
        found = [each.replace(char, one) for each in found for one in of]
    return tuple(dict.fromkeys(found)), True
