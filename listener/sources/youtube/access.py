"""Where YouTube's API is and with what we may enter. Imports no client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from listener.errors import ConfigError
from listener.settings.schema import Settings
from listener.settings.types import read_secret
from listener.settings.youtube import OwnerSettings
from listener.sources.common.key import Key

NAME: Final = "youtube.api_key"


@dataclass(frozen=True, slots=True)
class OwnersGrant:
    """What the channel's owner allowed, with the scope `youtube.force-ssl`. No secret is in its `repr`."""

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    token_url: str


@dataclass(frozen=True)
class Access:
    """No secret is in its `repr`. `owner` None: what waits for review is not asked for."""

    base_url: str
    key: Key = field(repr=False)
    owner: OwnersGrant | None = None


def youtube_access(settings: Settings) -> Access | None:
    """As set; None where no key is: YouTube is not used. Raises ConfigError."""
    its = settings.youtube
    found = read_secret(its.api_key, its.api_key_file, NAME, header=True)
    if found is None:
        return None
    if not its.channels:
        raise ConfigError("youtube.channels names none: there is nothing to listen to; name the hospital's own")
    owner = None if its.owner is None else _grant(its.owner)
    return Access(its.base_url, Key(NAME, found.get_secret_value(), its.api_key_file), owner)


def _grant(its: OwnerSettings) -> OwnersGrant:
    """Raises ConfigError where something of it is missing."""
    secret = read_secret(its.client_secret, its.client_secret_file, "youtube.owner.client_secret")
    token = read_secret(its.refresh_token, its.refresh_token_file, "youtube.owner.refresh_token")
    if not its.client_id or secret is None or token is None:
        raise ConfigError(
            "youtube.owner needs client_id, client_secret_file and refresh_token_file; leave it out, and comments that "
            "wait for review are not asked for"
        )
    return OwnersGrant(its.client_id, secret.get_secret_value(), token.get_secret_value(), its.token_url)
