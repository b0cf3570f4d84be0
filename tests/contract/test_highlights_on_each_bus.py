"""On every bus: a crisis between intent and send holds a highlight, and of two processes one publishes it, once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from listener.bus.protocol import Bus
from listener.errors import Refused
from listener.model.highlights import Word
from tests.unit.highlights_support import Newsroom


@pytest.fixture
def room(bus: Bus, tmp_path: Path) -> Iterator[Newsroom]:
    with closing(Newsroom(tmp_path, start=datetime.now(UTC), bus=bus)) as made:
        yield made


def test_held_in_a_crisis_and_published_once_when_released(room: Newsroom) -> None:
    room.propose("a")
    room.say("a", Word.APPROVE)
    room.x.meanwhile = room.crisis
    room.turn(2)
    assert (room.x.posts, room.stages()) == ([], {"a": "held"})
    with pytest.raises(Refused):
        room.say("a", Word.RELEASE)
    room.calm()
    room.turn(2)
    assert room.x.posts == []
    room.say("a", Word.RELEASE)
    # The other process takes it in the moment before the first one's intent.
    room.x.before_intent = lambda: room.turn(3, name="b")
    room.turn(3)
    assert (len(room.x.posts), room.stages()) == (1, {"a": "published"})
