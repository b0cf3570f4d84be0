"""`lyttepost run`: listen, judge and alert, until stopped."""

from __future__ import annotations

import logging
import os
import re
import resource
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from enum import StrEnum
from typing import Annotated

import typer

from alerts.app import App, WorkerPart
from alerts.pipeline import GROUPS, flow
from alerts.register.view import Register
from alerts.wiring import (
    live_key,
    live_sources,
    make_alerts,
    make_app,
    make_board_parts,
    make_highlights_parts,
    make_listener,
    make_metrics,
)
from listener.bus.protocol import Bus, open_bus
from listener.bus.spool import purge_before
from listener.bus.sqlite.view import KEEP_ASIDE, wipe_aside
from listener.clock import SystemClock
from listener.commands.shared import Data, say
from listener.model import roles as of
from listener.permissions import exposed
from listener.runtime.certificates import certificate_files
from listener.runtime.expiring import LEASE_SECONDS, TURNS_WITHIN, Expiring
from listener.runtime.health import Health
from listener.runtime.housekeeping import Housekeeping
from listener.runtime.logs import LogFormat, in_zone, set_up
from listener.runtime.service import RoleLock, Service, settle_memory
from listener.runtime.signals import ended_by
from listener.runtime.starting import announced, when_bus_is_there
from listener.runtime.web import Web
from listener.settings.files import data_dir, raw_settings
from listener.settings.schema import load_settings
from listener.settings.zone import find_zone

log = logging.getLogger(__name__)

app = typer.Typer(help="Listen, judge and alert, until stopped.")


OPEN_FILES = 8192
END_SECONDS = 1.0
"""So long the bus may take to be closed where a worker hangs."""


class Role(StrEnum):
    LISTENER = of.LISTENER
    ALERTS = of.ALERTS
    ANNOTATE = of.ANNOTATE
    JUDGE = of.JUDGE
    DISPATCH = of.DISPATCH
    BOARD = of.BOARD
    HIGHLIGHTS = of.HIGHLIGHTS
    ALL = "all"


def _raise_limits() -> None:
    """As many open files as we may have: who connects to a port of ours must not keep a rule from being read."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _say_where(workers: Iterable[WorkerPart]) -> None:
    from alerts.board.worker import Board, Patient

    for worker, _ in workers:
        board = worker.board if isinstance(worker, Patient) else worker
        if isinstance(board, Board):
            say(f"The board is at {board.address}")


def _looking_after(process: App, turning: Sequence[WorkerPart]) -> Iterator[WorkerPart]:
    """Who looks after the bus as a whole: content that goes sooner than its topic, and, last, the housekeeping."""
    registers = [worker for worker, _ in turning if isinstance(worker, Register)]
    folder, clock, settings = process.folder, process.clock, process.settings

    def after_retention() -> None:
        purge_before(folder, clock.now() - settings.retention.content)
        wipe_aside(folder, clock.now() - KEEP_ASIDE)
        let_go()

    def let_go() -> None:
        for register in registers:
            register.release()

    if process.limits:
        part = process.health.part(of.EXPIRE, TURNS_WITHIN)
        lease = process.bus.lease(of.EXPIRE, process.process, LEASE_SECONDS)
        yield (
            Expiring(
                process.bus, process.limits, lease, folder=folder, clock=clock, metrics=process.metrics, part=part,
                after=let_go,
            ),
            part,
        )  # fmt: skip
    part = process.health.part(of.HOUSEKEEPING)
    yield (
        Housekeeping(
            process.bus,
            process.specs,
            GROUPS,
            clock=clock,
            metrics=process.metrics,
            part=part,
            folder=folder,
            after_retention=after_retention,
            certificates=certificate_files(settings),
        ),
        part,
    )


NAME = re.compile(r"[\w-]{1,40}", re.ASCII)


def _name(text: str) -> str:
    if text and not NAME.fullmatch(text):
        raise typer.BadParameter("use 1 to 40 letters without accents, digits, - or _")
    return text


@app.command()
def run(
    role: Annotated[
        Role,
        typer.Option("--role", help="Which part runs in this process; alerts is annotate, judge and dispatch in one."),
    ] = Role.ALL,
    name: Annotated[
        str,
        typer.Option("--name", metavar="NAME", callback=_name, help="Distinguishes it from others of its role here."),
    ] = "",
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="The web port; 0 is any free one.")
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log every retry, and what the clients of Kafka and X log.")
    ] = False,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="Of the log on standard error; json is an object a line.")
    ] = LogFormat.TEXT,
    data: Data = None,
) -> None:
    """Run the listener, the workers and the web port. SIGTERM stops them within five seconds, nothing lost."""
    raw, clock, folder = raw_settings(), SystemClock(), data_dir(data)
    set_up(sys.stderr, clock, verbose=verbose, form=log_format)
    _raise_limits()
    settings = load_settings(raw)
    in_zone(find_zone(settings.timezone))
    roles: Sequence[str] = (role.value,)
    if role is Role.ALL:
        roles = of.RUN if settings.board is not None else of.ROLES
        roles = (*roles, of.HIGHLIGHTS) if settings.highlights.on else roles
    elif role is Role.BOARD and settings.board is None:
        raise raw.error(("board",), "is null, and the role board has nothing else to do; leave it out, or set its port")
    elif role is Role.HIGHLIGHTS and not settings.highlights.on:
        raise raw.error(
            ("highlights",), "names neither feeds nor keys, and the role highlights has nothing else to do; set them"
        )
    for problem in exposed(folder):
        log.warning("%s", problem)
    locks = [RoleLock(folder, f"{each}-{name}" if name else each) for each in roles]
    # What a person must fix is said before anything is waited for.
    sources = live_sources(settings, clock) if Role.LISTENER in roles else []
    tells = role not in (Role.LISTENER, Role.BOARD, Role.HIGHLIGHTS)
    alerts = make_alerts(raw, settings, None, tell=True, learned=folder) if tells else None
    board = make_board_parts(raw, settings, folder) if Role.BOARD in roles else None
    highlights = make_highlights_parts(raw, settings) if Role.HIGHLIGHTS in roles else None
    metrics, health = make_metrics(settings, clock), Health(clock)

    def wired() -> tuple[Bus, list[WorkerPart]]:
        bus = open_bus(settings.bus.url, folder, clock, kafka=settings.bus.kafka)
        try:
            process = make_app(settings, folder, bus, clock, role, name, metrics=metrics, health=health)
            with announced(bus, process.process, roles, clock):
                listener = None
                if Role.LISTENER in roles:
                    listener = make_listener(process, raw, sources, live_key(settings, folder, process))
                turning = flow(process, roles, listener, alerts, board, highlights)
                return bus, [*turning, *_looking_after(process, turning)]
        except BaseException:
            bus.close()
            raise

    web = Web(metrics, health, settings.web.host, settings.web.port if port is None else port)
    where = f"metrics and health at http://{settings.web.host}:{web.port} (pid {os.getpid()})"
    try:
        # Nothing has begun that could be lost.
        with ended_by(signal.SIGTERM, signal.SIGINT, code=lambda number: 0):
            bus, turning = when_bus_is_there(
                wired, health, clock, lambda: say(f"lyttepost {role} waits for the bus; {where}")
            )
            settle_memory()
        with closing(bus):
            keeping = turning[-1][1]
            service = Service(turning, clock, bus_is_well=lambda: keeping.reason is None)
            service.obey_signals()
            say(f"lyttepost {role} runs on {folder}; {where}")
            if board is not None:
                _say_where(turning)
            if Role.LISTENER in roles and not sources:
                say("No source is set up: set sources.recording.path to play a recording under an exercise.")
            code = 1
            try:
                service.run()
                code = 0
            finally:
                if service.left_behind:
                    _end_for_certain(code)
    finally:
        web.stop()
        for lock in locks:
            lock.release()


def _end_for_certain(code: int) -> None:
    """What hangs may hold what the bus is closed with, and would keep the process from being started again."""
    ending = threading.Timer(END_SECONDS, os._exit, (code,))
    ending.daemon = True
    ending.start()
