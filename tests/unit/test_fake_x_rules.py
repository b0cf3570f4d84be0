"""The fake X's rule language: what a rule matches on the stream and in search, and what X refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fakes.x import PLANS, BadScenario, Dialect, InvalidRule, World, steps_of
from tests.fakes.x.document import words_of
from tests.fakes.x.language import parse
from tests.fakes.x.times import rfc3339, snowflake, snowflake_time

AT = datetime(2031, 3, 2, 21, 0, tzinfo=UTC)


class Still:
    def now(self) -> datetime:
        return AT


def hears(rule: str, post: str | dict[str, Any], dialect: Dialect = Dialect.STREAM) -> bool:
    world = World(Still(), PLANS["pay-per-use"])
    world.publish({"id": "11", "text": "Første melding fra veien", "author": "Nordvik_Nytt"})
    made = world.publish({"text": post} if isinstance(post, str) else post)
    return made.id in world.matching(rule, dialect=dialect)


@pytest.mark.parametrize(
    ("rule", "text", "heard"),
    [
        ("brann", "BRANN i sentrum!", True),
        ("brann", "brannbil", False),
        ("brann", "#brann i sentrum", True),
        ("brann", "Fjordby-brann, stor", True),
        ("Fjordbybrannen brann", "Fjordbybrannen er en stor brann", True),
        ("Fjordbybrannen brann", "bare brann", False),
        ('"fjordby sykehus"', "Ved Fjordby  sykehus nå", True),
        ('"fjordby sykehus"', "Ved Fjordby-sykehus nå", True),
        ('"fjordby sykehus"', "sykehus i Fjordby", False),
        ('"sa \\"nei\\" da"', 'hun sa "nei" da', True),
        ("#fjordby", "Se #Fjordby nå", True),
        ("#fjordby", "Se #fjordbybrannen nå", False),
        ("#fjordby", "Se Fjordby nå", False),
        ("@nordvik_nytt", "takk @Nordvik_Nytt!", True),
        ("@nordvik_nytt", "takk nordvik_nytt", False),
        ('url:"fjordby.example"', "les https://fjordby.example/sak/1", True),
        ('url:"fjordby.example"', "les https://annet.example/fjordby", False),
        ("brann has:links", "brann https://fjordby.example/1", True),
        ("brann has:links", "brann", False),
        ("brann -has:hashtags", "brann #nå", False),
        ("brann -røyk", "brann", True),
        ("brann -røyk", "brann og røyk", False),
        ("brann OR røyk", "bare røyk", True),
        ("🔥", "alt🔥brenner", True),
        ("brann lang:no", "brann", True),
        ("brann lang:en", "brann", False),
    ],
)
def test_a_rule_hears_what_x_would(rule: str, text: str, heard: bool) -> None:
    assert hears(rule, text) is heard


def test_and_binds_before_or() -> None:
    assert hears("brann sentrum OR røyk", "røyk")
    assert not hears("brann sentrum OR røyk", "brann")
    assert not hears("brann (sentrum OR røyk)", "røyk")
    assert hears("brann (sentrum OR røyk)", "røyk etter brann")


def test_accents_are_exact_on_the_stream_and_ignored_in_search() -> None:
    assert not hears("kafe", "på kafé")
    assert hears("kafé", "på kafé")
    assert hears("kafe", "på kafé", Dialect.SEARCH)
    assert hears("kafé", "på kafe", Dialect.SEARCH)
    assert not hears("rod", "rød", Dialect.SEARCH)


@pytest.mark.parametrize(
    ("rule", "quoted", "heard"),
    [
        ("brann", "Stor brann her", True),
        ('"stor brann"', "Stor brann her", True),
        ("#brann", "Se #brann", True),
        ("@nordvik_nytt", "takk @nordvik_nytt", True),
        ('url:"fjordby.example"', "les https://fjordby.example/1", True),
        ("herregud brann", "Stor brann her", True),
        ('"dette stor"', "Stor brann her", False),
        ("herregud -brann", "Stor brann her", False),
        ("from:nordvik_nytt", "Stor brann her", False),
        ("røyk", "Stor brann her", False),
    ],
)
def test_what_a_post_quotes_is_heard_on_the_stream_and_not_found_by_search(rule: str, quoted: str, heard: bool) -> None:
    world = World(Still(), PLANS["pay-per-use"])
    world.publish({"id": "5", "text": quoted, "author": "nordvik_nytt"})
    world.publish({"id": "6", "text": "Herregud, se dette", "quote_of": "5", "author": "kari_f"})
    assert ("6" in world.matching(rule)) is heard
    assert "6" not in world.matching(rule.replace(" -brann", " brann"), dialect=Dialect.SEARCH)
    assert world.matching("herregud", dialect=Dialect.SEARCH) == ["6"]


def test_a_quote_of_what_its_author_took_back_is_matched_by_its_own_words_alone() -> None:
    world = World(Still(), PLANS["pay-per-use"])
    world.publish({"id": "5", "text": "Stor brann her"})
    world.delete("5")
    world.publish({"id": "6", "text": "Herregud, se dette", "quote_of": "5"})
    assert world.matching("brann") == ["5"]


def test_accents_of_a_hashtag_are_as_those_of_a_word() -> None:
    assert not hears("#cafe", "se #café")
    assert hears("#cafe", "se #café", Dialect.SEARCH)
    assert hears("#café", "se #cafe", Dialect.SEARCH)


def test_a_letter_composed_of_two_signs_is_the_same_letter() -> None:
    assert hears("ulevål", "Uleva\u030al")


def test_search_finds_no_reposts_by_what_they_say_but_the_stream_does() -> None:
    repost = {"text": "", "repost_of": "11", "author": "noen"}
    assert hears("veien", repost)
    assert not hears("veien -is:retweet", repost)
    assert not hears("veien", repost, Dialect.SEARCH)
    assert hears("retweets_of:nordvik_nytt", repost, Dialect.SEARCH)


def test_a_repost_is_matched_by_the_whole_original() -> None:
    world = World(Still(), PLANS["pay-per-use"])
    world.publish({"id": "5", "text": "ord " * 80 + "slutten", "author": "lang"})
    repost = world.publish({"id": "6", "text": "", "repost_of": "5"})
    assert "slutten" not in repost.data["text"]
    assert world.matching("slutten") == ["5", "6"]


def test_users_and_what_they_answer_are_recognised_by_handle_or_id() -> None:
    reply = {"text": "Takk", "reply_to": "11", "author": "kari_f"}
    assert hears("from:kari_f", reply)
    assert not hears("from:nordvik_nytt", reply)
    assert hears("to:nordvik_nytt", reply)
    assert hears("to:nordvik_nytt is:reply", reply)
    assert not hears("kari_f is:reply", "kari_f")


def test_places_are_recognised_by_name_id_and_country() -> None:
    place = {"id": "p1", "full_name": "Fjordby, Norge", "country_code": "NO"}
    there = {"text": "her", "place": place}
    assert hears("place:fjordby", there)
    assert hears('place:"fjordby norge"', there)
    assert hears("place:p1", there)
    assert hears("place_country:NO", there)
    assert not hears("place_country:SE", there)
    assert hears("her has:geo", there)
    assert not hears("place:norge", there)


@pytest.mark.parametrize(
    ("rule", "detail"),
    [
        ("", "must not be empty"),
        ("lang:no", "is/has/lang cannot be used as a standalone operator (at position 1)"),
        ("has:links OR is:retweet", "is/has/lang cannot be used as a standalone operator"),
        ("brann OR lang:no", "is/has/lang cannot be used as a standalone operator"),
        ("-brann", "Rules must contain a non-negation term (at position 1)"),
        ("-brann OR røyk", "Rules must contain a non-negation term (at position 1)"),
        ("the to", "Rules must contain at least one positive, non-stopword clause (at position 1)"),
        ('"brann', "no viable alternative at character '\"' (at position 1)"),
        ('brann ""', "no viable alternative at input '\"\"' (at position 7)"),
        ("(brann", "missing ')' at '<EOF>' (at position 1)"),
        ("brann)", "missing EOF at ')' (at position 6)"),
        ("brann OR", "no viable alternative at input '<EOF>'"),
        ("OR brann", "no viable alternative at input 'OR' (at position 1)"),
        ("()", "no viable alternative at input ')' (at position 2)"),
        ("brann AND røyk", "Ambiguous use of and as a keyword"),
        ("brann or røyk", "Ambiguous use of or as a keyword"),
        ("'brann'", "no viable alternative at character ''' (at position 1)"),
        ("brann*", "no viable alternative at character '*' (at position 6)"),
        ("#", "no viable alternative at character '#' (at position 1)"),
        ("foo:bar", "Reference to invalid operator 'foo' (at position 1)"),
        ("brann is:polls", "Reference to invalid operator 'is:polls' (at position 7)"),
        ("brann is:nullcast", "must be negated"),
        ("brann from:", "no viable alternative at input 'from:' (at position 7)"),
        ("brann -(røyk OR damp)", "Grouped clauses cannot be negated (at position 7)"),
        ("brann --røyk", "Rules must contain a non-negation term"),
        ("(" * 60 + "brann" + ")" * 60, "nested too deeply"),
        ("a" * 1025, "the limit is 1024"),
    ],
)
def test_x_refuses_a_rule_and_says_why(rule: str, detail: str) -> None:
    with pytest.raises(InvalidRule) as refused:
        parse(rule, 1024)
    assert any(detail in given for given in refused.value.details), refused.value.details


def test_each_plan_has_its_own_length_of_rules() -> None:
    for name, most in (("basic", 512), ("pay-per-use", 1024), ("enterprise", 2048)):
        parse("a" * most, PLANS[name].rule_length)
        with pytest.raises(InvalidRule):
            parse("a" * (most + 1), PLANS[name].rule_length)


def test_words_are_split_at_all_but_letters_and_digits() -> None:
    assert words_of("Jeg liker coca-cola_zero, 2 stk! 🔥🔥") == (
        "jeg", "liker", "coca", "cola", "zero", "2", "stk", "🔥", "🔥",
    )  # fmt: skip


def test_an_id_shows_when_it_was_made() -> None:
    made = snowflake_time(snowflake(AT, 7))
    assert made is not None
    assert abs(made - AT) < timedelta(milliseconds=2)
    assert snowflake_time("17") is None
    assert int(snowflake(AT, 1)) < int(snowflake(AT, 2)) < int(snowflake(AT + timedelta(milliseconds=1), 0))


def test_a_long_text_stands_whole_in_the_note_alone() -> None:
    world = World(Still(), PLANS["pay-per-use"])
    post = world.publish({"text": "ord " * 100 + "#slutt"})
    assert len(post.data["text"]) == 280
    assert post.data["note_tweet"]["text"].endswith("#slutt")
    assert world.matching("#slutt") == [post.id]


def test_an_edit_is_a_new_post_with_the_history_in_it() -> None:
    world = World(Still(), PLANS["pay-per-use"])
    old = world.publish({"id": "21", "text": "brann"})
    new = world.edit("21", "brann, slukket", "22")
    assert new.data["edit_history_tweet_ids"] == ["21", "22"]
    assert old.newer == "22"
    assert new.data["author_id"] == old.data["author_id"]


def test_what_was_due_is_listed_by_rule_and_time() -> None:
    world = World(Still(), PLANS["pay-per-use"])
    fire, smoke = world.add_rule("brann"), world.add_rule("røyk")
    world.publish({"id": "1", "text": "brann"}, AT)
    world.publish({"id": "2", "text": "røyk"}, AT + timedelta(seconds=1))
    world.publish({"id": "3", "text": "brann og røyk"}, AT + timedelta(seconds=2))
    world.publish({"id": "4", "text": "sol"}, AT + timedelta(seconds=3))
    assert world.due() == ["1", "2", "3"]
    assert world.due([fire.id]) == ["1", "3"]
    assert world.due([smoke.id], AT, AT + timedelta(seconds=2)) == ["2"]
    with pytest.raises(ValueError, match="there already"):
        world.publish({"id": "1", "text": "en gang til"})


def test_a_scenario_counts_its_seconds_from_its_start() -> None:
    lines = [
        {"do": "start", "at": rfc3339(AT)},
        {"at": 5, "do": "reset"},
        {"id": "1", "text": "før", "created_at": rfc3339(AT - timedelta(minutes=1))},
        {"data": {"id": "2", "text": "så", "created_at": rfc3339(AT + timedelta(seconds=2))}},
    ]
    steps = steps_of(json.dumps(line) for line in lines)
    assert [(s.at, s.verb or "post") for s in steps] == [(-60.0, "post"), (2.0, "post"), (5.0, "reset")]


@pytest.mark.parametrize(
    "line", ["[]", "{", '{"do": "explode"}', '{"at": 1}', '{"at": "nå", "text": "x"}', "[" * 100_000]
)
def test_a_scenario_that_will_not_do_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(BadScenario, match=r"^fil\.jsonl:2: "):
        steps_of(['{"text": "x"}', line], "fil.jsonl")
