"""What the reader of X's stream hands over is reported as heard when all of it can be taken, and not before."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from listener.sources.common.buffer import Line, ReceiveBuffer


def at(second: float) -> datetime:
    return datetime(2031, 2, 3, 18, 0, tzinfo=UTC) + timedelta(seconds=second)


def test_nothing_is_taken_in_the_middle_of_what_came_in_one_piece() -> None:
    buffer = ReceiveBuffer()
    taken = []
    reader = threading.Thread(target=lambda: taken.append(buffer.take(10)))
    with buffer.whole():
        buffer.touch(at(1))
        buffer.line(at(1), b"one")
        reader.start()
        reader.join(0.05)
        assert taken == []
        buffer.line(at(1), b"two")
    reader.join()
    assert taken == [([Line(at(1), b"one"), Line(at(1), b"two")], at(1))]


def test_a_piece_that_is_taken_in_part_is_not_heard_yet() -> None:
    buffer = ReceiveBuffer()
    buffer.line(at(1), b"before")
    with buffer.whole():
        for raw in (b"one", b"two", b"three"):
            buffer.line(at(2), raw)
    assert buffer.take(3)[1] == at(1)
    assert buffer.take(3)[1] == at(2)


def test_the_first_piece_taken_in_part_is_heard_up_to_no_time_at_all() -> None:
    buffer = ReceiveBuffer()
    for raw in (b"one", b"two"):
        buffer.line(at(1), raw)
    assert buffer.take(1)[1] is None
