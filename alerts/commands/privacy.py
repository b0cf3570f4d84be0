"""`lyttepost privacy`: purge a post, prove that nothing is kept too long, change the pseudonym key."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alerts.deletions import corrected_among
from alerts.register.view import Register
from listener.bus import hashchain
from listener.clock import SystemClock
from listener.commands.shared import (
    Data,
    Json,
    Why,
    local,
    open_live_topics,
    out,
    out_json,
    out_table,
    reason,
    say,
    storable,
    user,
)
from listener.errors import ConfigError, LyttepostError, Refused
from listener.ingest.deletion_proof import deletion_proofs, sources_asked
from listener.maintenance.post_ids import ids_meant, looks_rounded, post_ids
from listener.model.incidents import Mode
from listener.model.records import Decision, DecisionKind
from listener.model.topics import topic_specs
from listener.privacy.expiry import Expiry, expire_spools, oldest_held, overdue
from listener.privacy.purge import is_held, purge_posts
from listener.settings.files import data_dir
from listener.settings.schema import load_settings
from listener.sources.contract import content_limits, source_types
from listener.units import format_duration, from_ms

if TYPE_CHECKING:
    from listener.bus.protocol import Bus
    from listener.clock import Clock
    from listener.privacy.expiry import Limits

app = typer.Typer(help="Purge a post; prove that nothing is kept too long.", no_args_is_help=True)

Who = Annotated[str, typer.Option("--by", metavar="WHO", callback=lambda by: storable(by, "--by"), help="Who decides.")]
SLACK = timedelta(hours=1)
"""Retention runs each hour, so a record may be so much older than its limit."""


@app.command()
def purge(
    ids: Annotated[
        list[str], typer.Argument(metavar="ID…", help="Post ids, bare or as source:id, or links to the posts.")
    ],
    why: Why,
    by: Who,
    data: Data = None,
) -> None:
    """Remove posts, and reposts of them, from every store, down to the bytes.

    All ids are checked before any post is removed; of a link only the id is kept.
    """
    # It needs numpy, for which no other command of privacy is to wait.
    from alerts.annotate import learned

    said, who = reason(why), user(by)
    bus = open_live_topics(data)
    wanted = post_ids(ids, lambda id_: is_held(bus, id_))
    corrected = corrected_among(bus, ids_meant(wanted))
    gone = purge_posts(bus, ids_meant(wanted), SystemClock(), data_dir(data))
    view = _view(bus, data)
    view.catch_up()
    view.scrub()
    unlearned = learned.forget(data_dir(data), ids_meant(wanted))
    for id_ in [*wanted, *corrected]:
        purged = Decision(kind=DecisionKind.PURGE, id=id_, at=SystemClock().now(), by=who, why=said)
        hashchain.append(bus, "decisions", purged)
    say(f"{gone} records of {len(wanted)} posts removed from the bus; the register follows.")
    if unlearned:
        say("The model had learned from them: that is removed too. `lyttepost register learn` learns anew.")
    if not gone:
        say("None was held. It may have been removed before, or never captured.")
        if any(map(looks_rounded, wanted)):
            say("An id ends in zeros, as where a spreadsheet has lost digits: compare it with the post's link.")


@app.command()
def retention(
    check: Annotated[bool, typer.Option("--check", help="Only look: fail if anything is older than allowed.")] = False,
    json: Json = False,
    data: Data = None,
) -> None:
    """Drop what is older than the settings and the platforms' terms allow; with --check, prove that nothing is."""
    bus, clock, folder, settings = open_live_topics(data), SystemClock(), data_dir(data), load_settings()
    types = source_types()
    limits = content_limits(settings, types)
    if not check:
        for topic, count in bus.retain(clock.now()).items():
            if count:
                say(f"{topic}: {count} records dropped")
        _expire(bus, limits, folder, clock)
    view = _view(bus, data)
    view.catch_up()
    view.release()
    held = oldest_held(bus, folder, {*limits, *sources_asked(types)})
    of_sources = {source: at for source, at in held.items() if source in limits}
    oldest = {info.name: info.oldest_ms for info in bus.topics()}
    rows, late = [], []
    for spec in topic_specs(settings.bus.partitions, settings.retention.keep()):
        ms = oldest.get(spec.name)
        at = None if ms is None else from_ms(ms)
        over = at is not None and spec.keep is not None and clock.now() - at > spec.keep + SLACK
        late += [spec.name] if over else []
        rows.append((spec, at, over))
    late_sources = set(overdue(of_sources, limits, clock.now()))
    late += [f"content of {source}" for source in sorted(late_sources)]
    proofs = list(deletion_proofs(bus, types, held, clock.now()))
    unasked = [proof.source for proof in proofs if proof.late]
    if json:
        out_json(
            [{"topic": s.name, "keep_seconds": _seconds(s.keep), "oldest": at, "ok": not over} for s, at, over in rows]
            + [
                {
                    "source": source,
                    "keep_seconds": limit.total_seconds(),
                    "oldest": of_sources.get(source),
                    "ok": source not in late_sources,
                }
                for source, limit in limits.items()
            ]
            + [
                {"deletions_at": proof.source, "oldest": proof.oldest, "checked": proof.begun, "ok": not proof.late}
                for proof in proofs
            ]
        )
    else:
        head = ("TOPIC", "KEPT", "OLDEST", "")
        body = [
            (
                s.name,
                format_duration(s.keep) if s.keep else s.retention,
                local(at) if at else "-",
                "TOO OLD" if o else "ok",
            )
            for s, at, o in rows
        ]
        of_source = [
            (
                f"content of {source}",
                format_duration(limit),
                local(of_sources[source]) if source in of_sources else "-",
                "TOO OLD" if source in late_sources else "ok",
            )
            for source, limit in limits.items()
        ]
        out_table([head, *body, *of_source])
        for proof in proofs:
            if proof.oldest is not None:
                checked = "never" if proof.begun is None else local(proof.begun)
                out(f"deletions at {proof.source}: last asked {checked}{'  LATE' if proof.late else '  ok'}")
    problems = []
    if late:
        problems.append(
            f"{', '.join(late)}: older than allowed; run `lyttepost privacy retention`, "
            "and see why `lyttepost run` did not"
        )
    problems += [
        f"{source}: was not asked for a day which of the posts held here are gone there; see `lyttepost doctor`"
        for source in unasked
    ]
    if problems:
        raise LyttepostError("\n".join(problems))


@app.command("rotate-key")
def rotate_key(
    why: Why,
    by: Who,
    lost: Annotated[
        bool,
        typer.Option("--lost", help="The old one is lost for good; works in a crisis too."),
    ] = False,
    data: Data = None,
) -> None:
    """Make a new pseudonym key. The old one is deleted, and with it every way back to an author. Only in calm."""
    from listener.privacy.key_fingerprint import holds_content, key_problem, remember
    from listener.privacy.pseudonyms import check_key_outside
    from listener.privacy.pseudonyms import rotate_key as rotate
    from listener.runtime.control import Control

    why_so, who = reason(why), user(by)
    bus = open_live_topics(data)
    path = load_settings().privacy.key_path
    check_key_outside(path, data_dir(data))
    if lost:
        try:
            if key_problem(path, bus) is None:
                raise Refused(f"{path}: the key is not lost; rotate it in calm, without --lost")
        except ConfigError:
            pass  # a file that holds no key
    elif Control(bus).refresh().mode is Mode.CRISIS:
        raise Refused("an incident is open, and one person would become two; rotate the key in calm")
    remember(bus, rotate(path), SystemClock())
    said = Decision(kind=DecisionKind.ROTATE_KEY, id="pseudonym.key", at=SystemClock().now(), by=who, why=why_so)
    hashchain.append(bus, "decisions", said)
    say(f"{path}: a new key; keep a copy where you keep secrets. Restart `lyttepost run` so that it is used.")
    if holds_content(bus):
        say("Posts are held from before: until they are purged or past their retention, one person counts as two.")


def _expire(bus: Bus, limits: Limits, folder: Path, clock: Clock) -> None:
    if not limits:
        return
    gone = expire_spools(folder, limits, clock.now())
    with closing(Expiry(bus, limits)) as expiry:
        gone += expiry.expire(clock.now())
    if gone:
        say(f"content of sources with a limit of their own: {gone} records removed")


def _view(bus: Bus, data: str | None) -> Register:
    return Register(bus, data_dir(data) / "register.sqlite")


def _seconds(keep: timedelta | None) -> float | None:
    return None if keep is None else keep.total_seconds()
