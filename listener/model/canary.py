"""What a canary is called: the synthetic post that proves that the whole pipeline works, from a post to its delivery.

It has an incident of its own, which stands on no `control`, so that it makes no crisis and nobody can close it. No
incident of a person has this id: theirs end with a number.
"""

from __future__ import annotations

CANARY = "canary"
"""Its incident, its source, its route in people.yaml, and the worker that posts it."""
NAME = "Lyttepost"
"""The incident's name on a card."""
TRACK = "lyttepost canary"
"""What it is matched by, as a post is by a track."""
TEXT = "Lyttepost canary: er alt i orden?"
"""What it says."""
