"""The posts that alerts rest on, as whoever has no log-in may see them: when and what kind, and their words only where
the settings say so and they show no patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain, zip_longest
from typing import NamedTuple

from alerts.notify.state import AlertState
from listener.model.records import Kind

MOST = 3
"""Samples that are shown of all alerts together."""


class Sampled(NamedTuple):
    """A post as it is held now. `exposed`: it, or a copy of it, may show who a patient is."""

    at: datetime
    kinds: tuple[Kind, ...]
    text: str
    exposed: bool


Samples = Callable[[Sequence[str]], Mapping[str, Sampled]]
"""Keys of posts → what is still held of them; those that were removed are missing."""


def keys_of(states: Sequence[AlertState]) -> Iterator[str]:
    """The posts to show of these alerts, each once: of every alert one, then of every alert another."""
    turns = zip_longest(*(state.alert.samples for state in states))
    yield from list(dict.fromkeys(sample.key for sample in chain.from_iterable(turns) if sample is not None))[:MOST]
