"""Re-driving dead letters: the record is read again where it stands, and meets its stage anew.

What a stage could not take stands on the bus still, at the place that its letter names. Published once more, to the
same partition under its own key, it comes to the stage behind all that is there; and as nothing came of the first, and
whoever counts knows posts by their ids, nothing comes twice. The record and the word that its letter is answered for go
in one transaction: a re-drive that is killed is done or not done, and one that is run again does nothing twice.

Only what people said is re-driven. Counts add up, and a copy would count twice; hash chains end in a copy; and those
who read such topics read them from the beginning when they start, so a newer program finds what an older one could not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from listener.bus.protocol import Bus, Message, TopicPartition
from listener.bus.scan import scan
from listener.clock import Clock
from listener.model.records import DEADLETTERS, DeadLetter, encode

AGAIN = frozenset({"mentions", "findings"})
"""The topics whose records are published again."""
REDRIVEN = "redriven"
"""The reason of the last letter about a place: it was re-driven."""
_PLACE = re.compile(r"([a-z]+)/(\d+):(\d+)")


class RedriveResult(NamedTuple):
    """What became of a letter; `why` says so for a person."""

    letter: DeadLetter
    done: bool
    why: str


def standing(bus: Bus) -> list[DeadLetter]:
    """The letters that nobody has re-driven, oldest first; of each place the last one."""
    found: dict[str, DeadLetter] = {}
    for letter in scan(bus, DEADLETTERS):
        found.pop(letter.where, None)
        found[letter.where] = letter
    return [letter for letter in found.values() if letter.reason != REDRIVEN]


def place_of(where: str) -> tuple[TopicPartition, int] | None:
    """`mentions/0:17` → partition and offset; None for a place that is not on the bus."""
    place = _PLACE.fullmatch(where)
    return None if place is None else (TopicPartition(place[1], int(place[2])), int(place[3]))


def redrive(bus: Bus, letter: DeadLetter, clock: Clock) -> RedriveResult:
    """One whose place is on the bus. Raises BusError."""
    place = place_of(letter.where)
    if place is None:
        return RedriveResult(letter, False, "what was sent is kept nowhere")
    tp, offset = place
    if tp.topic not in AGAIN:
        return RedriveResult(letter, False, f"not needed: whoever reads {tp.topic} reads it anew when it is started")
    found = bus.read(tp, offset, 1) if tp.partition < bus.partitions(tp.topic) else []
    if not found or found[0].offset != offset:
        return RedriveResult(letter, False, "no longer there: its retention has ended")
    record = found[0]
    if record.value is None:
        return RedriveResult(letter, False, "no longer there: it was purged")
    if not is_it(record.value, letter):
        return RedriveResult(letter, False, "another record is there: is this another bus, or was it set up anew?")
    answer(bus, letter, [Message(tp.topic, record.key, record.value, tp.partition)], clock)
    return RedriveResult(letter, True, f"published again to {tp.topic}/{tp.partition}")


def is_it(value: bytes, letter: DeadLetter) -> bool:
    """These are the bytes that the letter is about."""
    return hashlib.sha256(value).hexdigest() == letter.digest


def answer(bus: Bus, letter: DeadLetter, messages: Iterable[Message], clock: Clock) -> None:
    """Publish what comes of it, and that it is answered for: both or neither. Raises BusError."""
    done = letter.model_copy(update={"at": clock.now(), "reason": REDRIVEN})
    bus.publish([*messages, Message("deadletters", letter.where, encode(done))])


def chosen(letters: Sequence[DeadLetter], wheres: Iterable[str], reason: str | None) -> list[DeadLetter]:
    """Those at these places, or of this reason; both narrow."""
    places = frozenset(wheres)
    return [
        letter
        for letter in letters
        if (not places or letter.where in places) and (reason is None or letter.reason == reason)
    ]
