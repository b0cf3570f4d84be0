"""YouTube's parts without a socket: what answers mean, comments become, and in which order things are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.clock import ManualClock
from listener.errors import Corrupt
from listener.maintenance.post_ids import post_id
from listener.model.gaps import Cause
from listener.model.records import AuthorClass, Origin
from listener.privacy.screen import Screen
from listener.settings.schema import Settings
from listener.sources.common.fields import Unusable
from listener.sources.common.polling import Answer, Outcome, Unanswered
from listener.sources.common.quota import DayQuota
from listener.sources.youtube.api import Page, Refused, Request, Trouble, listed, read
from listener.sources.youtube.cursor import Memory
from listener.sources.youtube.deletions import Held
from listener.sources.youtube.payload import read_comment
from listener.sources.youtube.schedule import Due, Schedule
from listener.sources.youtube.talks import Talks, floors_of
from listener.sources.youtube.threads import Met, Threads

AT = datetime(2031, 3, 2, 21, 0, tzinfo=UTC)
LATER = AT + timedelta(days=1)
CHANNEL = "UCfjordbysykehus00000000"
OURS = {CHANNEL: "fjordby"}
ID = "UgxQ1w2e3r4t5y6u7i8AaABAg"


def comment(id_: str = ID, **snippet: Any) -> dict[str, Any]:
    usual = {
        "textOriginal": "Er akutten åpen?", "publishedAt": "2031-03-02T20:59:00Z", "updatedAt": "2031-03-02T20:59:00Z",
        "authorChannelId": {"value": "UCkari"}, "videoId": "video000001", "channelId": CHANNEL,
    }  # fmt: skip
    return {"id": id_, "snippet": {k: v for k, v in {**usual, **snippet}.items() if v is not None}}


def thread(id_: str, at: datetime, count: int = 0, given: int = 0) -> dict[str, Any]:
    said = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    replies = [comment(f"{id_}.{n:08d}xx", publishedAt=said, updatedAt=said) for n in range(given)]
    top = comment(id_, publishedAt=said, updatedAt=said)
    out: dict[str, Any] = {"id": id_, "snippet": {"topLevelComment": top, "totalReplyCount": count}}
    return {**out, "replies": {"comments": replies}} if given else out


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode(), headers)


def post(raw: dict[str, Any]) -> Any:
    return read_comment(raw, CHANNEL, OURS, "youtube", LATER)


# --- answers --------------------------------------------------------------------------------------------------------


def test_a_page_has_its_items_the_next_token_and_the_platforms_clock() -> None:
    page = read(answer({"items": [{"id": "a"}, 7], "nextPageToken": "T"}, date="Sun, 02 Mar 2031 21:00:05 GMT"))
    assert page == Page(({"id": "a"}, {}), "T", AT + timedelta(seconds=5))
    assert read(answer({"items": []}, date="in the evening")) == Page(())


@pytest.mark.parametrize(
    ("status", "reason", "trouble", "cause"),
    [
        (403, "quotaExceeded", Trouble.QUOTA, Cause.RATE_LIMITED),
        (403, "rateLimitExceeded", Trouble.RATE_LIMITED, Cause.RATE_LIMITED),
        (429, "else", Trouble.RATE_LIMITED, Cause.RATE_LIMITED),
        (403, "commentsDisabled", Trouble.DISABLED, Cause.REFUSED),
        (400, "processingFailure", Trouble.PAGE, Cause.REFUSED),
        (400, "API_KEY_INVALID", Trouble.UNAUTHORIZED, Cause.UNAUTHORIZED),
        (401, "authError", Trouble.UNAUTHORIZED, Cause.UNAUTHORIZED),
        (403, "accessNotConfigured", Trouble.FORBIDDEN, Cause.FORBIDDEN),
        (404, "channelNotFound", Trouble.GONE, Cause.REFUSED),
        (400, "invalidFilters", Trouble.REFUSED, Cause.REFUSED),
        (302, "", Trouble.REFUSED, Cause.REFUSED),
        (500, "backendError", Trouble.SERVER, Cause.HTTP_5XX),
    ],
)
def test_an_error_is_told_by_its_reason_and_else_by_its_status(
    status: int, reason: str, trouble: Trouble, cause: Cause
) -> None:
    body = {"error": {"code": status, "message": "<b>hemmelig</b>", "errors": [{"reason": reason}]}}
    found = read(answer(body, status))
    assert isinstance(found, Refused)
    assert (found.trouble, found.cause, found.why) == (trouble, cause, f"HTTP {status} {reason}".strip())


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"items": 7}', b'{"items": [', b"\xff\xfe", b"null"])
def test_what_is_no_answer_is_garbled(body: bytes) -> None:
    assert read(answer(body)) == Refused(Trouble.NETWORK, Cause.GARBLED)
    assert isinstance(read(answer(body, 503)), Refused)


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["items", "error", "errors", "details", "reason", "nextPageToken", "id"]), inner)))  # fmt: skip
def test_no_json_whatever_breaks_the_reading(body: Any) -> None:
    for status in (200, 400, 403, 500):
        assert isinstance(read(answer(body, status)), Page | Refused)


def test_an_address_holds_no_key_and_no_repr_the_address() -> None:
    ask = listed(CHANNEL, "T").ask("https://h", {"X-Goog-Api-Key": "hemmelig"})
    assert "hemmelig" not in ask.url + repr(ask)
    assert "order=time" in ask.url
    assert "pageToken=T" in ask.url


# --- comments -------------------------------------------------------------------------------------------------------


def test_a_comment_becomes_a_post() -> None:
    found = post(comment())
    assert (found.source, found.id, found.text) == ("youtube", ID, "Er akutten åpen?")
    assert found.at == AT - timedelta(minutes=1)
    assert (found.author.id, found.author.handle) == ("UCkari", None)
    assert found.handles == {"fjordby": CHANNEL}
    assert found.url == f"https://www.youtube.com/watch?v=video000001&lc={ID}"
    assert (found.version, found.reply_to) == (None, None)


def test_the_hospitals_own_comment_has_its_handle_and_a_reply_its_parent() -> None:
    found = post(comment(f"{ID}.9aBcDeFgHiJ", authorChannelId={"value": CHANNEL}, parentId=ID))
    assert (found.author.handle, found.author.author_class, found.reply_to) == ("fjordby", AuthorClass.OWN, ID)
    assert post(comment(f"{ID}.9aBcDeFgHiJ")).reply_to == ID


@pytest.mark.parametrize("author", [None, {}, {"value": None}, {"value": ""}, "UCx", 7])
def test_who_is_not_given_is_nobody(author: Any) -> None:
    assert post(comment(authorChannelId=author)).author is None


def test_an_edit_is_a_version_and_was_said_when_it_was_made() -> None:
    found = post(comment(updatedAt="2031-03-02T21:30:00.5Z"))
    assert found.version == "20310302T213000.500000"
    assert found.at == AT + timedelta(minutes=30, seconds=0.5)
    assert post(comment(updatedAt="2031-03-02T20:58:59Z")).version is None


def test_nothing_is_said_in_the_future() -> None:
    assert read_comment(comment(), CHANNEL, OURS, "youtube", AT - timedelta(hours=1)).at == AT - timedelta(hours=1)


@pytest.mark.parametrize(
    ("snippet", "text"),
    [
        ({"textOriginal": "a &amp; <b>b</b>"}, "a &amp; <b>b</b>"),
        ({"textOriginal": None, "textDisplay": "a &amp; b"}, "a & b"),
        ({"textOriginal": None, "textDisplay": '<a href="https://a.no">her</a><br>nå &#39;her&#39;'}, "her\nnå 'her'"),
        ({"textOriginal": "", "textDisplay": "3 < 4 og 5 > 4"}, "3 < 4 og 5 > 4"),
    ],
)  # fmt: skip
def test_the_words_are_those_that_were_typed(snippet: dict[str, Any], text: str) -> None:
    assert post(comment(**snippet)).text == text


@pytest.mark.parametrize(
    "raw",
    [
        {}, {"id": ID}, {"id": ID, "snippet": []}, comment(id_=""), comment(id_="a b"), comment(publishedAt=None),
        comment(publishedAt="i går"), comment(publishedAt="1999-01-01T00:00:00Z"), comment(textOriginal=None),
        comment(textOriginal=7, textDisplay=7), comment(id_="../../etc/passwd-passwd"),
    ],
)  # fmt: skip
def test_what_is_no_comment_has_a_reason(raw: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        post(raw)


def test_no_name_is_left_in_what_goes_to_the_bus() -> None:
    said = "@kari_fra2 og @ola.n! @@liv-vik, @jon·dal se youtube.com/@per-9 og kari_fra2 på youtube"
    raw = comment(textOriginal=said, authorDisplayName="@hemmelig_9")
    mention = Screen(b"k" * 32, {}).mention(
        post(raw), incidents={"i": ("t",)}, captured_at=AT, origin=Origin.LIVE, exercise=False
    )
    told = mention.model_dump_json()
    for name in ("kari_fra2", "ola.n", "vik", "dal", "-9", "hemmelig_9", "UCkari"):
        assert name not in told


# --- talks ----------------------------------------------------------------------------------------------------------


class Api:
    """Answers each request of a talk, and keeps them."""

    def __init__(self, *answers: Outcome) -> None:
        self.answers = list(answers)
        self.asked: list[Request] = []
        self.taken: list[str] = []
        self.talks = Talks(lambda raw, channel: self.taken.append(str(raw["id"])), lambda raw, refused: None)

    def play(self, talk: Iterator[Request], most: int = 200) -> Refused | None:
        outcome: Outcome | None = None
        for _ in range(most):
            try:
                request = next(talk) if outcome is None else talk.send(outcome)  # type: ignore[attr-defined]
            except StopIteration as end:
                return end.value
            self.asked.append(request)
            outcome = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        raise AssertionError("a talk without end")


def page(*threads: dict[str, Any], next_: str | None = None) -> Answer:
    return answer({"items": list(threads), **({"nextPageToken": next_} if next_ else {})})


def ids(prefix: str, count: int) -> list[str]:
    return [f"Ug{prefix}{number:020d}" for number in range(count)]


def test_a_list_is_read_down_to_what_is_known() -> None:
    new = [thread(id_, AT + timedelta(minutes=1)) for id_ in ids("n", 20)]
    old = [thread(id_, AT - timedelta(minutes=1)) for id_ in ids("o", 20)]
    api = Api(page(*new, next_="2"), page(*new[:2], *old, next_="3"))
    assert api.play(api.talks.lists({CHANNEL: AT})) is None
    assert [request.params.get("pageToken") for request in api.asked] == [None, "2"]
    assert api.talks.newest == {CHANNEL: AT + timedelta(minutes=1)}
    assert len(api.taken) == 42


def test_a_page_from_within_the_second_of_the_floor_does_not_end_the_list() -> None:
    api = Api(page(*(thread(id_, AT) for id_ in ids("n", 5)), next_="2"), page(thread(ids("m", 1)[0], AT)))
    assert api.play(api.talks.lists({CHANNEL: AT + timedelta(milliseconds=700)})) is None
    assert len(api.taken) == 6


def test_an_old_thread_that_was_lifted_does_not_end_the_list() -> None:
    lifted, new = thread("Uglifted000000000000000", AT - timedelta(3), 3, 3), thread(ids("n", 1)[0], AT + timedelta(1))
    lifted["replies"]["comments"][0]["snippet"]["publishedAt"] = "2031-03-02T21:10:00Z"
    api = Api(page(new, lifted, lifted, lifted, next_="2"), page(thread(ids("o", 1)[0], AT - timedelta(1))))
    assert api.play(api.talks.lists({CHANNEL: AT})) is None
    assert len(api.asked) == 2


def test_answers_that_did_not_come_along_are_asked_for_once() -> None:
    id_ = ids("n", 1)[0]
    api = Api(
        page(thread(id_, AT + timedelta(1), 7, 5)), answer({"items": [comment(f"{id_}.{n:08d}yy") for n in range(7)]})
    )
    assert api.play(api.talks.lists({CHANNEL: AT})) is None
    assert [request.endpoint for request in api.asked] == ["threads", "replies"]
    api.answers = [page(thread(id_, AT + timedelta(1), 7, 5))]
    assert api.play(api.talks.lists({CHANNEL: AT})) is None
    assert [request.endpoint for request in api.asked] == ["threads", "replies", "threads"]


@pytest.mark.parametrize("reason", ["commentsDisabled", "commentNotFound"])
def test_answers_of_a_video_that_takes_none_are_no_trouble(reason: str) -> None:
    gone = answer({"error": {"errors": [{"reason": reason}]}}, 404 if reason == "commentNotFound" else 403)
    api = Api(page(thread(ids("n", 1)[0], AT + timedelta(1), 7, 5)), gone)
    assert api.play(api.talks.lists({CHANNEL: AT})) is None


def test_a_token_that_is_not_taken_begins_the_list_again() -> None:
    failure = answer({"error": {"errors": [{"reason": "processingFailure"}]}}, 400)
    new = page(thread(ids("n", 1)[0], AT + timedelta(1)), next_="2")
    old = page(thread(ids("o", 1)[0], AT - timedelta(1)))
    api = Api(new, failure, new, old)
    assert api.play(api.talks.lists({CHANNEL: AT})) is None
    assert [request.params.get("pageToken") for request in api.asked] == [None, "2", None, "2"]
    api = Api(failure)
    refused = api.play(api.talks.lists({CHANNEL: AT}))
    assert isinstance(refused, Refused)
    assert len(api.asked) == 4


def test_pages_without_end_are_left() -> None:
    for endless in (page(next_="2"), page(thread(ids("n", 1)[0], AT + timedelta(1)), next_="2")):
        api = Api(endless)
        refused = api.play(api.talks.lists({CHANNEL: AT}))
        assert isinstance(refused, Refused)
        assert refused.cause is Cause.GARBLED
        assert len(api.asked) < 30


def test_what_was_found_before_a_failure_was_taken() -> None:
    api = Api(page(thread(ids("n", 1)[0], AT + timedelta(1)), next_="2"), Unanswered(Cause.RESET))
    assert api.play(api.talks.lists({CHANNEL: AT})) == Refused(Trouble.NETWORK, Cause.RESET)
    assert len(api.taken) == 1


def test_threads_are_asked_for_again_in_turn_and_forgotten_where_they_are_gone() -> None:
    threads = Threads()
    for number, id_ in enumerate(ids("t", 120)):
        threads.read(id_, AT - timedelta(minutes=number), 0)
    turns = [threads.next_turn() for _ in range(4)]
    assert [len(turn) for turn in turns] == [50, 50, 20, 50]
    assert turns[0] == turns[3] == tuple(ids("t", 50))
    threads.forget_before(AT - timedelta(minutes=9))
    assert len(threads) == 10
    api = Api(page(thread(ids("t", 1)[0], AT)))
    api.talks.threads = threads
    assert api.play(api.talks.again()) is None
    assert len(threads) == 1


def test_of_those_we_hold_the_missing_ones_are_told() -> None:
    api = Api(
        answer({"items": [comment(id_) for id_ in ids("h", 60)[:50] if not id_.endswith("7")]}), answer({"items": []})
    )
    assert api.play(api.talks.still(ids("h", 60))) is None
    assert [len(request.params["id"].split(",")) for request in api.asked] == [50, 10]
    assert len(api.talks.gone) == 15


def test_a_list_is_read_to_what_was_met_and_to_what_the_api_gives_late() -> None:
    late = timedelta(minutes=2)
    assert floors_of([CHANNEL], {}, AT, late) == {CHANNEL: AT - late}
    assert floors_of([CHANNEL], {CHANNEL: AT - timedelta(days=1)}, AT, late) == {CHANNEL: AT - timedelta(days=1)}
    assert floors_of([CHANNEL], {CHANNEL: AT}, AT, late) == {CHANNEL: AT - late}


# --- memory, deletions, schedule ------------------------------------------------------------------------------------


def test_a_comment_is_met_once_in_each_version() -> None:
    met = Met(most=2)
    assert met.is_new("a", None, AT)
    assert not met.is_new("a", None, AT)
    assert met.is_new("a", "2", AT)
    assert not met.is_new("a", "1", AT)
    met.forget_since(AT)
    assert met.is_new("a", "2", AT)


def test_what_is_missing_once_is_suspected_and_twice_gone() -> None:
    held = Held()
    held.learn(["a", "b@20310302T213000", "c"])
    assert held.to_ask() == ["a", "b", "c"]
    assert held.judge({"a", "b", "x"}) == ()
    assert (held.suspected, held.to_ask()) == (True, ["a", "b"])
    assert held.judge({"b"}) == ("b",)
    assert (held.suspected, held.to_ask()) == (False, ["a", "c"])


def test_a_cursor_is_read_back_and_what_is_none_is_refused() -> None:
    memory = Memory(AT, {CHANNEL: AT}, {"i": AT}, {"source_silent": AT}, LATER)
    assert Memory.parse(str(memory)) == memory
    assert Memory.parse(str(Memory())) == Memory()
    for text in ("", "{}", "7", '{"heard":7,"checked":null}', str(memory)[:-2]):
        with pytest.raises(Corrupt):
            Memory.parse(text)


def schedule(clock: ManualClock, **more: Any) -> Schedule:
    usual: dict[str, Any] = {"crisis": timedelta(seconds=15), "calm": timedelta(minutes=15)}
    return Schedule(clock, lambda: 0.0, deletions=timedelta(days=1), channels=1, **{**usual, **more})


def due(its: Schedule, quota: DayQuota, clock: ManualClock, **more: Any) -> Due | None:
    usual: dict[str, Any] = {"crisis": True, "rounds": True, "held": 0, "threads": 0, "owner": False, "filling": False}
    return its.due(quota, clock.now(), **{**usual, **more})


def test_a_round_comes_as_often_as_the_mode_says_and_the_units_allow() -> None:
    clock = ManualClock(datetime(2031, 6, 3, 7, 0, tzinfo=UTC))
    its, rich = schedule(clock), DayQuota("youtube", 10_000, "America/Los_Angeles", clock.now())
    assert due(its, rich, clock) is Due.ROUND
    its.went_well(Due.ROUND, 1, rich, clock.now(), crisis=True, held=0)
    clock.advance(timedelta(seconds=14))
    assert due(its, rich, clock) is None
    clock.advance(timedelta(seconds=1))
    assert due(its, rich, clock) is Due.ROUND
    poor = DayQuota("youtube", 1_000, "America/Los_Angeles", clock.now())
    its.went_well(Due.ROUND, 1, poor, clock.now(), crisis=True, held=0)
    assert its.is_stretched
    clock.advance(timedelta(seconds=80))
    assert due(its, poor, clock) is None
    clock.advance(timedelta(seconds=10))
    assert due(its, poor, clock) is Due.ROUND


def test_in_calm_half_of_the_units_stay_for_a_crisis() -> None:
    clock = ManualClock(datetime(2031, 6, 3, 19, 0, tzinfo=UTC))
    its, quota = schedule(clock), DayQuota("youtube", 1_000, "America/Los_Angeles", clock.now())
    quota.spend("threads", 501, clock.now())
    assert due(its, quota, clock, crisis=False) is None
    assert due(its, quota, clock, crisis=False, filling=True) is Due.ROUND
    assert due(its, quota, clock) is Due.ROUND


def test_what_went_wrong_is_tried_again_with_growing_pauses_and_a_refusal_more_rarely() -> None:
    clock = ManualClock(AT)
    quota = DayQuota("youtube", 10_000, "America/Los_Angeles", clock.now())

    def waits(*troubles: Trouble) -> list[int]:
        its, out = schedule(clock), []
        for trouble in troubles:
            its.failed(trouble)
            seconds = 0
            while due(its, quota, clock) is None:
                clock.advance(timedelta(seconds=1))
                seconds += 1
            out.append(seconds)
        return out

    assert waits(*[Trouble.SERVER] * 6) == [5, 10, 20, 40, 60, 60]
    assert waits(*[Trouble.UNAUTHORIZED] * 6) == [60, 120, 240, 480, 900, 900]
    assert waits(*[Trouble.SERVER] * 3, Trouble.RATE_LIMITED, Trouble.SERVER) == [5, 10, 20, 60, 40]


def test_it_is_asked_what_is_deleted_once_a_day_and_again_soon_for_what_is_missing() -> None:
    clock = ManualClock(AT)
    its, quota = schedule(clock), DayQuota("youtube", 10_000, "America/Los_Angeles", clock.now())
    calm = {"crisis": False, "rounds": False, "held": 3}
    assert due(its, quota, clock, **calm) is Due.STILL
    its.went_well(Due.STILL, 1, quota, clock.now(), crisis=False, held=3)
    its.suspects = True
    clock.advance(timedelta(minutes=9))
    assert due(its, quota, clock, **calm) is None
    clock.advance(timedelta(minutes=1))
    assert due(its, quota, clock, **calm) is Due.STILL
    its.suspects, its.checked = False, clock.now()
    its.went_well(Due.STILL, 1, quota, clock.now(), crisis=False, held=3)
    clock.advance(timedelta(hours=23))
    assert due(its, quota, clock, **calm) is None
    clock.advance(timedelta(hours=1))
    assert due(its, quota, clock, **calm) is Due.STILL
    assert due(its, quota, clock, crisis=False, rounds=False) is None


# --- ids and settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        f"youtube:{ID}", f"https://www.youtube.com/watch?v=video000001&lc={ID}", f"m.youtube.com/watch?lc={ID}&v=x",
        f"youtube:https://youtu.be/video000001?lc={ID}",
    ],
)  # fmt: skip
def test_a_comment_is_named_by_its_id_or_its_link(typed: str) -> None:
    assert post_id(typed) == f"youtube:{ID}"


@pytest.mark.parametrize(
    ("typed", "said"),
    [("youtube:x y", "no post id"), ("https://www.youtube.com/watch?v=video000001", "no comment")],
)
def test_what_names_no_comment_is_refused(typed: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        post_id(typed)


def test_channels_are_named_by_id_with_their_handles() -> None:
    found = Settings.model_validate({"youtube": {"channels": {CHANNEL: "@Fjordby", "UC" + "a" * 22: ""}}})
    assert found.youtube.channels == {CHANNEL: "fjordby", "UC" + "a" * 22: ""}
