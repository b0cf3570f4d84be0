"""Which deletions are news to us: of the posts that we hold, one by one or with their account. Pure.

The network tells of everybody's deletions, some twenty in a second. Of those that we hold nothing of, nothing is to be
kept, not even the id, which names a person.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from listener.sources.bluesky.frames import POSTS, Account, Commit

GONE: Final = frozenset({"deleted", "takendown", "suspended", "deactivated"})
"""Why an account is not there, where its posts are not to be shown. Others (`throttled`, `desynchronized`) are troubles
between servers."""
REMEMBERED: Final = 50_000
"""Deletions that are remembered, for creations that come behind them: of more than half an hour."""


class Held:
    """The posts that lie on the bus, by account; and what was deleted lately, held or not."""

    def __init__(self) -> None:
        self._posts: dict[str, set[str]] = {}
        self._deleted: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._accounts: OrderedDict[str, tuple[int, bool]] = OrderedDict()
        """Account → when it came or went last, in microseconds, and whether it is gone."""

    def learn(self, uris: Iterable[str]) -> None:
        for uri in uris:
            did, _, rkey = uri.removeprefix("at://").partition(f"/{POSTS}/")
            if rkey:
                self._posts.setdefault(did, set()).add(rkey)

    def deleted(self, commit: Commit) -> tuple[str, ...]:
        """A post was deleted: its id, if it is held."""
        key = commit.did, commit.rkey
        self._deleted[key] = max(commit.rev, self._deleted.pop(key, ""))
        if len(self._deleted) > REMEMBERED:
            self._deleted.popitem(last=False)
        return (commit.uri,) if commit.rkey in self._posts.get(commit.did, ()) else ()

    def gone(self, account: Account) -> tuple[str, ...]:
        """An account is not there any more: the ids of all its posts that are held. What is read once more, of a time
        before it came back, takes nothing."""
        gone = self.is_gone(account)
        known, _ = self._accounts.get(account.did, (0, False))
        if account.place.us < known or not (gone or account.active):
            return ()
        self._accounts[account.did] = account.place.us, gone
        self._accounts.move_to_end(account.did)
        if len(self._accounts) > REMEMBERED:
            self._accounts.popitem(last=False)
        if not gone:
            return ()
        return tuple(f"at://{account.did}/{POSTS}/{rkey}" for rkey in sorted(self._posts.get(account.did, ())))

    @staticmethod
    def is_gone(account: Account) -> bool:
        return not account.active and account.status in GONE

    def was_deleted(self, commit: Commit) -> bool:
        """It was made or changed before it was deleted, or its account was, and comes only now. `rev` tells: a host may
        give things in another order, and an id can be used again."""
        rev = self._deleted.get((commit.did, commit.rkey))
        return (rev is not None and commit.rev <= rev) or self.is_away(commit.did, commit.place.us)

    def is_away(self, did: str, us: int) -> bool:
        """The account went then or later, and did not come back."""
        at, gone = self._accounts.get(did, (0, False))
        return gone and us <= at
