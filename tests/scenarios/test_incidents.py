"""Exercises that come, go and overlap while a recording is played."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from harness import Deployment, Recording, until


def ids_of(deployment: Deployment, incident: str) -> list[str]:
    return [m["id"] for m in deployment.values("mentions", "mention") if incident in m["incidents"]]


def incident(deployment: Deployment, name: str) -> str:
    found = [i["id"] for i in deployment.mode()["incidents"] if i["name"] == name]
    return str(found[0])


def close(deployment: Deployment, *which: str) -> None:
    done = deployment.command("mode", "calm", "--why", "ferdig", "--no-wait", *which)
    assert done.returncode == 0, done.stderr


def state(deployment: Deployment) -> object:
    return deployment.source().get("state", "")


def test_closing_the_exercise_stops_the_recording_and_a_new_one_plays_it_from_the_start(
    deploy: Callable[..., Deployment], short: Recording
) -> None:
    deployment = deploy(recording=short.path, speed="200")
    running = deployment.start()
    deployment.exercise("Første")
    until(lambda: running.metric("lyttepost_mentions_published_total") > 50, 20, "it plays")
    first = incident(deployment, "Første")
    close(deployment)
    until(lambda: state(deployment) == "idle", 5, "it stops")
    heard = len(ids_of(deployment, first))
    time.sleep(1.5)
    assert 50 < len(ids_of(deployment, first)) == heard < len(short.matching)
    assert deployment.values("mentions", "tick")[-1]["final"] is True
    assert deployment.values("findings", "tick")[-1]["final"] is True
    running.terminate()

    deployment.speed = "max"
    deployment.start()
    deployment.exercise("Andre")
    until(lambda: bool(ids_of(deployment, incident(deployment, "Andre"))), 20, "it plays again")
    deployment.wait_until_settled()
    assert sorted(ids_of(deployment, incident(deployment, "Andre"))) == sorted(short.matching)
    assert len(ids_of(deployment, first)) == heard


def test_two_exercises_at_once_share_the_recording(deploy: Callable[..., Deployment], short: Recording) -> None:
    deployment = deploy(recording=short.path, speed="150")
    running = deployment.start()
    deployment.exercise("Første")
    until(lambda: running.metric("lyttepost_mentions_published_total") > 50, 20, "it plays")
    deployment.exercise("Andre")
    one, two = incident(deployment, "Første"), incident(deployment, "Andre")
    until(lambda: len(ids_of(deployment, two)) > 20, 10, "the second hears")
    close(deployment, "--incident", one)
    time.sleep(0.5)
    left = ids_of(deployment, one)
    running.kill()
    # What a killed process had played for both goes on for the one that is left.
    deployment.speed = "max"
    deployment.start()
    deployment.wait_until_settled()
    assert ids_of(deployment, one) == left
    heard = ids_of(deployment, two)
    assert len(heard) == len(set(heard)) < len(short.matching)
    assert set(heard) | set(left) == set(short.matching)
    findings = [f"{f['incident']}:{f['id']}" for f in deployment.values("findings", "finding")]
    assert sorted(findings) == sorted([f"{one}:{i}" for i in left] + [f"{two}:{i}" for i in heard])
    assert all(a["exercise"] for a in deployment.values("alerts"))


def test_an_exercise_that_opens_after_the_end_hears_it_all(deploy: Callable[..., Deployment], short: Recording) -> None:
    deployment = deploy(recording=short.path, speed="max")
    deployment.start()
    deployment.exercise("Første")
    deployment.wait_until_settled()
    until(lambda: state(deployment) == "finished", 5, "it says that it is at its end")
    deployment.exercise("Andre")
    two = incident(deployment, "Andre")
    until(lambda: len(ids_of(deployment, two)) == len(short.matching), 10, "the second hears it all")
    assert len(ids_of(deployment, incident(deployment, "Første"))) == len(short.matching)


def test_a_recording_that_was_played_to_its_end_is_not_played_again_by_a_restart(
    deploy: Callable[..., Deployment], short: Recording
) -> None:
    deployment = deploy(recording=short.path, speed="max")
    running = deployment.start()
    deployment.exercise()
    deployment.wait_until_settled()
    running.kill()
    mentions, volumes = deployment.records("mentions"), deployment.records("volumes")
    running = deployment.start()
    until(lambda: state(deployment) == "finished", 5, "it says that it is at its end")
    time.sleep(1)
    assert running.metric("lyttepost_mentions_published_total") == 0
    assert deployment.records("volumes") == volumes
    assert [json.loads(r.value or b"")["type"] for r in deployment.records("mentions")[len(mentions) :]] in (
        [],
        ["tick"],
    )


def test_an_exercise_that_ended_while_nobody_ran_is_ended_at_the_next_start(
    deploy: Callable[..., Deployment], short: Recording
) -> None:
    deployment = deploy(recording=short.path, speed="100")
    running = deployment.start()
    deployment.exercise()
    until(lambda: running.metric("lyttepost_mentions_published_total") > 20, 20, "it plays")
    running.kill()
    assert deployment.command("mode", "calm", "--why", "ferdig", "--no-wait").returncode == 0
    assert not deployment.values("mentions", "tick")[-1]["final"]
    deployment.start()
    until(lambda: deployment.values("mentions", "tick")[-1]["final"], 5, "no rule waits for it any more")
