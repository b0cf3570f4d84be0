"""A board on a bus of its own, served on a real socket, and visitors of every role."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from alerts.board.access.roles import BoardRole, Who
from alerts.board.make import make_board
from alerts.board.worker import Board
from alerts.wiring import make_board_parts
from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import Clock, SystemClock
from listener.model.incidents import Action, Command
from listener.model.records import Alert, Cue, Finding, Kind, encode
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from listener.runtime.health import Health
from listener.settings.board import BoardSettings
from listener.settings.files import raw_settings
from listener.settings.schema import Settings
from tests.unit.telling_support import alert

ROLE, NAME = "x-role", "x-name"
TOKEN = "merket-til-et-skjema"


class HeaderAccess:
    """Whoever asks says who they are: these tests are about what is behind the log-in."""

    def who(self, request: Request, *, active: bool = True) -> Who | None:
        role = request.headers.get(ROLE)
        return Who(request.headers.get(NAME, "Kari"), BoardRole(role)) if role else None

    def form_token(self, request: Request) -> str:
        return TOKEN

    def is_ours(self, request: Request, token: str) -> bool:
        return token == TOKEN

    def challenge(self, request: Request) -> Response:
        return PlainTextResponse("log in first", 401)

    def routes(self) -> Sequence[BaseRoute]:
        return ()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass
class World:
    """What is on the bus, and the board that shows it."""

    bus: Bus
    board: Board
    folder: Path
    clock: Clock
    incident: str = ""
    posts: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def open(self, name: str = "Brann", *, exercise: bool = False, at: datetime | None = None) -> str:
        """An incident; its id."""
        command = Command(
            action=Action.OPEN, at=at or self.clock.now(), by="kari", why="røyk", name=name, add=("granvik",),
            review_after=14_400, exercise=exercise,
        )  # fmt: skip
        (self.incident,) = Control(self.bus).append(command).incidents
        return self.incident

    def say(self, text: str, *, times: int = 1, kind: Kind = Kind.QUESTION, **more: Any) -> str:
        """So many people say it, each in a post of their own; the story."""
        story = more.pop("story", f"{abs(hash(text)):016x}"[:16])
        at = more.pop("at", self.clock.now() - timedelta(minutes=5))
        for _ in range(times):
            self.posts += 1
            found = Finding(
                source="x", id=f"{10_000 + self.posts}", at=at, captured_at=at, incident=self.incident,
                author=f"forfatter-{self.posts:012d}", story=story, text=text,
                **{
                    "cues": (Cue(kind=kind, words=("når",)),), "themes": ("relatives_contact",), "theme_sure": True,
                    "language": "nb", **more,
                },
            )  # fmt: skip
            self.bus.publish([Message("findings", found.key, encode(found))])
        return story

    def fire(self, id_: str = "a1", **more: Any) -> Alert:
        found = alert(id_, at=self.clock.now(), **{"incident": self.incident, "incident_name": "Brann", **more})
        self.bus.publish([Message("alerts", found.id, encode(found))])
        return found

    def ask(
        self, path: str, role: str | None = "crisis_team", form: dict[str, str] | None = None, *, name: str = "Kari",
        token: str = TOKEN, **headers: str,
    ) -> Answer:  # fmt: skip
        """A page, or what a form leads to: where that is another page, this one."""
        host = urlsplit(self.board.address)
        with closing(http.client.HTTPConnection(host.hostname or "", host.port, timeout=20)) as connection:
            sent = {NAME: name.encode().decode("latin-1"), **headers} | ({ROLE: role} if role else {})
            body = None
            if form is not None:
                body = urlencode({"token": token, **form})
                sent |= {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST" if form is not None else "GET", path, body, sent)
            answer = connection.getresponse()
            text, named = answer.read().decode(), {key.lower(): value for key, value in answer.getheaders()}
            if answer.status == 303 and form is not None:
                return self.ask(named["location"], role, name=name, **headers)
            return Answer(answer.status, named, text)

    def turn(self) -> None:
        while not self._stop.is_set():
            self.board.step(0.02)

    def newest(self, topic: str) -> dict[str, Any]:
        """The last record of a topic of one partition."""
        with closing(self.bus.reader([topic])) as reader:
            records = [record for _ in range(3) for record in reader.poll(0.0, 5000)]
        found: dict[str, Any] = json.loads(records[-1].value or b"{}")
        return found


@contextmanager
def board_world(folder: Path, clock: Clock | None = None) -> Iterator[World]:
    clock = clock or SystemClock()
    settings, raw = Settings(board=BoardSettings(port=0)), raw_settings()
    with closing(open_bus("embedded:", folder, clock, durable=False)) as bus:
        bus.ensure(topic_specs(1, settings.retention.keep()))
        parts = replace(make_board_parts(raw, settings, folder), access=HeaderAccess())
        part = Health(clock).part("board")
        board = make_board(bus, settings, folder, parts, clock=clock, part=part)
        world = World(bus, board, folder, clock)
        turning = threading.Thread(target=world.turn)
        turning.start()
        try:
            yield world
        finally:
            world._stop.set()
            turning.join(10)
            board.close()
