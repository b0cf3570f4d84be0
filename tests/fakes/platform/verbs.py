"""Commands by name: each public method of a class over `Verbs` is a verb of scenarios and of the control path."""

from __future__ import annotations

import inspect
import threading
from contextlib import AbstractContextManager
from typing import Any


class BadCommand(ValueError):
    """No such verb, or not with these parameters."""


class Verbs:
    """Over it a platform names what can be commanded of it. A verb's parameters are those of its method."""

    def __init__(self, lock: AbstractContextManager[Any] | None = None) -> None:
        """`lock` is held while a verb is carried out."""
        self._lock = lock or threading.RLock()

    def do(self, verb: str, **params: Any) -> Any:
        """Run a verb. Raises BadCommand."""
        if verb not in self.names():
            raise BadCommand(f"no such command: {verb}; there are: {', '.join(self.names())}")
        method = getattr(self, verb)
        try:
            inspect.signature(method).bind(**params)
        except TypeError as wrong:
            raise BadCommand(f"{verb}: {wrong}") from None
        try:
            with self._lock:
                return method(**params)
        except (ValueError, KeyError, TypeError) as wrong:
            raise BadCommand(f"{verb}: {type(wrong).__name__}: {wrong}") from None

    @classmethod
    def names(cls) -> list[str]:
        """All verbs: those of the platform first, in the order in which they are written."""
        found = [name for each in cls.__mro__ if each not in (Verbs, object) for name in vars(each)]
        public = [name for name in dict.fromkeys(found) if name[0] != "_" and inspect.isfunction(getattr(cls, name))]
        return [name for name in public if name not in ("do", "names")]
