"""Why something was not taken: whatever somebody at the board may be told has a name, and words in both languages."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from alerts.board.application import refusal_words
from alerts.notify.messages import load_messages
from alerts.situation.words import Words, load_words
from listener.errors import BadValue, LyttepostError, Refusal, Refused, Unfit, UsageError
from listener.model.entered import duration
from listener.model.tracks import canonical
from listener.settings.files import packaged_config

ROOT = Path(__file__).resolve().parents[2]
CLASSES = {"UsageError", "BadValue", "Refused", "Unfit"}
ON_THE_COMMAND_LINE_ALONE = {"alerts.board.access.accounts": "accounts are added and removed by `lyttepost board user`"}
LANGUAGES = ("nb", "en")


class Raised(NamedTuple):
    where: str
    names: tuple[str, ...]
    """Of `Refusal`: those that it may have."""
    values: frozenset[str]


@cache
def modules_of_the_board() -> Mapping[str, Path]:
    """Every module of ours that the board's pages import."""
    code = (
        "import sys, alerts.board.make; "
        "print(*(f'{name} {its.__file__}' for name, its in sys.modules.items() "
        "if name.split('.')[0] in ('alerts', 'listener') and its.__file__), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name: Path(path) for name, _, path in (line.partition(" ") for line in done.stdout.splitlines())}


@cache
def raised() -> tuple[Raised, ...]:
    return tuple(
        found
        for name, path in sorted(modules_of_the_board().items())
        if name not in ON_THE_COMMAND_LINE_ALONE and name != "listener.errors"
        for found in raised_in(name, ast.parse(path.read_text(encoding="utf-8")))
    )


def raised_in(module: str, tree: ast.Module) -> Iterator[Raised]:
    """Errors that are made, by calls, and by what a class of ours hands to the class it is made of."""
    heirs = [
        its for its in ast.walk(tree) if isinstance(its, ast.ClassDef) and CLASSES & {*map(ast.unparse, its.bases)}
    ]
    inside = {id(node) for heir in heirs for node in ast.walk(heir)}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        made = ast.unparse(call.func)
        if made in CLASSES or (made == "super().__init__" and id(call) in inside):
            given = [*call.args, *(each.value for each in call.keywords)]
            names = {
                part.attr
                for each in given
                for part in ast.walk(_meant(each, tree))
                if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "Refusal"
            }
            values = frozenset(each.arg for each in call.keywords if each.arg and each.arg not in ("field", "refusal"))
            yield Raised(f"{module}:{call.lineno}", tuple(sorted(names)), values)


def _meant(value: ast.expr, tree: ast.Module) -> ast.AST:
    """What a local name stands for, where the value is one."""
    if isinstance(value, ast.Name) and value.id == "refusal":
        return next(
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == value.id
        )
    return value


@pytest.fixture(scope="module")
def words() -> dict[str, Words]:
    config = packaged_config()
    return {language: load_words(config, load_messages(config, language)) for language in LANGUAGES}


def test_every_refusal_that_an_act_at_the_board_can_meet_has_a_name() -> None:
    assert len(raised()) > 40
    assert [each.where for each in raised() if not each.names] == []


def test_every_refusal_has_words_in_both_languages_and_is_met_somewhere(words: dict[str, Words]) -> None:
    for language in LANGUAGES:
        texts = {name.partition(".")[2] for name in words[language].texts if name.startswith("refusal.")}
        assert texts == {each.value for each in Refusal}, language
    assert {name for each in raised() for name in each.names} == {each.name for each in Refusal}


def test_words_name_nothing_that_is_not_given(words: dict[str, Words]) -> None:
    lacking = [
        (each.where, language, name)
        for each in raised()
        for name in each.names
        for language in LANGUAGES
        if not {*re.findall(r"\{(\w+)\}", words[language].texts[f"refusal.{Refusal[name]}"])} <= each.values
    ]
    assert lacking == []


@pytest.mark.parametrize(
    ("error", "nb", "en"),
    [
        (BadValue("is empty", "Årsak", Refusal.NO_REASON), "Årsak: Skriv hvorfor.", "Årsak: Write why."),
        (
            Refused("closed", Refusal.INCIDENT_CLOSED, incident="Brann <b>", name="Ola"),
            "Brann <b> er avsluttet av Ola.",
            "was closed by Ola.",
        ),
        (UsageError("of the command line"), "of the command line", "of the command line"),
    ],
)
def test_the_board_says_it_in_the_page_s_language(
    words: dict[str, Words], error: LyttepostError, nb: str, en: str
) -> None:
    assert nb in refusal_words(words["nb"], error)
    assert en in refusal_words(words["en"], error)


def test_what_is_entered_and_cannot_be_keeps_its_name_with_its_field() -> None:
    with pytest.raises(Unfit) as track:
        canonical("a")
    assert (track.value.refusal, dict(track.value.values)) == (Refusal.TOO_SHORT, {"track": "a", "least": 2})
    with pytest.raises(BadValue, match="--after: 'lenge' is no duration") as length:
        duration("lenge", "--after")
    assert (length.value.refusal, length.value.field) == (Refusal.NO_DURATION, "--after")
