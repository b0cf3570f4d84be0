"""What an answer of Meta's Graph API means: errors, limits, pages, tokens; and that nothing it says is repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from listener.errors import ConfigError
from listener.model.gaps import Cause
from listener.settings.meta import MetaSettings
from listener.sources.common.graph.access import App, GraphAccess, graph_access, webhook_guard
from listener.sources.common.graph.answers import Answer, Failure, Outcome, failure_of, outcome_of, why_of
from listener.sources.common.graph.pages import next_page
from listener.sources.common.graph.token import read_token
from listener.sources.common.graph.usage import usage_of


@pytest.mark.parametrize(
    ("code", "subcode", "status", "outcome"),
    [
        *((code, 0, 400, Outcome.RATE_LIMITED) for code in (4, 17, 32, 613, 80001, 80002)),
        *((190, sub, 401, Outcome.UNAUTHORIZED) for sub in (0, *range(458, 468))),
        (190, 492, 401, Outcome.FORBIDDEN),
        *((code, 0, 403, Outcome.FORBIDDEN) for code in (10, 200, 230, 299)),
        *((code, 0, 400, Outcome.STOPPED) for code in (368, 100, 1705, 2500, 99999)),
        *((code, 0, 500, Outcome.UNAVAILABLE) for code in (1, 2)),
        (300, 0, 503, Outcome.UNAVAILABLE),
        (1, 0, 400, Outcome.UNAVAILABLE),
    ],
)
def test_an_error_is_what_its_code_says_whatever_the_status(
    code: int, subcode: int, status: int, outcome: Outcome
) -> None:
    assert outcome_of(status, Failure(code, subcode)) is outcome


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(401, Outcome.UNAVAILABLE), (403, Outcome.UNAVAILABLE), (429, Outcome.RATE_LIMITED), (502, Outcome.UNAVAILABLE)],
)
def test_a_status_alone_is_a_proxys_word_and_says_nothing_of_the_token(status: int, outcome: Outcome) -> None:
    assert outcome_of(status, None) is outcome


def test_an_error_that_calls_itself_brief_passes() -> None:
    found = failure_of({"error": {"code": 3001, "is_transient": True}})
    assert found is not None
    assert outcome_of(400, found) is Outcome.UNAVAILABLE


@pytest.mark.parametrize("body", [None, [], "x", {}, {"error": "no"}, {"error": None}])
def test_what_is_no_error_is_none(body: object) -> None:
    assert failure_of(body) is None


def test_of_an_error_its_numbers_alone_are_told() -> None:
    body = {"error": {"message": "Kari Nordmann", "code": "190", "error_subcode": 463, "fbtrace_id": "Ab<c>"}}
    found = failure_of(body)
    assert found == Failure(190, 463)
    assert "Kari" not in why_of(Outcome.UNAUTHORIZED, 401, found)
    assert "code 190, subcode 463" in why_of(Outcome.UNAUTHORIZED, 401, found)


def test_a_gap_has_the_cause_that_the_answer_is() -> None:
    causes = {outcome: Answer(outcome=outcome).cause for outcome in Outcome if outcome is not Outcome.OK}
    assert causes == {
        Outcome.RATE_LIMITED: Cause.RATE_LIMITED,
        Outcome.UNAUTHORIZED: Cause.UNAUTHORIZED,
        Outcome.FORBIDDEN: Cause.FORBIDDEN,
        Outcome.STOPPED: Cause.REFUSED,
        Outcome.UNAVAILABLE: Cause.UNREACHABLE,
    }
    assert Answer(outcome=Outcome.UNAVAILABLE, status=503).cause is Cause.HTTP_5XX


def test_the_worst_of_all_limits_counts() -> None:
    business = {
        "1": [{"type": "pages", "call_count": 12, "total_time": 80, "estimated_time_to_regain_access": 0}],
        "2": [{"type": "instagram", "call_count": 100, "estimated_time_to_regain_access": 17}],
    }
    headers = {"x-app-usage": '{"call_count": 28}', "x-business-use-case-usage": json.dumps(business)}
    found = usage_of(headers)
    assert (found.percent, found.regain) == (100, timedelta(minutes=17))


@pytest.mark.parametrize("written", ["", "{", "[1]", '{"1": 3}', '{"1": [{"estimated_time_to_regain_access": "x"}]}'])
def test_a_header_that_cannot_be_read_limits_nobody(written: str) -> None:
    found = usage_of({"x-business-use-case-usage": written, "x-app-usage": written})
    assert (found.percent, found.regain) == (None, timedelta())


def test_a_wait_of_years_is_a_slip() -> None:
    written = json.dumps({"1": [{"estimated_time_to_regain_access": 5_000_000}]})
    assert usage_of({"x-business-use-case-usage": written}).regain == timedelta(hours=24)


def test_an_empty_page_may_have_a_next_one_and_our_token_is_not_taken_from_its_address() -> None:
    asked = {"fields": "id", "limit": "50"}
    link = "https://graph.example/v26.0/1/comments?access_token=secret&appsecret_proof=x&fields=id&limit=50&after=QVFI"
    assert next_page({"data": [], "paging": {"next": link}}, asked) == {**asked, "after": "QVFI"}


@pytest.mark.parametrize(
    "paging",
    [None, {}, {"next": None}, {"next": ""}, {"next": 7}, {"next": "x" * 20_000}, {"next": "https://[x"}, ["next"]],
)
def test_without_a_next_there_is_none(paging: object) -> None:
    assert next_page({"data": [{"id": "1"}], "paging": paging}, {"limit": "50"}) is None


def test_a_token_is_read_as_far_as_it_is_told() -> None:
    data = {
        "data": {
            "is_valid": True, "type": "page", "app_id": 77, "profile_id": "1000", "expires_at": 0,
            "data_access_expires_at": 1_800_000_000, "scopes": ["instagram_basic", 3],
            "granular_scopes": [{"scope": "instagram_basic", "target_ids": ["17", 18]}, {"scope": 1}],
        }
    }  # fmt: skip
    found = read_token(data)
    assert found is not None
    assert (found.kind, found.app, found.profile, found.scopes) == ("PAGE", "77", "1000", {"instagram_basic"})
    assert found.targets == {"instagram_basic": {"17", "18"}}
    assert (found.expires, found.ends) == (None, datetime.fromtimestamp(1_800_000_000, UTC))


@pytest.mark.parametrize("data", [{}, {"data": []}, {"data": {}}, {"data": {"is_valid": "yes"}}])
def test_what_says_nothing_of_a_token_is_no_answer(data: dict[str, object]) -> None:
    assert read_token(data) is None


def test_proof_is_made_with_the_apps_secret_and_no_repr_holds_one() -> None:
    app = App("77", "key")
    # Known: HMAC-SHA256 of RFC 2104's kind, key "key".
    assert (
        app.proof("The quick brown fox jumps over the lazy dog")
        == "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"
    )
    assert App("77").proof("token") is None
    access = GraphAccess("instagram.access_token", "https://graph.example", "v26.0", "tøken-x", app=app)
    assert "key" not in repr(app)
    assert "tøken-x" not in repr(access)


def test_without_a_token_the_setting_is_named() -> None:
    with pytest.raises(ConfigError, match=r"facebook\.access_token is not set"):
        graph_access(MetaSettings(), "facebook.access_token", None, None)


def test_meta_calls_us_where_both_the_word_and_the_apps_secret_are_set() -> None:
    assert webhook_guard(MetaSettings()) is None
    assert webhook_guard(MetaSettings.model_validate({"app_secret": "x"})) is None
    assert webhook_guard(MetaSettings.model_validate({"app_secret": "x", "verify_token": "ord"})) is not None
    with pytest.raises(ConfigError, match=r"meta.app_secret is not"):
        webhook_guard(MetaSettings.model_validate({"verify_token": "ord"}))
