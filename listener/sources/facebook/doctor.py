"""Facebook as `lyttepost doctor` finds it: token, role, permissions, what the Page's lists give, and who calls whom.

Each question is asked once and changes nothing. An empty list proves nothing by itself: the token decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from listener.errors import ConfigError
from listener.runtime.checks import Check, failed, warning, well
from listener.sources.common.fields import dicts, texts
from listener.sources.common.graph.access import GraphAccess, verify_token
from listener.sources.common.graph.answers import Answer, Outcome
from listener.sources.common.graph.client import GraphClient
from listener.sources.common.graph.doctor import examine_api, examine_token, fix_of
from listener.sources.contract import Examination
from listener.sources.facebook.rounds import POST_FIELDS
from listener.webhooks.doctor import examine_webhook
from listener.webhooks.meta import handshake_of

NEEDS: Final = ("pages_read_engagement", "pages_read_user_content")
NEEDS_CALLED: Final = ("pages_manage_metadata", "pages_show_list")
FIELDS: Final = frozenset({"feed", "mention"})


def examine_facebook(access: GraphAccess, its: Examination) -> Iterator[Check]:
    client = GraphClient(access, its.clock, seconds=its.seconds)
    page, settings = its.settings.facebook.page_id, its.settings
    if page is None:
        return
    try:
        word = verify_token(settings.meta)
    except ConfigError:
        word = None
    try:
        needs = (*NEEDS, *(NEEDS_CALLED if word is not None else ()))
        found = list(examine_token(client, "facebook", needs, {"PAGE"}, its.clock))
        yield from found
        me = client.get("me", {"fields": "id,name"})
        yield _page(page, me)
        answers = [me]
        for name in settings.facebook.lists:
            answer = client.get(f"{page}/{name}", {"fields": POST_FIELDS, "limit": "1"})
            answers.append(answer)
            yield _list(name, answer)
        if word is not None:
            answer = client.get(f"{page}/subscribed_apps", {"fields": "id,subscribed_fields"})
            answers.append(answer)
            yield _subscribed(client.app.id, answer)
            yield examine_webhook("facebook", settings.webhooks, handshake_of(word), its.seconds, running=its.running)
        yield from examine_api(client, "facebook", answers, its.clock)
    finally:
        client.close()


def _page(page: str, answer: Answer) -> Check:
    name = "facebook.page"
    if not answer.ok:
        return failed(name, f"Facebook does not tell whose the token is: {answer.why}", _fix(answer))
    if answer.data.get("id") != page:
        return failed(
            name, "the token is not the Page's: it answers for another",
            "make a Page token of the Page with the number facebook.page_id: with another every list is empty",
        )  # fmt: skip
    return well(name, "the token answers for the Page")


def _list(list_: str, answer: Answer) -> Check:
    name = f"facebook.{list_}"
    if not answer.ok:
        return failed(name, f"{list_} cannot be read: {answer.why}", _fix(answer))
    if not answer.items():
        return warning(
            name, f"{list_} is empty, which a Page without posts and a token without rights have in common",
            "look at the Page: where it has posts, the token is of a wrong kind or its owner has no role (MODERATE)",
        )  # fmt: skip
    return well(name, f"{list_} gives posts")


def _subscribed(app: str | None, answer: Answer) -> Check:
    name = "facebook.subscribed"
    how = "POST /PAGE/subscribed_apps with subscribed_fields=feed,mention (listener/sources/README.md)"
    if not answer.ok:
        return warning(name, f"whether Facebook calls us is not told: {answer.why}", _fix(answer))
    apps: list[Mapping[str, Any]] = [each for each in dicts(answer.data.get("data")) if app in (None, each.get("id"))]
    if not apps:
        return warning(name, "the Page has not subscribed our app: Facebook does not call us", how)
    told = {field for each in apps for field in texts(each.get("subscribed_fields"))}
    if told and (missing := sorted(FIELDS - told)):
        return warning(name, f"Facebook does not call us about: {', '.join(missing)}", how)
    return well(name, "the Page has subscribed our app")


def _fix(answer: Answer) -> str:
    fixes = {
        Outcome.UNAUTHORIZED: "make a new Page token, and put it into its file",
        Outcome.FORBIDDEN: "look at the permissions of the app and the role of the token's owner (MODERATE)",
    }
    return fix_of(answer, fixes, "is facebook.page_id the Page's number, and the token a Page token?")
