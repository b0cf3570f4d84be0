"""The highlights as people and programs are shown them: what waits for somebody first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.highlights.length import LONGEST, weighted
from alerts.highlights.plan import Schedule, Standing, is_shown, plan, standing
from alerts.highlights.state import Highlights, HighlightState, Stage
from listener.model.incidents import State
from listener.units import format_instant

PUBLISHED_SHOWN = 20
"""The newest."""
ADDRESS = "https://x.com/i/status/"
"""Where a post is found by its id alone."""


@dataclass(frozen=True)
class Listed:
    """A highlight at an instant. `when`: when it goes out, of one that is approved, as far as it can be foreseen."""

    its: HighlightState
    stands: Standing
    when: datetime | None
    now: datetime

    @property
    def over(self) -> bool:
        """What it is about has begun."""
        starts = self.its.proposal.starts
        return starts is not None and starts <= self.now

    @property
    def address(self) -> str:
        return f"{ADDRESS}{self.its.post}" if self.its.post else ""

    def as_json(self) -> dict[str, Any]:
        its, made = self.its, self.its.proposal
        return {
            "id": its.id,
            "stage": self.stands.stage,
            "why": self.stands.why,
            "since": self.stands.since,
            "age_seconds": max(0, round((self.now - self.stands.since).total_seconds())),
            "text": its.text,
            "length": weighted(its.text),
            "longest": LONGEST,
            "title": made.title,
            "link": made.link,
            "feed": made.feed,
            "starts": format_instant(made.starts) if made.starts else None,
            "proposed_at": made.at,
            "by": its.by,
            "at": its.at,
            "edited": its.edited,
            "when": self.when,
            "post": its.post or None,
            "address": self.address or None,
            "looked": its.looked,
            "revision": its.revision,
        }


def listed(
    highlights: Highlights, control: State, schedule: Schedule, now: datetime, *, everything: bool = False
) -> list[Listed]:
    """In the order of `Stage`; within one the oldest first, of what is published the newest. `everything`: what was
    dropped, proposals that nobody took up and all that was ever published too."""
    when = plan(highlights, control, schedule, now).when
    found = [
        Listed(its, stands, when.get(its.id) if stands.stage is Stage.APPROVED else None, now)
        for its in highlights.states.values()
        if everything or is_shown(its, now)
        for stands in [standing(its, control, schedule, now)]
        if everything or stands.stage is not Stage.DROPPED
    ]
    published = sorted(of_stage(found, Stage.PUBLISHED), key=lambda each: each.stands.since, reverse=True)
    others = [each for stage in Stage if stage is not Stage.PUBLISHED for each in of_stage(found, stage)]
    ended = [each for each in others if each.stands.stage is Stage.DROPPED]
    going = [each for each in others if each.stands.stage is not Stage.DROPPED]
    return [*going, *(published if everything else published[:PUBLISHED_SHOWN]), *ended]


def of_stage(found: Sequence[Listed], stage: Stage) -> list[Listed]:
    return [each for each in found if each.stands.stage is stage]
