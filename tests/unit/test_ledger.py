"""The chain shows every change that was made to it."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from listener.bus.hashchain import append, append_all, seal, verify
from listener.bus.protocol import Record, open_bus
from listener.bus.scan import scan_records
from listener.clock import SystemClock
from listener.errors import Corrupt
from listener.model.records import Decision, DecisionKind, encode
from listener.model.topics import topic_specs
from listener.settings.schema import Settings

AT = datetime(2031, 3, 2, 2, 14, tzinfo=UTC)


def decision(why: str) -> Decision:
    return Decision(kind=DecisionKind.NOTE, id="a1", at=AT, by="kari", why=why)


def chain(*whys: str) -> list[Record]:
    prev: Decision | None = None
    out = []
    for offset, why in enumerate(whys):
        prev = seal(decision(why), prev)
        out.append(Record("decisions", 0, offset, "a1", encode(prev), 0))
    return out


def test_several_that_are_written_at_once_follow_one_another(tmp_path: Path) -> None:
    with closing(open_bus("embedded:", tmp_path, SystemClock())) as bus:
        bus.ensure(topic_specs(1, Settings().retention.keep()))
        first = append(bus, "decisions", decision("én"))
        more = append_all(bus, "decisions", [decision("to"), decision("tre")])
        assert append_all(bus, "decisions", []) == []
        assert [each.prev for each in more] == [first.digest, more[0].digest]
        records = list(scan_records(bus, ["decisions"]))
    assert len(records) == 3
    verify(records)


def test_an_untouched_chain_is_whole() -> None:
    verify(chain("én", "to", "tre"))


def test_a_chain_whose_beginning_retention_has_cut_is_whole() -> None:
    verify(chain("én", "to", "tre")[1:])


def test_a_changed_word_shows_with_its_place() -> None:
    records = chain("én", "to", "tre")
    value = records[1].value
    assert value is not None
    records[1] = records[1]._replace(value=value.replace(b'"to"', b'"ti"'))
    with pytest.raises(Corrupt, match=r"decisions/0:1"):
        verify(records)


def test_a_changed_word_with_a_new_digest_shows_at_the_next_record() -> None:
    records = chain("én", "to", "tre")
    records[1] = records[1]._replace(value=encode(seal(decision("ti"), None)))
    with pytest.raises(Corrupt, match=r"decisions/0:1: does not follow"):
        verify(records)


@pytest.mark.parametrize("order", [(0, 2), (0, 2, 1), (0, 1, 1, 2)], ids=["removed", "moved", "twice"])
def test_a_record_removed_moved_or_repeated_shows(order: tuple[int, ...]) -> None:
    records = chain("én", "to", "tre")
    with pytest.raises(Corrupt):
        verify(records[i] for i in order)


@pytest.mark.parametrize("value", [None, b"{", b"[]", b'{"type":"decision"}'])
def test_what_is_no_sealed_record_is_corruption(value: bytes | None) -> None:
    with pytest.raises(Corrupt, match=r"decisions/0:7"):
        verify([Record("decisions", 0, 7, "a1", value, 0)])


def test_a_record_of_a_newer_schema_still_holds_its_place() -> None:
    first = json.loads(encode(seal(decision("én"), None)))
    newer = {**first, "v": 2, "mood": "calm", "digest": ""}
    # What a newer program would have sealed: the same rule over whatever fields it has.
    from listener.bus.hashchain import _digest_of

    newer["digest"] = _digest_of(newer)
    second = seal(decision("to"), decision("").model_copy(update={"digest": newer["digest"]}))
    verify(
        [
            Record("decisions", 0, 0, "a1", json.dumps(newer).encode(), 0),
            Record("decisions", 0, 1, "a1", encode(second), 0),
        ]
    )


def test_each_partition_is_its_own_chain() -> None:
    verify([*chain("én", "to"), *(r._replace(topic="deliveries") for r in chain("tre", "fire"))])
