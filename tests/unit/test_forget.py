"""Which records go when a post must be forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from understanders import default

from alerts.annotate.worker import Annotator
from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import SystemClock
from listener.model.records import Mention, encode
from listener.model.topics import topic_specs
from listener.privacy.purge import purge_posts

START = datetime(2031, 2, 3, 4, 5, tzinfo=UTC)
SAID = "Kari i Bakkegata ligger på sengepost fire og har det ikke godt i kveld"


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    made = open_bus("embedded:", tmp_path, SystemClock())
    made.ensure(topic_specs(1, {}))
    yield made
    made.close()


def say(bus: Bus, id_: str, text: str, repost_of: str | None = None, edits: tuple[str, ...] = ()) -> None:
    at = START + timedelta(seconds=int(id_))
    mention = Mention(
        source="x", id=id_, at=at, captured_at=at, text=text, repost_of=repost_of, edits=edits,
        incidents={"brann-0": ("kari",)},
    )  # fmt: skip
    bus.publish([Message("mentions", mention.post_key, encode(mention))])
    for finding in Annotator(default()).findings(mention):
        bus.publish([Message("findings", finding.key, encode(finding))])


def left(bus: Bus) -> set[str]:
    reader = bus.reader(["mentions", "findings"])
    found = reader.poll(0.0)
    reader.close()
    return {record.key for record in found if record.value is not None}


@pytest.mark.parametrize("id_", ["1", "x:1"])
def test_a_post_goes_with_its_reposts_those_included_that_name_no_post(bus: Bus, id_: str) -> None:
    say(bus, "1", SAID)
    say(bus, "2", f"RT @p_aaaaaaaaaaaaaaaa: {SAID}", repost_of="1")
    say(bus, "3", f"RT @p_aaaaaaaaaaaaaaaa: {SAID}")
    say(bus, "5", f"RT @p_aaaaaaaaaaaaaaaa: {SAID[:50]}…")
    say(bus, "6", f"RT @p_cccccccccccccccc: {SAID[:40]} men noe annet", repost_of="99")
    say(bus, "4", "RT @p_bbbbbbbbbbbbbbbb: Noe helt annet som ingen har bedt oss om å glemme i kveld")
    assert purge_posts(bus, [id_], SystemClock()) == 8
    assert left(bus) == {"x:4", "brann-0:x:4", "x:6", "brann-0:x:6"}


@pytest.mark.parametrize("id_", ["1", "x:2", "3"])
def test_all_versions_of_a_post_go_together(bus: Bus, id_: str) -> None:
    say(bus, "1", SAID)
    say(bus, "2", f"{SAID}, sies det", edits=("1",))
    say(bus, "3", "Jeg tok feil", edits=("1", "2"))
    say(bus, "4", "Noe helt annet", edits=("9",))
    purge_posts(bus, [id_], SystemClock())
    assert left(bus) == {"x:4", "brann-0:x:4"}


def test_an_id_that_only_looks_alike_stays(bus: Bus) -> None:
    say(bus, "11", SAID)
    assert purge_posts(bus, ["1", "y:11", "brann-0"], SystemClock()) == 0
    assert left(bus) == {"x:11", "brann-0:x:11"}
