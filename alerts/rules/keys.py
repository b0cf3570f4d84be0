"""A key is a tuple of values, one for each name it is made of. Records hold it as one text, from which it is read back.

One value is written as it is; several as `a, b`, and one that could be taken for two as `"a, b"`, with its own quotes
doubled, as in CSV.
"""

from __future__ import annotations

from collections.abc import Sequence

_BETWEEN = ", "


def write_key(values: Sequence[str]) -> str:
    """Values → the key's text: no two keys of the same names have the same one."""
    if len(values) == 1:
        return values[0]
    return _BETWEEN.join(_quoted(value) if value[:1] == '"' or _BETWEEN in value else value for value in values)


def read_key(key: str, names: Sequence[str]) -> tuple[str, ...]:
    """A key's text → its values."""
    if len(names) < 2:
        return (key,)
    values: list[str] = []
    rest: str | None = key
    while rest is not None:
        value, rest = _first(rest)
        values.append(value)
    return tuple(values)


def shown(key: str, names: Sequence[str]) -> str:
    """The key for people: its values side by side."""
    return _BETWEEN.join(read_key(key, names))


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def _first(text: str) -> tuple[str, str | None]:
    """The first value, and what is behind it; None where it is the last."""
    if text.startswith('"'):
        inner = text[1:].replace('""', "\0\0")
        end = inner.find('"')
        behind = text[end + 2 :]
        if end >= 0 and (not behind or behind.startswith(_BETWEEN)):
            return text[1 : end + 1].replace('""', '"'), behind[len(_BETWEEN) :] if behind else None
    value, between, rest = text.partition(_BETWEEN)
    return value, rest if between else None
