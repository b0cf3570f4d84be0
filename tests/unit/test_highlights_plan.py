"""What becomes of highlights: held from the second of a crisis, published once, in no order of events twice."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from examples import examples
from highlights_support import ANY_TIME, BY_DAY, START, Newsroom, proposal
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from alerts.highlights.listing import listed
from alerts.highlights.plan import crisis_since, held, plan, standing, within_hours
from alerts.highlights.publishing import LOOK_AFTER, PAUSES
from alerts.highlights.state import Highlights, Stage
from listener.errors import BadValue, BusError, LyttepostError, Refused, UsageError
from listener.model.highlights import HighlightStep, HighlightWord, Step, Why, Word
from listener.model.incidents import Mode, State

HOUR = timedelta(hours=1)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Newsroom]:
    with closing(Newsroom(tmp_path)) as made:
        yield made


def approved(room: Newsroom, *ids: str) -> None:
    room.propose(*ids)
    for each in ids:
        room.say(each, Word.APPROVE)


def test_from_a_proposal_to_x_each_step_is_a_record(room: Newsroom) -> None:
    room.propose("a")
    room.turn()
    assert room.x.posts == []
    room.say("a", Word.APPROVE)
    room.turn(2)
    assert room.x.posts == ["Sak a\nhttps://granvik-sykehus.example/a"]
    assert [record.type for record in room.records()] == ["highlight", "highlight_word", *["highlight_step"] * 2]
    steps = [record.step for record in room.records() if isinstance(record, HighlightStep)]
    assert steps == [Step.SENDING, Step.PUBLISHED]
    assert room.state("a").post == "1"


@pytest.mark.parametrize("exercise", [False, True])
def test_a_crisis_holds_what_was_approved_and_after_it_nothing_goes_out_by_itself(
    room: Newsroom, exercise: bool
) -> None:
    approved(room, "a", "b")
    room.crisis(exercise=exercise)
    room.turn(3)
    assert (room.x.posts, room.stages()) == ([], {"a": "held", "b": "held"})
    room.calm()
    room.wait(60)
    room.turn(3)
    assert (room.x.posts, room.stages()) == ([], {"a": "held", "b": "held"})
    assert held(room.followed.read(), room.control.refresh()) == 2
    room.say("b", Word.RELEASE)
    room.turn(3)
    assert room.x.posts == ["Sak b\nhttps://granvik-sykehus.example/b"]
    assert room.state("a").why is Why.CRISIS


def test_also_where_nobody_ran_while_it_lasted(room: Newsroom) -> None:
    approved(room, "a")
    room.crisis()
    room.calm()
    room.turn(3)
    assert (room.x.posts, room.stages()) == ([], {"a": "held"})


def test_whatever_clocks_say(room: Newsroom) -> None:
    """Who approves has a clock an hour ahead: by the times of both records the crisis came before."""
    room.propose("a")
    its = room.state("a")
    ahead = replace(room.deciding(), now=room.clock.now() + HOUR)
    ahead.say(its.id, Word.APPROVE, by="kari")
    room.crisis()
    room.calm()
    room.wait(2 * 3600)
    room.turn(3)
    assert (room.x.posts, room.stages()) == ([], {"a": "held"})


def test_a_crisis_between_intent_and_send_holds_it(room: Newsroom) -> None:
    approved(room, "a")
    room.x.meanwhile = room.crisis
    room.turn(2)
    assert (room.x.posts, room.stages()) == ([], {"a": "held"})
    assert [r.why for r in room.records() if isinstance(r, HighlightStep)] == [None, Why.CRISIS]


@pytest.mark.parametrize("word", [Word.EDIT, Word.DROP])
def test_what_somebody_says_just_before_the_intent_counts(room: Newsroom, word: Word) -> None:
    approved(room, "a")
    room.x.before_intent = lambda: room.say("a", word, text="Noe annet") and None
    room.turn()
    assert room.x.posts == []
    room.wait(60)
    room.turn()
    assert room.x.posts == (["Noe annet"] if word is Word.EDIT else [])


def test_of_two_processes_one_sends(room: Newsroom) -> None:
    approved(room, "a")
    room.turn(name="b")
    assert len(room.x.posts) == 1
    room.propose("c")
    room.say("c", Word.APPROVE)
    room.wait(120)
    room.x.before_intent = lambda: room.turn(3, name="b")
    room.turn(3, name="a")
    assert len(room.x.posts) == 2


def test_in_a_crisis_nothing_is_approved_or_released_and_all_else_goes_on(room: Newsroom) -> None:
    room.propose("a", "b", "c")
    room.say("b", Word.APPROVE)
    room.crisis()
    with pytest.raises(Refused, match="while an incident is open"):
        room.say("a", Word.APPROVE)
    with pytest.raises(Refused, match="while an incident is open"):
        room.say("b", Word.RELEASE)
    room.say("b", Word.EDIT, text="Sak b, endret")
    room.say("c", Word.DROP)
    room.calm()
    room.turn(2)
    assert room.stages() == {"a": "proposed", "b": "held", "c": "dropped"}
    room.say("b", Word.RELEASE)
    room.turn(2)
    assert room.x.posts == ["Sak b, endret"]


def test_what_may_have_been_published_is_looked_for_and_found(room: Newsroom) -> None:
    approved(room, "a")
    room.x.then = ["lost"]
    room.turn(2)
    assert room.stages() == {"a": "unsure"}
    room.wait(LOOK_AFTER[0] + 1)
    room.turn(2)
    assert (room.stages(), room.state("a").post) == ({"a": "published"}, "1")
    assert room.alerts() == []


def test_what_is_not_found_is_left_to_a_person(room: Newsroom) -> None:
    approved(room, "a")
    room.x.then, room.x.hides = ["lost"], True
    room.turn(2)
    for seconds in LOOK_AFTER:
        room.wait(seconds + 1)
        room.turn(2)
    room.wait(86_400)
    room.turn(5)
    assert (len(room.x.posts), room.stages()) == (1, {"a": "unsure"})
    assert room.state("a").looked
    assert room.alerts() == [("highlight_unsure", "fired")]
    room.say("a", Word.DROP)
    room.turn(2)
    assert room.alerts()[1:] == [("highlight_unsure", "resolved")]


@pytest.mark.parametrize("then", ["crash", "dies"])
def test_a_process_that_dies_between_intent_and_outcome_leaves_a_question(room: Newsroom, then: str) -> None:
    approved(room, "a")
    room.x.then, room.x.hides = [then], True
    room.turn()
    there = len(room.x.posts)
    for _ in range(40):
        room.turn(2)
        room.wait(40)
    assert (len(room.x.posts), room.stages()) == (there, {"a": "unsure"})
    room.say("a", Word.RELEASE)
    room.turn(2)
    assert (len(room.x.posts), room.stages()) == (there + 1, {"a": "published"})


def test_an_outcome_that_comes_late_still_counts() -> None:
    made = Highlights.of([proposal("a")])
    word = {"id": "a", "at": START, "by": "kari"}
    step = {"id": "a", "at": START, "by": "lyttepost", "intent": "i1"}
    for record in (
        HighlightWord(**word, revision=1, word=Word.APPROVE),
        HighlightStep(**step, revision=2, step=Step.SENDING),
        HighlightStep(**step, revision=3, step=Step.UNKNOWN),
        HighlightWord(**word, revision=4, word=Word.RELEASE),
        HighlightStep(**step, revision=3, step=Step.PUBLISHED, post="17"),
    ):
        made.take(record)
    assert (made.states["a"].stage, made.states["a"].post) == (Stage.PUBLISHED, "17")


def test_refused_by_x_nothing_more_is_sent_until_somebody_releases(room: Newsroom) -> None:
    approved(room, "a", "b")
    room.x.then = [Why.REFUSED]
    room.turn(3)
    room.wait(600)
    room.turn(3)
    assert (room.x.posts, room.stages()) == ([], {"a": "held", "b": "approved"})
    assert room.alerts() == [("highlights_refused", "fired")]
    room.say("a", Word.RELEASE)
    room.turn(3)
    room.wait(120)
    room.turn(3)
    assert room.stages() == {"a": "published", "b": "published"}
    assert room.alerts()[1:] == [("highlights_refused", "resolved")]


def test_refused_again_it_is_the_same_refusal(room: Newsroom) -> None:
    approved(room, "a", "b")
    room.x.then = [Why.REFUSED, Why.REFUSED]
    room.turn(3)
    room.say("a", Word.RELEASE)
    room.wait(60)
    room.turn(3)
    assert room.stages() == {"a": "held", "b": "approved"}
    assert room.alerts() == [("highlights_refused", "fired")]


@pytest.mark.parametrize("why", [Why.DUPLICATE, Why.REJECTED])
def test_what_is_about_one_text_stops_no_other(room: Newsroom, why: Why) -> None:
    approved(room, "a", "b")
    room.x.then = [why]
    room.turn(2)
    room.wait(120)
    room.turn(2)
    assert room.stages() == {"a": "held", "b": "published"}
    assert room.state("a").why is why


def test_what_x_has_too_much_of_waits_and_so_does_all_else(room: Newsroom) -> None:
    approved(room, "a", "b")
    room.x.then = [Why.RATE_LIMITED]
    room.turn(5)
    room.wait(14 * 60)
    room.turn(5)
    assert room.x.posts == []
    room.wait(2 * 60)
    room.turn(5)
    assert len(room.x.posts) == 1


def test_what_cannot_be_reached_is_tried_again_with_growing_pauses(room: Newsroom) -> None:
    approved(room, "a")
    room.x.then = [Why.NETWORK] * 3
    for seconds in PAUSES[:3]:
        room.turn(3)
        room.wait(seconds - 1)
        room.turn(3)
        assert room.x.posts == []
        room.wait(2)
    room.turn(3)
    assert len(room.x.posts) == 1


def test_its_time_and_the_hours(tmp_path: Path) -> None:
    with closing(Newsroom(tmp_path, BY_DAY)) as room:
        room.propose("a", "b", "c")
        room.say("a", Word.APPROVE, when="2031-03-04T21:30")
        room.say("b", Word.APPROVE)
        room.say("c", Word.APPROVE)
        made = plan(room.followed.read(), room.control.refresh(), BY_DAY, room.clock.now())
        assert made.when == {"a": START.replace(hour=21, minute=30), "b": START, "c": START + HOUR}
        room.turn(5)
        assert room.x.posts == ["Sak b\nhttps://granvik-sykehus.example/b"]
        room.wait(12.6 * 3600)
        room.turn(5)
        assert [post[:5] for post in room.x.posts] == ["Sak b", "Sak a"], "c waits for the morning"
        room.wait(11 * 3600)
        room.turn(5)
        assert [post[:5] for post in room.x.posts] == ["Sak b", "Sak a", "Sak c"]


def test_what_could_not_go_out_at_its_time_is_held(room: Newsroom) -> None:
    room.propose("a", "b")
    room.say("a", Word.APPROVE, when="2031-03-04T10:00")
    room.say("b", Word.APPROVE)
    room.wait(4 * 86_400)
    room.turn(3)
    assert room.stages() == {"a": "held", "b": "held"}
    assert {room.state(each).why for each in ("a", "b")} == {Why.LATE}


def test_a_course_that_has_begun_goes_out_only_if_somebody_wants_it_then(room: Newsroom) -> None:
    room.propose("a", starts=START + HOUR)
    room.say("a", Word.APPROVE, when="2031-03-04T10:30")
    room.wait(2 * 3600)
    room.turn(3)
    assert (room.stages(), room.state("a").why) == ({"a": "held"}, Why.OVER)
    assert listed(room.followed.read(), room.control.refresh(), ANY_TIME, room.clock.now())[0].over
    room.say("a", Word.RELEASE)
    room.turn(3)
    assert room.stages() == {"a": "published"}


@pytest.mark.parametrize(
    ("word", "more", "message"),
    [
        (Word.EDIT, {"text": ""}, "says nothing"),
        (Word.EDIT, {"text": "x" * 281}, "is 281 long as X counts; 280 is the most"),
        (Word.EDIT, {"text": "en\x07lyd"}, "cannot be seen"),
        (Word.EDIT, {"text": "ring pasient 01018000055"}, "identity number"),
        (Word.APPROVE, {"when": "i morgen"}, "is no time"),
        (Word.APPROVE, {"when": "2031-03-04T08:00"}, "a time to come"),
        (Word.APPROVE, {"when": "2041-03-04T08:00"}, "within a year"),
    ],
)
def test_what_cannot_be_is_refused_by_the_field(room: Newsroom, word: Word, more: dict[str, str], message: str) -> None:
    room.propose("a")
    with pytest.raises(BadValue, match=message):
        room.say("a", word, **more, fields={"text": "--text", "when": "--at"})
    assert room.state("a").revision == 1


def test_an_id_may_be_begun_and_must_be_one(room: Newsroom) -> None:
    room.propose("abc", "abd")
    assert room.say("abc", Word.DROP).stage is Stage.DROPPED
    with pytest.raises(UsageError, match="fits 2 highlights"):
        room.say("ab", Word.DROP)
    with pytest.raises(UsageError, match="no highlight begins with 'x'"):
        room.say("x", Word.DROP)
    with pytest.raises(Refused, match="it was dropped"):
        room.say("abc", Word.EDIT, text="x")


def test_whoever_decides_on_what_is_no_longer_so_is_told(room: Newsroom) -> None:
    room.propose("a")
    seen = room.state("a").revision
    room.say("a", Word.EDIT, text="Ny tekst", by="ola")
    with pytest.raises(Refused, match="changed meanwhile, last by ola"):
        room.say("a", Word.APPROVE, seen=seen)
    assert room.stages() == {"a": "proposed"}


def test_a_text_may_repeat_the_hospitals_own_headline_and_no_post(room: Newsroom) -> None:
    room.propose("a", text="Ny avdeling for dagkirurgi åpner på mandag klokken ti")
    own, heard = "Ny avdeling for dagkirurgi åpner på mandag klokken ti", "min far har ligget og ventet hele natten"
    deciding = replace(room.deciding(), texts=lambda words: [own, heard])
    assert deciding.say("a", Word.EDIT, by="kari", text=f"{own}!").text == f"{own}!"
    with pytest.raises(UsageError, match="quotes a post"):
        deciding.say("a", Word.EDIT, by="kari", text=f"Les: {heard} her")


@pytest.mark.parametrize(
    ("at", "wanted"),
    [("06:10", "08:00"), ("08:00", "08:00"), ("19:59", "19:59"), ("20:00", "+08:00")],
)
def test_within_the_hours(at: str, wanted: str) -> None:
    zone = ZoneInfo("Europe/Oslo")
    day = datetime(2031, 3, 29, tzinfo=zone)
    hour, minute = map(int, at.split(":"))
    found = within_hours(day.replace(hour=hour, minute=minute).astimezone(UTC), replace(BY_DAY, zone=zone))
    there = found.astimezone(zone)
    # The night after, clocks are set forward.
    assert f"{'+' if there.day == 30 else ''}{there:%H:%M}" == wanted


# --- no order of events ----------------------------------------------------------------------------------------------

ACTIONS = (
    "propose", "approve", "edit", "release", "drop", "crisis", "exercise", "calm", "turn", "other", "wait", "long",
    "lost", "crash", "dies", "refused", "limited", "network", "hides", "shows", "crisis_meanwhile", "calm_meanwhile",
    "release_meanwhile", "other_meanwhile", "crisis_before", "edit_before", "drop_before", "other_before",
)  # fmt: skip
IDS = ("a", "b")


class Watched:
    """Drives a newsroom and keeps its own account of what may be published."""

    def __init__(self, folder: Path) -> None:
        self.room = Newsroom(folder)
        self.room.x.published = self._published
        self.counter = itertools.count(1)
        self.opened = 0
        self.said: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.count: Counter[str] = Counter()
        self.texts: dict[str, str] = {}
        self.edits = 0

    def _published(self, text: str) -> None:
        (id_,) = [each for each in IDS if text.startswith(f"Sak {each}")]
        self.count[id_] += 1
        if self.said[id_] <= self.opened:
            self.room.x.wrong.append(f"{id_} was released by nobody since the last crisis")
        if self.count[id_] > 1 + self.asked[id_]:
            self.room.x.wrong.append(f"{id_} was published twice, and nobody asked for it")

    def say(self, word: Word, id_: str, **more: str) -> None:
        before = self.room.followed.read().states.get(id_)
        try:
            self.room.say(id_, word, **more)
        except LyttepostError:
            return
        if word in (Word.APPROVE, Word.RELEASE):
            self.said[id_] = next(self.counter)
            if word is Word.RELEASE and before is not None and before.stage is Stage.UNSURE:
                self.asked[id_] += 1

    def crisis(self, *, exercise: bool = False) -> None:
        self.room.crisis(exercise=exercise)
        self.opened = next(self.counter)

    def edit(self, id_: str) -> None:
        self.edits += 1
        self.say(Word.EDIT, id_, text=f"Sak {id_} {self.edits}")

    def do(self, action: str, id_: str) -> None:
        room, other = self.room, IDS[id_ == IDS[0]]
        acts: dict[str, Callable[[], object]] = {
            "propose": lambda: room.propose(id_) if id_ not in room.followed.read().states else None,
            "approve": lambda: self.say(Word.APPROVE, id_),
            "edit": lambda: self.edit(id_),
            "release": lambda: self.say(Word.RELEASE, id_),
            "drop": lambda: self.say(Word.DROP, id_),
            "crisis": self.crisis,
            "exercise": lambda: self.crisis(exercise=True),
            "calm": room.calm,
            "turn": lambda: room.turn(2),
            "other": lambda: room.turn(2, name="b"),
            "wait": lambda: room.wait(61),
            "long": lambda: room.wait(1_000),
            "hides": lambda: setattr(room.x, "hides", True),
            "shows": lambda: setattr(room.x, "hides", False),
        }
        replies = {"refused": Why.REFUSED, "limited": Why.RATE_LIMITED, "network": Why.NETWORK}
        if action in acts:
            acts[action]()
        elif action in ("lost", "crash", "dies"):
            room.x.then = [action]
        elif action in replies:
            room.x.then = [replies[action]]
        else:
            what, _, when = action.partition("_")
            hook = "before_intent" if when == "before" else "meanwhile"
            setattr(room.x, hook, lambda: self.do(what, other if what == "release" else id_))


@examples(80, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from(IDS)), min_size=10, max_size=40))
def test_in_no_order_is_anything_published_twice_or_in_a_crisis(story: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        watched = Watched(Path(folder))
        with closing(watched.room):
            for each in IDS:
                watched.do("propose", each)
                watched.do("approve", each)
            for action, id_ in story:
                watched.do(action, id_)
            for _ in range(3):
                watched.do("turn", "a")
                watched.do("long", "a")
            assert watched.room.x.wrong == []


@given(st.lists(st.booleans(), max_size=12), st.integers(-1, 12))
def test_a_crisis_is_known_from_any_command_on(switches: list[bool], epoch: int) -> None:
    """Against the plain reading: was the mode crisis at `epoch` or after any later command?"""
    with tempfile.TemporaryDirectory() as folder, closing(Newsroom(Path(folder))) as room:
        modes = [Mode.CALM]
        for opens in switches:
            room.crisis() if opens else room.calm()
            modes.append(room.control.refresh().mode)
        state: State = room.control.refresh()
        wanted = Mode.CRISIS in modes[min(epoch, len(switches) - 1) + 1 :]
        assert (crisis_since(state, epoch) is not None) == wanted


def test_how_one_stands_says_since_when_and_why(room: Newsroom) -> None:
    approved(room, "a")
    room.wait(30)
    room.crisis()
    stands = standing(room.state("a"), room.control.refresh(), ANY_TIME, room.clock.now())
    assert stands == (Stage.HELD, Why.CRISIS, START + timedelta(seconds=30))


def test_a_record_that_was_made_of_an_older_state_changes_nothing() -> None:
    """A word, an intent or a hold of whoever had not seen an edit."""
    made = Highlights.of([proposal("a")])
    said = {"id": "a", "at": START, "by": "kari"}
    made.take(HighlightWord(**said, revision=1, word=Word.APPROVE))
    made.take(HighlightWord(**said, revision=2, word=Word.EDIT, text="Ny"))
    after = made.states["a"]
    for late in (
        HighlightWord(**said, revision=2, word=Word.EDIT, text="Eldre"),
        HighlightWord(**said, revision=2, word=Word.DROP),
        HighlightStep(**said, revision=2, step=Step.SENDING, intent="i"),
        HighlightStep(**said, revision=2, step=Step.HELD, why=Why.LATE),
    ):
        made.take(late)
        assert made.states["a"] == after


def test_a_bus_that_goes_away_between_intent_and_send_lets_nothing_out(room: Newsroom) -> None:
    approved(room, "a")

    def away() -> None:
        raise BusError("the bus is away")

    room.x.meanwhile = away
    room.turn()
    assert (room.x.posts, room.stages()) == ([], {"a": "approved"})
    room.turn()
    assert (len(room.x.posts), room.stages()) == (1, {"a": "published"})
    assert [r.why for r in room.records() if isinstance(r, HighlightStep)] == [None, Why.STOPPED, None, None]
