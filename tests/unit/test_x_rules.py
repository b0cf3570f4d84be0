"""Tracks → rules at X: quoted, as few as fit, reconciled without touching anybody else's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.ingest.matcher import Matcher
from listener.model.letters import fold, spellings
from listener.model.records import Post
from listener.model.tracks import canonical
from listener.sources.x.filter_rules import LONGEST, Rule, RuleAtX, compile_rules, reconcile
from tests.fakes.x import PLANS, World
from tests.fakes.x.language import parse

AT = datetime(2031, 3, 2, 21, 0, tzinfo=UTC)


class Still:
    def now(self) -> datetime:
        return AT


def values(*tracks: str, reposts: bool = True) -> list[str]:
    return [rule.value for rule in compile_rules(tracks, reposts=reposts).rules]


@pytest.mark.parametrize(
    ("track", "rule"),
    [
        ("ullevål brann", '"ullevål brann"'),
        ("ullevål*", '"ullevål"'),
        ("#mittfus", "#mittfus"),
        ("@fjordbysyk", "from:fjordbysyk OR @fjordbysyk OR retweets_of:fjordbysyk"),
        ('si "ja" or no', '"si ja or no"'),
        ("kafé nordvik", '"kafé nordvik" OR "kafe nordvik"'),
        ("malmö havn", '"malmö havn" OR "malmø havn"'),
        ("tromsø*", '"tromsø" OR "tromsö"'),
        ("blålys", '"blålys"'),
        ("#idé", "#idé OR #ide"),
        ("straße", '"straße" OR "strasse"'),
    ],
)
def test_each_kind_of_track_has_its_rule(track: str, rule: str) -> None:
    assert values(track) == [rule]


def test_a_place_has_a_rule_of_its_own_beside_its_name() -> None:
    assert values("place:Granvik", "brann") == ['"brann" OR "Granvik"', 'place:"Granvik"']


def test_a_place_is_asked_for_in_each_spelling() -> None:
    assert values("place:Malmö") == ['"Malmö" OR "Malmø"', 'place:"Malmö"', 'place:"Malmø"']


def test_a_track_of_several_spellings_is_bracketed_without_reposts() -> None:
    assert values("kafé", reposts=False) == ['("kafé" OR "kafe") -is:retweet']


def test_a_track_of_too_many_spellings_is_heard_in_some_and_reported() -> None:
    compiled = compile_rules(["łódź é ö"])
    assert [rule.value for rule in compiled.rules] == ['"łódź é ö" OR "lodz e ø"']
    assert "exact about accents" in compiled.approximate["łódź é ö"]
    long = "é" + " brann" * 32
    assert values(long) == [f'"{long}" OR "e{long[1:]}"']


def heard(rules: list[str], text: str) -> bool:
    world = World(Still(), PLANS["pay-per-use"])
    made = world.publish({"text": text})
    return any(made.id in world.matching(rule) for rule in rules)


@pytest.mark.parametrize(
    ("track", "text"),
    [
        ("kafé nordvik", "Kø ved Kafé Nordvik"),
        ("kafé nordvik", "kø ved kafe nordvik"),
        ("malmö havn", "Malmö havn"),
        ("malmö havn", "MALMØ HAVN"),
        ("tromsø", "Tromsö nå"),
        ("ærlig ødegård", "ärlig ödegård"),
        ("#idé", "en #ide"),
        ("crêpe für", "crepe fur"),
    ],
)
def test_the_live_rules_hear_what_a_replay_matches_whatever_its_accents(track: str, text: str) -> None:
    assert Matcher({"i": [track]}).match(Post(source="x", id="1", at=AT, text=text))
    assert heard(values(track), text)


@given(st.text(alphabet="aeoéèêüäöæøåàôñçß -", min_size=2, max_size=14))
def test_each_spelling_of_a_track_is_the_same_track_to_us(text: str) -> None:
    found, _ = spellings(text)
    assert found[0] == text
    assert len({fold(each) for each in found}) == 1
    assert len(found) <= 8


def test_without_reposts_alternatives_are_bracketed_so_that_each_is_meant() -> None:
    assert values("a1", "b2", reposts=False) == ['("a1" OR "b2") -is:retweet']


def test_the_order_of_tracks_changes_nothing() -> None:
    assert values("a1", "b2", "c3") == values("c3", "a1", "b2", "a1")


def test_what_x_matches_more_narrowly_is_reported() -> None:
    assert list(compile_rules(["ullevål*", "brann"]).approximate) == ["ullevål*"]


def test_a_name_that_no_account_of_x_can_have_is_refused_alone() -> None:
    compiled = compile_rules(["@fjordby.example.no", "brann"])
    assert list(compiled.refused) == ["@fjordby.example.no"]
    assert [rule.value for rule in compiled.rules] == ['"brann"']


def writable(text: str) -> bool:
    try:
        canonical(text)
    except ValueError:
        return False
    return True


tracks = st.text(min_size=2, max_size=60).filter(writable).map(canonical)


@given(st.lists(tracks, max_size=60), st.booleans())
def test_every_rule_fits_and_is_one_that_x_can_read(some: list[str], reposts: bool) -> None:
    compiled = compile_rules(some, reposts=reposts)
    for rule in compiled.rules:
        assert len(rule.value) <= LONGEST
        parse(rule.value, LONGEST)
    heard = {track for rule in compiled.rules for track in rule.tracks}
    assert heard | compiled.refused.keys() == set(some)


def test_reconciling_adds_deletes_keeps_and_leaves_foreign_rules() -> None:
    keep, new = Rule('"a"', ("a",)), Rule('"b"', ("b",))
    there = [
        RuleAtX("1", '"a"', keep.tag),
        RuleAtX("2", '"old"', "lyttepost:0123"),
        RuleAtX("3", "katt", "another app"),
        RuleAtX("4", "hund", None),
        RuleAtX("5", '"a"', keep.tag),
        RuleAtX("6", '"x"', "lyttepost-not-ours"),
    ]
    changes = reconcile([keep, new], there)
    assert changes.add == (new,)
    assert [rule.id for rule in changes.delete] == ["2", "5"]
    assert [rule.id for rule in changes.keep] == ["1"]


def test_what_is_in_force_needs_no_change() -> None:
    rule = Rule('"a"', ("a",))
    assert not reconcile([rule], [RuleAtX("1", rule.value, rule.tag)])
