"""Slack, by the address of an incoming webhook, which leads to one room. Wakes nobody; leaves the site.

The text is shown as it is: nothing in it becomes a mention, a link under other words, or bold.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from alerts.notify.channels import http
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import ChannelType, Deliver, SendNote, checked, no_target
from alerts.notify.channels.http_settings import HttpSettings

LONGEST = 3000
"""Characters of one block."""
ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
"""What Slack's pages ask for: `<!channel>` and `<@U1>` are mentions wherever they stand in a text."""


class Slack:
    in_house = False
    wakes = False

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        checked(no_target, target)
        message = {
            # What is shown in a notification. Without link_names no @name is looked up.
            "text": card.subject[:LONGEST].translate(ESCAPES),
            "mrkdwn": False,
            "link_names": False,
            "unfurl_links": False,
            "unfurl_media": False,
            # Of plain_text Slack reads nothing but emoji names, which we switch off.
            "blocks": [{"type": "section", "text": {"type": "plain_text", "text": _cut(card.text), "emoji": False}}],
        }
        its = self._settings
        return partial(http.post_json, its.address, message, its.sent_headers(), timeout=its.timeout)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def open_channel(settings: Mapping[str, Any]) -> Slack:
    return Slack(HttpSettings.model_validate(settings))


TYPE = ChannelType(open=open_channel, check=no_target)
