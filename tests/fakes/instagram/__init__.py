"""A fake Instagram on a real socket: the Graph API of one professional account, its webhook, and how both misbehave.

    with FakeInstagram() as gram:
        medium = gram.medium("Brannen er slukket")
        comment = gram.comment("Når kan vi besøke?", by="kari", under=medium)
        gram.do("limit", minutes=30)
        gram.delete(comment)

A line of a scenario beside commands (`..platform.scenario`, and those of `..graph`) is one of

    {"at": 1, "medium": "Brann i nordbygget", "id": "m"}           a post of ours; `id` is what later lines call it
    {"at": 2, "comment": "Hvor lenge?", "by": "kari", "id": "c"}   under the newest, or `under` another; `to`: a reply
    {"at": 3, "caption": "Røyk her #mittous", "by": "ola"}         a medium of another's; `tagged`: we are in it
    {"at": 4, "mention": "@fjordbysykehus hei", "by": "per"}       a comment elsewhere that names us; or, with
                                                                   `in_caption`, a medium that does
    {"at": 5, "delete": "c"}                                       a comment or medium is deleted

By hashtag media of the last 24 hours are given, in no order and without their author; thirty hashtags in seven days.
A mention is told by the webhook alone, as ids, and can be fetched by them. `world` is the truth.
"""

from __future__ import annotations

from .commands import InstagramCommands
from .gram import ACCOUNT, NAME, FakeInstagram, Said

__all__ = ["ACCOUNT", "NAME", "FakeInstagram", "InstagramCommands", "Said"]
