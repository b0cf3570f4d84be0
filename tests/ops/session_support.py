"""One source of a fake whose clock runs fast, read as a process reads it, without a bus."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar

from listener.model.incidents import Incident
from listener.model.records import Gap
from listener.settings.schema import Settings
from listener.sources.contract import Batch, HasQuota, LiveSource, SourceType
from tests.fakes.platform import ScaledClock

SPEED = 60.0
"""A minute of the platform's in each second of the test's."""
WITHIN = 20.0
"""Real seconds."""


@dataclass(kw_only=True)
class SourceSession:
    """The source, once it is open, and all that it gave. Over it a test says with which settings it is made."""

    kind: ClassVar[SourceType]
    makes: ClassVar[type[LiveSource]]
    """What a source of this kind is."""
    clock: ScaledClock
    batches: list[Batch] = field(default_factory=list)
    source: LiveSource | None = None

    def settings(self) -> Settings:
        raise NotImplementedError

    def open(self, resume: str | None = None, gaps: Sequence[Gap] = (), incidents: Sequence[Incident] = ()) -> None:
        source = self.kind.make(self.settings(), self.clock)
        assert isinstance(source, self.makes)
        self.source = source
        source.recall(gaps)
        if isinstance(source, HasQuota):
            source.learn_quota(None)
        source.open(resume)
        source.follow(incidents, ())

    def close(self) -> None:
        if self.source is not None:
            self.source.close()

    def incident(self, id_: str = "brann-0", *, minutes: float = 0.0, lookback: float = 3600.0) -> Incident:
        """Open since so many minutes ago."""
        opened = self.clock.now() - timedelta(minutes=minutes)
        return Incident(
            id=id_, name="Brann", tracks=("granvik",), opened_at=opened, opened_by="vakt", why="prøve",
            review_at=opened + timedelta(hours=4), lookback=lookback,
        )  # fmt: skip

    def until(self, condition: Callable[[], Any], what: str) -> None:
        assert self.source is not None
        deadline = time.monotonic() + WITHIN
        while not condition():
            assert time.monotonic() < deadline, f"not within {WITHIN:g} s: {what}; {dict(self.source.state())}"
            if (batch := self.source.read(0.5)) is not None:
                self.batches.append(batch)

    def pass_(self, seconds: float) -> None:
        """Seconds of the platform's clock."""
        end = self.clock.now() + timedelta(seconds=seconds)
        self.until(lambda: self.clock.now() > end, "time passes")

    def heard(self) -> None:
        assert self.source is not None
        source = self.source
        self.until(lambda: source.state()["state"] in ("listening", "counting"), "heard")

    @property
    def gaps(self) -> dict[str, Gap]:
        return {gap.id: gap for batch in self.batches for gap in batch.gaps}

    def gap(self, *, lasts: bool, part: str | None = None) -> Gap:
        def found() -> Gap | None:
            return next((g for g in self.gaps.values() if (g.end is None) is lasts and g.part == part), None)

        self.until(found, f"a gap that {'lasts' if lasts else 'is over'}")
        gap = found()
        assert gap is not None
        return gap
