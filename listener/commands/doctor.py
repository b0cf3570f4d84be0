"""`lyttepost doctor`: is everything in place for tonight? Each finding has an id and a mend; no secret is printed."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from listener.commands import Data, Json, open_live_topics, out, out_json, out_table
from listener.errors import LyttepostError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from listener.doctor import Finding

app = typer.Typer(help="Is everything in place? Findings with a mend each.")


@app.command()
def doctor(
    json: Json = False,
    data: Data = None,
    seconds: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=60, help="How long X may take for one answer.")
    ] = 15.0,
) -> None:
    """Look after the bus, the key, who runs, and X: key, plan, rules, clocks, connections, cost.

    Changes nothing; asks X three free questions. Exit code 1 when something failed; 0 when nothing did.
    """
    from listener.doctor import Level, worst

    if not seconds > 0:  # click's bounds let NaN through
        raise typer.BadParameter("a number of seconds from 0.1 to 60", param_hint="--timeout")
    findings = list(_examine(data, seconds))
    level = worst(findings)
    if json:
        out_json({"level": level, "findings": [finding.to_json() for finding in findings]})
    else:
        out_table([(f.level.upper() if f.level is not Level.OK else "ok", f.id, f.says) for f in findings])
        for finding in findings:
            if finding.mend:
                out(f"\n{finding.id}: {finding.mend}")
    if level is Level.FAILED:
        sys.stdout.flush()
        raise LyttepostError(f"{sum(f.level is level for f in findings)} of {len(findings)} findings failed")


def _examine(data: str | None, seconds: float) -> Iterator[Finding]:
    from listener.clock import SystemClock
    from listener.config import data_dir, load_yaml, raw_settings
    from listener.control import Control
    from listener.doctor import examine_house, failed, warning
    from listener.settings import load_settings
    from listener.tracks import load_standing
    from listener.x.access import x_access

    clock, settings = SystemClock(), load_settings()
    standing = load_standing(load_yaml(raw_settings().folder / "tracks.yaml"))
    incidents = []
    try:
        with closing(open_live_topics(data)) as bus:
            yield from examine_house(bus, settings, Path(data_dir(data)), clock)
            incidents = [i for i in Control(bus).refresh().listening if not i.synthetic]
    except UsageError:
        raise
    except LyttepostError as error:
        yield failed("bus.healthy", str(error), "make the bus well first: nothing works without it")
    if (access := x_access(settings)) is None:
        yield warning(
            "x.token",
            "x.bearer_token is not set: X is not listened to",
            "set x.bearer_token_file to a file with the bearer token, if X is to be heard",
        )
        return
    # tweepy takes a third of a second to import: only who uses X pays for it.
    from listener.x.examine import examine_x

    yield from examine_x(access, settings.x, incidents, standing, clock, seconds)
