"""Doubles of several incidents: nothing is answered that nobody saw, and each word is told by somebody."""

from __future__ import annotations

from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from alerts.notify.duplicates import answers, doubles_of, first_of, may_be_doubled
from listener.model.incidents import Incident, State
from listener.model.records import Decision, DecisionKind, Sample
from tests.unit.telling_support import T0, Log, after, due, people

WHO = people({"duty": ["kari"]})


def samples(*numbers: int) -> tuple[Sample, ...]:
    return tuple(Sample(key=f"x:{n}", digest=f"d{n}") for n in numbers)


def fire(log: Log, id_: str, incident: str, minute: float, *numbers: int) -> None:
    log.fired(id_, after(minutes=minute), incident=incident, samples=samples(*numbers), posts=len(numbers))


def follow(log: Log) -> None:
    """Write down what follows from what was said, as the dispatcher does, until nothing more does."""
    while found := list(answers(log.book, WHO, State())):
        for answer in found:
            digest = f"follows {len(log.records)}"
            log.add(
                "decisions", Decision(kind=answer.kind, id=answer.state.id, at=answer.at, by=answer.by, digest=digest)
            )


def test_the_earliest_speaks_for_all_and_is_due_alone() -> None:
    log = Log()
    fire(log, "b", "ras-1", 1, 1, 2)
    fire(log, "a", "brann-0", 0, 1, 2, 3)
    fire(log, "c", "flom-2", 2, 1)
    states = {state.id: state for state in log.book.open()}
    assert first_of(log.book, states["a"]) is None
    assert [first_of(log.book, states[id_]) for id_ in "bc"] == [states["a"]] * 2
    assert {state.id for state in doubles_of(log.book, states["a"])} == {"b", "c"}
    assert [one.lead for one in due(log.book, WHO, after(minutes=3))] == ["a"]


def test_what_fired_after_the_answer_is_not_answered_however_late_that_is_followed() -> None:
    log = Log()
    fire(log, "a", "brann-0", 0, 1, 2)
    fire(log, "b", "ras-1", 1, 1, 2)
    log.decided(DecisionKind.ACKNOWLEDGE, at=after(minutes=2), id_="a")
    # Nobody dispatched for an hour.
    fire(log, "c", "brann-0", 30, 1, 2)
    follow(log)
    assert [state.id for state in log.book.open()] == ["c"]
    assert log.book.find("b").handled.at == after(minutes=2)


def test_only_incidents_of_one_kind_double_each_other() -> None:
    def incident(id_: str, exercise: bool = False) -> Incident:
        return Incident(
            id=id_, name=id_, tracks=(), opened_at=T0, opened_by="k", why="", review_at=T0, exercise=exercise
        )

    alone = State(incidents={i.id: i for i in (incident("a"), incident("x", True))})
    assert may_be_doubled(alone) == frozenset()
    both = State(incidents={i.id: i for i in (incident("a"), incident("b"), incident("x", True))})
    assert may_be_doubled(both) == {"a", "b"}


STEPS = st.one_of(
    st.tuples(st.just("fire"), st.sampled_from(["i0", "i1", "i2"]), st.sets(st.integers(1, 3), min_size=1)),
    st.tuples(st.just("ack"), st.integers(0, 20), st.just(set[int]())),
    st.tuples(st.just("close"), st.integers(0, 20), st.just(set[int]())),
    st.tuples(st.just("follow"), st.just(0), st.just(set[int]())),
)


@examples(300)
@given(st.lists(STEPS, max_size=25))
def test_nothing_is_answered_that_fired_after_the_word_and_every_open_word_is_sent(
    steps: list[tuple[str, str | int, set[int]]],
) -> None:
    log, fired, people_said = Log(), [], set()
    for number, (what, which, numbers) in enumerate(steps):
        if what == "fire":
            fired.append(f"a{number}")
            fire(log, f"a{number}", str(which), number, *sorted(numbers))
        elif what == "follow":
            follow(log)
        elif fired:
            kind = DecisionKind.ACKNOWLEDGE if what == "ack" else DecisionKind.CLOSE
            people_said.add(after(minutes=number))
            log.decided(kind, at=after(minutes=number), id_=fired[int(which) % len(fired)])
    follow(log)
    for state in log.book.all():
        if state.handled is not None:
            assert state.handled.at in people_said
            assert state.handled.at >= state.fired_at
    told = {one.lead for one in due(log.book, WHO, after(minutes=len(steps)))}
    for state in log.book.open():
        word, seen = state, set()
        while (first := first_of(log.book, word)) is not None:
            assert first.fired_at < word.fired_at
            assert {s.digest for s in word.alert.samples} <= {s.digest for s in first.alert.samples}
            word = first
            seen.add(word.id)
        assert word.id in told, "whoever speaks for it is told, and is open"
