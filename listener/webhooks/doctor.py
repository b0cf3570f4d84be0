"""Whether a platform can call us, as `lyttepost doctor` finds it: what the outside must reach, and who answers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

import requests
from urllib3.exceptions import HTTPError

from listener.runtime.cancel import time_limit
from listener.runtime.checks import Check, failed, warning, well
from listener.settings.webhooks import WebhooksSettings

_FROM_OUTSIDE: Final = "try it from outside the house too: a firewall may treat us otherwise"


def examine_webhook(
    source: str, settings: WebhooksSettings, handshake: Mapping[str, str], seconds: float, *, running: bool
) -> Check:
    """Does our own handshake come back from the address that the world sees? `handshake`: the platform's parameters,
    in which `{challenge}` stands for what must come back. `running`: a listener runs, which should answer."""
    name, url = f"{source}.webhook", settings.address_of(source)
    if url is None:
        return warning(
            name, "webhooks.url is not set: where the platform calls us is not known here, and not tried",
            f"set it to what the proxy shows the world; it passes on to {settings.host} port {settings.port}",
        )  # fmt: skip
    challenge = secrets.token_hex(8)
    asked = {key: value.replace("{challenge}", challenge) for key, value in handshake.items()}
    try:
        with (
            time_limit(2 * seconds) as scope,
            requests.get(url, params=asked, timeout=seconds, allow_redirects=False, stream=True) as answer,
        ):
            status, body = answer.status_code, answer.raw.read(200, decode_content=True)
            if scope.cancelled:
                raise TimeoutError
    except requests.exceptions.SSLError:
        return failed(name, f"the certificate of {url} is not trusted", "the platform takes none that signs itself")
    except (requests.exceptions.RequestException, HTTPError, OSError) as error:
        says = f"{url} does not answer from here ({type(error).__name__})"
        return warning(name, says, f"the platform must reach it on port 443; {_FROM_OUTSIDE}")
    if status == 200 and body == challenge.encode():
        return well(name, f"{url} answers the handshake; the platform must reach it from outside")
    if status == 401:
        return failed(name, f"{url} is answered by a listener that knows another word of the handshake", "restart it")
    if status in (502, 503, 504) and not running:
        return warning(name, f"nobody listens behind {url}: no listener runs", "start `lyttepost run`")
    return failed(
        name, f"{url} answers with {status}, and not with our handshake",
        "the proxy must pass it on as it is: no redirect, log-in or page of its own (listener/sources/README.md)",
    )  # fmt: skip
