"""YouTube against a fake on a real socket: each way in which polling goes wrong ends with nothing lost or twice.

A minute of the listener's and YouTube's time passes in each second of the test's.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from listener_support import ListenerDeployment, WrongClock
from youtube_support import KEY, OAUTH, Tube, tube, units

from listener.model.gaps import Cause, is_whole
from listener.model.incidents import Action
from tests.fakes.youtube import CHANNEL, FakeYoutube, channel_of

SLOWLY = 20.0
"""Real seconds that something may take which waits for minutes of YouTube's."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Tube]:
    with tube(tmp_path) as found:
        yield found


@pytest.fixture
def crisis(here: Tube) -> ListenerDeployment:
    return here.crisis()


def hear(deployment: ListenerDeployment, *ids: str) -> None:
    deployment.turn_until(lambda: all(deployment.captured()[id_] == 1 for id_ in ids), SLOWLY)


def causes(deployment: ListenerDeployment) -> list[str]:
    """Of its gaps; left out is that this machine was so busy that a round took a minute of YouTube's."""
    return [cause for cause in deployment.causes() if cause != Cause.SILENCE]


def nothing_lost_or_twice(here: Tube, deployment: ListenerDeployment) -> None:
    deployment.turn_until(lambda: deployment.hears() and not here.lost(deployment), SLOWLY)
    assert not [id_ for id_, count in deployment.captured().items() if count > 1]


def texts(deployment: ListenerDeployment) -> list[str]:
    return [value["text"] for value in deployment.values("mentions", "mention")]


# --- comments and answers -----------------------------------------------------------------------------------------


def test_comments_and_all_answers_are_captured_once(here: Tube, crisis: ListenerDeployment) -> None:
    top = here.say("er akutten åpen")
    answers = [here.say(f"svar nummer {number}", reply_to=top) for number in range(8)]
    hear(crisis, top, *answers)
    mention = next(value for value in crisis.values("mentions", "mention") if value["id"] == answers[7])
    assert mention["reply_to"] == top
    assert mention["url"] == f"https://www.youtube.com/watch?v=video000001&lc={mention['id']}"
    assert mention["incidents"] == {next(iter(mention["incidents"])): ["@fjordby"]}
    crisis.turn_for(0.6)
    assert max(crisis.captured().values()) == 1


def test_more_than_a_page_is_read_page_by_page(here: Tube, crisis: ListenerDeployment) -> None:
    said = [here.say(f"granvik {number}") for number in range(70)]
    hear(crisis, *said)
    nothing_lost_or_twice(here, crisis)


@pytest.mark.parametrize("lifts", [False, True])
def test_an_answer_to_a_thread_far_down_is_found(here: Tube, crisis: ListenerDeployment, lifts: bool) -> None:
    here.fake.do("lift", threads=lifts)
    old = here.say("granvik, et gammelt spørsmål")
    for number in range(9):
        here.say(f"svar {number}", reply_to=old)
    hear(crisis, old)
    hear(crisis, *[here.say(f"granvik {number}") for number in range(45)])
    crisis.turn_for(0.5)
    answer = here.say("granvik, et sent svar", reply_to=old)
    hear(crisis, answer)
    nothing_lost_or_twice(here, crisis)


def test_an_edit_keeps_its_id_and_is_a_version(here: Tube, crisis: ListenerDeployment) -> None:
    id_ = here.say("granvik brenner")
    hear(crisis, id_)
    here.goes_by(2)
    here.fake.world.edit(id_, "granvik brenner ikke")
    crisis.turn_until(lambda: "granvik brenner ikke" in texts(crisis), SLOWLY)
    edited = crisis.values("mentions", "mention")[-1]
    assert edited["id"].partition("@")[0] == id_
    assert edited["edits"] == [id_]
    crisis.turn_for(0.5)
    assert len(texts(crisis)) == 2


def test_who_is_not_named_is_nobody_and_names_are_masked(here: Tube, crisis: ListenerDeployment) -> None:
    nobody = here.say("granvik uten navn", by=None)
    somebody = here.say("@kari_fra2 så det i granvik, sier @ola.nordmann.", by="per_9")
    hear(crisis, nobody, somebody)
    authors = {value["id"]: value.get("author") for value in crisis.values("mentions", "mention")}
    assert authors[nobody] is None
    assert authors[somebody]
    held = b"".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())
    for name in ("per_9", "kari_fra2", "ola.nordmann", channel_of("per_9")):
        assert name.encode() not in held, name


def test_markup_is_read_as_what_it_shows(here: Tube, crisis: ListenerDeployment) -> None:
    here.fake.do("markup")
    id_ = here.say("<granvik> & brann\nhele natten")
    hear(crisis, id_)
    assert texts(crisis) == ["<granvik> & brann\nhele natten"]


def test_what_lies_before_the_incident_is_looked_back_to(here: Tube) -> None:
    before = here.say("granvik før", at=here.clock.now() - timedelta(hours=1))
    here.say("granvik for lenge siden", at=here.clock.now() - timedelta(hours=9))
    deployment = here.crisis(calm=None, lookback=2 * 3600.0)
    now = here.say("granvik nå")
    hear(deployment, before, now)
    assert deployment.origins() == {before: "lookback", now: "live"}
    deployment.die()
    again = here.deployment("listener@other")
    again.turn_until(again.hears, SLOWLY)
    again.turn_for(0.3)
    assert again.captured() == {before: 1, now: 1}


# --- faults -------------------------------------------------------------------------------------------------------

FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("garbage", {"on": "threads", "times": 2}),
    ("garbage", {"on": "threads", "times": 1, "size": 10_000_000}),
    ("cut", {"on": "threads", "times": 2}),
    ("status", {"on": "threads", "status": 503, "times": 2}),
    ("status", {"on": "comments", "status": 500, "times": 2}),
    ("status", {"on": "threads", "status": 302, "headers": {"Location": "http://127.0.0.1:1/"}, "times": 1}),
    ("reset", {"on": "threads", "times": 2}),
    ("hang", {"on": "threads", "times": 1}),
    ("slow", {"on": "threads", "hold": 600.0, "times": 1}),
    ("rate_limit", {"seconds": 20}),
    ("empty_pages", {"count": 3}),
    ("processing_failure", {"count": 2}),
    ("bad_tokens", {"count": 2}),
    ("repeat", {"count": 4}),
    ("shuffle", {}),
    ("display_only", {}),
    ("lag", {"seconds": 45}),
    ("host_clock", {"seconds": 20}),
]


@pytest.mark.parametrize(("verb", "params"), FAULTS, ids=lambda each: each if isinstance(each, str) else "")
def test_whatever_goes_wrong_nothing_is_lost_or_twice(
    here: Tube, crisis: ListenerDeployment, verb: str, params: dict[str, Any]
) -> None:
    top = here.say("granvik, før")
    hear(crisis, top)
    here.fake.do(verb, **params)
    said = [here.say(f"granvik {number}") for number in range(25)]
    said += [here.say(f"granvik, svar {number}", reply_to=top) for number in range(7)]
    hear(crisis, *said)
    here.fake.do("heal")
    hear(crisis, here.say("granvik, etter"))
    nothing_lost_or_twice(here, crisis)
    assert all(is_whole(gap) for gap in crisis.gaps())


def test_an_hour_without_an_answer_is_a_gap_that_is_filled_and_ops_are_told(
    here: Tube, crisis: ListenerDeployment
) -> None:
    here.fake.do("status", on="threads", status=503)
    missed = here.say("granvik, midt i")
    crisis.turn_until(lambda: ("source_silent", "fired") in crisis.alerts(), SLOWLY)
    assert causes(crisis) == [Cause.HTTP_5XX]
    assert not crisis.hears()
    here.fake.do("heal")
    hear(crisis, missed)
    crisis.turn_until(lambda: ("source_silent", "resolved") in crisis.alerts(), SLOWLY)
    assert crisis.origins()[missed] == "gap_fill"
    (gap,) = [gap for gap in crisis.gaps() if gap.cause == Cause.HTTP_5XX]
    assert (is_whole(gap), gap.refilled) == (True, 1)


def test_a_restart_is_a_gap_that_is_filled_and_goes_on_with_the_account(here: Tube, crisis: ListenerDeployment) -> None:
    hear(crisis, here.say())
    used = units(crisis)
    crisis.die()
    missed = [here.say(f"granvik {number}") for number in range(3)]
    here.goes_by(30)
    second = here.deployment("listener@other")
    hear(second, *missed)
    nothing_lost_or_twice(here, second)
    assert causes(second) == [Cause.PROCESS_DOWN]
    assert units(second) > used - 2
    assert here.fake.used == pytest.approx(units(second), abs=2)
    assert second.metric("quota_used_units", source="youtube") == pytest.approx(units(second), abs=2)


@pytest.mark.parametrize("off", [3600.0, -3600.0])
def test_a_clock_an_hour_off_loses_nothing(here: Tube, off: float) -> None:
    deployment = here.crisis(clock=WrongClock(here.clock, off))
    hear(deployment, here.say(), here.say("granvik to"))
    deployment.turn_until(lambda: abs(deployment.state.get("clock_off", 0)) > 3000, SLOWLY)
    deployment.die()
    missed = here.say("granvik imens")
    again = here.deployment("listener@other", clock=WrongClock(here.clock, off))
    hear(again, missed)
    nothing_lost_or_twice(here, again)


# --- who may ask, and how often --------------------------------------------------------------------------------------


def test_a_spent_quota_is_a_gap_until_midnight_pacific_and_is_filled_then(tmp_path: Path) -> None:
    evening = datetime(2031, 6, 3, 6, 56, tzinfo=UTC)  # four minutes before midnight in California
    with tube(tmp_path, start=evening) as here:
        deployment = here.crisis()
        here.fake.do("quota", units=0)
        missed = here.say("granvik, uten kvote")
        deployment.turn_until(lambda: ("source_quota_spent", "fired") in deployment.alerts(), SLOWLY)
        asked = len(here.fake.requests())
        assert deployment.state["state"] == "stopped"
        assert deployment.state["quota"]["exhausted"]
        deployment.turn_until(lambda: here.clock.now() > evening + timedelta(minutes=3, seconds=30), SLOWLY)
        assert len(here.fake.requests()) == asked
        assert causes(deployment) == [Cause.RATE_LIMITED]
        here.fake.do("quota", units=10_000)
        hear(deployment, missed)
        assert here.fake.requests()[asked].at >= evening + timedelta(minutes=4)
        deployment.turn_until(lambda: ("source_quota_spent", "resolved") in deployment.alerts(), SLOWLY)
        assert all(map(is_whole, deployment.gaps()))


def test_scarce_units_are_spread_over_the_day(tmp_path: Path) -> None:
    noon = datetime(2031, 6, 3, 19, 0, tzinfo=UTC)
    with tube(tmp_path, start=noon) as here:
        deployment = here.crisis(units=500)
        hear(deployment, here.say())
        deployment.turn_until(lambda: here.clock.now() > noon + timedelta(minutes=5), SLOWLY)
        # 500 units are 86 s each of what is left of the day; at 15 s five minutes would take 20 of them.
        assert units(deployment) < 15
        assert set(causes(deployment)) <= {Cause.RATE_LIMITED}
        nothing_lost_or_twice(here, deployment)


def test_a_wrong_key_is_a_gap_that_ops_hear_of_and_no_storm(here: Tube) -> None:
    file = here.folder / "key"
    file.write_text(KEY, encoding="utf-8")
    deployment = here.crisis(key_file=file)
    here.fake.do("new_key", key="another")
    missed = here.say("granvik uten nøkkel")
    deployment.turn_until(lambda: ("source_refused", "fired") in deployment.alerts(), SLOWLY)
    assert causes(deployment) == [Cause.UNAUTHORIZED]
    assert "HTTP 400 API_KEY_INVALID" in deployment.state["problem"]
    asked, since = len(here.fake.requests()), here.clock.now()
    deployment.turn_for(3.0)
    assert len(here.fake.requests()) - asked <= 3
    assert here.clock.now() - since > timedelta(minutes=2)
    new = here.folder / "new"
    new.write_text("another\n", encoding="utf-8")
    os.replace(new, file)
    hear(deployment, missed)
    deployment.turn_until(lambda: ("source_refused", "resolved") in deployment.alerts(), SLOWLY)
    assert "problem" not in deployment.state


@pytest.mark.parametrize(("status", "cause"), [(401, Cause.UNAUTHORIZED), (403, Cause.FORBIDDEN)])
def test_a_refusal_by_status_alone_is_one(here: Tube, crisis: ListenerDeployment, status: int, cause: Cause) -> None:
    here.fake.do("status", on="threads", status=status, times=1)
    crisis.turn_until(lambda: causes(crisis) == [cause], SLOWLY)
    crisis.turn_until(crisis.hears, SLOWLY)


def test_a_video_whose_comments_are_turned_off_is_no_gap(here: Tube, crisis: ListenerDeployment) -> None:
    tops = [here.say(f"granvik {video}", video=f"video00000{video}") for video in (1, 2)]
    answers = [here.say(f"granvik svar {n}", reply_to=tops[0]) for n in range(7)]
    hear(crisis, *tops, *answers)
    here.fake.do("disable", video="video000001")
    hear(crisis, here.say("granvik, den andre", video="video000002"))
    crisis.turn_for(1.5)
    assert crisis.hears()
    assert causes(crisis) == []


def test_a_channel_whose_comments_are_turned_off_is_no_gap(here: Tube, crisis: ListenerDeployment) -> None:
    body = {"error": {"code": 403, "errors": [{"reason": "commentsDisabled"}]}}
    here.fake.do("status", on="threads", status=403, body=body)
    crisis.turn_for(2.0)
    assert crisis.hears()
    assert crisis.state["disabled"] == [CHANNEL]
    assert causes(crisis) == []


def test_one_channel_that_is_not_there_does_not_silence_the_other(here: Tube) -> None:
    deployment = here.crisis(channels={"UCnobody0000000000000000": "", CHANNEL: "fjordby"})
    hear(deployment, here.say())
    deployment.turn_until(lambda: ("source_refused", "fired") in deployment.alerts(), SLOWLY)
    assert "UCnobody0000000000000000" in deployment.state["problem"]
    hear(deployment, here.say())
    deployment.turn_for(1.0)
    assert deployment.alerts() == [("source_refused", "fired")]


def test_where_known_threads_cannot_be_asked_for_by_id_the_lists_are_read_down_to_them(here: Tube) -> None:
    deployment = here.crisis(replies=timedelta(hours=1))
    old = here.say("granvik, et gammelt spørsmål")
    for number in range(9):
        here.say(f"svar {number}", reply_to=old)
    hear(deployment, old, *[here.say(f"granvik {number}") for number in range(45)])
    deployment.turn_for(3.0)  # the lists are read no further down than some minutes
    here.fake.do("refuse_ids")
    answer = here.say("granvik, et sent svar", reply_to=old)
    hear(deployment, answer)
    assert deployment.state["refused"] == {"again": "HTTP 400 invalidFilters"}
    assert causes(deployment) == []
    here.fake.do("heal")
    deployment.turn_until(lambda: "refused" not in deployment.state, SLOWLY)


def test_a_restart_in_calm_finds_no_gap_of_a_crisis_that_is_over(here: Tube, crisis: ListenerDeployment) -> None:
    hear(crisis, here.say())
    crisis.switch(Action.CLOSE)
    crisis.turn_until(lambda: crisis.state["state"] == "counting" and not crisis.state["unfilled"], SLOWLY)
    crisis.die()
    before = len(crisis.gaps())
    again = here.deployment("listener@other")
    again.turn_until(lambda: again.state["state"] == "counting", SLOWLY)
    again.turn_for(0.5)
    assert len(causes(again)) <= before


# --- deletions ----------------------------------------------------------------------------------------------------


def deleted(deployment: ListenerDeployment) -> set[str]:
    return {id_ for value in deployment.values("mentions", "deletion") for id_ in value["ids"]}


def test_what_is_deleted_is_named_once_it_is_missing_twice(here: Tube, crisis: ListenerDeployment) -> None:
    kept, gone = here.say("granvik blir"), here.say("granvik går")
    hear(crisis, kept, gone)
    here.fake.world.delete(gone)
    crisis.turn_until(lambda: deleted(crisis) == {gone}, SLOWLY)
    crisis.turn_for(1.0)
    assert deleted(crisis) == {gone}
    assert texts(crisis).count("granvik blir") == 1


def test_one_empty_answer_deletes_nothing(here: Tube, crisis: ListenerDeployment) -> None:
    hear(crisis, *[here.say(f"granvik {number}") for number in range(3)])
    here.fake.do("status", on="comments", status=200, body={"items": []}, times=1)
    crisis.turn_until(lambda: len(here.fake.requests("comments")) >= 3, SLOWLY)
    crisis.turn_for(0.3)
    assert deleted(crisis) == set()


def test_in_calm_too_it_is_asked_what_is_deleted_of_the_crisis(here: Tube) -> None:
    deployment = here.crisis(calm=None)
    gone = here.say("granvik går")
    hear(deployment, gone)
    deployment.switch(Action.CLOSE)
    deployment.turn_until(lambda: deployment.state["state"] == "idle", SLOWLY)
    here.fake.world.delete(gone)
    deployment.turn_until(lambda: deleted(deployment) == {gone}, SLOWLY)
    deployment.die()
    again = here.deployment("listener@other", calm=None)
    again.turn_for(0.5)
    assert again.captured()[gone] == 1


# --- calm ---------------------------------------------------------------------------------------------------------


def test_in_calm_comments_are_counted_once_and_no_word_is_kept(here: Tube) -> None:
    deployment = here.deployment(standing=("granvik",), calm=timedelta(minutes=1))

    def counted() -> int:
        return sum(value["count"] for value in deployment.values("volumes", "volume"))

    deployment.turn_until(lambda: deployment.state["state"] == "counting" and units(deployment) > 0, SLOWLY)
    top = here.say("hemmelig i granvik")
    here.goes_by(5)
    here.say("hemmelig svar i granvik", reply_to=top)
    here.say("noe helt annet")
    deployment.turn_until(lambda: counted() == 2, SLOWLY)
    deployment.turn_until(lambda: bool(deployment.ticks()), SLOWLY)
    deployment.die()
    here.goes_by(3)
    deployment = here.deployment("listener@other", standing=("granvik",), calm=timedelta(minutes=1))
    here.say("hemmelig igjen i granvik")
    deployment.turn_until(lambda: counted() == 3, SLOWLY)
    deployment.turn_for(2.0)
    assert counted() == 3
    assert deployment.values("mentions", "mention") == []
    held = b"".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())
    assert b"hemmelig" not in held


def test_where_calm_is_off_nothing_is_asked_and_the_switch_is_heard_at_once(here: Tube) -> None:
    deployment = here.deployment(calm=None)
    deployment.turn_for(0.5)
    assert (deployment.state["state"], here.fake.requests()) == ("idle", [])
    deployment.open("granvik")
    here.goes_by(2)
    hear(deployment, here.say())
    assert causes(deployment) == []


def test_what_was_said_between_the_switch_and_our_hearing_of_it_is_captured(here: Tube) -> None:
    deployment = here.deployment(standing=("@fjordby",), calm=timedelta(minutes=1))
    deployment.turn_until(lambda: deployment.state["state"] == "counting" and units(deployment) > 0, SLOWLY)
    deployment.open("granvik")
    id_ = here.say("granvik, rett etter")
    for _ in range(5):
        deployment.listen.step(0.3)  # it is heard, and nobody has told us of the incident yet
    hear(deployment, id_)


def test_what_was_said_before_the_return_to_calm_is_captured_after_it(here: Tube, crisis: ListenerDeployment) -> None:
    hear(crisis, here.say())
    here.fake.do("status", on="threads", status=503)
    last = here.say("granvik, sist")
    here.goes_by(2)
    crisis.switch(Action.CLOSE)
    crisis.turn_until(lambda: crisis.state["state"] != "listening", SLOWLY)
    here.goes_by(2)
    after = here.say("granvik, etterpå")
    here.fake.do("heal")
    hear(crisis, last)
    crisis.turn_for(0.5)
    assert after not in crisis.captured()
    assert all(is_whole(gap) for gap in crisis.gaps())


# --- the owner's ----------------------------------------------------------------------------------------------------


def test_what_waits_for_review_is_heard_in_the_owners_name_and_once(here: Tube) -> None:
    deployment = here.crisis(owner=True)
    held, public = here.say("granvik holdes", held=True), here.say("granvik åpent")
    hear(deployment, held, public)
    here.fake.do("expire_tokens")
    another = here.say("granvik holdes også", held=True)
    hear(deployment, another)
    here.fake.world.review(held, publish=True)
    here.fake.world.review(another, publish=False)
    deployment.turn_until(lambda: deleted(deployment) == {another}, SLOWLY)
    assert deployment.captured()[held] == 1
    assert causes(deployment) == []


def test_without_a_grant_they_are_not_asked_for(here: Tube, crisis: ListenerDeployment) -> None:
    held = here.say("granvik holdes", held=True)
    crisis.turn_for(1.5)
    assert held not in crisis.captured()
    assert not here.fake.requests("token")


def test_a_grant_that_is_taken_back_is_told_and_the_public_ones_go_on(here: Tube) -> None:
    deployment = here.crisis(owner=True)
    hear(deployment, here.say("granvik holdes", held=True))
    here.fake.do("revoke")
    deployment.turn_until(lambda: "youtube.owner" in str(deployment.state.get("problem")), SLOWLY)
    hear(deployment, here.say("granvik åpent"))
    assert deployment.hears()
    assert causes(deployment) == []


# --- secrets ------------------------------------------------------------------------------------------------------


def test_no_secret_is_in_a_log_a_state_or_the_folder(here: Tube, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    deployment = here.crisis(owner=True)
    hear(deployment, here.say("granvik holdes", held=True))
    here.fake.do("status", on="threads", status=403, times=1)
    deployment.turn_until(lambda: not deployment.hears(), SLOWLY)
    deployment.turn_until(deployment.hears, SLOWLY)
    told = caplog.text + str(dict(deployment.state)) + repr(deployment.source)
    held = b"".join(path.read_bytes() for path in here.folder.rglob("*") if path.is_file())
    for secret in (KEY, *OAUTH[1:], *here.fake.tokens):
        assert secret not in told
        assert secret.encode() not in held
    assert "granvik holdes" not in told
    assert not any(KEY in request.path or request.params.get("key") for request in here.fake.requests())


def test_the_fake_says_so_itself() -> None:
    with FakeYoutube() as fake:
        assert fake.tell({"text": "hei"}) in fake.world.comments
