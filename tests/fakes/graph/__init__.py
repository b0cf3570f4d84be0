"""A fake host of Meta's Graph API: what the fakes of Facebook and Instagram are built on.

    class FakeTown(GraphHost):
        name = "town"

        def nodes(self) -> Iterable[Route]:
            return (self.edge("posts", "/{id}/posts", lambda request: self.page(self.posts, request)),)

    with FakeTown() as town:
        town.do("limit", minutes=30)             # 80001, and each call meanwhile makes it longer
        town.do("expire", subcode=463)
        town.do("hollow", on="posts", times=2)   # a page that is empty, with a next one

`/VERSION/…` is answered in that version, or in the next one where it has ended; the token comes in the address or in a
header; `appsecret_proof` is looked at where it is given. `debug_token` and `me` are there. `tokens` says what each
token is; one of the wrong kind gets 200 and `{"data": []}` from every edge, as the original does. A platform tells what
happens by `caller.tell`, and whoever is named by `call_back` is called about it, as Meta calls a webhook.
"""

from .caller import Caller
from .commands import GraphCommands
from .host import APP_SECRET, DEFAULT_TOKEN, GraphHost, KnownToken, failure

__all__ = ["APP_SECRET", "DEFAULT_TOKEN", "Caller", "GraphCommands", "GraphHost", "KnownToken", "failure"]
