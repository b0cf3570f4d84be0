"""A fake of YouTube's API over real sockets: what it lists, what it costs, what it refuses, and each misbehaviour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fakes.platform import ScaledClock
from tests.fakes.youtube import CHANNEL, COMMENTS, THREADS, FakeYoutube

SAMPLE = Path(__file__).parents[1] / "fakes" / "youtube" / "sample.jsonl"


@pytest.fixture
def fake() -> Iterator[FakeYoutube]:
    with FakeYoutube(key="a-key", oauth=("c", "s", "r")) as found:
        yield found


def ask(fake: FakeYoutube, path: str, headers: dict[str, str] | None = None, **params: Any) -> tuple[int, Any]:
    answer = requests.get(f"{fake.url}{path}", params, headers=headers or {"X-Goog-Api-Key": "a-key"}, timeout=20)
    return answer.status_code, answer.json()


def threads(fake: FakeYoutube, **more: Any) -> tuple[int, Any]:
    usual = {"part": "snippet,replies", "allThreadsRelatedToChannelId": CHANNEL, "maxResults": 100}
    return ask(fake, THREADS, **{**usual, **more})


def reason(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["errors"][0]["reason"]


def test_threads_come_the_newest_first_twenty_a_page_with_their_oldest_replies(fake: FakeYoutube) -> None:
    tops = [fake.world.say(f"nummer {number}").id for number in range(45)]
    replies = [fake.world.say("svar", reply_to=tops[-1]).id for _ in range(7)]
    seen, token = [], {}
    for _ in range(3):
        status, body = threads(fake, **token)
        assert status == 200
        seen += [item["id"] for item in body["items"]]
        token = {"pageToken": body["nextPageToken"]} if "nextPageToken" in body else {}
    assert set(seen) == set(tops)
    assert len(seen) == 45
    assert not token
    _, body = ask(fake, THREADS, part="snippet,replies", id=tops[-1])
    (thread,) = body["items"]
    assert thread["snippet"]["totalReplyCount"] == 7
    assert [reply["id"] for reply in thread["replies"]["comments"]] == replies[:5]
    assert thread["snippet"]["topLevelComment"]["snippet"]["publishedAt"].endswith("Z")


def test_replies_and_comments_by_id_leave_out_what_is_gone(fake: FakeYoutube) -> None:
    top = fake.world.say("a").id
    kept, gone = (fake.world.say(text, reply_to=top).id for text in ("b", "c"))
    fake.world.delete(gone)
    assert [item["id"] for item in ask(fake, COMMENTS, part="snippet", parentId=top)[1]["items"]] == [kept]
    fake.world.edit(kept, "d")
    _, body = ask(fake, COMMENTS, part="snippet", id=f"{top},{kept},{gone}")
    assert [item["id"] for item in body["items"]] == [top, kept]
    assert body["items"][1]["snippet"]["textOriginal"] == "d"
    fake.world.delete(top)
    assert reason(ask(fake, COMMENTS, part="snippet", parentId=top)) == (404, "commentNotFound")
    assert threads(fake)[1]["items"] == []


def test_every_call_costs_and_a_spent_day_ends_at_midnight_pacific() -> None:
    evening = datetime(2031, 6, 3, 6, 59, 58, tzinfo=UTC)
    with FakeYoutube(clock=ScaledClock(1.0, evening), units=3) as fake:
        fake.world.say("a")
        assert [threads(fake)[0], reason(ask(fake, THREADS, part="snippet"))[0], threads(fake)[0]] == [200, 400, 200]
        assert reason(threads(fake)) == (403, "quotaExceeded")
        while fake.clock.now() < datetime(2031, 6, 3, 7, tzinfo=UTC):
            pass
        assert threads(fake)[0] == 200


def test_who_may_ask_and_what_only_the_owner_sees(fake: FakeYoutube) -> None:
    held = fake.world.say("holdes", held=True).id
    assert reason(threads(fake, moderationStatus="heldForReview")) == (403, "forbidden")
    assert reason(ask(fake, THREADS, {"X-Goog-Api-Key": "wrong"}, part="snippet", id="a")) == (400, "badRequest")
    assert reason(ask(fake, THREADS, {"Authorization": "Bearer no"}, part="snippet", id="a")) == (401, "authError")
    form = {"client_id": "c", "client_secret": "s", "refresh_token": "r", "grant_type": "refresh_token"}
    token = requests.post(f"{fake.url}/token", form, timeout=20).json()["access_token"]
    owner = {"Authorization": f"Bearer {token}"}
    its = {"part": "snippet", "allThreadsRelatedToChannelId": CHANNEL, "moderationStatus": "heldForReview"}
    assert [item["id"] for item in ask(fake, THREADS, owner, **its)[1]["items"]] == [held]
    fake.do("expire_tokens")
    assert reason(ask(fake, THREADS, owner, **its)) == (401, "authError")


def test_its_pages_misbehave_on_command(fake: FakeYoutube) -> None:
    for number in range(30):
        fake.world.say(f"nummer {number}")
    fake.do("empty_pages", count=1)
    _, empty = threads(fake)
    assert empty["items"] == []
    _, first = threads(fake, pageToken=empty["nextPageToken"])
    assert len(first["items"]) == 20
    fake.do("processing_failure")
    assert reason(threads(fake, pageToken=first["nextPageToken"])) == (400, "processingFailure")
    fake.do("bad_tokens")
    assert reason(threads(fake, pageToken=first["nextPageToken"])) == (400, "invalidPageToken")
    assert reason(threads(fake, pageToken="another.20")) == (400, "invalidPageToken")
    fake.do("repeat")
    assert len(threads(fake)[1]["items"]) == 23
    fake.do("rate_limit", seconds=60)
    assert reason(threads(fake)) == (403, "rateLimitExceeded")
    fake.do("heal")
    fake.do("disable")
    assert threads(fake)[1]["items"] == []
    assert reason(ask(fake, COMMENTS, part="snippet", parentId=next(iter(fake.world.comments)))) == (
        403,
        "commentsDisabled",
    )


def test_the_sample_is_a_scenario_that_plays() -> None:
    steps = FakeYoutube.scenario().read(SAMPLE)
    assert len(steps) >= 10
    with FakeYoutube(clock=ScaledClock(600.0), scenario=SAMPLE) as fake:
        assert fake.player.done.wait(20)
        told = fake.told("comments", {})
        assert told is not None
        assert any(each["gone"] for each in told["comments"])
        assert any(len(each["texts"]) == 2 for each in told["comments"])


@pytest.mark.parametrize(
    ("item", "why"), [({"by": "a"}, "needs a text"), ({"text": "a", "tekst": 1}, "nobody knows: tekst")]
)
def test_what_cannot_be_said_is_refused(fake: FakeYoutube, item: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fake.tell(item)
