"""A deployment spread over processes on one Kafka cluster, and what an undisturbed one makes of the same posts.

The **reference** is a run that nothing can disturb: the same mentions, all heard live and in the order in which they
were written, annotated and judged by one worker each on an embedded bus of one partition. What may differ from it is
said in `said`, and nothing else.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from harness import START_SECONDS, Deployment, Running, read_all, until
from prometheus_client import CollectorRegistry

from alerts.annotate.learned import Model
from alerts.annotate.worker import Annotating
from alerts.judge.worker import Judging
from alerts.rules.load import load_rules
from listener.bus.protocol import Bus, Message, Record, open_bus, partition_of
from listener.clock import SystemClock
from listener.model.incidents import Action, Command, slug
from listener.model.records import MENTIONS, Mention, Origin, Tick, decode, encode
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.stage import Worker
from listener.settings.kafka import KafkaSettings

PARTITIONS = 4
JUDGED_SECONDS = 240.0
"""A group may wait a minute for a member that was frozen while it joined, and the next one for another."""
TEXTS = 'texts: {nb: "{count} av {key}", en: "{count} of {key}"}'

RULES: Mapping[str, str] = {
    "waves": "type: frequency\nnum_events: 45\ntimeframe: 2s\nquery_key: hashtags\nrealert: 0s",
    "crowds": "type: frequency\nnum_events: 30\ntimeframe: 1s\ncount_by: authors\nquery_key: hashtags\nrealert: 3s",
    "voices": "type: cardinality\ncardinality_field: author\nmax_cardinality: 40\ntimeframe: 1s\nquery_key: hashtags\n"
    "realert: 0s",
    "asking": "type: percentage_match\nmatch_bucket_filter: {kind: question}\nmax_percentage: 25\nmin_denominator: 40\n"
    "timeframe: 1s\nrealert: 1s",
    "stories": "type: story\nmax_spread: 25\ntimeframe: 2s\nrealert: 2s",
    "terms": "type: new_term\nfields: hashtags\nnum_events: 2\ntimeframe: 5s\nterms_window_size: 1h\nlearn: 2s\n"
    "realert: 1s",
    "seen": "type: any\nfilter: {kind: eyewitness}\nquery_key: hashtags\nrealert: 4s",
    "each": "type: any\nfilter: {kind: rumour}\nrealert: 0s",
}
"""Windows of a second or two over many keys: one post more or less, or one twice, changes some alert."""
BATCH_SIZE = frozenset({"any", "blacklist", "whitelist"})
"""Types of rules."""


def write_rules(folder: Path) -> None:
    for old in folder.glob("*.yaml"):
        old.unlink()
    for name, body in RULES.items():
        why = "A rule for a test; it says nothing of the world."
        text = f"name: {name}\nwhy: {why}\n{body}\n{TEXTS}\n"
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def names_over(partitions: int, taken: int = 0) -> list[str]:
    """Names of incidents, the first on a bus and opened in this order, whose findings all lie in partitions apart."""
    names: list[str] = []
    for wanted in range(partitions):
        tries = (f"Hendelse {wanted} {letter}" for letter in "abcdefghijklmnopqrstuvwxyz")
        offset = taken + len(names)
        names.append(next(n for n in tries if partition_of(f"{slug(n)}-{offset}", partitions) == wanted))
    return names


@dataclass
class Spread:
    """`url` is of the cluster, with a prefix; `replication` as many copies as it has brokers. `shipped`: the rules that
    we ship judge, not those above."""

    home: Path
    url: str
    deploy: Callable[..., Deployment]
    replication: int = 1
    partitions: int = PARTITIONS
    lateness: str = "10s"
    shipped: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    bus: Bus = field(init=False)
    deployment: Deployment = field(init=False)

    def __post_init__(self) -> None:
        mine = {
            "BUS__URL": self.url,
            "BUS__PARTITIONS": str(self.partitions),
            "BUS__KAFKA__REPLICATION": str(self.replication),
            "RULES__ALLOWED_LATENESS": self.lateness,
            "X__PRICES__POST": "0",
            **self.settings,
        }
        self.deployment = self.deploy(settings=mine)
        config = self.deployment.configure()
        if not self.shipped:
            write_rules(config / "rules")
        self.bus = open_bus(self.url, self.home, SystemClock(), kafka=KafkaSettings(replication=self.replication))
        self.bus.ensure(topic_specs(self.partitions, {}))

    def open(self, tracks: Mapping[str, str]) -> list[str]:
        """Name → track; the ids of the incidents."""
        ids: list[str] = []
        for name, track in tracks.items():
            command = Command(
                action=Action.OPEN, at=SystemClock().now(), by="vakt", why="prøve", name=name, add=(track,),
                exercise=True, review_after=3600,
            )  # fmt: skip
            ids += Control(self.bus).append(command).incidents
        return ids

    def start(self, role: str, name: str = "", *, env: Mapping[str, str] | None = None, wait: bool = False) -> Running:
        more = ("--name", name) if name else ()
        return self.deployment.start("--role", role, *more, env=env, wait=wait)

    def records(self, topic: str) -> list[Record]:
        return read_all(self.bus, topic)

    def values(self, topic: str, type_: str) -> list[dict[str, Any]]:
        found = [json.loads(record.value) for record in self.records(topic) if record.value is not None]
        return [value for value in found if value["type"] == type_]

    def lag(self) -> int:
        """Records of `mentions` and `findings` that wait; a group that has committed nothing counts as one."""
        return sum(sum(lags.values()) if lags else 1 for lags in map(self.bus.lag, ("annotate", "judge")))

    def end(self, source: str, until_: Any) -> None:
        """The source's last word, as one that ends says it: nothing more will come, so every window closes."""
        value = encode(Tick(source=source, until=until_, final=True))
        self.bus.publish([Message("mentions", f"{source}:tick", value, n) for n in range(self.partitions)])

    def wait_until_judged(self, seconds: float = JUDGED_SECONDS) -> None:
        # A commit may be seen a moment before what was written in its transaction can be read.
        idle = 0

        def stays() -> bool:
            nonlocal idle
            idle = idle + 1 if self.lag() == 0 else 0
            return idle == 3

        try:
            until(stays, seconds, "all is annotated and judged", every=0.3)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.state()}") from None

    def state(self) -> str:
        """Where each group and each process stands, for whoever looks for what did not come."""
        told = [f"{group}: {self.bus.lag(group)}" for group in ("annotate", "judge")]
        for running in self.deployment.running:
            try:
                ready = running.get("/readyz")
            except OSError as error:
                ready = 0, str(error)
            told.append(f"{running.process.pid}, {running.process.poll()}: {ready}\n{running.said[-2000:]}")
        return "\n".join(told)

    def close(self) -> None:
        self.bus.close()


def ready(running: Iterable[Running], seconds: float = START_SECONDS) -> None:
    """Until all of them have begun."""
    for each in running:
        until(lambda each=each: has_begun(each) or ended(each), seconds, "it starts")
        assert not ended(each), each.said


def has_begun(running: Running) -> bool:
    return "metrics and health at" in running.said


def ended(running: Running) -> bool:
    return running.process.poll() is not None


def alone(home: Path, control: Sequence[Record], mentions: Sequence[Record], config: Path) -> list[dict[str, Any]]:
    """The alerts of the reference run. `control` and `mentions` are what lay on the disturbed run's bus."""
    posts, ticks = [], []
    for record in mentions:
        assert record.value is not None
        found = decode(MENTIONS, record.value)
        if isinstance(found, Mention):
            posts.append(found.model_copy(update={"origin": Origin.LIVE}))
        elif isinstance(found, Tick):
            ticks.append(found)
    posts.sort(key=lambda post: (post.at, post.post_key))
    final = max(tick.until for tick in ticks)
    words: list[Mention | Tick] = [min(ticks, key=lambda tick: tick.until), *posts]
    words.append(Tick(source=ticks[0].source, until=final, final=True))
    with closing(open_bus("embedded:", home, SystemClock(), durable=False)) as bus:
        bus.ensure(topic_specs(1, {}))
        bus.publish([Message("control", record.key, record.value) for record in control])
        bus.publish([Message("mentions", str(number), encode(word)) for number, word in enumerate(words)])
        metrics, health, clock = Metrics(CollectorRegistry(), "0"), Health(SystemClock()), SystemClock()
        model, rules = Model(config), load_rules(config / "rules")
        workers: list[Worker] = [
            Annotating(bus, model, clock=clock, metrics=metrics, part=health.part("annotate")),
            # Watermarks count no partitions here; how late anything comes plays no part.
            Judging(
                bus, rules, clock=clock, metrics=metrics, part=health.part("judge"), allowed_lateness=timedelta(days=1)
            ),
        ]
        for worker in workers:
            while worker.step(0.0):
                pass
            worker.close()
        return [json.loads(record.value or b"") for record in read_all(bus, "alerts")]


NOT_COMPARED = ("heard_late", "posted_at", "found_at", "gaps", "reason")
"""How and when a post reached us, which is what a disturbance changes, and all that it may change. The reason of an
alert says so too: it is `heard_late` where a post that search found completed it."""


def said(alerts: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """What was said, each as often as it was; without what was told early, which is said again when it is settled.

    Rules that fire at once judge in the order of arrival, so which of two posts within `realert` fires and which is
    held is a matter of which came first; that each was judged once, under its id and with its count, is not.
    """
    out: Counter[str] = Counter()
    for alert in alerts:
        if alert.get("settled") is False:
            continue
        left = (*NOT_COMPARED, "event") if alert["rule_type"] in BATCH_SIZE else NOT_COMPARED
        kept = {name: value for name, value in alert.items() if name not in left}
        out[json.dumps(kept, sort_keys=True, ensure_ascii=False)] += 1
    return out


def twice(keys: Iterable[Any]) -> int:
    """How many came more than once."""
    return sum(count > 1 for count in Counter(keys).values())
