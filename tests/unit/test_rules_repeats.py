"""What is told again and what is held: `exponential_realert`, `aggregation`, rules that fail or are slow."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError
from rules_support import INCIDENT, START, feed, finding, judge, rule, said, tick

from alerts.commands.rules import reasons
from alerts.rules.engine.engine import TIMEOUT, Engine, RuleFailed
from alerts.rules.engine.index import Index
from alerts.rules.report import to_alert
from alerts.rules.verdict import REASONS, Reason
from listener.clock import ManualClock
from listener.model.records import Event, Finding, Tick


@pytest.mark.parametrize("type", ["any", "frequency"])
def test_each_alarm_soon_after_the_last_wait_doubles_the_next_one(type: str) -> None:
    more = {} if type == "any" else {"timeframe": "1s", "num_events": 1}
    spec = rule(type, realert="10s", exponential_realert="60s", **more)
    posts = [finding(at) for at in range(0, 300, 2)]
    fired = [at for event, at in said(judge(spec, [*posts, tick(299)])) if event == "fired"]
    assert fired == [0, 10, 30, 70, 130, 190, 250]


def test_a_long_quiet_time_makes_the_wait_short_again() -> None:
    spec = rule("any", realert="10s", exponential_realert="60s")
    posts = [finding(at) for at in (0, 10, 30, 1000, 1009, 1010)]
    assert [at for event, at in said(judge(spec, posts)) if event == "fired"] == [0, 10, 30, 1000, 1010]


def test_exponential_realert_is_at_least_realert() -> None:
    for options in ({"realert": "2m", "exponential_realert": "1m"}, {"realert": "0s", "exponential_realert": "1m"}):
        with pytest.raises(ValidationError, match="exponential_realert"):
            rule("any", **options)


# --- aggregation ---------------------------------------------------------------------------------------------------

GATHERED = rule("frequency", timeframe="30s", num_events=1, query_key="author", realert="0s", aggregation="60s")


def records(*posts: tuple[float, str], until: float) -> list[Finding | Tick]:
    return [*(finding(at, f"{author}{at}", author=author) for at, author in posts), tick(until)]


def test_what_fires_within_the_span_after_the_first_joins_it_at_its_exact_edge() -> None:
    verdicts = judge(GATHERED, records((0, "a"), (59.9, "b"), (60, "c"), until=61))
    fired = [(v.event, v.key, v.reason) for v in verdicts if v.reason is not Reason.AGGREGATED_OVER]
    assert fired == [
        (Event.FIRED, "a", Reason.NUM_EVENTS),
        (Event.RESOLVED, "a", Reason.BELOW_NUM_EVENTS),
        (Event.SUPPRESSED, "b", Reason.AGGREGATED),
        (Event.FIRED, "c", Reason.NUM_EVENTS),
    ]


def test_an_alarm_has_passed_when_all_that_joined_it_has() -> None:
    verdicts = judge(GATHERED, records((0, "a"), (10, "b"), (20, "c"), until=100))
    assert said(verdicts) == [
        ("fired", 0), ("suppressed", 10), ("suppressed", 20), ("suppressed", 30), ("suppressed", 40), ("resolved", 50),
    ]  # fmt: skip
    assert [v.reason for v in verdicts[3:5]] == [Reason.AGGREGATED_OVER] * 2
    assert (verdicts[-1].alert_id, verdicts[-1].key) == (verdicts[0].alert_id, "a")


@pytest.mark.parametrize("cut", range(8))
def test_an_aggregation_goes_on_after_a_restart(cut: int) -> None:
    stream = [each for at, a in ((0, "a"), (10, "b"), (20, "c"), (100, "d")) for each in records((at, a), until=at)]
    stream[-1] = tick(300)
    whole = judge(GATHERED, stream)
    first = Engine((GATHERED,), INCIDENT, allowed_lateness=timedelta())
    before = [v for offset in range(cut) for v in feed(first, stream[offset], offset)]
    second = Engine((GATHERED,), INCIDENT, allowed_lateness=timedelta())
    second.restore_watermarks(first.watermarks(), committed=cut)
    for verdict in before:
        second.remember(to_alert(verdict, GATHERED, INCIDENT))
    needed = first.needed()
    after = [
        v for offset in range(cut if needed is None else needed, len(stream))
        for v in feed(second, stream[offset], offset)
    ]  # fmt: skip
    assert before + after == whole


# --- failing, and who is asked -------------------------------------------------------------------------------------


def test_a_rule_that_takes_too_long_is_reported_and_what_it_said_still_holds() -> None:
    failures: list[RuleFailed] = []

    class Works(ManualClock):
        """It takes the finding, begins, asks either for keys (2), and then either for its judgement (2 each): the last
        takes long."""

        readings = iter([0.0, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 3.0] + [3.0] * 99)
        worked = 0.0

        def monotonic(self) -> float:
            self.worked = next(self.readings)
            return self.worked

        def thread_time(self) -> float:
            return self.worked

    specs = (rule("any", name="quick"), rule("any", name="slow", filter={"kind": "wish"}))
    engine = Engine(specs, INCIDENT, on_failure=failures.append, clock=Works(START))
    verdicts = engine.finding(finding(0, kinds=["wish"]), 0)
    assert [v.rule for v in verdicts] == ["quick", "slow"]
    assert failures == [RuleFailed("slow", TIMEOUT)]
    assert len(engine.finding(finding(100, kinds=["wish"]), 1)) == 2
    assert len(failures) == 1


def test_a_machine_that_is_busy_with_other_things_is_no_fault_of_a_rule() -> None:
    class Waits(ManualClock):
        """Each time it is looked at, a minute has passed in which others worked."""

        def monotonic(self) -> float:
            self.advance(timedelta(minutes=1))
            return super().monotonic()

        def thread_time(self) -> float:
            return 0.0

    failures: list[RuleFailed] = []
    engine = Engine((rule("any", name="quick"),), INCIDENT, on_failure=failures.append, clock=Waits(START))
    assert [v.rule for v in engine.finding(finding(0, kinds=["wish"]), 0)] == ["quick"]
    assert failures == []


def test_a_rule_that_raises_under_one_key_is_asked_under_the_next() -> None:
    failures: list[RuleFailed] = []
    spec = rule("frequency", timeframe="60s", num_events=1, query_key="hashtag", realert="0s")
    engine = Engine((spec,), INCIDENT, allowed_lateness=timedelta(), on_failure=failures.append)
    (frequency,) = engine._judges.values()
    frequency._states["bad"].window = None  # type: ignore[attr-defined]
    engine.finding(finding(0, hashtags=("bad", "good")), 0)
    assert [v.key for v in engine.tick(tick(1), 1)] == ["good"]
    assert {failure.rule for failure in failures} == {"frequency"}


def test_only_rules_whose_filter_may_fit_are_asked() -> None:
    specs = {
        "all": rule("any", name="all"),
        "wish": rule("any", name="wish", filter={"kind": ["wish", "question"], "source": "x"}),
        "track": rule("any", name="track", filter={"track": "Røyk", "kind": "wish"}),
        "field": rule("any", name="field", filter={"avdeling": "A"}),
    }
    index = Index(specs)
    assert list(index.rules(finding(0))) == ["all"]
    assert list(index.rules(finding(0, kinds=["wish"], tracks=("røyk",)))) == ["all", "wish", "track"]
    assert list(index.rules(finding(0, fields={"avdeling": "a"}))) == ["all", "field"]


def test_a_field_within_a_field_is_named_with_a_dot() -> None:
    spec = rule("any", query_key="sted.by", realert="0s")
    fields = [{"sted": {"by": "Fjellby"}}, {"sted.by": "Dalen"}, {"sted": "Fjellby"}]
    assert [v.key for v in judge(spec, [finding(n, fields=each) for n, each in enumerate(fields)])] == [
        "Fjellby",
        "Dalen",
    ]


def test_every_reason_is_listed_with_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    reasons()
    listed = capsys.readouterr().out
    assert all(reason.value in listed and REASONS[reason] in listed for reason in Reason)
