"""Cue phrases as data: `config/cues/*.yaml`, one file a language, read and checked.

A *group* is a list of phrases with one job. Languages of one `family` share their groups, so that nynorsk adds
phrases to bokmål's (`more`). In a phrase, `*` at the end or the beginning leaves a word open (`sykehus*`,
`*posten`). What groups do to a post is described in `alerts.annotate.kinds`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from listener.errors import ConfigError
from listener.model.codec import LONGEST_WHY
from listener.model.records import Kind
from listener.settings.files import YamlFile, load_yaml

ASKS = "?"
"""As a phrase: the sentence ends with a question mark."""


class At(StrEnum):
    """Where in the sentence a phrase must stand."""

    ANYWHERE = "anywhere"
    START = "start"
    """First in a sentence; handles, hashtags and phrases of the family's group `opener` are passed over."""
    CLAUSE = "clause"
    """First in a sentence, or after a comma, colon, dash or the like."""
    HEAD = "head"
    """In the name before a colon that opens the post, as outlets and public bodies write."""
    END = "end"
    """Last in a sentence."""


class In(StrEnum):
    """What sort of sentence it must stand in: one that ends with a question mark, or any other."""

    ANY = "any"
    QUESTION = "question"
    STATEMENT = "statement"


class Group(BaseModel):
    """One list of phrases, as it stands in the file. `near`: each must, `unless`: none may stand in the sentence.

    `post_near` and `post_unless` ask the same of the whole post.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str = Field(min_length=1, max_length=LONGEST_WHY)
    kind: Kind | None = None
    at: At = At.ANYWHERE
    within: In = Field(default=In.ANY, alias="in")
    near: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    post_near: tuple[str, ...] = ()
    post_unless: tuple[str, ...] = ()
    points: float = 1.0
    beside_media: bool = False
    phrases: tuple[str, ...] = ()


class Language(BaseModel):
    """One file of cues."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    family: str
    groups: Mapping[str, Group] = Field(default_factory=dict)
    more: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)


class Cues(NamedTuple):
    """All languages together: `groups` by full name (`family.name`), and the family of each."""

    groups: Mapping[str, Group]
    families: Mapping[str, str]


def load_cues(folder: Path) -> Cues:
    """Read every `*.yaml` of the folder. Raises ConfigError with file and line."""
    files = [load_yaml(path) for path in sorted(folder.glob("*.yaml"))]
    if not files:
        raise ConfigError(f"{folder}: holds no cues (*.yaml); `lyttepost config init DIR` writes a complete set")
    return _joined([(file, _language(file)) for file in files])


def full_name(family: str, name: str) -> str:
    """A group's full name; one with a dot names another family itself."""
    return name if "." in name else f"{family}.{name}"


# --- how a phrase and a post become comparable ---------------------------------------------------------------------

_LETTERS = {"ä": "æ", "ö": "ø", "Ä": "æ", "Ö": "ø", "’": "'", "`": "'", "´": "'", "İ": "i"}
_PLAIN = ("aàáâãą", "cçćč", "eèéêëę", "iìíîï", "nñńň", "oòóôõ", "sśš", "uùúûü", "yýÿ", "zźżž", "lł")
_SPACED = '!"#$%&()*+,-./:;<=>?[\\]^_{|}~«»“”„‘–—…‹›·•¡¿\t\r\n\u00a0\u200b\ufe0f'
_FOLD = str.maketrans(
    _LETTERS
    | {accented: group[0] for group in _PLAIN for accented in group[1:] + group[1:].upper() if len(accented) == 1}
    | dict.fromkeys(_SPACED, " ")
)
"""One character for one, so that a place in the folded text is the same place in the post."""
_OTHERS = re.compile("[" + "".join(chr(code) for code in _FOLD if code > 0xFF) + "]")
_LATIN1 = "".join(map(chr, range(256))).translate(_FOLD).lower().encode("latin-1")


def fold(text: str) -> str:
    """Lower case, no accents (æ, ø, å stay), punctuation as spaces, one space around; a place is moved by one."""
    for char in set(_OTHERS.findall(text)):
        text = text.replace(char, _FOLD[ord(char)])
    try:
        # Byte by byte is several times faster than str.translate, and most of what we hear fits into Latin-1.
        return f" {text.encode('latin-1').translate(_LATIN1).decode('latin-1')} "
    except UnicodeEncodeError:
        return f" {text.translate(_FOLD).lower()} "


def pattern(phrase: str) -> str:
    """How a phrase stands in folded text: with a space at each end that is not left open."""
    inner = fold(phrase.strip("*")).strip()
    return f"{'' if phrase.startswith('*') else ' '}{inner}{'' if phrase.endswith('*') else ' '}"


# --- reading -------------------------------------------------------------------------------------------------------


def _language(file: YamlFile) -> Language:
    try:
        return Language.model_validate(file.data)
    except ValidationError as error:
        raise file.explain(error) from None


def _joined(files: list[tuple[YamlFile, Language]]) -> Cues:
    """All groups under their full names, `more` added. Raises ConfigError at the line that is off."""
    groups: dict[str, Group] = {}
    families: dict[str, str] = {}
    for file, language in files:
        for name, group in language.groups.items():
            full = f"{language.family}.{name}"
            if full in groups:
                raise file.error(("groups", name), "another file of this family has it; add to it under `more`")
            _check(file, ("groups", name, "phrases"), group.phrases)
            groups[full] = group
            families[full] = language.family
    for file, language in files:
        for name, phrases in language.more.items():
            full = f"{language.family}.{name}"
            if full not in groups:
                raise file.error(("more", name), "no file of this family has such a group")
            _check(file, ("more", name), phrases)
            groups[full] = groups[full].model_copy(update={"phrases": groups[full].phrases + phrases})
        for name, group in language.groups.items():
            for field in ("near", "unless", "post_near", "post_unless"):
                for index, other in enumerate(getattr(group, field)):
                    if full_name(language.family, other) not in groups:
                        raise file.error(("groups", name, field, index), f"no group is called {other!r}")
    return Cues(groups, families)


def _check(file: YamlFile, loc: tuple[str, ...], phrases: tuple[str, ...]) -> None:
    seen: set[str] = set()
    for index, phrase in enumerate(phrases):
        written = pattern(phrase)
        if phrase != ASKS and (not written.strip() or "*" in phrase[1:-1] or "  " in written.strip()):
            raise file.error((*loc, index), "must be words; `*` only at an end, no punctuation between them")
        if written in seen and phrase != ASKS:
            raise file.error((*loc, index), "is there twice")
        seen.add(written)
