"""Which feeds are listened to: where each is, whose it is, and how often it is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from listener.model.tracks import account_track
from listener.settings.addresses import feed_address
from listener.settings.feeds import is_web
from listener.settings.types import Duration, Tree, within

LONGEST_NAME = 60


def _web_address(text: str) -> str:
    if not is_web(text):
        raise ValueError("write the address of a feed, such as https://www.example.org/feed.xml; a file is no source")
    return feed_address(text)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise ValueError(f"write whose feed it is, in at most {LONGEST_NAME} characters")
    return name


def _account(text: str) -> str:
    account_track(text)
    return text.strip().removeprefix("@").lower()


class ListenedFeed(Tree):
    """`account`: the house's name under `privacy.named_accounts`, by which it is one with its accounts elsewhere.
    `inside`: its host may lie inside our own network."""

    url: Annotated[str, AfterValidator(_web_address)]
    name: Annotated[str, AfterValidator(_name)]
    by: Literal["media", "public_body", "own"] = "media"
    account: Annotated[str, AfterValidator(_account)] | None = None
    inside: bool = False

    @model_validator(mode="after")
    def _own_has_no_account(self) -> ListenedFeed:
        if self.by == "own" and self.account is not None:
            raise ValueError("account: leave it out where the feed is the hospital's own")
        return self


class FeedsSettings(Tree):
    """Nothing is read where `read` names no feed."""

    read: tuple[ListenedFeed, ...] = ()
    every: Annotated[Duration, within(timedelta(seconds=30), timedelta(hours=1))] = timedelta(minutes=2)
    in_calm: Annotated[Duration, within(timedelta(minutes=1), timedelta(hours=6))] = timedelta(minutes=15)

    @model_validator(mode="after")
    def _each_once(self) -> FeedsSettings:
        for what, named in (("url", [feed.url for feed in self.read]), ("name", [feed.name for feed in self.read])):
            if len(set(named)) < len(named):
                twice = next(each for each in named if named.count(each) > 1)
                raise ValueError(f"read: two feeds have the same {what}: {twice}; each must be told from the others")
        return self
