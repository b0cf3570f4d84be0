"""Exercises that come, go and overlap while a recording is played."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from harness import Deployment, Recording, until


def ids_of(house: Deployment, incident: str) -> list[str]:
    return [m["id"] for m in house.values("mentions", "mention") if incident in m["incidents"]]


def incident(house: Deployment, name: str) -> str:
    found = [i["id"] for i in house.mode()["incidents"] if i["name"] == name]
    return str(found[0])


def close(house: Deployment, *which: str) -> None:
    done = house.command("mode", "calm", "--why", "ferdig", "--no-wait", *which)
    assert done.returncode == 0, done.stderr


def state(house: Deployment) -> object:
    return house.source().get("state", "")


def test_closing_the_exercise_stops_the_recording_and_a_new_one_plays_it_from_the_start(
    deploy: Callable[..., Deployment], short: Recording
) -> None:
    house = deploy(recording=short.path, speed="200")
    running = house.start()
    house.exercise("Første")
    until(lambda: running.metric("lyttepost_mentions_published_total") > 50, 20, "it plays")
    first = incident(house, "Første")
    close(house)
    until(lambda: state(house) == "idle", 5, "it stops")
    heard = len(ids_of(house, first))
    time.sleep(1.5)
    assert 50 < len(ids_of(house, first)) == heard < len(short.matching)
    assert house.values("mentions", "tick")[-1]["final"] is True
    assert house.values("findings", "tick")[-1]["final"] is True
    running.terminate()

    house.speed = "max"
    house.start()
    house.exercise("Andre")
    until(lambda: bool(ids_of(house, incident(house, "Andre"))), 20, "it plays again")
    house.wait_until_settled()
    assert sorted(ids_of(house, incident(house, "Andre"))) == sorted(short.matching)
    assert len(ids_of(house, first)) == heard


def test_two_exercises_at_once_share_the_recording(deploy: Callable[..., Deployment], short: Recording) -> None:
    house = deploy(recording=short.path, speed="150")
    running = house.start()
    house.exercise("Første")
    until(lambda: running.metric("lyttepost_mentions_published_total") > 50, 20, "it plays")
    house.exercise("Andre")
    one, two = incident(house, "Første"), incident(house, "Andre")
    until(lambda: len(ids_of(house, two)) > 20, 10, "the second hears")
    close(house, "--incident", one)
    time.sleep(0.5)
    left = ids_of(house, one)
    running.kill()
    # What a killed process had played for both goes on for the one that is left.
    house.speed = "max"
    house.start()
    house.wait_until_settled()
    assert ids_of(house, one) == left
    heard = ids_of(house, two)
    assert len(heard) == len(set(heard)) < len(short.matching)
    assert set(heard) | set(left) == set(short.matching)
    findings = [f"{f['incident']}:{f['id']}" for f in house.values("findings", "finding")]
    assert sorted(findings) == sorted([f"{one}:{i}" for i in left] + [f"{two}:{i}" for i in heard])
    assert all(a["exercise"] for a in house.values("alerts"))


def test_an_exercise_that_opens_after_the_end_hears_it_all(deploy: Callable[..., Deployment], short: Recording) -> None:
    house = deploy(recording=short.path, speed="max")
    house.start()
    house.exercise("Første")
    house.wait_until_settled()
    until(lambda: state(house) == "finished", 5, "it says that it is at its end")
    house.exercise("Andre")
    two = incident(house, "Andre")
    until(lambda: len(ids_of(house, two)) == len(short.matching), 10, "the second hears it all")
    assert len(ids_of(house, incident(house, "Første"))) == len(short.matching)


def test_a_recording_that_was_played_to_its_end_is_not_played_again_by_a_restart(
    deploy: Callable[..., Deployment], short: Recording
) -> None:
    house = deploy(recording=short.path, speed="max")
    running = house.start()
    house.exercise()
    house.wait_until_settled()
    running.kill()
    mentions, volumes = house.records("mentions"), house.records("volumes")
    running = house.start()
    until(lambda: state(house) == "finished", 5, "it says that it is at its end")
    time.sleep(1)
    assert running.metric("lyttepost_mentions_published_total") == 0
    assert house.records("volumes") == volumes
    assert [json.loads(r.value or b"")["type"] for r in house.records("mentions")[len(mentions) :]] in ([], ["tick"])


def test_an_exercise_that_ended_while_nobody_ran_is_ended_at_the_next_start(
    deploy: Callable[..., Deployment], short: Recording
) -> None:
    house = deploy(recording=short.path, speed="100")
    running = house.start()
    house.exercise()
    until(lambda: running.metric("lyttepost_mentions_published_total") > 20, 20, "it plays")
    running.kill()
    assert house.command("mode", "calm", "--why", "ferdig", "--no-wait").returncode == 0
    assert not house.values("mentions", "tick")[-1]["final"]
    house.start()
    until(lambda: house.values("mentions", "tick")[-1]["final"], 5, "no rule waits for it any more")
