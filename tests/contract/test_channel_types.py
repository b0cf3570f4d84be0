"""What every channel of the table keeps: it refuses what it can never send to, with the code that sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.duty.people import RINGING
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import CHANNELS, ChannelError, ChannelType, FailureReason, SendNote, channel_type
from alerts.notify.recipients import load_people
from listener.errors import ConfigError

NOTE = SendNote("a" * 32, "alert1", 0, 1, False, datetime(2031, 3, 2, 2, 14, tzinfo=UTC))
CARD = Card("KRITISK: Røyk ved porten", ("KRITISK: Røyk ved porten", "14 treff"), {"text": "x"}, True)

GATEWAY = {"url": "http://127.0.0.1:9/", "body": {"form": {"to": "{to}", "text": "{text}"}}}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "alertmanager": {"url": "http://127.0.0.1:9/am"},
    "apprise": {"services": {"vakt": "json://127.0.0.1:9/", "Åse-2": "json://127.0.0.1:9/"}},
    "console": {},
    "ntfy": {"url": "http://127.0.0.1:9"},
    "slack": {"url": "http://127.0.0.1:9/T0/key"},
    "sms": GATEWAY,
    "teams": {"url": "http://127.0.0.1:9/workflows/key"},
    "voice": GATEWAY,
    "email": {"host": "127.0.0.1", "port": 9, "encryption": "none", "from": "Lyttepost på Ås <l@sykehus.example>"},
    "webhook": {"url": "http://127.0.0.1:9/hook"},
}
NUMBERS = {
    "+4740612345": "+4740612345",
    " 406 12 345 ": "+4740612345",
    "004740612345": "+4740612345",
    "+46 70 123 45 67": "+46701234567",
    "+44 (0)7400 123456": "+447400123456",
}
GOOD: Mapping[str, Mapping[str, str]] = {
    "alertmanager": {"": "", "vaktrom": "vaktrom"},
    "apprise": {"vakt": "vakt", " Åse-2 ": "Åse-2"},
    "console": {"": ""},
    "ntfy": {"lyttepost-vakt_1": "lyttepost-vakt_1", " kari ": "kari"},
    "slack": {"": ""},
    "sms": NUMBERS,
    "teams": {" ": ""},
    "voice": {**NUMBERS, "21 00 00 00": "+4721000000", "+46 8 123 456 78": "+46812345678", "05000": "+4705000"},
    "email": {
        "kari@sykehus.example": "kari@sykehus.example",
        " Kari Eksempel <kari@Sykehus.Example> ": "kari@sykehus.example",
        '"Eksempel, Kari" <kari@sykehus.example>': "kari@sykehus.example",
        "kari.o'hara+vakt@sykehus.example": "kari.o'hara+vakt@sykehus.example",
        "vakt@ålesund-sykehus.example": "vakt@xn--lesund-sykehus-kib.example",
        "kåre@sykehus.example": "kåre@sykehus.example",
        "ka\u030are@sykehus.example": "kåre@sykehus.example",
        "kari@[192.0.2.7]": "kari@[192.0.2.7]",
        "kari@[IPv6:2001:db8::1]": "kari@[IPv6:2001:db8::1]",
        "kari@localhost": "kari@localhost",
    },
    "webhook": {"": "", "vaktrom": "vaktrom", " Åse på vakt 🔥 ": "Åse på vakt 🔥", "x" * 500: "x" * 500},
}
NO_NUMBERS = (
    "", " ", "kari", "kari@sykehus.example", "4061234", "+47406123456", "112", "113", "+47112", "tel:+4740612345",
    "+4740612345\r\n+4740612346", "+4740612345, +4740612346", "406 12 345 / 406 12 346", "+4740612345;ext=5",
    "+4740612345 x5", "٤٠٦١٢٣٤٥", "+47406I2345", "80012345", "82012345", "+4740612345&to=+4740612346",
    "+99940612345", "+4740612345\x00", "\ud83d40612345",
)  # fmt: skip
BAD: Mapping[str, tuple[str, ...]] = {
    "alertmanager": ("vakt\r\nrom", "vakt\x00rom", "\ud83d", "a\u2028b"),
    "apprise": ("", "json://127.0.0.1:9/", "a b", "vakt\nrom", "x" * 61, "signal://key@host/+4740612345"),
    "console": ("kari",),
    "ntfy": ("", "a/b", "a b", "åse", "x" * 65, "https://ntfy.example/kari", "kari\nola", "../kari"),
    "slack": ("#vakt",),
    "sms": (*NO_NUMBERS, "21 00 00 00", "+4721000000", "+46812345678", "05000"),
    "teams": ("vaktrom",),
    "voice": NO_NUMBERS,
    "email": (
        "", " ", "kari", "@sykehus.example", "kari@", "kari@@sykehus.example", "kari@sykehus@example",
        "kari@a.example, ola@a.example", "kari@a.example,ola@a.example", "kari@a.example; ola@a.example",
        "kari@a.example ola@a.example", "Kari <kari@a.example>, Ola <ola@a.example>", "Eksempel, Kari <kari@a.example>",
        "kari@a.example\r\nBcc: x@evil.example", "kari@a.example\nola@a.example", "kari\x00@a.example",
        "Kari\rReply-To: x@evil.example <kari@a.example>", "kari@a..example", "kari@-a.example", "kari@a b.example",
        "ka ri@a.example", ".kari@a.example", "kari.@a.example", "ka..ri@a.example", "mailto:kari@a.example",
        "kari@a.example:25", "<kari@a.example", "kari@a.example>", "kari@[999.0.2.7]", "kari@[2001:db8::1]",
        "k" * 65 + "@a.example", "kari@" + "a." * 124 + "example", "kari@300.1.2.3", "ka\u202eri@a.example",
        "k" * 71 + " <kari@a.example>", "kari@xn--a.example", "\ud83d@a.example",
    ),
    "webhook": ("vakt\r\nrom", "vakt\x00rom", "\ud83d", "a\u2028b"),
}  # fmt: skip
REPEAT = "repeat_every: {critical: 5m, warning: 5m, info: 1h}\n"


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_every_channel_has_settings_and_targets_to_be_tried_on(name: str) -> None:
    for table, of in (("SETTINGS", SETTINGS), ("GOOD", GOOD), ("BAD", BAD)):
        if name not in of:
            pytest.fail(f"add {name} to {table} in tests/contract/test_channel_types.py", pytrace=False)


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_a_channel_wakes_whom_duty_takes_for_woken(name: str) -> None:
    wakes = channel_type(name).open(SETTINGS[name]).wakes
    assert wakes == (name in RINGING), f"{name}: `wakes` is {wakes}, RINGING in alerts/duty/people.py says otherwise"


def test_every_channel_of_the_table_is_tried() -> None:
    assert CHANNELS.keys() == SETTINGS.keys() == GOOD.keys() == BAD.keys()


@pytest.fixture(params=CHANNELS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def kind(name: str) -> ChannelType:
    return channel_type(name)


def test_a_target_that_can_be_sent_to_is_written_in_one_way(name: str, kind: ChannelType) -> None:
    for target, written in GOOD[name].items():
        assert kind.check(target) == written
        assert kind.check(written) == written
        assert callable(kind.open(SETTINGS[name]).prepare(CARD, target, note=NOTE))


def test_what_the_check_refuses_the_sender_refuses_for_good_and_before_it_asks_anybody(
    name: str, kind: ChannelType
) -> None:
    for target in BAD[name]:
        with pytest.raises(ValueError, match=r".") as refused:
            kind.check(target)
        assert not target.strip() or target not in str(refused.value), "it may lead to a person"
        # Nobody listens at the port: what were sent would be "unreachable".
        with pytest.raises(ChannelError) as caught:
            kind.open(SETTINGS[name]).prepare(CARD, target, note=NOTE)
        assert (caught.value.reason, caught.value.permanent) == (FailureReason.BAD_TARGET, True), target


def test_people_are_refused_with_the_line_of_a_target_that_cannot_be_sent_to(name: str, tmp_path: Path) -> None:
    for target in BAD[name]:
        contact = json.dumps({"channel": name, "target": target})
        text = f"{REPEAT}people:\n  kari:\n    name: Kari\n    contacts:\n      - {contact}\n"
        (tmp_path / "people.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"people\.yaml:6: (people\.kari\.contacts\.0\.target|not valid YAML): "):
            load_people(tmp_path / "people.yaml")


def test_settings_of_another_shape_are_refused(kind: ChannelType) -> None:
    for settings in (None, [], "x", {"no_such": 1}):
        with pytest.raises(ValidationError):
            kind.open(settings)  # type: ignore[arg-type]


def test_a_card_of_half_surrogates_and_long_lines_is_no_fault_of_the_channel(name: str, kind: ChannelType) -> None:
    fields = {"text": "R\ud83dyk"}
    odd = Card("R\ud83dyk\r\nBcc: x@evil.example", ("R\ud83dyk", "x" * 5000, "From here", "."), fields, False)
    assert callable(kind.open(SETTINGS[name]).prepare(odd, next(iter(GOOD[name])), note=NOTE))
