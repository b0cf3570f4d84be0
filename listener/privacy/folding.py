"""Reading a text as an eye reads it, without changing it: what masking looks at, and how it finds its way back.

People hide a number or an address from machines (fullwidth digits, keycap emoji, zero-width characters, `%40` in a
link, `x[.]com`), and platforms add such characters by themselves. `fold` gives the plain reading with the place in the
original of each character; `replace` puts replacements into the original, so that all that is not replaced stays as
written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote

# Not drawn, or drawn around the character before: soft hyphen, joiners, direction marks, variation selectors, keycap.
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u20e3\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e01ef"
)
# Other drawings of ASCII: super- and subscript, circled, small, fullwidth and mathematical ones.
_LOOKALIKE = (
    "\u00b2\u00b3\u00b9\u2024\u2070-\u208e\u2460-\u24ff\u2776-\u277e\u3000\ufe50-\ufe6b\uff01-\uff5e"
    "\U0001d400-\U0001d7ff\U0001f100-\U0001f10a"
)
_UNUSUAL = re.compile(f"[{_INVISIBLE}{_LOOKALIKE}]")
_DOT_IN_BRACKETS = r"(?<=\w)\s?[(\[{]\s?(?:\.|(?i:dot|punktum|prikk))\s?[)\]}]\s?(?=\w)"
"""In an address that nobody shall follow: `x[.]com`."""
_HIDDEN_DOT = re.compile(_DOT_IN_BRACKETS)
_WRITTEN_OTHERWISE = re.compile(
    f"[{_INVISIBLE}{_LOOKALIKE}]|%[0-7][0-9A-Fa-f]|(?:%[89A-Fa-f][0-9A-Fa-f])+|{_DOT_IN_BRACKETS}"
)
_NOT_PLAIN = re.compile("[^\x00-\xac\xae-\xb1\xb4-\xb8\xba-\u034e]")
"""Holds all unusual ones. Nearly every character is among those listed first, which is seen in half the time."""
_DROPPED = re.compile(f"[{_INVISIBLE}]")
ENDINGS = "no|com|org|net|edu|gov|info|eu|se|dk|fi|is|de|uk|pl|nl|fr"
"""Of domains that are known even where blanks or words stand in them."""
_END = re.compile(rf"\.(?:{ENDINGS}|social|team|io|app|co)")
# In UTF-8: all but ASCII digits and the first bytes of the blocks that hold other digits.
_NO_DIGITS = bytes(set(range(256)) - set(b"0123456789\xd9\xdb\xdf\xe0\xe1\xea\xef\xf0"))


class Span(NamedTuple):
    """A part of a folded text and what shall stand there instead; `label` says why."""

    start: int
    end: int
    replacement: str
    label: str


class Folded(NamedTuple):
    """The plain reading. Character i of `text` is original[starts[i]:ends[i]]; unset where nothing was folded."""

    text: str
    starts: Sequence[int] | None = None
    ends: Sequence[int] | None = None


class Hints(NamedTuple):
    """What is cheap to know of a folded text, and spares most posts most of the searches."""

    lower: str
    digits: int
    """There are no more than these."""
    ends: bool
    """It holds the end of a domain, such as `.no`."""


def hints(text: str) -> Hints:
    """Of a folded text."""
    lower = text.lower()
    digits = len(text.encode("utf-8", "surrogatepass").translate(None, _NO_DIGITS))
    return Hints(lower, digits, _END.search(lower) is not None)


def fold(text: str) -> Folded:
    """The plain reading of a text; the same text in all but rare cases."""
    if "%" in text or (("[" in text or "(" in text or "{" in text) and _HIDDEN_DOT.search(text)):
        pattern = _WRITTEN_OTHERWISE
    elif text.isascii() or not (found := _NOT_PLAIN.search(text)) or not _UNUSUAL.search(text, found.start()):
        return Folded(text)
    else:
        pattern = _UNUSUAL
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    done = 0
    for match in pattern.finditer(text):
        begin, end = match.span()
        pieces.append(text[done:begin])
        starts.extend(range(done, begin))
        ends.extend(range(done + 1, begin + 1))
        plain = _plain(match[0])
        pieces.append(plain)
        starts.extend([begin] * len(plain))
        ends.extend([end] * len(plain))
        if not plain and ends:
            ends[-1] = end  # what is not drawn goes with the character before
        done = end
    pieces.append(text[done:])
    starts.extend(range(done, len(text)))
    ends.extend(range(done + 1, len(text) + 1))
    return Folded("".join(pieces), starts, ends)


def _plain(found: str) -> str:
    if found[0] == "%":
        return _DROPPED.sub("", unquote(found, errors="replace"))
    if len(found) > 1:
        return "."
    return "" if _DROPPED.match(found) else unicodedata.normalize("NFKC", found)


def replace(original: str, folded: Folded, spans: Iterable[Span]) -> tuple[str, list[str]]:
    """Put the replacements of `spans` (in the folded text) into the original → new text, labels of those used.

    Spans that overlap become one, with the replacement of the one that begins first.
    """
    pieces: list[str] = []
    labels: list[str] = []
    done = 0
    for start, end, replacement, label in _merged(spans):
        if folded.starts is not None and folded.ends is not None:
            start, end = folded.starts[start], folded.ends[end - 1]
        pieces += (original[done:start], replacement)
        labels.append(label)
        done = max(done, end)
    pieces.append(original[done:])
    return "".join(pieces), labels


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if merged and span.start < merged[-1].end:
            if span.end > merged[-1].end:
                merged[-1] = merged[-1]._replace(end=span.end)
        else:
            merged.append(span)
    return merged
