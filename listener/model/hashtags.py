"""The hashtags of a text, where a source does not name them itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from listener.model.normalize import nfc

if TYPE_CHECKING:
    pass


_TAG = re.compile(r"(?<![\w&])[#＃](\w+)")


def hashtags_in(text: str) -> tuple[str, ...]:
    """The hashtags in a text as written there, without #, each once."""
    if "#" not in text and "＃" not in text:
        return ()
    return tuple(dict.fromkeys(_TAG.findall(nfc(text))))
