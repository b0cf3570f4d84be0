"""Access to X: tweepy's clients, sent to the base address of the settings, with a timeout for every call.

tweepy writes `https://api.twitter.com` into each request. An adapter mounted for that host moves the request to where
the settings say, keeps its path, and gives it a timeout, which tweepy does not. What X answers comes back as its JSON
or as one `XError`, whose `trouble` says what to do about it. No message of ours repeats what X wrote about a post.
"""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import requests
import tweepy
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies
from urllib3.exceptions import HTTPError

from listener.runtime.cancel import within
from listener.sources.common.json import read_json
from listener.sources.common.key import Key
from listener.sources.x.access import NAME, Access
from listener.sources.x.call_meter import CallMeter
from listener.sources.x.compliance import Job, read_job, read_jobs
from listener.sources.x.filter_rules import Rule, RuleAtX
from listener.sources.x.requested_fields import Asked, reason_of

# At DEBUG tweepy writes the bearer token and whole answers to the log.
logging.getLogger("tweepy").setLevel(logging.WARNING)
logging.getLogger("tweepy").addHandler(logging.NullHandler())

log = logging.getLogger(__name__)

HOSTS: Final = ("https://api.twitter.com", "https://api.x.com")
RULES: Final = "/2/tweets/search/stream/rules"
COUNTS: Final = "/2/tweets/counts/recent"
CONNECTIONS: Final = "/2/connections/all"
CONNECT_SECONDS: Final = 5.0
REST_SECONDS: Final = 15.0
"""A call that has no whole answer by then has failed, however busily its server drips."""
PAGE: Final = 100
LARGEST: Final = 20_000_000
"""Bytes of an answer: a page of posts with all that is told of them has a million or two."""


class Trouble(StrEnum):
    """Why X did not do what was asked, by what follows from it."""

    NETWORK = "network"
    """No connection, a reset, no answer in time."""
    SERVER = "server"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    NO_RULES = "no_rules"
    CAPPED = "capped"
    """The month's posts are used up."""
    OVER_BUDGET = "over_budget"
    """We have spent what we may, and have not asked."""
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    REFUSED = "refused"
    """The request itself will not do; the same again will hardly do either."""


DENIED: Final = frozenset({Trouble.UNAUTHORIZED, Trouble.FORBIDDEN})
"""X does not let us in. Mostly a person must act, but X also says so once and lets us in a moment later: asked again,
with growing pauses, like everything else."""


_BY_STATUS: Final = {
    401: Trouble.UNAUTHORIZED,
    403: Trouble.FORBIDDEN,
    420: Trouble.RATE_LIMITED,
    429: Trouble.RATE_LIMITED,
}


class XError(Exception):
    """`reset` is when X says to come back, in Unix seconds; `body` the JSON of its answer, if there was any; `why` its
    own title and the parameters that it blames."""

    def __init__(self, trouble: Trouble, status: int | None = None, reset: float | None = None, body: Any = None):
        redirected = status is not None and 300 <= status < 400
        self.why = "it redirects us, which is not followed: is x.base_url right?" if redirected else reason_of(body)
        reason = f": {self.why}" if self.why else ""
        super().__init__(f"{trouble}" + (f" (HTTP {status}){reason}" if status else ""))
        self.trouble = trouble
        self.status = status
        self.reset = reset
        self.body = body


@dataclass(frozen=True)
class Look:
    """An answer with its headers, for whoever examines X rather than uses it."""

    answer: Mapping[str, Any]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class SearchPage:
    """One page of search: the whole answer, and where the next one begins."""

    answer: Mapping[str, Any]
    next_token: str | None


class BaseUrlAdapter(HTTPAdapter):
    """Sends requests for X's hosts to `base_url`, past the call meter, with a timeout where there is none."""

    def __init__(self, base_url: str, seconds: float, call_meter: CallMeter) -> None:
        self._base = urlsplit(base_url.rstrip("/"))
        self._seconds = seconds
        self._call_meter = call_meter
        super().__init__()

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        url = urlsplit(str(request.url))
        if (url.scheme, url.netloc) != (self._base.scheme, self._base.netloc):
            request.url = urlunsplit((*self._base[:2], self._base.path + url.path, url.query, ""))
            # What the environment says of proxies was looked up for the address that tweepy wrote.
            proxies = get_environ_proxies(request.url)
        timeout = timeout or (CONNECT_SECONDS, self._seconds)
        if not self._call_meter.may_pass(url.path):
            raise XError(Trouble.OVER_BUDGET)
        answered = False
        try:
            response = super().send(request, stream, timeout, verify, cert, dict(proxies or {}))
            answered = 200 <= response.status_code < 300
        finally:
            self._call_meter.passed(url.path, answered=answered)
        if not stream and not answered:
            # Before tweepy makes an error of it: that falls over a body that is JSON but no object, or cannot be
            # unpacked, and a proxy's 401 would be no word of the token. And before requests follows a redirect, which
            # may lead round in circles, and carries the question to wherever it is sent.
            raise error_of(response)
        if not stream:
            response.raw = io.BytesIO(_whole(response))
        return response


def lead(
    session: requests.Session, base_url: str, seconds: float = REST_SECONDS, call_meter: CallMeter | None = None
) -> requests.Session:
    """A session of tweepy's, led to `base_url`."""
    adapter = BaseUrlAdapter(base_url, seconds, call_meter or CallMeter())
    for host in HOSTS:
        session.mount(host, adapter)
    return session


class Api:
    """X's endpoints of one request each. Every call ends within `seconds`, with JSON or XError; safe for threads."""

    def __init__(self, access: Access, seconds: float = REST_SECONDS) -> None:
        self._access = access
        self._seconds = seconds
        self.key = Key(NAME, access.token, access.file)
        self.asked = Asked()
        self.call_meter = CallMeter()

    def rules(self) -> list[RuleAtX]:
        """All rules at X, foreign ones too."""
        found: list[RuleAtX] = []
        token: str | None = None
        while True:
            params: dict[str, str] = {"pagination_token": token} if token else {}
            answer = self._call(partial(_get_rules, params=params))
            found += [
                RuleAtX(str(raw["id"]), str(raw["value"]), raw.get("tag"))
                for raw in answer.get("data") or ()
                if isinstance(raw, dict) and "id" in raw and "value" in raw
            ]
            token = (answer.get("meta") or {}).get("next_token")
            if not token:
                return found

    def add_rules(self, rules: Sequence[Rule], *, dry_run: bool = False) -> Mapping[str, Any]:
        """X's answer, in which `errors` name the rules that it refuses; when it refuses them all, too."""
        ask = [tweepy.StreamRule(value=rule.value, tag=rule.tag) for rule in rules]
        more = {"dry_run": "true"} if dry_run else {}
        try:
            return self._call(lambda c: c.add_rules(ask, **more))
        except XError as error:
            if error.trouble is Trouble.REFUSED and isinstance(error.body, dict) and error.body.get("errors"):
                return error.body
            raise

    def delete_rules(self, rules: Sequence[RuleAtX]) -> Mapping[str, Any]:
        return self._call(lambda c: c.delete_rules([rule.id for rule in rules]))

    def search(self, query: str, start: datetime, end: datetime, token: str | None = None) -> SearchPage:
        """A page of at most 100 posts of [start, end), newest first."""
        if end.microsecond:
            # tweepy cuts instants to whole seconds; what was said in the last one must not be cut off.
            end = end.replace(microsecond=0) + timedelta(seconds=1)
        while True:
            ask = partial(
                tweepy.Client.search_recent_tweets, query=query, start_time=start, end_time=end, max_results=PAGE,
                next_token=token, **self.asked.now(),
            )  # fmt: skip
            try:
                answer = self._call(ask, tweepy.Client)
            except XError as error:
                if not self.refuses_field(error):
                    raise
                continue
            self.asked.answered = True
            return SearchPage(answer, (answer.get("meta") or {}).get("next_token"))

    def refuses_field(self, error: XError) -> bool:
        """X refuses a field that we can do without: it is asked for no more, and the same call may be made again."""
        if error.status not in (400, 403):
            return False
        dropped = self.asked.drop(error.body)
        if dropped:
            log.warning("x: %s: no longer asked for: %s", error, ", ".join(dropped))
        return bool(dropped)

    def counts(self, query: str, start: datetime, end: datetime, token: str | None = None) -> SearchPage:
        """A page of how many posts each minute of [start, end) had, and nothing of what they say."""
        span = {"start_time": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end_time": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
        params = {"query": query, "granularity": "minute", **span, **({"next_token": token} if token else {})}
        answer = self._call(partial(_get_counts, params=params), tweepy.Client)
        return SearchPage(answer, (answer.get("meta") or {}).get("next_token"))

    def compliance_jobs(self) -> list[Job]:
        """The jobs about posts that X knows of, newest first."""
        return read_jobs(self._call(lambda c: c.get_compliance_jobs("tweets"), tweepy.Client))

    def create_compliance_job(self, name: str) -> Job:
        job = read_job(self._call(lambda c: c.create_compliance_job("tweets", name=name), tweepy.Client).get("data"))
        if job is None:
            raise XError(Trouble.SERVER)
        return job

    def look_up(self, ids: Sequence[str]) -> Mapping[str, Any]:
        """X's answer about at most 100 posts by their ids; each one that it gives is paid for."""
        return self._call(lambda c: c.get_tweets(list(ids), tweet_fields="withheld"), tweepy.Client)

    def drop_connections(self) -> None:
        """Clear all stream connections of our application, those that only X still knows among them."""
        self._call(lambda c: c.request("DELETE", CONNECTIONS))

    def look(self, path: str) -> Look:
        """GET a path of X's that answers for nothing and changes nothing."""
        response = self._answer(lambda c: c.request("GET", path), tweepy.StreamingClient)
        return Look(_json(response), response.headers)

    def _call(self, call: Callable[[Any], requests.Response], make: Any = tweepy.StreamingClient) -> dict[str, Any]:
        return _json(self._answer(call, make))

    def _answer(self, call: Callable[[Any], requests.Response], make: Any) -> requests.Response:
        def ask() -> requests.Response:
            client = make(self.key.token, return_type=requests.Response)
            with lead(client.session, self._access.base_url, self._seconds, self.call_meter):
                return call(client)

        try:
            return within(self._seconds, ask, "x-call")
        except Exception as error:
            raise as_x_error(error) from None


def _get_rules(client: Any, params: Mapping[str, str]) -> Any:
    # tweepy's `get_rules` cannot ask for a second page.
    return client.request("GET", RULES, params=params)


def _get_counts(client: Any, params: Mapping[str, str]) -> Any:
    # tweepy's `get_recent_tweets_count` cannot ask for a second page either.
    return client.request("GET", COUNTS, params=params)


def as_x_error(error: Exception) -> XError:
    """What tweepy or requests raised → what follows from it."""
    if isinstance(error, XError):
        return error
    if isinstance(error, tweepy.HTTPException):
        return error_of(error.response)
    if isinstance(error, requests.RequestException | HTTPError | OSError):
        return XError(Trouble.NETWORK)
    raise error


def _whole(response: requests.Response) -> bytes:
    """The body. Else requests would take in whatever comes, until the time for the call is over. Raises XError, and
    urllib3's errors."""
    with response.raw as raw:
        body: bytes = raw.read(LARGEST + 1, decode_content=True)
    if len(body) > LARGEST:
        raise XError(Trouble.SERVER, response.status_code)
    return body


def error_of(response: requests.Response) -> XError:
    """An answer that is not 200 → its error. Reads the body."""
    status = response.status_code
    try:
        body = read_json(response.content[:100_000])
    except (ValueError, requests.RequestException, OSError):
        body = None
    said = body if isinstance(body, dict) else {}
    return XError(_trouble(status, said), status, _reset(response.headers), body)


def _trouble(status: int, said: Mapping[str, Any]) -> Trouble:
    issue = str(said.get("connection_issue", ""))
    if issue == "TooManyConnections":
        return Trouble.TOO_MANY_CONNECTIONS
    if issue == "RuleConfigurationIssue":
        return Trouble.NO_RULES
    if "usage-capped" in str(said.get("type", "")) or said.get("title") == "UsageCapExceeded":
        return Trouble.CAPPED
    return _BY_STATUS.get(status) or (Trouble.SERVER if status >= 500 else Trouble.REFUSED)


def _reset(headers: Mapping[str, str]) -> float | None:
    try:
        reset = float(headers["x-rate-limit-reset"])
    except (KeyError, ValueError):
        return None
    return reset if math.isfinite(reset) else None


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        answer = read_json(response.content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise XError(Trouble.SERVER, response.status_code)
    return answer
