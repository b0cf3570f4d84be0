"""In calm nothing of what anybody wrote is written down: every file is opened and searched."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from harness import START, TRACK, Deployment, Recording, files_with, post, read_all, until, word

from alerts.app import ListenerParts
from alerts.pipeline import flow
from alerts.wiring import live_key, make_alerts, make_app, make_listener
from listener.bus.protocol import open_bus
from listener.clock import ManualClock
from listener.model.incidents import Action, Command, Incident
from listener.model.records import VOLUMES, Gap, Volume, decode
from listener.model.roles import ALERTS, LISTENER
from listener.runtime.control import Control
from listener.settings.files import raw_settings
from listener.settings.schema import PrivacySettings, Settings
from listener.sources.contract import Batch, CatchUp, OfferedCounts
from listener.sources.recording.parser import plain_post

SECRETS = ("Fin tur", "Granvik sykehus", "bruker_", "særord")


def test_a_recording_is_not_played_in_calm(deploy: Callable[..., Deployment], short: Recording) -> None:
    deployment = deploy(recording=short.path, speed="max")
    running = deployment.start()
    time.sleep(2)
    assert deployment.mode()["sources"]["recording"]["state"] == "idle"
    assert running.metric("lyttepost_posts_heard_total") == 0
    running.terminate()
    assert files_with(deployment.data, SECRETS) == []


def test_a_recording_is_not_played_in_a_real_crisis_and_says_so(
    deploy: Callable[..., Deployment], short: Recording
) -> None:
    deployment = deploy(recording=short.path, speed="max")
    running = deployment.start()
    done = deployment.command("mode", "crisis", "--name", "Brann", "--track", TRACK, "--why", "brann", "--no-wait")
    assert done.returncode == 0, done.stderr

    def why() -> str:
        return str(deployment.mode()["sources"].get("recording", {}).get("why", ""))

    until(lambda: "exercise" in why(), 10, "it says so", every=0.3)
    time.sleep(2)
    said = deployment.mode()
    assert said["mode"] == "crisis"
    assert said["sources"]["recording"]["state"] == "idle"
    assert "exercise" in said["sources"]["recording"]["why"]
    assert running.metric("lyttepost_posts_heard_total") == 0
    assert deployment.values("mentions", "mention") == []
    running.terminate()
    assert files_with(deployment.data, SECRETS) == []


@dataclass
class Today:
    """A source of today: it offers posts in calm as in crisis."""

    name: str = "today"
    catch_up: CatchUp = CatchUp.NONE
    only_exercise: bool = False
    counts: OfferedCounts = field(default_factory=OfferedCounts)
    given: int = 0

    def open(self, resume: str | None) -> None:
        pass

    def read(self, timeout: float) -> Batch | None:
        if self.given >= 200:
            return None
        at = START + timedelta(seconds=self.given)
        raws = [
            {**post(self.given + n, at, "Det brenner i Granvik, ring meg på 22 33 44 55"), "place": "Granvik"}
            for n in range(10)
        ]
        self.given += 10
        posts = tuple(plain_post(raw, self.name) for raw in raws)
        return Batch(posts=posts, until=at, cursor=str(self.given))

    def state(self) -> Mapping[str, Any]:
        return {"state": "listening"}

    def close(self) -> None:
        pass

    def recall(self, gaps: Sequence[Gap]) -> None:
        pass

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        pass

    def tend(self) -> None:
        pass


def test_posts_offered_in_calm_are_counted_and_leave_no_word_in_any_file(tmp_path: Path) -> None:
    clock = ManualClock(START)
    folder = tmp_path / "data"
    folder.mkdir()
    settings = Settings(privacy=PrivacySettings(key_file=tmp_path / "pseudonym.key"))
    bus = open_bus("embedded:", folder, clock)
    app = make_app(settings, folder, bus, clock, "all")
    source = Today()
    raw = raw_settings()
    made = make_listener(app, raw, [source], live_key(settings, folder))
    listener = ListenerParts(sources=[source], screen=made.screen, standing=[TRACK])
    alerts = make_alerts(raw, settings, None, tell=True)
    turning = flow(app, (LISTENER, ALERTS), listener, alerts)
    for _ in range(60):
        for worker, _part in turning:
            worker.step(0.0)
        clock.advance(timedelta(seconds=1))
    assert source.given == 200
    volumes = [decode(VOLUMES, record.value or b"") for record in read_all(bus, "volumes")]
    counted = sum(volume.count for volume in volumes if isinstance(volume, Volume))
    assert counted == 200
    words = [word(number) for number in range(210)]
    assert files_with(tmp_path, [*words, "22 33 44 55", "22334455", "brenner", "bruker_", "990077"]) == []

    control = Control(bus)
    control.append(Command(action=Action.OPEN, at=clock.now(), by="prøve", why="prøve", name="Brann", add=(TRACK,)))
    source.given = 100
    for _ in range(60):
        for worker, _part in turning:
            worker.step(0.0)
        clock.advance(timedelta(seconds=1))
    assert files_with(folder, [word(105)]), "the search finds what is there"
    assert files_with(tmp_path, ["22 33 44 55", "bruker_"]) == []
    for worker, _part in turning:
        worker.close()
    bus.close()
