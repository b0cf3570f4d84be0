"""Reads JSON from outside, one line or answer at a time, as platforms and tools leave it."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import from_json

from listener.model.normalize import whole

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""One escape of JSON; `[1]` where it is half a character, whose other half is not there."""


def read_json(content: bytes) -> Any:
    """One line's JSON. Half a character, which tools leave that cut a text by UTF-16 units, is U+FFFD.

    Raises ValueError, whatever is wrong.
    """
    try:
        return from_json(content)
    except ValueError:
        # Rare: no valid line comes here.
        escaped = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], content)
        return from_json(whole(escaped.decode("utf-8", "surrogatepass")))
