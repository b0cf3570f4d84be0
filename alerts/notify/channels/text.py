"""Text from outside, made fit for one line of a message, a table or a log."""

from __future__ import annotations

import unicodedata


def one_line(text: str, limit: int = 500) -> str:
    """One line without control characters (a post may hold terminal commands), cut at `limit` characters."""
    plain = "".join(" " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C")
    short = " ".join(plain.split())
    return short if len(short) <= limit else short[: limit - 1].rstrip() + "…"
