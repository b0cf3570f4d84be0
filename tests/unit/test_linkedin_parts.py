"""LinkedIn's parts: what is asked, how answers and notifications are read, what ends when."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from listener.errors import ConfigError, Corrupt
from listener.model.gaps import Cause
from listener.model.records import AuthorClass, Origin, Post
from listener.privacy.screen import Screen
from listener.settings.linkedin import LinkedInSettings
from listener.sources.common.fields import Unusable
from listener.sources.common.key import Key
from listener.sources.common.polling import Answer, Unanswered
from listener.sources.contract import DropReason, content_limits, source_types
from listener.sources.linkedin.access import Access, linkedin_access, version_ends
from listener.sources.linkedin.api import Failure, Page, Trouble, ask, read
from listener.sources.linkedin.cursor import Memory
from listener.sources.linkedin.payload import Deleted, read_notification
from listener.sources.linkedin.rounds import Round
from listener.sources.linkedin.status import ending

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
PAGE = "urn:li:organization:2031"
COMMENT = "urn:li:comment:(urn:li:activity:7,9)"


def access(version: str = "202610", expires: date | None = None) -> Access:
    return Access("https://api.linkedin.com", PAGE, version, Key("linkedin.token", "hemmelig"), expires)


def notification(action: str = "COMMENT", inner: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    said = {"owner": "urn:li:person:kari", "text": "Er det åpent?"} if inner is None else inner
    return {
        "notificationId": 1, "action": action, "sourcePost": "urn:li:activity:7",
        "generatedActivity": "urn:li:comment:(activity:7,9)", "lastModifiedAt": int(NOON.timestamp() * 1000),
        "decoratedGeneratedActivity": {"comment": said}, **more,
    }  # fmt: skip


def post(raw: Any) -> Post:
    _, found = read_notification(raw, "linkedin", PAGE, NOON + timedelta(days=1))
    assert isinstance(found, Post)
    return found


def test_what_is_asked_names_page_actions_time_and_version_and_its_address_no_secret() -> None:
    its = ask(access(), NOON, NOON + timedelta(minutes=5), 100)
    assert its.url.startswith("https://api.linkedin.com/rest/organizationalEntityNotifications?q=criteria&")
    for part in (
        "List(COMMENT,COMMENT_EDIT,COMMENT_DELETE,SHARE_MENTION)",
        "urn%3Ali%3Aorganization%3A2031",
        "start=100",
    ):
        assert part in its.url
    assert (its.headers["Linkedin-Version"], its.headers["X-Restli-Protocol-Version"]) == ("202610", "2.0.0")
    assert "hemmelig" not in its.url + repr(its)


@pytest.mark.parametrize(
    ("status", "trouble", "cause"),
    [
        (401, Trouble.UNAUTHORIZED, Cause.UNAUTHORIZED),
        (403, Trouble.FORBIDDEN, Cause.FORBIDDEN),
        (426, Trouble.VERSION, Cause.REFUSED),
        (429, Trouble.LIMITED, Cause.RATE_LIMITED),
        (400, Trouble.REFUSED, Cause.REFUSED),
        (302, Trouble.REFUSED, Cause.REFUSED),
        (503, Trouble.PASSING, Cause.HTTP_5XX),
    ],
)
def test_a_status_says_what_to_do(status: int, trouble: Trouble, cause: Cause) -> None:
    assert read(Answer(status, b"{}")) == Failure(trouble, cause, status)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"elements": 3}', b'{"elements": null}', b"\xff"])
def test_what_is_no_answer_of_its_own_is_garbled(body: bytes) -> None:
    assert read(Answer(200, body)) == Failure(Trouble.PASSING, Cause.GARBLED, 200)


def test_no_answer_is_no_call_where_nothing_was_sent() -> None:
    found = read(Unanswered(Cause.UNREACHABLE, sent=False))
    assert found == Failure(Trouble.PASSING, Cause.UNREACHABLE, sent=False)


@pytest.mark.parametrize(
    ("paging", "count", "more"),
    [
        ({"links": [{"rel": "next"}]}, 0, True),
        ({"links": [{"rel": "prev"}]}, 100, False),
        ({"links": [], "count": 10}, 10, True),
        ({"links": [], "count": 10}, 9, False),
        (None, 100, True),
        (None, 99, False),
    ],
)
def test_there_is_a_next_page_by_its_links_else_where_this_one_is_full(paging: Any, count: int, more: bool) -> None:
    found = read(Answer(200, json.dumps({"elements": [{}] * count, "paging": paging}).encode()))
    assert isinstance(found, Page)
    assert (len(found.elements), found.more) == (count, more)


def test_a_comment_is_a_post_under_one_id_however_it_is_spelled() -> None:
    its = post(notification())
    assert (its.id, its.at, its.text, its.version, its.reply_to) == (
        COMMENT, NOON, "Er det åpent?", None, "urn:li:activity:7",
    )  # fmt: skip
    assert its.author is not None
    assert (its.author.id, its.author.author_class) == ("urn:li:person:kari", AuthorClass.UNKNOWN)
    assert its.url == "https://www.linkedin.com/feed/update/urn:li:activity:7/"
    assert post(notification(generatedActivity=COMMENT)).id == COMMENT


def test_an_edit_keeps_the_id_and_its_time_is_its_version() -> None:
    its = post(notification("COMMENT_EDIT"))
    assert (its.id, its.version) == (COMMENT, str(int(NOON.timestamp() * 1000)))


def test_a_deletion_is_an_id_alone() -> None:
    raw = notification("COMMENT_DELETE")
    del raw["decoratedGeneratedActivity"]
    assert read_notification(raw, "linkedin", PAGE, NOON) == ("1", Deleted(COMMENT, NOON))


def test_a_mention_is_a_post_of_its_own() -> None:
    raw = notification("SHARE_MENTION", generatedActivity="urn:li:share:5")
    raw["decoratedGeneratedActivity"] = {"share": {"owner": "urn:li:organization:9", "text": "Tenker på dere"}}
    its = post(raw)
    assert (its.id, its.reply_to, its.url) == (
        "urn:li:share:5",
        None,
        "https://www.linkedin.com/feed/update/urn:li:share:5/",
    )
    assert its.author is not None
    assert its.author.author_class is AuthorClass.ORGANISATION


def test_who_wrote_it_may_be_missing_and_the_page_itself_is_ours() -> None:
    assert post(notification(inner={"text": "Hei"})).author is None
    ours = post(notification(inner={"message": {"text": "Hei"}, "actor": PAGE})).author
    assert ours is not None
    assert ours.author_class is AuthorClass.OWN


def test_a_person_whom_a_text_mentions_is_a_pseudonym_and_no_name() -> None:
    its = post(
        notification(inner={"text": "Takk @[Kari Nordmann](urn:li:person:aB3_x) og @[Fjordby](urn:li:organization:4)"})
    )
    assert its.text == "Takk @aB3_x og Fjordby"
    assert post(notification(inner={"text": "Takk @[Kari Nordmann](urn:li:fsd_profile:aB3_x)"})).text == "Takk @aB3_x"
    safe = Screen(b"k" * 32, {}).mention(its, incidents={}, origin=Origin.LIVE, captured_at=NOON, exercise=False)
    assert "Kari" not in safe.text
    assert "aB3_x" not in safe.text
    theirs = Screen(b"k" * 32, {}).mention(
        post(notification()), incidents={}, origin=Origin.LIVE, captured_at=NOON, exercise=False
    )
    assert theirs.author is not None
    assert "kari" not in theirs.author


def test_its_time_is_no_later_than_now() -> None:
    _, found = read_notification(notification(), "linkedin", PAGE, NOON - timedelta(hours=1))
    assert found.at == NOON - timedelta(hours=1)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"notificationId": None}, DropReason.MISSING_FIELD),
        ({"action": "LIKE"}, DropReason.NOT_A_POST),
        ({"action": 7}, DropReason.WRONG_TYPE),
        ({"generatedActivity": None}, DropReason.MISSING_FIELD),
        ({"generatedActivity": "<script>"}, DropReason.WRONG_TYPE),
        ({"lastModifiedAt": None}, DropReason.MISSING_FIELD),
        ({"lastModifiedAt": "i går"}, DropReason.WRONG_TYPE),
        ({"lastModifiedAt": True}, DropReason.WRONG_TYPE),
        ({"lastModifiedAt": 1e40}, DropReason.BAD_DATE),
        ({"lastModifiedAt": 5}, DropReason.BAD_DATE),
        ({"decoratedGeneratedActivity": None}, DropReason.MISSING_FIELD),
        ({"decoratedGeneratedActivity": {"comment": {"text": 7}}}, DropReason.MISSING_FIELD),
    ],
)
def test_what_is_no_notification_of_ours_has_a_reason(change: dict[str, Any], reason: DropReason) -> None:
    with pytest.raises(Unusable) as refused:
        read_notification({**notification(), **change}, "linkedin", PAGE, NOON)
    assert refused.value.reason is reason


@pytest.mark.parametrize("raw", [None, 3, [], "tekst"])
def test_an_element_may_be_anything(raw: Any) -> None:
    with pytest.raises(Unusable):
        read_notification(raw, "linkedin", PAGE, NOON)


def test_a_round_ends_where_pages_repeat_or_stay_empty() -> None:
    first = Page(tuple({"notificationId": n} for n in range(3)), True)
    its = Round(NOON, NOON, frozenset())
    assert its.take(first) is True
    assert its.take(first) is False
    empty = Round(NOON, NOON, frozenset())
    assert [empty.take(Page((), True)) for _ in range(3)] == [True, True, False]
    assert Round(NOON, NOON, frozenset()).take(Page((), False)) is False


@pytest.mark.parametrize(
    ("version", "expires", "now", "what"),
    [
        ("202610", None, datetime(2027, 8, 1, tzinfo=UTC), []),
        ("202610", None, datetime(2027, 9, 2, tzinfo=UTC), ["linkedin.version 202610 (2027-10-01)"]),
        ("202610", date(2026, 12, 1), datetime(2026, 11, 20, tzinfo=UTC), []),
        ("202610", date(2026, 12, 1), datetime(2026, 11, 22, tzinfo=UTC), ["linkedin.token (2026-12-01)"]),
        ("202610", date(2026, 12, 1), datetime(2027, 10, 2, tzinfo=UTC),
         ["linkedin.version 202610 (2027-10-01)", "linkedin.token (2026-12-01)"]),
    ],
)  # fmt: skip
def test_what_ends_is_told_ahead(version: str, expires: date | None, now: datetime, what: list[str]) -> None:
    assert ending(access(version, expires), now) == what
    assert version_ends("202612") == datetime(2027, 12, 1, tzinfo=UTC)


def test_a_cursor_comes_back_and_one_of_another_is_refused() -> None:
    its = Memory(NOON, NOON, {"linkedin_refused": NOON})
    assert Memory.parse(str(its)) == its
    for text in ("", "{}", "[]", '{"heard": 3, "alive": null, "notices": {}}'):
        with pytest.raises(Corrupt):
            Memory.parse(text)


def test_it_is_off_and_cannot_be_enabled_without_a_written_basis_a_page_and_a_token() -> None:
    assert linkedin_access(LinkedInSettings()) is None
    for its, why in (
        ({}, "a lawyer first"),
        ({"basis": "  "}, "a lawyer first"),
        ({"basis": "Jus, 2026-10-01"}, "organization is missing"),
    ):
        with pytest.raises(ValueError, match=why):
            LinkedInSettings.model_validate({"enabled": True, **its})
    told = {"enabled": True, "basis": "Jus, 2026-10-01", "organization": 2031}
    with pytest.raises(ConfigError, match=r"linkedin\.token is not set"):
        linkedin_access(LinkedInSettings.model_validate(told))


def test_content_of_it_lies_for_two_days_at_most() -> None:
    from listener.settings.schema import Settings

    assert content_limits(Settings())["linkedin"] == timedelta(hours=48)
    with pytest.raises(ConfigError, match="longer than the platform"):
        content_limits(Settings.model_validate({"retention": {"sources": {"linkedin": "3d"}}}))


@pytest.mark.parametrize(
    ("link", "id_"),
    [
        ("https://www.linkedin.com/feed/update/urn:li:share:5/", "urn:li:share:5"),
        ("https://www.linkedin.com/feed/update/urn:li:activity:7/?commentUrn=urn%3Ali%3Acomment%3A%28activity%3A7%2C9%29",
         COMMENT),
        ("https://www.linkedin.com/in/kari", None),
        ("https://example.org/urn:li:share:5", None),
    ],
)  # fmt: skip
def test_a_link_leads_to_its_id(link: str, id_: str | None) -> None:
    ids = source_types()["linkedin"].post_ids
    assert ids.in_link(link) == id_
    assert ids.parse(COMMENT) == COMMENT
    for text in ("9", "urn:li:comment:(activity:7,9)", "kari", "urn:li:share:5 x"):
        with pytest.raises(ValueError, match="is no post id"):
            ids.parse(text)
