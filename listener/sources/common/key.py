"""A platform's token as its file has it now: secrets are rotated while we run."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from listener.errors import ConfigError
from listener.settings.types import read_secret

log = logging.getLogger(__name__)


class Key:
    """`name`: the setting (`x.bearer_token`), whose `…_file` is `file`. A file that is unfit changes nothing: the token
    before it stays in use, and `fault` says what is wrong. For all threads."""

    def __init__(self, name: str, token: str, file: Path | None = None) -> None:
        self.name = name
        self._file = file
        self._lock = threading.Lock()
        self._token = token
        self._seen = self._stamp()
        self.fault: str | None = None

    @property
    def token(self) -> str:
        return self._token

    def reread(self) -> bool:
        """Look at the file, if it was touched since. True when the token is another one now."""
        with self._lock:
            stamp = self._stamp()
            if self._file is None or stamp == self._seen:
                return False
            self._seen = stamp
            try:
                found = read_secret(None, self._file, self.name, header=True)
            except ConfigError as error:
                self.fault = f"{error}; the token from before is still in use"
                log.error("%s", self.fault)
                return False
            self.fault = None
            changed = found is not None and found.get_secret_value() != self._token
            if found is not None:
                self._token = found.get_secret_value()
            log.warning("%s_file was read again: %s", self.name, "a new token" if changed else "the same token")
            return changed

    def _stamp(self) -> tuple[int, int, int] | None:
        """What changes when a file is written or put in place of another; None when there is none."""
        if self._file is None:
            return None
        try:
            found = os.stat(self._file.expanduser())
        except (OSError, RuntimeError, ValueError):
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
