"""Every metric of the product, in one place. The wiring makes one `Metrics` and hands it out.

Base units only: counts, seconds, bytes, Unix timestamps. Label values are words that a programmer or the
configuration chose (sources, rules, channels, topics, members of an enum), never something a post or a platform
said: a label that grows without bound takes Prometheus down with it.

A timestamp or a size that is not known yet is NaN, which no alerting rule takes for an answer; zero would be 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import nan

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
)

from listener.model.deliveries import Outcome
from listener.model.records import WITHDRAWN, Alert, Event, Kind, Origin, Severity
from listener.runtime.process import PROCESS, ProcessStats
from listener.units import parse_instant

NAMESPACE = "lyttepost"
BUCKETS = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
"""Seconds. The client's own stop at 10 s, where an officer's wait begins."""
ANSWER_BUCKETS = (30, 60, 120, 300, 600, 900, 1800, 3600)
"""Seconds until a person answers: what `BUCKETS` tells apart is nothing to who has to wake up first."""


class SourceState(StrEnum):
    """How a source is, in the words of `presence`, metrics and the board."""

    IDLE = "idle"
    """Nothing is asked of it now."""
    COUNTING = "counting"
    """Calm: counts only, no content."""
    CONNECTING = "connecting"
    """Wanted, and not heard yet or again: a gap."""
    LISTENING = "listening"
    STANDBY = "standby"
    """Another process listens; this one waits to take over."""
    FINISHED = "finished"
    """A recording that was played to its end."""
    STOPPED = "stopped"
    """Not heard for a cause that a person may have to fix; it is tried again all the same."""


@dataclass(frozen=True)
class Spec:
    """One metric as ops see it: the name as it is scraped."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """The metrics, registered with `registry`; every attribute is one. Thread-safe, as the client library is."""

    def __init__(self, registry: CollectorRegistry, version: str) -> None:
        # The library has only this switch for the whole process; unused, `_created` doubles every series.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry
        self.specs: list[Spec] = []
        c, g, h = self._counter, self._gauge, self._histogram

        self.build = Info("build", "What runs here.", namespace=NAMESPACE, registry=registry)
        self.build.info({"version": version})
        self.specs.append(Spec(f"{NAMESPACE}_build_info", "info", ("version",), "What runs here."))
        self.ready = g("ready", "1 while this part can do its job, else 0; `/readyz` tells why.", "part")

        self.clock = g(
            "clock_timestamp_seconds", "This process's clock at the scrape; Prometheus compares it with its own."
        )

        self.crisis = g("crisis", "1 while any incident is open, exercises included, else 0.")
        self.incidents_open = g("incidents_open", "Open incidents, canaries' left out.", "exercise")
        self.control_epoch = g("control_epoch", "Offset of the last command applied; -1 before the first.")

        self.review_due = g(
            "review_due_timestamp_seconds",
            "When the review of an open incident is due, of several the earliest; NaN while none is.",
            "exercise",
        )

        self.source_heard = g(
            "source_last_heard_timestamp_seconds",
            "When the source last sent a byte, a keep-alive included.",
            "source",
        )
        self.source_counted = g(
            "source_counted_timestamp_seconds",
            "Up to when a source's posts are counted in calm; NaN where they are not.",
            "source",
        )
        self.source_interval = g(
            "source_interval_seconds",
            "From one round to the next of a source that is asked for posts; 0 of one that streams, and in a process "
            "that does not listen to it.",
            "source",
        )
        self.source_delay = h("source_delay_seconds", "From a live post's own time to its capture.", "source")
        self.deletions_checked = g(
            "source_deletions_checked_timestamp_seconds",
            "When the last complete check which held posts are gone at the platform was begun; NaN where none is "
            "held, or the platform tells of deletions unasked.",
            "source",
        )
        self.source_state = g("source_state", "1 for the state that the source is in, else 0.", "source", "state")
        self.posts_heard = c("posts_heard", "Posts that a source offered.", "source")
        self.posts_matched = c("posts_matched", "Posts that matched a track of an open incident.", "source")
        self.posts_dropped = c("posts_dropped", "Posts heard and not published, by reason.", "source", "reason")
        self.mentions = c("mentions_published", "Mentions written to the bus.", "source", "origin")
        self.masks = c("masks_applied", "Things masked in posts before the bus.", "kind")
        self.gaps_open = g("gaps_open", "Gaps that last or are not refilled.", "source")
        self.gap_seconds = c("gap_seconds", "Time in which a source could not be heard.", "source", "cause")

        self.reconnects = c("reconnects", "Connections made anew, by why the last one ended.", "source", "cause")
        self.source_queue = g("source_queue_posts", "Posts heard that wait to be taken in.", "source")

        self.webhook_calls = c(
            "webhook_calls", "Calls of a platform to our webhook, by what came of them.", "source", "outcome"
        )
        self.webhook_called = g(
            "webhook_last_call_timestamp_seconds",
            "When a platform's call was last taken; before the first, when this process began to listen for it.",
            "source",
        )

        self.spool_bytes = g("spool_bytes", "Kept on disk while the bus is away, and not yet on the bus.", "source")
        self.spool_oldest = g(
            "spool_oldest_timestamp_seconds", "When the oldest of it was heard; NaN while nothing is kept.", "source"
        )

        self.spool_limit = g("spool_limit_bytes", "How much may be kept so; what comes beyond is a gap.", "source")

        self.posts_charged = c("posts_charged", "Posts read that are paid for, each once a UTC day.", "source")
        self.calls = c("source_calls", "Requests to a platform.", "source", "endpoint", "outcome")
        self.spent = g(
            "spent_dollars",
            "What a source has cost in US dollars: `day` and `month` (UTC), and each `incident` since it opened.",
            "source",
            "scope",
            "incident",
        )
        self.spending_rate = g(
            "spending_dollars_per_hour", "What a source costs an hour, by its last ten minutes.", "source"
        )
        self.budget = g(
            "budget_dollars", "What a month may cost: `soft` warns, `hard` pages, `ceiling` stops.", "source", "cap"
        )

        self.quota_used = g("quota_used_units", "Units used of today's allowance at a platform; its own day.", "source")
        self.allowance_used = g(
            "source_allowance_used",
            "What is used of an allowance that a platform gives for longer than a day, such as `hashtags` a week.",
            "source",
            "allowance",
        )
        self.allowance = g("source_allowance", "That allowance in full.", "source", "allowance")
        self.quota_units = g("quota_units", "Units that a platform allows a day, as the settings have it.", "source")

        self.deadletters = c("deadletters", "Records and lines that could not be used.", "stage", "reason")
        self.stage_records = c("stage_records", "Records that a stage has taken in and committed.", "stage")
        self.stage_batches = c("stage_batches", "Batches that a stage has committed.", "stage")
        self.findings = c("findings", "Findings by kind; one of several kinds counts for each.", "kind")
        self.findings_by_theme = c(
            "findings_by_theme", "Findings by their main theme; `none` where what they voice has none.", "theme"
        )
        self.pipeline_delay = h("pipeline_delay_seconds", "From a live post's capture to its finding on the bus.")

        self.rules_watermark = g(
            "rules_watermark_timestamp_seconds", "Event time up to which the rules have judged; NaN at first."
        )
        self.rules_unheard = g(
            "rules_unheard",
            "1 while every source of an incident is in a gap, so that no window closes, else 0.",
        )
        self.rule_failures = c("rule_failures", "Times that a rule raised or was slow; it is tried again.", "rule")
        self.rule_seconds = c("rule_seconds", "Time that judging by a rule took.", "rule")
        self.rules_reloaded = g(
            "rules_last_reload_successful",
            "1 while the rules' files are what is at work, 0 while they are refused and the old rules hold.",
        )
        self.tracks_counted = g("tracks_counted", "Tracks whose posts are counted and judged.", "source")
        self.track_posts = g(
            "track_posts_per_minute",
            "Posts of a track, the mean of its newest five minutes; of a source the loudest 50 tracks alone.",
            "source",
            "track",
        )
        self.track_usual = g(
            "track_usual_posts_per_minute",
            "The `least` and the `most` posts of a track that would be ordinary in its newest minute.",
            "source",
            "track",
            "bound",
        )

        self.alerts = c("alerts", "Verdicts of the rules.", "rule", "event", "severity")
        self.suppressed = c("alerts_suppressed", "Verdicts that were not passed on, by reason.", "reason")
        self.alerts_early = c(
            "alerts_early",
            "Alarms told before late posts were waited for (`told`), and what became of them: `settled`, `withdrawn`.",
            "state",
        )
        self.alerts_open = g(
            "alerts_open", "Alerts that nobody has acknowledged, passed ones included.", "severity", "exercise"
        )
        self.alerts_acknowledged = g(
            "alerts_acknowledged", "Alerts that somebody has and that are not closed.", "severity", "exercise"
        )
        self.acknowledge = self._histogram(
            "acknowledge_seconds",
            "From an alert's firing, or its waiting again, to a person's acknowledgement.",
            "exercise",
            buckets=ANSWER_BUCKETS,
        )
        self.pages_waiting = g("pages_waiting", "Pages that were written down and that no way has taken yet.")
        self.pages_oldest = g(
            "pages_waiting_oldest_timestamp_seconds", "When the oldest of them was written; NaN while none waits."
        )
        self.on_duty = g("on_duty", "People who are on duty in a role now.", "role")
        self.roster_gap = g(
            "roster_gap_timestamp_seconds",
            "When, within a week, nobody is on duty in a role whom anything wakes; NaN while there is no such time.",
            "role",
        )
        self.people = g(
            "people",
            "People who are reached by more than the console, by whether they ever confirmed a test message.",
            "confirmed",
        )
        self.alerts_undelivered = g(
            "alerts_undelivered", "Open alerts that have reached nobody of their own route; a fallback does not count."
        )
        self.oldest_open = g(
            "alerts_oldest_open_timestamp_seconds",
            "When the oldest alert fired that nobody has acknowledged; NaN while there is none.",
            "severity",
            "exercise",
        )
        self.deliveries = c("deliveries", "Attempts to tell somebody, by outcome.", "channel", "outcome")
        self.channel_failures = g(
            "channel_consecutive_failures", "Attempts in a row that failed on a channel; 0 after a success.", "channel"
        )
        self.receipts = c(
            "receipts", "Receipts of providers, by what they say became of the message.", "channel", "outcome"
        )
        self.callbacks = c(
            "callbacks", "What providers' gateways called about, by what came of it.", "channel", "outcome"
        )
        self.dispatch_latency = h(
            "dispatch_latency_seconds", "From an alert on the bus to its first delivery to somebody of its own route."
        )

        self.canary_interval = g("canary_interval_seconds", "How often a canary is posted; 0 where none is.")
        self.canary_posted = g(
            "canary_last_arrived_timestamp_seconds",
            "When the newest canary that arrived was posted; before the first, when this process began to wait.",
        )
        self.canary_round_trip = g(
            "canary_round_trip_seconds",
            "How long the newest canary that arrived took, from its post to the outcome of its delivery.",
        )
        self.deadman_pings = c(
            "deadman_pings", "Pings to the outside dead-man service: sent, failed, or withheld.", "outcome"
        )
        self.deadman_sent = g(
            "deadman_last_ping_timestamp_seconds", "When the outside dead-man service last took a ping; NaN before it."
        )

        self.highlights = g("highlights", "Calm highlights by how they stand; dropped ones left out.", "stage")
        self.highlight_sends = c(
            "highlight_sends", "Highlights that were to be published, by what came of it.", "outcome"
        )
        self.highlights_read = g(
            "highlights_feeds_read_timestamp_seconds",
            "When every feed of the highlights was last read without a fault; NaN before it.",
        )

        self.lag = g("consumer_lag_records", "Records that a group has not committed yet.", "group", "topic")
        self.lag_seconds = g(
            "consumer_lag_seconds",
            "How long the oldest record that a group has not committed has been on the bus; 0 with none.",
            "group",
            "topic",
        )
        self.rebalances = c("bus_rebalances", "Assignments of partitions to a group's members here.", "group")
        self.producer_errors = c("bus_producer_errors", "Writes to the bus that failed, by the error's name.", "reason")
        self.bus_retries = c("bus_retries", "Writes to the bus that were tried again.")
        self.bus_up = g("bus_up", "1 while the bus answers, else 0; `/readyz` tells why.")
        self.bus_free = g("bus_free_bytes", "Room left where the bus writes; NaN where it cannot be known.")
        self.bus_full = g("bus_full", "1 while posts are refused for want of room, else 0.")
        self.oldest_record = g(
            "retention_oldest_record_timestamp_seconds",
            "When the topic's oldest record was written; NaN while it is empty.",
            "topic",
        )
        self.retention_allowed = g(
            "retention_allowed_seconds", "How old a record of the topic may get; +Inf is for ever.", "topic"
        )
        self.content_oldest = g(
            "retention_oldest_content_timestamp_seconds",
            "When the oldest content of a source with a limit of its own was captured; NaN while none is held, and "
            "where another process has that task.",
            "source",
        )
        self.content_allowed = g(
            "retention_content_allowed_seconds",
            "How long content of a source with a limit of its own may lie.",
            "source",
        )
        self.credential_ends = g(
            "credential_ends_timestamp_seconds",
            "When a certificate ends, by the setting that names it; NaN where that cannot be read.",
            "setting",
        )
        registry.register(ProcessStats(NAMESPACE))
        self.specs += [Spec(f"{NAMESPACE}_process_{name}", kind, (), meaning) for name, kind, meaning in PROCESS]
        self._at_rest()

    def _at_rest(self) -> None:
        """Series whose labels are known are there from the start: a rate needs a zero to rise from."""
        self.control_epoch.set(-1)
        self.rules_watermark.set(nan)
        self.rules_reloaded.set(nan)
        self.bus_free.set(nan)
        self.canary_posted.set(nan)
        self.canary_round_trip.set(nan)
        self.deadman_sent.set(nan)
        self.highlights_read.set(nan)
        self.pages_oldest.set(nan)
        for exercise in ("true", "false"):
            self.incidents_open.labels(exercise)
            self.acknowledge.labels(exercise)
            self.review_due.labels(exercise).set(nan)
            for severity in Severity:
                self.alerts_open.labels(severity, exercise)
                self.alerts_acknowledged.labels(severity, exercise)
                self.oldest_open.labels(severity, exercise).set(nan)
        for kind in Kind:
            self.findings.labels(kind)
        for state in ("told", "settled", "withdrawn"):
            self.alerts_early.labels(state)

    def add_source(self, source: str) -> None:
        """Show a source before it has said anything."""
        self.posts_heard.labels(source)
        self.posts_matched.labels(source)
        self.gaps_open.labels(source)
        self.spool_bytes.labels(source)
        self.spool_oldest.labels(source).set(nan)
        self.spool_limit.labels(source).set(nan)
        for origin in Origin:
            self.mentions.labels(source, origin)
        self.source_heard.labels(source).set(nan)
        self.source_counted.labels(source).set(nan)
        self.source_interval.labels(source)
        self.deletions_checked.labels(source).set(nan)
        self.set_source_state(source, SourceState.IDLE)

    def add_rule(self, rule: str, severity: Severity = Severity.WARNING) -> None:
        """Show a rule before it has failed or said anything."""
        for event in (Event.FIRED, Event.RESOLVED):
            self.alerts.labels(rule, event, severity)
        self.rule_failures.labels(rule)

    def count_alert(self, alert: Alert, *, again: bool = False) -> None:
        """One state of an alert that is about to be published. `again`: it settles one that was told early, which is
        counted already."""
        if again:
            self.alerts_early.labels("settled").inc()
            return
        if alert.settled is False:
            self.alerts_early.labels("told").inc()
        elif alert.reason == WITHDRAWN:
            self.alerts_early.labels("withdrawn").inc()
        self.alerts.labels(alert.rule, alert.event, alert.severity).inc()
        if alert.event is Event.SUPPRESSED:
            self.suppressed.labels(alert.reason).inc()

    def add_channel(self, channel: str) -> None:
        """Show a channel before it has been used."""
        self.channel_failures.labels(channel)
        for outcome in Outcome:
            self.deliveries.labels(channel, outcome)

    def set_instant(self, gauge: Gauge, source: str, at: str | None) -> None:
        """`at`: an instant as presence has it; None where another process knows it, or nobody."""
        gauge.labels(source).set(nan if at is None else parse_instant(at).timestamp())

    def set_source_state(self, source: str, state: SourceState) -> None:
        """One state is 1, all others are 0."""
        for each in SourceState:
            self.source_state.labels(source, each).set(each is state)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        self.specs.append(Spec(f"{NAMESPACE}_{name}_total", "counter", labels, meaning))
        return Counter(name, meaning, labels, namespace=NAMESPACE, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        self.specs.append(Spec(f"{NAMESPACE}_{name}", "gauge", labels, meaning))
        return Gauge(name, meaning, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = BUCKETS) -> Histogram:
        self.specs.append(Spec(f"{NAMESPACE}_{name}", "histogram", labels, meaning))
        return Histogram(name, meaning, labels, namespace=NAMESPACE, registry=self.registry, buckets=buckets)


def table(metrics: Metrics) -> str:
    """The table of deploy/README.md: Markdown, one row a metric, in the order of this file."""
    rows = [("Metric", "Type", "Labels", "Meaning"), ("---", "---", "---", "---")]
    for spec in metrics.specs:
        labels = ", ".join(f"`{label}`" for label in spec.labels)
        rows.append((f"`{spec.name}`", spec.type, labels, spec.meaning))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
