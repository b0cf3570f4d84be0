"""Would somebody be woken? Gaps, overlaps, people whom nothing wakes, addresses, and the nights when clocks are set."""

from __future__ import annotations

from typing import Any

from duty_support import OSLO, at, people, roster, rotation

from alerts.duty.check import check_duty, never_confirmed
from alerts.duty.decided import Decided, place_digest
from alerts.duty.people import Person, Place, Way
from alerts.duty.roster import Roster
from listener.model.decisions import TriedWay, WayConfirmed
from listener.runtime.checks import Check, CheckLevel
from listener.settings.zone import find_zone

NOW = at("2026-06-01T12:00:00Z")
SMS = {"ways": [{"channel": "sms", "target": "+4799999901"}]}
MAIL = {"ways": [{"channel": "email", "target": "kari@sykehus.example"}]}


def refusal(way: Way) -> str | None:
    return "is no number" if way.target == "A" else None


def check(
    everybody: dict[str, Person], rosters: dict[str, Roster] | None = None, **more: Any
) -> dict[str, list[Check]]:
    given = {"troubles": (), "decided": None, "refusal": refusal, "at": NOW, "zone": find_zone(OSLO), **more}
    found: dict[str, list[Check]] = {}
    for finding in check_duty(everybody, rosters or {}, **given):
        assert (finding.level is CheckLevel.OK) == (not finding.fix), "what is wrong has a fix"
        found.setdefault(finding.id, []).append(finding)
    return found


def level(found: dict[str, list[Check]], id_: str) -> CheckLevel:
    return found[id_][0].level


TWO = people(kari=SMS, ola=SMS)


def test_a_roster_that_always_has_somebody_is_well_and_shows_both_nights_on_which_clocks_are_set() -> None:
    nights = rotation("12h", "2026-01-05T20:00", "kari", "ola")
    both = [{"ways": [{"channel": "sms", "target": f"+479999990{n}"}, *MAIL["ways"]]} for n in range(3)]
    found = check(people(kari=both[0], ola=both[1], per=both[2]), {"duty": roster(nights)})
    assert level(found, "roster.duty") is CheckLevel.OK
    assert [one.says for one in found["roster.duty.night"]] == [
        "clocks are set 2026-10-25 02:00:00 CET: ola until 20:00 CEST, then kari until 08:00 CET, then ola",
        "clocks are set 2027-03-28 03:00:00 CEST: ola until 20:00 CET, then kari until 08:00 CEST, then ola",
    ]
    assert {each.level for many in found.values() for each in many} == {CheckLevel.OK}


def test_a_gap_means_nobody_is_woken_unless_others_with_the_role_can_be() -> None:
    days = {"duty": roster({"who": "kari", "from": "08:00", "to": "20:00"})}
    found = check(people(kari=SMS), days)
    assert level(found, "roster.duty.gaps") is CheckLevel.FAILED
    assert "nobody is on duty from 2026-06-01 20:00:00 CEST to 2026-06-02 08:00:00 CEST, and 365 more times" in (
        found["roster.duty.gaps"][0].says
    )
    backed = check(people(kari=SMS, ola={**SMS, "roles": ["duty"]}), days)
    assert level(backed, "roster.duty.gaps") is CheckLevel.WARNING
    deaf = check(people(kari=SMS, ola={**MAIL, "roles": ["duty"]}), days)
    assert level(deaf, "roster.duty.gaps") is CheckLevel.FAILED, "mail wakes nobody"


def test_who_has_no_way_that_wakes_leaves_the_time_without_anybody() -> None:
    weeks = {"duty": roster(rotation("1w", "2026-01-05T08:00", "kari", "ola"))}
    found = check(people(kari=SMS, ola=MAIL), weeks)
    assert level(found, "roster.duty.deaf") is CheckLevel.FAILED
    assert found["roster.duty.deaf"][0].says.startswith("ola cannot be woken from ")
    assert level(found, "people.ola") is CheckLevel.WARNING


def test_an_address_that_a_channel_would_refuse_wakes_nobody() -> None:
    found = check(people(kari={"ways": [{"channel": "sms", "target": "A"}]}), {"duty": roster({"who": "kari"})})
    assert found["people.kari.sms"][0].says == "is no number"
    assert level(found, "roster.duty.deaf") is CheckLevel.FAILED


def test_several_addresses_in_one_target_are_named_whatever_the_channel() -> None:
    for target in ("+4799999901, +4799999902", "+4799999901 +4799999902", "a@x.example;b@x.example", "a@x b@x"):
        found = check(people(kari={"ways": [*SMS["ways"], {"channel": "webhook", "target": target}]}))
        assert "more than one address" in found["people.kari.webhook"][0].says, target
    assert "people.kari.sms" not in check(people(kari={"ways": [{"channel": "sms", "target": "+47 999 99 901"}]}))


def test_more_than_one_at_a_time_is_named_unless_it_is_always_so() -> None:
    whole, monday = {"who": "kari"}, {"who": "ola", "days": ["mon"]}
    found = check(TWO, {"duty": roster(whole, monday)})
    assert level(found, "roster.duty.overlaps") is CheckLevel.WARNING
    assert "roster.duty.overlaps" not in check(TWO, {"duty": roster(whole, {"who": "ola"})})


def test_without_a_roster_everybody_with_the_role_is_called_and_without_both_nobody() -> None:
    assert level(check(people("kari")), "roster") is CheckLevel.FAILED
    assert level(check(people(kari={**SMS, "roles": ["ops"]})), "role.ops") is CheckLevel.OK
    assert level(check(people(kari={**MAIL, "roles": ["ops"]})), "role.ops") is CheckLevel.FAILED


def test_a_calendar_in_trouble_is_a_warning_with_its_roster() -> None:
    found = check(TWO, {"duty": roster({"who": "kari"})}, troubles=("roster.duty: its calendar is empty; mend it",))
    assert found["roster.duty"][0].says == "its calendar is empty; mend it"


def test_a_way_counts_as_tried_once_its_own_message_was_confirmed_and_not_after_it_changed() -> None:
    both = {"ways": [*SMS["ways"], *MAIL["ways"]]}
    tried = TriedWay(code="4711", channel="sms", place=place_digest(Place("sms", "+4799999901")))
    decided = Decided([WayConfirmed(at=NOW, by="kari", person="kari", way=tried)])
    assert check(people(kari=both), decided=decided)["people.tested"][0].says == "never confirmed: kari (email)"
    moved = people(kari={"ways": [{"channel": "sms", "target": "+4799999909"}]})
    assert check(moved, decided=decided)["people.tested"][0].says == "never confirmed: kari (sms)"
    everybody = people("console", kari=both, ola=MAIL)
    assert never_confirmed(everybody, decided) == ("ola",), "the console is nobody"


def test_people_whom_routes_name_are_on_duty_without_a_roster_or_roles() -> None:
    found = check(people(kari=SMS), named=["kari"])
    assert level(found, "roster") is CheckLevel.OK
    assert level(check(people(kari=MAIL), named=["kari"]), "roster") is CheckLevel.FAILED
    assert level(check(people(kari=SMS)), "roster") is CheckLevel.FAILED


def test_only_channels_that_there_are_are_advised() -> None:
    for findings in check(people(kari=MAIL), named=["kari"]).values():
        for finding in findings:
            assert "push" not in f"{finding.says} {finding.fix}"


def test_a_shared_telephone_a_shared_name_and_whoever_hears_no_notice_are_named() -> None:
    alike = [{"name": "Kari", **SMS}, {"name": "kari ", **MAIL}, {"name": "Ola", **SMS}]
    found = check(people(a=alike[0], b=alike[1], c=alike[2]))
    said = " ".join(finding.says for finding in found["people.alike"])
    assert "a, c have one telephone" in said
    assert "a, b have one name" in said
    assert "never hears who has it" in found["people.a"][0].says
    assert "never hears who has it" not in found["people.b"][0].says


def test_where_there_is_nobody_but_the_console_nothing_is_said_to_have_been_tried() -> None:
    found = check(people(console={"ways": [{"channel": "console"}]}), decided=Decided())
    assert "no way to try" in found["people.tested"][0].says
