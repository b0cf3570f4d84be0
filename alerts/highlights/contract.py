"""Where highlights are published, as the worker needs it: what may be asked, and how it may end."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Protocol

from listener.model.highlights import Why

Gate = Callable[[], None]
"""Whether a post may still be published; raises what stops it. Called in the thread of whoever publishes, when the
connection stands and nothing was sent."""


class NotSent(Exception):
    """It was certainly not published. `wait`: X says to come back after so long."""

    def __init__(self, why: Why, status: int | None = None, wait: timedelta | None = None) -> None:
        super().__init__(f"{why}" + (f" (HTTP {status})" if status else ""))
        self.why = why
        self.status = status
        self.wait = wait


class Unsure(Exception):
    """It may have been published: X was reached, and gave no answer that says so."""


class Refused(Exception):
    """X does not answer a question of ours. The message says what it did, and nothing of what it said."""


class Account(Protocol):
    """One account: see `alerts.highlights.account.XAccount`."""

    def ready(self) -> None:
        """Raises ConfigError where there are no keys to publish with."""

    def publish(self, text: str, gate: Gate) -> str:
        """The id of the post. Raises NotSent, Unsure, and what `gate` raises: then nothing was sent."""

    def find(self, text: str, link: str, since: datetime, known: Collection[str]) -> str | None:
        """The id of a post that says so, or begins so and bears the link, and is none of those that are `known`; None
        where the newest hold none. `since`: when it was sent, by our clock. Raises Refused."""
