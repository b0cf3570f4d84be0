"""The history: a data folder remembers which bus it had, so that a bus that was lost is not taken for a new one.

Every embedded log has an id, made with it. `bus.id` beside the log, and in the data folder where that is another, names
the logs that were opened there with their ids. It is written when a log is made and on the disk before the first
record is. A log that is missing or empty though `bus.id` names it, or that has another id, is refused: somebody must
restore it, or say that its history is given up (`lyttepost bus give-up-history`).

A folder of a version before this file is known by what stands beside an empty log: a register, posts that were kept
while the bus was away, or a write-ahead log.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from listener.errors import Refused
from listener.permissions import write_whole

NAME = "bus.id"
UNREADABLE = ""
"""The id in a `bus.id` that cannot be read: there was a bus, and nobody knows which."""
WAY_OUT = (
    "stop what runs and restore the newest backup; only if there is none, "
    "`lyttepost bus give-up-history --why TEXT` begins anew and keeps that decision"
)


class ClusterHistory:
    """Of a deployment's topics on a cluster, known by their prefix, as the data folder remembers it."""

    def __init__(self, prefix: str, folder: Path) -> None:
        self._key = f"kafka:{prefix}"
        self._folder = folder

    def is_remembered(self) -> bool:
        return self._key in (_read(self._folder / NAME) or {})

    def lost(self, topic: str, hosts: str) -> Refused:
        return Refused(
            f"kafka {hosts}: has no topic {topic}, but there was one ({NAME} in {self._folder} remembers it); "
            f"does bus.url name the right cluster, with the right prefix? If so, {WAY_OUT}"
        )

    def remember(self) -> None:
        if os.path.isdir(self._folder) and not self.is_remembered():
            with suppress(OSError):
                _write(self._folder / NAME, {**(_read(self._folder / NAME) or {}), self._key: new_id()})


class History:
    """Of the log at `path`, as `folder` (the data folder) and the log's own folder remember it."""

    def __init__(self, path: Path, folder: Path) -> None:
        self._path = path
        self._folder = folder
        # A data folder that is not there is made by who runs there, not by who looks.
        self._folders = dict.fromkeys([path.parent, *([folder] if os.path.isdir(folder) else [])])

    def ids(self) -> set[str]:
        """The ids under which this log is remembered; none when there was none, `UNREADABLE` among them."""
        return {id_ for folder in self._folders for id_ in self._known(folder)}

    def lost(self) -> Refused | None:
        """Of a log that is missing or empty: what to raise when there was one, as is remembered or as lies beside it.

        None of it is there before a log has been made, so whoever makes one at this moment is not taken for a loss.
        """
        why = [f"{NAME} remembers it"] if self.ids() else []
        if _size(self._path.with_name(self._path.name + "-wal")):
            why.append(f"{self._path.name}-wal holds what was not folded into it yet: keep a copy of that file")
        if self._path.parent == self._folder:
            beside = [self._folder / "register.sqlite", *sorted(self._folder.glob("spool-*.jsonl"))]
            why += [f"{path.name} is there" for path in beside if _size(path)]
        if not why:
            return None
        what = "is empty" if os.path.exists(self._path) else "is missing"
        return Refused(f"{self._path}: the log {what}, but there was one ({'; '.join(why)}); {WAY_OUT}")

    def another(self, id_: str) -> Refused:
        return Refused(
            f"{self._path}: is another log (id {id_[:8]}) than the one that this data folder had, as {NAME} says; "
            f"put the right one there: {WAY_OUT}"
        )

    def is_empty(self) -> bool:
        return not _size(self._path)

    def remember(self, id_: str) -> None:
        """On the disk when this returns. On a full disk it is left to the next who opens the log."""
        for folder in self._folders:
            known = _read(folder / NAME)
            key = self._key(folder)
            if known is None or known.get(key) != id_:
                with suppress(OSError):
                    _write(folder / NAME, {**(known or {}), key: id_})

    def remove_leftovers(self) -> None:
        """Of a log that was lost: SQLite would take it for a part of the new one."""
        for ending in ("-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)

    def _known(self, folder: Path) -> Iterator[str]:
        known = _read(folder / NAME)
        if known is None:
            yield UNREADABLE
        elif (id_ := known.get(self._key(folder))) is not None:
            yield id_

    def _key(self, folder: Path) -> str:
        """Beside it by its name alone, so that a folder may be moved as a whole."""
        path, folder = Path(os.path.abspath(self._path)), Path(os.path.abspath(folder))
        return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def new_id() -> str:
    return os.urandom(16).hex()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(path: Path) -> Mapping[str, str] | None:
    """Empty where there is none, None where it cannot be read."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    return {key: id_ for key, id_ in found.items() if isinstance(id_, str)}


def _write(path: Path, known: Mapping[str, str]) -> None:
    write_whole(path, json.dumps(known, indent=1).encode() + b"\n")
