"""Is this loud for this hour? A burst detector for counts of posts: online, from the past alone, without content.

Each count goes through four small steps, none of which looks ahead:

1. *Transform.* A variance-stabilising transform for counts that scatter more than chance would have it (negative
   binomial): the square root for small counts, the logarithm for large ones.
2. *Expect.* Level plus daily rhythm plus weekly rhythm, three exponential averages which learn from the same surprise.
   A surprise teaches no more than `clip` spreads, so a burst hardly moves what is expected. Surprise / spread = z.
3. *Compare.* For each of three windows over z, from five minutes to an hour: how loud have the loudest `tail` share of
   moments been in recent weeks? Their mean excess is the scale of an exponential tail (peaks over threshold), and the
   tail tells how many days lie between moments as loud as this one. So it means the same for a track of three posts a
   day and for one of thousands a minute, and a track that is noisy by nature earns fewer alarms.
4. *Agree.* The score is the mean over the windows, as logarithms: neither a jump that leaves the hour as it was nor an
   hour a little above the usual is a burst by itself. Where one window says e^3 times rarer than asked, it needs no
   other, so the first minutes are enough. Nothing is called rarer than chance (Poisson) would have it.

One burst is one alarm: what follows is the same burst until it was quiet for `quiet`. A mild score may come before it.

After: Anscombe 1948 and Beall 1942 (transform), Siffer et al. 2017 (streaming peaks over threshold). Chosen by many
made-up worlds: `tests/bench/bursts`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import islice

ALARM = 0.5
"""A score from which on people are alerted."""

_DAY = timedelta(days=1)
_MOMENT = timedelta(minutes=5)
"""Intervals shorter than this do not stand alone: what is loud now is loud in the next minute, too."""
_WINDOWS = (_MOMENT, timedelta(minutes=15), timedelta(hours=1))
_HOURS = 24
_WEEK = 7 * _HOURS
_TAIL_START = 2.0
"""No loudness below so many spreads is called rare, however still the track."""
_MAX_MOVE = 0.5
"""Spreads by which one loud moment may raise where the tail begins, at first; later ones raise it less."""
_MEAN_HALF_LIFE = timedelta(hours=6)
_CHANCE = 3.0
"""What chance alone would do must be e^3 times rarer than what is asked of the tail: nothing clusters by chance."""
_ALONE = 3.0
"""One window must say e^3 times rarer than is asked, to be believed alone."""
_LEAST_SPREAD = 0.3
_BAND = 2.0
"""Spreads on each side of what is expected, within which a count is nothing out of the ordinary."""


@dataclass(frozen=True)
class Tuning:
    """All that can be tuned. Half-lives say how fast old shapes are forgotten.

    In the worlds of `tests/bench/bursts` half or twice of any of them costs two points at most, but for `once_in`."""

    dispersion: float = 0.05
    """How much more than by chance counts scatter: variance = mean + dispersion · mean²."""
    level: timedelta = timedelta(days=2)
    """Half-life of the level."""
    memory: timedelta = timedelta(days=28)
    """Half-life of the daily and weekly rhythm, of the spread, and of what counts as loud."""
    clip: float = 4.0
    """The most spreads that one surprise may teach."""
    tail: float = 0.01
    """The share of moments that is the tail."""
    steepest: float = 0.75
    """The least scale of the tail, in spreads: a track that was still for weeks must not wake anybody for a whisper."""
    once_in: timedelta = timedelta(hours=30)
    """Score 0.5, an alarm: as loud as once in this time by the tail. Loud moments cluster, so bursts are
    rarer: less than one a week of a real series."""
    softness: float = 2.5
    """Score = logistic((ln(days between) − ln(once_in)) / softness), in tenths."""
    quiet: timedelta = timedelta(hours=3)
    """So long without a loud moment, and the burst is over; the next one is another."""
    least: int = 5
    """Fewer posts within an hour are no crowd."""
    warm_up: timedelta = timedelta(hours=1)
    """So much must have been heard before anything scores."""


@dataclass(frozen=True, slots=True)
class BurstReading:
    """What the detector says of one interval.

    `score` in [0, 1]; 0.5 and more is an alarm, and within one burst only its start scores. `count` and `expected` are
    posts in the window that is rarest, of length `window`; `factor` is their ratio. `since`: start of the burst.
    """

    score: float
    alarm: bool
    count: float
    expected: float
    window: timedelta
    since: datetime | None

    @property
    def factor(self) -> float:
        """How many times louder than expected; one post at least is expected, to divide by."""
        return self.count / max(self.expected, 1.0)


@dataclass(slots=True)
class _Heard:
    """`z` is no lower than the clip: what is still does not unsay what is loud."""

    z: float
    count: float
    expected: float


@dataclass(slots=True)
class _Tail:
    """How loud the loudest moments of one window have been: where the tail begins, and its mean excess above that."""

    threshold: float = _TAIL_START
    excess: float = 1.0
    exceeded: float = 0.0
    """Moments, not intervals: one loud hour is the same news at any interval."""


class Burst:
    """The state of one series of counts. `zone`: whose clock the rhythm follows; None: the clock of the instants."""

    def __init__(self, interval: timedelta, *, zone: tzinfo | None = None, tuning: Tuning | None = None) -> None:
        t = self.tuning = tuning or Tuning()
        self.interval = interval
        self._zone = zone
        self._per_day = _DAY / interval
        self._moments = min(self._per_day, _DAY / _MOMENT)
        self._warm = t.warm_up / interval
        self._scale = 2 / math.sqrt(t.dispersion)
        self._windows = sorted({max(1, round(span / interval)) for span in (interval, *_WINDOWS)})
        self._tails = [_Tail() for _ in self._windows]
        self._gains = _Gains.of(t, interval)
        self._tail_rarity = math.log(t.tail * self._moments)
        self._recent: deque[_Heard | None] = deque(maxlen=self._windows[-1])
        self._known = 0.0
        """Intervals heard; long silence wears it off."""
        self._level = 0.0
        self._day = [0.0] * _HOURS
        self._week = [0.0] * _WEEK
        self._mean = 0.0
        self._spread = 1.0
        self._last: datetime | None = None
        self._reported = 0.0
        self._loud: datetime | None = None
        self._since: datetime | None = None

    @property
    def warm(self) -> bool:
        """It has heard enough to say anything."""
        return self._known >= self._warm

    def step(self, at: datetime, count: float | None, *, learn: bool = True) -> BurstReading:
        """The count of the interval that starts at `at`; None: not known, which is not zero.

        Instants must rise; the ones left out are unknown, too. With `learn` unset, as while an incident is open, the
        count is judged and teaches nothing. Raises ValueError if `at` is not after the last one.
        """
        self._pass_time(at)
        if count is None:
            self._recent.append(None)
            return BurstReading(0.0, False, 0.0, 0.0, self.interval, self._since)
        wall = at.astimezone(self._zone) if self._zone else at
        y = self._scale * math.asinh(math.sqrt(self.tuning.dispersion * (count + 0.375)))
        if not self._known:
            self._level = y
        hour = wall.hour
        expected = self._expect(wall, hour)
        z = (y - expected) / self._spread
        self._recent.append(_Heard(max(-self.tuning.clip, z), count, self._count(expected)))
        loudness = self._loudness()
        rarities = [self._rarity(*each) for each in zip(self._tails, loudness, strict=False)]
        rarest = max(rarities)
        rarity = max(sum(rarities) / len(rarities), rarest - _ALONE)
        reading = self._judge(at, rarity, self._windows[rarities.index(rarest)])
        if learn:
            self._learn_tails(loudness)
            self._learn(wall, hour, z, count)
        return reading

    def usual(self, at: datetime) -> tuple[float, float] | None:
        """The least and the most posts that would be nothing out of the ordinary in the interval that starts at `at`:
        what is expected there, `_BAND` spreads less and more. None while too little was heard to say."""
        if not self.warm:
            return None
        wall = at.astimezone(self._zone) if self._zone else at
        expected, width = self._expect(wall, wall.hour), _BAND * self._spread
        return self._count(expected - width), self._count(expected + width)

    def last_hour(self) -> tuple[float, ...]:
        """The counts of the longest window, oldest first; what is not known counts as none."""
        return tuple(0.0 if heard is None else heard.count for heard in self._recent)

    def _pass_time(self, at: datetime) -> None:
        if self._last is not None:
            missed = (at - self._last) / self.interval
            if missed <= 0:
                raise ValueError("instants must rise")
            for _ in range(min(round(missed) - 1, self._windows[-1])):
                self._recent.append(None)
            if missed > self._per_day:
                # After days unheard what was learned is worth less: learn as fast as one who knows that little.
                self._known *= 0.5 ** ((at - self._last) / self.tuning.memory)
        self._last = at

    def _expect(self, wall: datetime, hour: int) -> float:
        off = wall.minute / 60 - 0.5
        near = (hour + (1 if off > 0 else -1)) % _HOURS
        day = self._day[hour] * (1 - abs(off)) + self._day[near] * abs(off)
        return self._level + day + self._week[wall.weekday() * _HOURS + hour]

    def _count(self, y: float) -> float:
        return max(0.0, math.sinh(max(y, 0.0) / self._scale) ** 2 / self.tuning.dispersion - 0.375)

    def _loudness(self) -> list[float]:
        """Of each window, mean z · √n, which has one scale if z is independent. What is not known is left out; of the
        windows that are longer than the past, all but the shortest."""
        found: list[float] = []
        total, known, first = 0.0, 0, 0
        newest = [None if heard is None else heard.z for heard in reversed(self._recent)]
        for n in self._windows:
            if found and n > len(newest):
                break
            heard = [z for z in newest[first:n] if z is not None]
            total, known, first = sum(heard, total), known + len(heard), n
            found.append(total / math.sqrt(known))
        return found

    def _rarity(self, tail: _Tail, loudness: float) -> float:
        """ln(days between moments as loud as this one in this window), by the tail of what was heard."""
        return (loudness - tail.threshold) / max(tail.excess, self.tuning.steepest) - self._tail_rarity

    def _score(self, rarity: float) -> float:
        t = self.tuning
        return math.floor(10 * _logistic((rarity - math.log(t.once_in / _DAY)) / t.softness)) / 10

    def _by_chance(self) -> float:
        """ln(days between) if posts came independently (Chernoff's bound on Poisson): nothing is rarer than that.

        It binds where posts are so few that a tail learned from them says little.
        """
        best = -math.inf
        for window in self._windows:
            heard = self._last_heard(window)
            count = sum(h.count for h in heard)
            mean = max(sum(h.expected for h in heard), self._mean * len(heard), 1e-3)
            if count > mean:
                best = max(best, count * math.log(count / mean) - count + mean)
        return best - math.log(self._per_day) - _CHANCE

    def _last_heard(self, window: int) -> list[_Heard]:
        return [heard for heard in islice(reversed(self._recent), window) if heard is not None]

    def _judge(self, at: datetime, rarity: float, window: int) -> BurstReading:
        t = self.tuning
        score = self._score(rarity)
        if score:
            crowd = sum(h.count for h in self._last_heard(self._windows[-1])) >= t.least
            score = min(score, self._score(self._by_chance())) if self.warm and crowd else 0.0
        if self._loud is not None and at - self._loud > t.quiet:
            self._reported, self._loud, self._since = 0.0, None, None
        if score and (self._loud is None or score >= ALARM > self._reported):
            self._reported, self._loud = score, at
            self._since = at - (window - 1) * self.interval
        else:
            if score >= ALARM:
                self._loud = at
            score = 0.0
        heard = self._last_heard(window)
        return BurstReading(
            score,
            score >= ALARM,
            sum(h.count for h in heard),
            sum(h.expected for h in heard),
            window * self.interval,
            self._since,
        )

    def _learn_tails(self, loudness: list[float]) -> None:
        share, gains, t = self._moments / self._per_day, self._gains, self.tuning
        move = min(max(100 * gains.memory, 60 / (self._known + 10)), _MAX_MOVE * share)
        for tail, loud in zip(self._tails, loudness, strict=False):
            over = loud - tail.threshold
            if over > 0:
                tail.exceeded += share
                pace = max(gains.tail, share / (tail.exceeded + 20))
                tail.excess += pace * (min(over, 3 * tail.excess) - tail.excess)
            tail.threshold = max(_TAIL_START, tail.threshold + move * ((over > 0) - t.tail))

    def _learn(self, wall: datetime, hour: int, z: float, count: float) -> None:
        t, gains = self.tuning, self._gains
        self._known += 1
        days = self._known / self._per_day
        surprise = max(-t.clip, min(t.clip, z)) * self._spread
        self._level += max(gains.level, 1 / self._known) * surprise
        self._mean += max(gains.mean, 1 / self._known) * (count - self._mean)
        visit = max(1.0, self._per_day / _HOURS)
        self._day[hour] += max(gains.day, 2 / (days + 2)) / visit * surprise
        week = max(gains.week, 1 / (days / 7 + 3)) / visit
        self._week[wall.weekday() * _HOURS + hour] += week * surprise
        size = min(abs(z), t.clip) * self._spread * 1.2533
        self._spread += max(gains.memory, 1 / (self._known + 10)) * (size - self._spread)
        self._spread = max(self._spread, _LEAST_SPREAD)


@dataclass(frozen=True, slots=True)
class _Gains:
    """Weights of the newest in each exponential average, once it knows enough."""

    level: float
    mean: float
    day: float
    week: float
    memory: float
    tail: float

    @classmethod
    def of(cls, tuning: Tuning, interval: timedelta) -> _Gains:
        return cls(
            level=_gain(tuning.level / interval),
            mean=_gain(_MEAN_HALF_LIFE / interval),
            day=_gain(tuning.memory / _DAY),
            week=_gain(tuning.memory / (7 * _DAY)),
            memory=_gain(tuning.memory / interval),
            tail=_gain(tuning.memory / interval * tuning.tail),
        )


def _gain(half_life: float) -> float:
    """Weight of the newest in an exponential average whose memory halves in so many steps."""
    return 1.0 - math.exp2(-1.0 / half_life)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
