"""A fake of Facebook with one Page: its lists, its comments, and calls to a webhook that misbehave on command.

    with FakeFacebook() as facebook:
        facebook.do("call", url="http://127.0.0.1:9472/facebook", token="et-ord")
        post = facebook.world.say("Brann i nordfløyen", by=None)
        facebook.world.say("Er alle trygge?", by="kari", on=post.id)

A line of a scenario is something that is said (`text`; `by` whom, nothing: the Page itself; `on`: below which post;
`reply_to`: to which comment; `id`: by what name later lines call it), `{"edit": NAME, "text": …}`, `{"delete": NAME}`,
`{"hide": NAME}` or `{"unhide": NAME}`. `mention` true: said elsewhere about the Page, by nobody that is named. The rest
are commands.

Each change is told by a call, signed with the app's secret, as the original does: one that is not answered with 200 is
made again at once, then after pauses that grow, for 36 hours, and never again after that.
"""

from .calls import PageCaller
from .commands import FacebookCommands
from .host import FakeFacebook
from .page import Page, Thing

__all__ = ["FacebookCommands", "FakeFacebook", "Page", "PageCaller", "Thing"]
