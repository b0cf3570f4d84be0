"""The board's words: the same in both languages, every one used and every one that is used there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from alerts.notify.messages import load_messages
from alerts.situation.words import load_words
from listener.errors import ConfigError
from listener.model.gaps import Cause
from listener.runtime.metrics import SourceState
from listener.settings.files import packaged_config

ROOT = Path(__file__).resolve().parents[2]
CONFIG = packaged_config()
LANGUAGES = ("nb", "en")
SAID = re.compile(r"""(?:say|count)\(\s*["']([a-z_]+\.[a-z_0-9]+)["']\s*[,)]""")


@pytest.fixture(scope="module")
def texts() -> dict[str, dict[str, str]]:
    return {each: dict(load_words(CONFIG, load_messages(CONFIG, each)).texts) for each in LANGUAGES}


def test_both_languages_have_the_same_texts_with_the_same_braces(texts: dict[str, dict[str, str]]) -> None:
    def shape(its: dict[str, str]) -> dict[str, set[str]]:
        return {name: set(re.findall(r"\{(\w+)\}", text)) for name, text in its.items()}

    assert shape(texts["nb"]) == shape(texts["en"])


def test_every_text_that_a_page_says_is_there(texts: dict[str, dict[str, str]]) -> None:
    sources = [*(ROOT / "alerts").glob("board/**/*.py"), *(ROOT / "alerts").glob("board/**/*.html")]
    said = {name for path in sources for name in SAID.findall(path.read_text(encoding="utf-8"))}
    assert len(said) > 100
    assert sorted(said - texts["nb"].keys()) == []


@pytest.mark.parametrize(("part", "names"), [("cause", Cause), ("source", SourceState)])
def test_every_word_of_a_record_has_a_text(texts: dict[str, dict[str, str]], part: str, names: type) -> None:
    assert [each for each in names if f"{part}.{each}" not in texts["nb"]] == []


def test_a_text_that_is_missing_or_names_something_else_is_found_at_start(tmp_path: Path) -> None:
    messages, path = load_messages(CONFIG, "nb"), tmp_path / "board" / "nb.yaml"
    path.parent.mkdir()
    whole = (CONFIG / "board" / "nb.yaml").read_text(encoding="utf-8")
    path.write_text(whole.replace("  skip: Hopp til innholdet\n", ""), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"nb\.yaml: frame\.skip is missing; .*Hopp til innholdet"):
        load_words(tmp_path, messages)
    path.write_text(whole.replace('as_of: "Oppdatert {time}"', 'as_of: "Oppdatert {tid}"'), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"frame\.as_of must name \{time\} and nothing else"):
        load_words(tmp_path, messages)
    path.write_text("frame: [en, to]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="frame must be a mapping of texts"):
        load_words(tmp_path, messages)
