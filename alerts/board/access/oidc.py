"""The house's own log-in by OpenID Connect: the code flow with PKCE, by Authlib. Nothing here runs on an event loop.

What the provider says of itself (discovery) and its keys are kept for an hour; what could not be read is asked for
again at the next log-in, and keys once more where a token names one that is unknown. Tokens are checked to the letter:
issuer, audience, nonce, times, and a signature by a key of the provider's.
"""

from __future__ import annotations

import io
import json
import ssl
import threading
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from alerts.board.access.names import fit_name
from alerts.board.access.proxy import role_of
from alerts.board.access.roles import Who
from listener.clock import Clock
from listener.errors import ConfigError
from listener.runtime.cancel import time_limit
from listener.settings.board import OidcSettings
from listener.settings.hosts import is_loopback

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

BACK = "/login/back"
"""Where the provider sends people back to, under the board's address."""
MISSING = "board.oidc: needs the library Authlib; install it with: pip install 'lyttepost[oidc]'"
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures that only the provider can make: neither `none` nor those by a shared secret."""
KEPT_SECONDS = 3600.0
STEP_SECONDS, ALL_SECONDS = 5.0, 15.0
"""For each read and write, and for a whole answer."""
KEYS_AGAIN_SECONDS = 30.0
"""So often at most are keys asked for that were not among those we have."""
LARGEST = 512 * 1024
"""Bytes of an answer."""
LEEWAY = 60
"""Seconds that the provider's clock may differ from ours."""


class OidcProblem(StrEnum):
    """Why nobody was let in; each has a text that says what to do."""

    AWAY = "away"
    """The provider does not answer, or not as it should."""
    REFUSED = "refused"
    """The provider does not accept our code or our secret."""
    UNTRUSTED = "untrusted"
    """What it says cannot be trusted."""
    OLD = "old"
    """The log-in was begun too long ago, elsewhere, or not by this browser."""
    DENIED = "denied"
    """The provider did not let them in."""
    NO_ROLE = "no_role"
    NO_NAME = "no_name"


class OidcError(Exception):
    """`detail` is for the log, in our own words: nothing of a token, a code or an answer's text."""

    def __init__(self, problem: OidcProblem, detail: str) -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem = problem
        self.detail = detail


class _Provider:
    """What the provider says of itself, and its keys."""

    def __init__(self, about: Mapping[str, Any], at: float) -> None:
        self.about = about
        self.at = at
        self.keys: KeySet | None = None
        self.keys_at = 0.0


class Oidc:
    """May be used by several threads."""

    def __init__(self, settings: OidcSettings, url: str, clock: Clock) -> None:
        """`url`: the board's own address. Raises ConfigError where the library or the secret is missing."""
        try:
            import authlib.oidc.core  # noqa: F401
            import joserfc  # noqa: F401
        except ImportError:
            raise ConfigError(MISSING) from None
        settings.secret()
        self._settings = settings
        self._back = url + BACK
        self._clock = clock
        self._lock = threading.Lock()
        self._known: _Provider | None = None

    @property
    def issuer(self) -> str:
        return self._settings.issuer

    def address(self, state: str, nonce: str, verifier: str) -> str:
        """Where somebody logs in. Raises OidcError."""
        about = self._provider().about
        with self._session(about) as session:
            address, _ = session.create_authorization_url(
                about["authorization_endpoint"], state=state, code_verifier=verifier, nonce=nonce
            )
        return str(address)

    def who(self, code: str, nonce: str, verifier: str) -> Who:
        """Who came back with this code. Raises OidcError."""
        provider = self._provider()
        token = self._token(provider.about, code, verifier)
        claims = self._claims(provider, token, nonce)
        its = self._settings
        role = role_of(_texts(claims, its.role_claim) if its.role_claim else (), its.roles)
        if role is None:
            raise OidcError(OidcProblem.NO_ROLE, f"nothing in {its.role_claim} stands in board.oidc.roles")
        names = _texts(claims, its.name_claim)
        try:
            return Who(fit_name(names[0]), role)
        except (IndexError, ValueError):
            raise OidcError(OidcProblem.NO_NAME, f"{its.name_claim} holds no name; see board.oidc.name_claim") from None

    def _provider(self) -> _Provider:
        with self._lock:
            known = self._known
            if known is not None and self._clock.monotonic() - known.at < KEPT_SECONDS:
                return known
        issuer = self._settings.issuer
        about = _fetched(f"{issuer.rstrip('/')}/.well-known/openid-configuration", "discovery")
        if about.get("issuer") != issuer:
            raise OidcError(OidcProblem.UNTRUSTED, "discovery names another issuer; write board.oidc.issuer as it does")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not _is_safe(about.get(name)):
                raise OidcError(OidcProblem.UNTRUSTED, f"discovery gives no https address as its {name}")
        found = _Provider(about, self._clock.monotonic())
        with self._lock:
            self._known = found
        return found

    def _keys(self, provider: _Provider, *, anew: bool) -> KeySet | None:
        """None where they were asked for just now and need not be again."""
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet, import_key

        now = self._clock.monotonic()
        with self._lock:
            if provider.keys is not None and not anew:
                return provider.keys
            if provider.keys is not None and now - provider.keys_at < KEYS_AGAIN_SECONDS:
                return None
        listed = _fetched(provider.about["jwks_uri"], "its keys").get("keys")
        keys = []
        for each in listed if isinstance(listed, list) else ():
            try:
                if each.get("use", "sig") == "sig" and each.get("kty") in ("RSA", "EC"):
                    keys.append(import_key(each))
            except (JoseError, ValueError, TypeError, AttributeError, KeyError):
                continue  # one that we cannot read is none of ours
        if not keys:
            raise OidcError(OidcProblem.UNTRUSTED, "it publishes no keys that we can use")
        found = KeySet(keys)
        with self._lock:
            provider.keys, provider.keys_at = found, now
        return found

    def _token(self, about: Mapping[str, Any], code: str, verifier: str) -> Mapping[str, Any]:
        from authlib.common.errors import AuthlibBaseError

        try:
            with self._session(about) as session:
                found = session.fetch_token(
                    about["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=verifier,
                    redirect_uri=self._back,
                    allow_redirects=False,
                )
        except AuthlibBaseError as error:
            named = str(error.error)
            what = named if named in _ERRORS else "an error"
            raise OidcError(OidcProblem.REFUSED, f"its token endpoint answers {what}") from None
        except (requests.RequestException, OSError, ValueError) as error:
            raise OidcError(OidcProblem.AWAY, f"its token endpoint: {_why(error)}") from None
        if not isinstance(found, dict) or not isinstance(found.get("id_token"), str):
            raise OidcError(OidcProblem.UNTRUSTED, "its token endpoint gives no id_token")
        return found

    def _claims(self, provider: _Provider, token: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        from authlib.oidc.core.claims import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError

        its = self._settings
        text = token["id_token"]
        try:
            try:
                decoded = jwt.decode(text, self._keys(provider, anew=False) or _no_keys(), algorithms=[*ALGORITHMS])
            except (InvalidKeyIdError, BadSignatureError, ValueError):
                # A key that is newer than those we have.
                keys = self._keys(provider, anew=True)
                if keys is None:
                    raise
                decoded = jwt.decode(text, keys, algorithms=[*ALGORITHMS])
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {"iss": {"essential": True, "value": its.issuer}, "aud": {"essential": True, "value": its.client_id}},
                {"nonce": nonce, "client_id": its.client_id, "access_token": token.get("access_token")},
            )
            claims.validate(now=int(self._clock.now().timestamp()), leeway=LEEWAY)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise OidcError(OidcProblem.UNTRUSTED, f"its token does not hold: {_named(error)}") from None
        audience = claims.get("aud")
        # Once more by ourselves: these three keep everybody else out.
        if (
            claims.get("iss") != its.issuer
            or its.client_id not in (audience if isinstance(audience, list) else [audience])
            or claims.get("nonce") != nonce
        ):
            raise OidcError(OidcProblem.UNTRUSTED, "its token is for somebody else")
        return dict(claims)

    def _session(self, about: Mapping[str, Any]) -> Any:
        from authlib.integrations.requests_client import OAuth2Session

        offered = about.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = not isinstance(offered, list) or "client_secret_basic" in offered
        session = OAuth2Session(
            self._settings.client_id,
            self._settings.secret().get_secret_value(),
            token_endpoint_auth_method="client_secret_basic" if basic else "client_secret_post",
            scope="openid profile email",
            redirect_uri=self._back,
            code_challenge_method="S256",
        )
        session.register_compliance_hook("access_token_response", _no_redirect)
        return _bounded(session)


_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
"""What a token endpoint may say by its standard; anything else is not repeated."""


class _Bounded(HTTPAdapter):
    """Trusts whom this system trusts; waits only so long; and reads only so much."""

    def init_poolmanager(self, *args: Any, **more: Any) -> None:
        super().init_poolmanager(*args, **more, ssl_context=ssl.create_default_context())

    def send(self, request: requests.PreparedRequest, *args: Any, **more: Any) -> requests.Response:
        with time_limit(ALL_SECONDS) as scope:
            try:
                response = super().send(request, *args, **{**more, "stream": True, "timeout": STEP_SECONDS})
                with response.raw as raw:
                    body = raw.read(LARGEST + 1, decode_content=True)
            except (requests.RequestException, HTTPError, OSError) as error:
                if scope.cancelled:
                    raise requests.exceptions.ReadTimeout("too slow") from None
                if isinstance(error, HTTPError):
                    raise requests.exceptions.ConnectionError("breaks off") from None
                raise
        if scope.cancelled:
            # A body of no known length ends where the connection was shut.
            raise requests.exceptions.ReadTimeout("too slow")
        if len(body) > LARGEST:
            raise requests.exceptions.ContentDecodingError("too large")
        response.raw = io.BytesIO(body)
        return response


def _no_redirect(response: requests.Response) -> requests.Response:
    """It is not followed, for it would carry our secret along; nor is what lies beside it read."""
    if response.status_code // 100 == 3:
        raise requests.HTTPError(response=response)
    return response


def _bounded(session: requests.Session) -> requests.Session:
    # Neither a proxy nor a password from the environment.
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Bounded())
    return session


def _fetched(address: str, what: str) -> Mapping[str, Any]:
    """A JSON object; a second try where the first came to nothing. Raises OidcError."""
    for last in (False, True):
        try:
            with _bounded(requests.Session()) as session:
                answer = session.get(address, headers={"Accept": "application/json"}, allow_redirects=False)
            if answer.status_code != 200:
                raise OSError(f"answers {answer.status_code}")
            found = json.loads(answer.content)
            if not isinstance(found, dict):
                raise ValueError
            return found
        except (requests.RequestException, OSError, ValueError, RecursionError) as error:
            # Who was slow is not waited for twice.
            if last or isinstance(error, requests.exceptions.Timeout):
                raise OidcError(OidcProblem.AWAY, f"{what}: {_why(error)}") from None
    raise AssertionError


def _why(error: Exception) -> str:
    """Of our own making: what a client says may hold an address with a code in it."""
    match error:
        case requests.exceptions.SSLError():
            return "its certificate cannot be trusted"
        case requests.exceptions.Timeout():
            return "no answer in time"
        case requests.exceptions.ConnectionError():
            return "cannot be reached"
        case requests.exceptions.HTTPError() if error.response is not None:
            return f"answers {error.response.status_code}"
        case requests.RequestException():
            return f"no answer that can be read ({type(error).__name__})"
        case OSError():
            return str(error) if str(error).startswith("answers ") else "cannot be reached"
    return "no answer that can be read"


def _named(error: Exception) -> str:
    claim = getattr(error, "claim", None)
    return f"{type(error).__name__}{f' of {claim}' if claim in _CLAIMS else ''}"


_CLAIMS = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "auth_time", "nonce", "amr", "azp", "at_hash"})


def _no_keys() -> Any:
    raise ValueError


def _is_safe(address: object) -> bool:
    if not isinstance(address, str):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    )


def _texts(claims: Mapping[str, Any], path: str) -> list[str]:
    """What a claim holds: a text or texts. Dots lead inwards where no claim has the whole name."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    return [each for each in (found if isinstance(found, list) else [found]) if isinstance(each, str)]
