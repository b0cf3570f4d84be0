"""Names with phrases of theirs, sought in a text all at once; and `config/words.yaml`: words that mean the same.

What a theme or a meaning is called by, in whatever language, is data. Phrases are compared as cues are
(`alerts.annotate.cues`): without case and accents, never across punctuation; `*` at an end leaves a word open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ahocorasick_rs import AhoCorasick
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alerts.annotate.cues import pattern
from listener.settings.files import YamlFile, load_yaml, packaged_config

FILE = "words.yaml"


class Phrases:
    """Names and the phrases of each, compiled. Immutable: share it between threads."""

    def __init__(self, phrases_of: Mapping[str, Sequence[str]]) -> None:
        names: dict[str, list[str]] = {}
        for name, phrases in phrases_of.items():
            for phrase in phrases:
                names.setdefault(pattern(phrase), []).append(name)
        self._machine = AhoCorasick(list(names))
        self._names = tuple(map(tuple, names.values()))

    def counts(self, folded: str) -> dict[str, int]:
        """Name → how many different phrases of it stand in a folded text, in the order in which they first do."""
        found: dict[str, int] = {}
        seen: set[int] = set()
        for number, _, _ in self._machine.find_matches_as_indexes(folded, overlapping=True):
            if number not in seen:
                seen.add(number)
                for name in self._names[number]:
                    found[name] = found.get(name, 0) + 1
        return found


def is_phrase(phrase: str) -> bool:
    """Whether there are words in it, and `*` at an end only."""
    return bool(pattern(phrase).strip()) and "*" not in phrase.strip("*")


NO_PHRASE = "must be words; `*` only at an end"


def file_in(config: Path, name: str) -> Path:
    """A file of a folder of configuration; one that was copied before there was such a file gets the program's own."""
    own = config / name
    return own if own.exists() else packaged_config() / name


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    words: Mapping[str, tuple[str, ...]] = Field(min_length=1)


def load_words(config: Path) -> Phrases:
    """The meanings of a folder of configuration, and their words. Raises ConfigError with file and line."""
    file: YamlFile = load_yaml(file_in(config, FILE))
    try:
        words = _File.model_validate(file.data).words
    except ValidationError as error:
        raise file.explain(error) from None
    for name, phrases in words.items():
        for index, phrase in enumerate(phrases):
            if not is_phrase(phrase):
                raise file.error(("words", name, index), NO_PHRASE)
    return Phrases(words)
