"""The model in force: the one that came with the program, or what `lyttepost register learn` made of it here.

`learned.bin` in the data folder is a whole file of weights, `learned.before.bin` the one that was in force before it,
for `--undo`. Either says of which model it was made, and of which posts it learned, as hashes: one of another model
than the program's is passed over, and one that learned from a post is removed when that post is purged.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from alerts.annotate.understanding import WEIGHTS, Understander
from alerts.annotate.weights import Bank, read, write
from listener.errors import ConfigError
from listener.model.keys import names_of_post

log = logging.getLogger(__name__)

LEARNED, BEFORE = "learned.bin", "learned.before.bin"
LOOK_SECONDS = 5.0
_ABOUT = "learned"
_BANK = "kinds"
"""The bank beside whose numbers it stands what was learned from."""


class Model:
    """What understands texts now. Where `data` is given, what is learned there counts within seconds.

    With `encoder`, a file of one, it is the better tier.
    """

    def __init__(self, config: Path, data: Path | None = None, *, encoder: Path | None = None) -> None:
        """Raises ConfigError for cues, themes or weights that are wrong."""
        self._config = config
        self._encoder = encoder
        self._file = None if data is None else data / LEARNED
        self._mark = self._look()
        self._next = float("-inf")
        self.understander = self._load()

    def current(self, now: float) -> Understander:
        """`now`: monotonic seconds. A file that cannot be used is reported once, and what was in force stays."""
        if now >= self._next:
            self._next = now + LOOK_SECONDS
            if (mark := self._look()) != self._mark:
                self._mark = mark
                try:
                    self.understander = self._load()
                    log.info("the model that was %s is in force", "learned here" if mark else "there before learning")
                except ConfigError as error:
                    log.error("the model that was in force stays: %s", error)
        return self.understander

    def _look(self) -> tuple[int, int] | None:
        try:
            status = None if self._file is None else self._file.stat()
        except OSError:
            return None
        return None if status is None else (status.st_mtime_ns, status.st_size)

    def _load(self) -> Understander:
        if self._file is not None and self._mark is not None:
            if is_of_program(banks := read(self._file)):
                return Understander.of(self._config, banks, self._file, self._encoder)
            log.warning("%s was learned on top of another model; run `lyttepost register learn` anew", self._file)
        return Understander.load(self._config, encoder=self._encoder)


def is_of_program(banks: Mapping[str, Bank]) -> bool:
    """Whether it was learned on top of the model that this program has."""
    return bool(_about(banks).get("of") == _digest(WEIGHTS))


def keep(data: Path, banks: Mapping[str, Bank], posts: Iterable[str]) -> None:
    """Put what was learned from these posts (`source:id`) in force. Raises OSError."""
    kinds = banks[_BANK]
    names = {name for post in posts for name in names_of_post(post)}
    about = {**kinds.about, _ABOUT: {"of": _digest(WEIGHTS), "posts": sorted(map(_hash, names))}}
    new = data / f"{LEARNED}.new"
    write(new, {**banks, _BANK: kinds._replace(about=about)}, small=False)
    new.chmod(0o600)
    if (data / LEARNED).exists():
        os.replace(data / LEARNED, data / BEFORE)
    os.replace(new, data / LEARNED)


def undo(data: Path) -> bool:
    """Put back what was in force before. False where nothing was learned."""
    if not (data / LEARNED).exists():
        return False
    if (data / BEFORE).exists():
        os.replace(data / BEFORE, data / LEARNED)
    else:
        (data / LEARNED).unlink()
    return True


def forget(data: Path, posts: Collection[str]) -> bool:
    """Remove what was learned from any of these posts, by whatever name of theirs. Whether there was such."""
    hashes = set(map(_hash, posts))
    gone = False
    for path in (data / LEARNED, data / BEFORE):
        if path.exists():
            try:
                held = not hashes.isdisjoint(_about(read(path)).get("posts", ()))
            except ConfigError:
                held = True  # It cannot be read, so that nothing shows that it is free of them.
            if held:
                path.unlink()
                gone = True
    return gone


def _about(banks: Mapping[str, Bank]) -> Mapping[str, Any]:
    about: Mapping[str, Any] = banks[_BANK].about.get(_ABOUT, {}) if _BANK in banks else {}
    return about


def _digest(path: Path) -> str:
    return blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _hash(post: str) -> str:
    return blake2b(post.encode(), digest_size=8, person=b"learned").hexdigest()
