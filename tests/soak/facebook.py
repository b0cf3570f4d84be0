"""A third of an hour of a Facebook Page at its worst: `python -m tests.soak.facebook --seed 1` prints what became of
it all.

A fake Facebook misbehaves in an order of the seed's, at what it is asked and at what it calls about, and the listener,
a process of its own that lives fast and opens its port anew, is killed and started again. Then what was deleted is
purged, and every byte of the data folder is looked through.
"""

from __future__ import annotations

import random
import socket
from datetime import datetime
from pathlib import Path
from typing import Final

from listener.settings.schema import Settings
from listener.sources.common.graph.access import webhook_guard
from listener.sources.common.graph.client import GraphClient
from listener.sources.contract import LiveSource
from listener.sources.facebook.plugin import page_access
from listener.sources.facebook.source import FacebookSource
from tests.fakes.facebook import FakeFacebook, Page
from tests.soak.clock import SharedClock
from tests.soak.listener import CALL_SECONDS
from tests.soak.trial import (
    TRACK,
    Fault,
    Later,
    Listener,
    Outcome,
    drained,
    early_calls,
    in_order,
    judge,
    laid_clock,
    look,
    main,
    played,
    purge,
    settled,
    stage,
    until,
)

SECRET, WORD = "app-hemmelighet", "et-ord-vi-valgte"
FAULTS = (
    Fault("away", "status", {"status": 503, "seconds": 90}),
    Fault("no comments", "status", {"status": 500, "on": "comments", "seconds": 40}),
    Fault("cut", "cut", {"times": 3}),
    Fault("garbled", "garbage", {"times": 3}),
    Fault("huge", "garbage", {"on": "comments", "times": 1, "size": 10_000_000}),
    Fault("hangs", "hang", {"hold": 600, "times": 1}),
    Fault("drips", "slow", {"hold": 600, "on": "feed", "times": 1}),
    Fault("reset", "reset", {"times": 3}),
    Fault("limited", "limit", {"minutes": 2, "code": 80001}),
    Fault("limited, untold", "limit", {"minutes": 1, "code": 32, "told": False}),
    Fault("told to wait", "usage", {"percent": 100.0, "minutes": 1}),
    Fault("expired", "expire", {"subcode": 463}),
    Fault("wrong kind", "kind", {"kind": "USER"}),
    Fault("hollow pages", "hollow", {"on": "comments", "times": 5}),
    Fault("called twice", "twice", {"count": 10}),
    Fault("disorder", "swap", {"count": 3}),
    Fault("late, together", "gather", {"seconds": 45}),
    Fault("late", "mute", {"seconds": 40}),
    Fault("mute", "mute", {"seconds": 90, "loses": True}),
    Fault("untold", "untold", {"count": 5}),
    Fault("forged", "forge", {"count": 3}),
    Fault("garbage called", "garbage_call", {"count": 3}),
    Fault("huge call", "huge_call"),
    Fault("kill", "kill", {"down": 2.0}),
    Fault("kill, long", "kill", {"down": 90.0}),
    Fault("kill, at once", "kill", {"down": 0.0}),
)
RENEWED: Final = Fault("renewed", "renew")
"""Some time after the token was void or of a wrong kind: a new one is in its file."""
RENEWED_AFTER: Final = 50.0
PATIENT: Final = Fault("well", "usage", {"percent": 10.0, "minutes": 0})


def script(seed: int) -> list[tuple[float, Fault]]:
    return in_order(FAULTS, seed)


def facebook(settings: Settings, clock: SharedClock) -> LiveSource:
    """As the program makes it, but that a call has failed after a real second."""
    access, its = page_access(settings), settings.facebook
    assert access is not None
    assert its.page_id is not None
    client = GraphClient(access, clock, seconds=CALL_SECONDS)
    return FacebookSource(its.page_id, client, clock, guard=webhook_guard(settings.meta), every=its.every)


class People:
    """What is written, answered, changed and deleted meanwhile. Each comment about the track has a word of its own.

    Deletions are told by calls alone, so nothing is deleted while calls are lost: of that nobody could ever hear.
    """

    def __init__(self, fake: FakeFacebook, seed: int) -> None:
        self._fake = fake
        self._world: Page = fake.world
        self._rng = random.Random(seed)
        self.said: dict[str, str] = {}
        self._posts = [self._world.say(f"Vi følger situasjonen, nr. {n}").id for n in range(3)]

    def turn(self) -> None:
        draw = self._rng.random()
        alive = [id_ for id_ in self.said if not self.is_gone(id_)]
        if draw < 0.55 or not alive:
            self._say(on=self._rng.choice(self._posts))
        elif draw < 0.72:
            self._say(reply_to=self._rng.choice(alive))
        elif draw < 0.84:
            id_ = self._rng.choice(alive)
            self._world.edit(id_, f"{TRACK} {self.said[id_]} endret {self._rng.randrange(1000)}")
        elif draw < 0.86:
            self._world.hide(self._rng.choice(alive), True)
        elif self._tells():
            self._delete(draw, alive)

    def is_gone(self, id_: str) -> bool:
        return self._world.things[id_].gone_at is not None

    def at(self, id_: str) -> datetime:
        return self._world.things[id_].at

    def gone_at(self, id_: str) -> datetime:
        at = self._world.things[id_].gone_at
        assert at is not None
        return at

    def _delete(self, draw: float, alive: list[str]) -> None:
        if draw > 0.995:
            # With all that stands below it.
            self._world.delete(self._posts.pop(0))
            self._posts.append(self._world.say("Et nytt innlegg").id)
            return
        answered = {thing.parent for thing in self._world.things.values()}
        leaves = [id_ for id_ in alive if id_ not in answered]
        if leaves:
            self._world.delete(self._rng.choice(leaves))

    def _tells(self) -> bool:
        caller = self._fake.caller
        muted = caller.mute_until is not None and self._fake.clock.now() < caller.mute_until
        return not caller.skips and not caller.forges and not (muted and caller.loses)

    def _say(self, **where: str) -> None:
        word = f"ord{self._rng.getrandbits(40):010x}"
        by = f"Person Nr{self._rng.randrange(60)}"
        self.said[self._world.say(f"{TRACK} {word}", by=by, **where).id] = word


def play(seed: int, folder: Path) -> Outcome:
    clock, moment = laid_clock(folder)
    out = Outcome(seed, len(FAULTS))
    port, token = _free_port(), folder / "token"
    with FakeFacebook(clock=clock, secret=SECRET, needs_proof=True) as fake, stage(folder, clock, moment) as here:
        token.write_text(fake.token)
        ours = {
            "META__BASE_URL": fake.url, "META__APP_ID": fake.app_id, "META__APP_SECRET": SECRET,
            "META__VERIFY_TOKEN": WORD, "WEBHOOKS__PORT": str(port), "FACEBOOK__PAGE_ID": fake.world.id,
            "FACEBOOK__ACCESS_TOKEN_FILE": str(token),
        }  # fmt: skip
        client = Listener("tests.soak.facebook", ours, clock, here.moment, folder, seed)
        fake.do("call", url=f"http://127.0.0.1:{port}/facebook", token=WORD, patient=True)
        try:
            client.start()
            until(lambda: fake.caller.url is not None and bool(fake.requests("feed")), client, 60.0)
            people = People(fake, seed)
            played(clock, script(seed), client, people.turn, lambda fault: _happen(fault, fake, client, token))
            fake.do("heal")
            fake.world.say("slutt", on=people._posts[-1], by="Person Sist")
            drained(clock, lambda: settled(here.bus, people), client)
        finally:
            client.stop()
        judge(out, here.bus, people, client.kills)
        purge(here.bus, here.data)
        look(out, here.bus, people, here.data, told=True)
        if early := early_calls(fake.early, client.down):
            out.lost_posts.append(f"{early} calls were made before the time told")
            out.lost += early
    return out


def _happen(fault: Fault, fake: FakeFacebook, client: Listener, token: Path) -> Later | None:
    if fault.verb == "kill":
        client.kill(fault.params["down"])
    elif fault is RENEWED:
        fake.do("kind", kind="PAGE")
        fake.do("renew", token=f"EAAa-{fake.clock.now():%H%M%S%f}")
        token.write_text(fake.token)
    else:
        fake.do(fault.verb, **fault.params)
    after = {"expire": RENEWED, "kind": RENEWED, "usage": PATIENT}.get(fault.verb)
    return None if after is None or fault is PATIENT else (RENEWED_AFTER, after)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    main(__doc__ or "", play, facebook)
