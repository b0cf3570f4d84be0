"""One incident's rules at work: findings, ticks and gaps in, in the order of the bus; verdicts out.

Pure and clock-free. Findings wait until the watermark passes them and are judged in the order of (time, post key), so
that a shuffle within the allowed lateness changes nothing; `any` is judged on arrival. A finding behind the
watermark re-judges the windows it falls in. One ahead of it is shown on arrival to judges that can tell an alarm early
(`conditions.early`), besides its turn.

An edit is a finding of its own that bears the earlier ids. A rule counts a post once under a key, by the first of its
versions that it wants: another version within the longest window of it is the same word said again.

**Restart.** A worker commits `needed()` and `watermarks()` with its offset. Its successor makes a new engine, calls
`restore_watermarks` and `remember` for every alert of the incident that was published (fired, resolved and
suppressed, in order), reads on from `needed()`, and from the committed offset on gives the very verdicts that the
undisturbed engine would have given. Until then it is mute.

**A rule that fails**, by raising or by taking longer than `PATIENCE` over a judgement, is reported and asked again.
`spent` is what each rule took since `take_spent`: many judgements that are each a little slow are slow as well.
Rules offer no patterns to search by, only values to compare: none can make a judgement long by its own words.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any, NamedTuple

from alerts.rules.conditions.early import Early
from alerts.rules.conditions.window import KEEP
from alerts.rules.engine.aggregation import Aggregation
from alerts.rules.engine.index import Index
from alerts.rules.engine.watermark import Watermark, instant, microseconds
from alerts.rules.entry import Entry, entry_of
from alerts.rules.judge import EagerJudge, IncidentInfo, Judge, RuleContext
from alerts.rules.spec import RuleSpec, RuleType
from alerts.rules.table import TYPES
from alerts.rules.verdict import Reason, Verdict
from listener.clock import Clock, ManualClock
from listener.errors import Corrupt
from listener.model.answers import Answered
from listener.model.incidents import Mode
from listener.model.records import Alert, AuthorClass, Event, Finding, Gap, Tick, first_key
from listener.plugins import load

LATENESS = timedelta(seconds=10)
MIN_KEPT = timedelta(minutes=10)
"""A finding that comes twice is known for at least this long."""
PATIENCE = timedelta(seconds=2)
"""One judgement of one rule, which takes microseconds, may take so long."""
MEASURED = 0.05
"""Seconds after which CPU time is asked for again. A rule seems to take so much longer at most than it did."""
TIMEOUT = "timeout"
STATE_VERSION = 1
STANDS: Clock = ManualClock(datetime(2000, 1, 1, tzinfo=UTC))
"""For whom it does not matter how long a rule takes."""


class RuleFailed(NamedTuple):
    """A rule raised or took too long (`TIMEOUT`: what it said still holds). It is tried again with the next finding.

    The error's class only: its words may quote a post.
    """

    rule: str
    error: str


class _Kept(NamedTuple):
    """A record that is still needed: until the watermark is `until` past it."""

    offset: int
    until: datetime
    post_key: str | None
    gap: str | None
    first: str = ""
    """The key of the post before any edit."""


Wanted = tuple[str, tuple[str, ...], Entry]
"""A rule, the keys under which a finding counts there, and what the rule keeps of it."""


class Engine:
    """`opened_at`: when the incident began; unset, it began with the first live finding that is judged.

    `partitions`: how many partitions of `mentions` must have ticked before a source counts as heard.
    `clock` measures judgements; `patience`: how long one may take. `early`: by what alarms are told early, if not by
    `conditions.early` itself.
    """

    def __init__(
        self,
        specs: Iterable[RuleSpec],
        incident: IncidentInfo | None = None,
        *,
        mode: Mode = Mode.CRISIS,
        allowed_lateness: timedelta = LATENESS,
        opened_at: datetime | None = None,
        partitions: int = 1,
        on_failure: Callable[[RuleFailed], None] = lambda failed: None,
        clock: Clock = STANDS,
        patience: timedelta = PATIENCE,
        early: type[Early[Any]] | None = None,
    ) -> None:
        self.specs: Mapping[str, RuleSpec] = {spec.name: spec for spec in specs if mode in spec.modes}
        self.incident = incident or IncidentInfo()
        self.duplicates = 0
        self._on_failure = on_failure
        self._monotonic = clock.monotonic
        self._thread_time = clock.thread_time
        self._worked, self._worked_at = 0.0, float("-inf")
        self._patience = patience.total_seconds()
        self._watermark = Watermark(allowed_lateness, partitions)
        self._context = RuleContext(self.incident, start=opened_at, gaps=self._watermark.gaps, early=early)
        self._index = Index(self.specs)
        self._judges: dict[str, Judge] = {}
        self._eager: dict[str, EagerJudge] = {}
        self._settling: dict[str, EagerJudge] = {}
        self._left: dict[str, Alert] = {}
        self._values: dict[str, Callable[[Finding], Any]] = {}
        self._aggregations: dict[str, Aggregation] = {}
        for name, spec in self.specs.items():
            its: RuleType = load(TYPES[spec.type])
            judge = self._judges[name] = its.judge(spec, self._context)
            if isinstance(judge, EagerJudge) and judge.settles:
                self._settling[name] = judge
                if judge.eager:
                    self._eager[name] = judge
            reads = None if its.value is None else its.value(spec)
            if reads is not None:
                self._values[name] = reads
            if spec.aggregation is not None:
                aggregation = Aggregation(spec, spec.aggregation, self._context, resolves=its.resolves)
                self._aggregations[name] = aggregation
        self._rank = {name: rank for rank, name in enumerate(self._judges)}
        self._span = max((spec.span for spec in self.specs.values() if spec.span), default=timedelta())
        # As long as windows are kept, and then what the oldest posts in them may be edits of.
        self._keep = max((KEEP + 1) * self._span, MIN_KEPT)
        self._same = self._keep - KEEP * self._span
        self._waiting: list[tuple[datetime, str, int, str, list[Wanted]]] = []
        self._seen: set[str] = set()
        self._versions: dict[str, list[tuple[datetime, list[Wanted]]]] = {}
        self._kept: deque[_Kept] = deque()
        self._base = Watermark(allowed_lateness, partitions)
        self._log: deque[tuple[int, Tick | Gap | Answered]] = deque()
        self._decided = 0
        self._from = 0
        self._mute_until = 0
        self._next = 0
        self._spent: dict[str, float] = dict.fromkeys(self._judges, 0.0)

    @property
    def watermark(self) -> datetime | None:
        """Everything up to here was heard and judged."""
        return self._watermark.value

    @property
    def unheard(self) -> bool:
        """No source is heard that could move the watermark."""
        return self._watermark.unheard

    @property
    def muted(self) -> bool:
        return self._context.muted

    def take_spent(self) -> dict[str, float]:
        """Seconds that each rule took since this was last asked."""
        spent, self._spent = self._spent, dict.fromkeys(self._judges, 0.0)
        return spent

    def feed(self, record: Finding | Tick | Gap | Answered, offset: int) -> list[Verdict]:
        """Any record of `findings`."""
        if isinstance(record, Finding):
            return self.finding(record, offset)
        if isinstance(record, Answered):
            self.answer(record, offset)
            return []
        return self.tick(record, offset) if isinstance(record, Tick) else self.gap(record, offset)

    def finding(self, finding: Finding, offset: int) -> list[Verdict]:
        if not self._takes(offset) or finding.synthetic != self.incident.synthetic:
            return []
        if finding.author_class is AuthorClass.OWN:
            return []  # what the hospital says itself is no news to it
        entry, mark = entry_of(finding), self._watermark.value
        wanted = self._wanted(finding, entry)
        if not wanted:
            return []
        post_key = finding.post_key
        if post_key in self._seen:
            self.duplicates += 1
            return []
        first = first_key(finding)
        if mark is not None and entry.at <= mark - self._keep:
            first = ""  # so old that nothing is kept of it
        else:
            self._seen.add(post_key)
            self._kept.append(_Kept(offset, entry.at, post_key, None, first))
        late = mark is not None and entry.at <= mark
        now, later = (wanted, []) if late else self._parted(wanted)
        if later:
            heappush(self._waiting, (entry.at, post_key, offset, first, later))
        verdicts: list[Verdict] = []
        for name, keys, its in self._news(first, entry.at, now) if now else ():
            judge = self._judges[name]
            self._ask(name, judge.late if late else judge.judge, its, keys, verdicts)
        if later and mark is not None and not finding.edits:
            for name, keys, its in later:
                if (eager := self._eager.get(name)) is not None:
                    self._ask(name, eager.arrived, its, keys, verdicts)
        return self._reported(verdicts)

    def tick(self, tick: Tick, offset: int) -> list[Verdict]:
        if not self._takes(offset):
            return []
        self._log.append((offset, tick))
        self._watermark.tick(tick)
        return self._advance()

    def gap(self, gap: Gap, offset: int) -> list[Verdict]:
        if not self._takes(offset):
            return []
        self._log.append((offset, gap))
        self._watermark.gap(gap)
        if gap.end is not None:
            self._kept.append(_Kept(offset, gap.end + self._span, None, gap.id))
        return self._advance()

    def answer(self, answered: Answered, offset: int) -> None:
        """What people answered counts from now on: for what is judged later, and is later by its own time."""
        if answered.incident == self.incident.id and self._takes(offset):
            self._log.append((offset, answered))
            self._context.answers.take(answered)

    def knows(self, answers: Iterable[Answered], upto: int) -> None:
        """What was answered before this engine began, as far as it stands before the offset `upto` of `decisions`."""
        self._decided = max(self._decided, upto)
        for each in answers:
            if each.decision < upto:
                self._context.answers.take(each)

    def needed(self) -> int | None:
        """The lowest offset that a window, a waiting finding or a gap still needs; None: nothing is needed."""
        self._let_go()
        return self._kept[0].offset if self._kept else None

    def watermarks(self) -> dict[str, Any]:
        """How the ticks stood before the record at `needed()`: a small JSON object for the offset's metadata."""
        needed = self.needed()
        upto = self._next if needed is None else needed
        while self._log and self._log[0][0] < upto:
            _, record = self._log.popleft()
            if isinstance(record, Tick):
                self._base.tick(record)
            elif isinstance(record, Answered):
                self._decided = record.decision + 1
            else:
                self._base.gap(record)
                self._base.drop(record.id)
        start, heard = microseconds(self._context.start), microseconds(self._context.heard)
        decided = {"a": self._decided} if self._decided else {}
        return {"v": STATE_VERSION, "n": upto, "s": start, "h": heard, **decided, **self._base.dump()}

    def restore_watermarks(self, state: Mapping[str, Any], committed: int, answers: Iterable[Answered] = ()) -> None:
        """Go on from what `watermarks` gave: mute until the record at `committed`. Raises Corrupt on anything else.

        `answers`: all of this incident that `decisions` holds; those that come again are left to do so.
        """
        try:
            if state["v"] != STATE_VERSION:
                raise ValueError
            self._from, self._next = int(state["n"]), int(state["n"])
            if state["s"] is not None:
                self._context.start = instant(state["s"])
            if state.get("h") is not None:
                self._context.heard = instant(state["h"])
            self.knows(answers, int(state.get("a", 0)))
            for watermark in (self._watermark, self._base):
                watermark.load(state)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise Corrupt("the rules' state in a commit of `findings` is not what this program writes") from None
        self._context.gaps = self._watermark.gaps
        self._context.watermark = self._watermark.value
        self._mute_until = committed
        self._context.muted = True

    def remember(self, alert: Alert) -> None:
        """A published alert of this incident, before the replay begins. Those of rules that are gone are left aside."""
        judge = self._judges.get(alert.rule)
        if alert.settled is False and alert.rule not in self._settling:
            self._left[alert.id] = alert
        elif alert.id in self._left and (alert.settled or alert.event is Event.RESOLVED):
            del self._left[alert.id]
        if judge is not None and (alert.settled is not False or alert.rule in self._settling):
            aggregation = self._aggregations.get(alert.rule)
            judge.remember(alert if aggregation is None else aggregation.remember(alert))

    def count_on(self, alert: Alert) -> None:
        """A published alert of a time before this engine began anew, with nothing of it kept: only that alarms are
        counted on from it."""
        judge = self._settling.get(alert.rule)
        if judge is not None:
            judge.count_on(alert)

    def take_left(self) -> list[Alert]:
        """What was told early by rules that are gone, or wait for late posts now, and was settled by nobody: it is
        resolved when the watermark has passed it."""
        mark = self._watermark.value
        if not self._left or self._context.muted or mark is None:
            return []
        passed = [alert for alert in self._left.values() if alert.at <= mark]
        for alert in passed:
            del self._left[alert.id]
        its = {"event": Event.RESOLVED, "reason": Reason.WITHDRAWN.value, "settled": None, "nth": None}
        return [alert.model_copy(update=its) for alert in passed]

    def _takes(self, offset: int) -> bool:
        now = self._monotonic()
        if now - self._worked_at > MEASURED:
            self._worked, self._worked_at = self._thread_time(), now
        if offset < self._from:
            return False
        if self._context.muted and offset >= self._mute_until:
            self._context.muted = False
            for judge in self._judges.values():
                judge.unmute()
        self._next = offset + 1
        return True

    def _reported(self, verdicts: list[Verdict]) -> list[Verdict]:
        """What is published of what the judges said."""
        if not self._aggregations:
            return verdicts
        gather = self._aggregations
        return [gather[v.rule].report(v) if v.rule in gather else v for v in verdicts]

    def _wanted(self, finding: Finding, entry: Entry) -> list[Wanted]:
        wanted: list[Wanted] = []
        began = self._monotonic()
        for name in self._index.rules(finding):
            try:
                keys = self._judges[name].keys(finding)
                if keys:
                    value = self._values.get(name)
                    wanted.append((name, keys, entry if value is None else entry._replace(value=value(finding))))
            except Exception as error:
                self._on_failure(RuleFailed(name, type(error).__name__))
            began = self._measured(name, began)
        return wanted

    def _parted(self, wanted: list[Wanted]) -> tuple[list[Wanted], list[Wanted]]:
        """The rules that judge at once, and those that wait for the watermark."""
        now = [each for each in wanted if self._judges[each[0]].at_once]
        return now, [each for each in wanted if not self._judges[each[0]].at_once] if now else wanted

    def _news(self, first: str, at: datetime, wanted: list[Wanted]) -> list[Wanted]:
        """Those rules and keys that no other version of the post has counted for."""
        if not first:
            return wanted
        versions = self._versions.get(first)
        if versions is None:
            self._versions[first] = [(at, wanted)]
            return wanted
        near = [judged for its, judged in versions if abs(at - its) < self._same]
        versions.append((at, wanted))
        known = {(name, key) for judged in near for name, keys, _ in judged for key in keys}
        fresh = ((name, tuple(key for key in keys if (name, key) not in known), its) for name, keys, its in wanted)
        return [each for each in fresh if each[1]]

    def _ask(
        self,
        name: str,
        how: Callable[[Entry, str], Iterable[Verdict]],
        entry: Entry,
        keys: tuple[str, ...],
        out: list[Verdict],
    ) -> None:
        began = self._monotonic()
        for key in keys:
            try:
                out.extend(how(entry, key))
            except Exception as error:
                self._on_failure(RuleFailed(name, type(error).__name__))
        self._measured(name, began)

    def _measured(self, name: str, began: float) -> float:
        """Now; and a failure where the rule took too long since `began`."""
        now = self._monotonic()
        took = now - began
        self._spent[name] += took
        # A machine that is busy with other things is no fault of the rule; but asking for CPU time each time is dear.
        if took > self._patience and self._thread_time() - self._worked > self._patience:
            self._on_failure(RuleFailed(name, TIMEOUT))
        return now

    def _advance(self) -> list[Verdict]:
        mark = self._watermark.value
        if mark is None or mark == self._context.watermark:
            return []
        self._context.watermark = mark
        if self._context.heard is None:
            live = (at for at, *_, waits in self._waiting if not waits[0][2].lookback)
            self._context.heard = min((mark, *live))
        verdicts: list[Verdict] = []
        while self._waiting and self._waiting[0][0] <= mark:
            at, _, _, first, waits = heappop(self._waiting)
            if self._context.start is None and not waits[0][2].lookback:
                self._context.start = at
            for name, keys, its in self._news(first, at, waits):
                self._ask(name, self._judges[name].judge, its, keys, verdicts)
        began = self._monotonic()
        for name, judge in self._judges.items():
            try:
                verdicts.extend(judge.advance())
            except Exception as error:
                self._on_failure(RuleFailed(name, type(error).__name__))
            began = self._measured(name, began)
        self._let_go()
        # However far a tick reaches, things are reported in the order in which they happened.
        reported = self._reported(sorted(verdicts, key=lambda v: (v.at, self._rank[v.rule], v.key)))
        for aggregation in self._aggregations.values():
            aggregation.advance()
        return reported

    def _let_go(self) -> None:
        mark = self._watermark.value
        if mark is None:
            return
        edge = mark - self._keep
        while self._kept and self._kept[0].until <= edge:
            kept = self._kept.popleft()
            if kept.post_key is not None:
                self._seen.discard(kept.post_key)
                left = [version for version in self._versions.get(kept.first, ()) if version[0] > edge]
                if left:
                    self._versions[kept.first] = left
                else:
                    self._versions.pop(kept.first, None)
            if kept.gap is not None:
                self._watermark.drop(kept.gap)
