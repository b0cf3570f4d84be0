"""`lyttepost doctor`: is all in place for tonight? Each finding has an id and says what to do; none has a secret."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from listener.commands.shared import Data, Json, open_live_topics, out, out_json, out_table
from listener.errors import LyttepostError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listener.runtime.checks import Check

app = typer.Typer(help="Is everything in place for tonight? Each finding says what to do.")


@app.command()
def doctor(
    json: Json = False,
    data: Data = None,
    seconds: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=60, help="How long one answer may take.")
    ] = 15.0,
) -> None:
    """Check settings, disk, bus, retention, key, who runs, whom an alert would page, and each platform that is set up.

    Reads all that is on the bus, connects to the channels' servers without a word, and asks X four free questions and
    the other platforms a few, which count in a day's calls. Changes nothing. Exit code 1 when something failed; 0
    when nothing did.
    """
    from listener.runtime.checks import CheckLevel, worst

    if not seconds > 0:  # click's bounds let NaN through
        raise typer.BadParameter("a number of seconds from 0.1 to 60", param_hint="--timeout")
    findings = list(_examine(data, seconds))
    level = worst(findings)
    if json:
        out_json({"level": level, "findings": [finding.to_json() for finding in findings]})
    else:
        out_table([(f.level.upper() if f.level is not CheckLevel.OK else "ok", f.id, f.says) for f in findings])
        for finding in findings:
            if finding.fix:
                out(f"\n{finding.id}: {finding.fix}")
    if level is CheckLevel.FAILED:
        sys.stdout.flush()
        raise LyttepostError(f"{sum(f.level is level for f in findings)} of {len(findings)} findings failed")


def _examine(data: str | None, seconds: float) -> Iterator[Check]:
    from alerts.board.access.accounts import examine_accounts
    from alerts.duty.decided import Decided
    from alerts.highlights.state import Highlights
    from alerts.notify.diagnostics import examine_alerting, examine_routes, examine_silence
    from listener.bus.scan import scan
    from listener.clock import SystemClock
    from listener.maintenance.diagnostics import examine_deployment, examine_followed, examine_settings
    from listener.model.decisions import DECISIONS
    from listener.runtime.checks import failed
    from listener.runtime.control import Control, Presences, source_states
    from listener.settings.files import data_dir, load_yaml, raw_settings
    from listener.settings.schema import load_settings
    from listener.settings.standing_tracks import load_standing
    from listener.settings.zone import find_zone
    from listener.sources.contract import Examination, source_types

    raw = raw_settings()
    clock, settings, folder = SystemClock(), load_settings(raw), Path(data_dir(data))
    standing = load_standing(load_yaml(raw.folder / "tracks.yaml"))
    incidents, states, decided, words, roles = [], {}, None, [], set[str]()
    yield from examine_settings(raw, settings, folder)
    try:
        with closing(open_live_topics(data)) as bus:
            yield from examine_deployment(bus, settings, folder, clock)
            yield from examine_silence(bus, settings, clock)
            incidents = [i for i in Control(bus).refresh().listening if not i.synthetic]
            there = Presences(bus, clock).refresh()
            states, roles = dict(source_states(there)), {role for each in there for role in each.roles}
            words = list(scan(bus, DECISIONS))
            decided = Decided(words)
    except UsageError:
        raise
    except LyttepostError as error:
        yield failed("bus.healthy", str(error), "fix the bus first: nothing works without it")
    yield examine_followed(raw, incidents, standing)
    yield from examine_alerting(raw, standing, seconds, decided)
    yield from examine_routes(raw, folder, words, decided, clock.now(), find_zone(settings.timezone))
    if settings.board is not None:
        yield examine_accounts(folder, settings.board)
    if settings.highlights.on:
        from alerts.highlights.doctor import examine_highlights

        yield from examine_highlights(settings, clock, Highlights.of(words), roles, seconds)
    for name, its in source_types().items():
        yield from its.examine(
            Examination(
                settings=settings, incidents=incidents, standing=standing, clock=clock, seconds=seconds,
                running=name in states,
            )
        )  # fmt: skip
