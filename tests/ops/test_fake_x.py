"""The fake X over real sockets: each endpoint and each misbehaviour, by the standard library's client and tweepy's."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import tweepy
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

from tests.fakes.x import FakeX, Plan, ScaledClock, steps_of, verbs
from tests.fakes.x.times import rfc3339

AUTH = {"Authorization": "Bearer god"}
STREAM = "/2/tweets/search/stream"
RULES = f"{STREAM}/rules"
SEARCH = "/2/tweets/search/recent"
COUNTS = "/2/tweets/counts/recent"
START = datetime(2031, 3, 2, 21, 0, tzinfo=UTC)


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = dict(response.headers)
        raw = response.read()
        self.json: Any = json.loads(raw) if raw else None


def call(
    fake: FakeX, path: str, method: str = "GET", body: Any = None, auth: dict[str, str] = AUTH, **params: Any
) -> Answer:
    with closing(http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)) as connection:
        query = f"?{urlencode(params)}" if params else ""
        connection.request(method, path + query, None if body is None else json.dumps(body), auth)
        return Answer(connection.getresponse())


class Reader:
    """A stream as a client sees it, line by line."""

    def __init__(self, fake: FakeX, **params: Any) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)
        self._connection.request("GET", f"{STREAM}?{urlencode(params)}", headers=AUTH)
        self.response = self._connection.getresponse()
        self.status = self.response.status

    def line(self) -> bytes:
        return self.response.readline()

    def post(self) -> dict[str, Any]:
        """The next line that is no keep-alive."""
        while True:
            line = self.line()
            assert line, "the stream ended"
            if line.strip():
                out: dict[str, Any] = json.loads(line)
                return out

    def close(self) -> None:
        self.response.close()
        self._connection.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def soon(holds: Callable[[], bool], seconds: float = 3.0) -> bool:
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.005)
    return holds()


@pytest.fixture
def fake() -> Iterator[FakeX]:
    """An hour a minute, so that what X does in 20 s takes a third of one."""
    with FakeX(clock=ScaledClock(60, START), bearer="god") as running:
        running.world.add_rule("brann", "vår")
        yield running


# -- the stream --------------------------------------------------------------------------------------------------------


def test_a_post_that_matches_comes_with_its_rule_and_what_was_asked_for(fake: FakeX) -> None:
    place = {"id": "p1", "full_name": "Fjordby", "country_code": "NO"}
    asked = {
        "tweet.fields": "created_at,geo,lang,note_tweet,referenced_tweets",
        "expansions": "author_id,geo.place_id,referenced_tweets.id",
        "user.fields": "public_metrics",
        "place.fields": "country_code",
    }
    first = fake.post("Alt er stille", author="nordvik_nytt")
    with Reader(fake, **asked) as reader:
        fake.post("ingen treff")
        post = fake.post("Det er brann", author="kari_f", place=place, reply_to=first.id)
        heard = reader.post()
    rule = next(iter(fake.world.rules.values()))
    assert heard["matching_rules"] == [{"id": rule.id, "tag": "vår"}]
    assert heard["data"]["id"] == post.id
    assert heard["data"]["geo"] == {"place_id": "p1"}
    assert heard["data"]["referenced_tweets"] == [{"type": "replied_to", "id": first.id}]
    assert [u["username"] for u in heard["includes"]["users"]] == ["kari_f"]
    assert heard["includes"]["users"][0]["public_metrics"]["followers_count"] == 10
    assert [t["id"] for t in heard["includes"]["tweets"]] == [first.id]
    assert heard["includes"]["places"] == [place]
    assert fake.world.offered() == [post.id] == fake.world.due()


def test_without_fields_a_post_is_its_id_and_text(fake: FakeX) -> None:
    with Reader(fake) as reader:
        fake.post("Det er brann")
        heard = reader.post()
    assert heard.keys() == {"data", "matching_rules"}
    assert heard["data"].keys() == {"id", "text", "edit_history_tweet_ids"}


def test_a_field_x_does_not_know_is_refused(fake: FakeX) -> None:
    with Reader(fake, **{"tweet.fields": "favourites"}) as reader:
        assert reader.status == 400
        assert "favourites" in json.loads(reader.response.read())["errors"][0]["message"]


def test_a_quiet_stream_is_kept_alive_every_twenty_seconds(fake: FakeX) -> None:
    with Reader(fake) as reader:
        began = fake.clock.now()
        assert [reader.line(), reader.line()] == [b"\r\n", b"\r\n"]
        took = (fake.clock.now() - began).total_seconds()
    assert 38 <= took <= 60


def test_a_rule_added_while_the_stream_is_open_counts_at_once(fake: FakeX) -> None:
    with Reader(fake) as reader:
        fake.post("røyk")
        assert call(fake, RULES, "POST", {"add": [{"value": "røyk", "tag": "t"}]}).status == 201
        post = fake.post("mer røyk")
        assert reader.post()["data"]["id"] == post.id


def test_x_lets_nobody_connect_without_a_rule(fake: FakeX) -> None:
    fake.do("drop_rules")
    with Reader(fake) as reader:
        assert reader.status == 409


def test_backfill_is_for_those_who_pay_for_it() -> None:
    with FakeX(plan="enterprise") as fake:
        fake.world.add_rule("brann")
        missed = fake.post("brann")
        with Reader(fake, backfill_minutes=2) as reader:
            assert reader.post()["data"]["id"] == missed.id
        assert [o.kind for o in fake.world.offers] == ["backfill"]
    with FakeX() as fake:
        fake.world.add_rule("brann")
        with Reader(fake, backfill_minutes=2) as reader:
            assert reader.status == 400


def test_a_second_connection_is_too_many_until_the_first_is_gone(fake: FakeX) -> None:
    with Reader(fake), Reader(fake) as second:
        assert second.status == 429
        assert json.loads(second.response.read())["connection_issue"] == "TooManyConnections"
    with Reader(fake) as third:
        assert third.status == 200


def test_an_edit_is_streamed_and_a_deleted_post_is_not(fake: FakeX) -> None:
    fake.do("delay", seconds=30)
    with Reader(fake, **{"tweet.fields": "edit_history_tweet_ids"}) as reader:
        post, gone = fake.post("brann"), fake.post("brann, slettet")
        fake.do("delete", id=gone.id)
        edited = fake.do("edit", id=post.id, text="brann, slukket")
        heard = [reader.post()["data"] for _ in range(2)]
    assert [h["id"] for h in heard] == [post.id, edited]
    assert heard[1]["edit_history_tweet_ids"] == [post.id, edited]
    found = call(fake, SEARCH, query="brann", end_time=rfc3339(fake.clock.now() - timedelta(seconds=11))).json
    assert found["meta"]["result_count"] in (0, 1)
    assert gone.id not in fake.world.searched()


# -- rules -------------------------------------------------------------------------------------------------------------


def test_rules_are_added_read_counted_and_deleted(fake: FakeX) -> None:
    fake.do("drop_rules")
    assert call(fake, RULES).json["meta"]["result_count"] == 0
    added = call(fake, RULES, "POST", {"add": [{"value": "a1", "tag": "t"}, {"value": "b2"}]})
    assert added.status == 201
    assert added.json["meta"]["summary"] == {"created": 2, "not_created": 0, "valid": 2, "invalid": 0}
    first, second = added.json["data"]
    assert "tag" not in second
    assert call(fake, RULES).json["data"] == [first, second]
    assert call(fake, RULES, max_results=1).json["meta"]["next_token"] == "1"
    counts = call(fake, f"{RULES}/counts").json["data"]
    assert (counts["project_rules_count"], counts["cap_per_project"]) == ("2", "1000")
    gone = call(fake, RULES, "POST", {"delete": {"ids": [first["id"], "17"], "values": ["b2"]}}).json
    assert gone["meta"]["summary"] == {"deleted": 2, "not_deleted": 1}
    assert gone["errors"][0]["errors"][0]["message"] == "Rule does not exist"
    assert not fake.world.rules


def test_duplicate_and_invalid_rules_are_errors_beside_the_good_ones(fake: FakeX) -> None:
    asked = [{"value": "brann"}, {"value": "lang:no"}, {"value": "røyk"}, {"value": "røyk"}]
    answer = call(fake, RULES, "POST", {"add": asked})
    assert answer.status == 201
    assert answer.json["meta"]["summary"] == {"created": 1, "not_created": 3, "valid": 1, "invalid": 3}
    assert [e["title"] for e in answer.json["errors"]] == ["DuplicateRule", "UnprocessableEntity", "DuplicateRule"]
    assert "standalone" in answer.json["errors"][1]["details"][0]


def test_only_invalid_rules_are_a_bad_request(fake: FakeX) -> None:
    answer = call(fake, RULES, "POST", {"add": [{"value": '"åpen'}]})
    assert (answer.status, answer.json["meta"]["summary"]["created"]) == (400, 0)


def test_a_dry_run_changes_nothing(fake: FakeX) -> None:
    answer = call(fake, RULES, "POST", {"add": [{"value": "røyk"}]}, dry_run="true")
    assert answer.json["meta"]["summary"]["valid"] == 1
    call(fake, RULES, "POST", {"delete": {"values": ["brann"]}}, dry_run="true")
    assert [r.value for r in fake.world.rules.values()] == ["brann"]


def test_no_more_rules_than_the_plan_has() -> None:
    with FakeX(plan=Plan("liten", 2, 512, 512, 1, 0, 100)) as fake:
        answer = call(fake, RULES, "POST", {"add": [{"value": f"ord{n}"} for n in range(3)]})
        assert answer.json["type"].endswith("rule-cap")
        assert not fake.world.rules


def test_a_call_for_rules_can_be_refused_in_part(fake: FakeX) -> None:
    fake.do("partial_rules", values=["b2"])
    answer = call(fake, RULES, "POST", {"add": [{"value": "a1"}, {"value": "b2"}]}).json
    assert [r["value"] for r in answer["data"]] == ["a1"]
    assert [e["value"] for e in answer["errors"]] == ["b2"]
    assert call(fake, RULES, "POST", {"add": [{"value": "b2"}]}).status == 201


# -- search and counts -------------------------------------------------------------------------------------------------


def test_search_gives_the_newest_first_in_pages_that_stay_the_same(fake: FakeX) -> None:
    now = fake.clock.now()
    posts = [fake.world.publish({"text": f"brann {n}"}, now - timedelta(minutes=60 - n), live=False) for n in range(25)]
    first = call(fake, SEARCH, query="brann", max_results=10).json
    token = first["meta"]["next_token"]
    second = call(fake, SEARCH, query="brann", max_results=10, next_token=token).json
    fake.world.publish({"text": "brann, ny"}, now - timedelta(minutes=1), live=False)
    assert call(fake, SEARCH, query="brann", max_results=10, next_token=token).json["data"] == second["data"]
    third = call(fake, SEARCH, query="brann", max_results=10, next_token=second["meta"]["next_token"]).json
    assert "next_token" not in third["meta"]
    ids = [p["id"] for page in (first, second, third) for p in page["data"]]
    assert ids == [p.id for p in reversed(posts)]
    assert first["meta"]["newest_id"] == posts[-1].id
    assert set(fake.world.searched()) == set(ids)


def test_search_keeps_to_the_times_and_ids_asked_for(fake: FakeX) -> None:
    now = fake.clock.now()
    made = [fake.world.publish({"text": f"brann {n}"}, now - timedelta(minutes=10 - n), live=False) for n in range(6)]

    def ids(**params: Any) -> list[str]:
        return [p["id"] for p in call(fake, SEARCH, query="brann", **params).json.get("data", [])][::-1]

    span: dict[str, Any] = {"start_time": rfc3339(made[1].created_at), "end_time": rfc3339(made[3].created_at)}
    # X writes milliseconds; what a post has beyond them falls into the next.
    assert ids(**span) == [made[1].id, made[2].id]
    assert ids(since_id=made[3].id) == [made[4].id, made[5].id]
    assert ids(until_id=made[1].id) == [made[0].id]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_results": 5}, "`max_results` query parameter value [5] is not between 10 and 100"),
        ({"end": 5}, "'end_time' must be a minimum of 10 seconds prior to the request time"),
        ({"start": 8 * 86400}, "'start_time' must be on or after"),
        ({"start": 60, "end": 120}, "'end_time' must be after 'start_time'"),
        ({"start_time": "i går"}, "is not a valid RFC3339 date-time"),
        ({"next_token": "abc"}, "Invalid 'next_token'"),
        ({"query": "lang:no"}, "There were errors processing your request: is/has/lang"),
        ({"query": "a" * 513}, "is not between 1 and 512"),
        ({"since": 1}, "query parameter [since]"),
    ],
)
def test_search_refuses_what_x_refuses(fake: FakeX, params: dict[str, Any], message: str) -> None:
    asked: dict[str, Any] = {"query": "brann"}
    for name, value in params.items():
        if name in ("start", "end"):
            asked[f"{name}_time"] = rfc3339(fake.clock.now() - timedelta(seconds=value))
        else:
            asked[name] = value
    answer = call(fake, SEARCH, **asked)
    assert answer.status == 400
    assert answer.json["title"] == "Invalid Request"
    assert message in answer.json["errors"][0]["message"]


def test_search_lacks_and_lags_as_told(fake: FakeX) -> None:
    now = fake.clock.now() - timedelta(minutes=5)
    kept, lost = (fake.world.publish({"text": "brann"}, now, live=False).id for _ in range(2))
    fake.do("search_lacks", ids=[lost])
    assert [p["id"] for p in call(fake, SEARCH, query="brann").json["data"]] == [kept]
    fake.do("search_lag", seconds=3600)
    assert call(fake, SEARCH, query="brann").json == {"meta": {"result_count": 0}}


def test_counts_are_by_minute_hour_or_day_and_sum_up(fake: FakeX) -> None:
    end = fake.clock.now().replace(second=0, microsecond=0) - timedelta(minutes=2)
    start = end - timedelta(minutes=5, seconds=30)
    for ago in (10, 70, 80, 310):
        fake.world.publish({"text": "brann"}, end - timedelta(seconds=ago), live=False)
    span: dict[str, Any] = {"query": "brann", "start_time": rfc3339(start), "end_time": rfc3339(end)}
    answer = call(fake, COUNTS, granularity="minute", **span).json
    assert [b["tweet_count"] for b in answer["data"]] == [1, 0, 0, 0, 2, 1]
    assert answer["data"][0] == {
        "start": rfc3339(start),
        "end": rfc3339(start + timedelta(seconds=30)),
        "tweet_count": 1,
    }
    assert answer["meta"] == {"total_tweet_count": 4}
    hours = call(fake, COUNTS, granularity="hour", **span).json
    assert sum(b["tweet_count"] for b in hours["data"]) == 4
    assert len(call(fake, COUNTS, query="brann", granularity="day").json["data"]) == 8
    assert len(call(fake, COUNTS, query="brann", granularity="minute").json["data"]) == 7 * 24 * 60
    assert call(fake, COUNTS, query="brann", granularity="second").status == 400


def test_counts_come_in_pages_when_there_are_many(fake: FakeX) -> None:
    fake.api.search.count_page = 100
    pages: list[list[dict[str, Any]]] = []
    token: dict[str, Any] = {}
    span: dict[str, Any] = {"start_time": rfc3339(START - timedelta(hours=160, minutes=30)), "end_time": rfc3339(START)}
    time.sleep(0.2)  # until the end lies ten seconds back
    for _ in range(3):
        page = call(fake, COUNTS, query="brann", granularity="hour", **span, **token).json
        pages.append(page["data"])
        if "next_token" not in page["meta"]:
            break
        token = {"next_token": page["meta"]["next_token"]}
    assert [len(p) for p in pages] == [100, 61]
    assert pages[1][-1]["end"] == pages[0][0]["start"]


# -- connections, usage, limits, tokens --------------------------------------------------------------------------------


def test_connections_are_listed_and_closed(fake: FakeX) -> None:
    assert call(fake, "/2/connections").json == {"meta": {"result_count": 0}}
    with Reader(fake) as reader:
        (shown,) = call(fake, "/2/connections").json["data"]
        assert shown["endpoint_name"] == "filtered_stream"
        some = call(fake, "/2/connections", "DELETE", {"uuids": [shown["id"], "ukjent"]}).json["data"]
        assert (some["successful_kills"], some["failed_kills"]) == (1, 1)
        assert reader.line() == b""
    assert soon(lambda: not fake.streams.open)
    assert call(fake, "/2/connections", status="all").json["data"][0]["disconnect_reason"] == "killed by the client"
    with Reader(fake) as reader:
        connection = fake.streams.open[0].id
        assert call(fake, f"/2/connections/{connection}", "DELETE").json["data"]["successful_kills"] == 1
        assert reader.line() == b""


def test_a_stuck_connection_counts_until_it_is_deleted_or_its_time_is_over(fake: FakeX) -> None:
    fake.do("stuck")
    with Reader(fake) as reader:
        assert reader.status == 429
    assert call(fake, "/2/connections/all", "DELETE").json["data"]["successful_kills"] == 1
    with Reader(fake) as reader:
        assert reader.status == 200
    fake.do("stuck", seconds=15)
    with Reader(fake) as reader:
        assert reader.status == 429
    time.sleep(16 / 60)
    with Reader(fake) as reader:
        assert reader.status == 200


def test_usage_counts_a_post_once_a_day(fake: FakeX) -> None:
    with Reader(fake) as reader:
        post = fake.post("brann")
        reader.post()
        fake.do("again", ids=[post.id])
        assert reader.post()["data"]["id"] == post.id
    usage = call(fake, "/2/usage/tweets").json["data"]
    assert (usage["project_usage"], usage["project_cap"]) == ("1", "3000000")
    assert [o.kind for o in fake.world.offers] == ["live", "duplicate"]


def test_a_month_that_is_used_up_ends_the_streaming() -> None:
    with FakeX(plan=Plan("liten", 10, 512, 512, 1, 0, 1)) as fake:
        fake.world.add_rule("brann")
        with Reader(fake) as reader:
            fake.post("brann")
            reader.post()
        assert soon(lambda: not fake.streams.open)
        with Reader(fake) as reader:
            assert json.loads(reader.response.read())["title"] == "UsageCapExceeded"


@pytest.mark.parametrize(("path", "most"), [(STREAM, 50), (RULES, 450), (SEARCH, 450), (COUNTS, 300)])
def test_each_endpoint_has_its_limit_in_fifteen_minutes(fake: FakeX, path: str, most: int) -> None:
    name = {STREAM: "stream", RULES: "rules.get", SEARCH: "search", COUNTS: "counts"}[path]
    assert fake.limits.calls[name] == most
    fake.limits.calls[name] = 2
    fake.do("close_at_connect", times=2)
    params = {"query": "brann"} if path in (SEARCH, COUNTS) else {}
    began = fake.clock.now()
    answers = [call_raw(fake, path, params) for _ in range(3)]
    assert [status for status, _ in answers] == [200, 200, 429]
    assert [h["x-rate-limit-remaining"] for _, h in answers] == ["1", "0", "0"]
    reset = int(answers[2][1]["x-rate-limit-reset"]) - began.timestamp()
    assert 899 <= reset <= 915


def call_raw(fake: FakeX, path: str, params: dict[str, str]) -> tuple[int, dict[str, str]]:
    with closing(http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)) as connection:
        connection.request("GET", f"{path}?{urlencode(params)}", headers=AUTH)
        with connection.getresponse() as response:
            response.read()
            return response.status, dict(response.headers)


@pytest.mark.parametrize("auth", [{}, {"Authorization": "Bearer feil"}, {"Authorization": "Basic god"}])
def test_without_the_good_token_nothing_is_answered(fake: FakeX, auth: dict[str, str]) -> None:
    for path in (STREAM, RULES, SEARCH, COUNTS, "/2/connections", "/2/usage/tweets"):
        answer = call(fake, path, auth=auth)
        assert answer.status == 401
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json == {"title": "Unauthorized", "detail": "Unauthorized", "type": "about:blank", "status": 401}


def test_calls_share_a_connection(fake: FakeX) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", fake.port, timeout=10)) as connection:
        for _ in range(3):
            connection.request("GET", RULES, headers=AUTH)
            response = connection.getresponse()
            assert response.version == 11
            response.read()
            assert connection.sock is not None


# -- misbehaviour on the stream ----------------------------------------------------------------------------------------


def test_silence_holds_posts_and_keep_alives_back(fake: FakeX) -> None:
    with Reader(fake) as reader:
        began = fake.clock.now()
        fake.do("silence", seconds=45)
        post = fake.post("brann")
        assert json.loads(reader.line())["data"]["id"] == post.id
        assert (fake.clock.now() - began).total_seconds() >= 45


def test_silence_can_lose_what_comes_meanwhile(fake: FakeX) -> None:
    with Reader(fake) as reader:
        fake.do("silence", seconds=12, loses=True)
        lost = fake.post("brann")
        time.sleep(0.25)
        kept = fake.post("brann")
        assert reader.post()["data"]["id"] == kept.id
    assert lost.id in fake.world.due()
    assert lost.id not in fake.world.offered()


def test_a_reset_is_a_reset_and_a_close_is_a_close(fake: FakeX) -> None:
    with Reader(fake) as reader:
        fake.do("reset")
        with pytest.raises(ConnectionResetError):
            reader.line()
    with Reader(fake) as reader:
        fake.do("close")
        assert reader.response.read() == b""
    with Reader(fake) as reader:
        fake.do("abort")
        with pytest.raises(http.client.IncompleteRead):
            reader.response.read()
    assert [c.reason for c in fake.streams.all] == ["reset", "closed", "aborted"]


def test_two_hundred_and_close_at_each_connect(fake: FakeX) -> None:
    fake.do("close_at_connect", times=2)
    for _ in range(2):
        with Reader(fake) as reader:
            assert (reader.status, reader.response.read()) == (200, b"")
    with Reader(fake) as reader:
        post = fake.post("brann")
        assert reader.post()["data"]["id"] == post.id
    assert len(fake.requests(STREAM)) == 3


@pytest.mark.parametrize("then", ["close", "abort", "reset"])
def test_half_a_line_is_not_counted_as_offered(fake: FakeX, then: str) -> None:
    with Reader(fake) as reader:
        fake.do("half_line", then=then)
        post = fake.post("brann")
        got = b""
        try:
            while piece := reader.response.read1(100):
                got += piece
        except (ConnectionResetError, http.client.IncompleteRead):
            assert then != "close"
    assert got.startswith(b'{"data":{"id":"')
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(got)
    assert fake.world.cut == [(fake.streams.all[0].id, post.id)]
    assert fake.world.offered() == []
    assert fake.world.due() == [post.id]


def test_lines_that_are_no_posts_do_not_end_the_stream(fake: FakeX) -> None:
    with Reader(fake) as reader:
        fake.do("garbage", line="tull")
        assert reader.line() == b"tull\r\n"
        fake.do("bad_utf8")
        with pytest.raises(UnicodeDecodeError):
            reader.line().decode()
        fake.do("huge_line", size=300_000)
        line = long_line(reader)
        assert len(line) == 300_000
        assert "id" not in json.loads(line)["data"]
        fake.do("half_line", now=True)
        assert reader.response.read().endswith(b"Halve lin")


def long_line(reader: Reader) -> bytes:
    out = reader.line()
    while not out.endswith(b"\n"):
        out += reader.line()
    return out


@pytest.mark.parametrize("close", [True, False])
def test_a_disconnect_notice_may_end_the_stream_or_not(fake: FakeX, close: bool) -> None:
    with Reader(fake) as reader:
        fake.do("notice", close=close)
        (error,) = reader.post()["errors"]
        assert error["title"] == "operational-disconnect"
        assert error["disconnect_type"] == "UpstreamOperationalDisconnect"
        if close:
            assert reader.line() == b""
        else:
            fake.post("brann")
            assert reader.post()["data"]["text"] == "brann"


def test_posts_come_twice_untagged_unmatched_and_in_another_order(fake: FakeX) -> None:
    with Reader(fake) as reader:
        fake.do("twice")
        once = fake.post("brann")
        assert [reader.post()["data"]["id"] for _ in range(2)] == [once.id, once.id]
        fake.do("untagged")
        fake.post("brann")
        assert [r.keys() for r in reader.post()["matching_rules"]] == [{"id"}]
        fake.do("unmatched")
        fake.post("brann")
        assert "matching_rules" not in reader.post()
        fake.do("unordered", count=8)
        sent = [fake.post("brann").id for _ in range(8)]
        heard = [reader.post()["data"]["id"] for _ in range(8)]
    assert heard != sent
    assert sorted(heard) == sorted(sent)


def test_held_posts_come_when_their_time_is_up(fake: FakeX) -> None:
    with Reader(fake) as reader:
        fake.do("unordered", count=100, seconds=10)
        sent = {fake.post("brann").id for _ in range(3)}
        assert {reader.post()["data"]["id"] for _ in range(3)} == sent


def test_a_reader_that_left_is_noticed(fake: FakeX) -> None:
    with Reader(fake):
        assert len(fake.streams.open) == 1
    assert soon(lambda: not fake.streams.open)
    assert fake.streams.all[0].reason == "client disconnected"


# -- misbehaviour of calls ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [503, 401, 403])
def test_requests_are_refused_for_a_time(fake: FakeX, status: int) -> None:
    fake.do("refuse", status=status, on="search", seconds=15)
    assert call(fake, SEARCH, query="brann").status == status
    assert call(fake, RULES).status == 200
    assert soon(lambda: call(fake, SEARCH, query="brann").status == 200)


def test_forbidden_says_that_the_client_is_not_enrolled(fake: FakeX) -> None:
    fake.do("refuse", status=403, on="stream", times=1)
    with Reader(fake) as reader:
        assert reader.status == 403
        assert json.loads(reader.response.read())["reason"] == "client-not-enrolled"
    with Reader(fake) as reader:
        assert reader.status == 200


def test_too_many_requests_come_with_and_without_a_time_to_return(fake: FakeX) -> None:
    fake.do("limit", times=1, seconds=120)
    status, headers = call_raw(fake, STREAM, {})
    left = int(headers["x-rate-limit-reset"]) - fake.clock.now().timestamp()
    assert (status, headers["x-rate-limit-remaining"]) == (429, "0")
    assert 60 < left <= 122
    fake.do("limit", times=1, reset=False)
    status, headers = call_raw(fake, STREAM, {})
    assert status == 429
    assert not [h for h in headers if h.startswith("x-rate")]


def test_calls_hang_are_slow_and_are_dropped(fake: FakeX) -> None:
    fake.do("hang", on="rules.post", hold=600, times=1)
    with closing(http.client.HTTPConnection("127.0.0.1", fake.port, timeout=0.2)) as connection:
        connection.request("POST", RULES, "{}", AUTH)
        with pytest.raises(TimeoutError):
            connection.getresponse()
    assert fake.requests(RULES, "POST")[0].status == 0
    fake.do("slow", on="search", hold=18, times=1)
    began = fake.clock.now()
    assert call(fake, SEARCH, query="brann").status == 200
    assert (fake.clock.now() - began).total_seconds() >= 18
    fake.do("drop", on="rules", times=1)
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected)):
        call(fake, RULES)
    assert call(fake, RULES).status == 200


def test_the_date_can_be_wrong(fake: FakeX) -> None:
    def skew() -> float:
        date = parsedate_to_datetime(call(fake, RULES).headers["Date"])
        return (date - fake.clock.now()).total_seconds()

    assert abs(skew()) < 10
    fake.do("skew", seconds=-300)
    assert -310 < skew() < -290
    fake.do("heal")
    assert abs(skew()) < 10


# -- the record, the control port, scenarios, the end ------------------------------------------------------------------


def test_every_request_is_on_record_with_the_streams_open_then(fake: FakeX) -> None:
    call(fake, RULES, max_results=5)
    with Reader(fake):
        call(fake, RULES, "POST", {"add": [{"value": "røyk"}]})
    first, stream, last = fake.requests()
    assert (first.method, first.path, first.params, first.connections) == ("GET", RULES, {"max_results": "5"}, 0)
    assert (stream.path, stream.status) == (STREAM, 200)
    assert (last.body, last.connections, last.status) == ({"add": [{"value": "røyk"}]}, 1, 201)


def test_everything_can_be_commanded_and_asked_over_http(fake: FakeX) -> None:
    def ask(path: str, method: str = "GET", body: Any = None, **params: Any) -> Any:
        return call(fake, f"/__fake__/{path}", method, body, {}, **params)

    with Reader(fake) as reader:
        (post_id,) = ask("posts", "POST", {"text": "brann på kaia"}).json["ids"]
        assert reader.post()["data"]["id"] == post_id
        assert ask("do/garbage", "POST", {"line": "tull"}).json == {"did": 1}
        assert reader.line() == b"tull\r\n"
        assert ask("state").json["counted"] == 1
    rule = next(iter(fake.world.rules))
    assert ask("offered", rules=rule).json == {"ids": [post_id]}
    assert ask("due", end=rfc3339(START)).json == {"ids": []}
    assert ask("matching", query="kaia").json == {"ids": [post_id]}
    assert ask("searched").json == {"ids": []}
    assert ask("posts").json["posts"][0]["rules"] == [rule]
    assert [r["path"] for r in ask("requests").json["requests"]] == [STREAM]
    assert ask("do/explode", "POST").status == 400
    assert ask("do/silence", "POST", {"hours": 1}).status == 400
    assert ask("ukjent").status == 404
    answers = {verb: ask(f"do/{verb}", "POST", {}).json for verb in verbs()}
    assert not [a for a in answers.values() if "no such command" in a.get("error", "")]


def test_a_scenario_is_played_at_its_times() -> None:
    lines = [
        {"do": "start", "at": "2020-01-01T00:00:00Z"},
        {"id": "101", "text": "brann før", "created_at": "2019-12-31T23:50:00Z"},
        {"at": 0, "do": "foreign_rule", "value": "brann", "tag": "andres"},
        {"data": {"id": "102", "text": "brann nå", "created_at": "2020-01-01T00:00:30Z", "author_id": "9"},
         "includes": {"users": [{"id": "9", "username": "ola_f", "name": "Ola"}]}},
        {"at": 45, "do": "reset"},
    ]  # fmt: skip
    steps = steps_of(json.dumps(line) for line in lines)
    with FakeX(clock=ScaledClock(60, START), scenario=steps) as fake:
        assert soon(lambda: bool(fake.world.rules))
        with Reader(fake, expansions="author_id") as reader:
            heard = reader.post()
            assert heard["data"]["id"] == "102"
            assert heard["includes"]["users"][0]["username"] == "ola_f"
            with pytest.raises(ConnectionResetError):
                while reader.line():
                    pass
        assert fake.player.done.wait(3)
        post = fake.world.posts["102"]
        assert abs((post.created_at - START).total_seconds() - 30) < 15
        assert (post.published_at - post.created_at).total_seconds() < 15
        assert [p["id"] for p in call(fake, SEARCH, query="brann").json["data"]][-1] == "101"


def test_a_scenario_that_fails_is_reported_at_the_end() -> None:
    with (
        pytest.raises(AssertionError, match="scenario:1: "),
        FakeX(scenario=steps_of(['{"do": "delete", "id": "17"}'])) as fake,
    ):
        assert soon(lambda: bool(fake.failures))


def test_it_stops_at_once_whatever_is_going_on() -> None:
    before = set(threading.enumerate())
    fake = FakeX(scenario=steps_of(['{"at": 3600, "do": "reset"}'])).start()
    fake.world.add_rule("brann")
    fake.do("hang", on="rules", hold=600)
    fake.do("slow", on="search", hold=600)
    waiting = [
        threading.Thread(target=quietly, args=(lambda p=path: call(fake, p, query="brann"),))
        for path in (RULES, SEARCH)
    ]
    for thread in waiting:
        thread.start()
    with Reader(fake):
        assert soon(lambda: len(fake.requests()) == 3)
        began = time.monotonic()
        fake.stop()
        assert time.monotonic() - began < 1
    for thread in waiting:
        thread.join(2)
    assert set(threading.enumerate()) <= before
    assert fake.errors == []


def quietly(act: Callable[[], Any]) -> None:
    with suppress(OSError, http.client.HTTPException):
        act()


# -- tweepy ------------------------------------------------------------------------------------------------------------


class Elsewhere(HTTPAdapter):
    """Sends what is meant for X to the fake."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        assert request.url is not None
        request.url = request.url.replace("https://api.twitter.com", self._base, 1)
        return super().send(request, *args, **kwargs)


class Heard(tweepy.StreamingClient):
    def __init__(self, fake: FakeX) -> None:
        super().__init__("god", max_retries=5)
        self.session.mount("https://api.twitter.com", Elsewhere(fake.url))
        self.heard: list[Any] = []
        self.kept_alive = 0

    def on_response(self, response: Any) -> None:
        self.heard.append(response)

    def on_keep_alive(self) -> None:
        self.kept_alive += 1


@pytest.fixture
def client(fake: FakeX) -> Iterator[tweepy.Client]:
    made = tweepy.Client("god")
    made.session.mount("https://api.twitter.com", Elsewhere(fake.url))
    yield made
    made.session.close()


def test_tweepys_stream_reads_posts_and_keep_alives_and_comes_back_after_a_reset(fake: FakeX) -> None:
    heard = Heard(fake)
    thread = heard.filter(threaded=True, expansions="author_id", tweet_fields="created_at,lang")
    try:
        assert soon(lambda: bool(fake.streams.open))
        post = fake.post("brann", author="kari_f")
        assert soon(lambda: len(heard.heard) == 1)
        assert heard.heard[0].data.id == int(post.id)
        assert heard.heard[0].includes["users"][0].username == "kari_f"
        assert heard.heard[0].matching_rules[0].tag == "vår"
        assert soon(lambda: heard.kept_alive > 0)
        fake.do("reset")
        assert soon(lambda: len(fake.streams.all) == 2)
        fake.post("brann igjen")
        assert soon(lambda: len(heard.heard) == 2)
    finally:
        heard.disconnect()
        fake.do("close")
        thread.join(5)
    assert not thread.is_alive()


def test_tweepys_rules_search_and_counts_work(fake: FakeX, client: tweepy.Client) -> None:
    heard = Heard(fake)
    added = heard.add_rules([tweepy.StreamRule("røyk", "vår"), tweepy.StreamRule("lang:no")])
    assert [r.value for r in added.data] == ["røyk"]
    assert added.errors[0]["value"] == "lang:no"
    assert [r.tag for r in heard.get_rules().data] == ["vår", "vår"]
    assert heard.add_rules(tweepy.StreamRule("damp"), dry_run=True).meta["summary"]["valid"] == 1
    assert heard.delete_rules([r.id for r in added.data]).meta["summary"]["deleted"] == 1
    heard.session.close()
    now = fake.clock.now()
    for n in range(15):
        fake.world.publish({"text": f"brann {n}"}, now - timedelta(minutes=n + 2), live=False)
    pages = tweepy.Paginator(client.search_recent_tweets, "brann", max_results=10, tweet_fields="created_at")
    assert [len(page.data) for page in pages] == [10, 5]
    counts = client.get_recent_tweets_count("brann", granularity="day")
    assert counts.meta["total_tweet_count"] == 15


def test_tweepy_raises_what_x_means(fake: FakeX, client: tweepy.Client) -> None:
    for status, error in (
        (401, tweepy.Unauthorized), (403, tweepy.Forbidden), (429, tweepy.TooManyRequests),
        (503, tweepy.TwitterServerError),
    ):  # fmt: skip
        fake.do("refuse", status=status, on="search", times=1)
        with pytest.raises(error):
            client.search_recent_tweets("brann")
    with pytest.raises(tweepy.BadRequest, match="standalone"):
        client.search_recent_tweets("lang:no")
