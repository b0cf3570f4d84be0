"""X as `lyttepost doctor` finds it: our key, the plan, the rules in force, the clocks, the connections.

Four requests, all of them free. What X reports of a plan is the cap on rules and the limits on calls; its price, and
whether it may be used at all by a public hospital, it does not say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from listener.clock import Clock
from listener.model.incidents import Incident
from listener.runtime.checks import Check, failed, warning, well
from listener.settings.schema import XSettings
from listener.sources.common.clock_check import check_clock
from listener.sources.x.access import Access
from listener.sources.x.client import Api, Look, Trouble, XError
from listener.sources.x.counts import cost_a_day, count_queries
from listener.sources.x.filter_rules import EXACT, RuleAtX, compile_rules, reconcile
from listener.units import format_duration

LIVE: Final = "https://api.x.com"
RULE_COUNTS: Final = "/2/tweets/search/stream/rules/counts"
CONNECTIONS: Final = "/2/connections"
SKEW_FAILS: Final = timedelta(seconds=30)
"""Gaps are searched for from half a minute after they end: with this much, search asks for the future or too late."""

_ADVICE: Final[Mapping[Trouble, str]] = {
    Trouble.UNAUTHORIZED: "set a valid x.bearer_token_file, which is used at once, or x.bearer_token and restart "
    "`lyttepost run`",
    Trouble.FORBIDDEN: "check with X which plan the key belongs to: the filtered stream is not in it",
    Trouble.NETWORK: "check whether this machine reaches the address of x.base_url: name, firewall, proxy",
    Trouble.RATE_LIMITED: "wait a quarter of an hour; if it comes back, something else uses the same key",
    Trouble.CAPPED: "the month's posts are used up: check the plan with X",
}
_ELSE: Final = "try again in a minute; if it stays, check X's own status page"


def examine_x(
    access: Access,
    settings: XSettings,
    incidents: Sequence[Incident],
    standing: Collection[str],
    clock: Clock,
    seconds: float,
) -> Iterator[Check]:
    """`incidents`: those that X is listened to for. Every call ends within `seconds`."""
    yield well("x.token", "a bearer token is set")
    if access.base_url != LIVE:
        yield warning(
            "x.address", f"x.base_url is {access.base_url}, not X itself", f"for the live X set x.base_url to {LIVE}"
        )
    api = Api(access, seconds)
    try:
        at_x = api.rules()
        counts = api.look(RULE_COUNTS)
        now = clock.now()
    except XError as error:
        yield failed("x.accepted", f"X refuses us: {error}", _ADVICE.get(error.trouble, _ELSE))
        return
    yield well("x.accepted", "X accepts the key")
    yield _clocks(counts, now)
    yield from _limits(counts)
    yield _rules(at_x, incidents, standing, reposts=settings.reposts)
    yield tracks(incidents, standing)
    yield _connections(api, expected=bool(incidents))
    yield cost(settings, standing)
    yield _deletions(api, settings)


def _deletions(api: Api, settings: XSettings) -> Check:
    """Whether X tells which of our posts are gone. By looking posts up anybody may; what that costs is told."""
    price = settings.prices.post
    if settings.deletions.by == "lookup":
        says = f"which posts are gone at X is asked by looking each of them up: {price * 1000:.2f} USD a day for 1,000"
        return warning("x.deletions", says, "where the plan has batch compliance, x.deletions.by: jobs costs nothing")
    try:
        api.compliance_jobs()
    except XError as error:
        denied = error.trouble in (Trouble.FORBIDDEN, Trouble.UNAUTHORIZED, Trouble.REFUSED)
        fix = (
            "ask X for batch compliance in your plan, or set x.deletions.by: lookup, which costs as much as reading "
            f"all that is held once a day ({price * 1000:.2f} USD for 1,000 posts); until then purge by hand"
            if denied
            else _ADVICE.get(error.trouble, _ELSE)
        )
        return failed("x.deletions", f"X does not tell which of our posts are gone: {error}", fix)
    return well("x.deletions", "X lets us ask which of our posts are gone there (batch compliance), once a day")


def cost(settings: XSettings, standing: Collection[str]) -> Check:
    """What counting in calm costs, at the settings' price."""
    queries, every, price = len(count_queries(standing)), settings.counts.every, settings.prices.counts
    a_day = cost_a_day(queries, every, price)
    says = (
        f"counting the standing tracks in calm: {queries} {_plural(queries, 'query', 'queries')} every "
        f"{format_duration(every)} at {price:g} USD, {a_day:.2f} USD a day"
    )
    if a_day * 31 <= settings.budget.soft:
        return well("x.counts.cost", says)
    return warning(
        "x.counts.cost",
        f"{says}: more in a month than the soft cap of {settings.budget.soft:g} USD",
        "count less often (x.counts.every), or have fewer standing tracks",
    )


def tracks(incidents: Sequence[Incident], standing: Collection[str]) -> Check:
    """Which tracks X hears more narrowly than they are meant."""
    wanted = sorted({*standing, *(track for incident in incidents for track in incident.tracks)})
    narrow = compile_rules(wanted).approximate
    some = ", ".join(list(narrow)[:5]) + (" …" if len(narrow) > 5 else "")
    says = (
        f"{len(narrow)} of {len(wanted)} tracks are approximate at X ({some}): see `lyttepost x check`. "
        if narrow
        else ""
    )
    return well("x.tracks", f"{says}{EXACT}")


def _clocks(look: Look, now: datetime) -> Check:
    try:
        theirs = parsedate_to_datetime(look.headers.get("Date", ""))
        skew = now - theirs
    except (ValueError, TypeError):
        return warning("x.clock", "X's answer has no date that can be read", "check whether a proxy is in between")
    return check_clock("x.clock", skew, "X's", fails=SKEW_FAILS)


def _limits(look: Look) -> Iterator[Check]:
    data = look.answer.get("data")
    said: Mapping[str, Any] = data if isinstance(data, dict) else {}
    cap, used = _whole(said.get("cap_per_client_app")), _whole(said.get("project_rules_count"))
    if cap is None:
        yield warning("x.plan", "X does not report how many rules the plan has", "check the plan with X")
    elif used is not None and used >= cap:
        yield failed(
            "x.plan", f"all {cap} rules of the plan are used", "delete rules that nobody needs, or get a larger plan"
        )
    else:
        yield well("x.plan", f"the plan has {cap} rules, {used if used is not None else '?'} of them used")
    limit, left = (_whole(look.headers.get(f"x-rate-limit-{name}")) for name in ("limit", "remaining"))
    if limit is not None and left is not None:
        says = f"{left} of {limit} calls of this kind are left in this quarter of an hour"
        if left * 10 < limit:
            yield warning("x.limits", says, "something else uses the same key: give Lyttepost one of its own")
        else:
            yield well("x.limits", says)


def _rules(
    at_x: Sequence[RuleAtX], incidents: Sequence[Incident], standing: Collection[str], *, reposts: bool
) -> Check:
    ours = sum(rule.ours for rule in at_x)
    foreign = len(at_x) - ours
    besides = f"; {foreign} not ours, left alone" if foreign else ""
    wanted = {track for i in incidents for track in i.tracks} | (set(standing) if incidents else set())
    changes = reconcile(compile_rules(sorted(wanted), reposts=reposts).rules, at_x)
    if not changes:
        return well("x.rules", f"{ours} rules of ours are in force, as the mode requires{besides}")
    return warning(
        "x.rules",
        f"{ours} rules of ours are in force{besides}; {len(changes.add)} are missing, {len(changes.delete)} are not "
        "wanted",
        "start `lyttepost run`: it corrects them; refused tracks are in `lyttepost mode --json`",
    )


def _connections(api: Api, *, expected: bool) -> Check:
    try:
        answer = api.look(CONNECTIONS).answer
    except XError as error:
        return warning(
            "x.connections", f"X does not report our connections: {error}", _ADVICE.get(error.trouble, _ELSE)
        )
    open_ = len(answer.get("data") or ())
    if open_ > 1:
        return warning(
            "x.connections",
            f"X counts {open_} open streams of this key",
            "stop whatever else listens with it; what only X still counts, Lyttepost clears when X turns it away",
        )
    if expected and open_ == 0:
        return warning(
            "x.connections", "an incident is open, but no stream is", "see `lyttepost mode` and `lyttepost gaps --open`"
        )
    if not expected and open_:
        return warning(
            "x.connections", "it is calm, and a stream is open with this key", "find out who else listens with it"
        )
    return well("x.connections", f"{open_} {_plural(open_, 'stream is', 'streams are')} open, as the mode wants it")


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def _plural(count: int, one: str, many: str) -> str:
    return one if count == 1 else many
