"""A platform under each source of the contract test, and one session of reading it, as a process would."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from listener.bus.protocol import Bus, open_bus
from listener.bus.scan import scan_records
from listener.clock import Clock, SystemClock
from listener.ingest.context import IngestContext
from listener.ingest.ingestor import Ingestor
from listener.ingest.player import Player
from listener.ingest.worker import LEASE_SECONDS, SourceWorker
from listener.model.incidents import Action, Command, Incident
from listener.model.records import Gap
from listener.model.topics import topic_specs
from listener.privacy.screen import Screen
from listener.runtime.control import Control
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter
from listener.settings.schema import Settings
from listener.sources.contract import Answers, Batch, Counts, Follows, Source, SourceType, source_types
from listener.webhooks.application import application
from listener.webserver.server import WebServer, listen
from tests.fakes.bluesky import FakeBluesky, Network
from tests.fakes.facebook import FakeFacebook
from tests.fakes.feeds import FakeFeeds
from tests.fakes.graph import APP_SECRET, DEFAULT_TOKEN
from tests.fakes.instagram import ACCOUNT, FakeInstagram
from tests.fakes.linkedin import FakeLinkedIn
from tests.fakes.mastodon import TOKEN, FakeMastodon, Federation
from tests.fakes.x import FakeX, ScaledClock
from tests.fakes.youtube import CHANNEL, FakeYoutube

TRACK = "granvik"
WITHIN = 20.0
"""Real seconds that anything may take here."""
SPEED = 60.0
"""Of live platforms: a minute of their clock passes in each second of the test's."""


@dataclass
class Platform:
    """What a source reads. `there`: the posts that can be read from the beginning; `say` publishes more, where that
    can be, and returns their ids; `delete` deletes some of them, where the platform says so. All are about TRACK."""

    name: str
    type: SourceType
    settings: Settings
    clock: Clock
    there: Sequence[str] = ()
    say: Callable[[int], list[str]] = lambda count: []
    delete: Callable[[Sequence[str]], None] = lambda ids: None
    called_at: Callable[[str], None] = lambda url: None
    """Told where a source that its platform calls is to be called."""
    since: datetime = field(init=False)
    """Since when its incident is open."""

    def __post_init__(self) -> None:
        self.since = self.clock.now()

    def source(self) -> Source:
        """As a new process makes it."""
        source = self.type.make(self.settings, self.clock)
        assert source is not None
        return source

    def incident(self) -> Incident:
        return Incident(
            id="brann-0", name="Brann", tracks=(TRACK,), opened_at=self.since, opened_by="vakt", why="prøve",
            review_at=self.since + timedelta(hours=1),
        )  # fmt: skip


@contextmanager
def recording(folder: Path) -> Iterator[Platform]:
    """Several batches' worth, a second between two posts, one of them without an author."""
    path, start = folder / "recording.jsonl", datetime(2031, 2, 3, 12, tzinfo=UTC)
    ids = [str(number) for number in range(1, 3501)]
    with path.open("w", encoding="utf-8") as file:
        for id_ in ids:
            at = start + timedelta(seconds=int(id_))
            author = {} if id_ == "7" else {"author_id": "9"}
            line = {"id": id_, "created_at": at.isoformat(), "text": f"brann i {TRACK}, sak {id_}", **author}
            file.write(json.dumps(line) + "\n")
    settings = Settings.model_validate({"sources": {"recording": {"path": str(path), "speed": "max"}}})
    yield Platform("recording", source_types()["recording"], settings, SystemClock(), ids)


@contextmanager
def x(folder: Path) -> Iterator[Platform]:
    clock = ScaledClock(SPEED)
    with FakeX(clock=clock, bearer="a-token", keep_alive=5.0) as fake:
        its = {"base_url": fake.url, "bearer_token": "a-token", "counts": {"every": "1m"}}
        settings = Settings.model_validate({"x": its})

        def say(count: int) -> list[str]:
            return [fake.post(f"brann i {TRACK}, nå").id for _ in range(count)]

        def delete(ids: Sequence[str]) -> None:
            for id_ in ids:
                fake.do("delete", id=id_)

        yield Platform("x", source_types()["x"], settings, clock, say=say, delete=delete)


@contextmanager
def bluesky(folder: Path) -> Iterator[Platform]:
    """Ten seconds in each of the test's: nobody is behind for being slow."""
    network = Network(ScaledClock(10.0))
    with FakeBluesky(network=network) as east, FakeBluesky(network=network, first=900, chatter=0) as west:
        settings = Settings.model_validate({"bluesky": {"enabled": True, "hosts": [east.url, west.url]}})

        def say(count: int) -> list[str]:
            return [network.post(f"brann i {TRACK}, nå").uri for _ in range(count)]

        def delete(ids: Sequence[str]) -> None:
            for id_ in ids:
                network.delete(id_)

        yield Platform("bluesky", source_types()["bluesky"], settings, network.clock, say=say, delete=delete)


@contextmanager
def facebook(folder: Path) -> Iterator[Platform]:
    """A Page with one post of its own, from before; people write below it."""
    clock = ScaledClock(20.0)
    with FakeFacebook(clock=clock, secret="app-hemmelighet") as fake:
        page = fake.world
        post = page.say(f"Det brenner i {TRACK}", at=clock.now() - timedelta(days=1), told=False)
        its = {
            "meta": {"base_url": fake.url, "app_secret": "app-hemmelighet", "verify_token": "et-ord"},
            "facebook": {"page_id": page.id, "access_token": fake.token},
        }

        def say(count: int) -> list[str]:
            return [page.say(f"brann i {TRACK}, nå", by="Kari Fjell", on=post.id).id for _ in range(count)]

        def delete(ids: Sequence[str]) -> None:
            for id_ in ids:
                page.delete(id_)

        yield Platform(
            "facebook", source_types()["facebook"], Settings.model_validate(its), clock, say=say, delete=delete,
            called_at=lambda url: fake.do("call", url=url, token="et-ord"),
        )  # fmt: skip


@contextmanager
def feeds(folder: Path) -> Iterator[Platform]:
    """Two houses, read each second of the test's."""
    clock = ScaledClock(SPEED)
    with FakeFeeds(clock=clock) as fake:
        fake.publish("posten", "Helt andre nyheter", published=-7200)
        fake.feed("avisa").atom = True
        read = [
            {"url": fake.address("posten"), "name": "Posten", "inside": True},
            {"url": fake.address("avisa"), "name": "Avisa", "inside": True},
        ]
        settings = Settings.model_validate({"feeds": {"read": read, "every": "30s", "in_calm": "1m"}})

        def say(count: int) -> list[str]:
            houses = ("posten", "avisa")
            return [fake.publish(houses[n % 2], f"brann i {TRACK}", f"sak {n}").guid for n in range(count)]

        yield Platform("feeds", source_types()["feeds"], settings, clock, say=say)


@contextmanager
def linkedin(folder: Path) -> Iterator[Platform]:
    clock = ScaledClock(SPEED)
    with FakeLinkedIn(clock=clock, calls=100_000) as fake:
        version = f"{clock.now():%Y%m}"
        its = {
            "enabled": True, "basis": "prøve", "base_url": fake.url, "organization": 2031, "token": fake.token,
            "version": version, "every": "1m", "in_calm": "5m", "calls": 100_000,
        }  # fmt: skip
        fake.page.write("noe helt annet", "ola", clock.now() - timedelta(hours=9))

        def say(count: int) -> list[str]:
            return [fake.comment(f"brann i {TRACK}, nå").urn for _ in range(count)]

        def delete(ids: Sequence[str]) -> None:
            for id_ in ids:
                fake.tell({"delete": id_})

        settings = Settings.model_validate({"linkedin": its})
        yield Platform("linkedin", source_types()["linkedin"], settings, clock, say=say, delete=delete)


@contextmanager
def mastodon(folder: Path) -> Iterator[Platform]:
    federation = Federation(ScaledClock(10.0))
    with FakeMastodon(federation=federation) as a, FakeMastodon(federation=federation, domain="b.example") as b:
        servers = [{"url": server.url, "token": TOKEN} for server in (a, b)]
        settings = Settings.model_validate({"mastodon": {"servers": servers}})

        def say(count: int) -> list[str]:
            return [federation.post(f"brann i #{TRACK}, nå").uri for _ in range(count)]

        def delete(ids: Sequence[str]) -> None:
            for id_ in ids:
                federation.delete(id_)

        yield Platform("mastodon", source_types()["mastodon"], settings, federation.clock, say=say, delete=delete)


@contextmanager
def youtube(folder: Path) -> Iterator[Platform]:
    clock = ScaledClock(SPEED)
    with FakeYoutube(clock=clock, key="a-key") as fake:
        its = {"base_url": fake.url, "api_key": "a-key", "channels": {CHANNEL: "@fjordby"}, "deletions": "1m"}
        settings = Settings.model_validate({"youtube": its})

        def say(count: int) -> list[str]:
            return [fake.world.say(f"brann i {TRACK}, nå").id for _ in range(count)]

        def delete(ids: Sequence[str]) -> None:
            for id_ in ids:
                fake.world.delete(id_)

        yield Platform("youtube", source_types()["youtube"], settings, clock, say=say, delete=delete)


@contextmanager
def instagram(folder: Path) -> Iterator[Platform]:
    """Comments under a post of the account, by poll; five minutes in each of the test's seconds, so that a deletion is
    found, and found again."""
    with FakeInstagram(clock=ScaledClock(300.0)) as gram:
        medium = gram.medium("Til alle pårørende")
        its = {
            "enabled": True, "account": ACCOUNT, "access_token": DEFAULT_TOKEN, "every": "10s", "calm_every": "1m",
            "recheck": "10m",
        }  # fmt: skip
        meta = {"base_url": gram.url, "app_id": gram.app_id, "app_secret": APP_SECRET}
        settings = Settings.model_validate({"instagram": its, "meta": meta})

        def say(count: int) -> list[str]:
            return [gram.comment(f"brann i {TRACK}, nå", under=medium).post for _ in range(count)]

        def delete(ids: Sequence[str]) -> None:
            for id_ in ids:
                gram.delete(id_.partition("_")[2])

        yield Platform("instagram", source_types()["instagram"], settings, gram.clock, say=say, delete=delete)


PLATFORMS: Mapping[str, Callable[[Path], AbstractContextManager[Platform]]] = {
    "bluesky": bluesky,
    "facebook": facebook,
    "feeds": feeds,
    "instagram": instagram,
    "linkedin": linkedin,
    "mastodon": mastodon,
    "recording": recording,
    "x": x,
    "youtube": youtube,
}
"""One for every entry of SOURCES."""


@dataclass
class Session:
    """One source, open, as one process has it, and all that it gave."""

    platform: Platform
    source: Source
    batches: list[Batch] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        return [post.id for batch in self.batches for post in batch.posts]

    @property
    def deleted(self) -> set[str]:
        return {id_ for batch in self.batches for id_ in batch.deleted}

    @property
    def aliases(self) -> list[tuple[str, tuple[str, ...]]]:
        """As they lie on the bus beside the ids."""
        return [(post.id, post.aliases) for batch in self.batches for post in batch.posts]

    @property
    def gaps(self) -> list[Gap]:
        return [gap for batch in self.batches for gap in batch.gaps]

    @property
    def cursor(self) -> str | None:
        return next((batch.cursor for batch in reversed(self.batches) if batch.cursor is not None), None)

    @property
    def up(self) -> bool:
        """What is said from now on is heard as it is said."""
        return not isinstance(self.source, Follows) or self.source.state()["state"] == "listening"

    def follow(self, *incidents: Incident) -> None:
        if isinstance(self.source, Follows):
            self.source.follow(incidents, (TRACK,))

    def read(self) -> Batch | None:
        batch = self.source.read(0.05)
        if batch is not None:
            self.batches.append(batch)
            if isinstance(self.source, Answers):
                self.source.settle(True)
        return batch

    def read_until(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + WITHIN
        while not condition():
            assert time.monotonic() < deadline, f"not within {WITHIN:g} s: {what}; {dict(self.source.state())}"
            self.read()

    def read_for(self, seconds: float) -> None:
        """Real seconds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.read()

    def come(self, ids: Sequence[str]) -> None:
        self.read_until(lambda: set(self.ids) >= set(ids), "every post")


@contextmanager
def served(platform: Platform, source: Source) -> Iterator[None]:
    """Where the platform calls the source, if it does."""
    if not isinstance(source, Answers) or source.webhook is None:
        yield
        return
    app = application({source.name: source.webhook}, platform.clock, Metrics(CollectorRegistry(), "0"))
    server = WebServer(lambda _: app, listen("127.0.0.1", 0, "webhooks"), "webhooks")
    platform.called_at(f"http://127.0.0.1:{server.port}/{source.name}")
    try:
        yield
    finally:
        server.close()


@contextmanager
def session(
    platform: Platform, resume: str | None = None, *, crisis: bool = True, source: Source | None = None
) -> Iterator[Session]:
    source = source or platform.source()
    try:
        if isinstance(source, Follows):
            source.recall(())
        if isinstance(source, Counts):
            source.learn_counts(())
        source.open(resume)
        its = Session(platform, source)
        its.follow(*([platform.incident()] if crisis else []))
        with served(platform, source):
            yield its
    finally:
        source.close()


@dataclass
class Process:
    """The worker over a source and a bus."""

    worker: SourceWorker
    reporter: PresenceReporter
    bus: Bus
    clock: Clock

    def turn_until(self, condition: Callable[[], Any], what: str) -> None:
        deadline = time.monotonic() + WITHIN
        while not condition():
            assert time.monotonic() < deadline, f"not within {WITHIN:g} s: {what}"
            self.turn()

    def turn(self) -> None:
        self.reporter.step(0.0)
        self.worker.step(0.02)

    def mentions(self) -> list[str]:
        """The ids on the bus, in order."""
        return [value["id"] for value in self._said() if value["type"] == "mention"]

    def deleted(self) -> set[str]:
        """The ids that are to be purged."""
        return {id_ for value in self._said() if value["type"] == "deletion" for id_ in value["ids"]}

    def _said(self) -> list[dict[str, Any]]:
        return [json.loads(record.value) for record in scan_records(self.bus, ["mentions"]) if record.value]

    def open(self, *, exercise: bool) -> None:
        command = Command(
            action=Action.OPEN, at=self.clock.now(), by="vakt", why="prøve", name="Brann", add=(TRACK,),
            review_after=3600, exercise=exercise, lookback=0.0,
        )  # fmt: skip
        Control(self.bus).append(command)


@contextmanager
def process(platform: Platform, folder: Path) -> Iterator[Process]:
    bus, clock = open_bus("embedded:", folder, platform.clock, durable=False), platform.clock
    bus.ensure(topic_specs(1, {}))
    metrics, health, me = Metrics(CollectorRegistry(), "0"), Health(clock), "listener@test"
    reporter = PresenceReporter(bus, me, ["listener"], clock=clock, metrics=metrics, part=health.part("follow"))
    source = platform.source()
    context = IngestContext(
        bus=bus, reporter=reporter, screen=Screen(b"k" * 32, {}), standing=(TRACK,), clock=clock, metrics=metrics,
        part=health.part(f"listen-{source.name}"), lease=bus.lease(f"source:{source.name}", me, LEASE_SECONDS),
    )  # fmt: skip
    worker = Ingestor(source, context) if isinstance(source, Follows) else Player(source, context)
    try:
        with served(platform, source):
            yield Process(worker, reporter, bus, clock)
    finally:
        worker.close()
        reporter.close()
        bus.close()
