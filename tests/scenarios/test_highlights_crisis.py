"""Approved in the second in which a crisis is opened: held, not published after it, and once when a person says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from alerts.highlights.deciding import Deciding
from alerts.highlights.followed import FollowedHighlights
from alerts.highlights.parts import schedule_of
from listener.model.highlights import Word
from listener.model.incidents import Action, Command
from listener.runtime.control import Control
from listener.settings.schema import Settings
from tests.fakes.publisher import publisher, rss
from tests.fakes.x import FakeX
from tests.ops.command_support import Machine, live_bus, wait_for

WHY = ("--why", "prøve", "--by", "vakt")


def stages(made: Machine) -> dict[str, str]:
    return {each["title"]: each["stage"] for each in made.json("highlights")}


def approved_as_a_crisis_opens(made: Machine, id_: str) -> datetime:
    """Both are on the bus within a second, before the highlight is due; when it would have been."""
    with live_bus(made) as bus:
        control, now = Control(bus), datetime.now(UTC)
        due = now + timedelta(seconds=3)
        deciding = Deciding(
            bus, FollowedHighlights(bus).read, control.refresh, schedule_of(Settings()), lambda words: [], now
        )
        deciding.say(id_, Word.APPROVE, by="kari", when=due.isoformat())
        control.append(Command(action=Action.OPEN, at=datetime.now(UTC), by="vakt", why="røyk", name="Brann"))
        return due


def test_approved_in_the_second_of_a_crisis_it_is_held_and_goes_out_once_when_released(tmp_path: Path) -> None:
    news = rss(("Ny MR-maskin", "Kortere ventetid", datetime.now(UTC)), ("Åpent hus", "Velkommen", datetime.now(UTC)))
    with publisher() as web, FakeX() as fake:
        keys = {f"LYTTEPOST_HIGHLIGHTS__{name.upper()}": key for name, key in fake.account.settings().items()}
        its = {"FEEDS": f'["{web.put("/news.xml", news)}"]', "BASE_URL": fake.url, "HOURS": "null"}
        made = Machine(tmp_path, {**keys, **{f"LYTTEPOST_HIGHLIGHTS__{name}": text for name, text in its.items()}})
        process = made.start("run")
        try:
            wait_for(lambda: (made.data / "bus.sqlite").exists(), 90)
            wait_for(lambda: len(stages(made)) == 2, 90)
            id_ = next(each["id"] for each in made.json("highlights") if each["title"] == "Ny MR-maskin")
            due = approved_as_a_crisis_opens(made, id_)
            wait_for(lambda: datetime.now(UTC) > due + timedelta(seconds=1), 30)
            wait_for(lambda: stages(made) == {"Ny MR-maskin": "held", "Åpent hus": "proposed"}, 30)
            refused = made.run("highlights", "release", id_, "--by", "kari")
            assert (refused.returncode, fake.said()) == (3, [])
            assert made.run("mode", "calm", *WHY).returncode == 0
            # Its age grows, and nothing else happens.
            held = made.json("highlights")[0]
            wait_for(lambda: made.json("highlights")[0]["age_seconds"] >= held["age_seconds"] + 2, 30)
            assert (stages(made), fake.said()) == ({"Ny MR-maskin": "held", "Åpent hus": "proposed"}, [])
            assert made.run("highlights", "release", id_, "--by", "kari").returncode == 0
            wait_for(lambda: stages(made)["Ny MR-maskin"] == "published", 60)
        finally:
            process.terminate()
            assert process.wait(30) == 0
        assert fake.said() == ["Ny MR-maskin\nhttps://nordvik.example/0"]
        assert len(fake.requests("/2/tweets", "POST")) == 1
        told = [each for each in made.json("ledger", "export") if each.get("about") == f"highlight:{id_}"]
        assert [each["what"] for each in told] == [
            "highlight", "highlight_approve", "highlight_held", "highlight_release", "highlight_sending",
            "highlight_published",
        ]  # fmt: skip
