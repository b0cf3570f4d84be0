"""In calm a burst in X's counts asks the crisis team, as real processes do it: once, whoever is killed meanwhile, and
with a command that opens the crisis."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from harness import ROOT, Deployment, files_with, until

from listener.model.tracks import total_of
from tests.fakes.webhook import FakeWebhook, webhook_server
from tests.fakes.x import FakeX

TRACKS = ("granvik", "sandnesbrua")
WORD = "hemmeligord"
CONFIG = "phrases: [granvik, sandnesbrua]\n"
PEOPLE = """\
people:
  team: {name: Team, contacts: [{channel: webhook, target: team}]}
routes: {duty: [team], crisis_team: [team], ops: [team], fallback: [team]}
repeat_every: {critical: 1h, warning: 1h, info: 4h}
grouping: {by: [alert]}
"""


@pytest.fixture
def fake() -> Iterator[FakeX]:
    """Two days in which a track was named now and then, and ten minutes ago everybody began to."""
    with FakeX() as fake:
        now = datetime.now(UTC).replace(second=20, microsecond=0)
        quiet = [now - timedelta(minutes=20 + n * 37 % 2800) for n in range(240)]
        loud = [now - timedelta(minutes=4 + n % 6, seconds=n % 15) for n in range(120)]
        for number, at in enumerate([*quiet, *loud]):
            fake.world.publish(
                {"text": f"{WORD} {TRACKS[number % 2]} {number}", "created_at": at.isoformat()}, live=False
            )
        yield fake


@pytest.fixture
def hook() -> Iterator[FakeWebhook]:
    with webhook_server() as fake:
        yield fake


def proposals(hook: FakeWebhook) -> list[dict[str, Any]]:
    return [call.json for call in hook.seen if call.json["rule"] == "burst"]


def fired(deployment: Deployment) -> list[dict[str, Any]]:
    return [a for a in deployment.values("alerts") if a["rule_type"] == "burst" and a["event"] == "fired"]


@pytest.mark.slow
def test_a_burst_in_calm_asks_once_and_its_command_opens_the_crisis(
    deploy: Callable[..., Deployment], fake: FakeX, hook: FakeWebhook
) -> None:
    deployment = deploy(settings={"X__BEARER_TOKEN": "a-token-of-no-account", "X__BASE_URL": fake.url})
    settings = (ROOT / "config" / "settings.yaml").read_text(encoding="utf-8")
    channels = f"channels: {{webhook: {{url: '{hook.url}'}}}}"
    deployment.configure(tracks=CONFIG, people=PEOPLE, settings=settings.replace("\nchannels: {}", f"\n{channels}"))
    # What judges the counts dies before it can say anything.
    dying = deployment.start(env={"LYTTEPOST_CRASH": "stage.before_publish:2"}, wait=False)
    until(lambda: dying.process.poll() is not None, 90, "it dies")
    assert dying.process.returncode == -9
    running = deployment.start()
    until(lambda: bool(proposals(hook)), 40, "the crisis team is asked")
    (asked,) = proposals(hook)
    assert asked["incident"] == "calm"
    assert asked["key"] == f"x:{', '.join(TRACKS)}"
    assert asked["command"] in asked["text"].replace("\n", " ")
    (alert,) = fired(deployment)
    assert alert["id"] == asked["alert_id"]
    # Killed before it had written down that it asked, it would have to ask once more.
    until(lambda: alert["id"] in deployment.sent(), 20, "it is known to be asked")
    running.kill()

    running = deployment.start()
    until(
        lambda: deployment.mode()["sources"].get("x", {}).get("state") == "counting", 30, "it counts again", every=0.3
    )
    words = shlex.split(asked["command"])
    assert words[0] == "lyttepost"
    done = deployment.command(*[{"NAVN": "Granvik", "GRUNN": "mange skriver"}.get(word, word) for word in words[1:]])
    assert done.returncode == 0, done.stderr
    running.kill()

    running = deployment.start()
    until(
        lambda: deployment.mode()["sources"].get("x", {}).get("state") == "listening",
        30,
        "the stream is heard",
        every=0.3,
    )
    time.sleep(2)
    assert deployment.mode()["mode"] == "crisis"
    assert [a["id"] for a in fired(deployment)] == [alert["id"]]
    assert len(proposals(hook)) == 1
    assert {v["track"] for v in deployment.values("volumes", "volume")} >= {total_of(TRACKS)}
    running.terminate()
    assert WORD not in str(hook.seen)
    assert os.path.exists(deployment.data)
    assert [name for name, _ in files_with(deployment.home, [WORD]) if not name.startswith("bus")] == []
