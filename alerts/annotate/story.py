"""The name of what one text says, made of the text alone: 16 hex digits.

The same text in other letters, with other links, mentions or emoji, other hashtags at either end, or passed on as
`RT @…`, has the same name; and so has nothing else, so that no two claims are ever one by their names. What is nearly
the same is found by `alerts.annotate.stories`, which remembers.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from alerts.annotate.claims import Claim, claim

_IS_REPOST = re.compile(r"\s*(?:(?:RT|MT)\s*@\w|[\"“”«]\s*@\w+\s*:)")
NAMED_REPOST = re.compile(r"RT @(?!p_)\w")
"""Of a masked text: the repost of a newsroom or a public body, for only such accounts keep their name."""


def is_repost(text: str, repost_of: str | None = None) -> bool:
    """Whether a post only passes another one on: the platform says so, or it is written the old way (`RT @…`)."""
    return repost_of is not None or _IS_REPOST.match(text) is not None


def story(text: str, repost_of: str | None = None) -> str:
    """The name of what a text says. `repost_of` names a repost that has no words of its own."""
    return story_of(claim(text), text, repost_of)


def story_of(its: Claim, text: str, repost_of: str | None = None) -> str:
    """The same, where the text's claim is known already."""
    said = " ".join(its.forms) + ("?" if its.asked else "")
    if not said:
        said = f"of {repost_of}" if repost_of else f"no words {text.strip()}"
    return blake2b(said.encode("utf-8", "replace"), digest_size=8).hexdigest()
