"""A token and its API as `lyttepost doctor` finds them, for every source of Meta's. Ids begin with its name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Final

from listener.clock import Clock
from listener.runtime.checks import Check, failed, warning, well
from listener.sources.common.clock_check import check_clock
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.common.graph.client import GraphClient
from listener.sources.common.graph.token import TokenInfo, ask_token

SOON: Final = timedelta(days=14)
SKEW: Final = timedelta(seconds=30)
SKEW_FAILS: Final = timedelta(minutes=5)
FULL: Final = 75.0
"""Percent of a limit from which a person should know."""


def examine_token(
    client: GraphClient, source: str, needs: Collection[str], kinds: Collection[str], clock: Clock
) -> Iterator[Check]:
    """Token, permissions, expiry. `needs`: the permissions that the source uses as it is set; `kinds` of token that
    do."""
    info, answer = ask_token(client)
    name = f"{source}.token"
    if info is None:
        yield _unanswered(name, answer)
        return
    if not info.valid:
        yield failed(name, "Meta says that the token is not valid", _RENEW.format(name=client.key.name))
        return
    if client.app.id and info.app and info.app != client.app.id:
        yield failed(name, "the token is of another app than meta.app_id", "make it with that app, or set its own id")
    elif info.kind and info.kind not in kinds:
        wanted = " or ".join(sorted(kinds))
        yield failed(name, f"the token is of kind {info.kind}, and {wanted} is needed", _KIND.format(name=source))
    else:
        yield well(name, f"the token is valid, of kind {info.kind or 'unknown'}")
    yield _scopes(source, info, needs)
    yield _expiry(source, info, clock)


def _scopes(source: str, info: TokenInfo, needs: Collection[str]) -> Check:
    missing = sorted(set(needs) - info.scopes)
    if missing and info.scopes:
        return failed(
            f"{source}.scopes",
            f"permissions are missing: {', '.join(missing)}",
            "ask for them in the app's review, and make the token anew with them",
        )
    if missing:
        return warning(f"{source}.scopes", "Meta does not tell the token's permissions", "look at them in the app")
    return well(f"{source}.scopes", f"{len(set(needs))} permissions are there")


def _expiry(source: str, info: TokenInfo, clock: Clock) -> Check:
    name = f"{source}.expiry"
    if info.ends is None:
        return well(name, "the token does not expire")
    left = info.ends - clock.now()
    if left <= timedelta():
        return failed(name, "the token has expired", "make a new one, and put it into the token's file")
    days = f"the token can be used for {left.days} more days"
    if left < SOON:
        return warning(name, days, "make a new one in time, and put it into the token's file: it is read at once")
    return well(name, days)


def _unanswered(name: str, answer: Answer) -> Check:
    new = {Outcome.UNAUTHORIZED: "make a new token, and put it into its file"}
    fix = fix_of(answer, new, "look at the app and its token at Meta")
    return failed(name, f"the token could not be looked at: {answer.why}", fix)


def fix_of(answer: Answer, fixes: Mapping[Outcome, str], otherwise: str) -> str:
    """What to do about an answer without data. `fixes`: what it means for what was asked, beside what is the same for
    all that Meta is asked."""
    common = {
        Outcome.RATE_LIMITED: "wait; each call makes it longer",
        Outcome.UNAVAILABLE: "check whether this machine reaches Meta (name, firewall, proxy), and meta.base_url",
    }
    return {**common, **fixes}.get(answer.outcome, otherwise)


def examine_api(client: GraphClient, source: str, answers: Collection[Answer], clock: Clock) -> Iterator[Check]:
    """Version, clock and limits, from answers that came."""
    if client.outdated:
        yield warning(
            f"{source}.version",
            f"meta.version has ended at Meta, which answers in {client.outdated}",
            "read what changed between them, then set meta.version",
        )
    dates = [answer.date for answer in answers if answer.date is not None]
    if dates:
        yield check_clock(f"{source}.clock", clock.now() - max(dates), "Meta's", warns=SKEW, fails=SKEW_FAILS)
    percent = client.usage.percent
    if percent is not None and percent >= FULL:
        yield warning(
            f"{source}.limit", f"{percent:.0f} % of what Meta allows is used", "ask more rarely: every, calm_every"
        )


_RENEW: Final = "make a new one, and put it into the file of {name}"
_KIND: Final = "see listener/sources/README.md, {name}: how its token is made"
