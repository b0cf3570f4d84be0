"""The log at night: a fault that lasts is one line at its start, one a minute, one at its end."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from logged import logged
from memory_support import objects_of

from listener.clock import ManualClock
from listener.errors import BusError
from listener.runtime.health import Health
from listener.runtime.logs import LogFormat, Outage, Sparing, event, in_zone, reason_of
from listener.runtime.service import Service

START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
OURS = "listener.something"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def lines(clock: ManualClock) -> Iterator[Callable[[], list[str]]]:
    """What the log has said so far."""
    with logged(clock) as stream:
        yield lambda: stream.getvalue().splitlines()


def say(name: str, level: int, words: str, *args: object) -> None:
    logging.getLogger(name).log(level, words, *args)


def test_what_is_tried_each_second_for_two_minutes_is_three_lines(
    clock: ManualClock, lines: Callable[[], list[str]]
) -> None:
    for second in range(121):
        say(OURS, logging.WARNING, "x: %s; connecting again in %.1f s", "unreachable", second * 0.25)
        clock.advance(timedelta(seconds=1))
    assert len(lines()) == 3
    assert lines()[0].endswith("WARNING x: unreachable; connecting again in 0.0 s")
    assert lines()[1].endswith("(repeated 59 times since it was last shown)")


def test_other_words_are_said_at_once(lines: Callable[[], list[str]]) -> None:
    for cause in ("unreachable", "reset", "unreachable"):
        say(OURS, logging.WARNING, "x: %s; connecting again in %.1f s", cause, 1.0)
    assert len(lines()) == 2


def test_alerts_that_differ_are_each_said(lines: Callable[[], list[str]]) -> None:
    for id_ in range(100):
        say("alerts.notify.dispatcher", logging.WARNING, "alert %s by %s, attempt %d: temporary", f"a{id_}", "email", 1)
    for step in range(100):
        say("alerts.notify.dispatcher", logging.INFO, "alert %s step %d by %s: sent", "a1", step, "email")
    assert len(lines()) == 200


@pytest.mark.parametrize("client", ["kafka.net.manager", "kafka", "tweepy.streaming", "urllib3.connectionpool"])
def test_what_clients_say_of_themselves_is_left_out(lines: Callable[[], list[str]], client: str) -> None:
    for level in (logging.WARNING, logging.ERROR):
        say(client, level, "connection %s failed", 7)
    assert lines() == []


def test_of_a_client_whose_name_only_begins_so_all_is_said(lines: Callable[[], list[str]]) -> None:
    say("kafkaesque", logging.WARNING, "hello")
    assert len(lines()) == 1


def test_verbose_lets_all_of_it_through(clock: ManualClock) -> None:
    sparing = Sparing(clock, verbose=True)
    record = logging.LogRecord("kafka.client", logging.WARNING, "f.py", 1, "again", (), None)
    assert [sparing.filter(record) for _ in range(3)] == [True] * 3


def test_it_remembers_no_more_than_a_bound(clock: ManualClock) -> None:
    sparing = Sparing(clock)
    for number in range(5000):
        if number == 2000:
            before = objects_of(sparing)
        assert sparing.filter(logging.LogRecord(OURS, logging.WARNING, "f.py", 1, "%s", (f"w{number}",), None))
    assert objects_of(sparing) < 1.05 * before


def test_a_reason_gives_class_and_place_and_no_words() -> None:
    try:
        raise ValueError("somebody's post")
    except ValueError as error:
        said = reason_of(error)
    assert said.startswith("ValueError at test_logs.py:")
    assert "post" not in said
    assert reason_of(ValueError("somebody's post")) == "ValueError"
    assert reason_of(BusError("the bus is away")) == "the bus is away"


def test_an_outage_is_one_line_at_its_start_one_a_minute_and_one_at_its_end(
    clock: ManualClock, lines: Callable[[], list[str]]
) -> None:
    outage = Outage("the bus", clock, settled=10.0)
    for second in range(150):
        outage.lasts(f"no answer to question {second}")
        clock.advance(timedelta(seconds=1))
        outage.look()
    for _ in range(30):
        clock.advance(timedelta(seconds=1))
        outage.look()
    said = [line.split(" ", 3)[3] for line in lines()]
    assert said[0] == "ERROR the bus failed: no answer to question 0; it is tried again"
    assert said[1].startswith("ERROR the bus has failed for 60 s: no answer to question ")
    assert said[2].startswith("ERROR the bus has failed for 120 s: no answer to question ")
    assert said[3:] == ["WARNING the bus works again, after 149 s"]


def test_an_outage_that_comes_and_goes_is_no_more_than_a_start_an_end_and_one_a_minute(
    clock: ManualClock, lines: Callable[[], list[str]]
) -> None:
    outage = Outage("the bus", clock, settled=10.0)
    for _ in range(20):
        outage.lasts("no answer")
        for _ in range(15):
            clock.advance(timedelta(seconds=1))
            outage.look()
    assert len(lines()) <= 2 + 2 * 5


def test_an_outage_that_one_try_met_lasted_until_the_next_one_went_well(
    clock: ManualClock, lines: Callable[[], list[str]]
) -> None:
    outage = Outage("the bus", clock)
    outage.lasts("another process has kept it locked")
    clock.advance(timedelta(seconds=17))
    outage.look()
    assert lines()[-1].endswith("the bus works again, after 17 s")


def test_an_outage_is_not_over_before_the_bus_is_well(clock: ManualClock, lines: Callable[[], list[str]]) -> None:
    well: list[bool] = []
    outage = Outage("the bus", clock, settled=10.0, well=lambda: bool(well))
    outage.lasts("no answer")
    clock.advance(timedelta(seconds=50))
    outage.look()
    assert len(lines()) == 1
    well.append(True)
    outage.look()
    assert lines()[-1].endswith("the bus works again, after 0 s")


class Failing:
    """Fails until it is told to work."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        self.error: Exception | None = error
        self.steps = 0

    def step(self, timeout: float) -> bool:
        self.steps += 1
        if self.error is not None:
            raise self.error
        return False

    def close(self) -> None:
        pass


def test_workers_that_suffer_from_one_bus_speak_with_one_voice(
    clock: ManualClock, lines: Callable[[], list[str]]
) -> None:
    workers = [Failing(f"worker{n}", BusError(f"cannot do {n}: no answer")) for n in range(6)]
    odd = Failing("odd", KeyError("x"))
    parts = [(worker, Health(clock).part(worker.name)) for worker in (*workers, odd)]
    service = Service(parts, clock)
    for worker, part in parts:
        service._step(worker, part)
        service._step(worker, part)
        assert (part.reason or "").startswith("failed: ")
    assert len(lines()) == 2
    assert "the bus failed: cannot do 0: no answer" in lines()[0]
    assert "odd failed: KeyError at test_logs.py" in lines()[1]
    for worker, part in parts:
        worker.error = None
        service._step(worker, part)
        assert part.reason is None
    assert "odd works again" in lines()[2]
    assert len(lines()) == 3


# --- the lines themselves --------------------------------------------------------------------------------------------


@pytest.fixture
def as_json(clock: ManualClock) -> Iterator[Callable[[], list[str]]]:
    with logged(clock, LogFormat.JSON) as stream:
        yield lambda: stream.getvalue().splitlines()


def test_for_programs_each_line_is_an_object_and_an_event_has_its_fields(as_json: Callable[[], list[str]]) -> None:
    say(OURS, logging.ERROR, "rule %s failed: %s", "brann", "a\nb")
    event(logging.getLogger(OURS), "alert.fired", "alert a1 fired", alert="a1", posts=["0" * 12], exercise=False)
    first, second = map(json.loads, as_json())
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {"level": "error", "logger": OURS, "message": "rule brann failed: a\nb"}
    del second["time"]
    assert second == {
        "level": "info", "logger": OURS, "event": "alert.fired", "message": "alert a1 fired", "alert": "a1",
        "posts": ["0" * 12], "exercise": False,
    }  # fmt: skip


def test_as_text_what_is_logged_stays_on_its_line(lines: Callable[[], list[str]]) -> None:
    say(OURS, logging.ERROR, "rule %s failed", "a\r\n2031-01-11 19:00:00,000 INFO all is well")
    assert len(lines()) == 1


def test_no_character_reaches_a_terminal_that_it_would_obey(lines: Callable[[], list[str]]) -> None:
    say(OURS, logging.INFO, "one\x1b[2Jtwo\u2028three\x85four\vfive æøå")
    (line,) = lines()
    assert line.endswith("INFO one [2Jtwo three four five æøå")


def test_what_is_decided_again_and_again_is_a_line_each_time(as_json: Callable[[], list[str]]) -> None:
    for _ in range(3):
        event(logging.getLogger(OURS), "delivery.failed", "page p by sms: failed", level=logging.WARNING)
    assert [json.loads(line)["message"] for line in as_json()] == ["page p by sms: failed"] * 3


def test_the_words_of_an_error_that_is_not_ours_are_not_logged(lines: Callable[[], list[str]]) -> None:
    try:
        raise ValueError("Oddny ligger på rom 4")
    except ValueError:
        logging.getLogger(OURS).exception("it failed")
    assert lines()[0].endswith("ERROR it failed (ValueError)")


def test_times_are_those_of_the_zone_as_soon_as_it_is_known(lines: Callable[[], list[str]]) -> None:
    say(OURS, logging.INFO, "one")
    in_zone(timezone(timedelta(hours=5, minutes=30)))
    say(OURS, logging.INFO, "two")
    assert [line.split()[2] for line in lines()] == ["+0000", "+0530"]
