"""Who counts as one of the people: who says a thing, and never who passes it on. Pure.

A post without an author is nobody's: its platform names the author of some posts and of others not, as Facebook does of
what visitors write and Instagram of what is found by a hashtag, and nobody can tell how many people are behind those.
Only a recording may have no authors at all; there a post stands in for a person, and whoever counts them says so.
"""

from __future__ import annotations

from typing import Final

from listener.model import keys

STANDS_IN: Final = frozenset({"recording", "x"})
"""Sources of recordings that name no authors. Of X itself each post has one."""


def stand_in(post: str, repost: object) -> str | None:
    """What counts as a person in the place of the author that `post`, `source:id`, does not have; None: nobody does."""
    return None if repost or keys.source_of(post) not in STANDS_IN else post
