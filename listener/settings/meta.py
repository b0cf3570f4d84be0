"""What Facebook and Instagram share: where Meta's Graph API is, in which version, and our app there."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from listener.settings.addresses import bare_address
from listener.settings.types import FilePath, Tree

EXAMPLE = "write an address such as https://graph.facebook.com"


def _address(text: str) -> str:
    otherwise = f"must be the address of a host; {EXAMPLE}"
    return bare_address(text, ("https", "http"), EXAMPLE, otherwise, ours="version and path are")


def _version(text: str) -> str:
    if not re.fullmatch(r"v[1-9][0-9]{0,2}\.[0-9]{1,2}", text):
        raise ValueError("write a version such as v26.0")
    return text


def numeric_id(text: str) -> str:
    """An id of the Graph API, all digits. Raises ValueError."""
    if not re.fullmatch(r"[1-9][0-9]{0,31}", text):
        raise ValueError("is all digits, such as 17841400000000000, and no name")
    return text


NumericId = Annotated[str, Field(coerce_numbers_to_str=True), AfterValidator(numeric_id)]


class MetaSettings(Tree):
    base_url: Annotated[str, AfterValidator(_address)] = "https://graph.facebook.com"
    version: Annotated[str, AfterValidator(_version)] = "v26.0"
    app_id: NumericId | None = None
    app_secret: SecretStr | None = None
    app_secret_file: FilePath | None = None
    verify_token: SecretStr | None = None
    verify_token_file: FilePath | None = None
