"""Where X is and with what we may enter. Imports no client: whoever does not listen to X pays for none."""

from __future__ import annotations

from dataclasses import dataclass, field

from listener.settings import Settings
from listener.tree import read_secret


@dataclass(frozen=True)
class Access:
    """The token is in no `repr`."""

    base_url: str
    token: str = field(repr=False)


def x_access(settings: Settings) -> Access | None:
    """X's address and token, as set; None when no token is: X is not used. Raises ConfigError."""
    token = read_secret(settings.x.bearer_token, settings.x.bearer_token_file, "x.bearer_token")
    return None if token is None else Access(settings.x.base_url, token.get_secret_value())
