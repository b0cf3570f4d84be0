"""Bluesky as `lyttepost doctor` finds it: does each host let us in, does it say anything, is its clock ours.

Each host is listened to for a moment. All posts of the network come, so within seconds one must: a host that says
nothing is one that would be left.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from listener.clock import Clock
from listener.model.incidents import Incident
from listener.model.tracks import TrackKind, parse
from listener.runtime.checks import Check, failed, warning, well
from listener.settings.bluesky import BlueskySettings
from listener.sources.bluesky.frames import Place, place_of
from listener.sources.bluesky.hosts import LARGEST, V1, V2, WIRE, Start, url_of
from listener.sources.common.clock_check import check_clock

_LONGEST: Final = 5.0
"""Seconds for one host: the network has dozens of posts in each."""


def examine_bluesky(
    hosts: Sequence[str],
    settings: BlueskySettings,
    incidents: Sequence[Incident],
    standing: Collection[str],
    clock: Clock,
    seconds: float,
) -> Iterator[Check]:
    """`incidents`: those that Bluesky is listened to for. Every call ends within `seconds`."""
    foreign = [host for host in hosts if host not in (*V1, *V2)]
    if foreign:
        yield warning(
            "bluesky.hosts",
            f"{', '.join(foreign)}: not Bluesky's own",
            "whoever runs them says what was posted: for Bluesky's own leave bluesky.hosts empty",
        )
    yield from _hosts(hosts, settings.version, clock, min(seconds, _LONGEST))
    yield accounts(settings, incidents, standing)


def _hosts(hosts: Sequence[str], version: int, clock: Clock, seconds: float) -> Iterator[Check]:
    troubles, skews = [], []
    for host in hosts:
        place, trouble = _first(host, version, clock, seconds)
        if place is None:
            troubles.append(f"{host}: {trouble}")
        else:
            skews.append(clock.now() - (datetime.fromtimestamp(0, UTC) + timedelta(microseconds=place.us)))
    if troubles and not skews:
        yield failed(
            "bluesky.heard",
            f"no host is heard: {'; '.join(troubles)}",
            "check whether this machine reaches them (name, firewall, proxy), and bluesky.version",
        )
        return
    if troubles:
        yield warning(
            "bluesky.heard",
            f"{len(skews)} of {len(hosts)} hosts are heard; {'; '.join(troubles)}",
            "what is heard is enough; if it stays, put another host into bluesky.hosts",
        )
    else:
        yield well("bluesky.heard", f"{len(hosts)} of {len(hosts)} hosts are heard")
    yield check_clock("bluesky.clock", min(skews, key=abs), "the hosts'", nearest="host")


def _first(host: str, version: int, clock: Clock, seconds: float) -> tuple[Place | None, str]:
    """The place of the first event that it gives; or why there is none."""
    try:
        with connect(
            url_of(Start(host, None), version),
            compression=None,
            open_timeout=seconds,
            close_timeout=0.5,
            ping_interval=None,
            max_size=2 * LARGEST,
            subprotocols=[Subprotocol("xrpc.v1.json")] if version == 2 else None,
            user_agent_header="lyttepost",
            logger=WIRE,
        ) as ws:
            until = clock.monotonic() + seconds
            for _ in range(10):
                left = max(0.0, until - clock.monotonic())
                if (place := place_of(ws.recv(timeout=left, decode=False))) is not None:
                    return place, ""
            return None, f"its messages are not of version {version}"
    except InvalidStatus as refused:
        return None, f"it answers {refused.response.status_code}"
    except TimeoutError:
        return None, "it says nothing"
    except ConnectionClosed:
        return None, "it closes at once"
    except (InvalidHandshake, OSError, EOFError) as error:
        return None, f"it cannot be reached ({type(error).__name__})"


def accounts(settings: BlueskySettings, incidents: Sequence[Incident], standing: Collection[str]) -> Check:
    """Which account tracks find no post by that account: a post names its author by DID alone."""
    wanted = sorted({*standing, *(track for incident in incidents for track in incident.tracks)})
    named = [found.text for found in map(parse, wanted) if found.kind is TrackKind.ACCOUNT]
    unknown = [name for name in named if "." in name and "@" not in name and name not in settings.accounts]
    if not unknown:
        return well("bluesky.accounts", f"{len(settings.accounts)} accounts are known by name")
    return warning(
        "bluesky.accounts",
        f"posts by {', '.join(f'@{name}' for name in unknown[:5])} are not heard, only posts that name them",
        "write each under bluesky.accounts with its did",
    )
