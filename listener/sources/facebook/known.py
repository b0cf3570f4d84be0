"""What we know of the Page's posts and comments without keeping a word of them: which were given, which were removed.

The same thing is told by a call, by another call that repeats it, and by each answer that lists it; an edit under its
old id, and now and then in the wrong order. Here it is decided what of that is news. Pure; forgotten with the process:
what lies on the bus is known there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from listener.sources.facebook.payload import Removed, Said

REMEMBERED: Final = 100_000
"""Posts and comments of which it is known what they said last, and so many that were removed."""
THREADS: Final = 500
NAMES: Final = 2_000
"""Posts of which it is known who writes there, and how many of them."""


@dataclass(slots=True)
class Entry:
    """`digest`, `version` and `told` of the newest version given, which was said at `at`. `again`: told once more it is
    news, for it may have been passed over, or was given without the text of its post."""

    digest: str
    version: str | None
    told: datetime
    at: datetime
    above: bool
    again: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """To be given, as this version."""

    version: str | None


class Known:
    def __init__(self) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._removed: OrderedDict[str, None] = OrderedDict()
        self._children: OrderedDict[str, set[str]] = OrderedDict()
        self._names: OrderedDict[str, dict[str, str]] = OrderedDict()
        self._texts: OrderedDict[str, str] = OrderedDict()
        self._held: dict[str, set[str]] = {}

    def __contains__(self, id_: str) -> bool:
        return id_ in self._entries

    def forget_given(self) -> None:
        """What was given may be nowhere: whatever is told again is news."""
        self._entries.clear()

    def again(self, since: datetime) -> None:
        """What was said since then is news once more: what it is held against is another now."""
        for entry in self._entries.values():
            entry.again = entry.again or entry.at >= since

    def said(self, said: Said) -> News | None:
        """None where it is no news."""
        above = said.post == said.id or said.post in self._texts
        if self.was_removed(said):
            return None
        before = self._entries.get(said.id)
        if before is None:
            version = said.digest if said.edited else None
        elif before.digest == said.digest:
            if not before.again and (before.above or not above):
                return None
            version = before.version
        elif said.told <= before.told or (not said.edited and before.version is not None and said.told == before.told):
            # What it said before, told late or read just before it was changed.
            return None
        else:
            version = said.digest
        told = said.told if before is None else max(before.told, said.told)
        self._entries[said.id] = Entry(said.digest, version, told, said.at, above)
        self._entries.move_to_end(said.id)
        _bound(self._entries, REMEMBERED)
        if said.parent and said.parent != said.id:
            self._children.setdefault(said.parent, set()).add(said.id)
            _bound(self._children, REMEMBERED)
        return News(version)

    def version_of(self, said: Said) -> str | None:
        """As which version it is given, or was."""
        entry = self._entries.get(said.id)
        if entry is None:
            return said.digest if said.edited else None
        return entry.version if entry.digest == said.digest else said.digest

    def pass_over(self, said: Said) -> None:
        """It is not given, and is no news later either."""
        self._entries.setdefault(said.id, Entry(said.digest, None, said.told, said.at, True))
        _bound(self._entries, REMEMBERED)

    # --- what is around it ----------------------------------------------------------------------------------------

    def learn_text(self, post: str, text: str) -> None:
        """What a post of the Page says."""
        self._texts[post] = text
        self._texts.move_to_end(post)
        _bound(self._texts, THREADS)

    def text_above(self, said: Said) -> str:
        return "" if said.id == said.post else self._texts.get(said.post, "")

    def learn_name(self, post: str, name: str, id_: str) -> None:
        """Who writes below a post, by the key under which a name is looked for."""
        names = self._names.setdefault(post, {})
        self._names.move_to_end(post)
        if len(names) < NAMES:
            names[name] = id_
        _bound(self._names, THREADS)

    def names_at(self, post: str) -> dict[str, str]:
        return self._names.get(post, {})

    # --- what was removed -----------------------------------------------------------------------------------------

    def learn_held(self, ids: Iterable[str]) -> None:
        """Lie on the bus."""
        for id_ in ids:
            self._held.setdefault(id_.partition("_")[0], set()).add(id_)

    @property
    def held(self) -> list[str]:
        return sorted(id_ for ids in self._held.values() for id_ in ids if id_ not in self._removed)

    def was_removed(self, said: Said) -> bool:
        return said.id in self._removed or said.post in self._removed or said.parent in self._removed

    def is_gone(self, id_: str) -> bool:
        return id_ in self._removed

    def removed(self, removed: Removed) -> tuple[str, ...]:
        """It was deleted, and with it all that stands below: those of it that lie on the bus."""
        gone, todo = {removed.id}, [removed.id]
        while todo:
            below = self._children.pop(todo.pop(), set()) - gone
            gone |= below
            todo += below
        if removed.is_post:
            # Comments below PAGE_POST are called POST_COMMENT.
            gone |= self._held.get(removed.id.rpartition("_")[2], set())
        for id_ in sorted(gone):
            self._removed[id_] = None
        _bound(self._removed, REMEMBERED)
        return tuple(id_ for id_ in sorted(gone) if id_ in self._held.get(id_.partition("_")[0], ()))


def _bound(table: OrderedDict[str, Any], most: int) -> None:
    while len(table) > most:
        table.popitem(last=False)
