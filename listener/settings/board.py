"""Where the board is served, and who may look at it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from listener.settings.receiver import known_host
from listener.settings.types import FilePath, Tree


class CertificateSettings(Tree):
    """PEM files: the certificate with those above it, and its key."""

    file: FilePath
    key_file: FilePath


class BoardSettings(Tree):
    """The web pages of the crisis team."""

    host: Annotated[str, AfterValidator(known_host)] = "127.0.0.1"
    port: int = Field(default=9471, ge=0, le=65535)
    certificate: CertificateSettings | None = None
