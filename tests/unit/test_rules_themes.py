"""Rules on what was understood of a post: themes, stance, language, a named patient; and what rules leave out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from alerts.commands.rules import references
from alerts.notify.card import build
from alerts.notify.messages import load_messages
from alerts.rules.report import to_alert
from listener.errors import ConfigError
from listener.model.records import Finding
from listener.settings.files import packaged_config
from tests.unit.rules_support import INCIDENT, finding, judge, rule, rules, said, tick
from tests.unit.telling_support import Log, after, people


def asked(at: float, *themes: str, author: str) -> Finding:
    return finding(at, kinds=["question"], themes=themes, author=author)


def test_people_who_ask_about_the_same_theme_are_counted_together_whatever_their_words() -> None:
    spec = rule("frequency", query_key="theme", num_events=3, timeframe="10m", count_by="authors")
    posts = [asked(n, "appointments", "information" if n else "waiting", author=f"a{n}") for n in range(3)]
    assert [(v.key, v.count) for v in judge(spec, [*posts, tick(60)])] == [("appointments", 3)]


def test_the_main_theme_is_the_first_one_alone() -> None:
    spec = rule("frequency", query_key="main_theme", num_events=2, timeframe="10m")
    posts = [asked(0, "food", "waiting", author="a"), asked(1, "waiting", author="b"), asked(2, "waiting", author="c")]
    assert [v.key for v in judge(spec, [*posts, tick(60)])] == ["waiting"]


def test_a_post_without_a_theme_has_no_key_and_passes_no_filter_on_themes() -> None:
    bare = [finding(n, kinds=["other"], author=f"a{n}") for n in range(3)]
    assert judge(rule("frequency", query_key="theme", num_events=2, timeframe="10m"), [*bare, tick(60)]) == []
    assert judge(rule("any", filter={"theme": ["food"]}), bare) == []


@pytest.mark.parametrize(
    ("wanted", "passes"),
    [
        ({"stance": ["negative"]}, {"stance": "negative"}),
        ({"patient_exposed": ["true"]}, {"patient_exposed": 0.5}),
        ({"patient_exposed": ["false"]}, {"patient_exposed": 0.49}),
        ({"language": ["nn"]}, {"language": "nn", "lang": "no"}),
        ({"language": ["pl"]}, {"lang": "pl"}),
        ({"theme": ["Food"]}, {"themes": ("waiting", "food")}),
    ],
)
def test_a_filter_reads_what_was_understood(wanted: dict[str, list[str]], passes: dict[str, object]) -> None:
    spec = rule("any", filter=wanted)
    assert len(judge(spec, [finding(0, **passes)])) == 1
    assert judge(spec, [finding(0)]) == []


def test_what_is_excluded_is_not_looked_at_whatever_else_it_is() -> None:
    spec = rule("any", filter={"kind": ["rumour"]}, exclude={"kind": ["media"], "theme": ["food"]}, realert="0s")
    posts = [
        finding(0, kinds=["rumour"]),
        finding(1, kinds=["rumour", "media"]),
        finding(2, kinds=["rumour"], themes=("food",)),
        finding(3, kinds=["wish"]),
    ]
    assert said(judge(spec, posts)) == [("fired", 0)]


@pytest.mark.parametrize("option", ["filter", "exclude"])
def test_a_value_that_a_property_cannot_have_is_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(ConfigError, match=r"can never be 'grumpy'; it is one of negative, neutral, positive"):
        rules(tmp_path, f"name: r\ntype: any\nwhy: w\n{option}: {{stance: grumpy}}\n")


@pytest.mark.parametrize("option", ["filter", "exclude", "match_bucket_filter"])
def test_a_theme_that_is_not_there_is_reported_with_the_nearest(tmp_path: Path, option: str) -> None:
    kind = "type: any\n"
    if option == "match_bucket_filter":
        kind = "type: percentage_match\ntimeframe: 1h\nmax_percentage: 10\n"
    specs = rules(tmp_path, f"name: r\n{kind}why: w\n{option}: {{theme: [food, relative_contact]}}\n")
    (problem,) = references(specs, packaged_config())
    assert f"r: {option}: " in problem
    assert "has no theme 'relative_contact'; did you mean 'relatives_contact'?" in problem


def test_a_theme_of_the_houses_own_may_be_named(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    shutil.copytree(packaged_config(), folder)
    themes = folder / "themes.yaml"
    themes.write_text(
        themes.read_text("utf-8") + "  night_bus:\n    about: The bus.\n    phrases: [nattbuss*]\n", "utf-8"
    )
    specs = rules(tmp_path, "name: r\ntype: any\nwhy: w\nfilter: {theme: night_bus}\n")
    assert list(references(specs, folder)) == []


@pytest.mark.parametrize(
    ("language", "says"),
    [("nb", "2 spør om kontakt for pårørende"), ("en", "2 ask about contact for relatives")],
)
def test_a_card_calls_a_theme_by_its_name_also_where_it_leaves_the_site(language: str, says: str) -> None:
    texts = {"nb": "{count} spør om {key}", "en": "{count} ask about {key}"}
    spec = rule("frequency", query_key="main_theme", num_events=2, timeframe="10m", texts=texts)
    posts = [asked(n, "relatives_contact", author=f"a{n}") for n in range(2)]
    (verdict,) = judge(spec, [*posts, tick(60)])
    log = Log()
    log.add("alerts", to_alert(verdict, spec, INCIDENT))
    messages = load_messages(packaged_config(), language)
    for in_house in (True, False):
        card = build(log.book.all()[0], people(), messages, now=after(minutes=1), in_house=in_house)
        assert says in card.lines[0]
        assert card.problems == ()
