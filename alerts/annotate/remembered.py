"""The stories of late as an annotator remembers them: they are what lies on `findings`.

An annotator that begins reads the newest findings of each partition, and then goes on reading what others write. So a
restart forgets nothing, and annotators of other partitions and on other machines join the same stories. Nothing is
kept in a file, and a finding that is purged is forgotten here too.

Two annotators that meet the first wordings of a story in the same moment may each begin one. What comes later joins
one of the two, the same for both annotators.
"""

from __future__ import annotations

from collections.abc import Callable

from alerts.annotate.stories import MOST_POSTS, Stories
from listener.bus.protocol import Bus, Record
from listener.bus.scan import drain
from listener.model import keys
from listener.model.records import FINDINGS, BadRecord, Finding, decode

TOPIC = "findings"


class Remembered:
    """`stories` as of the last `refresh`. `beat` is called while there is much to read."""

    def __init__(self, bus: Bus, beat: Callable[[], None]) -> None:
        self.stories = Stories()
        self._beat = beat
        self._reader = bus.reader([TOPIC])
        for tp in self._reader.assignment:
            self._reader.seek(tp, max(bus.begin_offset(tp), bus.end_offset(tp) - MOST_POSTS))

    def refresh(self) -> None:
        """Take in what was written since. Raises BusError."""
        for record in drain(self._reader, self._beat):
            self._take(record)

    def close(self) -> None:
        self._reader.close()

    def _take(self, record: Record) -> None:
        if record.value is None:
            self.stories.forget(record.key)
            return
        if not keys.is_post(record.key):
            return
        known = self.stories.known(record.key)
        if known is not None and f'"story":"{known}"'.encode() in record.value:
            return  # our own
        try:
            found = decode(FINDINGS, record.value)
        except BadRecord:
            return
        if isinstance(found, Finding):
            self.stories.add(found.key, found.text, found.repost_of, found.story)
