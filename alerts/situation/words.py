"""The board's own words, in each language: `board/LANGUAGE.yaml` of a configuration folder.

A mapping of parts (`now`, `alert`, …) of texts. Every text that comes with the program must be there, and name in
braces what that one names: a missing word is found at start and not in front of a crisis team.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from alerts.notify.channels.text import one_line
from alerts.notify.messages import Messages, fill
from listener.errors import ConfigError
from listener.settings.files import load_yaml, packaged_config

FOLDER = "board"
_BRACES = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Words:
    """`texts`: `part.name` → text. `messages`: the words of alerts, themes and kinds, and how times are written."""

    texts: Mapping[str, str]
    messages: Messages

    @property
    def language(self) -> str:
        return self.messages.language

    def say(self, name: str, /, **values: object) -> str:
        """A text with its braces filled in, each value on one line."""
        return fill(self.texts[name], {key: one_line(str(value)) for key, value in values.items()})

    def count(self, name: str, number: int) -> str:
        """`1 person`, `14 personer`: the text `name` for one, `name_many` for others."""
        return self.say(name if number == 1 else f"{name}_many", n=number)

    def cause(self, cause: str) -> str:
        """Why a source could not be heard; one that a newer version wrote as it stands."""
        return self.texts.get(f"cause.{cause}", cause)


def load_words(folder: Path, messages: Messages) -> Words:
    """Raises ConfigError that names the file and what is wrong with it."""
    path = folder / FOLDER / f"{messages.language}.yaml"
    texts = _texts(path)
    ours = packaged_config() / FOLDER / f"{messages.language}.yaml"
    if ours.resolve() != path.resolve():
        for name, text in _texts(ours).items():
            if name not in texts:
                raise ConfigError(f"{path}: {name} is missing; the program's own text is {text!r}")
            if _names(texts[name]) != _names(text):
                wanted = ", ".join(f"{{{each}}}" for each in sorted(_names(text))) or "no name in braces"
                raise ConfigError(f"{path}: {name} must name {wanted} and nothing else")
    return Words(texts, messages)


def _names(text: str) -> set[str]:
    return set(_BRACES.findall(text))


def _texts(path: Path) -> dict[str, str]:
    data = load_yaml(path).data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: must be a mapping of parts, each of texts")
    found: dict[str, str] = {}
    for part, texts in data.items():
        if not isinstance(texts, dict):
            raise ConfigError(f"{path}: {part} must be a mapping of texts")
        for name, text in texts.items():
            if not isinstance(text, str):
                raise ConfigError(f"{path}: {part}.{name} must be a text; write it in quotes")
            found[f"{part}.{name}"] = text
    return found
