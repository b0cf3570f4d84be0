"""How a Kafka cluster is reached and what is asked of it: `bus.kafka` of the settings."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from listener.errors import ConfigError
from listener.permissions import open_regular
from listener.settings.types import Duration, FilePath, Size, Tree, read_secret, within

Mechanism = Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"]
Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]


def _roomy(size: int) -> int:
    if size < 1 << 20:
        raise ValueError("must be at least 1MB")
    if size > 1000 << 30:
        raise ValueError("must be at most 1000GB")
    return size


class TlsSettings(Tree):
    """TLS is on when any of these is set; `enabled` alone trusts the system's authorities."""

    enabled: bool | None = None
    ca_file: FilePath | None = None
    cert_file: FilePath | None = None
    key_file: FilePath | None = None

    @property
    def on(self) -> bool:
        return self.enabled or any((self.ca_file, self.cert_file))

    @model_validator(mode="after")
    def _whole(self) -> TlsSettings:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together: set both or neither")
        if self.enabled is False and any((self.ca_file, self.cert_file)):
            raise ValueError("enabled is false, but files are set; remove them or set enabled to true")
        return self


class SaslSettings(Tree):
    """SASL is on when a user name is set."""

    mechanism: Mechanism = "SCRAM-SHA-512"
    username: str | None = Field(default=None, min_length=1)
    password: SecretStr | None = None
    password_file: FilePath | None = None

    @model_validator(mode="after")
    def _whole(self) -> SaslSettings:
        given = self.password is not None or self.password_file is not None
        if given and self.username is None:
            raise ValueError("a password is set, but no username")
        if self.username is not None and not given:
            raise ValueError("username is set, but neither password nor password_file")
        return self


class KafkaSettings(Tree):
    """`segment` and `purge_lag` bound how long purged content may still lie in the brokers' files; `buffer` is how
    many bytes the listener keeps on its own disk while the cluster is away."""

    replication: int = Field(default=1, ge=1, le=9)
    min_in_sync: int | None = Field(default=None, ge=1, le=9)
    tls: TlsSettings = TlsSettings()
    sasl: SaslSettings = SaslSettings()
    purge_lag: Annotated[Duration, within(timedelta(seconds=1), timedelta(days=7))] = timedelta(hours=1)
    segment: Annotated[Duration, within(timedelta(seconds=1), timedelta(days=7))] = timedelta(hours=1)
    buffer: Annotated[Size, AfterValidator(_roomy)] = 1 << 30

    @model_validator(mode="after")
    def _can_be_kept(self) -> KafkaSettings:
        if self.in_sync > self.replication:
            raise ValueError(
                f"min_in_sync is {self.min_in_sync}, but there are only {self.replication} copies (replication); "
                "nothing could be written"
            )
        if self.sasl.username and self.sasl.mechanism == "PLAIN" and not self.tls.on:
            raise ValueError("sasl.mechanism PLAIN without TLS sends the password in the clear; set tls or use SCRAM")
        return self

    @property
    def in_sync(self) -> int:
        """How many copies must have a record before it counts as written."""
        return self.min_in_sync or max(1, self.replication - 1)

    @property
    def protocol(self) -> Protocol:
        if self.sasl.username:
            return "SASL_SSL" if self.tls.on else "SASL_PLAINTEXT"
        return "SSL" if self.tls.on else "PLAINTEXT"

    def client(self) -> dict[str, Any]:
        """What every kafka-python client is given: protocol, files and credentials. Raises ConfigError."""
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.tls.on:
            files = {"ssl_cafile": "ca_file", "ssl_certfile": "cert_file", "ssl_keyfile": "key_file"}
            options |= {option: _readable(getattr(self.tls, name), name) for option, name in files.items()}
        if self.sasl.username:
            password = read_secret(self.sasl.password, self.sasl.password_file, "bus.kafka.sasl.password")
            options |= {
                "sasl_mechanism": self.sasl.mechanism,
                "sasl_plain_username": self.sasl.username,
                "sasl_plain_password": password.get_secret_value() if password else "",
            }
        return options


def _readable(file: Path | None, name: str) -> str | None:
    """The client would report a missing file only as a broker that cannot be reached."""
    if file is None:
        return None
    path = file.expanduser()
    try:
        open_regular(path).close()
    except OSError as error:
        raise ConfigError(f"bus.kafka.tls.{name}: {path} cannot be read ({type(error).__name__})") from None
    return str(path)
