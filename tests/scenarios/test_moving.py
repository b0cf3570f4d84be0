"""A deployment moves to Kafka, and back, in the middle of a crisis: stopped, copied, started; nothing lost or twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from uuid import uuid4

import pytest
from harness import Deployment, Outcome, Recording, outcome, until
from topics import drop_topics


def copied(deployment: Deployment, source: str, target: str) -> dict[str, int]:
    """Topic → records."""
    done = deployment.command("bus", "copy", "--from", source, "--to", target, "--json")
    assert done.returncode == 0, done.stderr
    deployment.settings["BUS__URL"] = target
    return {topic["topic"]: topic["records"] for topic in json.loads(done.stdout)["topics"]}


def undisturbed(deploy: Callable[..., Deployment], recording: Recording, like: Deployment) -> Outcome:
    calm = deploy("undisturbed", recording=recording.path, speed="max", key=like.key)
    calm.start()
    calm.exercise()
    calm.wait_until_settled()
    return outcome(calm)


@pytest.mark.long
def test_a_move_to_kafka_and_back_in_mid_crisis_changes_nothing(
    deploy: Callable[..., Deployment], short: Recording, kafka_url: str
) -> None:
    url = f"{kafka_url}?prefix=m{uuid4().hex[:12]}"
    deployment = deploy("moving", recording=short.path, speed="120")
    running = deployment.start()
    deployment.exercise()
    until(lambda: running.metric("lyttepost_mentions_published_total") > 100, 30, "it hears")

    busy = deployment.command("bus", "copy", "--from", "embedded:", "--to", url)
    assert busy.returncode == 3, busy.stderr
    assert "stop them first" in busy.stderr
    running.terminate()
    assert copied(deployment, "embedded:", url)["mentions"] > 100

    running = deployment.start()
    already = len(deployment.values("mentions", "mention"))
    until(lambda: running.metric("lyttepost_mentions_published_total") > 100, 60, "it goes on on Kafka")
    running.terminate()
    back = f"embedded://{deployment.home}/back/bus.sqlite"
    assert copied(deployment, url, back)["mentions"] > already
    again = deployment.command("bus", "copy", "--from", url, "--to", back)
    assert again.returncode == 3
    assert "not empty" in again.stderr

    deployment.start()
    deployment.wait_until_settled(90)
    found, expected = outcome(deployment), undisturbed(deploy, short, deployment)
    assert found.mentions == expected.mentions
    assert sorted(found.mentions) == short.keys
    assert found.findings == expected.findings
    assert found.volumes == expected.volumes
    assert found.alerts == expected.alerts
    assert found.deadletters == expected.deadletters
    drop_topics(url)
