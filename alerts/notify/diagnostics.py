"""Whom an alert would reach, as `lyttepost doctor` finds it: channels, routes, people, standing tracks.

No message is sent. A channel's server is connected to and let go of, without a word.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, tzinfo
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from alerts.duty.check import never_confirmed
from alerts.duty.decided import Decided
from alerts.duty.load import load_duty
from alerts.duty.reload import DutyBook
from alerts.notify.canary import RoundTrips
from alerts.notify.channels.addresses import web_address
from alerts.notify.channels.callbacks import CallsBack
from alerts.notify.channels.contract import ChannelError, channel_doubts, open_channels, open_usable, wakes_by
from alerts.notify.channels.http import exchange
from alerts.notify.channels.text import one_line
from alerts.notify.drill import Reached, examine_firing
from alerts.notify.incident_alerts import review_due
from alerts.notify.links import PATH
from alerts.notify.recipients import FALLBACK, LAST_RESORT, People, load_people
from alerts.notify.state import read_book
from alerts.rules.load import load_rules
from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.errors import ConfigError
from listener.model.canary import CANARY
from listener.model.decisions import DecisionsRecord
from listener.model.tracks import too_common
from listener.runtime.checks import Check, CheckLevel, failed, warning, well
from listener.runtime.control import Control, Presences, followers, missing_roles
from listener.runtime.metrics import Metrics
from listener.settings.files import RawSettings, load_yaml, packaged_config
from listener.settings.receiver import ReceiverSettings
from listener.settings.schema import Settings, load_settings
from listener.settings.standing_tracks import load_standing
from listener.settings.zone import find_zone
from listener.units import format_duration

EXAMPLE = (".example", ".invalid", ".test", ".example.org", ".example.com", ".example.net")
"""Ends of domains that nobody has: they stand for an address that was never filled in."""


def left_of_example(raw: RawSettings, standing: Sequence[str]) -> Iterator[Check]:
    """What `config check` warns of: a configuration that is still the shipped example, and wakes nobody.

    Raises ConfigError for a file that is wrong.
    """
    people = load_people(raw.folder / "people.yaml")
    routes = {rule.to for rule in load_rules(raw.folder / "rules")}
    # Of tracks that are too common it is told elsewhere.
    tracks = [_tracks(raw, standing)] if not standing or _shipped_tracks(standing) else []
    for check in (*tracks, _people(raw, people), _routes(people, routes)):
        if check.level is not CheckLevel.OK:
            yield check


def examine_silence(bus: Bus, settings: Settings, clock: Clock) -> Iterator[Check]:
    """Whether anybody would notice that no alert can be sent, and whether an open incident was forgotten."""
    yield _canary(bus, settings, clock)
    if settings.deadman.url is None and settings.deadman.url_file is None:
        yield warning(
            "deadman",
            "no service outside this site is pinged: when this machine dies, nobody is called",
            "set deadman.url in settings.yaml to an address of healthchecks.io or the like",
        )
    else:
        yield well("deadman", f"an outside service is pinged every {format_duration(settings.deadman.every)}")
    now = clock.now()
    late = [i for i in Control(bus).refresh().open if review_due(i, now) is not None]
    if late:
        names = ", ".join(f"{one_line(i.name)} ({i.id})" for i in late)
        fix = "`lyttepost mode review --why …` if it still is a crisis, else `lyttepost mode calm --why …`"
        yield warning("mode.review", f"nobody has reviewed when it was due: {names}", fix)
    else:
        yield well("mode.review", "no open incident waits for its review")


def _canary(bus: Bus, settings: Settings, clock: Clock) -> Check:
    every = settings.canary.every
    if every is None:
        return warning(
            "canary", "no canary is posted: nothing proves that an alert would be sent", "set canary.every, such as 1h"
        )
    metrics = Metrics(CollectorRegistry(), "")
    trips = RoundTrips(every, clock=clock, metrics=metrics)
    for state in read_book(bus).all():
        trips.take(state)
    if trips.posted is None:
        return warning(
            "canary",
            "no canary has arrived yet",
            f"while `lyttepost run` runs with all roles, one arrives every {format_duration(every)}",
        )
    if (late := trips.late()) is None:
        posted = trips.posted.astimezone(find_zone(settings.timezone))
        return well("canary", f"the canary of {posted:%Y-%m-%d %H:%M %Z} went through the whole pipeline")
    down = missing_roles(followers(Presences(bus, clock).refresh(), -1))
    fix = "see which part is not ready (/readyz), and how far a canary comes: `lyttepost bus read alerts`"
    return warning("canary", late, f"start the role {down[0]}") if down else failed("canary", late, fix)


def examine_alerting(
    raw: RawSettings, standing: Sequence[str], seconds: float, decided: Decided | None = None
) -> Iterator[Check]:
    """Every connection is given up after `seconds`. `decided`: which ways were tried, where the bus could be read."""
    yield _tracks(raw, standing)
    if decided is not None:
        yield from _tested(raw, decided)
    try:
        people = load_people(raw.folder / "people.yaml")
        routes = {rule.to for rule in load_rules(raw.folder / "rules")}
    except ConfigError as error:
        yield failed("config.people", str(error), "correct the file; `lyttepost config check` lists every mistake")
        return
    yield _people(raw, people)
    yield _routes(people, routes)
    used = people.channels() - {LAST_RESORT.channel}
    for name in sorted(used | set(raw.get("channels", {})) - {LAST_RESORT.channel}):
        yield _channel(raw, name, seconds, used=name in used)
        yield from _doubts(raw, name)
    with suppress(ConfigError):  # told of the settings themselves
        yield _answers(raw, people, load_settings(raw).receiver, seconds)


def examine_routes(
    raw: RawSettings, data: Path, words: Iterable[DecisionsRecord], decided: Decided | None, now: datetime, zone: tzinfo
) -> Iterator[Check]:
    """What would happen if an alert fired now, for each route. `words`: all that was decided, swaps among it. No
    calendar's server is asked."""
    with suppress(ConfigError):  # told of the file itself
        people = load_people(raw.folder / "people.yaml").in_zone(zone)
        book = DutyBook(raw.folder / "people.yaml", data)
        for word in words:
            book.take(word)
        book.read_calendars(now, online=False)
        routes = {*people.routes, *(rule.to for rule in load_rules(raw.folder / "rules"))} - {CANARY, FALLBACK}
        wakes = partial(wakes_by, open_usable(people.channels(), raw))
        tested = None if decided is None else _confirmed(people, book, decided)
        yield from examine_firing(people.with_rosters(book.rosters), routes, tested, wakes, now)


def _confirmed(people: People, book: DutyBook, decided: Decided) -> frozenset[Reached]:
    """The ways that were confirmed, as they are sent to: what was confirmed is remembered as the file spells it."""
    return frozenset(
        (key, way.channel, way.target)
        for key, person in people.people.items()
        if key in book.people
        for way, written in zip(person.ways, book.people[key].ways, strict=False)
        if decided.is_confirmed(key, written.place)
    )


def _tracks(raw: RawSettings, standing: Sequence[str]) -> Check:
    file = raw.folder / "tracks.yaml"
    if not standing:
        return warning(
            "config.tracks",
            "there are no standing tracks: in calm nothing is counted",
            f"write the hospital's names into {file}",
        )
    if left := _shipped_tracks(standing):
        return warning(
            "config.tracks",
            f"{len(left)} of {len(standing)} standing tracks are the shipped example's, such as {left[0]!r}: "
            "a hospital that does not exist",
            f"put your own names into {file}; `lyttepost config init DIR` writes a configuration to change",
        )
    if common := [track for track in standing if too_common(track)]:
        return warning(
            "config.tracks",
            f"{', '.join(map(repr, common))}: in every other sentence, and a paid source bills every post that has it",
            f"name in {file} what the posts are about",
        )
    return well("config.tracks", f"{len(standing)} standing tracks, none of them the shipped example's")


def _shipped_tracks(standing: Sequence[str]) -> list[str]:
    shipped = load_standing(load_yaml(packaged_config() / "tracks.yaml"))
    return [track for track in standing if track in shipped]


def _people(raw: RawSettings, people: People) -> Check:
    file = raw.folder / "people.yaml"
    shipped = load_people(packaged_config() / "people.yaml")
    if people.people == shipped.people:
        return warning(
            "config.people",
            "people.yaml is the shipped example: nobody is in it but the console",
            f"put the people on duty into {file}",
        )
    left = [p.name for p in people.people.values() if any(_is_example(way.target) for way in p.ways)]
    if left:
        return warning(
            "config.people",
            f"{', '.join(left)}: an address of an example, which reaches nobody",
            f"write real addresses into {file}",
        )
    return well("config.people", f"{len(people.people)} people can be notified")


def _tested(raw: RawSettings, decided: Decided) -> Iterator[Check]:
    with suppress(ConfigError):  # told of the file itself
        people = load_duty(raw.folder / "people.yaml").people
        if untried := never_confirmed(people, decided):
            yield warning(
                "people.tested",
                f"{', '.join(untried)}: never confirmed a test message, so nobody knows whether an alert arrives",
                "`lyttepost duty test PERSON`, then `lyttepost duty confirm CODE --by PERSON` when it came",
            )
        elif any(decided.ever_confirmed(key) for key in people):
            yield well("people.tested", "everybody who can be reached has confirmed a test message")


def _is_example(target: str) -> bool:
    host = urlsplit(target).hostname if "://" in target else target.rpartition("@")[2] if "@" in target else None
    return f".{host or ''}".rstrip(".").lower().endswith(EXAMPLE)


def _routes(people: People, used: Collection[str]) -> Check:
    """A route that ends at the console of a process that nobody watches wakes nobody."""
    console = LAST_RESORT.channel
    names = sorted({*people.routes, *used} - {CANARY})
    deaf = [name for name in names if people.reachable(name) <= {console}]
    if deaf:
        return warning(
            "routes.console",
            f"{', '.join(deaf)}: alerts lead to the console of `lyttepost run` alone, and wake nobody",
            "give each route in people.yaml a person with a channel such as email or webhook",
        )
    if unknown := sorted(set(used) - people.routes.keys()):
        return warning(
            "routes.console",
            f"rules name {', '.join(unknown)}, which people.yaml does not have: the fallback gets their alerts",
            "add the route to people.yaml, or correct `to:` in the rule",
        )
    return well("routes.console", f"every route reaches a person: {', '.join(names)}")


def _channel(raw: RawSettings, name: str, seconds: float, *, used: bool) -> Check:
    id_ = f"channels.{name}"
    try:
        open_channels({name}, raw)
    except ConfigError as error:
        return failed(id_, str(error), f"correct channels.{name} in settings.yaml")
    if not used:
        return warning(id_, "is set up, but nobody in people.yaml uses it", "give somebody a contact with it")
    place = _server(raw.get(f"channels.{name}", {}))
    if place is None:
        return well(id_, "is set up")
    host, port = place
    try:
        socket.create_connection((host, port), timeout=seconds).close()
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        fix = f"check whether this machine reaches {host} port {port}: name, firewall, server"
        return failed(id_, f"{host} port {port} cannot be reached: {why}", fix)
    return well(id_, f"is set up, and {host} port {port} can be reached; whether it takes a message was not tried")


def _answers(raw: RawSettings, people: People, receiver: ReceiverSettings | None, seconds: float) -> Check:
    """Whether who is paged can say "I have it" without a terminal."""
    opened = open_usable(people.channels(), raw).values()
    links = receiver.links if receiver else None
    if links is None:
        if receiver and any(isinstance(each, CallsBack) and each.callbacks and each.callbacks.reply for each in opened):
            return well("answers", "alerts can be acknowledged by a reply")
        return warning(
            "answers",
            "alerts can be acknowledged at a terminal alone, and not on the phone that they wake somebody with",
            "set receiver.links in settings.yaml, or `reply` of the SMS gateway",
        )
    try:
        status = exchange(web_address(f"{links.url}/{PATH}/style.css"), None, {}, timeout=seconds, method="GET").status
    except ChannelError as error:
        why = error.reason.value
    else:
        if status == HTTPStatus.OK:
            return well("answers", f"the link of a message leads to our receiver, by {links.url}")
        why = f"status {status}"
    return warning(
        "answers",
        f"{links.url} does not lead to the page behind the link of a message: {why}",
        f"let the proxy pass /{PATH}/ on to receiver.host and receiver.port, and see that `lyttepost run` is up",
    )


def _doubts(raw: RawSettings, name: str) -> Iterator[Check]:
    with suppress(ConfigError):  # told of the channel itself
        open_channels({name}, raw)
        for doubt in channel_doubts({name}, raw):
            yield warning(f"channels.{name}.settings", doubt, f"correct channels.{name} in settings.yaml")


def _server(options: Any) -> tuple[str, int] | None:
    """Host and port that a channel's settings name, without what may be a secret."""
    try:
        if "url" in options:
            parts = urlsplit(str(options["url"]))
            return (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)) if parts.hostname else None
        if "host" in options:
            return str(options["host"]), int(options.get("port", 587))
    except ValueError:
        pass  # no number where the port should be, which the channel itself reports
    return None
