"""What a trial counts against a listener, and what it cannot have known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.soak.trial import early_calls

NOON = datetime(2031, 3, 2, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_a_call_too_early_counts_unless_a_kill_took_what_was_told_before_it_was_written() -> None:
    told_and_called = [(at(0), at(40))]
    assert early_calls(told_and_called, []) == 1
    assert early_calls(told_and_called, [(at(5), at(7))]) == 0
    assert early_calls(told_and_called, [(at(35), at(37))]) == 1, "it was written by then"
    assert early_calls(told_and_called, [(at(-5), at(-3))]) == 1, "it was told after that"
    assert early_calls([(at(0), at(3))], [(at(5), at(7))]) == 1, "it called before that"
