"""An entry: one finding as a rule's windows keep it, in order of time. It holds no text, only the text's digest."""

from __future__ import annotations

import hashlib
from datetime import datetime
from sys import intern
from typing import Any, NamedTuple

from alerts.annotate.story import is_repost
from listener.model.records import Finding, Kind, Origin


class Entry(NamedTuple):
    """One finding. `weight` is how many posts it stands for; `digest` is 16 hex digits of its text's SHA-256."""

    at: datetime
    post_key: str
    captured_at: datetime
    origin: Origin
    author: str | None
    story: str
    repost: bool
    weight: int
    kinds: tuple[Kind, ...]
    digest: str
    value: Any = None
    """What the rule's type reads of the finding, where it reads anything: a term, a number, a mark."""
    theme: str | None = None
    """The main one."""

    @property
    def lookback(self) -> bool:
        """Whether it was found by looking back to before the incident."""
        return self.origin is Origin.LOOKBACK


def entry_of(finding: Finding) -> Entry:
    """The entry of a finding, without the `value` that only a rule's type can read."""
    return Entry(
        finding.at,
        finding.post_key,
        finding.captured_at,
        finding.origin,
        finding.author,
        finding.story,
        is_repost(finding.text, finding.repost_of),
        finding.count,
        finding.kinds,
        hashlib.sha256(finding.text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        theme=intern(finding.themes[0]) if finding.themes else None,
    )
