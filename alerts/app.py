"""The parts of one process, and how each of its workers is made from them.

A worker that needs another one (the reporter of the mode, the register's texts) takes it from those made before it.
Each is imported when it is made: a process of one role is ready sooner without what only the others need.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from listener.bus.protocol import Bus, Lease
from listener.bus.spool import Spool, path_of
from listener.clock import Clock
from listener.model.canary import CANARY
from listener.model.roles import (
    ABSENT,
    ANNOTATE,
    ANSWERS,
    BOARD,
    CALM,
    DEADMAN,
    DISPATCH,
    FOLLOW,
    JUDGE,
    PROPOSE,
    PUBLISH,
    PURGE,
    RECEIVER,
    REGISTER,
    REREAD,
    WEBHOOKS,
    listen_to,
)
from listener.model.topics import TopicSpec
from listener.runtime.health import Health, Part
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import OpsAlerts
from listener.runtime.presence import PresenceReporter
from listener.runtime.stage import Worker
from listener.settings.schema import Settings
from listener.settings.zone import find_zone
from listener.sources.contract import Answers, Batch, Follows, Source

if TYPE_CHECKING:
    from alerts.annotate.learned import Model
    from alerts.board.make import BoardParts
    from alerts.board.worker import Board
    from alerts.highlights.parts import HighlightsParts
    from alerts.judge.reload import Rulebook
    from alerts.notify.channels.contract import Channel
    from alerts.notify.duty import DutyFollower
    from alerts.notify.links import Links
    from alerts.notify.messages import Messages
    from alerts.notify.recipients import People
    from alerts.notify.reports import Reports
    from alerts.rules.spec import RuleSpec
    from listener.privacy.screen import Screen

T = TypeVar("T")
WorkerPart = tuple[Worker, Part]
"""A worker, and its part of the health page."""


@dataclass(frozen=True)
class App:
    """What every worker of one process shares. `process` is the name it has on the bus."""

    settings: Settings
    folder: Path
    bus: Bus
    specs: Sequence[TopicSpec]
    clock: Clock
    metrics: Metrics
    health: Health
    process: str
    limits: Mapping[str, timedelta] = field(default_factory=dict)
    """Source → how long its content may lie, where that is not `retention.content` alone."""

    def keep_of(self, source: str) -> timedelta:
        """How long content of this source may lie."""
        return self.limits.get(source, self.settings.retention.content)


@dataclass(frozen=True)
class ListenerParts:
    """What the workers of the role `listener` need."""

    sources: Sequence[Source]
    screen: Screen
    standing: Sequence[str]
    before: Callable[[Batch], None] = lambda batch: None
    allowed: Collection[str] | None = None
    """The accounts that tracks may follow; None: any."""
    ops: OpsAlerts = field(default_factory=OpsAlerts.load)


@dataclass(frozen=True)
class AlertsParts:
    """What the workers of the role `alerts` need. Without channels nobody is sent anything: a replay reads the alerts
    itself."""

    rules: Sequence[RuleSpec]
    model: Callable[[], Model]
    """Loads it, for whoever annotates. Raises ConfigError for cues, themes or words that are wrong."""
    people: People
    messages: Messages
    channels: Mapping[str, Channel] | None
    rulebook: Rulebook | None = None
    """Where the rules come from, if edits are to come into force."""
    standing: Sequence[str] = ()
    """The tracks that are counted in calm, all together."""
    ops: OpsAlerts = field(default_factory=OpsAlerts.load)
    languages: Mapping[str, Messages] = field(default_factory=dict)
    """The messages in every language that a person may read."""
    duty: Callable[[datetime], DutyFollower] | None = None
    """Makes what follows edits of people.yaml, where somebody is sent alerts."""
    better: Callable[[], Model] | None = None
    """Makes the better tier, where the register is to have it."""
    reports: Callable[[App], Reports] | None = None
    """Makes what mails situation reports, where they are to be mailed."""


@dataclass(frozen=True)
class Context:
    """What a step of the pipeline is given: the process, the parts of its roles, and the workers made so far."""

    app: App
    roles: Sequence[str]
    listener: ListenerParts | None
    alerts: AlertsParts | None
    board: BoardParts | None = None
    highlights: HighlightsParts | None = None
    made: list[WorkerPart] = field(default_factory=list)

    def find(self, kind: type[T]) -> T:
        """The worker of this class. Raises LookupError when the pipeline makes it later, or not at all."""
        for worker, _ in self.made:
            if isinstance(worker, kind):
                return worker
        raise LookupError(f"{kind.__name__} must be made before what needs it")

    @property
    def reporter(self) -> PresenceReporter:
        """Says which commands of `control` this process has applied."""
        return self.find(PresenceReporter)


Made = Iterator[WorkerPart]


def follow(context: Context) -> Made:
    """One in each process."""
    app, part = context.app, context.app.health.part(FOLLOW)
    yield PresenceReporter(app.bus, app.process, context.roles, part=part, clock=app.clock, metrics=app.metrics), part


def ingest(context: Context) -> Made:
    """One for each source. Whether it is live follows from its contract."""
    if (parts := context.listener) is None:
        return
    from listener.ingest.context import IngestContext
    from listener.ingest.ingestor import Ingestor
    from listener.ingest.player import Player
    from listener.ingest.worker import LEASE_SECONDS

    app = context.app
    for source in parts.sources:
        part = app.health.part(listen_to(source.name))
        lease = app.bus.lease(f"source:{source.name}", app.process, LEASE_SECONDS)
        its = IngestContext(
            bus=app.bus, reporter=context.reporter, lease=lease, screen=parts.screen, standing=parts.standing,
            clock=app.clock, metrics=app.metrics, part=part, before=parts.before, allowed=parts.allowed, ops=parts.ops,
        )  # fmt: skip
        if isinstance(source, Follows):
            spool = spool_of(app, source.name)
            yield Ingestor(source, its, spool=spool, keep=app.keep_of(source.name)), part
        else:
            yield Player(source, its), part


def webhooks(context: Context) -> Made:
    """Where platforms are to call us; not in a replay, where none does."""
    parts = context.listener
    if parts is None or (context.alerts is not None and context.alerts.channels is None):
        return
    called = [each.webhook for each in parts.sources if isinstance(each, Answers)]
    if not (its := [webhook for webhook in called if webhook is not None]):
        return
    from listener.webhooks.worker import Webhooks

    app, part, place = context.app, context.app.health.part(WEBHOOKS), context.app.settings.webhooks
    yield Webhooks(its, host=place.host, port=place.port, clock=app.clock, metrics=app.metrics, part=part), part


def absent(context: Context) -> Made:
    """Not in a replay, in which everybody is there."""
    parts = context.listener
    if parts is None or (context.alerts is not None and context.alerts.channels is None):
        return
    from listener.ingest.absent import Absent
    from listener.ingest.worker import LEASE_SECONDS

    app, part = context.app, context.app.health.part(ABSENT)

    def lease(source: str) -> Lease:
        return app.bus.lease(f"source:{source}", app.process, LEASE_SECONDS)

    own = [source.name for source in parts.sources]
    yield Absent(app.bus, own, lease, reporter=context.reporter, clock=app.clock, part=part), part


def canary(context: Context) -> Made:
    """Not in a replay, which is of what was really said."""
    parts, every = context.listener, context.app.settings.canary.every
    if parts is None or every is None or (context.alerts is not None and context.alerts.channels is None):
        return
    from listener.ingest.canary import LEASE_SECONDS, Canary

    app, part = context.app, context.app.health.part(CANARY)
    lease = app.bus.lease(CANARY, app.process, LEASE_SECONDS)
    yield Canary(app.bus, parts.screen, every, lease=lease, clock=app.clock, part=part), part


def annotate(context: Context) -> Made:
    if (parts := context.alerts) is None:
        return
    from alerts.annotate.worker import Annotating

    app, part = context.app, context.app.health.part(ANNOTATE)
    yield Annotating(
        app.bus, parts.model(), keep=app.keep_of, part=part, clock=app.clock,
        metrics=app.metrics, member=app.process,
    ), part  # fmt: skip


def judge(context: Context) -> Made:
    if (parts := context.alerts) is None:
        return
    from alerts.judge.worker import Judging

    app, part = context.app, context.app.health.part(JUDGE)
    yield Judging(
        app.bus, parts.rules, reporter=context.reporter, allowed_lateness=app.settings.rules.allowed_lateness,
        rulebook=parts.rulebook, part=part, clock=app.clock, metrics=app.metrics, member=app.process, ops=parts.ops,
    ), part  # fmt: skip


def answers(context: Context) -> Made:
    """Not where nobody is sent anything: nobody answers anything of a replay."""
    if (parts := context.alerts) is None or parts.channels is None:
        return
    from alerts.judge.forward import Answering

    app, part = context.app, context.app.health.part(ANSWERS)
    yield Answering(app.bus, part=part, clock=app.clock, metrics=app.metrics, member=app.process), part


def volumes(context: Context) -> Made:
    if (parts := context.alerts) is None:
        return
    from alerts.volumes.worker import Calm

    app, part = context.app, context.app.health.part(CALM)
    yield Calm(
        app.bus, parts.rules, reporter=context.reporter, rulebook=parts.rulebook, standing=parts.standing, part=part,
        clock=app.clock, metrics=app.metrics, member=app.process, zone=find_zone(app.settings.timezone),
    ), part  # fmt: skip


def register(context: Context) -> Made:
    if context.alerts is None:
        return
    from alerts.register.view import Register

    app, part = context.app, context.app.health.part(REGISTER)
    yield Register(app.bus, app.folder / "register.sqlite", part), part


def reread(context: Context) -> Made:
    """Not where nobody is sent anything: of a replay's register it is done once, at the end."""
    if (parts := context.alerts) is None or parts.channels is None:
        return
    from alerts.register.rereading import Rereading

    app, part = context.app, context.app.health.part(REREAD)
    path = app.folder / "register.sqlite"
    yield Rereading(app.bus, path, clock=app.clock, part=part, better=parts.better), part


def purge(context: Context) -> Made:
    """Not where nobody is sent anything: a replay's bus is thrown away."""
    if (parts := context.alerts) is None or parts.channels is None:
        return
    from alerts.deletions import Deletions

    app, part = context.app, context.app.health.part(PURGE)
    yield Deletions(
        app.bus, app.folder, part=part, clock=app.clock, metrics=app.metrics, member=app.process
    ), part  # fmt: skip


def dispatch(context: Context) -> Made:
    if (parts := context.alerts) is None or parts.channels is None:
        return
    from alerts.notify.canary import Ledger, RoundTrips
    from alerts.notify.dispatcher import Dispatcher
    from alerts.notify.recipients import LEDGER
    from alerts.register.view import Register

    app, part = context.app, context.app.health.part(DISPATCH)
    for channel in parts.channels:
        app.metrics.add_channel(channel)
    yield Dispatcher(
        app.bus, parts.people, parts.messages, {**parts.channels, LEDGER.channel: Ledger()}, holder=app.process,
        part=part, texts=context.find(Register).texts, reporter=context.reporter, clock=app.clock,
        metrics=app.metrics, ops=parts.ops,
        trips=RoundTrips(app.settings.canary.every, clock=app.clock, metrics=app.metrics),
        languages=parts.languages, duty=parts.duty(app.clock.now()) if parts.duty else None,
        links=links_of(app.settings), reports=parts.reports(app) if parts.reports else None,
    ), part  # fmt: skip


def deadman(context: Context) -> Made:
    """Where the dispatcher is, when a service is set up."""
    from alerts.notify.deadman import DeadMan, Ping, address

    app, parts = context.app, context.alerts
    if parts is None or parts.channels is None or address(app.settings.deadman) is None:
        return
    from alerts.notify.dispatcher import Dispatcher

    part, dispatcher = app.health.part(DEADMAN), context.find(Dispatcher)
    for outcome in Ping:
        app.metrics.deadman_pings.labels(outcome)

    def trouble() -> str | None:
        _, found = app.health.ready()
        first = next((f"{name}: {why}" for name, why in found.items() if why), None)
        return first or dispatcher.trips.late()

    yield DeadMan(
        app.settings.deadman, leads=lambda: dispatcher.leads, trouble=trouble, clock=app.clock, metrics=app.metrics,
        part=part,
    ), part  # fmt: skip


def links_of(settings: Settings) -> Links | None:
    """By which messages are answered; None where none are set up. Raises ConfigError for a key that cannot be read."""
    from alerts.notify.links import Links

    its = settings.receiver and settings.receiver.links
    return Links.of(its) if its else None


def receive(context: Context) -> Made:
    """Where the settings say so: a gateway that calls us needs an address."""
    app, parts = context.app, context.alerts
    if parts is None or parts.channels is None or (place := app.settings.receiver) is None:
        return
    from alerts.notify.channels.callbacks import CallsBack
    from alerts.notify.dispatcher import Dispatcher
    from alerts.notify.followed import FollowedBook
    from alerts.notify.receiver.answer_page import AnswerPages
    from alerts.notify.receiver.replies import answer_pages
    from alerts.notify.receiver.worker import Receiver
    from alerts.register.view import Register

    calling = {name: each.callbacks for name, each in parts.channels.items() if isinstance(each, CallsBack)}
    part, dispatcher = app.health.part(RECEIVER), context.find(Dispatcher)
    book, links = FollowedBook(app.bus, app.clock, part.beat), links_of(app.settings)
    pages = None
    if links is not None and place.links is not None:
        pages = AnswerPages(
            app.bus, app.clock, links, lambda: dispatcher.people, parts.messages, parts.languages, book,
            place.links.call, context.find(Register).samples, place.links.texts,
        )  # fmt: skip
    yield Receiver(
        app.bus, {name: its for name, its in calling.items() if its},
        answer_pages(app.bus, lambda: dispatcher.people, book.read, book.decided), host=place.host, port=place.port,
        clock=app.clock, metrics=app.metrics, part=part, book=book, pages=pages,
    ), part  # fmt: skip


def board(context: Context) -> Made:
    """What crisis teams look at; its parts are made in its own thread, when it is first needed."""
    app, parts = context.app, context.board
    if parts is None:
        return
    from alerts.board.make import make_board
    from alerts.board.worker import Patient

    part = app.health.part(BOARD)

    def make() -> Board:
        return make_board(app.bus, app.settings, app.folder, parts, clock=app.clock, part=part)

    # Beside others it must stop nobody: a port that is taken is no reason to hear nothing.
    yield (make() if set(context.roles) == {BOARD} else Patient(make, clock=app.clock, part=part)), part


def propose(context: Context) -> Made:
    """Where the settings name feeds of the hospital's own."""
    app, parts = context.app, context.highlights
    if parts is None or parts.reading is None:
        return
    from alerts.highlights.proposing import LEASE_SECONDS, Proposing

    part = app.health.part(PROPOSE)
    yield Proposing(
        app.bus, parts.reading, reporter=context.reporter, lease=app.bus.lease(PROPOSE, app.process, LEASE_SECONDS),
        clock=app.clock, metrics=app.metrics, part=part,
    ), part  # fmt: skip


def publish(context: Context) -> Made:
    """Where the settings name the keys of an account; by itself it also holds what is approved and cannot be sent."""
    app, parts = context.app, context.highlights
    if parts is None:
        return
    from alerts.highlights.publishing import LEASE_SECONDS, Publishing

    part = app.health.part(PUBLISH)
    yield Publishing(
        app.bus, parts.account, parts.schedule, process=app.process, reporter=context.reporter,
        lease=app.bus.lease(PUBLISH, app.process, LEASE_SECONDS), clock=app.clock, metrics=app.metrics, part=part,
        ops=parts.ops,
    ), part  # fmt: skip


def spool_of(app: App, source: str) -> Spool:
    """Where a live source is kept while the bus is away. A recording can be read again."""
    name = app.process.partition("@")[0].partition("-")[2]
    return Spool(path_of(app.folder, source, name), app.settings.bus.kafka.buffer, app.clock)
