"""Near copies stand as one in the register, whatever order posts come in; rules' stories stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from alerts.annotate.story import story
from alerts.register import alike
from alerts.register.view import Register
from listener.bus.protocol import Bus, Message, TopicPartition, open_bus
from listener.clock import ManualClock
from listener.model.records import Cue, Finding, Kind, encode
from listener.model.topics import Retention, topic_specs
from tests.corpus.data import CORPUS, pairs

START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)
TEXT = "Besøk er forbudt på Lia sykehus fra mandag"
COPIES = [
    f"Har dere sett dette? {TEXT}",
    f"Uff da, {TEXT.lower()}",
    f"«{TEXT}» – kan dette virkelig stemme?",
    "Besok er forbudt paa Lia sykehus fra mandag",
    f"Hørt at {TEXT.lower()}, stemmer det?",
]
OTHERS = [
    "Besøk er ikke forbudt på Lia sykehus fra mandag",
    "Nei: besøk er forbudt på Moen sykehus fra mandag",
    "Så det er slik: besøk er forbudt på Lia sykehus fra onsdag",
    f"Sykehuset avkrefter at {TEXT.lower()}",
]
PAIRS = pairs(CORPUS / "stories.jsonl")
TEXTS = sorted({text for pair in PAIRS for text in (pair.a, pair.b)})


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with closing(make_bus(tmp_path / "bus")) as opened:
        yield opened


@pytest.fixture
def view(bus: Bus, tmp_path: Path) -> Iterator[Register]:
    with closing(Register(bus, tmp_path / "register.sqlite")) as opened:
        yield opened


def make_bus(folder: Path) -> Bus:
    folder.mkdir(exist_ok=True)
    bus = open_bus("embedded:", folder, ManualClock(START), durable=False)
    bus.ensure(topic_specs(1, {Retention.PRIVACY: timedelta(days=1)}))
    return bus


def finding(number: int, text: str) -> Finding:
    at = START + timedelta(seconds=number)
    its = {"incident": "brann-0", "story": story(text), "author": f"p_{number}", "cues": (Cue(kind=Kind.RUMOUR),)}
    return Finding(source="x", id=f"p{number}", at=at, captured_at=at, text=text, **its)


def publish(bus: Bus, findings: Iterable[Finding]) -> None:
    bus.publish([Message("findings", each.key, encode(each)) for each in findings])


def groups(view: Register, texts: Mapping[str, str]) -> set[frozenset[str]]:
    """Posts that stand together; `texts`: post → its text."""
    view.catch_up()
    found: dict[str, set[str]] = {}
    for row in view.registered():
        found.setdefault(row.story, set()).add(texts[row.post])
    return set(map(frozenset, found.values()))


def test_copies_with_a_comment_a_slip_or_in_quotes_are_one_story_by_the_name_of_the_first(
    bus: Bus, view: Register
) -> None:
    publish(bus, (finding(n, text) for n, text in enumerate([TEXT, *COPIES, *OTHERS])))
    view.catch_up()
    (first, *others) = view.top(Kind.RUMOUR)
    assert (first.people, first.text, first.story) == (1 + len(COPIES), TEXT, story(TEXT))
    assert {each.people for each in others} == {1}, "what differs in the facts never joins"
    for copy in COPIES:
        assert view.find(story(copy)).stories == (story(TEXT),)
        assert {row.post for row in view.story(story(copy))} == {f"x:p{n}" for n in range(1 + len(COPIES))}
    assert set(view.stories_of(story(TEXT))) == {story(text) for text in [TEXT, *COPIES]}
    assert view.stories_of(story(TEXT))[0] == story(TEXT)


def test_one_that_comes_later_joins_and_an_earlier_one_gives_the_name(bus: Bus, view: Register) -> None:
    publish(bus, [finding(5, COPIES[0])])
    view.catch_up()
    publish(bus, [finding(9, TEXT)])
    view.catch_up()
    assert {row.story for row in view.registered()} == {story(COPIES[0])}
    publish(bus, [finding(1, COPIES[1])])
    view.catch_up()
    assert {row.story for row in view.registered()} == {story(COPIES[1])}


def test_with_a_purge_the_group_has_another_name_and_nothing_is_left_of_the_text(
    bus: Bus, view: Register, tmp_path: Path
) -> None:
    publish(bus, [finding(0, COPIES[0]), finding(1, TEXT)])
    view.catch_up()
    assert {row.story for row in view.registered()} == {story(COPIES[0])}
    bus.purge([(TopicPartition("findings", 0), "brann-0:x:p0")])
    view.catch_up()
    assert [row.story for row in view.registered()] == [story(TEXT)]
    assert view.find(story(COPIES[0])).stories == ()
    with closing(Register(bus, tmp_path / "anew.sqlite")) as anew:
        anew.catch_up()
        assert dump(view) == dump(anew), "as if it had never been there"


def dump(view: Register) -> Mapping[str, Sequence[object]]:
    """All that is kept of texts, by the names of stories."""
    asked = {
        "digests": "SELECT * FROM digests",
        "stories": "SELECT story, key, anchors, together, todo FROM stories",
        "anchors": "SELECT hash, story FROM anchors a JOIN stories s ON s.id = a.id",
        "near": "SELECT a.story, b.story FROM near JOIN stories a ON a.id = one JOIN stories b ON b.id = two",
    }
    return {what: sorted(view._db.execute(words)) for what, words in asked.items()}


@examples(15)
@given(st.randoms(use_true_random=False))
def test_the_same_stories_are_one_in_whatever_order_posts_come_and_go(random: Random) -> None:
    chosen = [text for pair in random.sample(PAIRS, 15) for text in (pair.a, pair.b)]
    findings = [finding(n, text) for n, text in enumerate(chosen)]
    texts = {each.post_key: each.text for each in findings}
    gone = random.sample(findings, 5)
    kept = [each for each in findings if each not in gone]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        bus, other = (stack.enter_context(closing(make_bus(folder / name))) for name in ("one", "two"))
        view, again = (
            stack.enter_context(closing(Register(its, folder / name)))
            for its, name in ((bus, "one.sqlite"), (other, "two.sqlite"))
        )
        coming = random.sample(findings, len(findings))
        for start in range(0, len(coming), 7):
            publish(bus, coming[start : start + 7])
            view.catch_up()
        bus.purge([(TopicPartition("findings", 0), each.key) for each in gone])
        publish(other, kept)
        assert groups(view, texts) == groups(again, texts)
        for what in ("stories", "anchors", "near"):
            assert dump(view)[what] == dump(again)[what]


def test_of_the_pairs_of_the_corpus_near_copies_are_found_and_hardly_any_other_is_joined(tmp_path: Path) -> None:
    right = {True: 0, False: 0}
    for same in right:
        asked = [pair for pair in PAIRS if pair.same is same and story(pair.a) != story(pair.b)][:60]
        for number, pair in enumerate(asked):
            its = tmp_path / f"{same}{number}"
            with closing(make_bus(its)) as bus, closing(Register(bus, its / "register.sqlite")) as view:
                publish(bus, [finding(1, pair.a), finding(2, pair.b)])
                view.catch_up()
                right[same] += (len({row.story for row in view.registered()}) == 1) is same
        assert right[same] >= 0.95 * len(asked), f"{right[same]} of {len(asked)}"


def test_a_flood_of_copies_costs_what_its_bounds_allow(
    bus: Bus, view: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alike, "MOST_TOGETHER", 10)
    texts = [
        f"{word} {TEXT}" for word in ("Hei:", "Nå!", "Åå.", "Ja!", "Se:", "Oi!", "Hm.", "Vet du!", "Obs!", "Ser du?")
    ]
    texts += [f"Fra nr. {n} i gata: {TEXT.lower()}" for n in range(30)]
    publish(bus, (finding(n, text) for n, text in enumerate(texts)))
    view.catch_up()
    assert len({row.story for row in view.registered()}) < len({story(text) for text in texts}) / 2


def test_kinds_are_counted_as_people_have_corrected_them(bus: Bus, view: Register) -> None:
    publish(bus, [finding(1, TEXT), finding(2, "Noe helt annet som noen sier i kveld")])
    view.catch_up()
    assert view.counts() == {"rumour": 2}
    view.amend_with(lambda row: row._replace(kinds="wish question") if row.post == "x:p1" else row)
    assert view.counts() == {"rumour": 1, "wish": 1, "question": 1}


def test_what_the_bus_has_dropped_leaves_no_digest(bus: Bus, view: Register) -> None:
    publish(bus, [finding(0, COPIES[0])])
    view.catch_up()
    bus.retain(START + timedelta(days=2))
    publish(bus, [finding(1, TEXT)])
    view.catch_up()
    view.release()
    kept = dump(view)
    assert {row[1] for row in kept["digests"]} == {1}  # type: ignore[index]
    assert {row[1] for row in kept["anchors"]} <= {story(TEXT)}  # type: ignore[index]
    view.catch_up()
    assert [row.story for row in view.registered()] == [story(TEXT)]
    assert {row[0] for row in dump(view)["stories"]} == {story(TEXT)}  # type: ignore[index]
