"""Whether LinkedIn is listened to, on what basis, and for which Page."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from listener.settings.addresses import bare_address
from listener.settings.types import Duration, FilePath, Tree, within

_EXAMPLE = "write an address such as https://api.linkedin.com"


def _address(text: str) -> str:
    return bare_address(text, ("https", "http"), _EXAMPLE, f"is no address of an API; {_EXAMPLE}")


def _organization(text: str) -> str:
    number = text.strip().removeprefix("urn:li:organization:")
    if not re.fullmatch("[0-9]{1,20}", number):
        raise ValueError("write the number of the Page, or urn:li:organization: and the number")
    return f"urn:li:organization:{number}"


def _version(text: str) -> str:
    if not re.fullmatch(r"20[0-9]{2}(?:0[1-9]|1[0-2])", text):
        raise ValueError("write year and month of a version of the API, such as 202610")
    return text


class LinkedInSettings(Tree):
    """`basis`: who decided that it may be listened to, when and why. `token_expires`: the day, as LinkedIn says it."""

    enabled: bool = False
    basis: str | None = None
    organization: Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(_organization)] | None = None
    token: SecretStr | None = None
    token_file: FilePath | None = None
    token_expires: date | None = None
    version: Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(_version)] = "202610"
    base_url: Annotated[str, AfterValidator(_address)] = "https://api.linkedin.com"
    every: Annotated[Duration, within(timedelta(minutes=1), timedelta(hours=1))] = timedelta(minutes=5)
    in_calm: Annotated[Duration, within(timedelta(minutes=5), timedelta(hours=12))] = timedelta(hours=1)
    calls: int = Field(default=500, ge=10, le=1_000_000)

    @model_validator(mode="after")
    def _may_be_heard(self) -> LinkedInSettings:
        if not self.enabled:
            return self
        if not (self.basis or "").strip():
            raise ValueError(
                "basis is missing: LinkedIn's terms may forbid this use. Ask a lawyer first, then write who decided, "
                "when and why"
            )
        if self.organization is None:
            raise ValueError("organization is missing: write the number of the hospital's Page")
        return self
