"""What happens in a soak: posts and faults, all from one seed. Pure; times are in seconds of the fake's clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

TRACK: Final = "granvik"
SECOND_TRACK: Final = "sandnesbrua"
"""Added in the middle of the hour."""

SAYINGS: Final = (
    "Det brenner i Granvik sykehus, røyk fra taket",
    "Kan noen i Granvik si hvor pårørende skal ringe?",
    "Legevakta i Granvik er stengt, sier naboen",
    "Tepper og vann trengs i Granvik i kveld",
    "Is anybody still inside in Granvik?",
)
ELSEWHERE: Final = ("Fin tur på fjellet i dag", "Kampen begynner klokka sju", "Noen som har sett katten min?")


@dataclass(frozen=True)
class Step:
    """At `at` something is done: a verb of the fake X, or one of `OURS`."""

    at: float
    verb: str
    params: dict[str, Any] = field(default_factory=dict)


OURS: Final = frozenset({"kill", "restart", "track"})
"""What is done to the client and not to X: killed, up again after `down`; restarted by a person; a track more."""


@dataclass(frozen=True)
class Fault:
    """`lasts`: seconds after `at` in which a gap may begin because of it; 0: nothing is wrong, no gap may begin."""

    name: str
    at: float
    lasts: float


@dataclass(frozen=True)
class Script:
    seed: int
    seconds: float
    steps: tuple[Step, ...]
    faults: tuple[Fault, ...]
    refused: bool
    """From `refused_at` on X does not search for us any more."""

    @property
    def refused_at(self) -> float:
        return self.seconds * 0.75


Make = Callable[[random.Random], tuple[float, list[Step]]]
"""→ how long a gap may begin because of it, and its steps, counted from its own beginning."""


def _do(verb: str, *, lasts: float = 40.0, at: float = 0.0, **params: Any) -> Make:
    return lambda rng: (lasts, [Step(at, verb, params)])


def _cut_and(verb: str, seconds: float, *, lasts: float | None = None, **params: Any) -> Make:
    """A fault that meets whoever connects; and a reset, so that somebody does."""

    def make(rng: random.Random) -> tuple[float, list[Step]]:
        held = {"seconds": seconds} if seconds else {}
        return (lasts or seconds + 60.0), [Step(0, verb, {**params, **held}), Step(1, "reset")]

    return make


def _in_a_gap(*steps: Step) -> Make:
    """What goes wrong with search while there is something to search for."""
    return lambda rng: (60.0, [*steps, Step(5, "reset"), Step(rng.uniform(40, 60), "abort")])


def _kill(rng: random.Random) -> tuple[float, list[Step]]:
    return 240.0, [Step(0, "kill", {"down": rng.choice((0.0, 5.0, 60.0))})]


def _kill_while_filling(rng: random.Random) -> tuple[float, list[Step]]:
    """Search is asked half a minute after the gap's end."""
    return 300.0, [Step(0, "reset"), Step(rng.uniform(25, 40), "kill", {"down": 0.0})]


def _kill_in_silence(rng: random.Random) -> tuple[float, list[Step]]:
    return 300.0, [Step(0, "silence", {"seconds": 60, "loses": True}), Step(30, "kill", {"down": 10.0})]


def _revoked(rng: random.Random) -> tuple[float, list[Step]]:
    """The key is refused for everything; a person sees to it and restarts, though by then it may be heard again."""
    return 420.0, [Step(0, "refuse", {"status": 401, "on": "all", "seconds": 90}), Step(1, "reset"),
                   Step(150, "restart")]  # fmt: skip


def _field_refused(rng: random.Random) -> tuple[float, list[Step]]:
    return 60.0, [Step(0, "refuse_field", {"parameter": "user.fields", "value": "verified_type"}), Step(1, "reset")]


def _rules_lost(rng: random.Random) -> tuple[float, list[Step]]:
    return 400.0, [Step(0, "drop_rules")]


def _rules_lost_and_refused(rng: random.Random) -> tuple[float, list[Step]]:
    refused = Step(0, "refuse", {"status": 503, "on": "rules.post", "times": 2})
    return 400.0, [refused, Step(0, "drop_rules"), Step(10, "close")]


def _closed_at_once(rng: random.Random) -> tuple[float, list[Step]]:
    """For half a minute X takes everybody in and turns them out at once."""
    return 120.0, [Step(0, "close_at_connect", {"times": 10_000}), Step(1, "reset"),
                   Step(30, "close_at_connect", {"times": 0})]  # fmt: skip


def _late(rng: random.Random) -> tuple[float, list[Step]]:
    """What X had not sent yet when the connection ended, it never sends."""
    return 100.0, [Step(0, "delay", {"seconds": 7}), Step(60, "reset"), Step(62, "delay", {"seconds": 0})]


FAULTS: Final[dict[str, Make]] = {
    "silence, posts lost": _do("silence", seconds=90, loses=True, lasts=110),
    "silence, posts late": _do("silence", seconds=50, loses=False, lasts=70),
    "short silence": _do("silence", seconds=8, loses=False, lasts=0),
    "reset": _do("reset"),
    "abort": _do("abort"),
    "clean close": _do("close"),
    "200 and close": _closed_at_once,
    "half line, close": _do("half_line", then="close"),
    "half line, abort": _do("half_line", then="abort"),
    "half line, reset": _do("half_line", now=True, then="reset"),
    "garbage": _do("garbage"),
    "bad UTF-8": _do("bad_utf8"),
    "huge line": _do("huge_line", size=2_000_000),
    "notice": _do("notice"),
    "notice without a close": _do("notice", close=False),
    "429 until told": _cut_and("limit", 90, on="stream"),
    "429 without a time": _cut_and("limit", 70, on="stream", reset=False, lasts=150),
    "too many connections": _cut_and("stuck", 240, lasts=300),
    "503": _cut_and("refuse", 60, on="stream", status=503, lasts=120),
    "503 everywhere": _cut_and("refuse", 45, on="all", status=503, lasts=120),
    "connect reset": _cut_and("drop", 20, on="stream", lasts=60),
    "connect hangs": _cut_and("hang", 0, on="stream", hold=60, times=1, lasts=120),
    "connect drips": _cut_and("slow", 0, on="stream", hold=60, times=1, lasts=120),
    "calls hang": _cut_and("hang", 0, on="rest", hold=120, times=2, lasts=60),
    "calls drip": _cut_and("slow", 0, on="rest", hold=120, times=2, lasts=60),
    "rules lost": _rules_lost,
    "rules lost and refused": _rules_lost_and_refused,
    "search 503": _in_a_gap(Step(0, "refuse", {"status": 503, "on": "search", "seconds": 90})),
    "search 429": _in_a_gap(Step(0, "limit", {"on": "search", "seconds": 90})),
    "search 429 without a time": _in_a_gap(Step(0, "limit", {"on": "search", "seconds": 60, "reset": False})),
    "search resets": _in_a_gap(Step(0, "drop", {"on": "search", "seconds": 60})),
    "search hangs": _in_a_gap(Step(0, "hang", {"on": "search", "hold": 200, "times": 1})),
    "search lags": _in_a_gap(Step(0, "search_lag", {"seconds": 120}), Step(150, "search_lag", {"seconds": 0})),
    "sent twice": _do("twice", count=8, lasts=0),
    "sent again": _do("again", last=30, lasts=0),
    "unordered": _do("unordered", count=8, seconds=15, lasts=0),
    "late": _late,
    "untagged": _do("untagged", count=5, lasts=0),
    "unmatched": _do("unmatched", count=5, lasts=0),
    "track added": lambda rng: (60.0, [Step(0, "track")]),
    "key revoked": _revoked,
    "401 once": _cut_and("refuse", 0, on="stream", status=401, times=1, lasts=60),
    "403 everywhere": _cut_and("refuse", 90, on="all", status=403, lasts=330),
    "a field refused": _field_refused,
    "kill": _kill,
    "kill again": _kill,
    "kill while filling": _kill_while_filling,
    "kill in silence": _kill_in_silence,
}  # fmt: skip


def script(seed: int, seconds: float = 3600.0) -> Script:
    """All faults once, in an order of the seed's, and posts all along. Every fourth seed X ends by refusing search."""
    rng = random.Random(seed)
    names = list(FAULTS)
    rng.shuffle(names)
    slot = (seconds - 120) / len(names)
    steps: list[Step] = []
    faults: list[Fault] = []
    for number, name in enumerate(names):
        at = 60 + slot * (number + rng.random() * 0.9)
        lasts, its = FAULTS[name](rng)
        faults.append(Fault(name, at, lasts))
        steps += [Step(at + step.at, step.verb, step.params) for step in its]
    refused = seed % 4 == 0
    if refused:
        steps.append(Step(seconds * 0.75, "refuse", {"status": 403, "on": "search"}))
    steps += _posts(rng, seconds)
    return Script(seed, seconds, tuple(sorted(steps, key=lambda step: step.at)), tuple(faults), refused)


def _posts(rng: random.Random, seconds: float) -> Iterator[Step]:
    """About one in two seconds, five times as many for a minute now and then; some edited, some taken back."""
    at, number = 0.0, 0
    rush = -60.0
    while (at := at + rng.expovariate(2.5 if at < rush + 60 else 0.5)) < seconds:
        if rng.random() < 0.002:
            rush = at
        number += 1
        post_id = str(10_000_000 + 10 * number)
        chance = rng.random()
        if chance < 0.85:
            text = rng.choice(SAYINGS)
        elif chance < 0.93:
            text = f"Kø ved {SECOND_TRACK.capitalize()}"
        else:
            text = rng.choice(ELSEWHERE)
        # Not to be found twice by its words: a post is known by its id alone.
        yield Step(at, "post", {"post": {"id": post_id, "text": f"{text}, melding {number}"}})
        if rng.random() < 0.02:
            edit = {"id": post_id, "text": f"{text}, rettet melding {number}", "new_id": str(int(post_id) + 1)}
            yield Step(at + rng.choice((0.2, 20.0, 90.0)), "edit", edit)
        elif rng.random() < 0.02:
            yield Step(at + rng.choice((0.2, 20.0, 90.0)), "delete", {"id": post_id})
