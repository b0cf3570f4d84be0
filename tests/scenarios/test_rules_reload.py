"""Rules are edited while posts flow: a threshold is changed, a file is broken and mended. Nothing is lost, nothing told
twice, and all of it is written down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import Deployment, Running, until, write_recording

KEPT = """\
- {name: kept, type: frequency, why: stays as it is, timeframe: 5m, num_events: 12, query_key: kind, realert: 10m}
- {name: tags, type: new_term, why: stays as it is, fields: hashtag, timeframe: 5m, num_events: 2, realert: 1m}
"""
EDITED = "- {{name: edited, type: frequency, why: is edited at work, timeframe: 10m, num_events: {}, realert: 5m}}\n"
SPEED = "360"
"""Two hours in twenty seconds: the edits are made while posts flow."""


def said(deployment: Deployment, *rules: str) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in alert.items() if name != "found_at"}
        for alert in deployment.values("alerts")
        if alert["rule"] in rules and alert.get("settled") is not False
    ]


def only(deployment: Deployment, rules: str) -> Path:
    """These rules and no other."""
    folder = deployment.configure() / "rules"
    for path in folder.glob("*.yaml"):
        path.unlink()
    (folder / "ours.yaml").write_text(rules, encoding="utf-8")
    return folder / "ours.yaml"


def decided(deployment: Deployment) -> list[str]:
    return [decision["why"] for decision in deployment.values("decisions") if not decision["why"].startswith("found")]


def reloaded(running: Running) -> float:
    return running.metric("lyttepost_rules_last_reload_successful")


def test_rules_edited_while_posts_flow(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    recording = write_recording(tmp_path / "posts.jsonl", 2600, seed=3, seconds=7200)
    undisturbed = deploy("undisturbed", recording=recording.path, speed="2000")
    only(undisturbed, KEPT + EDITED.format(100_000))
    undisturbed.exercise()
    first = undisturbed.start()
    undisturbed.wait_until_settled()
    first.terminate()

    deployment = deploy("edited", recording=recording.path, speed=SPEED, key=undisturbed.key)
    file = only(deployment, KEPT + EDITED.format(100_000))
    deployment.exercise()
    running = deployment.start()
    until(lambda: len(deployment.records("findings")) > 200, 20, "posts flow")
    assert said(deployment, "edited") == []

    file.write_text(KEPT + EDITED.format(30), encoding="utf-8")
    until(lambda: len(decided(deployment)) == 1, 15, "the new threshold is in force")
    until(lambda: bool(said(deployment, "edited")), 15, "it fires by it")

    file.write_text(KEPT + "- {name: edited, type: frequency\n", encoding="utf-8")
    until(lambda: reloaded(running) == 0, 15, "the broken file is refused")
    assert running.get("/readyz")[0] == 200
    # The metric changes a moment before the alert is on the bus.
    until(lambda: len(said(deployment, "lyttepost.rules_bad")) == 1, 15, "ops are told of it")

    running.kill()
    file.write_text(KEPT + EDITED.format(30), encoding="utf-8")
    running = deployment.start()
    until(lambda: len(said(deployment, "lyttepost.rules_bad")) == 2, 15, "the mended file is in force")
    assert reloaded(running) == 1
    assert not deployment.settled(), "all this while posts flowed"
    file.write_text(KEPT, encoding="utf-8")
    until(lambda: len(decided(deployment)) == 2, 15, "the rule is gone")
    deployment.wait_until_settled()
    running.terminate()

    assert [a["event"] for a in said(deployment, "lyttepost.rules_bad")] == ["fired", "resolved"]
    kept = said(undisturbed, "kept", "tags")
    assert len(kept) > 10
    for rule in ("kept", "tags"):
        assert said(deployment, rule) == said(undisturbed, rule)
    alerts = (alert for alert in deployment.values("alerts") if alert.get("settled") is not False)
    fired = [alert["id"] for alert in alerts if alert["event"] == "fired"]
    assert len(fired) == len(set(fired))
    changed, removed = decided(deployment)
    assert "changed: edited" in changed
    assert "removed: edited" in removed
