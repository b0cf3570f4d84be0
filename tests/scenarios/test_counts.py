"""Counting X in calm, as real processes: after `kill -9` in the middle of a week no minute is twice or missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from harness import Deployment, Running, files_with, until

from listener.model.tracks import total_of
from listener.sources.x.counts import WEEK
from listener.units import parse_instant
from tests.fakes.x import FakeX

TRACKS = ("granvik", "sandnesbrua", "#granvikhjelp")
SERIES = (total_of(TRACKS), *TRACKS)
MINUTE = timedelta(minutes=1)
WORD = "hemmeligord"
CONFIG = "# Three tracks.\nphrases: [granvik, sandnesbrua]\nhashtags: [granvikhjelp]\n"


@pytest.fixture
def fake() -> Iterator[FakeX]:
    """A week in which each track was named now and then."""
    with FakeX() as fake:
        fake.api.search.count_page = 3000
        now = datetime.now(UTC).replace(second=20, microsecond=0)
        for number in range(300):
            at = now - timedelta(minutes=10 + number * number % 9900)
            text = f"{WORD} {TRACKS[number % 3]} {number}"
            fake.world.publish({"text": text, "created_at": at.isoformat()}, live=False)
        yield fake


def counted(deployment: Deployment) -> dict[str, Counter[datetime]]:
    """Track → minute → count. Fails on a minute that is there twice."""
    out: dict[str, Counter[datetime]] = {track: Counter() for track in SERIES}
    for value in deployment.values("volumes", "volume"):
        minute = parse_instant(value["minute"])
        assert minute not in out[value["track"]], (value["track"], minute)
        out[value["track"]][minute] = value["count"]
    return out


def truth(fake: FakeX, track: str) -> Counter[datetime]:
    queries = {TRACKS[0]: '"granvik"', TRACKS[1]: '"sandnesbrua"', TRACKS[2]: "#granvikhjelp"}
    query = queries.get(track) or " OR ".join(queries.values())
    posts = (fake.world.posts[each] for each in fake.world.matching(query))
    return Counter(post.created_at.replace(second=0) for post in posts)


def whole(deployment: Deployment) -> bool:
    with deployment.bus() as bus:
        kept = next((topic.records for topic in bus.topics() if topic.name == "volumes"), 0)
    return kept >= len(SERIES) * (WEEK - 10)


def ended(running: Running) -> bool:
    return running.process.poll() is not None


@pytest.mark.slow
def test_killed_while_it_counts_a_week_it_goes_on_without_loss_or_repeat(
    deploy: Callable[..., Deployment], fake: FakeX
) -> None:
    deployment = deploy(settings={"X__BEARER_TOKEN": "a-token-of-no-account", "X__BASE_URL": fake.url})
    deployment.configure(tracks=CONFIG)
    for crash in ("capture.before_publish:3", "bus.after_commit:9", "bus.before_commit:14", "capture.before_publish:7"):
        running = deployment.start(env={"LYTTEPOST_CRASH": crash}, wait=False)
        until(lambda running=running: ended(running), 90, f"it dies at {crash}")
        assert running.process.returncode == -9
    assert not whole(deployment)
    running = deployment.start()
    until(lambda: whole(deployment), 40, "the week is counted", every=0.3)
    kept = counted(deployment)
    for track in SERIES:
        ours, there = kept[track], truth(fake, track)
        assert {minute: count for minute, count in ours.items() if count != there[minute]} == {}
        assert sum(ours.values()) == sum(count for minute, count in there.items() if minute >= min(ours)) > 0
        assert len(ours) == (max(ours) - min(ours)) // MINUTE + 1, track
    said = deployment.mode()["sources"]["x"]
    assert (said["state"], said["connected"]) == ("counting", False)
    assert running.metric("lyttepost_source_state", source="x", state="counting") == 1
    assert running.metric("lyttepost_source_counted_timestamp_seconds", source="x") > 0
    assert running.metric("lyttepost_source_calls_total", endpoint="counts") > 0
    running.terminate()
    assert not fake.requests("/search/recent")
    assert files_with(deployment.home, [WORD]) == []
