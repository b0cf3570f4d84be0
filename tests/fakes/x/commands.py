"""What can be commanded of the fake: each public method of `Commands` is a verb of scenarios and of the control port.

Times are in seconds of the fake's clock. A verb about streams answers with the number of open streams it met.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..platform.verbs import BadCommand, Verbs
from .faults import Faults, LostAnswer, PartialRules, Standing
from .problems import disconnect_notice
from .streams import Connection, End, Streams
from .times import Clock
from .world import World

GARBAGE = "<html><body>upstream error: 0x1f {]"


__all__ = ["BadCommand", "Commands", "verbs"]


class Commands(Verbs):
    def __init__(self, world: World, faults: Faults, streams: Streams, clock: Clock) -> None:
        super().__init__(world.lock)
        self._world = world
        self._faults = faults
        self._streams = streams
        self._clock = clock

    # -- the open streams ------------------------------------------------------------------------------------------

    def silence(self, seconds: float, loses: bool = False) -> int:
        """Nothing more is written, keep-alives neither; what comes meanwhile is late, or lost."""

        def hush(connection: Connection) -> None:
            connection.silent_until = self._in(seconds)
            connection.loses = loses

        return self._each(hush)

    def reset(self) -> int:
        """A TCP reset."""
        return self._each(lambda c: c.end(End.RESET, "reset"))

    def close(self) -> int:
        """The body ends as it should."""
        return self._each(lambda c: c.end(End.CLOSE, "closed"))

    def abort(self) -> int:
        """The socket is closed in the middle of the body."""
        return self._each(lambda c: c.end(End.ABORT, "aborted"))

    def notice(self, disconnect_type: str = "UpstreamOperationalDisconnect", close: bool = True) -> int:
        """The operational-disconnect notice; then the stream ends, or not."""

        def tell(connection: Connection) -> None:
            connection.send(json.dumps(disconnect_notice(disconnect_type)).encode() + b"\r\n")
            if close:
                connection.end(End.CLOSE, "operational disconnect")

        return self._each(tell)

    def garbage(self, line: str = GARBAGE) -> int:
        """A line that is no JSON."""
        return self._each(lambda c: c.send(line.encode() + b"\r\n"))

    def bad_utf8(self) -> int:
        """A line of JSON but for bytes that are no UTF-8."""
        return self._each(lambda c: c.send(b'{"data":{"id":"1","text":"bl\xe5lys \xff\xfe"}}\r\n'))

    def huge_line(self, size: int = 5_000_000) -> int:
        """A line of `size` bytes, JSON but no post."""
        head, tail = b'{"data":{"text":"', b'"}}\r\n'
        return self._each(lambda c: c.send(head + b"x" * max(0, size - len(head) - len(tail)) + tail))

    def half_line(self, then: str = "close", now: bool = False) -> int:
        """The next post's line is cut in half and the stream ends (`then`); `now`: a made-up one."""
        how = End(then)
        if not now:
            self._faults.half = how.value
            return len(self._streams.open)

        def cut(connection: Connection) -> None:
            connection.send(b'{"data":{"id":"17","text":"Halve lin')
            connection.end(how, "half a line")

        return self._each(cut)

    def again(self, ids: Sequence[str] = (), last: int = 0) -> int:
        """Send posts once more: these, or the `last` ones offered."""
        offered = list(dict.fromkeys(o.post for o in self._world.offers))
        for post_id in ids or offered[len(offered) - last :]:
            self._streams.deliver(self._world.posts[str(post_id)], "duplicate")
        return len(self._streams.open)

    # -- the next posts and connects -------------------------------------------------------------------------------

    def twice(self, count: int = 1) -> None:
        """The next `count` posts are sent twice."""
        self._faults.twice = count

    def untagged(self, count: int = 1) -> None:
        """The next `count` posts' rules lack their tags."""
        self._faults.untagged = count

    def unmatched(self, count: int = 1) -> None:
        """The next `count` posts lack `matching_rules`."""
        self._faults.unmatched = count

    def unordered(self, count: int = 10, seconds: float | None = None) -> None:
        """The next `count` posts are held, at most `seconds`, then sent in another order."""
        self._faults.shuffle = count
        self._faults.shuffle_until = None if seconds is None else self._in(seconds)

    def delay(self, seconds: float) -> None:
        """Each post's line comes so much after its publication."""
        self._faults.delay = seconds

    def close_at_connect(self, times: int = 1) -> None:
        """The next connects are answered 200 and closed at once."""
        self._faults.close_at_connect = times

    def stuck(self, count: int = 1, seconds: float | None = None) -> None:
        """So many connections are counted that nobody holds, until deleted or for `seconds`."""
        until = None if seconds is None else self._in(seconds)
        self._faults.stuck.extend([until] * count)

    # -- requests --------------------------------------------------------------------------------------------------

    def refuse(
        self, status: int = 503, on: str = "all", seconds: float | None = None, times: int | None = None
    ) -> None:
        """Requests get this status and X's problem for it: 503, 401, 403, 500, …"""
        self._stand(Standing("refuse", on, self._until(seconds), times, status=status))

    def limit(
        self, on: str = "stream", seconds: float | None = None, times: int | None = None, reset: bool = True
    ) -> None:
        """429, with `x-rate-limit-reset` at the end of `seconds` (else of the window) or without it."""
        self._stand(Standing("refuse", on, self._until(seconds), times, status=429, reset=reset))

    def hang(
        self, on: str = "rest", hold: float = 300.0, seconds: float | None = None, times: int | None = None
    ) -> None:
        """The answer begins `hold` seconds late."""
        self._stand(Standing("hang", on, self._until(seconds), times, seconds=hold))

    def slow(
        self, on: str = "rest", hold: float = 30.0, seconds: float | None = None, times: int | None = None
    ) -> None:
        """The answer's headers take `hold` seconds, byte by byte."""
        self._stand(Standing("slow", on, self._until(seconds), times, seconds=hold))

    def drop(self, on: str = "rest", seconds: float | None = None, times: int | None = None) -> None:
        """Requests are answered by a TCP reset."""
        self._stand(Standing("drop", on, self._until(seconds), times))

    def lose_answer(self, how: str = "reset", status: int = 503, hold: float = 60.0, times: int = 1) -> None:
        """The next `times` posts of the account are published, and whoever sent them is not told: the connection is
        reset or closed, the answer does not come for `hold` seconds, says `status`, or is garbage."""
        if how not in ("reset", "close", "hang", "status", "garbage"):
            raise ValueError("how: reset, close, hang, status or garbage")
        self._faults.lost += [LostAnswer(how, status, hold) for _ in range(times)]

    def partial_rules(self, count: int = 1, values: Sequence[str] = (), times: int = 1) -> None:
        """The next `times` calls that add rules: the first `count`, or those of these values, are refused."""
        self._faults.partial = PartialRules(times, 0 if values else count, frozenset(values))

    def skew(self, seconds: float) -> None:
        """The `Date` header is wrong by so much."""
        self._faults.skew = seconds

    # -- the world -------------------------------------------------------------------------------------------------

    def post(self, post: dict[str, Any], live: bool = True) -> str:
        """Publish a post; not `live`: only search finds it."""
        return self._world.publish(post, live=live).id

    def edit(self, id: str, text: str, new_id: str | None = None) -> str:
        """Its author edits a post."""
        return self._world.edit(str(id), text, new_id).id

    def delete(self, id: str) -> None:
        """Its author deletes a post."""
        self._world.delete(str(id))

    def remove(self, id: str, reason: str = "suspended") -> None:
        """X wants a post removed, for a reason of batch compliance: suspended, protected, scrub_geo, deactivated, …"""
        self._world.remove(str(id), reason)

    def jobs_take(self, seconds: float) -> None:
        """Compliance jobs are done so long after their ids are there."""
        self._faults.job_seconds = seconds

    def jobs_fail(self, count: int = 1) -> None:
        """The next `count` compliance jobs fail."""
        self._faults.jobs_fail = count

    def uploads_expire(self, seconds: float = 0.0) -> None:
        """The storage takes ids only so long after their job was made."""
        self._faults.upload_valid = timedelta(seconds=seconds)

    def cut_results(self, count: int = 1) -> None:
        """The next `count` results of compliance jobs end in the middle of a line."""
        self._faults.results_cut = count

    def foreign_rule(self, value: str, tag: str | None = None) -> str:
        """A rule that somebody else put there."""
        return self._world.add_rule(value, tag).id

    def drop_rules(self, ids: Sequence[str] = ()) -> int:
        """X loses rules: these, or all."""
        gone = [i for i in self._world.rules if not ids or i in ids]
        for rule_id in gone:
            del self._world.rules[rule_id]
        return len(gone)

    def search_lacks(self, ids: Sequence[str]) -> None:
        """Search does not find these posts."""
        self._faults.lacks.update(map(str, ids))

    def refuse_queries(self, words: Sequence[str]) -> None:
        """Search and counts refuse queries that hold one of these words, as X does what it cannot read."""
        self._faults.refused_words.update(map(str, words))

    def refuse_field(self, parameter: str, value: str = "") -> None:
        """Requests that ask for this value of `user.fields`, `expansions`, … are answered 400; without a value, all
        that bear the parameter."""
        before = self._faults.refused_fields.get(parameter, frozenset())
        self._faults.refused_fields[parameter] = before | {value} if value else frozenset()

    def search_lag(self, seconds: float) -> None:
        """Search finds a post only so long after it came."""
        self._faults.search_lag = seconds

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this endpoint; what was sent, lost or closed stays so."""
        if on is not None:
            self._faults.standing = [fault for fault in self._faults.standing if fault.on != on]
            return
        self._faults.heal()
        self._each(lambda c: setattr(c, "silent_until", None))

    def _stand(self, fault: Standing) -> None:
        self._faults.standing.append(fault)

    def _each(self, act: Callable[[Connection], Any]) -> int:
        connections = self._streams.open
        for connection in connections:
            act(connection)
        return len(connections)

    def _in(self, seconds: float) -> datetime:
        return self._clock.now() + timedelta(seconds=float(seconds))

    def _until(self, seconds: float | None) -> datetime | None:
        return None if seconds is None else self._in(seconds)


def verbs() -> list[str]:
    """All verbs, in the order they stand above."""
    return Commands.names()
