"""From parsed settings to parts: what `run`, `replay` and `demo` are made of. The one place that knows them all."""

from __future__ import annotations

import hashlib
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from alerts.app import AlertsParts, App, ListenerParts
from listener import __version__
from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.model.records import AuthorClass
from listener.model.topics import topic_specs
from listener.privacy import key_fingerprint as known_key
from listener.privacy.pseudonyms import check_key_outside, load_key
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import OpsAlerts
from listener.settings.files import RawSettings, load_yaml
from listener.settings.followed import check_standing
from listener.settings.schema import Settings, Tier
from listener.settings.standing_tracks import load_standing
from listener.settings.zone import find_zone
from listener.sources.contract import Source, content_limits, source_types

if TYPE_CHECKING:
    from alerts.annotate.learned import Model
    from alerts.board.make import BoardParts
    from alerts.highlights.parts import HighlightsParts
    from alerts.notify.channels.contract import Channel
    from alerts.notify.messages import Messages
    from alerts.notify.recipients import People
    from alerts.notify.reports import Reports


def make_metrics(settings: Settings, clock: Clock) -> Metrics:
    """The metrics of one process."""
    metrics = Metrics(CollectorRegistry(), __version__)
    metrics.clock.set_function(lambda: clock.now().timestamp())
    every = settings.canary.every
    metrics.canary_interval.set(0 if every is None else every.total_seconds())
    return metrics


def make_app(
    settings: Settings,
    folder: Path,
    bus: Bus,
    clock: Clock,
    role: str,
    name: str = "",
    *,
    metrics: Metrics | None = None,
    health: Health | None = None,
) -> App:
    """The bus with all its topics, metrics and health of one process; those that are given, or its own."""
    specs = topic_specs(settings.bus.partitions, settings.retention.keep())
    bus.ensure(specs)
    return App(
        settings=settings,
        folder=folder,
        bus=bus,
        specs=specs,
        clock=clock,
        metrics=metrics or make_metrics(settings, clock),
        health=health or Health(clock),
        process=process_name(role, folder, name),
        limits=content_limits(settings),
    )


def process_name(role: str, folder: Path, name: str = "") -> str:
    """The same after a restart, so that the new process takes its predecessor's place at once."""
    mark = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:6]
    return f"{role}{f'-{name}' if name else ''}@{socket.gethostname()}-{mark}"


def make_listener(
    app: App,
    raw: RawSettings,
    sources: Sequence[Source],
    key: bytes,
    named: Mapping[str, AuthorClass] | None = None,
) -> ListenerParts:
    """What the role `listener` needs: sources, the privacy screen, the standing tracks."""
    from listener.privacy.screen import Screen

    masks = app.metrics.masks
    screen = Screen(
        key,
        {**app.settings.privacy.named_accounts.classes(), **(named or {})},
        lambda kind, count: masks.labels(kind).inc(count),
    )
    file, allowed = load_yaml(raw.folder / "tracks.yaml"), app.settings.privacy.may_be_followed
    standing = load_standing(file)
    check_standing(file, standing, allowed)
    return ListenerParts(
        sources=sources,
        screen=screen,
        standing=standing,
        # Of a recording that is played to oneself nothing is kept, and any of its accounts may be looked at.
        allowed=allowed if named is None else None,
        ops=OpsAlerts.load(raw.folder),
    )


def live_key(settings: Settings, folder: Path, app: App | None = None) -> bytes:
    """The pseudonym key of this deployment, made on first use.

    With an app, its bus tells which key it was before: raises ConfigError when that is lost or another one.
    """
    path = settings.privacy.key_path
    check_key_outside(path, folder)
    return load_key(path, create=True) if app is None else known_key.live_key(path, app.bus, app.clock)


def passing_key() -> bytes:
    """A key for one replay: its pseudonyms lead nowhere afterwards."""
    return secrets.token_bytes(32)


def live_sources(settings: Settings, clock: Clock) -> list[Source]:
    return [source for its in source_types().values() if (source := its.make(settings, clock)) is not None]


def make_alerts(
    raw: RawSettings, settings: Settings, rules: Path | None, *, tell: bool, learned: Path | None = None
) -> AlertsParts:
    """What the role `alerts` needs. Without `tell` nobody is sent anything.

    `learned`: the data folder in which the model may have learned from corrections.

    Raises ConfigError for any file that is wrong; for what the model is made of when it is loaded.
    """
    from alerts.judge.reload import Rulebook
    from alerts.notify.channels.contract import open_channels
    from alerts.notify.duty import DutyFollower
    from alerts.notify.messages import load_all_messages, load_messages
    from alerts.notify.recipients import load_people

    def model() -> Model:
        from alerts.annotate.learned import Model

        return Model(raw.folder, learned)

    def better() -> Model:
        from alerts.annotate.better import ENCODER
        from alerts.annotate.learned import Model

        return Model(raw.folder, learned, encoder=ENCODER)

    def read_people() -> tuple[People, Mapping[str, Channel]]:
        people = load_people(file).in_zone(find_zone(settings.timezone))
        return people, open_channels(people.channels(), raw) if tell else {}

    file = raw.folder / "people.yaml"
    people, channels = read_people()
    rulebook = Rulebook(rules or raw.folder / "rules")
    languages = load_all_messages(raw.folder, settings.timezone) if tell else {}
    ours = languages.get(settings.language) or load_messages(raw.folder, settings.language, settings.timezone)
    return AlertsParts(
        rules=rulebook.rules,
        model=model,
        people=people,
        messages=ours,
        channels=channels if tell else None,
        languages=languages,
        duty=(lambda at: DutyFollower(file, learned, read_people, at)) if tell else None,
        # Edits count where somebody is sent alerts; a replay is of one piece.
        rulebook=rulebook if tell else None,
        standing=load_standing(load_yaml(raw.folder / "tracks.yaml")),
        ops=OpsAlerts.load(raw.folder),
        better=better if settings.understanding.tier is Tier.BETTER else None,
        reports=_reports(raw, settings, languages) if tell else None,
    )


def _reports(
    raw: RawSettings, settings: Settings, languages: Mapping[str, Messages]
) -> Callable[[App], Reports] | None:
    """What mails the situation report to the crisis team; None where it is not mailed. Raises ConfigError."""
    if (every := settings.report.every) is None:
        return None
    from alerts.notify.reports import Reports
    from alerts.register.denials import DenialWords
    from alerts.report.scheduled import ScheduledReport
    from alerts.situation.words import load_words

    words = {language: load_words(raw.folder, messages) for language, messages in languages.items()}
    deny, zone = DenialWords.load(raw.folder), find_zone(settings.timezone)
    return lambda app: Reports(
        every, ScheduledReport(app.bus, app.folder / "register.sqlite", words, deny, zone, app.clock)
    )


def make_highlights_parts(raw: RawSettings, settings: Settings) -> HighlightsParts:
    """What the role `highlights` needs. Raises ConfigError for a text that is wrong."""
    from alerts.highlights.parts import make_highlights

    return make_highlights(settings, raw.folder)


def make_board_parts(raw: RawSettings, settings: Settings, folder: Path) -> BoardParts:
    """What the role `board` needs. Raises ConfigError for any file that is wrong."""
    from alerts.board.make import BoardParts
    from alerts.notify.duty import DutyFollower
    from alerts.notify.messages import load_all_messages
    from alerts.notify.recipients import load_people
    from alerts.situation.words import load_words

    file, zone = raw.folder / "people.yaml", find_zone(settings.timezone)
    languages = load_all_messages(raw.folder, settings.timezone)
    return BoardParts(
        words={language: load_words(raw.folder, messages) for language, messages in languages.items()},
        raw=raw,
        duty=lambda at: DutyFollower(file, folder, lambda: (load_people(file).in_zone(zone), {}), at),
    )
