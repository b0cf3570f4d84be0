"""Microsoft Teams, by the address of a workflow ("when a webhook request is received"), which leads to one room.

Wakes nobody; leaves the site. An Adaptive Card of plain runs of text: of a `TextBlock` Teams would read Markdown, with
links under other words; a mention needs an entity of its own, which we never send.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from alerts.notify.channels import http
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import ChannelType, Deliver, SendNote, checked, no_target
from alerts.notify.channels.http_settings import HttpSettings

LONGEST_LINE = 1000
MOST_LINES = 20
"""Together below the 28 KB that a message of Teams may have."""


class Teams:
    in_house = False
    wakes = False

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        checked(no_target, target)
        lines = [line[:LONGEST_LINE] for line in card.lines if line.strip()][:MOST_LINES]
        content = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "msteams": {"width": "Full"},
            "body": [_block(line, first=number == 0) for number, line in enumerate(lines or [card.subject])],
        }
        attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": content}
        message = {"type": "message", "attachments": [attachment]}
        its = self._settings
        return partial(http.post_json, its.address, message, its.sent_headers(), timeout=its.timeout)


def _block(line: str, *, first: bool) -> dict[str, Any]:
    run = {"type": "TextRun", "text": line}
    if first:
        run |= {"weight": "Bolder", "size": "Medium"}
    return {"type": "RichTextBlock", "inlines": [run]}


def open_channel(settings: Mapping[str, Any]) -> Teams:
    return Teams(HttpSettings.model_validate(settings))


TYPE = ChannelType(open=open_channel, check=no_target)
