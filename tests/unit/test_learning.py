"""What corrections teach the model, and where what was learned lies."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from alerts.annotate.learned import BEFORE, LEARNED, Model, forget, keep, undo
from alerts.annotate.learning import FEWEST, Lesson, Outcome, learn
from alerts.annotate.understanding import WEIGHTS, Reader, Understander
from alerts.annotate.weights import Bank, read, write
from listener.model.records import Kind
from listener.settings.files import packaged_config
from tests.corpus.data import corpus

READER = Reader.load(packaged_config())
BANKS = read(WEIGHTS)
UNDERSTANDER = Understander(READER, BANKS)
PLACES = (
    *("bakgården", "kantina", "kjelleren", "garasjen", "hagen", "kapellet", "trappa", "resepsjonen", "heisen"),
    *("verkstedet", "vaskeriet", "portalen", "glassgangen", "lagerhallen"),
)
SENTENCES = ("Zorplet i {} hos dere nå igjen", "Igjen zorplet ved {}, altså")
NEW_WORD = [sentence.format(place) for place in PLACES for sentence in SENTENCES]
"""A word of the house's own that no model knows: all of them a wish about food."""
UNSEEN = "Zorplet i garderoben hos dere i dag igjen"
OTHERS = [post.text for post in corpus()[::120]]
"""Posts that nobody corrects."""


def lessons(texts: Sequence[str] = NEW_WORD) -> list[Lesson]:
    return [Lesson(text, (Kind.WISH,), ("food",), f"s{number}") for number, text in enumerate(texts)]


def anchors(texts: Sequence[str] = OTHERS) -> list[Lesson]:
    """Posts that nobody corrected, as the model understands them."""
    found = [(text, UNDERSTANDER.understand(text)) for text in texts]
    return [Lesson(text, each.labels, each.themes, each.story) for text, each in found]


@pytest.fixture(scope="module")
def learned() -> tuple[dict[str, Bank], Outcome]:
    banks, outcome = learn(READER, BANKS, lessons(), anchors())
    return dict(banks), outcome


def test_a_word_of_the_houses_own_is_understood_in_posts_that_were_not_corrected(
    learned: tuple[dict[str, Bank], Outcome],
) -> None:
    before, after = UNDERSTANDER.understand(UNSEEN), Understander(READER, learned[0]).understand(UNSEEN)
    assert after.kinds[Kind.WISH] > before.kinds[Kind.WISH] + 0.2


def test_the_outcome_is_measured_on_lessons_that_were_not_learned_from(
    learned: tuple[dict[str, Bank], Outcome],
) -> None:
    outcome = learned[1]
    assert outcome.lessons == len(NEW_WORD)
    assert outcome.kinds_before < outcome.kinds_after <= outcome.lessons
    assert outcome.themes_before < outcome.themes_after <= outcome.lessons
    assert outcome.worse is None


def test_of_posts_that_nobody_corrected_nearly_all_stay_what_they_were(
    learned: tuple[dict[str, Bank], Outcome],
) -> None:
    judge = Understander(READER, learned[0])
    changed = [each.text for each in anchors() if judge.understand(each.text).labels != each.kinds]
    assert len(changed) <= len(OTHERS) / 20, changed


def test_copies_are_not_learned_from_and_judged_at_once() -> None:
    """One story in all lessons: whoever learned from one of its copies would know the others by heart."""
    one = [each._replace(story="the same") for each in lessons()]
    _, outcome = learn(READER, BANKS, one, anchors(OTHERS[:40]))
    assert (outcome.kinds_after, outcome.themes_after) == (outcome.kinds_before, outcome.themes_before)
    assert outcome.worse == "nothing would be right more often than now"


def test_of_a_few_corrections_nothing_is_learned() -> None:
    with pytest.raises(ValueError, match=f"there are {FEWEST - 1} corrections to learn from, and it takes {FEWEST}"):
        learn(READER, BANKS, lessons()[: FEWEST - 1], anchors())


def test_the_same_lessons_give_the_same_file(tmp_path: Path, learned: tuple[dict[str, Bank], Outcome]) -> None:
    write(tmp_path / "one", learned[0])
    write(tmp_path / "two", learn(READER, BANKS, lessons(), anchors())[0])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (Outcome(20, 5, 9, 4, 4, 1.0), None),
        (Outcome(20, 5, 4, 4, 9, 1.0), "kinds would be right less often"),
        (Outcome(20, 5, 9, 4, 3, 1.0), "main themes would be right less often"),
        (Outcome(20, 5, 9, 4, 9, 0.5), "50% would be taken for something else"),
        (Outcome(20, 5, 5, 4, 4, 1.0), "nothing would be right more often"),
    ],
)
def test_what_is_worse_is_refused_with_the_reason(outcome: Outcome, why: str | None) -> None:
    assert (outcome.worse is None) if why is None else re.search(re.escape(why), str(outcome.worse))


# --- where it lies ---------------------------------------------------------------------------------------------------


@pytest.fixture
def put(learned: tuple[dict[str, Bank], Outcome], tmp_path: Path) -> Callable[..., None]:
    """Puts what was learned in force, as learned from posts of these ids."""
    return lambda *posts: keep(tmp_path, learned[0], posts)


def test_what_was_learned_comes_into_force_in_a_running_process_and_can_be_undone(
    tmp_path: Path, put: Callable[..., None]
) -> None:
    model = Model(packaged_config(), tmp_path)
    first = model.current(0.0)
    put("x:1")
    assert model.current(1.0) is first, "looked at some seconds apart"
    second = model.current(10.0)
    assert second.understand(UNSEEN).kinds[Kind.WISH] > first.understand(UNSEEN).kinds[Kind.WISH]
    assert undo(tmp_path)
    third = model.current(20.0)
    assert third.understand(UNSEEN) == first.understand(UNSEEN)
    assert not undo(tmp_path), "there is nothing more to take back"


def test_to_undo_brings_back_what_was_learned_before(tmp_path: Path, put: Callable[..., None]) -> None:
    put("x:1")
    before = (tmp_path / LEARNED).read_bytes()
    put("x:1", "x:2")
    assert (tmp_path / LEARNED).read_bytes() != before
    undo(tmp_path)
    assert (tmp_path / LEARNED).read_bytes() == before
    assert not (tmp_path / BEFORE).exists()


def test_what_was_learned_from_a_post_goes_with_the_post(tmp_path: Path, put: Callable[..., None]) -> None:
    put("x:1", "x:2")
    put("x:2")
    assert not forget(tmp_path, ["x:3"])
    assert forget(tmp_path, ["x:1", "x:3"])
    assert (tmp_path / LEARNED).exists()
    assert not (tmp_path / BEFORE).exists(), "that one had learned from it"
    assert forget(tmp_path, ["x:2"])
    assert not (tmp_path / LEARNED).exists()


def test_no_id_of_a_post_stands_in_the_file(tmp_path: Path, put: Callable[..., None]) -> None:
    put("x:1788000000000000001")
    assert b"1788000000000000001" not in (tmp_path / LEARNED).read_bytes()


def test_what_was_learned_on_another_model_is_passed_over_with_a_warning(
    tmp_path: Path, put: Callable[..., None], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("x:1")
    other = tmp_path / "another.bin"
    write(other, {**BANKS, "request": BANKS["request"]._replace(bias=BANKS["request"].bias + 1)})
    monkeypatch.setattr("alerts.annotate.learned.WEIGHTS", other)
    model = Model(packaged_config(), tmp_path)
    assert model.understander.understand(UNSEEN).labels == UNDERSTANDER.understand(UNSEEN).labels
    assert "run `lyttepost register learn` anew" in caplog.text


def test_a_damaged_file_leaves_in_force_what_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = Model(packaged_config(), tmp_path)
    first = model.current(0.0)
    (tmp_path / LEARNED).write_bytes(b"nonsense")
    assert model.current(10.0) is first
    assert "the model that was in force stays" in caplog.text
    assert forget(tmp_path, ["x:1"]), "nothing shows that it is free of the post"
