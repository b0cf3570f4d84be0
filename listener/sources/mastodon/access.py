"""Which servers are heard, and with what we may enter each. Imports no client."""

from __future__ import annotations

from dataclasses import dataclass, field

from listener.errors import ConfigError
from listener.settings.schema import Settings
from listener.settings.types import read_secret
from listener.sources.common.key import Key


@dataclass(frozen=True)
class Access:
    """One server: `name` is how people call it. `key`: its token, which is in no `repr` and may be replaced while we
    run. `timeline`: `none`, `local` or `public`."""

    name: str
    url: str
    key: Key = field(repr=False)
    timeline: str = "none"


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
        key = Key(name, token.get_secret_value(), server.token_file)
        found.append(Access(server.name, server.url, key, server.timeline))
    return tuple(found)
