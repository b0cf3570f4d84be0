"""What the fakes of platforms share, over real sockets: routes, faults, the control path, scenarios, the command."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from listener.commands.fake import FAKES
from tests.fakes.platform import BadCommand, BadScenario, Platform, Reply, Request, Route

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0
"""Real seconds that anything may take here."""


class Town(Platform):
    """A platform in its simplest form: what was said, and one of it by its number."""

    name = "town"

    def __init__(self, **more: Any) -> None:
        self.said: list[tuple[datetime, str, bool]] = []
        super().__init__(**more)

    def routes(self) -> Iterable[Route]:
        return (
            Route("posts", "GET", "/posts", lambda request: Reply(200, {"data": [text for _, text, _ in self.said]})),
            Route("post", "GET", "/posts/{number}", self._one),
            Route("echo", "POST", "/echo", lambda request: Reply(201, request.body)),
        )

    def _one(self, request: Request) -> Reply:
        return Reply(200, {"data": self.said[int(request.named["number"])][1]})

    @classmethod
    def refuses(cls, item: Mapping[str, Any]) -> str | None:
        return None if item.get("text") else "no text"

    def say(self, item: Mapping[str, Any], at: datetime, *, live: bool) -> str:
        self.said.append((at, item["text"], live))
        return str(item["text"])


@pytest.fixture
def here() -> Iterator[Town]:
    with Town() as town:
        town.tell({"text": "røyk"})
        yield town


def ask(town: Platform, path: str = "/posts", method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", town.port, timeout=PATIENCE)) as connection:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def control(town: Platform, path: str, method: str = "GET", body: Any = None) -> Any:
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    status, answer = ask(town, f"/__fake__/{path}", method, raw)
    assert status == 200, answer
    return json.loads(answer)


def test_routes_answer_and_what_was_asked_is_on_record(here: Town) -> None:
    assert ask(here) == (200, '{"data": ["røyk"]}'.encode())
    assert ask(here, "/posts/0?a=1&a=2") == (200, '{"data": "røyk"}'.encode())
    assert ask(here, "/echo", "POST", b"\x00\xff") == (201, b"\x00\xff")
    assert ask(here, "/nowhere")[0] == 404
    assert [(r.route, r.status) for r in here.requests()] == [("posts", 200), ("post", 200), ("echo", 201), ("", 404)]
    assert here.requests("post")[0].params == {"a": ["1", "2"]}


def test_one_connection_serves_many_requests(here: Town) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", here.port, timeout=PATIENCE)) as connection:
        for _ in range(3):
            connection.request("GET", "/posts")
            assert connection.getresponse().read()
            assert connection.sock is not None


def test_a_status_is_answered_as_often_as_it_is_said_and_on_its_route_alone(here: Town) -> None:
    here.do("status", status=429, on="posts", times=2, body={"code": 4}, headers={"Retry-After": "7"})
    assert ask(here, "/posts/0")[0] == 200
    assert [ask(here) for _ in range(2)] == [(429, b'{"code": 4}')] * 2
    assert ask(here)[0] == 200
    here.do("status", status=500)
    assert ask(here, "/posts/0")[0] == 500
    here.do("heal")
    assert ask(here)[0] == 200


def test_an_answer_is_cut_garbled_huge_or_reset(here: Town) -> None:
    here.do("cut", on="posts", times=1)
    with pytest.raises(http.client.IncompleteRead):
        ask(here)
    here.do("garbage", on="posts", times=1)
    status, body = ask(here)
    assert status == 200
    with pytest.raises(ValueError, match=r"."):
        json.loads(body)
    here.do("garbage", on="posts", times=1, size=3_000_000)
    assert len(ask(here)[1]) == 3_000_000
    here.do("reset", on="posts", times=1)
    with pytest.raises(ConnectionError):
        ask(here)
    assert ask(here)[0] == 200


def test_an_answer_hangs_is_late_or_drips(here: Town) -> None:
    here.do("hang", on="posts", hold=0.1, times=1)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(here)
    here.do("delay", hold=0.1, times=1)
    assert ask(here)[0] == 200
    here.do("slow", hold=0.1, times=1)
    assert ask(here)[0] == 200
    assert here.faults.standing == [] or not any(f.holds(here.clock.now()) for f in here.faults.standing)


def test_its_date_may_be_an_hour_wrong(here: Town) -> None:
    here.do("skew", seconds=3600)
    with closing(http.client.HTTPConnection("127.0.0.1", here.port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/posts")
        answer = connection.getresponse()
        answer.read()
    assert (parsedate_to_datetime(answer.headers["Date"]) - datetime.now(UTC)).total_seconds() > 3000


def test_what_cannot_be_commanded_is_refused_with_what_can(here: Town) -> None:
    with pytest.raises(BadCommand, match="there are: status, delay, hang"):
        here.do("dance")
    with pytest.raises(BadCommand, match="no such route: post_s; there are: all, posts"):
        here.do("cut", on="post_s")
    with pytest.raises(BadCommand, match="unexpected keyword argument 'often'"):
        here.do("cut", often=3)


def test_another_process_commands_it_by_its_control_path(here: Town) -> None:
    assert control(here, "do/status", "POST", {"status": 401, "times": 1}) == {"did": None}
    assert ask(here)[0] == 401
    assert control(here, "say", "POST", b'{"text": "en"}\n{"text": "to"}\n') == {"said": ["en", "to"]}
    assert [r["status"] for r in control(here, "requests?route=posts")["requests"]] == [401]
    assert "now" in control(here, "state")
    assert ask(here, "/__fake__/do/dance", "POST")[0] == 400
    assert ask(here, "/__fake__/nothing")[0] == 404
    assert [r.route for r in here.requests()] == ["posts"]


def test_a_scenario_is_played_by_its_times_and_what_is_wrong_in_it_has_its_line(tmp_path: Path) -> None:
    lines = [
        {"do": "start", "at": "2031-03-02T21:00:00Z"},
        {"at": "2031-03-02T20:59:00Z", "text": "før"},
        {"at": 0.05, "text": "nå"},
        {"at": "2031-03-02T21:00:00.100000Z", "do": "status", "status": 503},
    ]
    path = tmp_path / "scenario.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with Town(scenario=path) as town:
        assert town.player.done.wait(PATIENCE)
        assert [(text, live) for _, text, live in town.said] == [("før", False), ("nå", True)]
        assert ask(town)[0] == 503
    for line, why in (("[]", "must be an object"), ('{"at": 1}', "no text"), ('{"do": "x"}', "no such command: x")):
        path.write_text(f"\n{line}\n", encoding="utf-8")
        with pytest.raises(BadScenario, match=rf"scenario\.jsonl:2: .*{why}"):
            Town(scenario=path)


def test_a_step_that_will_not_do_fails_the_test_that_plays_it() -> None:
    steps = Town.scenario().steps_of(['{"do": "cut", "on": "nowhere"}'])
    with pytest.raises(AssertionError, match="scenario:1: BadCommand"), Town(scenario=steps) as town:
        assert town.player.done.wait(PATIENCE)


@pytest.mark.parametrize("platform", sorted(FAKES))
def test_each_is_started_by_a_command_with_the_sample_that_comes_with_it(platform: str, tmp_path: Path) -> None:
    started = subprocess.Popen(
        [sys.executable, "-c", "import lyttepost; lyttepost.main()", "fake", platform, "--scenario", "sample"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert started.stdout is not None
        port = int(started.stdout.readline().rpartition(":")[2])
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            connection.request("GET", "/__fake__/state")
            assert connection.getresponse().status == 200
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=PATIENCE)
    finally:
        started.kill()
        started.communicate()
    assert "Try: LYTTEPOST_" in said
    assert started.returncode == 0, said


def test_an_unknown_platform_and_a_bad_scenario_end_with_one_line(tmp_path: Path) -> None:
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        run = [sys.executable, "-c", "import lyttepost; lyttepost.main()", "fake", *words]
        return subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    unknown = command("myspace")
    assert (unknown.returncode, unknown.stderr) == (
        2, f"lyttepost: there is no fake 'myspace'; there are: {', '.join(FAKES)}\n",
    )  # fmt: skip
    assert "`lyttepost x fake`" in command("x").stderr
    path = tmp_path / "bad.jsonl"
    path.write_text("{", encoding="utf-8")
    bad = command(next(iter(FAKES)), "--scenario", str(path))
    assert bad.returncode == 4
    assert f"{path}:1:" in bad.stderr
