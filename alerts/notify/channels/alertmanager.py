"""Alertmanager, by its v2 API: our alert becomes one of its alerts, which its own routes carry on.

Leaves the site. One alert of ours is one of its, whatever the step: the labels say which, and whom it is for (`to`, the
contact's target). It stands there for `lasts` after our newest message about it, and not as long as it is open here: so
`lasts` must be longer than `repeat_every`. Our condition is none of its business: an alert whose condition has passed
still waits for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

from alerts.notify.channels import http
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import ChannelType, Deliver, SendNote, checked, one_line_target
from alerts.notify.channels.http_settings import LoginSettings
from listener.settings.types import Duration, within
from listener.units import format_instant

PATH = "/api/v2/alerts"
ALERTNAME = "LyttepostAlert"
LABELS = ("severity", "rule", "incident")


class AlertmanagerSettings(LoginSettings):
    """`url`: where its web page is. `wakes`: whether its routes lead to something that rings."""

    lasts: Annotated[Duration, within(timedelta(minutes=1), timedelta(days=7))] = timedelta(hours=8)
    wakes: bool = False


class Alertmanager:
    in_house = False

    def __init__(self, settings: AlertmanagerSettings) -> None:
        self._settings = settings
        self.wakes = settings.wakes

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        its, fields = self._settings, card.fields
        labels = {name: str(fields[name]) for name in LABELS if fields.get(name)}
        exercise = str(bool(fields.get("exercise"))).lower()
        labels |= {"alertname": ALERTNAME, "alert_id": note.alert, "exercise": exercise}
        if to := checked(one_line_target, target):
            labels["to"] = to
        alert: dict[str, Any] = {
            "labels": labels,
            "annotations": {"summary": card.subject, "description": card.text},
            "startsAt": fields.get("first_seen") or format_instant(note.at),
            "endsAt": format_instant(note.at + its.lasts),
        }
        if isinstance(link := fields.get("board_url"), str):
            alert["generatorURL"] = link
        url = its.address
        url = url._replace(path=f"{(url.path or '').rstrip('/')}{PATH}")
        return partial(http.post_json, url, [alert], its.sent_headers() | its.login(), timeout=its.timeout)


def open_channel(settings: Mapping[str, Any]) -> Alertmanager:
    return Alertmanager(AlertmanagerSettings.model_validate(settings))


TYPE = ChannelType(open=open_channel, check=one_line_target)
