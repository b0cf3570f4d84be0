"""The truth behind the API: the comments under the videos of channels, what each says, and what became of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..platform.times import Clock, RealClock

CHANNEL = "UCfjordbysykehus00000000"
"""The channel of whatever line names none."""
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@dataclass
class Comment:
    """One comment as it is now. `parent`: the comment that it answers; None at the top of a thread. `texts`: all that
    it said, the newest last. `held`: waits for review, and is public no more than one that was rejected. Times are
    those of the platform's clock."""

    id: str
    channel: str
    video: str
    by: str | None
    at: datetime
    texts: list[str]
    parent: str | None = None
    updated: datetime | None = None
    seen_from: datetime | None = None
    """When the API begins to give it."""
    held: bool = False
    gone: bool = False
    gone_at: datetime | None = None


@dataclass
class World:
    """All comments, in the order in which they were written. Hold `lock` to read several of one moment. `skew`: so many
    seconds is the platform's clock ahead. `lag`: so many seconds after it was written the API gives a comment."""

    clock: Clock = field(default_factory=RealClock)
    lock: threading.RLock = field(default_factory=threading.RLock)
    comments: dict[str, Comment] = field(default_factory=dict)
    skew: float = 0.0
    lag: float = 0.0
    disabled: set[str] = field(default_factory=set)
    """Videos whose comments are turned off."""
    _called: dict[str, str] = field(default_factory=dict)

    def now(self) -> datetime:
        """By the platform's clock."""
        return self.clock.now() + timedelta(seconds=self.skew)

    def say(self, text: str, by: str | None = "ola", at: datetime | None = None, **more: Any) -> Comment:
        """A new comment. `more`: `id`, by which later lines may call it; `reply_to`; `video`, `channel`; `held`."""
        with self.lock:
            when = (at or self.clock.now()) + timedelta(seconds=self.skew)
            parent = self._top(str(more["reply_to"])) if more.get("reply_to") else None
            above = self.comments[parent] if parent else None
            number = f"Ug{_written(len(self.comments) + 1)}AaABAg"
            made = Comment(
                id=f"{parent}.{number}" if parent else number,
                channel=above.channel if above else str(more.get("channel", CHANNEL)),
                video=above.video if above else str(more.get("video", "video000001")),
                by=by, at=when, texts=[text], parent=parent, held=bool(more.get("held")),
                seen_from=self.clock.now() + timedelta(seconds=self.lag),
            )  # fmt: skip
            self.comments[made.id] = made
            if more.get("id") is not None:
                self._called[str(more["id"])] = made.id
            return made

    def edit(self, comment: str, text: str, at: datetime | None = None) -> Comment:
        """Its author writes it anew, under the same id."""
        with self.lock:
            its = self.find(comment)
            its.texts.append(text)
            its.updated = (at or self.clock.now()) + timedelta(seconds=self.skew)
            return its

    def delete(self, comment: str, at: datetime | None = None) -> Comment:
        """It is gone, and with the top of a thread all its answers."""
        with self.lock:
            its = self.find(comment)
            for each in self.comments.values():
                if (each.id == its.id or each.parent == its.id) and not each.gone:
                    each.gone, each.gone_at = True, at or self.clock.now()
            return its

    def review(self, comment: str, *, publish: bool) -> Comment:
        """One that was held is let through, or rejected, which is told like a deletion: not at all."""
        with self.lock:
            its = self.find(comment)
            its.held = False
            return its if publish else self.delete(comment)

    def find(self, comment: str) -> Comment:
        """By its id, or what a line called it; `last`: the newest. Raises ValueError."""
        id_ = next(reversed(self.comments), "") if comment == "last" else self._called.get(comment, comment)
        if id_ not in self.comments:
            raise ValueError(f"no such comment: {comment}")
        return self.comments[id_]

    def is_public(self, comment: Comment, *, held: bool = False) -> bool:
        """The API gives it; `held`: to the channel's owner, who is shown those that wait for review."""
        if comment.gone or (comment.held and not held):
            return False
        return comment.seen_from is None or comment.seen_from <= self.clock.now()

    def replies(self, top: str, *, held: bool = False) -> list[Comment]:
        """Those to a thread that the API gives, the oldest first."""
        return [c for c in self.comments.values() if c.parent == top and self.is_public(c, held=held)]

    def _top(self, comment: str) -> str:
        """Only the top of a thread can be answered: an answer to an answer is one to it."""
        its = self.find(comment)
        return its.parent or its.id


def say(world: World, item: Mapping[str, Any], at: datetime) -> str:
    """A line of a scenario; the id of the comment that it is about."""
    if "edit" in item:
        return world.edit(str(item["edit"]), str(item["text"]), at).id
    if "delete" in item:
        return world.delete(str(item["delete"]), at).id
    for verb in ("publish", "reject"):
        if verb in item:
            return world.review(str(item[verb]), publish=verb == "publish").id
    return world.say(at=at, **item).id


def refuses(item: Mapping[str, Any]) -> str | None:
    if any(verb in item for verb in ("delete", "publish", "reject")):
        return None
    if not isinstance(item.get("text"), str):
        return "a line needs a text, or edit, delete, publish or reject and the comment that it is about"
    known = {"text", "by", "id", "reply_to", "video", "channel", "held", "edit", "at"}
    if more := sorted(item.keys() - known):
        return f"nobody knows: {', '.join(more)}"
    return None


def _written(number: int) -> str:
    """A number as ids have it: sixteen letters."""
    out = ""
    for _ in range(16):
        number = (number * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        out += _LETTERS[number >> 58]
    return out
