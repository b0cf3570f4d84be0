"""`lyttepost ledger`: who was notified of what, what became of it, and who decided what. Proven, and for a sheet."""

from __future__ import annotations

import json as json_
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alerts.notify.state import ABOUT_ALERTS, AlertRecord, read
from listener.bus import hashchain
from listener.bus.scan import scan_records
from listener.clock import SystemClock
from listener.commands.shared import Data, duration, open_written_topics, out, say
from listener.errors import UsageError
from listener.model.decisions import Silence
from listener.model.deliveries import Delivery, Page
from listener.model.highlights import HighlightStep, HighlightWord
from listener.model.receipts import Receipt
from listener.model.records import Alert, BadRecord, Decision
from listener.units import format_instant, from_ms

if TYPE_CHECKING:
    from listener.bus.protocol import Bus, Record

app = typer.Typer(help="Who was notified of what, and who decided what: two hash chains, to prove and to export.")

COLUMNS = (
    "at", "chain", "offset", "what", "alert", "condition", "person", "channel", "target", "outcome", "reason", "step",
    "round", "attempt", "may_repeat", "until", "policy", "page", "by", "to", "why", "about", "exercise", "digest",
)  # fmt: skip

HEAD_SHOWN = 16
"""Letters of the last record's digest: enough to compare."""

Line = dict[str, str | int]


@app.command()
def verify(data: Data = None) -> None:
    """Prove that no decision and no delivery was changed, or taken out before another: follow both hash chains.

    That the newest are missing shows only against digests that were noted elsewhere: it prints them.
    """
    verify_chains(data)


@app.command()
def export(
    csv: Annotated[
        bool, typer.Option("--csv", help="Write CSV for a spreadsheet; so it is where nothing is said.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Write JSON for programs.")] = False,
    since: Annotated[str, typer.Option("--since", metavar="24h", help="Only what was written in so long.")] = "",
    file: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to; else standard output.")] = None,
    data: Data = None,
) -> None:
    """Write one line for each alert of each page, send, outcome and receipt, and for each decision, oldest first.

    It holds the numbers and addresses that were written to: a file is for its owner alone to read.
    """
    from alerts.commands.sheets import as_csv, write

    if csv and json:
        raise UsageError("--json and --csv: choose one")
    span = duration(since, "--since") if since else None
    with closing(open_written_topics(data)) as bus:
        found = list(lines(bus, None if span is None else SystemClock().now() - span))
    if json:
        filled = [{name: line[name] for name in COLUMNS if line.get(name, "") != ""} for line in found]
        write((json_.dumps(filled, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "replace"), file)
    else:
        write(as_csv([list(COLUMNS), *([line.get(name, "") for name in COLUMNS] for line in found)]), file)
    say(f"{len(found)} lines")


def verify_chains(data: str | None) -> None:
    """Raises Corrupt that names the first record that is not as it was written."""
    with closing(open_written_topics(data)) as bus:
        for topic in hashchain.CHAINED:
            chain, count = hashchain.Chain(), 0
            for record in scan_records(bus, [topic]):
                chain.follow(record)
                count += 1
            head = f" up to {chain.head[:HEAD_SHOWN]}" if count else ""
            out(f"{topic}: {count} records, chain unbroken{head}")
    say(
        "None was changed or taken out before another. Whether the last are missing a chain cannot tell: compare the "
        "digests with ones that you noted elsewhere."
    )


def lines(bus: Bus, since: datetime | None) -> Iterator[Line]:
    """Both chains as lines, in the order in which they were written. What cannot be read has a line that says so."""
    found = [(record, _read(record)) for record in scan_records(bus, hashchain.CHAINED)]
    pages = {value.id: value for _, value in found if isinstance(value, Page)}
    sent = {
        (value.channel, id_): value for _, value in found if isinstance(value, Delivery) for id_ in value.provider_ids
    }
    for record, value in sorted(found, key=lambda each: each[0].time_ms):
        if since is not None and from_ms(record.time_ms) < since:
            continue
        where: Line = {"chain": record.topic, "offset": record.offset}
        if value is None or isinstance(value, Alert):
            yield where | {"at": format_instant(from_ms(record.time_ms)), "what": "unreadable"}
            continue
        where |= {"at": format_instant(value.at), "digest": value.digest}
        if isinstance(value, Page):
            told = _of_page(value)
            yield from (where | told | {"alert": id_, "condition": its} for id_, its in value.alerts.items())
            if not value.alerts:
                yield where | told
        elif isinstance(value, Delivery):
            yield from _of_delivery(where, value, pages)
        elif isinstance(value, Receipt):
            delivery = sent.get((value.channel, value.provider_id))
            told = {
                "what": "receipt",
                "channel": value.channel,
                "outcome": value.outcome.value,
                "reason": value.code or "",
            }
            if delivery is None:
                yield where | told | {"about": value.provider_id}
            else:
                its_lines = _of_delivery(where, delivery, pages)
                yield from (line | told for line in its_lines)
        else:
            yield where | _of_decision(value)


def _read(record: Record) -> AlertRecord | None:
    try:
        return read(record)
    except BadRecord:
        return None


def _of_page(page: Page) -> Line:
    return {
        "what": "page",
        "person": page.person,
        "reason": page.deferred.value if page.deferred else "",
        "step": page.step,
        "round": page.round,
        "until": format_instant(page.until) if page.until else "",
        "policy": page.policy,
        "page": page.id,
        "why": f"{page.why.value} {page.what}".strip(),
        "exercise": _mark(page.exercise),
    }


def _of_delivery(where: Line, delivery: Delivery, pages: Mapping[str, Page]) -> Iterator[Line]:
    page = pages.get(delivery.page)
    for id_ in delivery.alerts or (delivery.alert,):
        yield where | {
            "what": "send" if delivery.outcome is None else "outcome",
            "alert": id_,
            "person": page.person if page else "",
            "channel": delivery.channel,
            "target": delivery.target,
            "outcome": delivery.outcome.value if delivery.outcome else "",
            "reason": delivery.reason or "",
            "step": page.step if page else delivery.step,
            "round": page.round if page else "",
            "attempt": delivery.attempt,
            "may_repeat": "may repeat" if delivery.may_repeat else "",
            "page": delivery.page,
            "exercise": _mark(delivery.exercise),
        }


def _of_decision(word: Any) -> Line:
    """`about` is what it names: an alert, a source, a story, a person; of a silence what it matches."""
    told: Line = {"what": word.type, "by": word.by, "about": word.key, "why": getattr(word, "why", "")}
    if isinstance(word, Decision):
        about_alert = {"alert": word.id} if word.kind in ABOUT_ALERTS else {}
        return told | about_alert | {"what": word.kind.value, "to": word.to or ""}
    if isinstance(word, Silence):
        match = ", ".join(f"{name}={value}" for name, value in word.match.items())
        return told | {"about": f"{word.id}: {match}", "until": format_instant(word.end)}
    if isinstance(word, HighlightWord | HighlightStep):
        what = word.word if isinstance(word, HighlightWord) else word.step
        why = word.why if isinstance(word, HighlightStep) else None
        return told | {"what": f"highlight_{what}", "reason": why or "", "why": ""}
    if words := getattr(word, "words", ""):
        told["why"] = words
    return told


def _mark(exercise: bool) -> str:
    return "ØVELSE" if exercise else ""
