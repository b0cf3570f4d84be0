"""`lyttepost demo`: the whole thing in under a minute, without any account.

It is read by somebody who has never seen the product: what is printed is in English, what officers get stays in the
language of the settings, and all of it goes to standard output, in the order in which it is to be read.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from alerts.commands.register_text import people_of, platforms
from alerts.commands.replay import ending_cleanly, heading, progress, show_register, speed_of, stamp
from alerts.notify.channels.text import one_line
from alerts.register.ranking import RegisterRow
from alerts.replay import SentCard, Summary, replaying
from listener.clock import SystemClock
from listener.commands.shared import local, out
from listener.model.records import AuthorClass, Event
from listener.runtime.service import settle_memory
from listener.settings.files import packaged_config, raw_settings
from listener.settings.schema import load_settings

app = typer.Typer(help="See the whole thing in under a minute, without any account.")

PLATFORM = "x"
"""Of posts of the recording that name none."""
NAME = "Brann, Fjordby universitetssykehus"
TRACKS = ("fjordby*", "FUS", "nordbygg*", "sjukehus*", "@FUSykehus_fjb")
NAMED = {
    "fusykehus_fjb": AuthorClass.PUBLIC_BODY,
    "fjpolitiet_fjb": AuthorClass.PUBLIC_BODY,
    "brannfj_fjb": AuthorClass.PUBLIC_BODY,
    "kommune_fjb": AuthorClass.PUBLIC_BODY,
    "posten_fjb": AuthorClass.MEDIA,
    "rikskan_fjb": AuthorClass.MEDIA,
    "wire_fjb": AuthorClass.MEDIA,
    "radiokyst_fjb": AuthorClass.MEDIA,
}
TOP = 5
WIDTH = 110
SAMPLE = 95

BEGIN = """\
Lyttepost listens to what people say when a hospital is in crisis, and wakes the duty officer when it matters.

This is made up: on a Saturday night a fire breaks out at a hospital. Three hours of posts, as people write them on X,
Facebook, Bluesky and Mastodon and newsrooms in their feeds, are played through the real pipeline, under an incident
marked as an exercise (ØVELSE), so every alert says so. Alerts are in Norwegian; LYTTEPOST_LANGUAGE=en turns them into
English."""

FIRST = "\nThe first alert, as it reaches the officer:"
OTHERS = "\nThe alerts after it, each by its first line and one of its posts (--full shows all, and when they passed):"

REGISTER = """
The register: what people ask, wish and believe, by theme, ranked by how many people say it. Nobody here is real: what
may show who a patient is would be withheld, and is marked."""

NEXT = """
Try next, live on your machine, with the same posts a minute a second:
  {accounts} LYTTEPOST_SOURCES__RECORDING__PATH={recording} LYTTEPOST_SOURCES__RECORDING__SPEED=60 {us} run
      listens, judges and alerts until you stop it (the accounts are the demo's public bodies and newsrooms, which keep
      their names); all is calm until, in another terminal,
  {us} mode crisis --name {name} {tracks} --exercise --why "to try it"
      opens an incident with the demo's tracks; then `{us} alerts` and `{us} register` show what came
  {us} mode calm --why "tried it"
      closes it

With posts of your own: `{us} replay FILE --track PHRASE`. To set it up: `{us} config init my-config`."""


@app.command()
def demo(
    speed: Annotated[
        str, typer.Option("--speed", metavar="SPEED", help="How many times as fast as it happened, or max.")
    ] = "600",
    full: Annotated[bool, typer.Option("--full", help="Show every alert in full.")] = False,
) -> None:
    """Play a made-up hospital crisis and show the alerts, the register and what to try next."""
    raw = raw_settings()
    settings = load_settings(raw)
    pace = speed_of(speed)
    recording = packaged_config() / "demo" / "crisis.jsonl"
    _print(BEGIN)
    with (
        ending_cleanly(),
        replaying(
            raw,
            settings,
            str(recording),
            name=NAME,
            tracks=TRACKS,
            speed=pace,
            pace=SystemClock(),
            named=NAMED,
            platform=PLATFORM,
        ) as playing,
    ):
        with progress(playing) as (bar, turned):
            settle_memory()
            summary = playing.play(bar.around(_Printer(full)), turned)
        _sum_up(summary)
        _across(playing.widest_story())
        _print(REGISTER)
        show_register(playing, themes=TOP, samples=2, length=SAMPLE, exposed=True)
    _print(
        NEXT.format(
            recording=_typed(recording),
            us=_us(),
            accounts=_accounts(),
            name=shlex.quote(NAME),
            # No account: the settings of whoever types it name none.
            tracks=" ".join(f"--track {shlex.quote(track)}" for track in TRACKS if track[:1] != "@"),
        )
    )


class _Printer:
    """The first alert in full; the others by what is read first."""

    def __init__(self, full: bool) -> None:
        self._full = full
        self._shown = 0

    def __call__(self, sent: SentCard) -> None:
        passed = sent.alert.event is Event.RESOLVED
        if passed and not self._full:
            return
        if self._shown == 0:
            out(FIRST)
        elif self._shown == 1 and not self._full:
            out(OTHERS)
        self._shown += 1
        if passed:
            out(f"{_clock(sent)} │ {one_line(sent.card.subject, WIDTH)}")
        elif self._full or self._shown == 1:
            out(f"{heading(sent)}\n{sent.card.text}" + ("\n" if self._full else ""))
        else:
            _brief(sent)
        sys.stdout.flush()


def _brief(sent: SentCard) -> None:
    subject, amount = sent.card.lines[:2]
    out(f"{_clock(sent)} │ {one_line(subject, WIDTH)}")
    text = next(iter(sent.texts.values()), "")
    out(f"{sent.heard:>4} heard │ {f'«{one_line(text, WIDTH)}»' if text else amount}")


def _clock(sent: SentCard) -> str:
    return f"{stamp(sent)[11:19]:>10}"


def _sum_up(summary: Summary) -> None:
    by_rule = ", ".join(f"{count} {rule}" for rule, count in summary.alerts.most_common())
    held = summary.suppressed.total()
    heard = ", ".join(f"{source} {posts}" for source, posts in summary.sources.most_common())
    out(f"\n{summary.read} posts heard in three hours from {len(summary.sources)} sources: {heard}.")
    out(f"{summary.alerts.total()} alerts: {by_rule}.")
    out(f"{held} more were held back: the officer had been alerted to the same shortly before, or it was nothing new.")
    if summary.first_alert is not None:
        zone = local(summary.first_alert)[20:]
        out(f"All times are {zone}, the time zone of the settings (LYTTEPOST_TIMEZONE).")


def _across(story: RegisterRow | None) -> None:
    if story is None or len(story.sources) == 1:
        return
    out(f"\nTold on {len(story.sources)} platforms, and one story: {platforms(story.sources)}, by {people_of(story)}:")
    out(f"  «{one_line(story.text or '', WIDTH)}»")


def _accounts() -> str:
    """Our named accounts as variables."""
    return " ".join(
        f"LYTTEPOST_PRIVACY__NAMED_ACCOUNTS__{class_.name}={shlex.quote('[' + ', '.join(handles) + ']')}"
        for class_ in (AuthorClass.PUBLIC_BODY, AuthorClass.MEDIA)
        if (handles := [handle for handle, its in NAMED.items() if its is class_])
    )


def _typed(path: Path) -> str:
    """As it can be typed in a shell, from any folder."""
    return shlex.quote(os.path.abspath(path))


def _us() -> str:
    """This program as it can be typed here."""
    if shutil.which("lyttepost") is None and os.access(sys.argv[0], os.X_OK):
        return _typed(Path(sys.argv[0]))
    return "lyttepost"


def _print(text: str) -> None:
    out(text)
    sys.stdout.flush()
