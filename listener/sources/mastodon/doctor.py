"""Mastodon as `lyttepost doctor` finds it: does each server let us in, give the feeds we need, have our time; and what
of the tracks nobody can hear there.

An empty answer is no proof of silence: a feed that is closed is answered by an empty list. So the server is asked what
it closes, the token whose it is and what it may, and each server must let us onto its stream and answer there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from listener.clock import Clock
from listener.model.gaps import Cause
from listener.model.incidents import Incident
from listener.runtime.checks import Check, failed, warning, well
from listener.sources.common.clock_check import check_clock
from listener.sources.mastodon.access import Access
from listener.sources.mastodon.feeds import TIMELINES, address, feeds_of, tag_of
from listener.sources.mastodon.instance import PATH, Instance, Unfit, read_instance
from listener.sources.mastodon.rest import CallError, Rest
from listener.sources.mastodon.wire import open_stream

_LONGEST: Final = 5.0
"""Seconds for one step with one server."""
BUSY: Final = "#mastodon"
"""Somebody always writes under it: where nothing stands there, the emptiness is the server's."""
WHOSE: Final = "/api/v1/accounts/verify_credentials"


def examine_mastodon(
    accesses: Sequence[Access],
    incidents: Sequence[Incident],
    standing: Collection[str],
    clock: Clock,
    seconds: float,
) -> Iterator[Check]:
    """`incidents`: those that Mastodon is listened to for. Every call ends within `seconds`."""
    wanted = sorted({*standing, *(track for incident in incidents for track in incident.tracks)})
    troubles, closed, mute, skews, reached = [], [], [], [], 0
    for access in accesses:
        rest = Rest(access.url, clock, step=min(seconds, _LONGEST))
        try:
            instance = read_instance(rest.get(PATH, {}, access.key.token), access.url)
            reached += 1
            closed += [f"{access.name}: {what}" for what in _closed(access, instance, wanted)]
            mute += [access.name] if _is_mute(rest, instance, access) else []
            if (
                trouble := _refused(rest, access, wanted) or _heard(instance, access, min(seconds, _LONGEST))
            ) is not None:
                troubles.append(f"{access.name}: {trouble}")
        except (CallError, Unfit) as error:
            troubles.append(f"{access.name}: {_told(error)}")
        finally:
            rest.close()
        if rest.date is not None:
            skews.append(clock.now() - rest.date)
    yield _servers(len(accesses), troubles)
    if reached:
        yield _feeds(closed, mute)
    yield tracks(accesses, wanted)
    if skews:
        yield check_clock("mastodon.clock", min(skews, key=abs), "the servers'", nearest="server")


def _told(error: CallError | Unfit) -> str:
    if isinstance(error, CallError) and error.cause is Cause.UNAUTHORIZED:
        return f"{error}: the token is not a user's, or is not valid any more"
    if isinstance(error, CallError) and error.cause is Cause.FORBIDDEN:
        return f"{error}: the token has not the scope read:statuses"
    return str(error)


def _refused(rest: Rest, access: Access, wanted: Sequence[str]) -> str | None:
    """Why the token does not do; None: it does. The timeline that is asked for is one that is listened to."""
    feeds = sorted(feeds_of(wanted, access.timeline)) or ["#mastodon"]
    path, params = address(feeds[0])
    try:
        rest.get(path, {**params, "limit": "1"}, access.key.token)
    except CallError as error:
        return _told(error)
    try:
        rest.get(WHOSE, {}, access.key.token)
    except CallError as error:
        # Without the scope for it a user's token is refused too, and may be all we need.
        return _told(error) if error.cause is Cause.UNAUTHORIZED else None
    return None


def _heard(instance: Instance, access: Access, seconds: float) -> str | None:
    """Why its stream is not heard; None: it took us in, and answered there."""
    try:
        with open_stream(instance.streaming, access.key.token, seconds) as ws:
            return None if ws.ping().wait(seconds) else "its stream answers nothing"
    except CallError as error:
        return _told(error)


def _servers(count: int, troubles: Sequence[str]) -> Check:
    if not troubles:
        return well("mastodon.heard", f"{count} of {count} servers are heard")
    fix = (
        "for a token: make one of an account of that server with the scope read:statuses (Preferences, Development); "
        "else check whether this machine reaches the server and its streaming address"
    )
    if len(troubles) == count:
        return failed("mastodon.heard", f"no server is heard: {'; '.join(troubles)}", fix)
    return warning(
        "mastodon.heard", f"{count - len(troubles)} of {count} servers are heard; {'; '.join(troubles)}", fix
    )


def _is_mute(rest: Rest, instance: Instance, access: Access) -> bool:
    """Nothing is there under a hashtag under which somebody always writes. Where the server says that it closes them,
    that is told already."""
    if not instance.gives(BUSY):
        return False
    path, params = address(BUSY)
    try:
        return bool(rest.get(path, {**params, "limit": "1"}, access.key.token) == [])
    except CallError:
        return False  # told by what else is asked


def _closed(access: Access, instance: Instance, wanted: Sequence[str]) -> Iterator[str]:
    yield from instance.partly
    if instance.closed is None:
        return
    for feed in sorted(feeds_of(wanted, access.timeline)):
        if not instance.gives(feed):
            yield "hashtags" if feed.startswith("#") else f"the timeline {feed}"
            if feed.startswith("#"):
                return


def _feeds(closed: Sequence[str], mute: Sequence[str]) -> Check:
    if not closed and mute:
        return warning(
            "mastodon.feeds",
            f"nothing is to be read under {BUSY} at {', '.join(mute)}: hashtags may be closed there, or it is new",
            "look there by hand for a hashtag in use; where there is none, name other servers under mastodon.servers",
        )
    if not closed:
        return well(
            "mastodon.feeds", f"each server gives posts under {BUSY}, and none says that it closes a feed of ours"
        )
    return warning(
        "mastodon.feeds",
        f"closed, so that what is missed cannot be read there: {', '.join(closed)}",
        "name other servers under mastodon.servers: there an empty answer is no silence",
    )


def tracks(accesses: Sequence[Access], wanted: Sequence[str]) -> Check:
    """Which tracks have no feed of their own: Mastodon has no stream of words."""
    without = [track for track in wanted if tag_of(track) is None]
    timelines = sorted(access.name for access in accesses if access.timeline in TIMELINES)
    if not without:
        return well("mastodon.tracks", f"each of {len(wanted)} tracks is asked for as a hashtag")
    shown = ", ".join(repr(track) for track in without[:5]) + (
        f" and {len(without) - 5} more" if len(without) > 5 else ""
    )
    where = f", and in the timelines of {', '.join(timelines)}" if timelines else ""
    return warning(
        "mastodon.tracks",
        f"not asked for at Mastodon, which has no stream of words: {shown}; found only in posts with a hashtag that is "
        f"asked for{where}",
        "add the hashtags that people will write (--track '#…'), or hear a whole timeline (mastodon.servers, timeline)",
    )
