"""Signs that a text names a person who is or was a patient: names beside kin, age, place, role, ward or health.

The words are data (`config/persons.yaml`). A sign is a feature and no verdict: what each weighs was learned
(`patient_exposed`). Signs say *that* somebody is named, never who.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alerts.annotate.features import Tokens
from alerts.annotate.words import file_in
from listener.settings.files import load_yaml

FILE = "persons.yaml"
BEFORE = 3
"""So many words before a name tell whose it is."""
_ENDS = frozenset(".!?…")


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    first_names: tuple[str, ...] = Field(min_length=1)
    first_names_and_words: tuple[str, ...]
    kin: tuple[str, ...]
    titles: tuple[str, ...]
    staff: tuple[str, ...]
    says: tuple[str, ...]
    roles: tuple[str, ...]
    health: tuple[str, ...]
    places: tuple[str, ...]
    called: tuple[str, ...]
    mine: tuple[str, ...]


class _Words:
    """Words, some of them open at the end."""

    def __init__(self, words: Iterable[str]) -> None:
        every = list(words)
        self._whole = frozenset(word for word in every if not word.endswith("*"))
        self._begun = tuple(word[:-1] for word in every if word.endswith("*"))

    def __contains__(self, word: str) -> bool:
        return word in self._whole or word.startswith(self._begun)

    def among(self, words: list[str]) -> list[int]:
        """The places of such words."""
        whole, begun = self._whole, self._begun
        return [place for place, word in enumerate(words) if word in whole or word.startswith(begun)]


class Persons:
    """The words, ready to be sought. Immutable: share it between threads."""

    def __init__(self, words: _File) -> None:
        self._sure = frozenset(words.first_names)
        self._perhaps = frozenset(words.first_names_and_words)
        self._kin = frozenset(words.kin)
        self._titles = frozenset(words.titles)
        self._staff = _Words(words.staff)
        self._says = frozenset(words.says)
        self._roles = _Words(words.roles)
        self._health = _Words(words.health)
        self._at = frozenset(words.places)
        self._called = frozenset(words.called)
        self._mine = frozenset(words.mine)

    @classmethod
    def load(cls, config: Path) -> Persons:
        """The words of a folder of configuration. Raises ConfigError with file and line."""
        file = load_yaml(file_in(config, FILE))
        try:
            return cls(_File.model_validate(file.data))
        except ValidationError as error:
            raise file.explain(error) from None

    def signs(self, tokens: Tokens) -> set[str]:
        """What of names stands in a text; `nobody` where there is nothing that could be one."""
        low, inside = tokens.low, set(tokens.names)
        capital = inside.union(i for i in tokens.opens if tokens.text[tokens.spans[i][0]].isupper())
        names = [i for i in self._perhaps_names(low, inside) if self._is_name(i, low, inside, capital)]
        roles = self._roles.among(low)
        if not names and not roles:
            return {"capitals"} if inside else {"nobody"}
        found: set[str] = set()
        sentence, ill = self._sentences(low)
        patients = 0
        for i in names:
            mine = {"name"} | self._beside(i, tokens, capital)
            at_work = "staff" in mine
            patients += not at_work
            if ill[sentence[i]]:
                mine |= {f"{sign} and health" for sign in mine}
                if not at_work:
                    mine.add("no staff and health")
            found |= mine
        if names and not patients:
            found.add("staff alone")
        for i in roles:
            placed = any(low[k] in self._at and k + 1 in inside for k in range(i + 1, min(i + 4, len(low) - 1)))
            mine = {"role", "role at place"} if placed else {"role"}
            found |= mine | ({f"{sign} and health" for sign in mine} if ill[sentence[i]] else set())
        return found

    def _perhaps_names(self, low: list[str], inside: set[int]) -> list[int]:
        """All that `_is_name` might say yes to, in order: few words need a closer look."""
        sure = self._sure
        return [
            i
            for i, word in enumerate(low)
            if word in sure or i in inside or "-" in word or (word[-1] == "s" and word[:-1] in sure)
        ]

    def _is_name(self, i: int, low: list[str], inside: set[int], capital: set[int]) -> bool:
        """A first name we know, or a word with a capital letter right after kin or a title."""
        word = low[i].partition("-")[0]
        if word not in self._sure:
            word = word.removesuffix("s")
            if i not in inside and word not in self._sure:
                return False
        before = low[i - 1] if i else ""
        if before in self._mine and i > 1:
            before = low[i - 2]
        led = before in self._kin or before in self._titles
        if i in inside:
            return led or word in self._sure or word in self._perhaps
        return word in self._sure and (led or i in capital)

    def _beside(self, i: int, tokens: Tokens, capital: set[int]) -> set[str]:
        """What stands around a name."""
        low = tokens.low
        before, after = low[max(0, i - BEFORE) : i], low[i + 1 : i + 1 + BEFORE]
        near = [word for word in before[-2:] if word not in self._mine]
        found = set()
        if any(word in self._staff for word in before) or not self._says.isdisjoint([*before, *after]):
            found.add("staff")
        if not self._kin.isdisjoint(near):
            found.add("kin")
        if near and near[-1] in self._titles:
            found.add("title")
        if not self._called.isdisjoint(before):
            found.add("called")
        if i + 1 in capital:
            found.add("full")
            after = low[i + 2 : i + 2 + BEFORE]
        if any(word.isdigit() and len(word) < 4 for word in after[:2]) or "år" in after:
            found.add("age")
        if after and after[0] in self._at:
            found.add("at place")
        return found

    def _sentences(self, low: list[str]) -> tuple[list[int], list[bool]]:
        """The sentence of each token; of each sentence, whether it speaks of health."""
        of: list[int] = []
        ill = [False]
        for word in low:
            of.append(len(ill) - 1)
            if word in _ENDS:
                ill.append(False)
            elif not ill[-1] and word in self._health:
                ill[-1] = True
        return of, ill
