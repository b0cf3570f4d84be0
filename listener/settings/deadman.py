"""Where the outside dead-man service is pinged: its settings, and its address, which is a secret."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import SecretStr

from listener.errors import ConfigError
from listener.settings.hosts import host_problem
from listener.settings.types import Duration, FilePath, Tree, read_secret, within

EXAMPLE = "write an address such as https://hc-ping.com/KEY"


class DeadManSettings(Tree):
    url: SecretStr | None = None
    url_file: FilePath | None = None
    every: Annotated[Duration, within(timedelta(seconds=1), timedelta(days=1))] = timedelta(minutes=1)

    def address(self) -> str | None:
        """From the setting, or from its file as it is now; None where no service is set up.

        Raises ConfigError, which does not repeat it.
        """
        secret = read_secret(self.url, self.url_file, "deadman.url")
        if secret is None:
            return None
        text = secret.get_secret_value()
        where = "deadman.url" if self.url_file is None else f"deadman.url_file: {self.url_file}"
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ConfigError(f"{where}: is no web address: its host or port cannot be; {EXAMPLE}") from None
        if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
            raise ConfigError(f"{where}: is no web address; {EXAMPLE}")
        if parts.username is not None:
            raise ConfigError(f"{where}: a user or password is not sent along; {EXAMPLE}")
        if host_problem(parts.hostname):
            raise ConfigError(f"{where}: its host cannot be; {EXAMPLE}")
        if any(char.isspace() for char in text):
            raise ConfigError(f"{where}: holds white space; {EXAMPLE}")
        return text
