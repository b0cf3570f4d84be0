"""Where the Graph API is and with what we may enter. Imports no client: who does not call it pays for none."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from listener.errors import ConfigError
from listener.settings.meta import MetaSettings
from listener.settings.types import read_secret
from listener.webhooks.meta import MetaGuard


@dataclass(frozen=True)
class App:
    """Our app at Meta. Its secret is in no `repr`."""

    id: str | None = None
    secret: str | None = field(default=None, repr=False)

    @property
    def token(self) -> str | None:
        """With which the app itself asks; None where it is not known in full."""
        return f"{self.id}|{self.secret}" if self.id and self.secret else None

    def proof(self, token: str) -> str | None:
        """`appsecret_proof`: that who holds the token holds the app's secret too."""
        if self.secret is None:
            return None
        return hmac.new(self.secret.encode(), token.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class GraphAccess:
    """`name` is the setting of the token (`instagram.access_token`), which is in no `repr`; `file`: where it was read,
    and may be replaced while we run."""

    name: str
    base_url: str
    version: str
    token: str = field(repr=False)
    file: Path | None = None
    app: App = App()


def app_of(settings: MetaSettings) -> App:
    """Raises ConfigError."""
    secret = read_secret(settings.app_secret, settings.app_secret_file, "meta.app_secret")
    return App(settings.app_id, None if secret is None else secret.get_secret_value())


def graph_access(settings: MetaSettings, name: str, token: SecretStr | None, file: Path | None) -> GraphAccess:
    """`token` and `file`: the settings `name` and `name_file`. Raises ConfigError, also where neither is set."""
    read = read_secret(token, file, name, header=True)
    if read is None:
        raise ConfigError(f"{name} is not set; write the token into a file and set {name}_file to its path")
    return GraphAccess(name, settings.base_url, settings.version, read.get_secret_value(), file, app_of(settings))


def verify_token(settings: MetaSettings) -> SecretStr | None:
    """The word of the handshake; None where Meta is not to call us. Raises ConfigError."""
    return read_secret(settings.verify_token, settings.verify_token_file, "meta.verify_token")


def webhook_guard(settings: MetaSettings) -> MetaGuard | None:
    """By which calls of Meta's are known; None where it is not to call us. Raises ConfigError."""
    token, app = verify_token(settings), app_of(settings)
    if token is None:
        return None
    if app.secret is None:
        raise ConfigError(
            "meta.verify_token is set, and meta.app_secret is not: Meta signs its calls with it; set both"
        )
    return MetaGuard(SecretStr(app.secret), token)
