"""Where X is and with what we may enter. Imports no client: whoever does not listen to X pays for none."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from listener.settings.schema import Settings
from listener.settings.types import read_secret

NAME: Final = "x.bearer_token"


@dataclass(frozen=True)
class Access:
    """The token is in no `repr`. `file`: where it was read, and may be replaced while we run."""

    base_url: str
    token: str = field(repr=False)
    file: Path | None = None


def x_access(settings: Settings) -> Access | None:
    """X's address and token, as set; None when no token is: X is not used. Raises ConfigError."""
    token = read_secret(settings.x.bearer_token, settings.x.bearer_token_file, NAME, header=True)
    if token is None:
        return None
    return Access(settings.x.base_url, token.get_secret_value(), settings.x.bearer_token_file)
