"""One incident's rules at work: findings, ticks and gaps in, in the order of the bus; verdicts out.

Pure and clock-free. Findings wait until the watermark passes them and are judged in the order of (time, post key), so
that a shuffle within the allowed lateness changes nothing; `any` is judged on arrival. A finding behind the
watermark re-judges the windows it falls in.

**Restart.** A worker commits `needed()` and `watermarks()` with its offset. Its successor makes a new engine, calls
`restore_watermarks` and `remember` for every alert of the incident that was published (fired, resolved and
suppressed, in order), reads on from `needed()`, and from the committed offset on gives the very verdicts that the
undisturbed engine would have given. Until then it is mute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Any, NamedTuple

from alerts.rules import TYPES
from alerts.rules.judge import IncidentInfo, Judge, Scene
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Verdict
from alerts.rules.watermark import Watermark, instant, microseconds
from alerts.rules.window import KEEP, Entry, entry_of
from listener.errors import Corrupt
from listener.mode import Mode
from listener.plugins import load
from listener.records import Alert, Finding, Gap, Tick

LATENESS = timedelta(seconds=10)
LEAST_KEPT = timedelta(minutes=10)
"""A finding that comes twice is known for at least this long."""
STATE_VERSION = 1


class RuleFailed(NamedTuple):
    """A rule raised. It is tried again with the next finding. The error's class only: its words may quote a post."""

    rule: str
    error: str


class _Kept(NamedTuple):
    """A record that is still needed: until the watermark is `until` past it."""

    offset: int
    until: datetime
    post_key: str | None
    gap: str | None


class Engine:
    """`opened_at`: when the incident began; unset, it began with the first live finding that is judged.

    `partitions`: how many partitions of `mentions` must have ticked before a source counts as heard.
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
    ) -> None:
        self.specs: Mapping[str, RuleSpec] = {spec.name: spec for spec in specs if mode in spec.modes}
        self.incident = incident or IncidentInfo()
        self.duplicates = 0
        self._on_failure = on_failure
        self._watermark = Watermark(allowed_lateness, partitions)
        self._scene = Scene(self.incident, start=opened_at, gaps=self._watermark.gaps)
        self._judges: dict[str, Judge] = {
            name: load(TYPES[spec.type]).judge(spec, self._scene) for name, spec in self.specs.items()
        }
        self._rank = {name: rank for rank, name in enumerate(self._judges)}
        windows = [spec.window for spec in self.specs.values() if spec.window]
        self._window = max(windows, default=timedelta())
        self._keep = max(KEEP * self._window, LEAST_KEPT)
        self._waiting: list[tuple[datetime, str, int, Entry, list[tuple[str, tuple[str, ...]]]]] = []
        self._seen: set[str] = set()
        self._kept: deque[_Kept] = deque()
        self._base = Watermark(allowed_lateness, partitions)
        self._log: deque[tuple[int, Tick | Gap]] = deque()
        self._from = 0
        self._mute_until = 0
        self._next = 0

    @property
    def watermark(self) -> datetime | None:
        """Everything up to here was heard and judged."""
        return self._watermark.value

    @property
    def muted(self) -> bool:
        return self._scene.muted

    def feed(self, record: Finding | Tick | Gap, offset: int) -> list[Verdict]:
        """Any record of `findings`."""
        if isinstance(record, Finding):
            return self.finding(record, offset)
        return self.tick(record, offset) if isinstance(record, Tick) else self.gap(record, offset)

    def finding(self, finding: Finding, offset: int) -> list[Verdict]:
        if not self._takes(offset) or finding.synthetic != self.incident.synthetic:
            return []
        wanted = self._wanted(finding)
        if not wanted:
            return []
        post_key = finding.post_key
        if post_key in self._seen:
            self.duplicates += 1
            return []
        entry, mark = entry_of(finding), self._watermark.value
        if mark is None or entry.at > mark - self._keep:
            self._seen.add(post_key)
            self._kept.append(_Kept(offset, entry.at, post_key, None))
        late = mark is not None and entry.at <= mark
        verdicts: list[Verdict] = []
        for name, keys in wanted:
            judge = self._judges[name]
            if late or judge.at_once:
                self._ask(name, judge.late if late else judge.judge, entry, keys, verdicts)
        waits = [] if late else [(name, keys) for name, keys in wanted if not self._judges[name].at_once]
        if waits:
            heappush(self._waiting, (entry.at, post_key, offset, entry, waits))
        return verdicts

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
            self._kept.append(_Kept(offset, gap.end + self._window, None, gap.id))
        return self._advance()

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
            else:
                self._base.gap(record)
                self._base.forget(record.id)
        return {"v": STATE_VERSION, "n": upto, "s": microseconds(self._scene.start), **self._base.dump()}

    def restore_watermarks(self, state: Mapping[str, Any], committed: int) -> None:
        """Go on from what `watermarks` gave: mute until the record at `committed`. Raises Corrupt on anything else."""
        try:
            if state["v"] != STATE_VERSION:
                raise ValueError
            self._from, self._next = int(state["n"]), int(state["n"])
            if state["s"] is not None:
                self._scene.start = instant(state["s"])
            for watermark in (self._watermark, self._base):
                watermark.load(state)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            raise Corrupt("the rules' state in a commit of `findings` is not what this program writes") from None
        self._scene.gaps = self._watermark.gaps
        self._scene.watermark = self._watermark.value
        self._mute_until = committed
        self._scene.muted = True

    def remember(self, alert: Alert) -> None:
        """A published alert of this incident, before the replay begins. Those of rules that are gone are left aside."""
        judge = self._judges.get(alert.rule)
        if judge is not None:
            judge.remember(alert)

    def _takes(self, offset: int) -> bool:
        if offset < self._from:
            return False
        if self._scene.muted and offset >= self._mute_until:
            self._scene.muted = False
            for judge in self._judges.values():
                judge.unmute()
        self._next = offset + 1
        return True

    def _wanted(self, finding: Finding) -> list[tuple[str, tuple[str, ...]]]:
        wanted = []
        for name, judge in self._judges.items():
            try:
                keys = judge.keys(finding)
            except Exception as error:
                self._on_failure(RuleFailed(name, type(error).__name__))
            else:
                if keys:
                    wanted.append((name, keys))
        return wanted

    def _ask(
        self,
        name: str,
        how: Callable[[Entry, str], Iterable[Verdict]],
        entry: Entry,
        keys: tuple[str, ...],
        out: list[Verdict],
    ) -> None:
        """A rule that raises keeps its neighbours running, and is asked again next time."""
        try:
            for key in keys:
                out.extend(how(entry, key))
        except Exception as error:
            self._on_failure(RuleFailed(name, type(error).__name__))

    def _advance(self) -> list[Verdict]:
        mark = self._watermark.value
        if mark is None or mark == self._scene.watermark:
            return []
        self._scene.watermark = mark
        verdicts: list[Verdict] = []
        while self._waiting and self._waiting[0][0] <= mark:
            _, _, _, entry, waits = heappop(self._waiting)
            if self._scene.start is None and not entry.lookback:
                self._scene.start = entry.at
            for name, keys in waits:
                self._ask(name, self._judges[name].judge, entry, keys, verdicts)
        for name, judge in self._judges.items():
            try:
                verdicts.extend(judge.advance())
            except Exception as error:
                self._on_failure(RuleFailed(name, type(error).__name__))
        self._let_go()
        # However far a tick reaches, things are told in the order in which they happened.
        return sorted(verdicts, key=lambda v: (v.at, self._rank[v.rule], v.key))

    def _let_go(self) -> None:
        mark = self._watermark.value
        if mark is None:
            return
        edge = mark - self._keep
        while self._kept and self._kept[0].until <= edge:
            kept = self._kept.popleft()
            if kept.post_key is not None:
                self._seen.discard(kept.post_key)
            if kept.gap is not None:
                self._watermark.forget(kept.gap)
