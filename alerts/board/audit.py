"""Who looked at what people wrote: a line of the log, and no decision. It names a story or an alert, never a text."""

from __future__ import annotations

import logging

from alerts.board.access.roles import Who
from alerts.notify.channels.text import one_line

log = logging.getLogger("lyttepost.audit")

LONGEST = 200
"""Characters of a reason."""


def looked(who: Who, at: str, *, why: str = "") -> None:
    """`at`: such as `story 5d1c…`. `why`: the reason for which a veil was lifted."""
    reason = f", veil lifted: {one_line(why, LONGEST)}" if why else ""
    log.info("audit: %s (%s) read posts of %s%s", one_line(who.name), who.role.value, at, reason)
