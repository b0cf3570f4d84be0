"""The board's words: the same in both languages, every one used and every one that is used there."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts.notify.messages import load_messages
from alerts.situation.sentences import role_name
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


def test_a_time_is_told_behind_since_and_until_without_a_word_too_many() -> None:
    words = load_words(CONFIG, load_messages(CONFIG, "en"))
    at, today = datetime(2031, 3, 2, 2, 14, tzinfo=UTC), datetime(2031, 3, 3, 2, 14, tzinfo=UTC)
    assert words.say("handover.until", time=words.messages.time(at, at)) == "until 03:14"
    assert words.say("handover.until", time=words.messages.time(at, today)) == "until 2031-03-02 at 03:14"
    told = words.say("now.opened", time="at 03:14", name="since at 03:14", age="1 h")
    assert told == "Opened at 03:14 by since at 03:14, 1 h ago"


def test_a_role_is_called_as_people_call_it() -> None:
    for language, name in (("nb", "vakten"), ("en", "duty officer")):
        words = load_words(CONFIG, load_messages(CONFIG, language))
        assert [role_name("duty", words), role_name("portører", words)] == [name, "portører"]


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
