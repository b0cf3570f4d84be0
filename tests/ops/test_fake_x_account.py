"""The fake X as a place to publish: it checks signatures as X does, and misbehaves on command."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import tweepy

from tests.fakes.x import FakeX


@pytest.fixture
def fake() -> Iterator[FakeX]:
    with FakeX(bearer="t") as made:
        yield made


def signed(fake: FakeX, **wrong: str) -> requests.Session:
    keys = fake.account.settings() | wrong
    session = requests.Session()
    session.auth = tweepy.OAuth1UserHandler(*keys.values()).apply_auth()
    return session


def publish(fake: FakeX, text: object, **wrong: str) -> requests.Response:
    return signed(fake, **wrong).post(f"{fake.url}/2/tweets", json={"text": text}, timeout=10)


def test_what_is_published_is_a_post_with_a_short_link(fake: FakeX) -> None:
    answer = publish(fake, "Åpent hus & kaffe https://granvik.example/a?b=1")
    assert answer.status_code == 201
    assert answer.headers["x-access-level"] == "read-write"
    data = answer.json()["data"]
    assert data["text"].startswith("Åpent hus &amp; kaffe https://t.co/")
    assert fake.said() == ["Åpent hus & kaffe https://granvik.example/a?b=1"]
    listed = signed(fake).get(
        f"{fake.url}/2/users/{fake.account.id}/tweets", params={"tweet.fields": "created_at,entities"}, timeout=10
    ).json()  # fmt: skip
    assert listed["data"][0]["id"] == data["id"]
    assert listed["data"][0]["entities"]["urls"][0]["expanded_url"] == "https://granvik.example/a?b=1"
    assert "said" not in listed["data"][0]


@pytest.mark.parametrize("name", ["consumer_key", "consumer_secret", "access_token", "access_token_secret"])
def test_one_wrong_key_is_401(fake: FakeX, name: str) -> None:
    assert publish(fake, "Hei", **{name: "feil"}).status_code == 401
    assert fake.said() == []


def test_a_request_that_is_sent_twice_is_401(fake: FakeX) -> None:
    session = signed(fake)
    prepared = session.prepare_request(requests.Request("POST", f"{fake.url}/2/tweets", json={"text": "Hei"}))
    answers = [session.send(prepared, timeout=10).status_code for _ in range(2)]
    assert answers == [201, 401]


def test_an_apps_token_may_not_publish_and_a_users_may_not_listen(fake: FakeX) -> None:
    bearer = {"Authorization": "Bearer t"}
    assert requests.post(f"{fake.url}/2/tweets", json={"text": "x"}, headers=bearer, timeout=10).status_code == 403
    assert signed(fake).get(f"{fake.url}/2/tweets/search/stream/rules", timeout=10).status_code == 401


@pytest.mark.parametrize(("text", "status"), [("", 400), (None, 400), ("x" * 281, 400)])
def test_what_is_no_text_is_refused(fake: FakeX, text: object, status: int) -> None:
    assert publish(fake, text).status_code == status


def test_the_same_words_again_are_403_until_they_are_deleted(fake: FakeX) -> None:
    first = publish(fake, "Hei").json()["data"]["id"]
    again = publish(fake, "Hei")
    assert (again.status_code, "duplicate content" in again.json()["detail"]) == (403, True)
    fake.do("delete", id=first)
    assert publish(fake, "Hei").status_code == 201


def test_an_answer_may_be_lost_though_the_post_is_there(fake: FakeX) -> None:
    fake.do("lose_answer", how="reset")
    with pytest.raises(requests.ConnectionError):
        publish(fake, "En")
    fake.do("lose_answer", how="status", status=502)
    assert publish(fake, "To").status_code == 502
    assert fake.said() == ["En", "To"]
    fake.do("refuse", on="tweets", status=503, times=1)
    assert publish(fake, "Tre").status_code == 503
    assert fake.said() == ["En", "To"]
