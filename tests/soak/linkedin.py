"""A third of an hour of LinkedIn at its worst: `python -m tests.soak.linkedin --seed 1` prints what became of it all.

A fake API misbehaves in an order of the seed's, its day's calls are spent shortly before midnight UTC, its token
expires and is replaced, and the listener, a process of its own that lives fast, is killed and started again. Then what
was deleted is purged, and every byte of the data folder is looked through.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from listener.settings.schema import Settings
from listener.sources.common.polling import answer_to
from listener.sources.contract import LiveSource
from listener.sources.linkedin.access import linkedin_access
from listener.sources.linkedin.source import LinkedInSource
from tests.fakes.linkedin import FakeLinkedIn
from tests.soak.clock import SharedClock
from tests.soak.listener import CALL_SECONDS
from tests.soak.trial import (
    TRACK,
    Fault,
    Later,
    Listener,
    Outcome,
    drained,
    in_order,
    judge,
    look,
    main,
    played,
    purge,
    settled,
    stage,
    until,
)

MIDNIGHT = 700.0
"""Seconds from the beginning to midnight."""
FAULTS = (
    Fault("away", "status", {"status": 503, "on": "notifications", "seconds": 150}),
    Fault("unknown answer", "status", {"status": 200, "body": {"paging": {}}, "on": "notifications", "times": 1}),
    Fault("cut", "cut", {"on": "notifications", "times": 2}),
    Fault("garbled", "garbage", {"on": "notifications", "times": 2}),
    Fault("huge", "garbage", {"on": "notifications", "times": 1, "size": 6_000_000}),
    Fault("hangs", "hang", {"hold": 600, "on": "notifications", "times": 1}),
    Fault("drips", "slow", {"hold": 600, "on": "notifications", "times": 1}),
    Fault("reset", "reset", {"on": "notifications", "times": 2}),
    Fault("empty pages", "empty_pages", {"count": 2}),
    Fault("first page again", "repeats"),
    Fault("no order", "shuffle"),
    Fault("deaf to time", "deaf_to_time"),
    Fault("all well", "heal"),
    Fault("twice", "twice", {"count": 5}),
    Fault("expired", "token", {"token": "a-new-token"}),
    Fault("kill", "kill", {"down": 2.0}),
    Fault("kill, long", "kill", {"down": 90.0}),
    Fault("kill, at once", "kill", {"down": 0.0}),
)
SPENT = Fault("calls spent", "quota", {"left": 0})
RENEWED = Fault("renewed", "renew")
"""Some time after the token expired: a person wrote the new one into its file."""


def script(seed: int) -> list[tuple[float, Fault]]:
    """Every fault once, in an order of the seed's, and the day's calls spent minutes before midnight."""
    spent = MIDNIGHT - 180.0 - random.Random(seed).uniform(0.0, 60.0)
    return sorted([*in_order(FAULTS, seed), (spent, SPENT)], key=lambda each: each[0])


def linkedin(settings: Settings, clock: SharedClock) -> LiveSource:
    """As the program makes it, but that a call has failed after a real second."""
    access, its = linkedin_access(settings.linkedin), settings.linkedin
    assert access is not None
    answer = partial(answer_to, seconds=CALL_SECONDS)
    return LinkedInSource(access, clock, every=its.every, in_calm=its.in_calm, calls=its.calls, answer=answer)


class People:
    """What is written, changed and deleted meanwhile. Each comment has a word of its own."""

    def __init__(self, fake: FakeLinkedIn, seed: int) -> None:
        self._fake = fake
        self._rng = random.Random(seed)
        self.said: dict[str, str] = {}

    def turn(self) -> None:
        draw = self._rng.random()
        alive = [id_ for id_ in self.said if not self.is_gone(id_)]
        if draw < 0.75 or not alive:
            word = f"ord{self._rng.getrandbits(40):010x}"
            by = None if self._rng.random() < 0.2 else f"person{self._rng.randrange(60)}"
            its = self._fake.comment(f"{TRACK} {word}", by=by, mention=self._rng.random() < 0.1)
            self.said[its.urn] = word
        elif draw < 0.87:
            id_ = self._rng.choice(alive)
            self._fake.tell({"edit": id_, "text": f"{TRACK} {self.said[id_]} endret {self._rng.randrange(1000)}"})
        else:
            self._fake.tell({"delete": self._rng.choice(alive)})

    def is_gone(self, id_: str) -> bool:
        return self._fake.page.written[id_].gone is not None

    def at(self, id_: str) -> datetime:
        return self._fake.page.written[id_].at

    def gone_at(self, id_: str) -> datetime:
        at = self._fake.page.written[id_].gone
        assert at is not None
        return at


def play(seed: int, folder: Path) -> Outcome:
    path, start = folder / "clock", _before_midnight()
    SharedClock.lay(path)
    clock = SharedClock(path, start)
    out = Outcome(seed, len(script(seed)))
    with FakeLinkedIn(clock=clock) as fake, stage(folder, clock, (str(path), start.isoformat())) as here:
        token = folder / "token"
        token.write_text(fake.token)
        ours = {
            "LINKEDIN__ENABLED": "true", "LINKEDIN__BASIS": "prøve", "LINKEDIN__BASE_URL": fake.url,
            "LINKEDIN__ORGANIZATION": "2031", "LINKEDIN__TOKEN_FILE": str(token), "LINKEDIN__EVERY": "1m",
            "LINKEDIN__CALLS": "500", "LINKEDIN__VERSION": f"{start:%Y%m}",
        }  # fmt: skip
        client = Listener("tests.soak.linkedin", ours, clock, here.moment, folder, seed)
        people = People(fake, seed)
        try:
            client.start()
            until(lambda: bool(fake.requests()), client, 60.0)
            played(clock, script(seed), client, people.turn, lambda fault: _happen(fault, fake, token, client))
            fake.do("heal")
            token.write_text(fake.token)
            drained(clock, lambda: settled(here.bus, people), client)
        finally:
            client.stop()
        judge(out, here.bus, people, client.kills)
        purge(here.bus, here.data)
        look(out, here.bus, people, here.data, told=True)
    return out


def _happen(fault: Fault, fake: FakeLinkedIn, token: Path, client: Listener) -> Later | None:
    if fault.verb == "kill":
        client.kill(fault.params["down"])
    elif fault.verb == "renew":
        token.write_text(fake.token)
    else:
        fake.do(fault.verb, **fault.params)
    return (150.0, RENEWED) if fault.verb == "token" else None


def _before_midnight() -> datetime:
    """So that the day of the calls ends in the middle of it."""
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    return datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC) - timedelta(seconds=MIDNIGHT)


if __name__ == "__main__":
    main(__doc__ or "", play, linkedin)
