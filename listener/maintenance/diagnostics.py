"""What `lyttepost doctor` finds: one finding a question, each with an id that stays and what to do about it.

The questions about a platform are in its own folder, those about whom an alert reaches in
`alerts.notify.diagnostics`, those about settings, bus, disk and processes here. Nothing is changed by asking, and no
answer holds a secret.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from listener.bus.integrity import problems
from listener.bus.protocol import Bus
from listener.bus.sqlite.reserve import RESERVE_BYTES
from listener.clock import Clock
from listener.errors import BusError, ConfigError
from listener.ingest.quota import quotas
from listener.maintenance.preflight import doubts, mistakes
from listener.model.incidents import Incident
from listener.model.roles import ROLES, lacking_of
from listener.model.topics import TopicSpec, topic_specs
from listener.permissions import exposed
from listener.privacy import expiry
from listener.privacy.key_fingerprint import key_problem
from listener.privacy.pseudonyms import check_key_outside, load_key
from listener.runtime.checks import Check, failed, warning, well
from listener.runtime.control import Presences
from listener.settings.bus_address import embedded_log
from listener.settings.files import RawSettings
from listener.settings.followed import HOW, allowed_accounts, left_out, persons_among, refusal
from listener.settings.schema import NOBODY_NAMED, Settings, nobody_named
from listener.sources.contract import content_limits
from listener.units import from_ms

LITTLE_BYTES = 1 << 30
"""A crisis of a day writes less; what is logged and exported beside it may not."""
SHOWN = 3
"""So many damages are reported; the rest are counted."""
NEARLY = 0.8
"""Of a day's calls, after which little is left."""
SLACK = timedelta(hours=1)
"""Retention runs each hour, so a record may be so much older than its limit."""


def examine_deployment(bus: Bus, settings: Settings, folder: Path, clock: Clock) -> Iterator[Check]:
    """The bus and all that lies on it, the disk, the pseudonym key, and who runs."""
    why = bus.healthy()
    if why is None:
        yield well("bus.healthy", f"the bus answers and takes records ({settings.bus.url.split('@')[-1]})")
    else:
        yield failed("bus.healthy", why, "fix the bus first: nothing works without it")
        return
    yield _integrity(bus)
    yield _retention(bus, settings, folder, clock)
    yield _key(settings, folder, bus)
    yield from _quotas(bus, clock)
    running = {role for presence in Presences(bus, clock).refresh() for role in presence.roles}
    for role in ROLES:
        lacking = lacking_of(role, running)
        if not lacking:
            yield well(f"run.{role}", f"a process with the role {role} runs")
        for each in lacking:
            yield warning(
                f"run.{each}", f"no process with the role {each} runs", f"start `lyttepost run --role {each}`"
            )


def _quotas(bus: Bus, clock: Clock) -> Iterator[Check]:
    """What is left of a day's calls where a platform allows so many."""
    for source, use in sorted(quotas(bus).items()):
        if clock.now() - use.at > timedelta(days=1):
            continue  # nothing was asked today
        says = f"{use.used} of {use.units} units were used on {use.day}, the platform's own day"
        if use.exhausted or use.used >= use.units:
            fix = "nothing more is heard of it until the platform's midnight: apply for more, or ask less often"
            yield failed(f"{source}.quota", f"{says}: nothing is left", fix)
        elif use.used > use.units * NEARLY:
            yield warning(f"{source}.quota", f"{says}: little is left", "it is asked more rarely; apply for more")
        else:
            yield well(f"{source}.quota", says)


def examine_settings(raw: RawSettings, settings: Settings, folder: Path) -> Iterator[Check]:
    """What can be known of the settings without asking anybody, and the folder that holds all state."""
    found = mistakes(raw, settings, folder)
    for problem in found:
        yield failed("config.settings", problem, "correct it, and check it with `lyttepost config check`")
    unsure = [doubt for doubt in doubts(raw, settings, ()) if not found]
    for problem in unsure:
        yield warning("config.settings", problem, "correct it, unless it is intended")
    if not found and not unsure:
        yield well("config.settings", f"the settings are as they should be, and so is what they name ({raw.file.path})")
    if nobody_named(raw, settings) is None:
        yield well("privacy.named_accounts", "newsrooms and public bodies are named")
    else:
        fix = "name them in privacy.named_accounts: what they say is not what the public asks and wishes"
        yield warning("privacy.named_accounts", f"privacy.named_accounts {NOBODY_NAMED}", fix)
    if os.environ.get("LYTTEPOST_CRASH"):
        yield warning(
            "config.crash", "LYTTEPOST_CRASH is set: it kills a process where a test wants it", "unset the variable"
        )
    yield _private(folder)
    yield _disk(settings, folder)


def examine_followed(raw: RawSettings, incidents: Iterable[Incident], standing: Iterable[str]) -> Check:
    """Whether a track would follow a person: of tracks.yaml, or of an incident that was opened when the settings
    allowed it."""
    allowed = allowed_accounts(raw)
    if wrong := persons_among(standing, allowed):
        return failed("privacy.followed", f"tracks.yaml: {refusal(wrong[0])}", "correct it; `lyttepost run` refuses it")
    if wrong := left_out(incidents, allowed):
        says = f"{', '.join(wrong[:3])}: not listened for, because it would follow a person"
        return warning("privacy.followed", says, f"drop it (`lyttepost mode change --drop-track`), or {HOW}")
    return well("privacy.followed", "no track follows a person")


def _private(folder: Path) -> Check:
    if not folder.is_dir():
        return well("data.private", "there is no data folder yet; it will be for its owner alone")
    if found := list(exposed(folder)):
        return warning("data.private", "; ".join(found), f"let only its owner read it: `chmod -R go= {folder}`")
    return well("data.private", "only its owner can read the data folder")


def _disk(settings: Settings, folder: Path) -> Check:
    """Room where the state lies: the embedded log with its reserve, or what is kept while a cluster is away."""
    scheme, _, rest = settings.bus.url.partition(":")
    place = embedded_log(rest, folder).parent if scheme == "embedded" else folder
    here = next(each for each in (place.absolute(), *place.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(here).free
    says = f"{free >> 20} MiB free where {'the bus is' if scheme == 'embedded' else 'posts wait'} ({here})"
    fix = "make room on the disk, or move the data folder to a larger one"
    if free < 2 * RESERVE_BYTES:
        return failed("disk.space", f"{says}: posts are refused when it is full", fix)
    if scheme != "embedded" and free < settings.bus.kafka.buffer:
        return warning("disk.space", f"{says}: less than bus.kafka.buffer, {settings.bus.kafka.buffer >> 20} MiB", fix)
    if free < LITTLE_BYTES:
        return warning("disk.space", f"{says}: little for a crisis", fix)
    return well("disk.space", says)


def _integrity(bus: Bus) -> Check:
    try:
        found = list(problems(bus))
    except BusError as error:
        return failed("bus.integrity", str(error), "fix the bus, and run this again")
    if found:
        more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        return failed(
            "bus.integrity",
            "; ".join(found[:SHOWN]) + more,
            "stop all processes, keep a copy of the data folder, and restore the newest backup",
        )
    return well("bus.integrity", "every record can be read, and the chains of deliveries and decisions are unbroken")


def overdue(bus: Bus, specs: Iterable[TopicSpec], now: datetime) -> list[str]:
    """The topics whose oldest record is older than allowed. Retention runs each hour; so much is no delay."""
    oldest = {info.name: info.oldest_ms for info in bus.topics()}
    return [
        spec.name
        for spec in specs
        if spec.keep is not None and (ms := oldest.get(spec.name)) is not None and now - from_ms(ms) > spec.keep + SLACK
    ]


def _retention(bus: Bus, settings: Settings, folder: Path, clock: Clock) -> Check:
    late = overdue(bus, topic_specs(settings.bus.partitions, settings.retention.keep()), clock.now())
    with suppress(ConfigError):  # told among the settings
        limits = content_limits(settings)
        oldest = expiry.oldest_held(bus, folder, limits)
        late += [f"content of {source}" for source in expiry.overdue(oldest, limits, clock.now())]
    if late:
        return failed(
            "retention.kept",
            f"{', '.join(late)}: older than the settings or a platform's terms allow",
            "run `lyttepost privacy retention`, and see why `lyttepost run` did not",
        )
    return well("retention.kept", "nothing is older than the settings allow")


def _key(settings: Settings, folder: Path, bus: Bus) -> Check:
    path = settings.privacy.key_path
    try:
        check_key_outside(path, folder)
        if (problem := key_problem(path, bus)) is not None:
            return failed("privacy.key", problem, "restore the key; until then no post is taken in")
        load_key(path, create=False)
    except ConfigError as error:
        if path.exists():
            return failed("privacy.key", str(error), "fix the key file; without it no post is taken in")
        return warning("privacy.key", f"{path} does not exist yet", "`lyttepost run` makes it at its first start")
    return well("privacy.key", "the pseudonym key is there, outside the data folder, and only its owner may read it")
