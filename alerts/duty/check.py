"""Would somebody be woken? What `lyttepost duty check` finds in people and rosters, for the year to come.

Asks no server. What means that nobody would be woken has failed; all else is a warning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime, timedelta, tzinfo

from alerts.duty.decided import Decided
from alerts.duty.people import RINGING, People, Way, with_role
from alerts.duty.roster import Roster, Rosters, Turn, roles_of, turns
from alerts.duty.wall import clock_changes
from listener.runtime.checks import Check, failed, warning, well
from listener.settings.zone import shown

AHEAD = timedelta(days=366)
NIGHT = timedelta(hours=9)
"""Before and after the clocks are set: from the evening's hand-over to the morning's."""
FIX_GAP = "write a layer or an override for that time, or give somebody the role in `roles`"
WAYS = f"{', '.join(RINGING[:-1])} and {RINGING[-1]}"
FIX_WAY = f"add one of the channels {WAYS}"
TELEPHONES = ("sms", "voice")
FIX_NAMES = "give each a name of their own, and who answers by a shared telephone a way of their own"

_SEVERAL = re.compile(r"[,;\n]|@.*@|\d\s+(?:\+|00)\d|\s/\s")

Refusal = Callable[[Way], str | None]
"""Why a channel would not take a way's target, or None."""


def check_duty(
    people: People,
    rosters: Rosters,
    *,
    troubles: Sequence[str],
    decided: Decided | None,
    refusal: Refusal,
    at: datetime,
    zone: tzinfo,
    named: Collection[str] = (),
) -> Iterator[Check]:
    """`troubles`: of calendars. `decided`: what was tried, where that is known. `zone`: for times that are shown.
    `named`: the people whom routes and policies name themselves, where that is known."""
    refused = {(key, way): why for key, person in people.items() for way in person.ways if (why := _why(way, refusal))}
    awake = {key for key, person in people.items() if any(w.wakes and (key, w) not in refused for w in person.ways)}
    roles = roles_of(rosters, people)
    if not roles and not named:
        yield failed(
            "roster", "there is no roster and nobody has a role: nobody is on duty", "write `roster` or `roles`"
        )
    elif not roles and awake.isdisjoint(named):
        yield failed("roster", f"nobody of those whom routes name can be woken: {', '.join(sorted(named))}", FIX_WAY)
    elif not roles:
        yield well("roster", f"routes name people themselves, whatever the hour: {', '.join(sorted(named))}")
    for trouble in troubles:
        role, _, said = trouble.partition(": ")
        yield warning(role, said, "mend the calendar, or write the shifts as layers")
    for role in roles:
        spare = [key for key in with_role(people, role) if key in awake]
        if role in rosters:
            yield from _roster(role, rosters[role], awake, spare, at, zone)
        elif spare:
            yield well(f"role.{role}", f"has no roster; everybody with the role is called: {', '.join(spare)}")
        else:
            yield failed(f"role.{role}", "has no roster, and nobody with the role has a way that wakes", FIX_WAY)
        if role in people:
            yield warning(
                f"role.{role}", "is also a person's name: a step that names it means the person", "rename one"
            )
    yield from _people(people, refused, awake)
    if decided is not None:
        yield _tested(people, decided)


def never_confirmed(people: People, decided: Decided) -> tuple[str, ...]:
    """Who can be reached by other ways than the console, and never confirmed a test message by any."""
    return tuple(
        key
        for key, person in sorted(people.items())
        if any(way.channel != "console" for way in person.ways) and not decided.ever_confirmed(key)
    )


def _roster(
    role: str, roster: Roster, awake: set[str], spare: Sequence[str], at: datetime, zone: tzinfo
) -> Iterator[Check]:
    year = list(turns(roster, at, at + AHEAD))
    gaps = [turn for turn in year if not turn.who]
    deaf = [turn for turn in year if turn.who and awake.isdisjoint(turn.who)]
    several = [turn for turn in year if len(turn.who) > 1]
    id_ = f"roster.{role}"
    if gaps:
        said = f"nobody is on duty {_when(gaps, zone)}"
        if spare:
            yield warning(f"{id_}.gaps", f"{said}; {', '.join(spare)} with the role would be called", FIX_GAP)
        else:
            yield failed(f"{id_}.gaps", said, FIX_GAP)
    if deaf:
        names = sorted({name for turn in deaf for name in turn.who})
        yield failed(f"{id_}.deaf", f"{', '.join(names)} cannot be woken {_when(deaf, zone)}", FIX_WAY)
    if several and len(several) < len(year) - len(gaps):
        first = ", ".join(several[0].who)
        said = f"more than one at a time {_when(several, zone)}: {first}"
        yield warning(f"{id_}.overlaps", said, "nothing, if it is meant; all of them are called")
    if not gaps and not deaf:
        yield well(id_, f"somebody who can be woken is on duty until {shown(at + AHEAD, zone)}")
    for change in clock_changes(roster.tz, at, at + AHEAD):
        night = turns(roster, change - NIGHT, change + NIGHT)
        yield well(f"{id_}.night", f"clocks are set {shown(change, roster.tz)}: {_in_words(list(night), roster.tz)}")


def _people(people: People, refused: dict[tuple[str, Way], str], awake: set[str]) -> Iterator[Check]:
    for (key, way), why in refused.items():
        yield warning(f"people.{key}.{way.channel}", why, "correct the target in people.yaml")
    for key in sorted(people.keys() - awake):
        yield warning(f"people.{key}", f"has no way that wakes, such as {WAYS}", FIX_WAY)
    for key, person in sorted(people.items()):
        if all(way.wakes for way in person.ways):
            said = "has only ways that wake: never hears who has it, nor that an incident was opened or closed"
            yield warning(f"people.{key}", said, "add a way that does not wake, such as email")
    for said in taken_for_another(people):
        yield warning("people.alike", said, FIX_NAMES)


def taken_for_another(people: People) -> Iterator[str]:
    """Who cannot be told apart: by a telephone or by a name."""
    numbers: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    for key, person in people.items():
        for number in dict.fromkeys(way.target for way in person.ways if way.channel in TELEPHONES):
            numbers.setdefault(number, []).append(key)
        for name in dict.fromkeys((person.name.strip().casefold(), key.casefold())):
            names.setdefault(name, []).append(key)
    for keys in dict.fromkeys(tuple(keys) for keys in numbers.values() if len(keys) > 1):
        yield f"{', '.join(keys)} have one telephone: a reply counts for whom the message went to, whoever writes it"
    for keys in dict.fromkeys(tuple(keys) for keys in names.values() if len(keys) > 1):
        yield f"{', '.join(keys)} have one name: what is said under it counts for neither; they are known by their keys"


def _tested(people: People, decided: Decided) -> Check:
    untried = [
        f"{key} ({', '.join(channels)})"
        for key, person in sorted(people.items())
        if (channels := [w.channel for w in person.ways if w.channel != "console" and not _tried(decided, key, w)])
    ]
    if untried:
        fix = "`lyttepost duty test PERSON`, then `lyttepost duty confirm CODE --by PERSON` for each message that came"
        return warning("people.tested", f"never confirmed: {'; '.join(untried)}", fix)
    if all(way.channel == "console" for person in people.values() for way in person.ways):
        return well("people.tested", "nobody but the console is in people.yaml: there is no way to try")
    return well("people.tested", "every way was tried, and what was sent arrived")


def _tried(decided: Decided, key: str, way: Way) -> bool:
    return decided.is_confirmed(key, way.place)


def _why(way: Way, refusal: Refusal) -> str | None:
    if _SEVERAL.search(way.target):
        return "holds more than one address: write a way for each"
    return refusal(way)


def _when(found: Sequence[Turn], zone: tzinfo) -> str:
    more = f", and {len(found) - 1} more times" if len(found) > 1 else ""
    return f"from {shown(found[0].start, zone)} to {shown(found[0].end, zone)}{more}"


def _in_words(night: Sequence[Turn], zone: tzinfo) -> str:
    """`kari until 03:00 CEST, then ola`"""
    said = [
        f"{', '.join(turn.who) or 'NOBODY'}"
        + (f" until {turn.end.astimezone(zone):%H:%M %Z}" if turn is not night[-1] else "")
        for turn in night
    ]
    return ", then ".join(said)
