"""Is this loud for this hour? A burst detector for counts of posts: online, from the past alone, without content.

Each count goes through four small steps, none of which looks ahead:

1. *Transform.* A variance-stabilising transform for counts that scatter more than chance would have it (negative
   binomial): the square root for small counts, the logarithm for large ones.
2. *Expect.* Level plus daily rhythm plus weekly rhythm, three exponential averages which learn from the same surprise.
   A surprise teaches no more than `clip` spreads, so a burst hardly moves what is expected. Surprise / spread = z.
3. *Gather.* The loudness of a moment is the loudest of a short and a long window over z: a jump within one interval
   counts as much as a rise that lasts an hour.
4. *Compare.* How loud have the loudest `tail` share of moments been in recent weeks? Their mean excess is the scale of
   an exponential tail (peaks over threshold), and the tail tells how many days lie between moments as loud as this
   one. That is the score, so it means the same for a track of three posts a day and for one of thousands a minute, and
   a track that is noisy by nature earns fewer alarms. Nothing is called rarer than chance (Poisson) would have it.

One burst is one alarm: what follows is the same burst until it was quiet for `quiet`. A mild score may come before it.

After: Anscombe 1948 and Beall 1942 (transform), Siffer et al. 2017 (streaming peaks over threshold).
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
_HOURS = 24
_WEEK = 7 * _HOURS
_TAIL_START = 2.0
"""No loudness below so many spreads is called rare, however still the track."""
_MAX_MOVE = 0.5
"""Spreads by which one loud moment may raise where the tail begins, at first; later ones raise it less."""
_MEAN_HALF_LIFE = timedelta(hours=6)
_CHANCE = 3.0
"""What chance alone would do must be e^3 times rarer than what is asked of the tail: nothing clusters by chance."""
_LEAST_SPREAD = 0.3
_BAND = 2.0
"""Spreads on each side of what is expected, within which a count is nothing out of the ordinary."""


@dataclass(frozen=True)
class Tuning:
    """All that can be tuned. Half-lives say how fast old shapes are forgotten."""

    dispersion: float = 0.05
    """How much more than by chance counts scatter: variance = mean + dispersion · mean²."""
    level: timedelta = timedelta(days=2)
    """Half-life of the level."""
    rhythm: timedelta = timedelta(days=14)
    """Half-life of the daily rhythm; the weekly one has twice this."""
    spread: timedelta = timedelta(days=14)
    """Half-life of the spread."""
    memory: timedelta = timedelta(days=28)
    """Half-life of what counts as loud."""
    clip: float = 2.0
    """The most spreads that one surprise may teach."""
    long: timedelta = timedelta(hours=1)
    """The long window; the short ones are one interval and five minutes."""
    weight: float = 0.4
    """A window of n intervals weighs mean · n^weight: 0.5 if z were independent, 0 if it came all at once."""
    tail: float = 0.01
    """The share of moments that is the tail."""
    steepest: float = 0.75
    """The least scale of the tail, in spreads: a track that was still for weeks must not wake anybody for a whisper."""
    once_in: timedelta = timedelta(days=2)
    """Score 0.5, an alarm: as loud as once in this time by the tail. Loud moments cluster, so bursts are
    rarer: less than one a week of a real series."""
    softness: float = 2.5
    """Score = logistic((ln(days between) − ln(once_in)) / softness), in tenths."""
    quiet: timedelta = timedelta(hours=3)
    """So long without a loud moment, and the burst is over; the next one is another."""
    least: int = 5
    """Fewer posts within the long window are no crowd."""
    warm_up: timedelta = timedelta(hours=1)
    """So much must have been heard before anything scores."""


@dataclass(frozen=True, slots=True)
class BurstReading:
    """What the detector says of one interval.

    `score` in [0, 1]; 0.5 and more is an alarm, and within one burst only its start scores. `count` and `expected` are
    posts in the window that is loudest, of length `window`; `factor` is their ratio. `since`: start of the burst.
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
        spans = (interval, _MOMENT, t.long)
        self._windows = sorted({max(1, round(span / interval)) for span in spans})
        self._recent: deque[_Heard | None] = deque(maxlen=self._windows[-1])
        self._known = 0.0
        """Intervals heard; long silence wears it off."""
        self._level = 0.0
        self._day = [0.0] * _HOURS
        self._week = [0.0] * _WEEK
        self._mean = 0.0
        self._spread = 1.0
        self._threshold = _TAIL_START
        self._excess = 1.0
        self._exceeded = 0
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
        loudness, window = self._loudest()
        reading = self._judge(at, self._rarity(loudness), window)
        if learn:
            self._learn_tail(loudness)
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
        """The counts of the long window, oldest first; what is not known counts as none."""
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
                self._known *= 0.5 ** ((at - self._last) / self.tuning.rhythm)
        self._last = at

    def _expect(self, wall: datetime, hour: int) -> float:
        off = wall.minute / 60 - 0.5
        near = (hour + (1 if off > 0 else -1)) % _HOURS
        day = self._day[hour] * (1 - abs(off)) + self._day[near] * abs(off)
        return self._level + day + self._week[wall.weekday() * _HOURS + hour]

    def _count(self, y: float) -> float:
        return max(0.0, math.sinh(max(y, 0.0) / self._scale) ** 2 / self.tuning.dispersion - 0.375)

    def _loudest(self) -> tuple[float, int]:
        """The loudest window and how many intervals it has. What is not known is left out of it."""
        best, longest = -math.inf, 1
        total, known, first = 0.0, 0, 0
        newest = [None if heard is None else heard.z for heard in reversed(self._recent)]
        for n in self._windows:
            if n > len(newest):
                break
            heard = [z for z in newest[first:n] if z is not None]
            total, known, first = sum(heard, total), known + len(heard), n
            loudness = total / known * known**self.tuning.weight
            if loudness > best:
                best, longest = loudness, n
        return best, longest

    def _rarity(self, loudness: float) -> float:
        """ln(days between moments as loud as this one), by the tail of what was heard."""
        above = (loudness - self._threshold) / max(self._excess, self.tuning.steepest)
        return above - math.log(self.tuning.tail * self._moments)

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

    def _learn_tail(self, loudness: float) -> None:
        t = self.tuning
        over = loudness - self._threshold
        if over > 0:
            self._exceeded += 1
            pace = max(_gain(t.memory / self.interval * t.tail), 1 / (self._exceeded + 20))
            self._excess += pace * (min(over, 3 * self._excess) - self._excess)
        move = max(100 * _gain(t.memory / self.interval), 60 / (self._known + 10))
        self._threshold = max(_TAIL_START, self._threshold + min(move, _MAX_MOVE) * ((over > 0) - t.tail))

    def _learn(self, wall: datetime, hour: int, z: float, count: float) -> None:
        t = self.tuning
        self._known += 1
        days = self._known / self._per_day
        surprise = max(-t.clip, min(t.clip, z)) * self._spread
        self._level += max(_gain(t.level / self.interval), 1 / self._known) * surprise
        self._mean += max(_gain(_MEAN_HALF_LIFE / self.interval), 1 / self._known) * (count - self._mean)
        visit = max(1.0, self._per_day / _HOURS)
        self._day[hour] += max(_gain(t.rhythm / _DAY), 2 / (days + 2)) / visit * surprise
        week = max(_gain(2 * t.rhythm / (7 * _DAY)), 1 / (days / 7 + 3)) / visit
        self._week[wall.weekday() * _HOURS + hour] += week * surprise
        size = min(abs(z), t.clip) * self._spread * 1.2533
        self._spread += max(_gain(t.spread / self.interval), 1 / (self._known + 10)) * (size - self._spread)
        self._spread = max(self._spread, _LEAST_SPREAD)


def _gain(half_life: float) -> float:
    """Weight of the newest in an exponential average whose memory halves in so many steps."""
    return 1.0 - math.exp2(-1.0 / half_life)


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
