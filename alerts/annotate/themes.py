"""Themes as data: `config/themes.yaml`, read and checked, and which of their phrases a text has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alerts.annotate.words import NO_PHRASE, Phrases, file_in, is_phrase
from listener.model.codec import LONGEST_WHY
from listener.settings.files import load_yaml

FILE = "themes.yaml"


def themes_file(config: Path) -> Path:
    """The file of a folder of configuration; one that was copied before there were themes gets the program's own."""
    return file_in(config, FILE)


class Theme(BaseModel):
    """What a theme is called and about, for people, and phrases that hint at it; `*` at an end leaves a word open."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Mapping[str, str] = Field(default_factory=dict)
    about: str = Field(min_length=1, max_length=LONGEST_WHY)
    phrases: tuple[str, ...] = ()


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    themes: Mapping[str, Theme] = Field(min_length=1)


def load_themes(path: Path) -> Mapping[str, Theme]:
    """Read the file. Raises ConfigError with file and line."""
    file = load_yaml(path)
    try:
        themes = _File.model_validate(file.data).themes
    except ValidationError as error:
        raise file.explain(error) from None
    for name, theme in themes.items():
        for index, phrase in enumerate(theme.phrases):
            if not is_phrase(phrase):
                raise file.error(("themes", name, "phrases", index), NO_PHRASE)
    return themes


def theme_names(themes: Mapping[str, Theme], language: str) -> Mapping[str, str]:
    """Theme → what people call it in `nb` or `en`; one that has no such name, by its id."""
    return {theme: about.name.get(language, theme) for theme, about in themes.items()}


class Themes:
    """All themes, compiled. Immutable: share it between threads."""

    def __init__(self, themes: Mapping[str, Theme]) -> None:
        self.themes = themes
        self._phrases = Phrases({name: theme.phrases for name, theme in themes.items()})

    @classmethod
    def load(cls, path: Path) -> Themes:
        """Read the file. Raises ConfigError with file and line."""
        return cls(load_themes(path))

    def hints(self, folded: str) -> dict[str, int]:
        """Theme → how many different phrases of it stand in a folded text, in the order in which they first do."""
        return self._phrases.counts(folded)
