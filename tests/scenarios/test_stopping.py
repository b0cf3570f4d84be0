"""SIGTERM stops within five seconds with exit 0, whatever is going on; and what was going on goes on afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import LYTTEPOST, Deployment, Outcome, Recording, outcome, until

from tests.fakes.smtp import smtp_server

STOP_SECONDS = 5.0
PEOPLE = """
people:
  vakt:
    name: Vakt Vaktesen
    contacts: [{channel: email, target: vakt@sykehus.example}]
routes: {duty: [vakt], ops: [vakt], fallback: [vakt]}
repeat_every: {critical: 5m, warning: 15m, info: 4h}
grouping: {by: [alert]}
"""


def test_an_idle_process_stops_at_once(deploy: Callable[..., Deployment]) -> None:
    code, seconds = deploy(entry=LYTTEPOST).start().terminate()
    assert code == 0
    assert seconds < STOP_SECONDS


@pytest.mark.parametrize("speed", ["1", "60", "max"])
def test_a_process_that_plays_stops_and_loses_nothing(
    deploy: Callable[..., Deployment], recording: Recording, speed: str
) -> None:
    played = deploy(recording=recording.path, speed=speed)
    running = played.start()
    played.exercise()
    until(lambda: running.metric("lyttepost_posts_heard_total") > 0, 10, "it plays")
    code, seconds = running.terminate()
    assert code == 0, running.said
    assert seconds < STOP_SECONDS
    assert "did not stop in time" not in running.said
    played.speed = "max"
    played.start()
    played.wait_until_settled()
    found = outcome(played)
    assert sorted(found.mentions) == recording.keys
    assert set(found.mentions.values()) == {1}
    assert set(found.deadletters.values()) == {1}


def test_a_process_that_resumes_stops(deploy: Callable[..., Deployment], recording: Recording) -> None:
    played = deploy(recording=recording.path, speed="max")
    running = played.start()
    played.exercise()
    played.wait_until_settled()
    running.kill()
    for pause in (0.0, 0.1, 0.3):
        running = played.start()
        time.sleep(pause)
        code, seconds = running.terminate()
        assert code == 0, running.said
        assert seconds < STOP_SECONDS
    assert set(outcome(played).mentions.values()) == {1}


@pytest.mark.slow
def test_a_mail_server_that_hangs_holds_nothing_up(deploy: Callable[..., Deployment], short: Recording) -> None:
    with smtp_server() as mail:
        mail.always = "hang"
        played = deploy(recording=short.path, speed="max")
        folder = played.configure(people=PEOPLE)
        settings = (folder / "settings.yaml").read_text(encoding="utf-8")
        email = f"{{host: 127.0.0.1, port: {mail.port}, encryption: none, from: l@sykehus.example}}"
        settings = settings.partition("\nchannels:")[0] + f"\nchannels: {{email: {email}}}\n"
        (folder / "settings.yaml").write_text(settings, encoding="utf-8")
        running = played.start()
        played.exercise()
        until(lambda: mail.tries > 0, 20, "a mail is under way")
        code, seconds = running.terminate()
        assert code == 0, running.said
        assert seconds < STOP_SECONDS
        unanswered = {d["intent"] for d in played.values("deliveries", "delivery") if "outcome" not in d}
        assert unanswered
        mail.always = None
        played.start()
        fired = {a["id"] for a in played.values("alerts") if a["event"] == "fired"}

        def told() -> bool:
            return {d["alert"] for d in played.values("deliveries", "delivery") if d.get("outcome") == "sent"} >= fired

        until(told, 30, "every alert is told after all", every=0.3)
        again = {d["intent"] for d in played.values("deliveries", "delivery") if d["may_repeat"]}
        assert unanswered & again


def test_a_second_process_is_refused_with_the_reason(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(entry=LYTTEPOST)
    first = deployment.start()
    second = deployment.start(wait=False)
    assert second.process.wait(20) == 3
    assert f"process {first.process.pid}" in second.said
    assert "Traceback" not in second.said
    assert deployment.start("--role", "alerts", wait=False).process.wait(20) == 3
    assert first.get("/readyz")[0] == 200


def test_roles_apart_give_what_one_process_gives(
    deploy: Callable[..., Deployment], recording: Recording, undisturbed: tuple[Outcome, Path]
) -> None:
    of_one, key = undisturbed
    two = deploy("two", recording=recording.path, speed="max", key=key)
    two.start("--role", "listener")
    two.start("--role", "alerts")
    two.exercise()
    two.wait_until_settled()
    assert outcome(two) == of_one
    assert {f["roles"][0] for f in two.mode()["followers"] if f["follows"]} == {"listener", "alerts"}
