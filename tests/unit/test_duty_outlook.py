"""How duty stands, in numbers: who is on duty, when nobody will be, and how many ever confirmed a test message."""

from __future__ import annotations

from datetime import timedelta

from duty_support import at, people, roster

from alerts.duty.decided import Decided, place_digest
from alerts.duty.outlook import AHEAD, outlook
from alerts.duty.people import Place
from listener.model.decisions import TriedWay, WayConfirmed

NOW = at("2026-06-01T12:00:00Z")
SMS = {"ways": [{"channel": "sms", "target": "+4799999901"}]}
MAIL = {"ways": [{"channel": "email", "target": "per@sykehus.example"}]}
CONSOLE = {"ways": [{"channel": "console"}]}
DAYS = roster({"who": "kari", "from": "08:00", "to": "20:00"})


def test_a_gap_begins_where_the_last_who_can_be_woken_goes() -> None:
    found = outlook(people(kari=SMS), {"duty": DAYS}, Decided(), NOW)
    assert found.on_duty == {"duty": 1}
    assert found.gaps == {"duty": at("2026-06-01T18:00:00Z")}  # 20:00 in Oslo


def test_within_a_gap_it_has_begun() -> None:
    night = at("2026-06-01T22:00:00Z")
    found = outlook(people(kari=SMS), {"duty": DAYS}, Decided(), night)
    assert (found.on_duty, found.gaps) == ({"duty": 0}, {"duty": night})


def test_who_has_only_mail_leaves_a_gap() -> None:
    whole_day = roster({"who": "per", "from": "00:00", "to": "00:00"})
    assert outlook(people(per=MAIL), {"duty": whole_day}, Decided(), NOW).gaps == {"duty": NOW}


def test_no_gap_within_a_week_is_none_whatever_comes_after() -> None:
    holiday = {"from": (NOW + AHEAD + timedelta(days=1)).isoformat(), "to": (NOW + 2 * AHEAD).isoformat()}
    whole_day = {"who": "kari", "from": "00:00", "to": "00:00"}
    found = outlook(people(kari=SMS), {"duty": roster(whole_day, temporary=[holiday])}, Decided(), NOW)
    assert found.gaps == {"duty": None}


def test_a_role_without_a_roster_is_held_by_all_who_have_it() -> None:
    both = people(kari={**SMS, "roles": ["ops"]}, per={**MAIL, "roles": ["ops", "press"]})
    found = outlook(both, {}, Decided(), NOW)
    assert found.on_duty == {"ops": 2, "press": 1}
    assert found.gaps == {"ops": None, "press": NOW}


def test_who_confirmed_a_test_message_is_counted_and_the_console_is_nobody() -> None:
    three = people(kari=SMS, per=MAIL, console=CONSOLE)
    place = Place("sms", "+4799999901")
    word = WayConfirmed(
        at=NOW, by="kari", person="kari", way=TriedWay(code="1234", channel="sms", place=place_digest(place))
    )
    before, after = (outlook(three, {}, Decided(said), NOW) for said in ([], [word]))
    assert (before.confirmed, before.unconfirmed) == (0, 2)
    assert (after.confirmed, after.unconfirmed) == (1, 1)
