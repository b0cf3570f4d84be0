"""The register: what people wish and think, ranked by people; a view that can be thrown away at any time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from alerts.annotate.story import story
from alerts.register.ranking import RegisterRow, Whose
from alerts.register.view import Register
from listener.bus.protocol import Bus, Message, TopicPartition, open_bus
from listener.bus.sqlite.view import wipe_aside
from listener.clock import ManualClock, SystemClock
from listener.errors import ConfigError
from listener.model.records import AuthorClass, Cue, Finding, Kind, Tick, encode
from listener.model.topics import topic_specs
from listener.privacy.purge import purge_posts

START = datetime(2031, 1, 11, 19, 0, tzinfo=UTC)


def make_bus(folder: Path, partitions: int = 1) -> Bus:
    folder.mkdir(exist_ok=True)
    bus = open_bus("embedded:", folder, ManualClock(START), durable=False)
    bus.ensure(topic_specs(partitions, {}))
    return bus


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    with closing(make_bus(tmp_path / "bus")) as opened:
        yield opened


@pytest.fixture
def view(bus: Bus, tmp_path: Path) -> Iterator[Register]:
    with closing(Register(bus, tmp_path / "register.sqlite")) as opened:
        yield opened


def finding(number: int, text: str, author: str | None, *kinds: Kind, **more: Any) -> Finding:
    at = START + timedelta(seconds=number)
    repost_of = more.get("repost_of")
    return Finding(
        source="x",
        id=f"p{number}",
        at=at,
        captured_at=at,
        text=text,
        author=author,
        incident=more.pop("incident", "brann-0"),
        story=more.pop("story", story(text, repost_of)),
        cues=tuple(Cue(kind=kind) for kind in kinds or (Kind.WISH,)),
        **more,
    )


def publish(bus: Bus, *findings: Finding | Tick, partition: int | None = None) -> None:
    bus.publish(
        [Message("findings", f.key if isinstance(f, Finding) else "tick", encode(f), partition) for f in findings]
    )


def top(view: Register, kind: Kind = Kind.WISH, **more: Any) -> list[RegisterRow]:
    view.catch_up()
    return view.top(kind, **more)


def ranks(entries: list[RegisterRow]) -> list[tuple[str | None, int, int, int]]:
    return [(entry.text, entry.people, entry.posts, entry.reposts) for entry in entries]


WATER = "Kan noen komme med vann til skolen i Nordvik"
COATS = "Vi trenger ytterklær til barna ved Nordvik sykehus"


def test_one_who_asks_ten_times_is_one_person(bus: Bus, view: Register) -> None:
    publish(bus, *(finding(n, WATER, "p_a") for n in range(10)))
    publish(bus, *(finding(20 + n, COATS, f"p_{n}") for n in range(2)))
    assert ranks(top(view)) == [(COATS, 2, 2, 0), (WATER, 1, 10, 0)]


def test_reposts_and_copies_are_one_entry_in_the_words_of_who_said_it_first(bus: Bus, view: Register) -> None:
    publish(
        bus,
        finding(1, f"RT @p_a: {WATER}", "p_b", repost_of="p2"),
        finding(2, WATER, "p_a"),
        finding(3, f"{WATER.upper()}!", "p_c"),
    )
    (entry,) = top(view)
    assert ranks([entry]) == [(WATER, 3, 3, 1)]
    assert (entry.first_at, entry.last_at) == (START + timedelta(seconds=1), START + timedelta(seconds=3))


def test_what_officials_ask_of_the_public_is_no_wish_of_the_people(bus: Bus, view: Register) -> None:
    stay = "Hold avstand til Nordvik sykehus"
    publish(
        bus,
        finding(1, stay, "@politi_nv", author_class=AuthorClass.PUBLIC_BODY),
        *(finding(2 + n, f"RT @politi_nv: {stay}", f"p_{n}") for n in range(4)),
        finding(9, WATER, "p_a"),
        finding(10, "Nordvik sykehus er åpent", "@nordvikposten", Kind.MEDIA, author_class=AuthorClass.MEDIA),
    )
    assert ranks(top(view)) == [(WATER, 1, 1, 0)]
    assert [entry.text for entry in top(view, Kind.MEDIA)] == ["Nordvik sykehus er åpent"]


def test_a_view_of_another_bus_begins_anew_though_that_bus_is_longer(tmp_path: Path) -> None:
    clock = SystemClock()
    counted = []
    for name, said in (("one", 3), ("two", 5)):
        bus = open_bus("embedded:", tmp_path / name, clock)
        bus.ensure(topic_specs(1, {}))
        publish(bus, *(finding(n, f"{WATER} {name} {n}", f"p_{name}{n}", story=name) for n in range(said)))
        view = Register(bus, tmp_path / "register.sqlite")
        counted.append([(entry.story, entry.people) for entry in top(view)])
        view.close()
        bus.close()
    assert counted == [[("one", 3)], [("two", 5)]]


def test_a_kind_an_incident_and_a_limit_narrow_it(bus: Bus, view: Register) -> None:
    publish(
        bus,
        finding(1, WATER, "p_a"),
        finding(2, "Sykehuset burde sagt fra før", "p_b", Kind.VIEWPOINT),
        finding(3, COATS, "p_c", Kind.WISH, Kind.VIEWPOINT),
        finding(4, "Kan dere åpne parkeringen", "p_d", incident="flom-7", exercise=True),
    )
    assert {entry.text for entry in top(view, Kind.VIEWPOINT)} == {"Sykehuset burde sagt fra før", COATS}
    assert len(top(view)) == 3
    assert len(top(view, limit=1)) == 1
    (other,) = top(view, incident="flom-7")
    assert (other.incidents, other.exercise) == (("flom-7",), True)


def test_one_post_that_two_incidents_heard_is_one_post_in_one_row_that_names_both(bus: Bus, view: Register) -> None:
    for incident in ("brann-0", "flom-7"):
        publish(bus, finding(1, WATER, "p_a", incident=incident))
        publish(bus, finding(2, f"RT @p_a: {WATER}", "p_b", incident=incident, repost_of="p1"))
    publish(bus, finding(3, WATER, "p_c", incident="flom-7"))
    (entry,) = top(view)
    assert (entry.incidents, *ranks([entry])[0]) == (("brann-0", "flom-7"), WATER, 3, 3, 1)
    assert view.counts() == {"wish": 3}
    (brann,) = top(view, incident="brann-0")
    assert (brann.incidents, *ranks([brann])[0]) == (("brann-0",), WATER, 2, 2, 1)


def test_an_exercise_and_a_real_incident_are_never_in_one_row(bus: Bus, view: Register) -> None:
    publish(bus, finding(1, WATER, "p_a"), finding(1, WATER, "p_a", incident="ovelse-7", exercise=True))
    rows = {(entry.incidents, entry.exercise, entry.text) for entry in top(view)}
    assert rows == {(("brann-0",), False, WATER), (("ovelse-7",), True, WATER)}


def test_one_post_without_an_author_is_one_of_the_people_however_many_incidents_heard_it(
    bus: Bus, view: Register
) -> None:
    publish(bus, *(finding(1, WATER, None, incident=incident) for incident in ("brann-0", "flom-7")))
    assert ranks(top(view)) == [(WATER, 1, 1, 0)]


def test_a_canary_is_in_no_register_and_no_count(bus: Bus, view: Register) -> None:
    publish(bus, finding(1, WATER, "p_a", synthetic=True), Tick(source="x", until=START))
    assert top(view) == []
    assert view.counts() == {}


def test_without_authors_posts_that_are_no_reposts_are_counted_and_it_says_so(bus: Bus, view: Register) -> None:
    publish(bus, finding(1, WATER, None), finding(2, WATER, None), finding(3, f"RT @p_a: {WATER}", None))
    (entry,) = top(view)
    assert (entry.people, entry.posts, entry.reposts) == (2, 3, 1)
    assert entry.authors_known is False
    assert view.authors_known() is False


def test_a_finding_that_comes_again_counts_once(bus: Bus, view: Register) -> None:
    publish(bus, finding(1, WATER, "p_a"))
    view.catch_up()
    publish(bus, finding(1, WATER, "p_a"))
    assert ranks(top(view)) == [(WATER, 1, 1, 0)]


def test_what_is_purged_is_gone_from_the_entry_and_the_next_words_stand_for_it(bus: Bus, view: Register) -> None:
    one, two = finding(1, WATER, "p_a"), finding(2, f"{WATER}!", "p_b")
    publish(bus, one, two)
    assert top(view)[0].text == WATER
    bus.purge([(TopicPartition("findings", 0), one.key)])
    assert view.top(Kind.WISH)[0].text is None, "before the view has heard of it, the text is gone already"
    assert ranks(top(view)) == [(f"{WATER}!", 1, 1, 0)]
    assert view.texts(["x:p1", "x:p2"]) == {"x:p2": f"{WATER}!"}
    bus.purge([(TopicPartition("findings", 0), two.key)])
    assert top(view) == []


def test_no_text_is_in_its_file(bus: Bus, view: Register, tmp_path: Path) -> None:
    publish(bus, finding(1, WATER, "p_a"))
    assert top(view)[0].text == WATER
    for path in tmp_path.glob("register.sqlite*"):
        assert WATER.encode() not in path.read_bytes()


def test_a_view_that_was_removed_is_built_again(bus: Bus, tmp_path: Path) -> None:
    publish(bus, *(finding(n, WATER, f"p_{n}") for n in range(3)))
    path = tmp_path / "register.sqlite"
    for _ in range(2):
        with closing(Register(bus, path)) as view:
            assert ranks(top(view)) == [(WATER, 3, 3, 0)]
        for part in tmp_path.glob("register.sqlite*"):
            part.unlink()


def test_a_folder_in_its_place_is_named_with_what_to_do(bus: Bus, tmp_path: Path) -> None:
    (tmp_path / "register.sqlite").mkdir()
    with pytest.raises(ConfigError, match=r"register\.sqlite: is a folder where a file of ours belongs; move it away"):
        Register(bus, tmp_path / "register.sqlite")


def test_a_view_that_is_further_on_than_its_bus_is_built_again(bus: Bus, tmp_path: Path) -> None:
    path = tmp_path / "register.sqlite"
    with closing(make_bus(tmp_path / "other")) as other, closing(Register(other, path)) as view:
        publish(other, *(finding(n, COATS, f"p_{n}") for n in range(9)))
        assert len(top(view)) == 1
    publish(bus, *(finding(n, WATER, f"p_{n}") for n in range(3)))
    with closing(Register(bus, path)) as view:
        assert ranks(top(view)) == [(WATER, 3, 3, 0)]


def test_two_that_bring_it_up_to_date_at_once_end_with_right_counts(bus: Bus, tmp_path: Path) -> None:
    path = tmp_path / "register.sqlite"
    views = [Register(bus, path) for _ in range(2)]
    failures: list[BaseException] = []

    def keep_up(view: Register) -> None:
        try:
            for _ in range(60):
                view.catch_up()
        except BaseException as error:
            failures.append(error)

    threads = [Thread(target=keep_up, args=(view,)) for view in views]
    for thread in threads:
        thread.start()
    for n in range(600):
        publish(bus, finding(n, WATER if n % 2 else COATS, f"p_{n % 30}"))
    for thread in threads:
        thread.join()
    assert failures == []
    for view in views:
        assert set(ranks(top(view))) == {(WATER, 15, 300, 0), (COATS, 15, 300, 0)}
        view.close()


def test_partitions_are_kept_apart(tmp_path: Path) -> None:
    with closing(make_bus(tmp_path / "bus", 3)) as bus, closing(Register(bus, tmp_path / "register.sqlite")) as view:
        for number in range(3):
            publish(bus, finding(number, WATER, f"p_{number}", incident=f"i-{number}"), partition=number)
        assert [(entry.incidents, entry.people) for entry in top(view)] == [(("i-0", "i-1", "i-2"), 3)]
        for n in range(3):
            assert [(entry.incidents, entry.people) for entry in top(view, incident=f"i-{n}")] == [((f"i-{n}",), 1)]


def damage(path: Path, at: int, size: int = 20_000) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + size] = b"\xa5" * len(content[at : at + size])
    path.write_bytes(content)


@pytest.mark.parametrize("at", [0, 4096, 6000, 12_288])
def test_a_damaged_view_is_moved_aside_and_built_again(bus: Bus, tmp_path: Path, at: int) -> None:
    publish(bus, *(finding(n, WATER, f"p_{n}") for n in range(500)))
    path = tmp_path / "register.sqlite"
    with closing(Register(bus, path)) as view:
        assert top(view)[0].people == 500
    damage(path, at)
    with closing(Register(bus, path)) as view:
        assert ranks(top(view)) == [(WATER, 500, 500, 0)]
        assert view.counts() == {"wish": 500}
    assert path.with_name("register.sqlite.damaged").exists()


def test_a_file_that_is_no_register_is_moved_aside(bus: Bus, tmp_path: Path) -> None:
    path = tmp_path / "register.sqlite"
    letter = b"this is a shopping list and no database at all" * 30
    path.write_bytes(letter)
    publish(bus, finding(1, WATER, "p_a"))
    with closing(Register(bus, path)) as view:
        assert ranks(top(view)) == [(WATER, 1, 1, 0)]
    assert path.with_name("register.sqlite.damaged").read_bytes() == letter


def test_a_view_that_is_damaged_while_it_is_in_use_goes_on(
    bus: Bus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "register.sqlite"
    publish(bus, *(finding(n, WATER, f"p_{n}") for n in range(500)))
    with closing(Register(bus, path)) as view:
        view.catch_up()
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(path, 4096, 200_000)
        publish(bus, *(finding(500 + n, WATER, f"p_{500 + n}") for n in range(5)))
        view.release()
        view.texts(["x:p1"])
        assert ranks(top(view)) == [(WATER, 505, 505, 0)]
        assert view.texts(["x:p1"]) == {"x:p1": WATER}
    assert "is damaged" in caplog.text
    assert "built anew from the bus" in caplog.text


def test_what_was_purged_is_not_in_a_view_that_is_built_again(bus: Bus, tmp_path: Path) -> None:
    path = tmp_path / "register.sqlite"
    publish(bus, *(finding(n, f"{WATER} {n}", f"p_{n}", story=f"s{n}") for n in range(500)))
    with closing(Register(bus, path)) as view:
        view.catch_up()
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(path, 4096, 400_000)
        bus.purge([(TopicPartition("findings", 0), "brann-0:x:p7")])
        assert len(top(view, limit=1000)) == 499
        assert view.texts(["x:p7"]) == {}


def test_a_view_that_is_removed_under_a_running_service_is_built_again(bus: Bus, tmp_path: Path) -> None:
    path = tmp_path / "register.sqlite"
    publish(bus, *(finding(n, WATER, f"p_{n}") for n in range(3)))
    with closing(Register(bus, path)) as view:
        view.catch_up()
        for part in tmp_path.glob("register.sqlite*"):
            part.unlink()
        view.release()
        assert view.texts(["x:p1"]) == {}
        assert ranks(top(view)) == [(WATER, 3, 3, 0)]
    assert path.exists()


def test_two_that_find_the_same_damage_end_with_one_whole_view(bus: Bus, tmp_path: Path) -> None:
    path = tmp_path / "register.sqlite"
    publish(bus, *(finding(n, WATER, f"p_{n}") for n in range(500)))
    with closing(Register(bus, path)) as one, closing(Register(bus, path)) as two:
        one.catch_up()
        two.catch_up()
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(path, 4096, 200_000)
        for _ in range(3):
            assert ranks(top(one)) == ranks(top(two)) == [(WATER, 500, 500, 0)]
        publish(bus, finding(900, WATER, "p_900"))
        assert ranks(top(one)) == ranks(top(two)) == [(WATER, 501, 501, 0)]
        with closing(sqlite3.connect(path)) as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_was_moved_aside_is_wiped_by_a_purge_and_after_a_day(bus: Bus, tmp_path: Path) -> None:
    aside = tmp_path / "register.sqlite.damaged"
    aside.write_bytes(b"p_a" * 100)
    kept = os.open(aside, os.O_RDONLY)
    wipe_aside(tmp_path, datetime.now(UTC) - timedelta(days=1))
    assert aside.exists()
    purge_posts(bus, ["x:p1"], SystemClock(), tmp_path)
    assert not aside.exists()
    assert os.read(kept, 1000) == bytes(300)
    os.close(kept)
    aside.write_bytes(b"p_a")
    os.utime(aside, (0, 0))
    wipe_aside(tmp_path, datetime.now(UTC) - timedelta(days=1))
    assert not aside.exists()


def test_a_folder_that_is_not_there_is_named(bus: Bus, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        Register(bus, tmp_path / "nowhere" / "register.sqlite")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_of_an_edited_post_the_newest_version_stands_however_they_come(
    bus: Bus, view: Register, order: tuple[int, ...]
) -> None:
    versions = (
        finding(1, WATER, "p_a"),
        finding(2, f"{COATS} og vann", "p_a", edits=("p1",)),
        finding(3, COATS, "p_a", Kind.WISH, Kind.VIEWPOINT, edits=("p1", "p2")),
    )
    publish(bus, *(versions[n] for n in order), finding(4, WATER, "p_b"))
    assert ranks(top(view)) == [(COATS, 1, 1, 0), (WATER, 1, 1, 0)]
    assert view.counts() == {"wish": 2, "viewpoint": 1}
    assert view.texts(["x:p1"]) == {"x:p1": WATER}


def test_when_the_newest_version_is_purged_the_one_before_it_stands(bus: Bus, view: Register) -> None:
    publish(bus, finding(1, WATER, "p_a"), finding(2, COATS, "p_a", edits=("p1",)))
    assert ranks(top(view)) == [(COATS, 1, 1, 0)]
    bus.purge([(TopicPartition("findings", 0), "brann-0:x:p2")])
    assert ranks(top(view)) == [(WATER, 1, 1, 0)]


def test_every_post_of_a_story_is_given_in_order_of_time_with_what_it_voices(bus: Bus, view: Register) -> None:
    publish(
        bus,
        finding(3, f"{WATER}!", "p_b", themes=("supplies_help",), stance="negative", language="nb"),
        finding(2, f"RT @p_a: {WATER}", "p_c", repost_of="p1"),
        finding(1, WATER, "@politi_nv", author_class=AuthorClass.PUBLIC_BODY),
        finding(4, COATS, "p_a"),
    )
    view.catch_up()
    rows = view.story(story(WATER))
    assert [(row.post, row.repost) for row in rows] == [("x:p1", 0), ("x:p2", 1), ("x:p3", 0)]
    assert {row.whose for row in rows} == {Whose.OFFICIAL}, "who says the same as the police passes it on"
    assert (rows[2].kinds, rows[2].themes, rows[2].stance, rows[2].language) == (
        "wish",
        "supplies_help",
        "negative",
        "nb",
    )
    found = view.finding(rows[2])
    assert found is not None
    assert found.text == f"{WATER}!"
    assert view.story("0123") == []


def test_stories_and_posts_are_found_by_how_their_names_begin(bus: Bus, view: Register) -> None:
    publish(bus, finding(1, WATER, "p_a"), finding(12, COATS, "p_a"), finding(1, WATER, "p_a", incident="flom-7"))
    view.catch_up()
    assert view.find(story(WATER)[:8]).stories == (story(WATER),)
    assert view.find("p1").posts == view.find("x:p1").posts == ("x:p1", "x:p12")
    assert view.find("p12") == ((), ("x:p12",))
    assert view.find("p%") == ((), ())


def test_what_is_purged_is_found_no_more(bus: Bus, view: Register) -> None:
    publish(bus, finding(1, WATER, "p_a"))
    view.catch_up()
    (row,) = view.story(story(WATER))
    bus.purge([(TopicPartition("findings", 0), row.key)])
    assert view.finding(row) is None
    view.catch_up()
    assert (view.story(row.story), view.find("p1").posts) == ([], ())


@pytest.mark.parametrize(
    ("more", "whose"),
    [
        ({}, Whose.PUBLIC),
        ({"author_class": AuthorClass.PERSON}, Whose.PUBLIC),
        ({"author_class": AuthorClass.ORGANISATION}, Whose.OFFICIAL),
        ({"author_class": AuthorClass.PUBLIC_BODY}, Whose.OFFICIAL),
        ({"cues": (Cue(kind=Kind.QUESTION), Cue(kind=Kind.MEDIA))}, Whose.OFFICIAL_WORDS),
    ],
)
def test_whose_voice_it_is_is_told_by_the_account_and_else_by_the_words(
    bus: Bus, view: Register, more: dict[str, Any], whose: Whose
) -> None:
    publish(bus, finding(1, WATER, "p_a").model_copy(update=more))
    view.catch_up()
    (row,) = view.registered()
    assert row.whose == whose


def test_who_says_it_before_officials_do_is_the_public(bus: Bus, view: Register) -> None:
    publish(bus, finding(1, WATER, "p_a"), finding(2, WATER, "p_x", author_class=AuthorClass.PUBLIC_BODY))
    view.catch_up()
    assert [row.whose for row in view.registered()] == [Whose.PUBLIC, Whose.OFFICIAL]


@pytest.mark.parametrize(
    ("more", "themes"),
    [
        ({"themes": ("food", "waiting"), "theme_sure": True}, "food waiting"),
        ({"themes": ("food", "none_of_these"), "theme_sure": True}, "food"),
        ({"themes": ("food",), "theme_sure": False}, "none_of_these"),
        ({"themes": ("food",)}, "food"),
        ({"themes": ("none_of_these",), "theme_sure": True}, "none_of_these"),
        ({"cues": (Cue(kind=Kind.OTHER),)}, ""),
    ],
)
def test_a_theme_that_is_only_the_likeliest_is_none_of_the_themes(
    bus: Bus, view: Register, more: dict[str, Any], themes: str
) -> None:
    publish(bus, finding(1, WATER, "p_a").model_copy(update=more))
    view.catch_up()
    assert [row.themes for row in view.registered()] == [themes]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Tarvitsemme vettä", "und"),
        ("🙏🙏 https://kort.example/a #nordvik @p_aaaa ‹tlf› 112", ""),
        ("Потрібна вода", "und"),
    ],
)
def test_what_has_no_words_is_in_no_language(bus: Bus, view: Register, text: str, language: str) -> None:
    publish(bus, finding(1, text, "p_a", language="und"))
    view.catch_up()
    assert [row.language for row in view.registered()] == [language]


def test_texts_are_given_in_the_order_asked_for_and_one_that_was_purged_is_none(bus: Bus, view: Register) -> None:
    publish(bus, *(finding(n, f"{WATER} {n}", "p_a", story=f"s{n}") for n in range(300)))
    view.catch_up()
    rows = {row.post: row for row in view.registered()}
    bus.purge([(TopicPartition("findings", 0), "brann-0:x:p7")])
    wanted = ["x:p299", "x:p7", "x:p0", "x:p8", "x:p0"]
    assert view.texts_of([rows[post] for post in wanted]) == [
        f"{WATER} 299",
        None,
        f"{WATER} 0",
        f"{WATER} 8",
        f"{WATER} 0",
    ]
