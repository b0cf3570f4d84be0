"""What typed settings are built of: the strict tree, durations, sizes, and secrets from files."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, SecretStr

from listener.errors import ConfigError
from listener.units import format_duration, parse_duration


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration like 10s, 5m, 6h or 30d")
    return parse_duration(value)


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(format_duration, when_used="json")]

_UNITS: Final = {"KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_SIZE: Final = re.compile(r"(\d{1,12}) ?(KB|MB|GB)", re.IGNORECASE)


def _size(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("write a size like 512MB or 2GB")
    return int(found[1]) * _UNITS[found[2].upper()]


def _written(size: int) -> str:
    unit = next((unit for unit in ("GB", "MB") if size % _UNITS[unit] == 0), "KB")
    return f"{size // _UNITS[unit]}{unit}"


Size = Annotated[int, BeforeValidator(_size), PlainSerializer(_written, when_used="json")]
"""Bytes; written 512MB, of 1,024 each."""


class Tree(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def read_secret(value: SecretStr | None, file: Path | None, name: str) -> SecretStr | None:
    """The secret, from the setting or else from its file. Raises ConfigError when both are set or the file is unfit."""
    if file is None:
        return value
    if value is not None:
        raise ConfigError(f"{name} and {name}_file are both set; keep one of them")
    try:
        text = file.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}_file: {file} cannot be read ({type(error).__name__})") from None
    if not text:
        raise ConfigError(f"{name}_file: {file} is empty")
    return SecretStr(text)
