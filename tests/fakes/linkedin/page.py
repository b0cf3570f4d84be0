"""An organisation's Page: what was written under its posts, and the notification of each thing that happened."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Written:
    """A comment, or a post that mentions the Page. `texts`: all that it said, the newest last."""

    urn: str
    short: str
    """As LinkedIn writes it elsewhere."""
    at: datetime
    by: str | None
    mention: bool
    texts: list[str] = field(default_factory=list)
    gone: datetime | None = None


@dataclass(frozen=True)
class Notification:
    number: int
    action: str
    at: datetime
    about: Written
    text: str

    @property
    def at_ms(self) -> int:
        return int(self.at.timestamp() * 1000)

    def shown(self, organization: str) -> dict[str, Any]:
        out: dict[str, Any] = {
            "notificationId": self.number, "action": self.action, "organizationalEntity": organization,
            "sourcePost": "urn:li:activity:7000", "generatedActivity": self.about.short,
            "lastModifiedAt": self.at_ms, "subscriber": "urn:li:person:abonnent",
        }  # fmt: skip
        if self.action != "COMMENT_DELETE":
            inner: dict[str, Any] = {"entity": self.about.urn, "text": self.text}
            if self.about.by is not None:
                inner["owner"] = self.about.by
            out["decoratedGeneratedActivity"] = {"share" if self.about.mention else "comment": inner}
        return out


class OrganizationPage:
    def __init__(self, number: int) -> None:
        self.urn = f"urn:li:organization:{number}"
        self.written: dict[str, Written] = {}
        self.notifications: list[Notification] = []
        self.gives_twice = 0
        """So many of the next notifications come twice, under two numbers."""
        self._called: dict[str, Written] = {}

    def write(self, text: str, by: str | None, at: datetime, **more: Any) -> Written:
        number, mention = 8000 + len(self.written), bool(more.pop("mention", False))
        urn = f"urn:li:share:{number}" if mention else f"urn:li:comment:(urn:li:activity:7000,{number})"
        short = urn if mention else f"urn:li:comment:(activity:7000,{number})"
        its = Written(urn, short, at, None if by is None else owner_of(by), mention, [text])
        self.written[urn] = self._called[urn] = self._called["last"] = its
        if "id" in more:
            self._called[str(more["id"])] = its
        self._notify("SHARE_MENTION" if mention else "COMMENT", its, at)
        return its

    def edit(self, comment: str, text: str, at: datetime) -> Written:
        its = self._find(comment)
        its.texts.append(text)
        self._notify("COMMENT_EDIT", its, at)
        return its

    def delete(self, comment: str, at: datetime) -> Written:
        its = self._find(comment)
        its.gone = at
        self._notify("COMMENT_DELETE", its, at)
        return its

    def _find(self, comment: str) -> Written:
        if comment not in self._called:
            raise ValueError(f"no such comment: {comment}")
        return self._called[comment]

    def _notify(self, action: str, its: Written, at: datetime) -> None:
        twice = self.gives_twice > 0
        self.gives_twice -= twice
        for _ in range(2 if twice else 1):
            self.notifications.append(Notification(len(self.notifications) + 1, action, at, its, its.texts[-1]))


def owner_of(name: str) -> str:
    """The urn of who is called so; always the same."""
    return name if name.startswith("urn:") else f"urn:li:person:{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def refuses(item: Mapping[str, Any]) -> str | None:
    if any(isinstance(item.get(name), str) and item[name] for name in ("text", "delete")):
        return None
    return "neither a command ('do'), nor a comment ('text'), an edit ('edit' and 'text') or a 'delete'"
