"""What ops are told of a source: said once when it begins, and once when it is over, across restarts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from listener.sources.contract import Notice


class NoticeBook:
    """Names of `listener.runtime.ops_alerts.OPS_ALERTS`. `standing` is what was told and is not over → since when; it
    lies in the memory that outlives us."""

    def __init__(self, standing: dict[str, datetime]) -> None:
        self._standing = standing
        self._new: list[Notice] = []

    def begin(self, what: str, since: datetime, words: Mapping[str, str] | None = None) -> None:
        if what not in self._standing:
            self._standing[what] = since
            self._new.append(Notice(what, since, words=words or {}))

    def over(self, *names: str, words: Mapping[str, str] | None = None) -> None:
        for what in names:
            if (since := self._standing.pop(what, None)) is not None:
                self._new.append(Notice(what, since, over=True, words=words or {}))

    @property
    def has_news(self) -> bool:
        return bool(self._new)

    def take(self) -> tuple[Notice, ...]:
        out, self._new = tuple(self._new), []
        return out
