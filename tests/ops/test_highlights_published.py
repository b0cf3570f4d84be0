"""The worker that publishes, against a fake X on a socket: what X answers, what is lost on the way, and `kill -9`."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from command_support import Machine, live_bus, wait_for

from alerts.highlights.account import XAccount, _wait
from alerts.highlights.contract import NotSent, Refused, Unsure
from alerts.highlights.state import Highlights
from alerts.wiring import live_sources
from listener.bus import hashchain
from listener.bus.scan import scan
from listener.clock import SystemClock
from listener.errors import ConfigError
from listener.model.decisions import DECISIONS
from listener.model.highlights import HighlightWord, Why, Word
from listener.model.incidents import Action, Command
from listener.runtime.control import Control
from listener.settings.highlights import KEYS, HighlightsSettings
from listener.settings.schema import Settings
from tests.fakes.x import FakeX, RealClock
from tests.unit.highlights_support import Newsroom, proposal


@pytest.fixture
def fake() -> Iterator[FakeX]:
    with FakeX() as made:
        yield made


def account(fake: FakeX, seconds: float = 10.0, base_url: str = "", **keys: str) -> XAccount:
    settings = HighlightsSettings.model_validate({**fake.account.settings(), **keys})
    return XAccount(settings.keys, base_url or fake.url, seconds)


def _open() -> None:
    pass


TEXT = "Ny MR-maskin & åpent hus\nhttps://granvik-sykehus.example/mr?a=1"


def test_it_publishes_in_the_accounts_name_and_finds_what_it_published(fake: FakeX) -> None:
    ours = account(fake)
    before = datetime.now(UTC)
    post = ours.publish(TEXT, _open)
    assert fake.said() == [TEXT]
    assert ours.find(TEXT, "https://granvik-sykehus.example/mr?a=1", before, ()) == post
    assert ours.find(TEXT, "https://granvik-sykehus.example/mr?a=1", before, {post}) is None
    assert ours.find("Noe annet", "https://granvik-sykehus.example/2", before, ()) is None
    assert ours.find(TEXT, "", before + timedelta(hours=3), ()) is None
    profile = ours.profile()
    assert (profile.id, profile.handle, profile.writes) == (fake.account.id, "fjordby_sykehus", True)


def test_the_gate_is_passed_when_the_connection_stands_and_nothing_was_sent(fake: FakeX) -> None:
    asked: list[int] = []

    def shut() -> None:
        asked.append(len(fake.requests()))
        raise NotSent(Why.CRISIS)

    with pytest.raises(NotSent) as refused:
        account(fake).publish(TEXT, shut)
    assert (refused.value.why, asked, fake.requests(), fake.said()) == (Why.CRISIS, [0], [], [])


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"verb": "refuse", "status": 401}, Why.REFUSED),
        ({"verb": "refuse", "status": 403}, Why.REFUSED),
        ({"verb": "refuse", "status": 402}, Why.REFUSED),
        ({"verb": "refuse", "status": 302}, Why.REFUSED),
        ({"verb": "limit", "seconds": 120}, Why.RATE_LIMITED),
    ],
)
def test_what_x_does_not_take_was_certainly_not_published(fake: FakeX, fault: dict[str, Any], why: Why) -> None:
    fake.do(**{"on": "tweets", **fault})
    with pytest.raises(NotSent) as refused:
        account(fake).publish(TEXT, _open)
    assert (refused.value.why, fake.said()) == (why, [])
    if why is Why.RATE_LIMITED:
        assert refused.value.wait is not None
        assert 100 < refused.value.wait.total_seconds() < 130


def test_a_limit_counts_by_xs_own_clock(fake: FakeX) -> None:
    """X's `Date` is what the time of its reset is held against: ours may be an hour wrong."""
    fake.do("limit", on="tweets", seconds=120)
    fake.do("skew", seconds=-3600)
    with pytest.raises(NotSent) as refused:
        account(fake).publish(TEXT, _open)
    assert refused.value.wait is not None
    assert refused.value.wait.total_seconds() > 3600


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Date": "i går", "x-rate-limit-reset": "1930000000"}, None),
        ({"Date": "Thu, 27 Feb 2031 09:06:40 GMT", "x-rate-limit-reset": "inf"}, None),
        ({"Date": "Thu, 27 Feb 2031 09:06:40 GMT", "x-rate-limit-reset": "nan"}, None),
        ({"Date": "Thu, 27 Feb 2031 09:06:40 GMT", "x-rate-limit-reset": "1"}, None),
        ({"Date": "Thu, 27 Feb 2031 09:06:40 GMT", "x-rate-limit-reset": "1e300"}, timedelta(days=1)),
        (
            {
                "Date": "Thu, 27 Feb 2031 09:06:40 GMT",
                "x-rate-limit-reset": "1929949700",
                "x-rate-limit-remaining": "39",
                "x-user-limit-24hour-reset": "1929953200",
                "x-user-limit-24hour-remaining": "0",
            },
            timedelta(seconds=1929953200 - 1929949600 + 1),
        ),
    ],
)
def test_how_long_x_says_to_wait_may_be_nonsense(headers: dict[str, str], wait: timedelta | None) -> None:
    assert _wait(headers) == wait


def test_the_same_words_twice_are_a_duplicate_and_too_many_are_rejected(fake: FakeX) -> None:
    ours = account(fake)
    ours.publish(TEXT, _open)
    for text, why in ((TEXT, Why.DUPLICATE), ("x" * 300, Why.REJECTED)):
        with pytest.raises(NotSent) as refused:
            ours.publish(text, _open)
        assert refused.value.why is why
    assert fake.said() == [TEXT]


@pytest.mark.parametrize("lost", [{"how": "reset"}, {"how": "close"}, {"how": "status"}, {"how": "garbage"}])
def test_an_answer_that_is_lost_leaves_it_open_whether_it_was_published(fake: FakeX, lost: dict[str, str]) -> None:
    fake.do("lose_answer", **lost)
    with pytest.raises(Unsure):
        account(fake).publish(TEXT, _open)
    assert fake.said() == [TEXT]


@pytest.mark.parametrize("verb", ["hang", "slow"])
def test_an_answer_that_does_not_come_in_time_too(fake: FakeX, verb: str) -> None:
    fake.do(verb, on="tweets", hold=30.0)
    with pytest.raises(Unsure):
        account(fake, seconds=0.2).publish(TEXT, _open)


def test_a_500_too_and_what_is_reset_before_an_answer(fake: FakeX) -> None:
    fake.do("refuse", on="tweets", status=500, times=1)
    fake.do("drop", on="tweets", times=2)
    for _ in range(2):
        with pytest.raises(Unsure):
            account(fake).publish(TEXT, _open)


def test_who_was_never_reached_has_published_nothing(fake: FakeX) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}", "http://finnes-ikke.invalid"):
        with pytest.raises(NotSent) as refused:
            account(fake, base_url=address).publish(TEXT, _open)
        assert refused.value.why is Why.NETWORK


@pytest.mark.parametrize("wrong", ["consumer_key", "consumer_secret", "access_token", "access_token_secret"])
def test_a_key_that_is_wrong_is_refused(fake: FakeX, wrong: str) -> None:
    ours = account(fake, **{wrong: "2244994945-feil"})
    with pytest.raises(NotSent) as refused:
        ours.publish(TEXT, _open)
    assert refused.value.why is Why.REFUSED
    with pytest.raises(Refused):
        ours.profile()


def test_a_clock_an_hour_wrong_is_refused_as_by_x() -> None:
    class Ahead(RealClock):
        def now(self) -> datetime:
            return super().now() + timedelta(hours=1)

    with FakeX(clock=Ahead()) as fake:
        with pytest.raises(NotSent) as refused:
            account(fake).publish(TEXT, _open)
        assert refused.value.why is Why.REFUSED


def test_the_bearer_token_of_who_listens_publishes_nothing(fake: FakeX) -> None:
    answer = requests.post(
        f"{fake.url}/2/tweets", json={"text": TEXT}, headers={"Authorization": "Bearer t"}, timeout=10
    )
    assert (answer.status_code, answer.json()["title"]) == (403, "Unsupported Authentication")


def test_a_key_that_cannot_be_read_sends_nothing_and_is_told_before_the_next_intent(
    fake: FakeX, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text("hemmelighet-2\n", encoding="utf-8")
    keys = {name: key for name, key in fake.account.settings().items() if name != "access_token_secret"}
    settings = HighlightsSettings.model_validate({**keys, "access_token_secret_file": str(file)})
    ours = XAccount(settings.keys, fake.url)
    ours.ready()
    file.unlink()
    with pytest.raises(ConfigError, match="access_token_secret_file"):
        ours.ready()
    with pytest.raises(NotSent) as refused:
        ours.publish(TEXT, _open)
    assert (refused.value.why, fake.requests()) == (Why.STOPPED, [])
    file.write_text("hemmelighet-2\n", encoding="utf-8")
    ours.publish(TEXT, _open)
    assert fake.said() == [TEXT], "what is in the file now counts at once"


def test_who_listens_needs_no_key_that_publishes(tmp_path: Path) -> None:
    none = {f"{name}_file": str(tmp_path / "none") for name in KEYS}
    settings = Settings.model_validate({"highlights": none, "x": {"bearer_token": "t"}})
    assert [source.name for source in live_sources(settings, SystemClock())] == ["x"]


@pytest.fixture
def room(tmp_path: Path, fake: FakeX) -> Iterator[Newsroom]:
    with closing(Newsroom(tmp_path, start=datetime.now(UTC))) as made:
        made.x = account(fake)  # type: ignore[assignment]
        yield made


def test_a_crisis_opened_while_the_connection_stands_holds_it(room: Newsroom, fake: FakeX) -> None:
    """Both in the same second: the intent is written, X is reached, and not a byte of the post leaves."""
    room.propose("a")
    room.say("a", Word.APPROVE)
    inner = room.x.publish

    def publish(text: str, gate: Any) -> str:
        def opened() -> None:
            room.crisis()
            gate()

        return inner(text, opened)

    room.x.publish = publish  # type: ignore[method-assign]
    room.turn(3)
    assert (fake.requests(), fake.said(), room.stages()) == ([], [], {"a": "held"})
    room.calm()
    room.turn(3)
    assert fake.said() == []
    room.x.publish = inner  # type: ignore[method-assign]
    room.say("a", Word.RELEASE)
    room.turn(3)
    assert fake.said() == [proposal("a").text]


def test_a_lost_answer_is_found_among_what_the_account_published(room: Newsroom, fake: FakeX) -> None:
    room.propose("a")
    room.say("a", Word.APPROVE)
    fake.do("lose_answer", how="reset")
    room.turn(2)
    assert room.stages() == {"a": "unsure"}
    room.wait(6)
    room.turn(2)
    assert room.stages() == {"a": "published"}
    assert len(fake.requests("/2/tweets", "POST")) == 1


# --- whole processes -------------------------------------------------------------------------------------------------


def machine(folder: Path, fake: FakeX, **more: str) -> Machine:
    keys = {f"LYTTEPOST_HIGHLIGHTS__{name.upper()}": key for name, key in fake.account.settings().items()}
    its = {"LYTTEPOST_HIGHLIGHTS__BASE_URL": fake.url, "LYTTEPOST_HIGHLIGHTS__HOURS": "null"}
    return Machine(folder, {**keys, **its, **more})


def approve(made: Machine, id_: str = "a") -> None:
    with live_bus(made) as bus:
        now = datetime.now(UTC)
        hashchain.append(bus, DECISIONS.name, proposal(id_, at=now))
        epoch = Control(bus).refresh().epoch
        said = HighlightWord(id=id_, at=now, by="kari", revision=1, word=Word.APPROVE, epoch=epoch)
        hashchain.append(bus, DECISIONS.name, said)


def stage(made: Machine, id_: str = "a") -> str:
    with live_bus(made) as bus:
        return Highlights.of(scan(bus, DECISIONS)).states[id_].stage.value


@pytest.mark.parametrize(("point", "there"), [("highlights.after_intent", 0), ("highlights.after_send", 1)])
def test_killed_between_intent_and_outcome_it_is_never_sent_again_by_itself(
    tmp_path: Path, fake: FakeX, point: str, there: int
) -> None:
    made = machine(tmp_path, fake, LYTTEPOST_CRASH=point)
    approve(made)
    process = made.start("run", "--role", "highlights")
    assert process.wait(60) == -signal.SIGKILL
    assert (stage(made), len(fake.said())) == ("sending", there)
    again = Machine(tmp_path, {**made.more, "LYTTEPOST_CRASH": ""})
    process = again.start("run", "--role", "highlights")
    try:
        wanted = "published" if there else "unsure"
        wait_for(lambda: stage(again) == wanted, 120)
    finally:
        process.terminate()
        process.wait(20)
    assert len(fake.requests("/2/tweets", "POST")) == there
    listed = again.json("highlights")
    assert [(each["id"], each["stage"]) for each in listed] == [("a", wanted)]


def test_a_process_of_the_role_publishes_and_follows_a_crisis_that_another_opens(tmp_path: Path, fake: FakeX) -> None:
    # Its process has no use for the token of who listens, and does not ask for it.
    nobodys = {"LYTTEPOST_X__BEARER_TOKEN_FILE": str(tmp_path / "none")}
    made = machine(tmp_path, fake, LYTTEPOST_HIGHLIGHTS__APART="1m", **nobodys)
    approve(made, "a")
    process = made.start("run", "--role", "highlights")
    try:
        wait_for(lambda: fake.said() == [proposal("a").text], 60)
        wait_for(lambda: stage(made, "a") == "published", 20)
        with live_bus(made) as bus:
            command = Command(
                action=Action.OPEN, at=datetime.now(UTC), by="v", why="prøve", name="Brann", exercise=True
            )
            Control(bus).append(command)
            hashchain.append(bus, DECISIONS.name, proposal("b", at=datetime.now(UTC)))
        refused = made.run("highlights", "approve", "b", "--by", "kari")
        assert (refused.returncode, "an exercise neither" in refused.stderr) == (3, True)
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_nothing_set_up_is_a_mistake_of_configuration(tmp_path: Path) -> None:
    done = Machine(tmp_path).run("run", "--role", "highlights")
    assert done.returncode == 4
    assert "highlights: names neither feeds nor keys" in done.stderr
