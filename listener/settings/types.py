"""What typed settings are built of: the strict tree, durations, sizes, and secrets from files."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from listener.errors import ConfigError
from listener.permissions import open_regular
from listener.settings.files import expanded
from listener.units import format_duration, parse_duration


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError("write a duration like 10s, 5m, 6h or 30d")
    return parse_duration(value)


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(format_duration, when_used="json")]


def within(least: timedelta, most: timedelta) -> AfterValidator:
    """Bounds of a duration: what lies outside is a slip, and is reported with what may be written."""

    def check(value: timedelta) -> timedelta:
        if not least <= value <= most:
            raise ValueError(f"must be between {format_duration(least)} and {format_duration(most)}")
        return value

    return AfterValidator(check)


def _findable(path: Path) -> Path:
    expanded(path)
    return path


def _findable_from_anywhere(path: Path) -> Path:
    if not expanded(path).is_absolute():
        raise ValueError("write the whole path, from / or ~: a process that starts elsewhere would not find it")
    return path


AnyPath = Annotated[Path, AfterValidator(_findable)]
"""A path as it is written; what its `~` stands for is known to be there."""
FilePath = Annotated[Path, AfterValidator(_findable_from_anywhere)]
"""A file that every process must find, wherever it was started: every `…_file` has this type."""

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


_NUMBERS: Final = (int, float, int | None)


class Tree(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_bool(cls, value: Any, info: ValidationInfo) -> Any:
        """pydantic takes `port: true` for port 1."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in _NUMBERS:
            raise ValueError("must be a number")
        return value


def read_secret(value: SecretStr | None, file: Path | None, name: str, *, header: bool = False) -> SecretStr | None:
    """The secret, from the setting or else from its file; None when neither is set.

    `header`: it is sent in an HTTP header, which holds visible ASCII characters only. Raises ConfigError that names the
    setting, and the file, when both are set, when the file is unfit, or when what is in it can be no secret.
    """
    if value is not None and file is not None:
        raise ConfigError(f"{name} and {name}_file are both set; keep one of them")
    if file is not None:
        return SecretStr(clean_secret(_text_of(file, f"{name}_file"), f"{name}_file: {file}", header=header))
    return None if value is None else SecretStr(clean_secret(value.get_secret_value(), name, header=header))


def clean_secret(text: str, where: str, *, header: bool = False) -> str:
    """A secret as it was pasted or saved, without white space and byte order marks around it.

    `where` begins each message: the setting, and its file. No message holds any part of the secret.
    """
    secret = text.strip(_AROUND)
    if not secret:
        raise ConfigError(f"{where} is empty; write the secret there, or leave the setting out")
    if len(secret.splitlines()) > 1:
        raise ConfigError(f"{where} holds several lines; it must hold the secret alone, on one line")
    if header and secret[:7].casefold() == "bearer ":
        raise ConfigError(f"{where} begins with the word Bearer; leave it out and keep only what follows it")
    for place, char in enumerate(secret, 1):
        if not char.isprintable() or (header and not "!" <= char <= "~"):
            what = "white space" if char.isspace() else "a character that no such secret has"
            raise ConfigError(f"{where} holds {what} at place {place} of {len(secret)}; copy the secret again")
    return secret


_AROUND: Final = " \t\r\n\v\f\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029\u200b\u2060\ufeff"
"""What a secret never begins or ends with: white space, and the invisible marks that editors and web pages add."""
_LONGEST_SECRET: Final = 64 * 1024


def secret_bytes(file: Path, where: str) -> bytes:
    """What a secret's file holds, without white space and a byte order mark around it; not empty, and not always text.

    `where` begins each message. Raises ConfigError, which does not repeat it.
    """
    secret = _content_of(file, where).removeprefix(b"\xef\xbb\xbf").strip()
    if not secret:
        raise ConfigError(f"{where}: {file} is empty; write the secret there, or leave the setting out")
    return secret


def _text_of(file: Path, where: str) -> str:
    try:
        return _content_of(file, where).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{where}: {file} cannot be read ({type(error).__name__}); save it as UTF-8 (or ASCII) text"
        ) from None


def _content_of(file: Path, where: str) -> bytes:
    try:
        path = file.expanduser()
        with open_regular(path) as opened:
            raw = opened.read(_LONGEST_SECRET + 1)
    except IsADirectoryError:
        raise ConfigError(f"{where}: {file} is a folder; name the file in it that holds the secret") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{where}: {file} cannot be read ({type(error).__name__})") from None
    if len(raw) > _LONGEST_SECRET:
        raise ConfigError(f"{where}: {file} is too large to be a secret; is it the right file?")
    return raw
