"""Which posts are known, by which names, in which version; and which deletions are news to us. Knows no socket.

A deletion is told by one server's number alone. It is news where the post lies on the bus; of all others nothing is
kept but, for a while and in memory, the number, so that what comes behind its deletion is not taken.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from listener.model.records import Post

T = TypeVar("T")

REMEMBERED: Final = 50_000
"""Posts and deletions that are remembered: of an hour and more, but for a whole timeline of a large server."""


class Held:
    def __init__(self) -> None:
        self._held: dict[str, None] = {}
        """Uris of posts on the bus, oldest first."""
        self._uris: dict[str, str] = {}
        """Alias → uri, of those."""
        self._names: dict[str, list[str]] = {}
        """Uri → aliases, of those."""
        self._recent: OrderedDict[str, str] = OrderedDict()
        """Alias → uri, of what was given lately, wherever it lies."""
        self._lately: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        """Uri → aliases, the other way round."""
        self._news: list[str] = []
        self._versions: OrderedDict[str, str] = OrderedDict()
        """Uri → the newest version given lately; "" as first published."""
        self._met: OrderedDict[str, None] = OrderedDict()
        """Aliases of what was given lately, taken or not."""
        self._deleted: OrderedDict[str, None] = OrderedDict()
        """Aliases and uris of what was deleted lately."""

    def learn(self, uris: Iterable[str]) -> None:
        for uri in uris:
            self._held.setdefault(uri)
            for name in self._lately.get(uri, ()):
                self._note(uri, name)

    def learn_aliases(self, aliases: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        for uri, names in aliases:
            for name in names:
                self._note(uri, name)

    def meet(self, post: Post) -> bool:
        """A post as a server gives it. Whether it is to be given: not twice, no older version behind a newer one, and
        none that was deleted."""
        self.name(post)
        if post.id in self._deleted:
            return False
        version, known = post.version or "", self._versions.get(post.id)
        if known is not None and version <= known:
            return False
        _remember(self._versions, post.id, version)
        return True

    def name(self, post: Post) -> None:
        """By these names a server will tell that it was deleted."""
        for name in post.aliases:
            if post.id in self._held:
                self._note(post.id, name)
            _remember(self._recent, name, post.id)
            if name in self._deleted and post.id not in self._deleted:
                # It was deleted before this server told us what its number stands for; another may have.
                _remember(self._deleted, post.id, None)
                self._news += [post.id] if post.id in self._held else []
        _remember(self._lately, post.id, tuple(dict.fromkeys((*self._lately.get(post.id, ()), *post.aliases))))

    def news(self) -> tuple[str, ...]:
        """Posts on the bus of which it came out since the last call that they were deleted."""
        out, self._news = tuple(self._news), []
        return out

    def forget_versions(self) -> None:
        """What was given is to be given again, where it is read once more."""
        self._versions.clear()

    def met(self, alias: str | None) -> None:
        """A server gave it, whatever becomes of it."""
        if alias is not None:
            _remember(self._met, alias, None)

    def was_met(self, alias: str) -> bool:
        """It was given lately, or lies on the bus, or was deleted."""
        return alias in self._met or alias in self._uris or alias in self._deleted

    def deleted(self, alias: str) -> tuple[str | None, tuple[str, ...]]:
        """A post was deleted: its uri, where it was given, and the uri once more if it lies on the bus."""
        uri = self._uris.get(alias) or self._recent.get(alias)
        _remember(self._deleted, alias, None)
        if uri is None:
            return None, ()
        _remember(self._deleted, uri, None)
        return uri, (uri,) if uri in self._held else ()

    def of(self, server: str) -> Iterator[tuple[str, str]]:
        """The posts on the bus that this server can be asked about, the newest first: uri and alias."""
        for uri in reversed(tuple(self._held)):
            if uri not in self._deleted:
                # By its first name alone: one server is enough to ask.
                for name in self._names.get(uri, ())[:1]:
                    if name.rpartition("/")[0] == server:
                        yield uri, name

    def _note(self, uri: str, alias: str) -> None:
        if self._uris.setdefault(alias, uri) == uri:
            names = self._names.setdefault(uri, [])
            if alias not in names:
                names.append(alias)


def _remember(book: OrderedDict[str, T], key: str, value: T) -> None:
    book[key] = value
    book.move_to_end(key)
    if len(book) > REMEMBERED:
        book.popitem(last=False)
