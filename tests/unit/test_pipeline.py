"""The table of the pipeline says what every worker opens and writes on the bus: a small recording is driven through."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any, cast
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from burst_series import town

from alerts.app import Context, WorkerPart
from alerts.board.access.demo import DemoAccess
from alerts.board.frame.forms import FORM
from alerts.board.worker import Patient
from alerts.highlights.deciding import Deciding
from alerts.highlights.followed import FollowedHighlights
from alerts.highlights.plan import Schedule
from alerts.notify.receiver.worker import Receiver
from alerts.pipeline import PIPELINE, Step
from alerts.wiring import make_alerts, make_app, make_board_parts, make_highlights_parts, make_listener
from listener.bus import hashchain
from listener.bus.messages import to_every_partition
from listener.bus.protocol import (
    Bus,
    Commit,
    Consumer,
    Lease,
    Link,
    Message,
    Record,
    TopicPartition,
    Transaction,
    open_bus,
)
from listener.clock import ManualClock
from listener.ingest.ingestor import ITSELF
from listener.ingest.resume import cursor
from listener.model.answers import Standing
from listener.model.decisions import Status
from listener.model.highlights import Word
from listener.model.incidents import Action, Command, Incident
from listener.model.records import MENTIONS, Gap, Post, Tick, Volume, encode
from listener.model.roles import ALERTS, BOARD, CALM, DISPATCH, HIGHLIGHTS, LISTENER
from listener.runtime.control import Control
from listener.settings.board import BoardSettings
from listener.settings.files import packaged_config, raw_settings
from listener.settings.highlights import KEYS, HighlightsSettings
from listener.settings.prices import Tariff
from listener.settings.schema import (
    CanarySettings,
    ReceiverSettings,
    ReportSettings,
    Settings,
    Tier,
    UnderstandingSettings,
)
from listener.sources.contract import BadLine, Batch, Call, CatchUp, DropReason, Notice, OfferedCounts
from tests.fakes.x import FakeX

START = datetime(2031, 1, 13, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BURST = START + timedelta(days=3, hours=12)
TRACK = "granvik sykehus"
TOKEN = "hemmelig-adresse-1"
RULE = "- {name: all, type: any, why: whatever is said, to: duty}\n"


@dataclass
class Use:
    """What one worker does with the bus."""

    consumes: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)


class WatchedTransaction:
    def __init__(self, inner: Transaction, use: Use) -> None:
        self._inner = inner
        self._use = use

    def publish(self, message: Message) -> None:
        self._use.writes.add(message.topic)
        self._inner.publish(message)

    def commit(self, consumer: Consumer, commits: Mapping[TopicPartition, Commit]) -> None:
        self._inner.commit(consumer, commits)

    def hold(self, lease: Lease) -> None:
        self._inner.hold(lease)

    def on_commit(self, then: Callable[[], None]) -> None:
        self._inner.on_commit(then)


class WatchedBus:
    """A real bus that notes the topics of all that goes through it."""

    def __init__(self, inner: Bus, use: Use) -> None:
        self._inner = inner
        self._use = use

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def publish(self, messages: Sequence[Message]) -> list[int]:
        self._use.writes.update(message.topic for message in messages)
        return self._inner.publish(messages)

    @contextmanager
    def transaction(self, writer: str) -> Iterator[WatchedTransaction]:
        with self._inner.transaction(writer) as inner:
            yield WatchedTransaction(inner, self._use)

    def append_after(self, topic: str, make: Callable[[Record | None], Sequence[Link]]) -> list[Record]:
        self._use.writes.add(topic)
        return self._inner.append_after(topic, make)

    def purge(self, records: Iterable[tuple[TopicPartition, str]]) -> int:
        gone = list(records)
        self._use.writes.update(tp.topic for tp, _key in gone)
        return self._inner.purge(gone)

    def consumer(self, topics: Sequence[str], *, group: str, **more: Any) -> Consumer:
        self._use.consumes.update(topics)
        self._use.groups.add(group)
        return self._inner.consumer(topics, group=group, **more)

    def reader(self, topics: Sequence[str], **more: Any) -> Consumer:
        self._use.reads.update(topics)
        return self._inner.reader(topics, **more)

    def read(self, tp: TopicPartition, offset: int, limit: int) -> list[Record]:
        self._use.reads.add(tp.topic)
        return self._inner.read(tp, offset, limit)


class Town:
    """A source of today that counts, costs and hears of deletions: it has whatever is put into `batches`."""

    name = "town"
    only_exercise = False
    catch_up_deletes = CatchUp.REPLAY
    tariff = Tariff()

    def __init__(self) -> None:
        self.counts = OfferedCounts()
        self.batches: list[Batch] = []
        self.known = 0

    def open(self, resume: str | None) -> None:
        pass

    def read(self, timeout: float) -> Batch | None:
        return self.batches.pop(0) if self.batches else None

    def state(self) -> Mapping[str, Any]:
        return {"state": "listening"}

    def close(self) -> None:
        pass

    def recall(self, gaps: Sequence[Gap]) -> None:
        pass

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        pass

    def tend(self) -> None:
        pass

    def learn_counts(self, volumes: Iterable[Volume]) -> None:
        self.known += len(list(volumes))

    def halt(self, halted: bool) -> None:
        pass


def _have_a_gateway(config: Path) -> None:
    """One that calls back, and a person whom it reaches and no route names; a crisis team that is mailed."""
    sms = {
        "url": "http://127.0.0.1:9/", "body": {"form": {"to": "{to}", "text": "{text}"}}, "callback_token": TOKEN,
        "receipt": {"id": "id", "outcome": "status", "delivered": ["yes"], "undelivered": ["no"]},
        "reply": {"number": "from", "text": "text"},
    }  # fmt: skip
    mail = {"host": "127.0.0.1", "port": 9, "encryption": "none", "from": "l@sykehus.example"}
    settings, people = config / "settings.yaml", config / "people.yaml"
    channels = f"channels: {json.dumps({'sms': sms, 'email': mail})}"
    text = settings.read_text(encoding="utf-8").replace("\nchannels: {}", f"\n{channels}")
    settings.write_text(text, encoding="utf-8")
    kari = '  kari: {name: Kari, contacts: [{channel: sms, target: "+4740612345"}]}'
    nina = "  nina: {name: Nina, contacts: [{channel: email, target: nina@sykehus.example}]}"
    text = people.read_text(encoding="utf-8").replace("people:\n  console:", f"people:\n{kari}\n{nina}\n  console:")
    text = text.replace("crisis_team: [console]", "crisis_team: [nina]")
    people.write_text(text, encoding="utf-8")


def _own_news(folder: Path, x: str) -> HighlightsSettings:
    """A feed with one article, and keys that X refuses."""
    feed = folder / "news.xml"
    link = "https://granvik-sykehus.example/1"
    item = f"<item><title>Ny MR-maskin</title><link>{link}</link></item>"
    feed.write_text(f'<rss version="2.0"><channel><title>N</title>{item}</channel></rss>', encoding="utf-8")
    keys = dict.fromkeys(KEYS, "1-en")
    return HighlightsSettings.model_validate({"feeds": [str(feed)], "base_url": x, **keys})


class Running:
    """Every worker of the table, each on a bus that notes what it does."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, x: str) -> None:
        config = folder / "config"
        shutil.copytree(packaged_config(), config)
        shutil.rmtree(config / "rules")
        (config / "rules").mkdir()
        (config / "rules" / "all.yaml").write_text(RULE, encoding="utf-8")
        shutil.copy(packaged_config() / "rules" / "burst.yaml", config / "rules")
        monkeypatch.setenv("LYTTEPOST_CONFIG", str(config))
        (folder / "data").mkdir()
        _have_a_gateway(config)
        self.clock = ManualClock(START)
        self.bus = open_bus("embedded:", folder / "data", self.clock, durable=False)
        self.source = Town()
        self.use: dict[str, Use] = defaultdict(Use)
        settings = Settings(
            canary=CanarySettings(every=timedelta(seconds=30)),
            report=ReportSettings(every=timedelta(minutes=30)),
            receiver=ReceiverSettings(port=0),
            board=BoardSettings(port=0),
            understanding=UnderstandingSettings(tier=Tier.BETTER),
            highlights=_own_news(folder, x),
        )
        raw = raw_settings()
        app = make_app(settings, folder / "data", self.bus, self.clock, "all")
        listener = make_listener(app, raw, [self.source], b"k" * 32)
        board = replace(make_board_parts(raw, settings, folder / "data"), access=DemoAccess("kari"))
        context = Context(
            app, (LISTENER, ALERTS, BOARD, HIGHLIGHTS), listener, make_alerts(raw, settings, None, tell=True), board,
            make_highlights_parts(raw, settings),
        )  # fmt: skip
        self.workers: list[WorkerPart] = context.made
        for step in PIPELINE:
            watched = cast(Bus, WatchedBus(self.bus, self.use[step.worker]))
            self.workers += list(step.made_by(replace(context, app=replace(app, bus=watched))))

    def turn(self, times: int = 20) -> None:
        for _ in range(times):
            for worker, _part in self.workers:
                worker.step(0.0)
            self.clock.advance(timedelta(seconds=1))

    def switch(self, action: Action) -> None:
        command = Command(action=action, at=self.clock.now(), by="kari", why="prøve", name="Brann", add=(TRACK,))
        Control(self.bus).append(command)

    def count(self) -> None:
        """Three days and a half of counts, which another has put on the bus, and a burst that the source gives."""
        before: list[Message] = []
        calm = next(worker for worker, _part in self.workers if worker.name == CALM)
        for at, count in town(1.0, 3.51, interval=MINUTE, start=START):
            self.clock.advance(at + 5 * MINUTE - self.clock.now())
            volume = Volume(source="town", track=TRACK, minute=at, count=count)
            if at >= BURST:
                loud = volume.model_copy(update={"count": count + 40})
                self.source.batches.append(Batch(volumes=(loud,)))
                self.turn(1)
                continue
            before.append(Message("volumes", f"town:{TRACK}", encode(volume)))
            if len(before) == 60 or at + MINUTE >= BURST:
                self.bus.publish(before)
                before.clear()
                calm.step(0.0)

    def records(self) -> dict[str, Counter[str]]:
        """Topic → how many of each type, or of each rule and event of the alerts, and of each reason."""
        found: dict[str, Counter[str]] = {}
        for topic in ("control", "mentions", "gaps", "findings", "alerts", "decisions", "deadletters"):
            places = (TopicPartition(topic, number) for number in range(self.bus.partitions(topic)))
            records = [record for place in places for record in self.bus.read(place, 0, 9999)]
            values = [json.loads(record.value) for record in records if record.value not in (None, b"{")]
            found[topic] = Counter(
                ":".join(str(v.get(k, "")) for k in ("type", "rule", "event", "reason")) for v in values
            )
        return found

    def approve_own_news(self) -> None:
        """What was read from the feed."""
        followed, control = FollowedHighlights(self.bus), Control(self.bus)
        (id_,) = followed.read().states
        schedule = Schedule(None, MINUTE, MINUTE, UTC)
        deciding = Deciding(self.bus, followed.read, control.refresh, schedule, lambda words: [], self.clock.now())
        deciding.say(id_, Word.APPROVE, by="kari")
        self.turn(2)

    def hear_of_gateway(self, what: str) -> None:
        """A call of the gateway, answered while the workers turn."""
        receiver = next(worker for worker, _part in self.workers if isinstance(worker, Receiver))
        url = f"http://127.0.0.1:{receiver.port}/sms/{TOKEN}/{what}"
        calling = Thread(target=lambda: urlopen(url, timeout=10).close(), daemon=True)
        calling.start()
        while calling.is_alive():
            receiver.step(0.01)

    def ask_the_board(self, path: str, **form: str) -> str:
        """A page; with fields the page that a form leads to."""
        patient = next(worker for worker, _part in self.workers if isinstance(worker, Patient))
        board = patient.board
        assert board is not None
        answers: list[str] = []

        def ask() -> None:
            data = urlencode(form).encode() if form else None
            with urlopen(f"{board.address}{path}", data, timeout=10) as answer:  # noqa: S310 -- our own server
                answers.append(answer.read().decode())

        asking = Thread(target=ask, daemon=True)
        asking.start()
        while asking.is_alive():
            board.step(0.01)
        return answers[0]

    def wait_for_a_report(self) -> None:
        """The mail server is not there: what is to be sent is made all the same, by a thread of its own."""
        for _ in range(200):
            self.turn(1)
            if "spending" in self.use[DISPATCH].reads:
                return
            sleep(0.02)

    def close(self) -> None:
        for worker, _part in self.workers:
            worker.close()
        self.bus.close()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with pytest.MonkeyPatch.context() as monkeypatch, FakeX() as x:
        running = Running(tmp_path_factory.mktemp("pipeline"), monkeypatch, x.url)
        drive(running)
        yield running
        running.close()


def drive(running: Running) -> None:
    """Calm with a burst, a crisis with a post, its deletion, a status, a gap, what nobody can read, and its end."""
    running.count()
    running.approve_own_news()
    running.switch(Action.OPEN)
    running.turn()
    now = running.clock.now()
    nobody_hears = Tick(source="lake", until=now, cursor=cursor("1", ITSELF))
    running.bus.publish(to_every_partition(MENTIONS, nobody_hears, running.bus.partitions("mentions")))
    incident = next(iter(Control(running.bus).refresh().incidents))
    dismissed = Status(at=now, by="kari", incidents=(incident,), story="s1", status=Standing.DISMISSED)
    hashchain.append(running.bus, "decisions", dismissed)
    gap = Gap(id="g1", source="town", start=now - MINUTE, end=now, cause="disconnected")
    bad = BadLine(DropReason.BAD_JSON, "town:1", 1, "0" * 64)
    post = Post(source="town", id="1", at=now, text=f"Det brenner ved {TRACK} i kveld")
    full = Notice("disk_full", now)
    running.source.batches.append(
        Batch(posts=(post,), bad=(bad,), gaps=(gap,), notices=(full,), until=now, cursor="1", calls={Call("search"): 1})
    )
    running.turn()
    running.source.batches.append(Batch(deleted=("1",), until=now, cursor="2"))
    running.turn()
    for topic in ("mentions", "findings", "volumes", "alerts"):
        running.bus.publish([Message(topic, "town:2", b"{")])
    running.turn()
    running.hear_of_gateway("receipt?id=m1&status=yes")
    running.hear_of_gateway("reply?from=4740612345&text=ok")
    page = running.ask_the_board("/switch")
    found, incident = (re.search(f'name="{name}" value="([^"]+)"', page) for name in (FORM, "incident"))
    assert found
    assert incident
    running.ask_the_board("/switch/review", **{FORM: found[1]}, incident=incident[1], why="brenner ennå")
    running.ask_the_board("/decide/note", **{FORM: found[1]}, about="theme:waiting", words="vi ser på det")
    running.clock.advance(30 * MINUTE)
    running.wait_for_a_report()
    running.switch(Action.CLOSE)
    running.turn()


@pytest.mark.parametrize("step", PIPELINE, ids=[step.worker for step in PIPELINE])
def test_the_table_says_what_a_worker_opens_and_writes(ran: Running, step: Step) -> None:
    use = ran.use[step.worker]
    assert use.consumes == set(step.consumes)
    assert use.groups == ({step.worker} if step.consumes else set())
    assert use.reads - use.consumes == set(step.reads)
    assert use.writes == set(step.writes), str(ran.records())
