"""Hashtags: found in a text where its source does not name them."""

from __future__ import annotations

import re

from listener.model.normalize import nfc

_TAG = re.compile(r"(?<![\w&])[#＃](\w+)")


def hashtags_in(text: str) -> tuple[str, ...]:
    """The hashtags in a text as written there, without #, each once."""
    if "#" not in text and "＃" not in text:
        return ()
    return tuple(dict.fromkeys(_TAG.findall(nfc(text))))
