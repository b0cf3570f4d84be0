"""What the role `highlights` needs, from the settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from alerts.highlights.compose import Composing
from alerts.highlights.contract import Account
from alerts.highlights.plan import Schedule
from alerts.highlights.proposing import Reading
from listener.runtime.ops_alerts import OpsAlerts
from listener.settings.highlights import hours_of
from listener.settings.schema import Settings
from listener.settings.zone import find_zone


@dataclass(frozen=True)
class HighlightsParts:
    """`reading`: None where no feeds are named."""

    reading: Reading | None
    account: Account
    schedule: Schedule
    ops: OpsAlerts


def schedule_of(settings: Settings) -> Schedule:
    its = settings.highlights
    return Schedule(hours_of(its.hours) if its.hours else None, its.apart, its.late, find_zone(settings.timezone))


def reading_of(settings: Settings) -> Reading | None:
    its = settings.highlights
    if not its.all_feeds:
        return None
    return Reading(its, Composing(its.newest, settings.language, find_zone(settings.timezone)))


def make_highlights(settings: Settings, folder: Path) -> HighlightsParts:
    """`folder`: of the configuration. Raises ConfigError for a text that is wrong."""
    # tweepy takes a third of a second to import.
    from alerts.highlights.account import XAccount

    its = settings.highlights
    return HighlightsParts(
        reading_of(settings), XAccount(its.keys, its.base_url), schedule_of(settings), OpsAlerts.load(folder)
    )
