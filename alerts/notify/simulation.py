"""The dispatcher on a simulated clock: what would be sent to whom, and when, if these things happened.

The dispatcher, the book and the plan are those of `lyttepost run`; only the clock, the channels (which answer as the
events say) and the threads that send are others. The bus is thrown away.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from prometheus_client import CollectorRegistry
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from alerts.duty.people import WAKING
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import Channel, ChannelError, Deliver, FailureReason, SendNote
from alerts.notify.delivery_faults import DeliveryFaults
from alerts.notify.dispatcher import Dispatcher
from alerts.notify.messages import Messages
from alerts.notify.plan import NoticeKind
from alerts.notify.recipients import People
from alerts.notify.sender import Capacity, Prepare, Result, SenderPool
from alerts.notify.sends import Send
from alerts.notify.state import AlertBook, Condition, read
from alerts.rules.keys import write_key
from listener.bus import hashchain
from listener.bus.messages import message
from listener.bus.protocol import Bus, Record, open_bus
from listener.clock import ManualClock
from listener.errors import UsageError
from listener.model.base import Instant
from listener.model.decisions import DECISIONS, Silence
from listener.model.deliveries import DELIVERIES, Deferral, Delivery, Outcome, Page, PageWhy
from listener.model.receipts import Receipt, Received
from listener.model.records import ALERTS, Alert, Decision, DecisionKind, Event, Severity
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import OpsAlerts
from listener.units import format_instant, from_ms

INCIDENT = "simulation"
Answers = Literal["accept", "reject", "temporary", "no_answer", "accept_and_drop", "undelivered"]

_ERRORS = {
    "reject": ChannelError(FailureReason.REFUSED, permanent=True),
    "temporary": ChannelError(FailureReason.BUSY, permanent=False),
    "no_answer": ChannelError(FailureReason.NO_ANSWER, permanent=False),
}
_WORDS = {error.word: answer for answer, error in _ERRORS.items()}


def _written(value: Any) -> Any:
    """A number would be seconds since 1970, and half a century of rounds to work out."""
    if not isinstance(value, str):
        raise PydanticCustomError("time", "write a time such as 2031-03-02T03:00:00Z")
    return value


def _of_our_time(value: datetime) -> datetime:
    if not 2000 <= value.year < 2200:
        raise PydanticCustomError("time", "must lie between the years 2000 and 2200")
    return value


At = Annotated[Instant, BeforeValidator(_written), AfterValidator(_of_our_time)]
Id = Annotated[str, Field(min_length=1)]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    at: At


class Fire(_Event):
    do: Literal["fire"]
    alert: Id
    rule: str = "rule"
    severity: Severity = Severity.WARNING
    policy: str
    fields: Mapping[str, str] = Field(default_factory=dict)
    exercise: bool = False
    resolves: bool = True


class Resolve(_Event):
    do: Literal["resolve"]
    alert: str


class Word(_Event):
    """A person's word on one alert or several."""

    do: Literal["ack", "note", "close"]
    alert: str | None = None
    alerts: tuple[str, ...] = ()
    by: str = "?"
    why: str = ""


class Silenced(_Event):
    do: Literal["silence"]
    silence: Id
    match: Mapping[str, str]
    start: Instant = Field(alias="from")
    end: Instant = Field(alias="to")
    by: str
    why: str = ""


class Unsilenced(_Event):
    do: Literal["unsilence"]
    silence: str
    by: str = "?"


class Restart(_Event):
    do: Literal["restart"]


class ChannelAnswers(_Event):
    """From now on, and until `until`, the channel answers so; to this target only, where one is named."""

    do: Literal["channel"]
    channel: str
    target: str | None = None
    answers: Answers
    until: Instant | None = None


AnyEvent = Fire | Resolve | Word | Silenced | Unsilenced | Restart | ChannelAnswers
_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[AnyEvent, Field(discriminator="do")])


def read_events(lines: Iterator[str], name: str) -> list[AnyEvent]:
    """JSON lines → events in the order of their times. Raises UsageError that names file and line."""
    out: list[AnyEvent] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            out.append(_EVENT.validate_json(line))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UsageError(f"{name}:{number}: {where + ': ' if where else ''}{first['msg']}") from None
    return sorted(out, key=lambda event: event.at)


def simulate(
    people: People, events: Sequence[AnyEvent], until: datetime, messages: Messages
) -> Iterator[dict[str, Any]]:
    """What the dispatcher does up to `until`, one dict a line, in order of time. Every event after it is left out."""
    start = events[0].at if events else until
    with tempfile.TemporaryDirectory(prefix="lyttepost-") as folder:
        clock = ManualClock(min(start, until))
        with closing(open_bus("embedded:", Path(folder), clock, durable=False)) as bus:
            bus.ensure(topic_specs(1, {}))
            yield from _Simulation(bus, people, messages, clock).run(list(events), until)


class _Simulation:
    def __init__(self, bus: Bus, people: People, messages: Messages, clock: ManualClock) -> None:
        self._bus, self._people, self._messages, self._clock = bus, people, messages, clock
        self._script = _Script(clock)
        channels = {way.channel for person in people.people.values() for way in person.ways} | {"console"}
        self._channels: dict[str, Channel] = {name: _Scripted(name, self._script) for name in channels}
        self._faults = _Faults(bus, clock)
        self._fired: dict[str, Alert] = {}
        self._told_of: set[tuple[str, str]] = set()
        self._book = AlertBook()
        self._reader = bus.reader(("alerts", "decisions", "deliveries"))
        self._dispatcher = self._start()

    def run(self, events: list[AnyEvent], until: datetime) -> Iterator[dict[str, Any]]:
        while True:
            now = self._clock.now()
            while events and events[0].at <= now:
                self._happen(events.pop(0))
            yield from self._settle()
            following = [event.at for event in events[:1]]
            if (due := self._dispatcher.next_at) is not None:
                # What is due now and was not done waits for something that happens.
                following.append(due if due > now else now + timedelta(seconds=1))
            if not following or min(following) > until:
                break
            self._clock.advance_to(min(following))
        self._dispatcher.close()

    def _start(self) -> Dispatcher:
        return Dispatcher(
            self._bus, self._people, self._messages, self._channels, clock=self._clock,
            metrics=Metrics(CollectorRegistry(), "simulation"), part=Health(self._clock).part("dispatch"),
            holder="simulation", senders=_Inline(self._channels, self._clock), faults=self._faults,
        )  # fmt: skip

    def _settle(self) -> Iterator[dict[str, Any]]:
        while self._dispatcher.step(0.0) or self._receipts():
            pass
        yield from self._faults.take()
        for record in self._reader.poll(0.0, 100_000):
            yield from self._lines(record)

    def _receipts(self) -> bool:
        """What the providers say of what they could not deliver, each once."""
        new = self._script.undelivered - self._told_of
        for channel, id_ in sorted(new):
            receipt = Receipt(channel=channel, provider_id=id_, outcome=Received.UNDELIVERED, at=self._clock.now())
            hashchain.append(self._bus, DELIVERIES.name, receipt)
        self._told_of |= new
        return bool(new)

    # --- what happens --------------------------------------------------------------------------------------------

    def _happen(self, event: AnyEvent) -> None:
        match event:
            case Fire():
                self._fired[event.alert] = alert = _alert(event)
                self._bus.publish([message(ALERTS, alert)])
            case Resolve():
                if (fired := self._fired.get(event.alert)) is not None:
                    passed = fired.model_copy(update={"event": Event.RESOLVED, "at": event.at})
                    self._bus.publish([message(ALERTS, passed)])
            case Word():
                kinds = {"ack": DecisionKind.ACKNOWLEDGE, "note": DecisionKind.NOTE, "close": DecisionKind.CLOSE}
                for id_ in event.alerts or filter(None, [event.alert]):
                    # Nobody can answer what there is not yet: the command refuses it too.
                    if id_ in self._fired or self._book.get(id_) is not None:
                        self._decide(Decision(kind=kinds[event.do], id=id_, at=event.at, by=event.by, why=event.why))
            case Silenced():
                self._decide(
                    Silence(
                        id=event.silence, at=event.at, by=event.by, why=event.why, match=event.match,
                        start=event.start, end=event.end,
                    )
                )  # fmt: skip
            case Unsilenced():
                self._decide(Decision(kind=DecisionKind.UNSILENCE, id=event.silence, at=event.at, by=event.by))
            case Restart():
                self._dispatcher.close()
                self._dispatcher = self._start()
            case ChannelAnswers():
                self._script.add(event)

    def _decide(self, word: Decision | Silence) -> None:
        hashchain.append(self._bus, DECISIONS.name, word)

    # --- what it does --------------------------------------------------------------------------------------------

    def _lines(self, record: Record) -> Iterator[dict[str, Any]]:
        told = read(record)
        if told is None:
            return
        if isinstance(told, Decision) and told.kind is DecisionKind.REOPEN:
            before = self._book.get(told.id)
            was = before.handled.by if before and before.handled else None
            yield self._line("unacknowledged", self._clock.now(), alert=told.id, was=was)
        self._book.take(told, from_ms(record.time_ms))
        if isinstance(told, Delivery):
            state = self._book.pages.get(told.page)
            if told.outcome is not None and state is not None and state.page.why is not PageWhy.NOTICE:
                yield self._paged(state.page, told)
        elif not isinstance(told, Page):
            return
        elif told.why is PageWhy.NOTICE:
            about = {} if told.what == NoticeKind.SILENCE_ENDS_SOON else dict(told.alerts)
            yield self._line("notice", told.at, what=told.what, to=told.person, alerts=about)
        elif told.person and told.until is not None:
            why = (told.deferred or Deferral.BRAKE).value
            until, alerts = format_instant(told.until), dict(told.alerts)
            yield self._line("deferred", told.at, to=told.person, until=until, why=why, alerts=alerts)

    def _paged(self, page: Page, told: Delivery) -> dict[str, Any]:
        passed = all(condition == Condition.RESOLVED for condition in page.alerts.values())
        marks = {
            "may_repeat": told.may_repeat,
            "digest": page.why is PageWhy.DIGEST,
            "exercise": page.exercise,
            "passed": passed,
        }
        return self._line(
            "page",
            told.at,
            to=page.person,
            by=told.channel,
            why="retry" if told.attempt > 1 else page.why.value,
            step=page.step,
            round=page.round,
            alerts=dict(page.alerts),
            held=list(page.held),
            outcome=self._outcome(told),
            marks=[mark for mark, on in marks.items() if on],
        )

    def _outcome(self, told: Delivery) -> str | None:
        """In the words of the events."""
        if told.outcome is not Outcome.SENT:
            return _WORDS.get(told.reason or "", told.reason)
        lost = any((told.channel, id_) in self._script.undelivered for id_ in told.provider_ids)
        return "undelivered" if lost else "accept"

    def _line(self, do: str, at: datetime, **more: Any) -> dict[str, Any]:
        return {"at": format_instant(at), "do": do, **more}


def _alert(event: Fire) -> Alert:
    fields = dict(sorted(event.fields.items()))
    return Alert(
        id=event.alert,
        event=Event.FIRED,
        at=event.at,
        incident=fields.get("incident", INCIDENT),
        incident_name=fields.get("incident", INCIDENT),
        exercise=event.exercise,
        rule=event.rule,
        rule_type="any",
        severity=event.severity,
        to=event.policy,
        key=write_key(tuple(fields.values())) if fields else "",
        key_fields=tuple(fields),
        headline={"nb": "{rule}", "en": "{rule}"},
        count=1,
        reason="matched",
        first_seen=event.at,
        resolves=event.resolves,
    )


class _Script:
    """How each channel answers, as the events say."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.undelivered: set[tuple[str, str]] = set()
        """Channel and id of what was taken, and of which the provider will say that it could not be delivered."""
        self._said: list[ChannelAnswers] = []

    def add(self, event: ChannelAnswers) -> None:
        self._said.append(event)

    def answer(self, channel: str, target: str) -> Answers:
        """The latest that was said of the target, or else of the whole channel, and still holds."""
        now = self.clock.now()
        holds = [
            event
            for event in self._said
            if event.channel == channel
            and event.target in (None, target)
            and (event.until is None or now < event.until)
        ]
        return max(reversed(holds), key=lambda event: event.target is not None).answers if holds else "accept"


class _Scripted:
    in_house = False

    def __init__(self, name: str, script: _Script) -> None:
        self._name, self._script = name, script

    @property
    def wakes(self) -> bool:
        return self._name in WAKING

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        def deliver() -> tuple[str, ...]:
            answer = self._script.answer(self._name, target)
            if answer in _ERRORS:
                raise ChannelError(_ERRORS[answer].reason, permanent=_ERRORS[answer].permanent)
            id_ = f"{note.intent}-{note.attempt}"
            if answer == "undelivered":
                self._script.undelivered.add((self._name, id_))
            return (id_,)

        return deliver


class _Inline(SenderPool):
    """Sends at once, in the dispatcher's own thread: on a simulated clock nothing takes time."""

    def __init__(self, channels: Mapping[str, Channel], clock: ManualClock) -> None:
        super().__init__(channels, clock)
        self._results: list[Result] = []

    @property
    def busy(self) -> bool:
        return False

    def room(self, channel: str, besides: int = 0) -> Capacity:
        return Capacity.FREE if channel in self._channels else Capacity.MISSING

    def put(self, due: Send, prepare: Prepare) -> None:
        self._results.append(self._try(due, prepare, self._channels[due.contact.channel]))

    def results(self, timeout: float = 0.0) -> list[Result]:
        out, self._results = self._results, []
        return out


class _Faults(DeliveryFaults):
    """What ops would be told; nobody is paged for it here."""

    def __init__(self, bus: Bus, clock: ManualClock) -> None:
        super().__init__(bus, OpsAlerts.load())
        self._clock = clock
        self._lines: list[dict[str, Any]] = []

    def report(self, book: AlertBook, what: str, part: str, about: Alert | None, at: datetime) -> None:
        line = {"at": format_instant(at), "do": "trouble", "what": what, "part": part}
        self._lines.append(line | ({"alert": about.id} if about else {}))

    def take(self) -> list[dict[str, Any]]:
        out, self._lines = self._lines, []
        return out
