"""How X says no: one function a problem, each giving the reply as its API does (RFC 7807, more or less)."""

from __future__ import annotations

from typing import Any

from ..platform.web import Reply

PROBLEM = "application/problem+json"
_TYPES = "https://api.twitter.com/2/problems/"


class Refusal(Exception):
    """Ends the handling of a request with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"HTTP {reply.status}")
        self.reply = reply


class BadParameter(Refusal):
    """One parameter will not do."""

    def __init__(self, name: str, value: str, message: str) -> None:
        super().__init__(invalid_request([{"parameters": {name: [value]}, "message": message}]))


def problem(status: int, title: str, detail: str, kind: str = "", **more: Any) -> Reply:
    """A problem of X's type `kind`, or a bare one of HTTP's."""
    body = {"title": title, "detail": detail, "type": _TYPES + kind if kind else "about:blank", **more}
    return Reply(status, body if kind else {**body, "status": status}, content_type=PROBLEM)


def invalid_request(errors: list[dict[str, Any]]) -> Reply:
    detail = "One or more parameters to your request was invalid."
    return Reply(
        400,
        {"errors": errors, "title": "Invalid Request", "detail": detail, "type": _TYPES + "invalid-request"},
        content_type=PROBLEM,
    )


def unauthorized() -> Reply:
    return problem(401, "Unauthorized", "Unauthorized")


def duplicate_content() -> Reply:
    return problem(403, "Forbidden", "You are not allowed to create a Tweet with duplicate content.")


def unsupported(kind: str) -> Reply:
    """`kind`: the authentication that came, as X calls it."""
    detail = (
        f"Authenticating with {kind} is forbidden for this endpoint.  Supported authentication types are [OAuth 1.0a"
        " User Context, OAuth 2.0 User Context]."
    )
    return problem(403, "Unsupported Authentication", detail, "unsupported-authentication")


def not_enrolled() -> Reply:
    return problem(
        403,
        "Client Forbidden",
        "When authenticating requests to the Twitter API v2 endpoints, you must use keys and tokens from a Twitter"
        " developer App that is attached to a Project. You can create a project via the developer portal.",
        "client-forbidden",
        client_id="10000001",
        required_enrollment="Appropriate Level of API Access",
        registration_url="https://developer.twitter.com/en/docs/projects/overview",
        reason="client-not-enrolled",
    )


def not_found() -> Reply:
    return problem(404, "Not Found", "The requested path does not exist.")


def too_many_requests() -> Reply:
    return problem(429, "Too Many Requests", "Too Many Requests")


def too_many_connections() -> Reply:
    return problem(
        429,
        "ConnectionException",
        "This stream is currently at the maximum allowed connection limit.",
        "streaming-connection",
        connection_issue="TooManyConnections",
    )


def no_rules() -> Reply:
    return problem(
        409,
        "ConnectionException",
        "You must define rules before you connect to the stream.",
        "streaming-connection",
        connection_issue="RuleConfigurationIssue",
    )


def usage_capped() -> Reply:
    return problem(
        429,
        "UsageCapExceeded",
        "Usage cap exceeded: Monthly product cap",
        "usage-capped",
        account_id=10000001,
        product_name="standard-basic",
        period="Monthly",
        scope="Product",
    )


def rule_cap(limit: int) -> Reply:
    return problem(400, "RulesCapExceeded", f"You may have no more than {limit} rules.", "rule-cap")


def of_status(status: int) -> Reply:
    """The problem X gives with a status, when a test or scenario asks for no more than that."""
    if status == 401:
        return unauthorized()
    if status == 403:
        return not_enrolled()
    if status == 429:
        return too_many_requests()
    title = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}.get(status, "Error")
    return problem(status, title, title)


def invalid_rule(value: str, details: list[str]) -> dict[str, Any]:
    """One entry of `errors` in a reply about rules."""
    return {"value": value, "details": details, "title": "UnprocessableEntity", "type": _TYPES + "invalid-rules"}


def duplicate_rule(value: str, rule_id: str) -> dict[str, Any]:
    return {"value": value, "id": rule_id, "title": "DuplicateRule", "type": _TYPES + "duplicate-rules"}


def no_such_rule(value: str) -> dict[str, Any]:
    return {
        "errors": [{"parameters": {"rule": [value]}, "message": "Rule does not exist"}],
        "title": "Invalid Request",
        "detail": "One or more parameters to your request was invalid.",
        "type": _TYPES + "invalid-request",
    }


def disconnect_notice(kind: str) -> dict[str, Any]:
    """What the stream may say before it ends."""
    return {
        "errors": [
            {
                "title": "operational-disconnect",
                "disconnect_type": kind,
                "detail": "This stream has been disconnected upstream for operational reasons.",
                "type": _TYPES + "operational-disconnect",
            }
        ]
    }
