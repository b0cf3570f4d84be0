"""Purge and retention reach every byte, while the service runs and after."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from harness import START, Deployment, Recording, files_with, until

from listener.bus.protocol import Message, open_bus
from listener.clock import ManualClock
from listener.model.records import Mention, encode
from listener.model.topics import topic_specs
from listener.settings.schema import Settings


def purge(deployment: Deployment, *ids: str) -> str:
    done = deployment.command("privacy", "purge", *ids, "--why", "krav fra forfatteren", "--by", "Personvernombud")
    assert done.returncode == 0, done.stderr
    return done.stderr


def reposted(deployment: Deployment) -> tuple[str, list[str]]:
    """A post that was reposted, and all ids of it."""
    mentions = deployment.values("mentions", "mention")
    by_first: dict[str, list[str]] = {}
    for mention in mentions:
        if mention.get("repost_of"):
            by_first.setdefault(mention["repost_of"], []).append(mention["id"])
    first = next(m["id"] for m in mentions if m["id"] in by_first)
    return first, [first, *by_first[first]]


def write_an_old_mention(deployment: Deployment, source: str = "x", days: float = 31) -> None:
    deployment.data.mkdir()
    at = datetime.now(UTC) - timedelta(days=days)
    bus = open_bus("embedded:", deployment.data, ManualClock(at))
    bus.ensure(topic_specs(1, Settings().retention.keep()))
    text = "gammel særordgammel"
    old = Mention(source=source, id="1", at=START, captured_at=at, text=text, incidents={"a-0": ("a",)})
    bus.publish([Message("mentions", old.post_key, encode(old))])
    bus.close()


def words_of(ids: list[str]) -> list[str]:
    return [f"særord{int(id_) - 10_000_000:06d}q" for id_ in ids]


def test_a_purge_while_the_service_runs_reaches_every_file(
    deploy: Callable[..., Deployment], recording: Recording
) -> None:
    deployment = deploy(recording=recording.path, speed="1200")
    running = deployment.start()
    deployment.exercise()
    until(lambda: running.metric("lyttepost_mentions_published_total") > 800, 20, "it plays")
    first, ids = reposted(deployment)
    words = words_of(ids)
    assert files_with(deployment.data, words)
    said = purge(deployment, f"recording:{first}")
    assert f"{2 * len(ids)} records" in said
    assert files_with(deployment.data, words) == []
    assert running.get("/healthz")[0] == 200
    until(lambda: running.get("/readyz")[0] == 200, 5, "all parts go on")
    deployment.wait_until_settled()
    assert files_with(deployment.data, words) == []
    assert "None was held" in purge(deployment, "recording:99999999", "99999998")

    # It is gone for whoever begins anew, too.
    running.kill()
    running = deployment.start()
    until(lambda: running.get("/readyz")[0] == 200, 10, "it is ready after the restart")
    shown = deployment.command("register", "--kind", "wish", "--json").stdout
    shown += deployment.command("register", "--kind", "eyewitness", "--json").stdout
    assert not any(word in shown for word in words)
    left = {m["id"] for m in deployment.values("mentions", "mention")}
    assert left == set(recording.matching) - set(ids)
    assert {f["id"] for f in deployment.values("findings", "finding")} == left
    assert not [d for d in deployment.values("deadletters") if "failed" in d["reason"]]
    running.terminate()
    assert files_with(deployment.data, words) == []
    purged = {d["id"] for d in deployment.values("decisions") if d["kind"] == "purge"}
    assert purged == {f"recording:{first}", "recording:99999999", "99999998"}


def test_a_purge_of_what_is_under_way_reaches_it(deploy: Callable[..., Deployment], recording: Recording) -> None:
    deployment = deploy(recording=recording.path, speed="max")
    running = deployment.start()
    deployment.exercise()
    last = recording.matching[-1]
    until(
        lambda: any(m["id"] == last for m in deployment.values("mentions", "mention")), 20, "it is captured", every=0.0
    )
    ids = list(recording.matching[-30:])
    purge(deployment, *ids)
    deployment.wait_until_settled()
    running.kill()
    assert files_with(deployment.data, words_of(ids)) == []


def test_the_key_is_not_changed_while_an_incident_is_open(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy()
    deployment.exercise()
    done = deployment.command("privacy", "rotate-key", "--why", "årlig", "--by", "Drift")
    assert done.returncode == 3
    assert "calm" in done.stderr


def test_retention_drops_what_is_too_old_and_its_check_proves_it(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy()
    write_an_old_mention(deployment)
    checked = deployment.command("privacy", "retention", "--check")
    assert checked.returncode == 1
    assert "mentions" in checked.stderr
    assert "TOO OLD" in checked.stdout
    assert deployment.command("privacy", "retention").returncode == 0
    checked = deployment.command("privacy", "retention", "--check")
    assert checked.returncode == 0, checked.stderr
    assert files_with(deployment.data, ["særordgammel"]) == []


def test_a_running_service_drops_what_is_too_old_by_itself(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy()
    write_an_old_mention(deployment)
    running = deployment.start()
    until(lambda: deployment.command("privacy", "retention", "--check").returncode == 0, 10, "it is dropped", every=0.5)
    time.sleep(0.5)
    assert files_with(deployment.data, ["særordgammel"]) == []
    assert running.get("/readyz")[0] == 200


def test_a_running_service_drops_what_of_one_source_may_not_lie_as_long(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(settings={"RETENTION__SOURCES__BLUESKY": "2d"})
    write_an_old_mention(deployment, "bluesky", 1.97)
    assert files_with(deployment.data, ["særordgammel"]) != []
    running = deployment.start()
    until(lambda: files_with(deployment.data, ["særordgammel"]) == [], 90, "it is dropped before its end, in calm")
    assert running.metric("lyttepost_retention_content_allowed_seconds", source="bluesky") == 2 * 86400
    assert deployment.command("privacy", "retention", "--check").returncode == 0
