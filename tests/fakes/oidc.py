"""A small OpenID provider on a loopback socket, which can misbehave in each way that a log-in must survive."""

from __future__ import annotations

import json
import threading
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.fakes.serving import serving

CLIENT, SECRET = "lyttepost", "en hemmelighet: med + og %"


@dataclass
class Provider:
    """`claims` are laid over those of a token; None takes one out. `status`: path → what is answered instead."""

    port: int = 0
    at: float = 0.0
    claims: dict[str, Any] = field(default_factory=dict)
    status: dict[str, int] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    large: set[str] = field(default_factory=set)
    alg: str = "RS256"
    kid: str | None = None
    forged: bool = False
    discovery: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}))
    granted: dict[str, dict[str, str]] = field(default_factory=dict)
    auth: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}/realms/ansatte"

    def new_key(self, kid: str) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})

    def log_in(self, address: str) -> str:
        """A person logs in at `address`: where they are sent back to."""
        asked = {name: texts[0] for name, texts in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = f"code{len(self.granted)}"
        self.granted[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def answer(self, path: str, form: dict[str, str], head: str) -> tuple[int, dict[str, Any]]:
        base = self.issuer
        if path.endswith("/.well-known/openid-configuration"):
            told = {
                "issuer": base,
                "authorization_endpoint": f"{base}/auth",
                "token_endpoint": f"{base}/token",
                "jwks_uri": f"{base}/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
            return 200, told | self.discovery
        if path.endswith("/keys"):
            odd = [{"kty": "XYZ", "kid": "odd"}, {"kty": "RSA", "kid": "bad"}, "nonsense"]
            return 200, {"keys": [*odd, self.key.as_dict(private=False)]}
        if path.endswith("/token"):
            return self._token(form, head)
        return 404, {}

    def _token(self, form: dict[str, str], head: str) -> tuple[int, dict[str, Any]]:
        self.auth.append(head or f"post:{form.get('client_id')}:{form.get('client_secret')}")
        if head and b64decode(head.removeprefix("Basic ")).decode() != f"{CLIENT}:{SECRET}":
            return 401, {"error": "invalid_client"}
        asked = self.granted.pop(form.get("code", ""), None)
        if asked is None or asked["redirect_uri"] != form["redirect_uri"]:
            return 400, {"error": "invalid_grant", "error_description": "hemmelig"}
        challenge = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if challenge != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "7",
            "exp": int(self.at) + 300,
            "iat": int(self.at),
            "nonce": asked["nonce"],
            "name": "Åse Øye",
            "groups": ["ansatte", "beredskap"],
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return 200, {"access_token": "at", "token_type": "Bearer", "id_token": self._signed(claims)}

    def _signed(self, claims: dict[str, Any]) -> str:
        header = {"alg": self.alg, "kid": self.kid or self.key.as_dict(private=False)["kid"]}
        if self.alg == "none":
            parts = [urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in (header, claims)]
            return f"{'.'.join(parts)}."
        if self.alg == "HS256":
            import hmac

            public = self.key.as_pem(private=False)
            parts = [urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in (header, claims)]
            made = hmac.digest(public, ".".join(parts).encode(), sha256)
            return f"{'.'.join(parts)}.{urlsafe_b64encode(made).decode().rstrip('=')}"
        key = RSAKey.generate_key(2048) if self.forged else self.key
        return jwt.encode(header, claims, key)


@contextmanager
def providing(at: float) -> Iterator[Provider]:
    """`at`: the time by its clock, seconds since 1970."""
    stop = threading.Event()
    provider = Provider(at=at)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, form: dict[str, str]) -> None:
            path = urlsplit(self.path).path
            last = path.rpartition("/")[2]
            provider.asked.append(last)
            if last in provider.slow:
                stop.wait(30)
                return
            status, told = provider.answer(path, form, self.headers.get("Authorization", ""))
            status = provider.status.get(last, status)
            body = b"{" + b" " * 2_000_000 if last in provider.large else json.dumps(told).encode()
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", f"{provider.issuer}/elsewhere")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            text = self.rfile.read(length).decode()
            self._answer({name: texts[0] for name, texts in parse_qs(text).items()})

        def log_message(self, *args: object) -> None:
            pass

    with serving(Handler, stop) as port:
        provider.port = port
        yield provider
