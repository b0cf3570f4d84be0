"""Themes as data: `config/themes.yaml`, read and checked, and which of their phrases a text has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ahocorasick_rs import AhoCorasick
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alerts.annotate.cues import fold, pattern
from listener.model.codec import LONGEST_WHY
from listener.settings.files import load_yaml, packaged_config

FILE = "themes.yaml"


def themes_file(config: Path) -> Path:
    """The file of a folder of configuration; one that was copied before there were themes gets the program's own."""
    own = config / FILE
    return own if own.exists() else packaged_config() / FILE


class Theme(BaseModel):
    """What a theme is called and about, for people, and phrases that hint at it; `*` at an end leaves a word open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Mapping[str, str] = Field(default_factory=dict)
    about: str = Field(min_length=1, max_length=LONGEST_WHY)
    phrases: tuple[str, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    themes: Mapping[str, Theme] = Field(min_length=1)


class Themes:
    """All themes, compiled. Immutable: share it between threads."""

    def __init__(self, themes: Mapping[str, Theme]) -> None:
        self.themes = themes
        phrases: dict[str, list[str]] = {}
        for name, theme in themes.items():
            for phrase in theme.phrases:
                phrases.setdefault(pattern(phrase), []).append(name)
        self._machine = AhoCorasick(list(phrases))
        self._of = tuple(tuple(names) for names in phrases.values())

    @classmethod
    def load(cls, path: Path) -> Themes:
        """Read the file. Raises ConfigError with file and line."""
        file = load_yaml(path)
        try:
            themes = _File.model_validate(file.data).themes
        except ValidationError as error:
            raise file.explain(error) from None
        for name, theme in themes.items():
            for index, phrase in enumerate(theme.phrases):
                if not pattern(phrase).strip() or "*" in phrase.strip("*"):
                    raise file.error(("themes", name, "phrases", index), "must be words; `*` only at an end")
        return cls(themes)

    def names(self, language: str) -> Mapping[str, str]:
        """Theme → what people call it in `nb` or `en`; one that has no such name, by its id."""
        return {theme: about.name.get(language, theme) for theme, about in self.themes.items()}

    def hints(self, text: str) -> dict[str, int]:
        """Theme → how many different phrases of it stand in the text, in the order in which they first do."""
        found: dict[str, int] = {}
        seen: set[int] = set()
        for number, _, _ in self._machine.find_matches_as_indexes(fold(text), overlapping=True):
            if number not in seen:
                seen.add(number)
                for name in self._of[number]:
                    found[name] = found.get(name, 0) + 1
        return found
