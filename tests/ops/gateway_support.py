"""The gateways that alerts/notify/channels/README.md describes, set up against fakes of theirs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from alerts.notify.channels.contract import Channel, channel_type
from listener.settings.files import parse_yaml
from tests.fakes.gateway import FakeGateway

README = Path(__file__).parents[2] / "alerts" / "notify" / "channels" / "README.md"
TOKEN = "hemmelig-adresse-1"
NUMBER = "+4740612345"


def documented() -> dict[tuple[str, str], dict[str, Any]]:
    """Heading and channel → its settings, as the page has them."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for heading, text in re.findall(
        r"^## (.+?)\n(.*?)(?=^## |\Z)", README.read_text("utf-8"), re.MULTILINE | re.DOTALL
    ):
        for block in re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            ((channel, settings),) = parse_yaml(block, README).data.items()
            found[heading, channel] = settings
    return found


DOCUMENTED = documented()


def settings_of(provider: str, folder: Path, url: str, channel: str = "sms", **more: Any) -> dict[str, Any]:
    """The page's settings, with an address and secrets that are there."""
    (folder / "password").write_text("hemmelig-passord\n", encoding="utf-8")
    (folder / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    own = {"url": url, "password_file": str(folder / "password"), "callback_token_file": str(folder / "token")}
    return {**DOCUMENTED[provider, channel], **own, "timeout": 0.5, **more}


def opened(provider: str, folder: Path, fake: FakeGateway, channel: str = "sms", **more: Any) -> Channel:
    return channel_type(channel).open({**settings_of(provider, folder, fake.url, channel), **more})
