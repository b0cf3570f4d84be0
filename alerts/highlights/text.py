"""Texts of highlights: on one line, and without what must never be published."""

from __future__ import annotations

import unicodedata

BY = "lyttepost"
"""Who proposes, holds and sends."""


def one_line(text: str) -> str:
    """Composed, on one line, without what cannot be seen."""
    plain = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(each for each in plain if each.isprintable())


def holds_identity(text: str) -> bool:
    """Whether it holds a national identity number. Telephone numbers and addresses of the hospital may be published."""
    # It knows the telephone numbers of the world, for which who only looks is not to wait.
    from listener.privacy.masking import MaskReason, mask

    return bool(mask(text).counts.get(MaskReason.NATIONAL_ID))
