"""A third of an hour of Instagram at its worst: `python -m tests.soak.instagram --seed 1` prints what became of it.

A fake Instagram misbehaves in an order of the seed's, its API and its webhook, and the listener, a process of its own
that lives fast, is killed and started again. Then what was deleted is purged, and every byte of the data folder is
looked through.

A comment or a medium that was said is captured, or lies in a gap of all or of its part. So is a mention, unless nobody
was ever told of it (`untold`): then only Instagram knows. Of what was deleted, comments under our own media are found
out; mentions and what comes by hashtag nobody can ask for (`unasked`).
"""

from __future__ import annotations

import json
import random
import socket
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from listener.bus.protocol import Bus
from listener.ingest.gaps import ledger
from listener.model.gaps import is_whole
from listener.model.records import Gap
from listener.settings.schema import Settings
from listener.sources.common.graph.access import graph_access
from listener.sources.common.graph.client import GraphClient
from listener.sources.contract import LiveSource
from listener.sources.instagram.source import InstagramSource, Wishes
from listener.webhooks.meta import MetaGuard
from tests.fakes.graph import APP_SECRET, DEFAULT_TOKEN
from tests.fakes.instagram import ACCOUNT, FakeInstagram, Said
from tests.soak.clock import SharedClock
from tests.soak.trial import (
    SECONDS,
    TRACK,
    Fault,
    Listener,
    Outcome,
    early_calls,
    in_order,
    laid_clock,
    main,
    purge,
    rest,
    stage,
    until,
    values,
)

WORD = "et-ord-vi-valgte"
DRAIN = 5400.0
"""Seconds in which every comment that is held is asked for, and once more where it did not answer."""
CALL_SECONDS = 1.0
"""Real ones: two minutes of theirs."""
LATER: Final = 60.0
"""Seconds after which what a person must see to is seen to."""

FAULTS = (
    Fault("all away", "status", {"status": 503, "seconds": 60}),
    Fault("comments away", "status", {"status": 502, "on": "comments", "seconds": 40}),
    Fault("code 2", "error", {"code": 2, "status": 500, "seconds": 20}),
    Fault("code 1", "error", {"code": 1, "on": "recent_media", "times": 3}),
    Fault("a medium gone", "error", {"code": 100, "subcode": 33, "on": "comments", "times": 1}),
    Fault("limited", "limit", {"minutes": 2}),
    Fault("limited, not told", "limit", {"minutes": 1, "code": 4, "told": False}),
    Fault("token void", "expire", {"subcode": 463}),
    Fault("token of another kind", "kind", {"kind": "APP"}),
    Fault("empty, 200", "status", {"status": 200, "on": "node", "body": {"data": []}, "times": 2}),
    Fault("permission lost", "lose", {"scope": "instagram_public_content"}),
    Fault("hollow pages", "hollow", {"times": 12}),
    Fault("no next page", "no_next", {"times": 12}),
    Fault("garbage", "garbage", {"times": 4}),
    Fault("huge", "garbage", {"times": 2, "size": 10_000_000}),
    Fault("cut", "cut", {"times": 4}),
    Fault("reset", "reset", {"times": 4}),
    Fault("hangs", "hang", {"hold": 900, "times": 1}),
    Fault("drips", "slow", {"hold": 900, "times": 1}),
    Fault("listed late", "delays", {"seconds": 25}),
    Fault("an hour ahead", "skew", {"seconds": 3600}),
    Fault("an hour behind", "skew", {"seconds": -3600}),
    Fault("told twice", "twice", {"count": 10}),
    Fault("told in disorder", "swap", {"count": 5}),
    Fault("told late", "mute", {"seconds": 60}),
    Fault("not told", "mute", {"seconds": 60, "loses": True}),
    Fault("forged", "forge", {"count": 2}),
    Fault("kill", "kill", {"down": 2.0}),
    Fault("kill, long", "kill", {"down": 60.0}),
    Fault("kill, at once", "kill", {"down": 0.0}),
    Fault("kill, in a rush", "rush", {"count": 70, "down": 60.0}),
)
MENDED: Final = {
    "token void": ("renew",), "token of another kind": ("kind", "renew"), "permission lost": ("grant", "renew"),
    "listed late": ("delays",), "an hour ahead": ("skew",), "an hour behind": ("skew",),
}  # fmt: skip
"""What is undone after `LATER`, and how."""


@dataclass
class GramOutcome(Outcome):
    untold: int = 0
    """Mentions of which no call was ever made to us."""
    unasked: int = 0
    """Deleted mentions and media by hashtag, which nobody can ask for."""
    lost_mentions: int = 0
    """Mentions inside a gap of the part, of which nothing was found afterwards."""
    too_early: int = 0
    """Calls before the time told."""
    pictures: int = 0
    left_posts: list[str] = field(default_factory=list)


def script(seed: int) -> list[tuple[float, Fault]]:
    """Every fault once, in an order of the seed's."""
    return in_order(FAULTS, seed)


def instagram(settings: Settings, clock: SharedClock) -> LiveSource:
    its = settings.instagram
    access = graph_access(settings.meta, "instagram.access_token", None, its.access_token_file)
    wishes = Wishes(account=ACCOUNT, hashtags=its.hashtags, tagged=True, every=20.0, recheck=600.0)
    client = GraphClient(access, clock, seconds=CALL_SECONDS)
    return InstagramSource(wishes, client, clock, guard=MetaGuard(SecretStr(APP_SECRET), SecretStr(WORD)))


class People:
    """What is said and deleted meanwhile. Each has a word of its own."""

    def __init__(self, fake: FakeInstagram, seed: int) -> None:
        self._fake = fake
        self._rng = random.Random(seed)
        self.said: dict[str, tuple[Said, str]] = {}
        """Id on the bus → what was said, and its word."""
        for number in range(3):
            fake.medium(f"Til alle, nummer {number}")

    def turn(self) -> None:
        draw, fake = self._rng.random(), self._fake
        if draw < 0.45:
            self.comment()
        elif draw < 0.55 and (comments := [s for s, _ in self.said.values() if s.kind == "comment" and not s.parent]):
            alive = [said for said in comments[-20:] if said.deleted_at is None]
            if alive:
                self._say(lambda text, by: fake.comment(text, by=by, to=self._rng.choice(alive)))
        elif draw < 0.7:
            self._say(lambda text, by: fake.foreign(f"{text} #mittous", by=by))
        elif draw < 0.75:
            self._say(lambda text, by: fake.foreign(text, by=by, tagged=True))
        elif draw < 0.87:
            self._say(lambda text, by: fake.mention(text, by=by, in_caption=self._rng.random() < 0.3))
        elif draw < 0.89:
            fake.medium(f"Mer fra oss {self._rng.random()}")
        else:
            alive_ids = [id_ for id_, (said, _) in self.said.items() if said.deleted_at is None]
            if alive_ids:
                fake.delete(self.said[self._rng.choice(alive_ids)][0])

    def comment(self) -> None:
        media = [said for said in self._fake.world.values() if said.kind == "medium"][-4:]
        self._say(lambda text, by: self._fake.comment(text, by=by, under=self._rng.choice(media)))

    def _say(self, how: Any) -> None:
        word = f"ord{self._rng.getrandbits(40):010x}"
        said = how(f"{TRACK} {word}", f"person{self._rng.randrange(60)}")
        self.said[said.post] = said, word


def play(seed: int, folder: Path) -> GramOutcome:
    clock, moment = laid_clock(folder)
    out = GramOutcome(seed, len(FAULTS))
    port, token = _free_port(), folder / "token"
    token.write_text(DEFAULT_TOKEN, encoding="utf-8")
    with FakeInstagram(clock=clock) as fake, stage(folder, clock, moment) as here:
        ours = {
            "META__BASE_URL": fake.url, "META__APP_ID": fake.app_id, "META__APP_SECRET": APP_SECRET,
            "META__VERIFY_TOKEN": WORD, "WEBHOOKS__PORT": str(port), "INSTAGRAM__ENABLED": "true",
            "INSTAGRAM__ACCOUNT": ACCOUNT, "INSTAGRAM__ACCESS_TOKEN_FILE": str(token),
            "INSTAGRAM__HASHTAGS": json.dumps(["mittous"]),
        }  # fmt: skip
        client = Listener("tests.soak.instagram", ours, clock, moment, folder, seed)
        people = People(fake, seed)
        fake.do("call_back", url=f"http://127.0.0.1:{port}/instagram")
        try:
            client.start()
            until(lambda: len(fake.requests("comments")) > 2, client, 60.0)
            zero, due, said_at, tokens = clock.now(), script(seed), 0.0, 0
            while (at := (clock.now() - zero).total_seconds()) < SECONDS or due:
                if at - said_at >= 2.0:
                    said_at = at
                    people.turn()
                while due and due[0][0] <= at:
                    fault = due.pop(0)[1]
                    if fault.name in MENDED:
                        due = sorted([*due, (at + LATER, Fault("mended", fault.name))], key=lambda each: each[0])
                    tokens += fault.name == "mended"
                    _happen(fault, fake, client, people, token, tokens)
                rest(client)
            fake.do("heal")
            end = clock.now() + timedelta(seconds=DRAIN)
            until(lambda: clock.now() > end or _settled(here.bus, people, fake), client, 240.0)
        finally:
            client.stop()
        _judge(out, here.bus, people, fake, client)
        purge(here.bus, here.data)
        _look(out, people, here.data)
    return out


def _happen(fault: Fault, fake: FakeInstagram, client: Listener, people: People, token: Path, number: int) -> None:
    if fault.verb == "kill":
        client.kill(fault.params["down"])
    elif fault.verb == "rush":
        client.kill(fault.params["down"])
        for _ in range(fault.params["count"]):
            people.comment()
    elif fault.name == "mended":
        for verb in MENDED[fault.verb]:
            _mend(verb, fake, token, number)
    else:
        fake.do(fault.verb, **fault.params)


def _mend(verb: str, fake: FakeInstagram, token: Path, number: int) -> None:
    match verb:
        case "renew":
            fake.do("renew", token=f"EAAnumber-{number}")
            token.write_text(fake.token, encoding="utf-8")
        case "kind":
            fake.do("kind", kind="PAGE")
        case "grant":
            fake.do("grant", scope="instagram_public_content")
        case _:
            fake.do(verb, seconds=0)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


# --- what became of it ---------------------------------------------------------------------------------------------


def _parts(said: Said) -> frozenset[str | None]:
    """The parts of whose gaps it may be: any by which it is heard, and all."""
    if said.kind == "comment":
        return frozenset({None, "comments"})
    if said.told:
        return frozenset({None, "mentions"})
    return frozenset({None, "tagged" if said.tagged else "hashtags"})


def _in_a_gap(gaps: list[Gap], said: Said) -> bool:
    """It was said in a time that stays a gap of what it is heard by. Instagram's times are of whole seconds."""
    at = said.at.replace(microsecond=0)
    mine = _parts(said)
    return any(
        gap.start.replace(microsecond=0) <= at and (gap.end is None or at <= gap.end)
        for gap in gaps
        if gap.part in mine and not is_whole(gap)
    )


def _untold(fake: FakeInstagram) -> set[str]:
    """What no call that was rightly signed ever told us."""
    told = {each for call in fake.caller.done for each in _named(call.body)}
    return {each for call in fake.caller.lost for each in _named(call.body)} - told


def _named(body: bytes) -> list[str]:
    changes = [change["value"] for entry in json.loads(body)["entry"] for change in entry["changes"]]
    return [str(value.get("comment_id") or value.get("id") or value.get("media_id")) for value in changes]


def _settled(bus: Bus, people: People, fake: FakeInstagram) -> bool:
    gaps, found = ledger(bus), values(bus)
    held = {value["id"] for value in found if value["type"] == "mention"}
    named = {each for value in found if value["type"] == "deletion" for each in value["ids"]}
    if any(gap.end is None for gap in gaps) or fake.caller.waiting:
        return False
    untold = _untold(fake)
    for id_, (said, _) in people.said.items():
        if said.deleted_at is not None:
            if said.kind == "comment" and id_ in held and id_ not in named:
                return False
        elif id_ not in held and not _in_a_gap(gaps, said) and not (said.told and said.id in untold):
            return False
    return True


def _judge(out: GramOutcome, bus: Bus, people: People, fake: FakeInstagram, client: Listener) -> None:
    captured: Counter[str] = Counter(value["id"] for value in values(bus) if value["type"] == "mention")
    gaps, untold = ledger(bus), _untold(fake)
    out.kills, out.gaps, out.open_gaps = client.kills, len(gaps), sum(not is_whole(gap) for gap in gaps)
    out.causes = sorted({gap.cause for gap in gaps})
    out.twice = sum(count > 1 for count in captured.values())
    out.too_early, out.pictures = early_calls(fake.early, client.down), len(fake.requests("picture"))
    for id_, (said, _) in people.said.items():
        if captured[id_]:
            out.captured += 1
        elif said.deleted_at is not None:
            continue
        elif _in_a_gap(gaps, said):
            out.in_gaps += 1
            out.lost_mentions += "mentions" in _parts(said)
        elif said.kind != "comment" and said.id in untold:
            out.untold += 1
        else:
            out.lost += 1
            out.lost_posts.append(f"{said.kind} {id_} {said.at.isoformat()}")
        out.offered += 1


def _look(out: GramOutcome, people: People, folder: Path) -> None:
    """Every byte of the folder is looked through for words of what was deleted."""
    held = b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
    for said, word in people.said.values():
        if said.deleted_at is None:
            continue
        if said.kind != "comment":
            out.unasked += 1
            continue
        out.deleted += 1
        if word.encode() in held:
            out.left += 1
            out.left_posts.append(f"{said.post} {said.deleted_at.isoformat()}")


if __name__ == "__main__":
    main(__doc__ or "", play, instagram)
