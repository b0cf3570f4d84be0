"""Instagram as `lyttepost doctor` finds it: the token, whether the account comes back, whether Meta reaches us.

Each is a call of the API, but for those that Meta lets nobody make now: where one is refused for their number, no more
are made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from listener.runtime.checks import Check, failed, warning, well
from listener.settings.instagram import TAGS_A_WEEK, InstagramSettings
from listener.sources.common.graph.access import GraphAccess, verify_token
from listener.sources.common.graph.answers import Answer
from listener.sources.common.graph.client import GraphClient
from listener.sources.common.graph.doctor import examine_api, examine_token, fix_of
from listener.sources.contract import Examination
from listener.sources.instagram import questions
from listener.sources.instagram.round import NOT_OURS
from listener.webhooks.doctor import examine_webhook
from listener.webhooks.meta import handshake_of

KINDS: Final = frozenset({"PAGE", "USER", "SYSTEM_USER"})
COMMENTS: Final = ("instagram_basic", "instagram_manage_comments")
_LONGEST: Final = 10.0


def examine_instagram(access: GraphAccess, its: Examination) -> Iterator[Check]:
    settings = its.settings.instagram
    client = GraphClient(access, its.clock, seconds=min(its.seconds, _LONGEST))
    try:
        yield from examine_token(client, "instagram", COMMENTS, KINDS, its.clock)
        answer = _account(client, settings)
        yield _heard(answer, settings)
        yield from examine_api(client, "instagram", [answer], its.clock)
    finally:
        client.close()
    yield _hashtags(settings)
    yield _webhook(its)


def _account(client: GraphClient, settings: InstagramSettings) -> Answer:
    question = questions.account(settings.account or "", 1)
    return client.get(question.path, question.params)


def _heard(answer: Answer, settings: InstagramSettings) -> Check:
    name = "instagram.account"
    if not answer.ok:
        otherwise = "see instagram.account and the token; listener/sources/README.md tells how both are had"
        fix = fix_of(answer, {}, otherwise)
        return failed(name, f"the account does not answer: {answer.why}", fix)
    count = answer.data.get("media_count")
    if str(answer.data.get("id")) != settings.account or (
        isinstance(count, int) and count and not answer.data.get("media")
    ):
        return failed(
            name, NOT_OURS, "make a token for the Page to which the account belongs; see listener/sources/README.md"
        )
    return well(name, f"the account answers, with {count if isinstance(count, int) else 'its'} media")


def _hashtags(settings: InstagramSettings) -> Check:
    """How many of the week's hashtags are spent knows the listener alone: `lyttepost mode --json`."""
    name, count = "instagram.hashtags", len(settings.hashtags)
    if not count:
        return well(name, "no hashtag is looked at")
    says = f"{count} of {TAGS_A_WEEK} hashtags in seven days are named; each that is changed is spent for a week"
    if count > TAGS_A_WEEK - 5:
        return warning(name, says, "keep some: one that is added in a crisis must wait when none is left")
    return well(name, f"{says}. They need Instagram Public Content Access")


def _webhook(its: Examination) -> Check:
    word = verify_token(its.settings.meta)
    if word is None:
        return warning(
            "instagram.webhook",
            "meta.verify_token is not set: mentions are not heard, and comments minutes later",
            "set it and meta.app_secret, and enter the address in the app's dashboard; see listener/sources/README.md",
        )
    return examine_webhook(
        "instagram", its.settings.webhooks, handshake_of(word), min(its.seconds, _LONGEST), running=its.running
    )
