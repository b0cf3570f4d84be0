"""A dead letter is re-driven: its record meets the stage anew, once, and what is gone is said to be gone."""

from __future__ import annotations

import json
from collections.abc import Iterable

from prometheus_client import CollectorRegistry

from listener.bus.deadletters import dead_letter
from listener.bus.protocol import Bus, Message, Record, TopicPartition
from listener.clock import SystemClock
from listener.maintenance.redrive import RedriveResult, chosen, redrive, standing
from listener.model.records import BadRecord, DeadLetter
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.stage import Stage

CLOCK = SystemClock()


class Annotator:
    """A stage that an update teaches to read what it could not."""

    def __init__(self, bus: Bus) -> None:
        self.updated = False
        self.metrics = Metrics(CollectorRegistry(), "1")
        self.stage = Stage(
            "annotate",
            bus,
            "mentions",
            self.handle,
            clock=CLOCK,
            metrics=self.metrics,
            part=Health(CLOCK).part("annotate"),
        )

    def handle(self, record: Record) -> Iterable[Message]:
        if record.value is not None and b"new" in record.value and not self.updated:
            raise BadRecord("new")
        return [Message("findings", f"brann:{record.key}", record.value)] if record.value else []

    def turn(self, records: int) -> None:
        """Until it has committed so many more."""
        goal = self.done() + records
        for _ in range(100):
            self.stage.step(0.2)
            if self.done() >= goal:
                return

    def done(self) -> float:
        return self.metrics.registry.get_sample_value("lyttepost_stage_records_total", {"stage": "annotate"}) or 0.0


def findings(bus: Bus) -> list[str]:
    reader = bus.reader(["findings"])
    found = [record.key for record in reader.poll(1.0)]
    reader.close()
    return sorted(found)


def redriven(bus: Bus, letters: Iterable[DeadLetter]) -> list[RedriveResult]:
    return [redrive(bus, letter, CLOCK) for letter in letters]


def test_what_a_stage_could_not_read_is_read_once_it_can(bus: Bus) -> None:
    annotator = Annotator(bus)
    bus.publish([Message("mentions", "x:1", b'{"new":1}', 1), Message("mentions", "x:2", b"{}", 2)])
    annotator.turn(2)
    (letter,) = standing(bus)
    assert (letter.reason, letter.length, letter.where.rpartition(":")[0]) == ("bad_record", 9, "mentions/1")
    annotator.updated = True
    (outcome,) = redriven(bus, standing(bus))
    assert outcome.done
    assert standing(bus) == []
    annotator.turn(1)
    assert findings(bus) == ["brann:x:1", "brann:x:2"]
    assert [record.key for record in bus.read(TopicPartition("mentions", 1), 0, 10)] == ["x:1", "x:1"]
    annotator.stage.close()


def test_one_that_fails_again_is_a_letter_again(bus: Bus) -> None:
    annotator = Annotator(bus)
    bus.publish([Message("mentions", "x:1", b'{"new":1}', 1)])
    annotator.turn(1)
    (first,) = standing(bus)
    redriven(bus, [first])
    annotator.turn(1)
    (second,) = standing(bus)
    assert second.where != first.where
    assert second.digest == first.digest
    annotator.stage.close()


def test_what_is_gone_or_another_is_said_so_and_stays_a_letter(bus: Bus) -> None:
    places = [f"mentions/0:{n}" for n in bus.publish([Message("mentions", "x:9", b'{"new":1}', 0) for _ in range(2)])]
    bus.publish([dead_letter("annotate", "bad_record", b'{"new":1}', places[0], CLOCK)])
    bus.publish([dead_letter("annotate", "bad_record", b"other", places[1], CLOCK)])
    bus.publish([dead_letter("annotate", "bad_record", b"x", "mentions/0:4000", CLOCK)])
    bus.publish([dead_letter("annotate", "bad_record", b"x", "mentions/77:0", CLOCK)])
    bus.publish([dead_letter("listen-x", "failed_ValueError", b"x", "x:post", CLOCK)])
    bus.publish([dead_letter("calm", "bad_record", b"x", "volumes/0:0", CLOCK)])
    assert len(chosen(standing(bus), (), "bad_record")) == 5
    assert [letter.where for letter in chosen(standing(bus), [places[0]], None)] == [places[0]]
    outcomes = {outcome.letter.where: outcome for outcome in redriven(bus, standing(bus))}
    assert {where: outcome.why.partition(":")[0] for where, outcome in outcomes.items()} == {
        places[0]: "published again to mentions/0",
        places[1]: "another record is there",
        "mentions/0:4000": "no longer there",
        "mentions/77:0": "no longer there",
        "x:post": "what was sent is kept nowhere",
        "volumes/0:0": "not needed",
    }
    assert len(standing(bus)) == 5


def test_a_purged_record_is_not_brought_back(bus: Bus) -> None:
    (offset,) = bus.publish([Message("mentions", "x:9", b'{"new":1}', 0)])
    bus.publish([dead_letter("annotate", "bad_record", b'{"new":1}', f"mentions/0:{offset}", CLOCK)])
    bus.publish([Message("mentions", "x:10", b"{}", 0)])
    bus.purge([(TopicPartition("mentions", 0), "x:9")])
    (outcome,) = redriven(bus, standing(bus))
    assert not outcome.done
    assert outcome.why.startswith("no longer there")


def test_letters_hold_no_content(bus: Bus) -> None:
    bus.publish([dead_letter("annotate", "bad_record", b'{"text":"hemmelig"}', "mentions/0:0", CLOCK)])
    (record,) = bus.read(TopicPartition("deadletters", 0), 0, 10)
    assert b"hemmelig" not in (record.value or b"")
    assert json.loads(record.value or b"")["length"] == 19
