"""What answers are to a rule, by its filter and its key."""

from __future__ import annotations

from alerts.rules.answers import Bearing
from alerts.rules.fields import THEMES
from alerts.rules.spec import CountBy, RuleSpec
from listener.model.records import Kind

QUESTIONS = frozenset({Kind.QUESTION.value})
ANSWERABLE = frozenset({Kind.QUESTION.value, Kind.RUMOUR.value})


def bearing_of(spec: RuleSpec) -> Bearing:
    """A theme counts where the rule asks for questions alone: those who wish for something were not answered."""
    kinds = frozenset(map(str.casefold, spec.filter.get("kind") or spec.filter.get("kinds") or ()))
    names = spec.query_key
    theme = next((place for place, name in enumerate(names) if name in THEMES), None)
    return Bearing(
        names,
        story=names.index("story") if "story" in names else None,
        theme=theme if kinds and kinds <= QUESTIONS else None,
        open=bool(kinds) and kinds <= ANSWERABLE,
        people=getattr(spec, "count_by", CountBy.POSTS) is CountBy.AUTHORS,
    )
