"""One professional account of Instagram's: its media, what is said under them and elsewhere, what of it is given."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from ..graph import GraphHost, KnownToken, failure
from ..platform import Clock, Reply, Request, Route, Step, Verbs
from .commands import InstagramCommands

ACCOUNT = "17841400000000001"
NAME = "fjordbysykehus"
SCOPES = frozenset(
    {
        "instagram_basic",
        "instagram_manage_comments",
        "pages_show_list",
        "pages_read_engagement",
        "instagram_public_content",
    }
)
PAGE = 50
REACH = timedelta(hours=24)
TAGS_A_WEEK = 30


@dataclass
class Said:
    """A medium or a comment. `kind`: medium (ours), foreign (a medium of somebody else's), comment (under ours),
    elsewhere (under a foreign one). `parent`: the comment that it answers."""

    id: str
    kind: str
    text: str
    by: str
    at: datetime
    medium: str = ""
    parent: str | None = None
    tagged: bool = False
    deleted_at: datetime | None = None
    told: bool = False
    """It names us, or stands under our medium: the webhook tells of it."""

    @property
    def post(self) -> str:
        """As the listener calls it."""
        return self.id if self.kind in ("medium", "foreign") else f"{self.medium}_{self.id}"


class FakeInstagram(GraphHost):
    """`secret` signs its calls, which go where `call_back` says. All that is said stays in `world`, deleted or not."""

    name = "instagram"
    command_type: ClassVar[type[Verbs]] = InstagramCommands
    kinds: ClassVar[frozenset[str]] = frozenset({"PAGE", "USER", "SYSTEM_USER"})
    use: ClassVar[str] = "instagram"
    calls_about: ClassVar[str] = "instagram"

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        port: int = 0,
        scenario: Path | str | Iterable[Step] | None = None,
        **more: Any,
    ) -> None:
        self.world: dict[str, Said] = {}
        self.restricted: set[str] = set()
        self.listed_after = 0.0
        self.tags: dict[str, str] = {}
        """Id of a hashtag → its name."""
        self.searched: dict[str, datetime] = {}
        """Hashtag → since when it counts for its week."""
        self._called: dict[str, str] = {}
        self._next = 17_900_000_000_000_000
        super().__init__(clock=clock, port=port, scenario=scenario, **more)

    # -- what is said ----------------------------------------------------------------------------------------------

    def medium(self, text: str, at: datetime | None = None, **more: Any) -> Said:
        """A post of the account."""
        return self._new("medium", text, NAME, at, **more)

    def comment(
        self,
        text: str,
        by: str = "kari",
        under: Said | str = "",
        to: Said | str = "",
        at: datetime | None = None,
        **more: Any,
    ) -> Said:
        """Under one of our media, the newest if none is named; `to`: an answer to a comment."""
        with self.lock:
            parent = self._find(to) if to else None
            medium = parent.medium if parent is not None else self._find(under).id if under else self._newest()
            said = self._new(
                "comment", text, by, at, medium=medium, parent=parent.id if parent else None, told=True, **more
            )
            author = {"id": str(7_000 + len(by)), "username": by}
            value: dict[str, Any] = {"id": said.id, "text": text, "from": author, "media": {"id": medium}}
            if parent is not None:
                value["parent_id"] = parent.id
            self._tell(said, "comments", value)
            return said

    def foreign(
        self, caption: str, by: str = "ola", at: datetime | None = None, *, tagged: bool = False, **more: Any
    ) -> Said:
        """A medium of somebody else's: to be found by its hashtags, or because we are tagged in it."""
        return self._new("foreign", caption, by, at, tagged=tagged, **more)

    def mention(
        self, text: str, by: str = "per", at: datetime | None = None, *, in_caption: bool = False, **more: Any
    ) -> Said:
        """Somebody names us under a medium of another, or in the words of one."""
        with self.lock:
            if in_caption:
                said = self._new("foreign", text, by, at, told=True, **more)
                self._tell(said, "mentions", {"media_id": said.id})
                return said
            medium = self._new("foreign", "Et bilde", by, at)
            said = self._new("elsewhere", text, by, at, medium=medium.id, told=True, **more)
            self._tell(said, "mentions", {"media_id": medium.id, "comment_id": said.id})
            return said

    def delete(self, what: Said | str, at: datetime | None = None) -> Said:
        with self.lock:
            said = self._find(what)
            said.deleted_at = at or self.clock.now()
            for each in self.world.values():
                if said.id in (each.medium, each.parent) and each.deleted_at is None:
                    each.deleted_at = said.deleted_at
            return said

    def _new(self, kind: str, text: str, by: str, at: datetime | None, **more: Any) -> Said:
        with self.lock:
            name = more.pop("id", None)
            self._next += 7
            said = Said(str(self._next), kind, text, by, at or self.clock.now(), **more)
            self.world[said.id] = said
            if name is not None:
                self._called[str(name)] = said.id
            return said

    def _tell(self, said: Said, field: str, value: Mapping[str, Any]) -> None:
        self.caller.tell(ACCOUNT, said.at, [{"field": field, "value": value}])

    def _find(self, what: Said | str) -> Said:
        """By its id, or what a line called it. Raises ValueError."""
        id_ = what.id if isinstance(what, Said) else self._called.get(str(what), str(what))
        if id_ not in self.world:
            raise ValueError(f"nothing is called so: {what}")
        return self.world[id_]

    def _newest(self) -> str:
        media = [said for said in self.world.values() if said.kind == "medium" and said.deleted_at is None]
        return (media[-1] if media else self.medium("Velkommen til oss")).id

    # -- a scenario ------------------------------------------------------------------------------------------------

    @classmethod
    def refuses(cls, item: Mapping[str, Any]) -> str | None:
        if any(isinstance(item.get(name), str) and item[name] for name in _LINES):
            return None
        return f"neither a command ('do') nor one of {', '.join(_LINES)}"

    def say(self, item: Mapping[str, Any], at: datetime, *, live: bool) -> str:
        given = dict(item)
        name = next(name for name in _LINES if name in given)
        text = str(given.pop(name))
        if name == "delete":
            return self.delete(text, at).id
        act = {"medium": self.medium, "comment": self.comment, "caption": self.foreign, "mention": self.mention}[name]
        said: Said = act(text, at=at, **given)  # type: ignore[operator]
        return said.id

    def told(self, name: str, params: Mapping[str, list[str]]) -> dict[str, Any] | None:
        """`said`: all there is, with its words and whether it is gone."""
        if name != "said":
            return None
        with self.lock:
            shown = [
                {"id": s.post, "kind": s.kind, "text": s.text, "gone": s.deleted_at is not None}
                for s in self.world.values()
            ]
            return {"said": shown}

    # -- what is given ---------------------------------------------------------------------------------------------

    @classmethod
    def usual_token(cls) -> KnownToken:
        return KnownToken(profile=ACCOUNT, scopes=SCOPES)

    def nodes(self) -> Iterable[Route]:
        comments = "instagram_manage_comments"
        return (
            self.edge("tag", "/ig_hashtag_search", self._tag, "instagram_public_content"),
            self.edge("comments", "/{id}/comments", self._comments, comments),
            self.edge("replies", "/{id}/replies", self._replies, comments),
            self.edge("recent_media", "/{id}/recent_media", self._recent, "instagram_public_content"),
            self.edge("tags", "/{id}/tags", self._tagged, "instagram_basic"),
            self.node("node", "/{id}", self._node, "instagram_basic"),
            Route(
                "picture",
                "GET",
                "/media/{name}",
                lambda request: Reply(200, b"\xff\xd8\xff", content_type="image/jpeg"),
            ),
        )

    def _given(self, kind: str, **by: Any) -> list[Said]:
        """Newest first, without what is gone, hidden or not listed yet."""
        until = self.clock.now() - timedelta(seconds=self.listed_after)
        found = [
            said
            for said in self.world.values()
            if said.kind == kind and said.deleted_at is None and said.at <= until and said.by not in self.restricted
            if all(getattr(said, name) == value for name, value in by.items())
        ]
        return sorted(found, key=lambda said: said.at, reverse=True)

    def _node(self, request: Request) -> Any:
        id_, fields = request.named["id"], request.one("fields")
        if id_ == ACCOUNT:
            return self._mentioned(fields) if "mentioned_" in fields else self._account(fields)
        said = self.world.get(id_)
        if said is None or said.deleted_at is not None or said.kind in ("foreign", "elsewhere"):
            return Reply(400, failure(100, 33))
        return {"id": said.id}

    def _account(self, fields: str) -> dict[str, Any]:
        media = self._given("medium")
        told: dict[str, Any] = {"id": ACCOUNT}
        if "username" in fields:
            told["username"] = NAME
        if "media_count" in fields:
            told["media_count"] = len(media)
        if (found := re.search(r"media\.limit\((\d+)\)\{([^}]*)\}", fields)) and media:
            told["media"] = {"data": [self._shown(each, found[2]) for each in media[: int(found[1])]]}
        return told

    def _mentioned(self, fields: str) -> Any:
        found = re.fullmatch(r"mentioned_(comment\.comment_id|media\.media_id)\((\d+)\)\{([^}]*)\}", fields)
        said = self.world.get(found[2]) if found else None
        if found is None or said is None or said.deleted_at is not None or not said.told or said.by in self.restricted:
            return Reply(400, failure(100, 33))
        return {f"mentioned_{found[1].partition('.')[0]}": self._shown(said, found[3]), "id": ACCOUNT}

    def _comments(self, request: Request) -> Any:
        if self._gone(request.named["id"]):
            return Reply(400, failure(100, 33))
        shown = []
        fields = request.one("fields")
        within = re.search(r"replies\{([^}]*)\}", fields)
        for comment in self._given("comment", medium=request.named["id"], parent=None):
            its = self._shown(comment, fields.partition(",replies")[0])
            answers = self._given("comment", parent=comment.id)
            if within and answers:
                its["replies"] = {"data": [self._shown(each, within[1]) for each in answers[:3]]}
                if len(answers) > 3:
                    its["replies"]["paging"] = {"next": f"https://graph.example/v26.0/{comment.id}/replies?after=3"}
            shown.append(its)
        return self.page(shown, request, most=PAGE)

    def _replies(self, request: Request) -> Any:
        answers = self._given("comment", parent=request.named["id"])
        return self.page([self._shown(each, request.one("fields")) for each in answers], request, most=PAGE)

    def _tag(self, request: Request) -> Any:
        name, now = request.one("q").lower(), self.clock.now()
        self.searched = {tag: at for tag, at in self.searched.items() if now - at < timedelta(days=7)}
        if name not in self.searched and len(self.searched) >= TAGS_A_WEEK:
            return Reply(400, failure(18))
        self.searched.setdefault(name, now)
        id_ = next((id_ for id_, tag in self.tags.items() if tag == name), None) or str(
            17_840_000_000_000_000 + len(self.tags)
        )
        self.tags[id_] = name
        return {"data": [{"id": id_}]}

    def _recent(self, request: Request) -> Any:
        name = self.tags.get(request.named["id"])
        if name is None or request.one("user_id") != ACCOUNT:
            return Reply(400, failure(100, 33))
        since = self.clock.now() - REACH
        found = [s for s in self._given("foreign") if s.at >= since and f"#{name}" in s.text.lower().split()]
        # In no order, and the same one over the pages of a reading.
        random.Random(name).shuffle(found)
        return self.page([self._shown(each, request.one("fields")) for each in found], request, most=PAGE)

    def _tagged(self, request: Request) -> Any:
        found = self._given("foreign", tagged=True)
        return self.page([self._shown(each, request.one("fields")) for each in found], request, most=PAGE)

    def _gone(self, id_: str) -> bool:
        return id_ not in self.world or self.world[id_].deleted_at is not None

    @staticmethod
    def _shown(said: Said, fields: str) -> dict[str, Any]:
        words = "text" if said.kind in ("comment", "elsewhere") else "caption"
        told = {
            "id": said.id, words: said.text, "timestamp": said.at.strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "permalink": f"https://www.instagram.com/p/C{said.id[-10:]}/",
        }  # fmt: skip
        if said.kind == "comment":
            told["username"] = said.by
        return {name: told[name] for name in fields.split(",") if name in told}


_LINES = ("medium", "comment", "caption", "mention", "delete")
