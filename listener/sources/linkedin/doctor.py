"""LinkedIn as `lyttepost doctor` finds it: what ends soon, and whether anything comes when it is asked.

One call of the day's. An empty answer is no proof of silence: it is also what a token without the role may get.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from listener.clock import Clock
from listener.runtime.checks import Check, failed, warning, well
from listener.sources.common.polling import SECONDS, answer_to
from listener.sources.linkedin.access import Access, token_ends, version_ends
from listener.sources.linkedin.api import REACH, Failure, Trouble, ask, read
from listener.sources.linkedin.status import WHY, ending

_FIX: Final = "LinkedIn's developer portal shows the app's products, the token's scopes and when it expires"


def examine_linkedin(access: Access, clock: Clock, seconds: float) -> Iterator[Check]:
    now = clock.now()
    soon = ending(access, now)
    if soon:
        yield warning(
            "linkedin.ending",
            f"ends soon or has ended: {'; '.join(soon)}",
            "set linkedin.version to a newer month, or make a new token, and set linkedin.token_expires with it",
        )
    elif access.token_expires is None:
        yield warning(
            "linkedin.ending",
            f"version {access.version} is served until {version_ends(access.version):%Y-%m-%d}; when the token ends is "
            "not known",
            "write the day that LinkedIn names as linkedin.token_expires: a token lives 60 days",
        )
    else:
        yield well(
            "linkedin.ending",
            f"the token lasts until {token_ends(access.token_expires):%Y-%m-%d}, the version until "
            f"{version_ends(access.version):%Y-%m-%d}",
        )
    yield _answers(access, clock, seconds)


def _answers(access: Access, clock: Clock, seconds: float) -> Check:
    id_, now = "linkedin.answers", clock.now()
    since = now - REACH + timedelta(hours=1)
    found = read(answer_to(ask(access, since, now, 0, count=1), seconds=min(seconds, SECONDS)))
    if isinstance(found, Failure):
        if (why := WHY.get(found.trouble)) is not None:
            return failed(id_, f"LinkedIn refuses us: {why}", _FIX)
        if found.trouble is Trouble.LIMITED:
            return warning(id_, "none of the day's calls is left (429)", "it is asked again from 00:00 UTC on")
        return failed(id_, f"LinkedIn gives no answer ({found.cause})", "check whether this machine reaches it")
    if not found.elements:
        return warning(
            id_,
            "LinkedIn answers, and knows of no comment and no mention in 60 days",
            "if there were any, the token's member is no ADMINISTRATOR of the Page, or linkedin.organization is wrong",
        )
    return well(id_, "LinkedIn answers with notifications of the Page")
