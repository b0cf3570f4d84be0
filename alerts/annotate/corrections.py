"""What people have corrected in how posts were understood: a pure fold of `decisions`, in its order.

A correction counts for its post, for later versions of it and for word-for-word copies. A post that is purged takes its
corrections with it: what was learned from it goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import sha256

from alerts.annotate.story import without_reposters
from listener.errors import Refusal, Unfit
from listener.model import keys
from listener.model.decisions import Correction, DecisionsRecord
from listener.model.records import Captured, Decision, DecisionKind, Kind


class Corrections:
    """The fold. `take` each record of `decisions` once, in order."""

    def __init__(self) -> None:
        self._posts: dict[str, Correction] = {}
        """Post → the last correction of it."""
        self._copies: dict[str, dict[str, Correction]] = {}
        """Digest of a text → post → its correction, the newest last."""

    def take(self, record: DecisionsRecord) -> None:
        if isinstance(record, Correction):
            self._forget([record.post])
            self._posts[record.post] = record
            self._copies.setdefault(record.text, {})[record.post] = record
        elif isinstance(record, Decision) and record.kind is DecisionKind.PURGE:
            self._forget([post for post in self._posts if record.id in keys.names_of_post(post)])

    def all(self) -> Collection[Correction]:
        """Those that count, one for each post."""
        return self._posts.values()

    def of(self, post: Captured) -> Correction | None:
        """The correction of a post or of what it was before an edit; else the newest of what says the same."""
        if not self._posts:
            return None
        for id_ in (post.id, *reversed(post.edits)):
            found = self._posts.get(keys.of_source(post.source, id_))
            if found is not None:
                return found
        copies = self._copies.get(digest_of(post.text))
        return next(reversed(copies.values())) if copies else None

    def _forget(self, posts: Iterable[str]) -> None:
        for post in posts:
            gone = self._posts.pop(post, None)
            if gone is not None:
                copies = self._copies[gone.text]
                del copies[post]
                if not copies:
                    del self._copies[gone.text]


def digest_of(text: str) -> str:
    """16 hex digits, the same for word-for-word copies: blanks, case and `RT @name:` before it do not count."""
    plain = " ".join(without_reposters(text).casefold().split())
    return sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def in_order(kinds: Collection[Kind]) -> tuple[Kind, ...]:
    """Kinds in their own order, each once; `other` only alone. Raises Unfit where that cannot be."""
    found = tuple(kind for kind in Kind if kind in kinds)
    if not found:
        raise Unfit("name one kind at least", Refusal.NO_KIND)
    if Kind.OTHER in found and len(found) > 1:
        raise Unfit("other stands alone: it says that a post voices nothing of the rest", Refusal.OTHER_ALONE)
    return found
