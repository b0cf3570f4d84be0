"""YouTube as `lyttepost doctor` finds it: is the key taken, is each channel there and heard, are the clocks one.

One call for each channel, a unit each. An empty list is no proof of silence: a channel on which nobody ever commented,
or whose comments are turned off, is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from listener.clock import Clock
from listener.runtime.checks import Check, failed, warning, well
from listener.settings.youtube import YoutubeSettings
from listener.sources.common.clock_check import check_clock
from listener.sources.common.polling import answer_to
from listener.sources.youtube.access import Access
from listener.sources.youtube.api import Page, Refused, Trouble, listed, read
from listener.sources.youtube.owner import Owner

LIVE: Final = "https://www.googleapis.com"
DAY: Final = 86_400

_ADVICE: Final[Mapping[Trouble, str]] = {
    Trouble.UNAUTHORIZED: "set a valid youtube.api_key_file, which is used at once, or youtube.api_key and restart "
    "`lyttepost run`",
    Trouble.FORBIDDEN: "enable the YouTube Data API v3 for the key's project, and look whether the key is restricted",
    Trouble.QUOTA: "nothing is left of the day's units until midnight Pacific; apply for more, or ask less often "
    "(youtube.every)",
    Trouble.RATE_LIMITED: "try again in a minute; if it comes back, something else uses the same key",
    Trouble.NETWORK: "check whether this machine reaches the address of youtube.base_url: name, firewall",
}
_ELSE: Final = "try again in a minute; if it stays, look into the project's API dashboard"


def examine_youtube(access: Access, settings: YoutubeSettings, clock: Clock, seconds: float) -> Iterator[Check]:
    """Every call ends within `seconds`."""
    yield well("youtube.key", "an API key is set")
    if access.base_url != LIVE:
        yield warning(
            "youtube.address",
            f"youtube.base_url is {access.base_url}, not YouTube itself",
            f"for the live one set youtube.base_url to {LIVE}",
        )
    yield pace(settings)
    at: datetime | None = None
    heard: list[str] = []
    silent: list[str] = []
    troubles: list[str] = []
    for channel in settings.channels:
        found = read(
            answer_to(listed(channel).ask(access.base_url, {"X-Goog-Api-Key": access.key.token}), seconds=seconds)
        )
        if isinstance(found, Refused):
            if found.trouble not in (Trouble.GONE, Trouble.DISABLED):
                yield failed("youtube.heard", _refused(found), _ADVICE.get(found.trouble, _ELSE))
                return
            troubles.append(f"{channel} ({found.why})")
        else:
            at = found.at or at
            (heard if found.items else silent).append(channel)
    yield _channels(heard, silent, troubles)
    if at is not None:
        yield check_clock("youtube.clock", clock.now() - at, "YouTube's")
    if access.owner is not None:
        yield _owner(access, next(iter(settings.channels)), clock, seconds)


def pace(settings: YoutubeSettings) -> Check:
    """Whether a day's units last for rounds as often as the settings want them in a crisis."""
    rounds = DAY / settings.every.crisis.total_seconds() * len(settings.channels)
    says = f"rounds in a crisis cost {rounds:.0f} units a day, of {settings.units}; busy hours cost more"
    if rounds <= settings.units * 0.7:
        return well("youtube.units", says)
    return warning(
        "youtube.units",
        f"{says}: rounds will come more rarely than every {settings.every.crisis.total_seconds():.0f} s",
        "apply for more units and set youtube.units, or set youtube.every.crisis to more",
    )


def _refused(found: Refused) -> str:
    return f"YouTube refuses us: {found.why}" if found.why else f"YouTube does not answer: {found.cause}"


def _channels(heard: list[str], silent: list[str], troubles: list[str]) -> Check:
    every = len(heard) + len(silent) + len(troubles)
    if troubles:
        return failed(
            "youtube.heard",
            f"{len(heard)} of {every} channels are heard; not {', '.join(troubles)}",
            "look whether youtube.channels names the hospital's own, and whether their comments are turned on",
        )
    if silent:
        return warning(
            "youtube.heard",
            f"{len(heard)} of {every} channels have comments; {', '.join(silent)}: none at all",
            "look at the channel's page: if there are comments, the id in youtube.channels is another's",
        )
    return well("youtube.heard", f"{every} of {every} channels are heard")


def _owner(access: Access, channel: str, clock: Clock, seconds: float) -> Check:
    """Whether the owner's grant holds, and what waits for review is given."""
    fix = "let the channel's owner allow it again (scope youtube.force-ssl), or leave youtube.owner out"
    if access.owner is None:
        return well("youtube.owner", "what waits for review is not asked for")
    owner = Owner(access.owner)
    refused = owner.take(answer_to(owner.ask(), seconds=seconds), clock.now())
    if refused is None:
        page = read(answer_to(listed(channel, held=True).ask(access.base_url, owner.headers()), seconds=seconds))
        if isinstance(page, Page):
            return well("youtube.owner", "comments that wait for review are given")
        refused = page
    return failed("youtube.owner", f"comments that wait for review are not given: {refused.why or refused.cause}", fix)
