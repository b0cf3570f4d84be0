"""Instagram's parts, each alone: payloads, calls of the webhook, the week's hashtags, the cursor, what is asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from listener.errors import Corrupt
from listener.model.incidents import Incident
from listener.model.records import AuthorClass, Origin, Post
from listener.privacy.screen import Screen
from listener.settings.instagram import InstagramSettings
from listener.sources.common.fields import Unusable
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.instagram.cursor import Memory, Wanted
from listener.sources.instagram.hashtags import WEEK, Spent, TagBudget
from listener.sources.instagram.held import CONFIRM, Held
from listener.sources.instagram.parts import Ears
from listener.sources.instagram.payload import (
    Account,
    Medium,
    read_call,
    read_comment,
    read_medium,
    read_mention,
    told_comment,
)
from listener.sources.instagram.post_ids import POST_IDS, split
from listener.sources.instagram.questions import Kind, Part, Question
from listener.sources.instagram.round import Found, Plan, Round
from listener.sources.instagram.sorting import Sorting

NOW = datetime(2031, 2, 3, 12, tzinfo=UTC)
OURS = Account("17841400000000001", "fjordbysykehus")
MEDIUM, COMMENT = "17900000000000007", "17900000000000014"


def comment(**more: Any) -> dict[str, Any]:
    at = "2031-02-03T11:59:00+0000"
    return {"id": COMMENT, "text": "Hvor lenge?", "timestamp": at, "username": "Kari_Vakt", **more}


# --- payloads --------------------------------------------------------------------------------------------------------


def test_a_comment_is_read_and_no_name_reaches_the_bus() -> None:
    post = read_comment(comment(text="@kari_vakt &lt;hei&gt; instagram.com/kari_vakt"), MEDIUM, "Brann", OURS, NOW)
    assert (post.id, post.reply_to, post.at) == (f"{MEDIUM}_{COMMENT}", MEDIUM, NOW - timedelta(minutes=1))
    assert post.text == "@kari_vakt <hei> instagram.com/kari_vakt"
    assert post.author is not None
    assert post.author.author_class is AuthorClass.UNKNOWN
    made = Screen(b"k" * 32, {}).mention(
        post, incidents={"brann-0": ("granvik",)}, origin=Origin.LIVE, captured_at=NOW, exercise=False
    )
    assert "kari_vakt" not in made.model_dump_json()
    assert "Brann" not in made.model_dump_json()


def test_what_we_say_ourselves_is_our_own_and_what_lies_ahead_is_of_now() -> None:
    ahead = comment(username="FjordbySykehus", timestamp="2031-02-03T13:00:00+0000")
    post = read_comment(ahead, MEDIUM, "", OURS, NOW)
    assert post.at == NOW
    assert post.author is not None
    assert post.author.author_class is AuthorClass.OWN


@pytest.mark.parametrize(
    "raw",
    [
        {}, comment(text=7), comment(text=""), comment(timestamp="i går"), comment(id=None), comment(timestamp=None),
        comment(timestamp="1970-01-01T00:00:00+0000"),
    ],
)  # fmt: skip
def test_what_is_no_comment_is_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(Unusable):
        read_comment(raw, MEDIUM, "", OURS, NOW)


def test_a_medium_of_anothers_is_nobodys() -> None:
    raw = {"id": MEDIUM, "caption": "Røyk #mittous", "timestamp": "2031-02-03T11:00:00+0000", "username": "ola"}
    post = read_medium({**raw, "permalink": "https://www.instagram.com/p/Cxyz/"}, NOW)
    assert (post.author, post.id, post.url) == (None, MEDIUM, "https://www.instagram.com/p/Cxyz/")
    with pytest.raises(Unusable):
        read_medium({**raw, "caption": None}, NOW)


def test_a_mention_is_matched_by_our_name_whatever_it_says() -> None:
    said = {"id": COMMENT, "text": "er det åpent?", "timestamp": "2031-02-03T11:00:00+0000"}
    in_comment = read_mention({"mentioned_comment": said, "id": OURS.id}, MEDIUM, OURS, NOW)
    assert (in_comment.id, in_comment.author) == (f"{MEDIUM}_{COMMENT}", None)
    assert in_comment.quoted is not None
    assert in_comment.quoted.handles == ("fjordbysykehus",)
    caption = {"id": MEDIUM, "caption": "takk", "timestamp": "2031-02-03T11:00:00+0000"}
    assert read_mention({"mentioned_media": caption}, MEDIUM, OURS, NOW).id == MEDIUM
    with pytest.raises(Unusable):
        read_mention({"mentioned_comment": None}, MEDIUM, OURS, NOW)


# --- calls of the webhook --------------------------------------------------------------------------------------------


def call(*changes: dict[str, Any], entry: str = OURS.id, **more: Any) -> bytes:
    its = {"id": entry, "time": int(NOW.timestamp()) - 5, "changes": list(changes), **more}
    return json.dumps({"object": "instagram", "entry": [its]}).encode()


SAID = {"id": COMMENT, "text": "hei", "from": {"id": "7", "username": "kari"}, "media": {"id": MEDIUM}}


def test_a_call_tells_comments_with_their_words_and_mentions_as_ids() -> None:
    body = call(
        {"field": "comments", "value": {**SAID, "parent_id": "17900000000000021"}},
        {"field": "mentions", "value": {"media_id": MEDIUM, "comment_id": COMMENT}},
        {"field": "mentions", "value": {"media_id": MEDIUM}},
        {"field": "story_insights", "value": {}},
    )
    told, bad = read_call(body, OURS.id, NOW)
    assert bad == []
    assert [(each.comment, each.raw is None) for each in told] == [(COMMENT, False), (COMMENT, True), (None, True)]
    post = told_comment(told[0], "Brann", OURS)
    assert (post.at, post.reply_to) == (NOW - timedelta(seconds=5), f"{MEDIUM}_17900000000000021")


def test_with_instagram_login_a_change_stands_in_the_entry_itself() -> None:
    its = {"id": OURS.id, "time": 1, "field": "comments", "value": SAID}
    told, _ = read_call(json.dumps({"object": "instagram", "entry": [its]}).encode(), OURS.id, NOW)
    assert [each.comment for each in told] == [COMMENT]
    assert told[0].at == NOW  # its time was none


def test_what_is_about_another_account_is_not_ours_and_a_time_ahead_is_now() -> None:
    assert read_call(call({"field": "comments", "value": SAID}, entry="17841400000000009"), OURS.id, NOW) == ([], [])
    told, _ = read_call(call({"field": "comments", "value": SAID}, time=int(NOW.timestamp()) + 3600), OURS.id, NOW)
    assert told[0].at == NOW


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'{"object": "page", "entry": []}', b"\xff\xfe"])
def test_what_is_no_call_of_instagrams_is_said_to_be_none(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whatever is wrong
        read_call(body, OURS.id, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"field": "comments", "value": {"id": "1", "text": "x"}},
        {"field": "comments", "value": 7},
        {"field": "mentions", "value": {"comment_id": "1"}},
    ],
)
def test_a_change_that_cannot_be_used_is_counted_and_those_beside_it_are_taken(change: dict[str, Any]) -> None:
    told, bad = read_call(call(change, {"field": "comments", "value": SAID}), OURS.id, NOW)
    assert (len(told), bad) == (1, [change])


# --- the week's hashtags ---------------------------------------------------------------------------------------------


def test_thirty_hashtags_in_seven_days_and_each_is_free_again_after_its_week() -> None:
    spent: dict[str, Spent] = {f"gammel{n}": Spent(NOW - timedelta(days=6, hours=23, minutes=n)) for n in range(28)}
    budget = TagBudget(["mittous", "ous", "fjordby"], spent)
    assert budget.allowed(NOW) == ("mittous", "ous")
    assert budget.refused(NOW) == ("fjordby",)
    for tag in budget.allowed(NOW):
        budget.spend(tag, NOW)
    budget.learn("mittous", "17840000000000000")
    assert (budget.used(NOW), budget.id_of("mittous"), budget.id_of("ous")) == (30, "17840000000000000", None)
    assert budget.allowed(NOW) == ("mittous", "ous")  # spent already: asked as often as wished
    later = NOW + timedelta(hours=1)
    assert budget.allowed(later) == ("mittous", "ous", "fjordby")
    assert TagBudget(["mittous"], spent).used(NOW + WEEK) == 0


def test_a_hashtag_is_written_as_people_write_it() -> None:
    made = InstagramSettings.model_validate({"hashtags": ["#MittOUS", "mittous", "ærlig"]})
    assert made.hashtags == ("mittous", "ærlig")


# --- the cursor, the ids ---------------------------------------------------------------------------------------------


def test_the_cursor_comes_back_as_it_was_and_one_that_is_none_is_told() -> None:
    memory = Memory(
        heard={"": NOW, "comments": NOW}, given=NOW, counted=None, up=NOW, shut=NOW, back={"brann-0": "ab"},
        tags={"mittous": Spent(NOW, "1784")}, wanted=[Wanted("1", None, NOW), Wanted("1", "2", NOW)],
        notices={"source_silent": NOW},
    )  # fmt: skip
    assert Memory.parse(str(memory)) == memory
    for wrong in ("", "{}", "null", '{"heard": 7}', str(memory)[:-2]):
        with pytest.raises(Corrupt):
            Memory.parse(wrong)


def test_ids_are_those_of_the_api_and_a_link_holds_none() -> None:
    assert POST_IDS.parse(f"{MEDIUM}_{COMMENT}") == f"{MEDIUM}_{COMMENT}"
    assert split(MEDIUM) == (MEDIUM, None)
    with pytest.raises(ValueError, match="no id of its API"):
        POST_IDS.in_link("https://www.instagram.com/p/Cxyz123/?igsh=1")
    assert POST_IDS.in_link("https://www.instagram.com/fjordbysykehus/") is None


# --- what we hold ----------------------------------------------------------------------------------------------------


def there(id_: str) -> Answer:
    return Answer(outcome=Outcome.OK, data={"id": id_}, status=200)


GONE = Answer(outcome=Outcome.STOPPED, code=100, status=400)


def ask(held: Held, now: float) -> Question:
    question = held.next(now)
    assert question is not None
    return question


def test_a_comment_is_gone_when_it_does_not_answer_twice_and_its_medium_does() -> None:
    held = Held(3600.0, lambda: 0.5)
    held.learn([f"{MEDIUM}_{COMMENT}", MEDIUM])  # a medium of another's cannot be asked for
    assert len(held) == 1
    for now in (0.0, CONFIRM + 1):
        question = ask(held, now)
        assert (question.kind, question.path) == (Kind.ALIVE, COMMENT)
        follow = held.take(question, GONE, now)
        assert isinstance(follow, Question)
        assert follow.path == MEDIUM
        gone = held.take(follow, there(MEDIUM), now)
    assert gone == f"{MEDIUM}_{COMMENT}"
    assert (len(held), held.next(10_000.0)) == (0, None)


def test_one_that_answers_again_was_never_gone_and_where_the_medium_is_silent_nothing_is_known() -> None:
    held = Held(3600.0, lambda: 0.5)
    held.learn([f"{MEDIUM}_{COMMENT}"])
    follow = held.take(ask(held, 0.0), GONE, 0.0)
    assert isinstance(follow, Question)
    assert held.take(follow, there(MEDIUM), 0.0) is None
    assert held.take(ask(held, CONFIRM + 1), there(COMMENT), CONFIRM + 1) is None
    assert held.next(CONFIRM + 2) is None
    late = 4 * 3600.0
    for _ in range(3):
        follow = held.take(ask(held, late), GONE, late)
        assert isinstance(follow, Question)
        assert held.take(follow, GONE, late) is None
        late += 2 * 3600.0  # asked again in its turn
    assert len(held) == 1


def test_an_empty_answer_of_a_wrong_token_and_a_fault_take_nothing() -> None:
    held = Held(600.0, lambda: 0.5)
    held.learn([f"{MEDIUM}_{COMMENT}"])
    empty = Answer(outcome=Outcome.OK, data={"data": []}, status=200)
    for answer in (empty, Answer(outcome=Outcome.UNAVAILABLE, status=500), Answer(outcome=Outcome.UNAUTHORIZED)):
        assert held.take(questioned(), answer, 0.0) is None
    follow = held.take(questioned(), GONE, 0.0)
    assert isinstance(follow, Question)
    for answer in (empty, Answer(outcome=Outcome.UNAVAILABLE, status=500)):
        assert held.take(follow, answer, 0.0) is None
    assert len(held) == 1


def questioned() -> Question:
    held = Held(600.0, lambda: 0.5)
    held.learn([f"{MEDIUM}_{COMMENT}"])
    return ask(held, 0.0)


def test_each_is_asked_for_within_its_time_and_never_in_a_rush() -> None:
    held = Held(86_400.0, lambda: 0.5)
    held.learn([f"{MEDIUM}_{17_900_000_000_000_000 + n}" for n in range(100)])
    asked, now = [], 0.0
    while now < 86_400.0:
        if (question := held.next(now)) is not None:
            asked.append(question.about)
            held.take(question, there(question.about), now)
        now += 60.0
    assert len(set(asked)) == 100
    assert len(asked) <= 101


# --- a round ---------------------------------------------------------------------------------------------------------


def plan(**more: Any) -> Plan:
    parts = {"parts": (Part.COMMENTS,), "tags": (), "tagged": False, "media": 20, "heard": {Part.COMMENTS: NOW}}
    return Plan(account=OURS.id, **{**parts, **more})


def begun(its: Plan) -> Round:
    made = Round(its, OURS, TagBudget(its.tags, {}), lambda date: NOW + timedelta(minutes=5))
    medium = {"id": MEDIUM, "caption": "Brann", "timestamp": "2031-02-01T12:00:00+0000"}
    data = {"id": OURS.id, "username": "fjordbysykehus", "media_count": 1, "media": {"data": [medium]}}
    question = made.next()
    assert question is not None
    made.take(question, Answer(outcome=Outcome.OK, status=200, data=data))
    return made


def page(first: int, count: int, *, more: bool, at: datetime = NOW + timedelta(minutes=1)) -> Answer:
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S+0000")
    items = [comment(id=str(17_900_000_000_000_000 + first + n), timestamp=stamp) for n in range(count)]
    paging = {"next": f"https://graph.example/x?after={first + count}"} if more else {}
    return Answer(outcome=Outcome.OK, status=200, data={"data": items, "paging": paging})


def take(its: Round, answer: Answer) -> Any:
    question = its.next()
    assert question is not None
    return its.take(question, answer)


@pytest.mark.parametrize(
    ("pages", "cut", "whole"),
    [
        ([page(0, 50, more=False)], 1, False),
        ([page(0, 50, more=True), page(50, 10, more=False)], 1, True),
        ([page(0, 50, more=True), page(50, 50, more=False)], 1, False),
        ([page(0, 50, more=True), page(50, 50, more=True, at=NOW - timedelta(hours=1))], 1, True),
        ([page(0, 50, more=True, at=NOW - timedelta(hours=1))], 0, False),
        ([page(0, 49, more=False)], 0, False),
        ([page(0, 0, more=True), page(0, 3, more=False)], 0, False),
        ([page(n * 50, 50, more=True) for n in range(10)], 1, False),
    ],
)
def test_a_page_of_nothing_but_new_ones_is_cut_though_the_next_may_make_it_whole(
    pages: list[Answer], cut: int, whole: bool
) -> None:
    its = begun(plan())
    for each in pages:
        assert not its.over
        take(its, each)
    assert its.over
    assert its.done() == (Part.COMMENTS,)
    assert [each.whole for each in its.cuts] == [whole] * cut


def test_an_account_that_does_not_come_back_as_ours_ends_the_round() -> None:
    for data in ({"data": []}, {"id": "17841400000000009"}, {"id": OURS.id, "media_count": 3}):
        its = Round(plan(), OURS, TagBudget((), {}), lambda date: NOW)
        take(its, Answer(outcome=Outcome.OK, status=200, data=data))
        assert its.over
        assert its.ended is not None
        assert its.ended.outcome is Outcome.STOPPED
        assert its.done() == ()


def test_what_one_part_may_not_leaves_the_others_alone() -> None:
    its = begun(plan(parts=(Part.COMMENTS, Part.HASHTAGS, Part.TAGGED), tags=("mittous",), tagged=True))
    forbidden = Answer(outcome=Outcome.FORBIDDEN, code=10, status=403)
    take(its, forbidden)
    take(its, forbidden)
    take(its, Answer(outcome=Outcome.OK, status=200, data={"data": []}))
    assert its.done() == (Part.TAGGED,)
    assert set(its.failed) == {Part.COMMENTS, Part.HASHTAGS}


def test_limited_in_the_middle_nothing_more_is_asked() -> None:
    its = begun(plan(parts=(Part.COMMENTS, Part.TAGGED), tagged=True))
    take(its, Answer(outcome=Outcome.RATE_LIMITED, code=80002, status=400))
    assert its.over
    assert its.next() is None
    assert its.done() == ()


def test_answers_beyond_those_within_a_comment_are_asked_for() -> None:
    its = begun(plan())
    answers = {"data": [comment(id="17900000000000022")], "paging": {"next": "https://graph.example/x?after=1"}}
    found = take(its, Answer(outcome=Outcome.OK, status=200, data={"data": [comment(replies=answers)]}))
    assert [post.reply_to for post in found.posts] == [MEDIUM, f"{MEDIUM}_{COMMENT}"]
    question = its.next()
    assert question is not None
    assert (question.kind, question.path) == (Kind.REPLIES, f"{COMMENT}/replies")


def test_media_of_a_hashtag_from_more_than_a_day_ago_are_not_to_be_had() -> None:
    parts = {"parts": (Part.HASHTAGS,), "tags": ("mittous",), "heard": {Part.HASHTAGS: NOW - timedelta(hours=30)}}
    its = begun(plan(**parts))
    (cut,) = its.cuts
    assert (cut.part, cut.whole, cut.end - cut.start) == (Part.HASHTAGS, False, timedelta(hours=6, minutes=5))


# --- sorting ---------------------------------------------------------------------------------------------------------


def sorting(memory: Memory, *incidents: Incident) -> Sorting:
    made = Sorting(memory, Ears((Part.COMMENTS,)), lambda: NOW)
    made.follow({incident.id: incident for incident in incidents}, ())
    return made


def fire(opened: datetime = NOW - timedelta(hours=1), lookback: float = 0.0) -> Incident:
    return Incident(
        id="brann-0", name="Brann", tracks=("granvik",), opened_at=opened, opened_by="vakt", why="prøve",
        review_at=opened + timedelta(hours=4), lookback=lookback,
    )  # fmt: skip


def said(minutes: float, number: int = 0) -> Post:
    id_ = str(17_900_000_000_000_000 + number)
    return Post(source="instagram", id=f"{MEDIUM}_{id_}", at=NOW + timedelta(minutes=minutes), text="granvik")


def test_what_a_call_told_and_nobody_could_keep_is_taken_when_it_is_told_again() -> None:
    its = sorting(Memory(), fire())
    its.media = {MEDIUM: Medium(MEDIUM, NOW)}
    assert its.told(Part.COMMENTS, [said(-1)]).posts == (said(-1),)
    assert its.told(Part.COMMENTS, [said(-1)]).doubles == 1
    its.told(Part.COMMENTS, [said(-2, 1)])
    its.forget_told()
    assert its.told(Part.COMMENTS, [said(-2, 1)]).posts == (said(-2, 1),)


def test_the_place_behind_a_round_is_known_only_with_the_last_of_what_it_found() -> None:
    memory = Memory(given=NOW - timedelta(minutes=10))
    its = sorting(memory, fire(lookback=7200.0))
    its.put(Found(Part.COMMENTS, [said(-5), said(-30, 1), said(-90, 2)]), NOW)
    its.round_is_over(NOW, {"": NOW})
    taken = [(its.take(), bool(memory.heard)) for _ in range(4)]
    assert [each.origin for each, _ in taken if each is not None] == [None, Origin.GAP_FILL, Origin.LOOKBACK]
    assert [known for _, known in taken] == [False, False, True, True]
    assert memory.back.keys() == {"brann-0"}


def test_in_calm_a_post_counts_between_two_rounds_and_in_one_batch_with_the_place_behind_it() -> None:
    memory = Memory(counted=NOW - timedelta(minutes=30))
    its = sorting(memory)
    found = Found(Part.COMMENTS, [said(-40), said(-20, 1), said(-0.1, 2)])
    its.put(found, NOW)
    assert its.take() is None
    its.round_begins()  # that one was not brought to its end
    its.put(found, NOW)
    its.put(found, NOW)
    its.round_is_over(NOW, {"": NOW})
    taken = its.take()
    assert taken is not None
    assert taken.posts == (said(-20, 1),)
    assert memory.counted == NOW - timedelta(seconds=30)
