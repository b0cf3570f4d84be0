"""The name that stands beside somebody's decisions for good: one line that every record can hold."""

from __future__ import annotations

import unicodedata

from listener.model.codec import LONGEST_NAME


def fit_name(text: str) -> str:
    """Without blanks around it, composed. Raises ValueError that says why it is none."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name:
        raise ValueError("is empty; write the name that shall stand beside decisions")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"is {len(name):,} characters long; write at most {LONGEST_NAME:,}")
    if not name.isprintable() or any(unicodedata.category(each) in ("Cf", "Cs") for each in name):
        raise ValueError("must be one line of letters that can be seen")
    return name


def folded(name: str) -> str:
    """Equal for names that a person would take for the same: `Kari` and `KARI`, å of one letter or of two."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).strip().casefold())
