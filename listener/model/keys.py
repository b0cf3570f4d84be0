"""The keys of records on the bus: the one place that knows how they are spelled.

On `mentions` a post has `source:id`, a tick `source:tick`, a gap `source:gap` and deletions `source:deletion`; on
`findings` a finding has `incident:source:id`, what was answered `incident:answered`, ticks and gaps as on `mentions`.
An id may hold colons; a source and an incident do not. On `volumes` a count has `source:track` and minutes that were
heard `source:heard`; on `spending` an account has `source:month`, a day's allowance `source:quota`; on `alerts` a burst
has the group key `source:track`.
On `decisions` a word about the public's has `story:story` or `theme:theme`, a correction the post's `source:id`;
one about who is on duty or can be reached `duty:person`; what is about a highlight has `highlight:id`.
"""

from __future__ import annotations

from typing import Any

TICK, GAP, DELETION, ANSWERED, HEARD, QUOTA = "tick", "gap", "deletion", "answered", "heard", "quota"
_IN_BAND = (f":{TICK}", f":{GAP}", f":{DELETION}", f":{ANSWERED}")


def of_source(source: str, what: str) -> str:
    """Something that belongs to a source: the id of a post, a tick or gap of it, a track, a month."""
    return f"{source}:{what}"


def of_incident(incident: str, source: str, post: str) -> str:
    """A finding: a post that one incident heard."""
    return f"{incident}:{source}:{post}"


def tick_of(source: str) -> str:
    """The ticks of a source, on `mentions` and `findings`."""
    return of_source(source, TICK)


def of_subject(story: str, theme: str) -> str:
    """What a person's word is about: a story, else a theme."""
    return f"story:{story}" if story else f"theme:{theme}"


def of_duty(person: str) -> str:
    """A decision about a person's duty, or about the ways to reach the person."""
    return f"duty:{person}"


def of_highlight(id_: str) -> str:
    """What is about a calm highlight."""
    return f"highlight:{id_}"


def is_of(key: str, source: str) -> bool:
    """It belongs to this source."""
    return key.startswith(f"{source}:")


def source_of(key: str) -> str:
    """The source that it belongs to."""
    return key.partition(":")[0]


def is_tick(key: str) -> bool:
    return key.endswith(_IN_BAND[0])


def is_gap(key: str) -> bool:
    return key.endswith(_IN_BAND[1])


def is_deletion(key: str) -> bool:
    return key.endswith(_IN_BAND[2])


def is_post(key: str) -> bool:
    """Of `mentions` and `findings`: nothing that merely stands between posts."""
    return not key.endswith(_IN_BAND)


def names_of_post(key: str) -> set[str]:
    """All that a person may call the post of this key: with incident and source before its id, and without."""
    parts = key.split(":", 2)
    return {":".join(parts[n:]) for n in range(len(parts))} | {key}


def in_band(record: Any) -> str:
    """Of a record of `mentions` or `findings`."""
    if record.type == "finding":
        return of_incident(record.incident, record.source, record.id)
    if record.type == ANSWERED:
        return of_source(record.incident, ANSWERED)
    return of_source(record.source, record.id if record.type == "mention" else record.type)


def of_counts(record: Any) -> str:
    """Of a record of `volumes`."""
    return of_source(record.source, record.track if record.type == "volume" else HEARD)


def of_spending(record: Any) -> str:
    """Of a record of `spending`: an account of money has its month, one of a day's allowance is the newest alone."""
    return of_source(record.source, f"{record.at:%Y-%m}" if record.type == "spending" else QUOTA)
