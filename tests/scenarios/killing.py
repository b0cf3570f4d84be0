"""What a deployment whose processes were killed is held to: what an undisturbed one leaves."""

from __future__ import annotations

from collections import Counter

from harness import Deployment, Outcome, Recording, outcome


def assert_as_undisturbed(disturbed: Deployment, expected: Outcome, recording: Recording) -> None:
    found = outcome(disturbed)
    assert sorted(found.mentions) == recording.keys
    assert set(found.mentions.values()) == {1}
    assert found.findings == expected.findings
    assert found.alerts == expected.alerts
    assert found.deadletters == expected.deadletters
    assert set(found.deadletters.values()) == {1}
    assert sum(found.deadletters.values()) == recording.garbage
    assert found.volumes == expected.volumes
    assert_told_once(disturbed)


def assert_told_once(deployment: Deployment) -> None:
    """Every alert that fired was told; what was told twice for one step said so."""
    fired = {a["id"] for a in deployment.values("alerts") if a["event"] == "fired"}
    deliveries = deployment.values("deliveries", "delivery")
    assert deployment.sent() == fired
    intents = Counter(d["intent"] for d in deliveries if "outcome" not in d and not d["may_repeat"])
    assert set(intents.values()) <= {1}


def all_told(deployment: Deployment) -> bool:
    fired = {a["id"] for a in deployment.values("alerts") if a["event"] == "fired"}
    return fired <= deployment.sent()
