"""A line of a recording, heard once more: read where it stands in its file, matched, screened and published like new.

Only while nobody plays the recording: whoever holds the source's lease alone knows which posts are on the bus.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.errors import ConfigError, Refused
from listener.ingest.capture import Capture
from listener.ingest.resume import heard_since
from listener.ingest.worker import LEASE_SECONDS, RELOAD
from listener.maintenance.redrive import RedriveResult, answer, is_it
from listener.model.records import DeadLetter, Mention, Origin
from listener.model.roles import listen_to
from listener.privacy.screen import Screen
from listener.runtime.control import Control
from listener.runtime.metrics import Metrics
from listener.sources.common.reader import LineReader
from listener.sources.common.recorded_lines import Offered, offered
from listener.sources.contract import Batch
from listener.sources.recording.parser import posts_in

SOURCE = "recording"
STAGE = listen_to(SOURCE)


def relisten(
    bus: Bus,
    letter: DeadLetter,
    screen: Screen,
    standing: Sequence[str],
    *,
    holder: str,
    clock: Clock,
    metrics: Metrics,
) -> RedriveResult:
    """One of the stage `listen-recording`. Raises Refused while the recording is played, BusError."""
    path, _, number = letter.where.rpartition(":")
    if not number.isdigit() or not Path(path).is_file():
        return RedriveResult(letter, False, "no longer there: the file is gone, or it came through a pipe")
    line = _line(path, int(number))
    if line is None or not isinstance(line.line, bytes) or not is_it(line.line, letter):
        return RedriveResult(letter, False, "another line is there: the file was changed")
    if not line.posts:
        return RedriveResult(
            letter, False, f"still {line.bad[0].reason}" if line.bad else "its post came before, elsewhere"
        )
    lease = bus.lease(f"source:{SOURCE}", holder, LEASE_SECONDS)
    if not lease.renew():
        raise Refused("a process plays the recording; stop it, and wait for five seconds")
    try:
        hearing = _capture(bus, screen, standing, clock, metrics)
        pending = hearing.capture(Batch(posts=line.posts, origin=Origin.GAP_FILL), None)
        if not pending.mentions:
            return RedriveResult(
                letter, False, "nothing to do: on the bus already, or it matches no incident of its time"
            )
        answer(bus, letter, pending.messages, clock)
    finally:
        lease.release()
    return RedriveResult(letter, True, f"read once more: {pending.mentions} of {len(line.posts)} posts")


def _line(path: str, number: int) -> Offered | None:
    """As the source itself would find it, with all that stands before."""
    with closing(LineReader(path)) as reader:
        try:
            reader.open()
            lines = offered(reader, SOURCE, posts_in)
            return next((line for line in lines if line is not None and line.number == number), None)
        except ConfigError:
            return None


def _capture(bus: Bus, screen: Screen, standing: Sequence[str], clock: Clock, metrics: Metrics) -> Capture:
    """What listens to the recording would, with what it has heard."""
    hearing = Capture(SOURCE, screen, standing, partitions=bus.partitions("mentions"), clock=clock, metrics=metrics)
    since = clock.now() - RELOAD
    exercises = [i for i in Control(bus).refresh().incidents.values() if i.exercise]
    over = tuple(i for i in exercises if i.closed_at is not None and i.closed_at > since)
    hearing.listen_for(tuple(i for i in exercises if i.open), over)
    for found in heard_since(bus, SOURCE, since, lambda: None):
        if isinstance(found, Mention):
            hearing.remember(found)
    return hearing
