"""Where platforms call us: the port behind the reverse proxy, and the address that the world sees."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from listener.settings.receiver import known_host, web_address
from listener.settings.types import Tree


class WebhooksSettings(Tree):
    """`url`: what the proxy shows the world, without the platform's name: doctor tells it, and tries it."""

    host: Annotated[str, AfterValidator(known_host)] = "127.0.0.1"
    port: int = Field(default=9472, ge=0, le=65535)
    url: Annotated[str, Field(max_length=200), AfterValidator(web_address)] | None = None

    def address_of(self, source: str) -> str | None:
        """What is written at the platform; None while the settings do not say."""
        return None if self.url is None else f"{self.url}/{source}"
