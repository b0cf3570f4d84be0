"""What a server was asked to send and may not send yet is read once more, once it is sure to."""

from __future__ import annotations

from datetime import UTC, datetime

from listener.sources.mastodon.unsettled import BEFORE, SETTLED, Unsettled

NOON = datetime(2031, 3, 2, 12, tzinfo=UTC)


def test_it_is_read_once_more_when_the_server_is_sure_to_send_it() -> None:
    feeds = Unsettled()
    feeds.asked(("#granvik", "#brann"), 100.0, NOON)
    assert feeds.settled(100.0 + SETTLED - 0.1) == {}
    assert feeds.settled(100.0 + SETTLED) == {"#granvik": NOON - BEFORE, "#brann": NOON - BEFORE}
    assert feeds.settled(100.0 + 2 * SETTLED) == {}


def test_what_a_connection_was_asked_that_is_over_is_not() -> None:
    feeds = Unsettled()
    feeds.asked(("#granvik",), 100.0, NOON)
    feeds.clear()
    assert feeds.settled(100.0 + SETTLED) == {}
