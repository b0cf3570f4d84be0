"""`lyttepost x`: ask X by hand, and a fake X to try the real listener on without an account."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from listener.commands import budget
from listener.commands.fake import fakes
from listener.commands.shared import Json, out, out_json, out_table, say
from listener.errors import ConfigError, LyttepostError, Refused

app = typer.Typer(
    help="X by hand: what it costs, tracks checked against it, or a fake one to try things on.", no_args_is_help=True
)
app.add_typer(budget.group, name="budget")


@app.command()
def check(
    track: Annotated[
        list[str], typer.Option("--track", metavar="PHRASE", help="As for `mode crisis`; may be repeated.")
    ],
    json: Json = False,
) -> None:
    """Ask X whether it can listen for these tracks. Changes nothing there. Exit code 3: at least one it cannot."""
    from listener.model.tracks import canonical
    from listener.settings.schema import load_settings
    from listener.sources.x.access import x_access
    from listener.sources.x.client import Api, XError
    from listener.sources.x.filter_rules import EXACT, compile_rules
    from listener.sources.x.rule_sync import check_rules

    access = x_access(load_settings())
    if access is None:
        raise ConfigError("x.bearer_token is not set: without it X answers nothing")
    try:
        tracks = [canonical(one) for one in track]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--track") from None
    try:
        found = check_rules(Api(access), tracks)
    except XError as error:
        raise LyttepostError(f"X did not answer: {error}") from None
    compiled = compile_rules(tracks)
    if json:
        out_json(
            {
                "tracks": [{"track": t, "accepted": why is None, "why": why} for t, why in found.items()],
                "approximate": dict(compiled.approximate),
                "accents": EXACT,
                "rules": [rule.value for rule in compiled.rules],
            }
        )
    else:
        out_table([("TRACK", "X SAYS"), *((t, why or "accepted") for t, why in found.items())])
        for each, how in compiled.approximate.items():
            out(f"{each}: {how}")
        out(f"{EXACT}.")
    if any(found.values()):
        raise Refused("X does not listen for all of them")


@app.command()
def fake(
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where it listens; 0 is any free port.")] = 0,
    scenario: Annotated[
        Path | None, typer.Option("--scenario", metavar="FILE", help="What happens, and when, as JSON lines.")
    ] = None,
) -> None:
    """Run a fake X on this machine until interrupted. Point x.base_url at the address that it prints."""
    made: Any = fakes("x")
    try:
        server = made.FakeX(port=port, scenario=scenario)
    except (OSError, made.BadScenario) as error:
        raise ConfigError(f"the fake X cannot start: {error}") from None
    with server:
        out(server.url)
        sys.stdout.flush()
        keys = " ".join(
            f"LYTTEPOST_HIGHLIGHTS__{name.upper()}={key}" for name, key in server.account.settings().items()
        )
        say(f"Its account publishes with LYTTEPOST_HIGHLIGHTS__BASE_URL=<that address> {keys}")
        say("A fake X. Try: LYTTEPOST_X__BASE_URL=<that address> LYTTEPOST_X__BEARER_TOKEN=anything lyttepost run")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return
