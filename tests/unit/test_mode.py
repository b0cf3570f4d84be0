from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from listener.model.incidents import (
    Action,
    Command,
    Mode,
    Presence,
    Result,
    State,
    apply,
    decode_command,
    decode_presence,
    encode_command,
    encode_presence,
    fold,
    slug,
)

T0 = datetime(2031, 5, 17, 3, 0, tzinfo=UTC)


def command(action: Action, **fields: Any) -> Command:
    return Command(**{"action": action, "at": T0, "by": "kari", "why": "meldt", **fields})


def opening(name: str = "Brann, Ullevål", **fields: Any) -> Command:
    return command(Action.OPEN, name=name, **fields)


def state_of(*commands: Command | bytes) -> State:
    values = [c if isinstance(c, bytes) else encode_command(c) for c in commands]
    return fold(State(), enumerate(values))


def results(state: State) -> list[Result]:
    return [t.result for t in state.history]


def raw(**changes: Any) -> bytes:
    """An opening command as it lies on the bus, with some fields changed; None takes one away."""
    said = {**json.loads(encode_command(opening())), **changes}
    return json.dumps({name: value for name, value in said.items() if value is not None}).encode()


# --- names -----------------------------------------------------------------------------------------------------


def test_nothing_said_is_calm() -> None:
    assert State().mode is Mode.CALM
    assert State().since is None


@pytest.mark.parametrize("again", ["BRANN, ULLEVÅL", "  brann,  ullevål ", "Brann, Ulleva\u030al"])
def test_the_same_name_however_it_is_written_is_the_same_incident(again: str) -> None:
    state = state_of(opening(add=("ullevål brann",)), opening(again, add=("røyk", "Ullevål Brann"), by="ola"))
    (incident,) = state.open
    assert results(state) == [Result.OPENED, Result.JOINED]
    assert incident.tracks == ("ullevål brann", "røyk")
    assert incident.opened_by == "kari"


def test_the_same_name_without_a_new_track_changes_nothing() -> None:
    once = state_of(opening(add=("røyk",)))
    twice = state_of(opening(add=("røyk",)), opening(add=("RØYK",), why="igjen", review_after=60.0))
    assert twice.history[-1].result is Result.UNCHANGED
    assert twice.open == once.open


def test_a_lookback_that_was_asked_for_reaches_an_open_incident_and_never_less_far() -> None:
    first = opening(lookback=3600.0)
    further = state_of(first, opening(lookback=7200.0, lookback_asked=True))
    assert (further.history[-1].result, further.open[0].lookback) == (Result.JOINED, 7200.0)
    assert further.open[0].review_at == state_of(first).open[0].review_at
    for unchanged in (opening(lookback=7200.0), opening(lookback=60.0, lookback_asked=True)):
        state = state_of(first, unchanged)
        assert (state.history[-1].result, state.open[0].lookback) == (Result.UNCHANGED, 3600.0)


def test_a_review_that_was_asked_for_is_moved() -> None:
    state = state_of(opening(), opening(review_after=900.0, review_asked=True))
    assert state.history[-1].result is Result.JOINED
    assert state.open[0].review_at - state.history[-1].command.at == timedelta(minutes=15)  # type: ignore[union-attr]


def test_another_name_is_a_second_incident() -> None:
    state = state_of(opening("Brann"), opening("Flom"))
    assert [i.name for i in state.open] == ["Brann", "Flom"]


def test_an_exercise_a_crisis_and_a_canary_of_one_name_stay_apart() -> None:
    state = state_of(opening(synthetic=True), opening(exercise=True), opening())
    assert results(state) == [Result.OPENED] * 3
    assert [i.exercise for i in state.open] == [True, False]


def test_a_canary_makes_no_crisis_and_is_not_closed_with_the_others() -> None:
    state = state_of(opening("kanarifugl", synthetic=True))
    assert (state.mode, state.since) == (Mode.CALM, None)
    assert len(state.listening) == 1
    after = apply(state, 1, encode_command(command(Action.CLOSE)))
    assert after.listening == state.listening


def test_an_incident_of_a_closed_one_s_name_is_a_new_one() -> None:
    state = state_of(opening(), command(Action.CLOSE), opening())
    assert len({i.id for i in state.incidents.values()}) == 2
    assert len(state.open) == 1


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Brann, Ullevål", "brann-ullevaal"),
        ("Ulleva\u030al", "ullevaal"),
        ("火事", "incident"),
        ("a" * 39 + " b", "a" * 39),
    ],
)
def test_an_id_is_spelled_from_the_name(name: str, wanted: str) -> None:
    assert slug(name) == wanted


# --- change and close --------------------------------------------------------------------------------------------


def test_change_drops_and_adds_tracks() -> None:
    state = state_of(
        opening(add=("brann", "røyk")),
        command(Action.CHANGE, incident="brann-ullevaal-0", add=("ild",), drop=("RØYK",)),
    )
    assert state.history[-1].result is Result.CHANGED
    assert state.open[0].tracks == ("brann", "ild")


@pytest.mark.parametrize("action", [Action.CHANGE, Action.CLOSE])
def test_what_is_not_open_is_refused_and_kept_in_the_history(action: Action) -> None:
    state = state_of(opening(), command(Action.CLOSE), command(action, incident="brann-ullevaal-0", add=("ild",)))
    assert state.history[-1].result is Result.REFUSED
    assert state.history[-1].incidents == ("brann-ullevaal-0",)
    assert not state.open


def test_calm_closes_all_and_names_them() -> None:
    state = state_of(opening("Brann"), opening("Flom", exercise=True), command(Action.CLOSE, by="ola"))
    assert state.history[-1].incidents == ("brann-0", "flom-1")
    assert state.mode is Mode.CALM
    assert {i.closed_by for i in state.incidents.values()} == {"ola"}


def test_calm_of_one_leaves_the_other_and_the_crisis() -> None:
    state = state_of(opening("Brann"), opening("Flom"), command(Action.CLOSE, incident="brann-0"))
    assert [i.name for i in state.open] == ["Flom"]
    assert state.mode is Mode.CRISIS


def test_since_is_the_last_change_of_mode() -> None:
    later = [T0 + timedelta(minutes=m) for m in range(4)]
    state = state_of(
        opening("Brann", at=later[0]),
        opening("Flom", at=later[1]),
        command(Action.CLOSE, incident="brann-0", at=later[2]),
    )
    assert state.since == later[0]
    assert apply(state, 3, encode_command(command(Action.CLOSE, at=later[3]))).since == later[3]


def test_a_clock_set_back_changes_neither_order_nor_outcome() -> None:
    state = state_of(opening(), command(Action.CLOSE, at=T0 - timedelta(hours=1)))
    (incident,) = state.incidents.values()
    assert state.mode is Mode.CALM
    assert incident.closed_at == incident.opened_at


def test_a_record_handed_over_twice_counts_once() -> None:
    value = encode_command(opening())
    state = fold(State(), [(0, value), (0, value)])
    assert len(state.history) == 1


# --- reviews -----------------------------------------------------------------------------------------------------

FOUR_HOURS = 4 * 3600.0


def reviewed(*commands: Command) -> list[float]:
    """Hours from T0 to the next review of each open incident."""
    state = state_of(opening("Brann", review_after=FOUR_HOURS), opening("Flom", review_after=3600.0), *commands)
    return [(i.review_at - T0) / timedelta(hours=1) for i in state.open]


def review(hours: float, **more: Any) -> Command:
    return command(Action.REVIEW, at=T0 + timedelta(hours=hours), review_after=7200.0, **more)


def test_a_review_moves_the_next_one_on_by_what_each_incident_was_opened_with() -> None:
    assert reviewed(review(3)) == [7.0, 4.0]
    assert reviewed(review(3, incident="brann-0")) == [7.0, 1.0]


def test_a_review_that_says_for_how_long_counts_once_and_for_all_it_names() -> None:
    assert reviewed(review(3, review_asked=True)) == [5.0, 5.0]
    assert reviewed(review(3, review_asked=True), review(5)) == [9.0, 6.0]


def test_an_incident_that_never_asked_for_a_review_gets_the_settings_one() -> None:
    state = state_of(opening("Brann"), review(1))
    assert state.open[0].review_at == T0 + timedelta(hours=3)


def test_a_review_of_nothing_changes_nothing_and_one_of_a_closed_incident_is_refused() -> None:
    assert state_of(review(1)).history[-1].result is Result.UNCHANGED
    assert state_of(opening("Brann"), command(Action.CLOSE), review(1)).history[-1].result is Result.UNCHANGED
    closed = state_of(opening("Brann"), command(Action.CLOSE), review(1, incident="brann-0"))
    assert closed.history[-1].result is Result.REFUSED


def test_whoever_changes_an_incident_has_reviewed_it_once_the_review_is_due_and_not_before() -> None:
    def change(hours: float) -> Command:
        return command(Action.CHANGE, at=T0 + timedelta(hours=hours), incident="brann-0", add=("ild",))

    def join(hours: float, track: str = "ild") -> Command:
        return opening("Brann", at=T0 + timedelta(hours=hours), add=(track,) if track else (), review_after=60.0)

    assert reviewed(change(3)) == reviewed(join(3)) == [4.0, 1.0]
    assert reviewed(change(4)) == reviewed(join(4)) == [8.0, 1.0]
    assert reviewed(join(4, "")) == [4.0, 1.0]


def test_a_canary_is_not_reviewed() -> None:
    state = state_of(opening("kanarifugl", synthetic=True, review_after=FOUR_HOURS), review(5))
    assert state.history[-1].result is Result.UNCHANGED


# --- bad records -------------------------------------------------------------------------------------------------

BAD = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe{}",
    "a list": b"[]",
    "nested too deeply": b"[" * 100_000,
    "another type": raw(type="presence"),
    "an unknown action": raw(action="panic"),
    "an action that is a list": raw(action=["open"]),
    "no name": raw(name=" "),
    "no time": raw(at=None),
    "a time that is a number": raw(at=5),
    "a time without a zone": raw(at="2031-05-17T03:00:00"),
    "a time before time": raw(at="0001-01-01T00:00:00+23:00"),
    "a time at the end of time": raw(at="9999-12-31T00:00:00Z"),
    "nobody": raw(by=None),
    "somebody who is a number": raw(by=7),
    "no reason": raw(why=None),
    "half a character": raw(why="\ud83d"),
    "tracks that are one text": raw(add="brann"),
    "tracks that are numbers": raw(add=[1]),
    "a review at infinity": raw(review_after=float("inf")),
    "a review that is no number": raw(review_after=float("nan")),
    "a review in the past": raw(review_after=-1),
    "a review that is text": raw(review_after="4h"),
    "an exercise, perhaps": raw(exercise="yes"),
    "no version": raw(v=None),
    "a version that is a word": raw(v="1"),
    "a version that is true": raw(v=True),
}


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_a_bad_record_becomes_history_and_the_rest_is_folded(value: bytes) -> None:
    state = state_of(opening("Brann"), value, opening("Flom"))
    assert results(state) == [Result.OPENED, Result.UNREADABLE, Result.OPENED]
    assert state.epoch == 2
    assert state.history[1].detail


def test_a_record_of_a_newer_schema_is_not_guessed_at() -> None:
    state = state_of(raw(v=2))
    assert results(state) == [Result.UNREADABLE]
    assert state.history[0].detail == "a command of schema version 2; this program knows 1"


def test_what_is_wrong_is_named_without_its_value() -> None:
    with pytest.raises(ValueError, match="'by'") as caught:
        decode_command(raw(by=["Kari Nordmann"]))
    assert "Kari" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(
    st.binary(max_size=60)
    | st.dictionaries(st.text(max_size=8), st.integers() | st.text()).map(
        lambda d: json.dumps({**d, "type": "command", "v": 1}).encode()
    )
)
def test_no_bytes_break_the_fold(value: bytes) -> None:
    assert len(apply(State(), 0, value).history) == 1


@pytest.mark.parametrize("field", ["process", "roles", "host", "pid", "epoch", "at"])
def test_a_presence_that_lacks_something_is_refused(field: str) -> None:
    said = json.loads(encode_presence(Presence(process="all@x", roles=("alerts",), host="x", pid=1, epoch=0, at=T0)))
    decode_presence(json.dumps(said).encode())
    del said[field]
    with pytest.raises(ValueError, match=field):
        decode_presence(json.dumps(said).encode())


@pytest.mark.parametrize("sources", [[], {"x": "ok"}, "x"])
def test_a_presence_with_sources_of_another_shape_is_refused(sources: object) -> None:
    said = json.loads(encode_presence(Presence(process="all@x", roles=("alerts",), host="x", pid=1, epoch=0, at=T0)))
    with pytest.raises(ValueError, match="sources"):
        decode_presence(json.dumps({**said, "sources": sources}).encode())


# --- any sequence ------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["Brann", "BRANN", "Flom", "Streik"])
TRACKS = st.lists(st.sampled_from(["brann", "Brann", "røyk", "#flom", "@x"]), max_size=3).map(tuple)
INSTANTS = st.integers(-10_000, 10_000).map(lambda s: T0 + timedelta(seconds=s))


@st.composite
def sequences(draw: st.DrawFn) -> list[bytes]:
    """Commands that name incidents which are open, closed, or were never there; in between, records that are bad."""
    values: list[bytes] = []
    for offset in range(draw(st.integers(0, 15))):
        ids = st.sampled_from([f"{name}-{n}" for name in ("brann", "flom", "streik") for n in range(offset + 1)])
        one = st.builds(
            command,
            st.sampled_from(Action),
            name=NAMES,
            incident=ids | st.just(""),
            add=TRACKS,
            drop=TRACKS,
            at=INSTANTS,
            exercise=st.booleans(),
            synthetic=st.booleans(),
        )
        values.append(draw(one.map(encode_command) | st.sampled_from([b"?", raw(v=2)])))
    return values


@given(sequences(), st.integers(0, 15))
@examples(80)
def test_folding_in_pieces_equals_folding_at_once(values: list[bytes], cut: int) -> None:
    numbered = list(enumerate(values))
    whole = fold(State(), numbered)
    assert fold(fold(State(), numbered[:cut]), numbered[cut:]) == whole
    single = State()
    for offset, value in numbered:
        single = apply(single, offset, value)
    assert single == whole


@given(sequences())
@examples(80)
def test_any_sequence_of_commands_gives_a_consistent_state(values: list[bytes]) -> None:
    state = State()
    for offset, value in enumerate(values):
        before, state = state, apply(state, offset, value)
        said = state.history[-1]

        assert [t.offset for t in state.history] == list(range(offset + 1))
        assert state.epoch == offset
        assert (state.mode is Mode.CRISIS) == any(i.open and not i.synthetic for i in state.incidents.values())
        assert all(state.incidents[i] == closed for i, closed in before.incidents.items() if not closed.open)
        assert before.incidents.keys() <= state.incidents.keys()
        assert len({(i.name.casefold(), i.exercise, i.synthetic) for i in state.listening}) == len(state.listening)
        for incident in state.incidents.values():
            assert len({t.casefold() for t in incident.tracks}) == len(incident.tracks)
            assert incident.closed_at is None or incident.closed_at >= incident.opened_at
        if said.result in (Result.UNCHANGED, Result.REFUSED, Result.UNREADABLE):
            assert (state.incidents, state.since) == (before.incidents, before.since)
        else:
            assert state.incidents != before.incidents
        if state.mode is not before.mode:
            assert said.command is not None
            assert state.since == said.command.at
        else:
            assert state.since == before.since


@given(
    st.builds(
        command,
        st.sampled_from(Action),
        name=st.text(min_size=1).filter(str.strip),
        why=st.text(),
        by=st.text(),
        add=st.lists(st.text()).map(tuple),
        lookback=st.floats(0, 1e6),
        at=INSTANTS,
        exercise=st.booleans(),
    )
)
def test_a_command_comes_back_from_the_bus_as_it_was_said(said: Command) -> None:
    assert decode_command(encode_command(said)) == said
