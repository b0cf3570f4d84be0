"""`lyttepost register learn`: the model learns from what people corrected."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from alerts.annotate.corrections import in_order
from alerts.commands.register_view import open_register
from alerts.register.ranking import Selection
from alerts.register.subjects import OpenRegister
from listener.bus import hashchain
from listener.clock import SystemClock
from listener.commands.shared import By, Data, Json, out, out_json, say, user
from listener.errors import LyttepostError, Refused
from listener.model import keys
from listener.model.records import Decision, DecisionKind, Finding
from listener.settings.files import config_dir, data_dir
from listener.settings.schema import load_settings
from listener.sources.contract import content_limits

if TYPE_CHECKING:
    from alerts.annotate.learning import Lesson, Outcome
    from alerts.annotate.understanding import Understander


def learn(
    undo: Annotated[bool, typer.Option("--undo", help="Put back the model that was in force before.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it would gain.")] = False,
    by: By = None,
    json: Json = False,
    data: Data = None,
) -> None:
    """Learn from all that was corrected, and say what it gains on corrections that it did not learn from.

    What gains nothing is refused, and the model stays what it was. What is learned lies in the data folder, counts in
    a running service within seconds, and is removed when a post that it was learned from is purged. Where several
    machines annotate, run it on each. Exit code 1: there is too little to learn from, or it would be worse.
    """
    # The model needs numpy, for which no other command of the register is to wait.
    from alerts.annotate import learned
    from alerts.annotate.learning import learn as learn_from
    from alerts.annotate.understanding import WEIGHTS, Reader, Understander
    from alerts.annotate.weights import read

    folder, who = data_dir(data), user(by)
    with open_register(data) as register:
        if undo:
            if not learned.undo(folder):
                raise Refused("nothing was learned here that could be taken back")
            _decide(register, who, "taken back")
            say("The model that was in force before is in force again.")
            return
        reader, banks = Reader.load(config_dir()), read(WEIGHTS)
        limits = content_limits(load_settings())
        lessons = dict(_lessons(register, limits))
        try:
            anchors = list(_anchors(register, Understander(reader, banks), lessons, limits))
            new, outcome = learn_from(reader, banks, list(lessons.values()), anchors)
        except ValueError as error:
            raise LyttepostError(f"{error}; `lyttepost register correct` makes more") from None
        if json:
            out_json({**vars(outcome), "refused": outcome.worse, "in_force": not (outcome.worse or dry_run)})
        else:
            _tell(outcome)
        if outcome.worse:
            raise LyttepostError(f"refused: {outcome.worse}; the model stays what it was")
        if dry_run:
            return
        try:
            learned.keep(folder, new, lessons)
        except OSError as error:
            raise Refused(f"{folder}: cannot be written: {error.strerror}") from None
        _decide(register, who, f"{outcome.lessons} corrections")
        say("It is in force; `lyttepost register learn --undo` takes it back.")


def _lessons(register: OpenRegister, limits: Collection[str]) -> Iterator[tuple[str, Lesson]]:
    """Post → what a person said of it; of those whose text is still kept, oldest first.

    None of sources whose content may not lie for long: what is learned from a post would outlive it.
    """
    from alerts.annotate.learning import Lesson

    rows = {row.post: row for row in register.view.registered(Selection(officials=True, not_understood=True))}
    for correction in sorted(register.decisions.corrections.all(), key=lambda each: each.at):
        row = rows.get(correction.post)
        found = None if row is None or keys.source_of(row.post) in limits else register.view.finding(row)
        if found is not None and not _is_official(found):
            themes = found.themes if correction.themes is None else correction.themes
            yield correction.post, Lesson(found.text, in_order(correction.kinds), themes, found.story)


def _anchors(
    register: OpenRegister, judge: Understander, lessons: dict[str, Lesson], limits: Collection[str]
) -> Iterator[Lesson]:
    """The newest posts that nobody corrected, one of each story, as the model that came with the program has them."""
    from alerts.annotate.learning import MOST, Lesson

    seen = {lesson.story for lesson in lessons.values()}
    newest = reversed(register.view.registered(Selection()))

    def fresh() -> Iterator[Finding]:
        for row in newest:
            short = keys.source_of(row.post) in limits
            if row.post not in lessons and row.story not in seen and not row.repost and not short:
                seen.add(row.story)
                found = register.view.finding(row)
                if found is not None and not _is_official(found):
                    yield found

    for found in islice(fresh(), MOST):
        said = judge.understand(found.text)
        yield Lesson(found.text, said.labels, said.themes, found.story)


def _is_official(found: Finding) -> bool:
    """What it is taken for comes from its account, and teaches nothing about words."""
    from alerts.annotate.kinds import PUBLIC

    return found.author_class in PUBLIC


def _decide(register: OpenRegister, who: str, why: str) -> None:
    decision = Decision(kind=DecisionKind.LEARNED, id="learned.bin", at=SystemClock().now(), by=who, why=why)
    hashchain.append(register.bus, "decisions", decision)


def _tell(outcome: Outcome) -> None:
    count = outcome.lessons
    out(f"{count} corrections. Of those that it did not learn from, it gets right:")
    out(f"  kinds       {outcome.kinds_before:>4} → {outcome.kinds_after:<4} of {count}")
    out(f"  main theme  {outcome.themes_before:>4} → {outcome.themes_after:<4} of {count}")
    out(f"  of the posts that nobody corrected, {outcome.kept:.0%} stay what they were")
