"""`lyttepost fake`: a fake platform on this machine, to try the real listener on without an account."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from importlib.resources import files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from listener.commands.shared import out, say
from listener.errors import ConfigError, UsageError

SAMPLE = "sample"


class Fake(NamedTuple):
    """The class in the module of that platform, and how to point a listener at the address of the one that runs."""

    made: str
    hint: str


FAKES: Mapping[str, Fake] = {
    "bluesky": Fake("FakeBluesky", "LYTTEPOST_BLUESKY__HOSTS='[\"<that address>\"]' LYTTEPOST_BLUESKY__ENABLED=true"),
    "facebook": Fake(
        "FakeFacebook",
        "LYTTEPOST_META__BASE_URL=<that address> LYTTEPOST_META__APP_SECRET=a-secret-of-no-app "
        "LYTTEPOST_META__VERIFY_TOKEN=et-ord-vi-valgte LYTTEPOST_FACEBOOK__PAGE_ID=1000 "
        "LYTTEPOST_FACEBOOK__ACCESS_TOKEN=EAAa-token-of-no-app",
    ),
    "feeds": Fake(
        "FakeFeeds",
        "LYTTEPOST_FEEDS__READ='["
        '{"url": "<that address>/feeds/posten", "name": "Posten", "inside": true}, '
        '{"url": "<that address>/feeds/avisa", "name": "Avisa", "inside": true}, '
        '{"url": "<that address>/feeds/sykehuset", "name": "Sykehuset", "by": "own", "inside": true}]\'',
    ),
    "linkedin": Fake(
        "FakeLinkedIn",
        "LYTTEPOST_LINKEDIN__BASE_URL=<that address> LYTTEPOST_LINKEDIN__ENABLED=true LYTTEPOST_LINKEDIN__BASIS=fake "
        "LYTTEPOST_LINKEDIN__ORGANIZATION=2031 LYTTEPOST_LINKEDIN__TOKEN=a-token-of-no-account",
    ),
    "mastodon": Fake(
        "FakeMastodon",
        'LYTTEPOST_MASTODON__SERVERS=\'[{"url": "<that address>", "token": "a-token-of-no-account"}]\'',
    ),
    "youtube": Fake(
        "FakeYoutube",
        "LYTTEPOST_YOUTUBE__BASE_URL=<that address> LYTTEPOST_YOUTUBE__API_KEY=any "
        'LYTTEPOST_YOUTUBE__CHANNELS=\'{"UCfjordbysykehus00000000": "@fjordbysykehus"}\'',
    ),
    "instagram": Fake(
        "FakeInstagram",
        "LYTTEPOST_META__BASE_URL=<that address> LYTTEPOST_INSTAGRAM__ACCOUNT=17841400000000001 "
        "LYTTEPOST_INSTAGRAM__ACCESS_TOKEN=EAAa-token-of-no-app LYTTEPOST_INSTAGRAM__ENABLED=true",
    ),
}
"""Platform → its fake: a folder of tests/fakes, which comes with the program. X has its own: `lyttepost x fake`."""

app = typer.Typer()


@app.command()
def fake(
    platform: Annotated[str, typer.Argument(metavar="PLATFORM", help=f"One of: {', '.join(FAKES)}.")],
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where it listens; 0 is any free port.")] = 0,
    scenario: Annotated[
        Path | None,
        typer.Option(
            "--scenario",
            metavar="FILE",
            help=f"What happens, and when, as JSON lines; `{SAMPLE}` is the one that comes with it.",
        ),
    ] = None,
) -> None:
    """Run a fake platform on this machine until interrupted, and print its address.

    It misbehaves as the original does, by its scenario or on command: POST /__fake__/do/VERB at the same address.
    """
    if platform not in FAKES:
        its_own = "that of X is `lyttepost x fake`" if platform == "x" else f"there are: {', '.join(FAKES)}"
        raise UsageError(f"there is no fake {platform!r}; {its_own}")
    made: Any = fakes(platform)
    if scenario == Path(SAMPLE) and not scenario.exists():
        scenario = Path(str(made.__file__)).with_name("sample.jsonl")
    try:
        server = getattr(made, FAKES[platform].made)(port=port, scenario=scenario)
    except (OSError, fakes("platform").BadScenario) as error:
        raise ConfigError(f"the fake {platform} cannot start: {error}") from None
    with server:
        try:
            say(f"A fake {platform}. Try: {FAKES[platform].hint} lyttepost run")
            # Whoever reads the address may end us at once.
            out(server.url)
            sys.stdout.flush()
            threading.Event().wait()
        except KeyboardInterrupt:
            return


def fakes(name: str) -> Any:
    """The module of a fake. They came with the program: inside the wheel, or among the tests of a checkout."""
    package = Path(str(files("listener")))
    inside = package / "_fakes"
    folder = inside if inside.is_dir() else package.parent / "tests" / "fakes"
    if "lyttepost_fakes" not in sys.modules:
        spec = spec_from_file_location(
            "lyttepost_fakes", folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None or not folder.is_dir():
            raise ConfigError("the fakes are not part of this installation")
        module = sys.modules[spec.name] = module_from_spec(spec)
        spec.loader.exec_module(module)
    return import_module(f"lyttepost_fakes.{name}")
