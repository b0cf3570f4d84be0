"""Where X is and with what we may enter. Imports no client: whoever does not listen to X pays for none."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from listener.errors import ConfigError
from listener.settings.schema import Settings
from listener.settings.types import read_secret

log = logging.getLogger(__name__)

NAME: Final = "x.bearer_token"


@dataclass(frozen=True)
class Access:
    """The token is in no `repr`. `file`: where it was read, and may be replaced while we run."""

    base_url: str
    token: str = field(repr=False)
    file: Path | None = None


class Key:
    """The bearer token as its file has it now. A file that is unfit changes nothing: the token before it stays in use,
    and `fault` says what is wrong. For all threads."""

    def __init__(self, access: Access) -> None:
        self._file = access.file
        self._lock = threading.Lock()
        self._token = access.token
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
                found = read_secret(None, self._file, NAME, header=True)
            except ConfigError as error:
                self.fault = f"{error}; the token from before is still in use"
                log.error("x: %s", self.fault)
                return False
            self.fault = None
            changed = found is not None and found.get_secret_value() != self._token
            if found is not None:
                self._token = found.get_secret_value()
            log.warning("x: %s_file was read again: %s", NAME, "a new token" if changed else "the same token")
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


def x_access(settings: Settings) -> Access | None:
    """X's address and token, as set; None when no token is: X is not used. Raises ConfigError."""
    token = read_secret(settings.x.bearer_token, settings.x.bearer_token_file, NAME, header=True)
    if token is None:
        return None
    return Access(settings.x.base_url, token.get_secret_value(), settings.x.bearer_token_file)
