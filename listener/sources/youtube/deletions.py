"""Which comments that we hold are deleted: asked for by their ids, since nobody tells. Pure.

One that is missing once is only suspected: an answer may have been cut short at the platform. Missing from a second
answer, some time later, it is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


class Held:
    """The comments that lie on the bus, by id."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}
        self._suspected: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def suspected(self) -> bool:
        """Some were missing once, and are to be asked for again."""
        return bool(self._suspected)

    def learn(self, ids: Iterable[str]) -> None:
        self._ids |= dict.fromkeys(id_.partition("@")[0] for id_ in ids)

    def to_ask(self) -> list[str]:
        """Those that are suspected; where none are, all."""
        return list(self._suspected or self._ids)

    def judge(self, missing: Collection[str]) -> tuple[str, ...]:
        """Those that were asked for are there, but for the missing ones. The ids of those that are gone."""
        again = [id_ for id_ in self._suspected if id_ in missing]
        if self._suspected:
            self._suspected.clear()
            for id_ in again:
                self._ids.pop(id_, None)
            return tuple(again)
        self._suspected = dict.fromkeys(id_ for id_ in self._ids if id_ in missing)
        return ()
