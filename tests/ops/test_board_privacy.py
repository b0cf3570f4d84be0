"""What the privacy of patients and of those who write rests on at the board: what its pages hold of posts, and what is
written down of who looked. Over a real socket."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from board_support import HeaderAccess, World, board_world
from command_support import wait_for
from starlette.requests import Request

from alerts.board import application
from alerts.board.access.roles import Who
from listener.model.records import Kind, Sample

PLAIN = "hun ligger på sal fire og har det bra"
NAMED = "hun ligger på sal fire og har det bra, mamma Oddny altså"
LIVE = {"X-Live": "1"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with board_world(tmp_path) as made:
        made.open()
        yield made


def both(world: World) -> str:
    """A story of two posts, of which the second alone names somebody."""
    story = world.say(PLAIN, kind=Kind.RUMOUR, story="4" * 16)
    return world.say(NAMED, kind=Kind.RUMOUR, story=story, patient_exposed=0.97)


def test_whoever_may_not_read_posts_is_told_no_word_of_them_for_a_press(world: World) -> None:
    """What an alert is about may be a word that somebody wrote."""
    headline = {"nb": "Ny emneknagg: #{key}", "en": "New hashtag: #{key}"}
    for id_ in ("a1", "b1", "c1"):
        world.fire(id_, key="oddny", key_fields=("hashtags",), headline=headline)
    wait_for(lambda: "Ny emneknagg: #oddny" in world.ask("/").text)
    for path, done in (
        ("/alerts/a1/ack", "Du har tatt den"),
        ("/alerts/b1/resolve", "over"),
        ("/alerts/c1/close", "Lukket"),
    ):
        page = world.ask(path, "ops", {"why": "x"}).text
        assert done in page
        assert "oddny" not in page
    world.fire("d1", key="oddny", key_fields=("hashtags",), headline=headline)
    wait_for(lambda: "/alerts/d1" in world.ask("/").text)
    assert "Du har tatt den: Ny emneknagg: #oddny" in world.ask("/alerts/d1/ack", "duty_officer", {}).text


def test_an_alert_shows_neither_text_nor_id_where_a_copy_may_show_a_patient(world: World) -> None:
    both(world)
    open_ = world.say("når åpner dere igjen")
    world.fire(samples=[Sample(key=f"x:1000{number}", digest="0" * 64) for number in (1, 2, 3)])
    wait_for(lambda: "når åpner dere igjen" in world.ask("/alerts/a1").text)
    page = world.ask("/alerts/a1").text
    assert page.count("Teksten kan vise hvem en pasient er, og vises ikke her.") == 2
    assert "x:10003" in page
    assert not [word for word in ("sal fire", "Oddny", "x:10001", "x:10002") if word in page]
    assert open_


def test_a_copy_that_may_show_a_patient_veils_its_story_until_somebody_says_why(world: World) -> None:
    story = both(world)
    wait_for(lambda: "2 innlegg" in world.ask(f"/story/{story}").text)
    page = world.ask(f"/story/{story}").text
    assert "sal fire" not in page
    assert f'action="/story/{story}/unveil"' in page
    shown = world.ask(f"/story/{story}/unveil", form={"why": "må vite om det gjelder oss"}).text
    assert PLAIN in shown
    assert NAMED in shown
    assert f'action="/story/{story}/unveil"' not in shown


def test_a_story_follows_and_what_was_unveiled_stays_on_the_screen(world: World) -> None:
    story = both(world)
    wait_for(lambda: world.ask(f"/story/{story}").status == 200)
    veiled = world.ask(f"/story/{story}").text
    shown = world.ask(f"/story/{story}/unveil", form={"why": "må vite om det gjelder oss"}).text

    def following(page: str) -> set[str]:
        return set(re.findall(r'id="part-(\w+)" data-live', page))

    assert following(veiled) == {"text", "count", "stands", "history", "posts"}
    assert following(shown) == {"count", "stands", "history"}
    assert f'data-address="/story/{story}"' in shown


def test_a_page_that_looks_by_itself_is_written_down_now_and_then(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever says so of any page would look unseen."""
    world.say(PLAIN)
    wait_for(lambda: world.ask("/").status == 200)
    with caplog.at_level(logging.INFO):
        for name in ("Eva", "Eva", "Ola", "Eva"):
            world.ask("/said", name=name, **LIVE)
        monkeypatch.setattr(application, "LOOKED_AGAIN", 0.0)
        world.ask("/said", name="Eva", **LIVE)
    written = [each for each in caplog.messages if each.startswith("audit")]
    assert written == [f"audit: {name} (crisis_team) read posts of the themes" for name in ("Eva", "Ola", "Eva")]


def test_of_who_looked_little_is_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "MAX_LOOKED", 2)
    wait_for(lambda: world.ask("/").status == 200)
    for name in ("Eva", "Ola", "Kari"):
        assert world.ask("/said", name=name).status == 200


def test_a_page_that_looks_by_itself_keeps_nobody_logged_in_though_it_looks_in_vain(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def who(self: HeaderAccess, request: Request, *, active: bool = True) -> Who | None:
        asked.append(active)
        return known(self, request)

    known = HeaderAccess.who
    monkeypatch.setattr(HeaderAccess, "who", who)
    for path in ("/alerts/no", "/story/no", "/no", "/accessibility"):
        world.ask(path, **LIVE)
    assert len(asked) >= 4
    assert not any(asked)
    assert world.ask("/accessibility", None, **LIVE).status == 401, "who is logged out must be told"
    assert world.ask("/accessibility", None).status == 200


def test_the_other_language_is_of_the_same_list_also_without_a_script(world: World) -> None:
    world.say(PLAIN)
    wait_for(lambda: world.ask("/said/relatives_contact").status == 200)
    for path in ("/said?kind=wish&since=1h", "/report?since=4h", f"/said/relatives_contact?incident={world.incident}"):
        query = path.partition("?")[2].replace("&", "&amp;")
        assert f'?{query}&amp;lang=en"' in world.ask(path).text, path
    page = world.ask(f"/said/relatives_contact?incident={world.incident}").text
    assert f'href="?kind=wish&amp;since=all&amp;incident={world.incident}"' in page
