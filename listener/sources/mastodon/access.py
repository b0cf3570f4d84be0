"""Which servers are heard, and with what we may enter each. Imports no client."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path

from listener.errors import ConfigError
from listener.settings.schema import Settings
from listener.settings.types import read_secret

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Access:
    """One server: `name` is how people call it. The token is in no `repr`. `file`: where it was read, and may be
    replaced while we run. `timeline`: `none`, `local` or `public`."""

    name: str
    url: str
    token: str = field(repr=False)
    timeline: str = "none"
    file: Path | None = None


class Token:
    """The token as its file has it now. A file that is unfit changes nothing: the one before it stays in use."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._last = access.token

    def read(self) -> str:
        if self._access.file is not None:
            try:
                found = read_secret(None, self._access.file, "token", header=True)
            except ConfigError as error:
                log.error("mastodon: %s: %s; the token from before is still in use", self._access.name, error)
            else:
                self._last = self._last if found is None else found.get_secret_value()
        return self._last


def accesses(settings: Settings) -> tuple[Access, ...]:
    """Those of the settings. Raises ConfigError that names the setting."""
    found = []
    for place, server in enumerate(settings.mastodon.servers):
        name = f"mastodon.servers.{place}.token"
        token = read_secret(server.token, server.token_file, name, header=True)
        if token is None:
            raise ConfigError(
                f"{name} is not set: since 4.2 {server.name} streams to users alone; make a token of an account there "
                "with the scope read:statuses (Preferences, Development) and write it to a file, named by token_file"
            )
        found.append(Access(server.name, server.url, token.get_secret_value(), server.timeline, server.token_file))
    return tuple(found)
