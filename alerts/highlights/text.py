"""Texts of highlights: on one line, and without what must never be published."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

BY = "lyttepost"
"""Who proposes, holds and sends."""


_JOINER: Final = "\u200d"
_JOINS_NOTHING: Final = re.compile(f"(?<![\u2190-\U0010ffff]){_JOINER}|{_JOINER}(?![\u2190-\U0010ffff])")


def one_line(text: str) -> str:
    """Composed, on one line, without what cannot be seen, but for what makes one emoji of several."""
    plain = unicodedata.normalize("NFC", " ".join(text.split()))
    return _JOINS_NOTHING.sub("", "".join(each for each in plain if each.isprintable() or each == _JOINER))


def holds_identity(text: str) -> bool:
    """Whether it holds a national identity number. Telephone numbers and addresses of the hospital may be published."""
    # It knows the telephone numbers of the world, for which who only looks is not to wait.
    from listener.privacy.masking import MaskReason, mask

    return bool(mask(text).counts.get(MaskReason.NATIONAL_ID))
