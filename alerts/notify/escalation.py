"""Who is to be told what, now: a pure function of the book, `people.yaml` and the instant.

Alerts of one policy, severity, incident and exercise mark that agree in `grouping.by` are a *group*; its members are
those that are open and not held back. A group is idle, or it has a *run*, which begins with a page and ends with a
person's word on one of the alerts that it named:

    idle → running   at the first fire + `wait`, and not sooner than `interval` after the group's last page;
                     at once where a hold ends or an acknowledgement timed out
    running          step k at the run's start + its `after`; after the last a new round every `repeat_every`
    a step with nobody, or whose waking ways were all refused: the next one now
    newcomers, and what has passed: told to whom the run has paged, each no oftener than `interval`
    nobody could be reached at all: the last resort

`plan` says what is to be written down; the caller writes it, lets the book read it and asks again until there is
nothing more, so whatever is decided is durable before anything is sent, and a restart goes on from the log alone. What
is then to be sent is a matter of `alerts.notify.sends`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from alerts.duty.policy import PolicyStep
from alerts.notify.groups import gone_policy, groups_of, last_page
from alerts.notify.held import Holding
from alerts.notify.pages import PageState, as_sent
from alerts.notify.plan import AlertGroup, Fault, Plan, Trouble, digest, named
from alerts.notify.quiet import QuietGroups
from alerts.notify.recipients import CONSOLE, Contact, People
from alerts.notify.single_pages import assigned, canaries
from alerts.notify.state import AlertBook, AlertState, Condition
from listener.model.deliveries import Deferral, Page, PageWhy
from listener.model.records import DecisionKind, Severity

MISSING_REPEAT = timedelta(minutes=15)
"""Between the rounds of an alert whose route people.yaml does not have."""

SAME_MOMENT = timedelta(minutes=1)
"""Two pages about the same so close together say that the second may be a repeat."""

CODES_TRIED = 50
"""In a storm more pages may wait than there are codes; then two have the same."""

_ENDS_RUN = (DecisionKind.ACKNOWLEDGE, DecisionKind.CLOSE)
_STEPS = (PageWhy.STEP, PageWhy.LAST_RESORT)


BegunStep = tuple[str, datetime, int, int]
"""Group, start of its run, round, step."""


class Escalation:
    """`wakes` says of a channel's name whether it wakes a sleeper. `whole`: the steps of which everybody's page was
    written down; handed on where people.yaml was edited, so that nobody is paged for a step that began without them."""

    def __init__(
        self, book: AlertBook, people: People, wakes: Callable[[str], bool], whole: set[BegunStep] | None = None
    ) -> None:
        self._book = book
        self._people = people
        self._wakes = wakes
        self._whole = set() if whole is None else whole
        self._quiet = QuietGroups(book)
        self._lasts = True
        """Whether what was found of the group at hand follows from the log and from instants that were named."""

    def plan(self, now: datetime, covered: Container[str] = ()) -> Plan:
        """What is to be written down now. `covered`: alerts that another one stands for."""
        plan = Plan()
        self._reopen(plan, now)
        holding = Holding(self._people.inhibit, self._book.silences, self._book.all())
        for silence in self._book.silences.all():
            for instant in (silence.start, silence.notice_at, silence.end):
                if instant > now:
                    plan.wake(instant)
        groups = {group.id: group for group in groups_of(self._book, self._people, holding, now, covered)}
        running: dict[str, datetime] = {}
        for group in groups.values():
            known = self._quiet.find(group, now)
            run = self._look(plan, group, holding, now) if known is None else known.run
            if known is not None:
                plan.wake(known.until)
            if run <= now:
                running[group.id] = run
        self._quiet.keep_only(groups)
        self._release(plan, groups, running, holding, now)
        for page in (
            *assigned(self._book, self._people, now),
            *canaries(self._book, self._people, now),
        ):
            self._add(plan, page)
        return plan

    # --- groups ------------------------------------------------------------------------------------------------

    def _look(self, plan: Plan, group: AlertGroup, holding: Holding, now: datetime) -> datetime:
        """Plan what is to be done about a group; the start of its run, or of the next one."""
        said, troubles, others_wake = len(plan.pages), len(plan.troubles), plan.wake_at
        plan.wake_at, self._lasts = None, True
        run = self._run(group, now)
        if run > now:
            plan.wake(run)
        else:
            self._steps(plan, group, run, holding, now)
        until = plan.wake_at
        if others_wake is not None:
            plan.wake(others_wake)
        if until is None or not self._lasts or (len(plan.pages), len(plan.troubles)) != (said, troubles):
            self._quiet.forget(group)
        else:
            self._quiet.keep(group, run, now, until)
        return run

    def _reopen(self, plan: Plan, now: datetime) -> None:
        timeout = self._people.ack_timeout
        if timeout is None:
            return
        for state in self._book.acknowledged():
            fires = state.condition is Condition.FIRING and state.alert.resolves and not state.alert.synthetic
            if fires and state.last_word is not None:
                due = state.last_word + timeout
                if due <= now:
                    plan.reopened.append((state, due))
                else:
                    plan.wake(due)

    def _run(self, group: AlertGroup, now: datetime) -> datetime:
        """The start of the group's run; of the next one, which may lie ahead, where none goes on."""
        log, interval = self._book.pages, self._people.grouping.interval
        run = log.run_of(group.id)
        ended = None
        if run is not None:
            start, pages = run
            first_named: dict[str, datetime] = {}
            for each in pages:
                for id_ in each.page.alerts:
                    first_named.setdefault(id_, each.page.at)
            ended = self._ended(first_named, start)
            known = (state for state in group.members if state.id in first_named)
            if ended is None and any(group.since[state.id] <= first_named[state.id] for state in known):
                return start
        last = last_page(self._book, group)
        starts = []
        for state in group.members:
            start = group.since[state.id]
            if state.id not in group.at_once:
                start += self._people.grouping.wait_of(state.alert.severity)
                start = start if last is None else max(start, last + interval)
            starts.append(start if ended is None else max(start, ended))
        return min(starts)

    def _ended(self, alerts: Iterable[str], start: datetime) -> datetime | None:
        """When a person's word on one of the alerts that it named ended the run."""
        states = (self._book.get(id_) for id_ in alerts)
        words = (word for state in states if state for word in state.words)
        return max((word.at for word in words if word.kind in _ENDS_RUN and word.at >= start), default=None)

    # --- steps -------------------------------------------------------------------------------------------------

    def _steps(self, plan: Plan, group: AlertGroup, run: datetime, holding: Holding, now: datetime) -> None:
        known = self._book.pages.run_of(group.id)
        pages = known[1] if known and known[0] == run else []
        steps = group.policy.steps if group.policy else ()
        repeat = group.policy.repeat_every if group.policy else MISSING_REPEAT
        repeat = max(repeat, self._people.grouping.interval)
        begun: dict[tuple[int, int], list[PageState]] = {}
        for each in pages:
            if each.page.why in _STEPS:
                begun.setdefault((each.page.round, each.page.step), []).append(each)
        round_ = max((now - run) // repeat, *(r for r, _ in begun), 0) if begun else (now - run) // repeat
        for key in [key for key in begun if key[0] == round_]:
            begun[key] = [as_sent(each, pages) for each in begun[key]]
        start = run + round_ * repeat
        plan.wake(start + repeat)
        paged: set[str] = set()
        if not pages and (gone := gone_policy(self._book, self._people, group)):
            plan.troubles.append(Trouble(Fault.POLICY_GONE, gone, 0, group.members[0].id))
        for index in self._due(plan, steps, start, round_, begun, anybody=any(p.is_sent for p in pages), now=now):
            names = steps[index].to
            people = list(dict.fromkeys(person for name in names for person in self._people.who(name, now)))
            if not people:
                plan.troubles.append(Trouble(Fault.EMPTY_STEP, group.name, index, group.members[0].id))
                people = [""]
            if index == 0 and round_ == 0:
                people = list(dict.fromkeys([*people, *self._answered_before(group, run)]))
            paged.update(people)
            self._page_all(plan, group, run, round_, index, people, PageWhy.STEP, holding, now)
        paged |= self._left_out(plan, group, run, round_, begun, holding, now)
        if not plan.pages or plan.pages[-1].groups.get(group.id) != run:
            resort = self._last_resort(plan, group, steps, begun, round_, now)
            if resort is not None:
                index, persons = resort
                paged.update(persons)
                self._page_all(plan, group, run, round_, index, persons, PageWhy.LAST_RESORT, holding, now)
        self._news(plan, group, run, pages, paged, holding, now)

    def _left_out(
        self,
        plan: Plan,
        group: AlertGroup,
        run: datetime,
        round_: int,
        begun: Mapping[tuple[int, int], list[PageState]],
        holding: Holding,
        now: datetime,
    ) -> set[str]:
        """Pages whom a step means whose page was never written down: we stopped between the pages of the step."""
        out: set[str] = set()
        steps = group.policy.steps if group.policy else ()
        for (r, index), its in begun.items():
            place = (group.id, run, r, index)
            if r != round_ or index >= len(steps) or place in self._whole:
                continue
            self._whole.add(place)
            meant = [person for name in steps[index].to for person in self._people.who(name, its[0].page.at)]
            left = dict.fromkeys(person for person in meant if person not in {each.page.person for each in its})
            if left:
                self._page_all(plan, group, run, round_, index, list(left), PageWhy.STEP, holding, now)
                self._whole.discard(place)
            out.update(left)
        return out

    def _due(
        self,
        plan: Plan,
        steps: Sequence[PolicyStep],
        start: datetime,
        round_: int,
        begun: Mapping[tuple[int, int], list[PageState]],
        *,
        anybody: bool,
        now: datetime,
    ) -> list[int]:
        """The steps of this round that are to begin now. Of several that were missed only the newest, and the first one
        where the run has paged nobody yet."""
        out, passed = [], [step.after for step in steps if start + step.after <= now]
        for index, step in enumerate(steps):
            if (round_, index) in begun:
                continue
            before = begun.get((round_, index - 1))
            if start + step.after <= now:
                if step.after == passed[-1] or (index == 0 and not anybody):
                    out.append(index)
            elif before is not None and self._is_refused(before):
                out.append(index)
            else:
                plan.wake(start + step.after)
        return out

    def _is_refused(self, pages: Sequence[PageState]) -> bool:
        """Whether no waking way of the step was taken, nor will be: there is nobody, or all were refused. Whoever has
        none fills no step in which others have one; a step of mail alone goes by its mails. Who is told with an empty
        step because he had the alert does not fill it either."""
        if any(not each.page.person for each in pages):
            return True
        ways = {each.page.id: self._people.contacts(each.page.person) for each in pages}
        waking = [each for each in pages if any(self._wakes(way.channel) for way in ways[each.page.id])]
        return all(self._nobody_woken(each, ways[each.page.id]) for each in waking or pages)

    def _nobody_woken(self, each: PageState, ways: Sequence[Contact]) -> bool:
        if each.page.until is not None:
            return False
        chosen = [way for way in ways if self._wakes(way.channel)] or ways
        states = [each.ways.get((way.channel, way.target)) for way in chosen]
        return all(state is not None and state.rejected for state in states)

    def _is_out_of_reach(self, pages: Sequence[PageState]) -> bool:
        """Whether nobody of the step was reached by any way, and hardly will be."""
        for each in pages:
            if not each.page.person:
                continue
            ways = [each.ways.get((c.channel, c.target)) for c in self._people.contacts(each.page.person)]
            if each.page.until is not None or not all(way is not None and way.given_up for way in ways):
                return False
        return True

    def _last_resort(
        self,
        plan: Plan,
        group: AlertGroup,
        steps: Sequence[PolicyStep],
        begun: Mapping[tuple[int, int], list[PageState]],
        round_: int,
        now: datetime,
    ) -> tuple[int, tuple[str, ...]] | None:
        """The next tier, as a step behind the others, once nobody of this round's steps and tiers could be reached."""
        its = [pages for (r, _), pages in begun.items() if r == round_]
        newest = max((step for r, step in begun if r == round_), default=-1)
        own = [each for (_, step), pages in begun.items() if step < len(steps) for each in pages]
        if any(step >= len(steps) for r, step in begun if r < round_) and not any(each.is_taken for each in own):
            # Nobody of the policy was reached in the rounds before: the last resort does not wait for it again.
            its = [pages for (r, step), pages in begun.items() if r == round_ and step >= len(steps)]
        if newest < len(steps) - 1 or not all(self._is_out_of_reach(pages) for pages in its):
            return None
        self._lasts = False  # who is there may change at any time
        tiers = self._people.last_resort(group.policy, now)
        index = newest + 1
        if index - len(steps) >= len(tiers):
            return None
        if index == len(steps):
            what = Fault.UNKNOWN_ROUTE if group.policy is None else Fault.ALL_FAILED
            plan.troubles.append(Trouble(what, group.name, index, group.members[0].id))
        return index, tiers[index - len(steps)]

    def _answered_before(self, group: AlertGroup, run: datetime) -> list[str]:
        """Who acknowledged what the run before was about, or what fell open again: they are awake, and think that they
        have it."""
        found = {person for state in group.members for person in self._had(state)}
        known = self._book.pages.run_of(group.id)
        if known is not None and known[0] < run:
            for id_ in {id_ for each in known[1] for id_ in each.page.alerts}:
                state = self._book.get(id_)
                for word in state.words if state else ():
                    if word.kind is DecisionKind.ACKNOWLEDGE and known[0] <= word.at <= run:
                        found |= {key for key in [self._people.key_of(word.by)] if key}
        return sorted(found)

    def _had(self, state: AlertState) -> list[str]:
        """Who acknowledged last an alert that fell open again."""
        if state.open_since == state.fired_at:
            return []
        words = (word for word in reversed(state.words) if word.kind is DecisionKind.ACKNOWLEDGE)
        return [key for word in [*words][:1] if (key := self._people.key_of(word.by))]

    def _news(
        self,
        plan: Plan,
        group: AlertGroup,
        run: datetime,
        pages: Sequence[PageState],
        paged: Container[str],
        holding: Holding,
        now: datetime,
    ) -> None:
        """Newcomers, and what has passed, to whom the run has paged already; and to who had what fell open again."""
        told: dict[str, dict[str, tuple[str, datetime]]] = {}
        last: dict[str, PageState] = {}
        for each in pages:
            if each.is_sent:
                knows = {id_: (condition, each.page.at) for id_, condition in each.page.alerts.items()}
                told.setdefault(each.page.person, {}).update(knows)
                last[each.page.person] = each
        for state in group.members if pages else ():
            for person in self._had(state) if state.open_since >= run else ():
                told.setdefault(person, {})
                last.setdefault(person, pages[-1])
        for person, knows in told.items():
            # What was held back since it was told is told again.
            again = {id_ for id_, (_, at) in knows.items() if group.since.get(id_, at) > at}
            news = {
                id_: now_is
                for id_, now_is in group.conditions().items()
                if id_ in again or id_ not in knows or knows[id_][0] != now_is
            }
            if not news:
                continue
            self._lasts = False
            if person in paged or self._book.pages.is_kept(person, group.id, run):
                continue
            urgent = any(id_ in again or (id_ in group.at_once and id_ not in knows) for id_ in news)
            due = now if urgent else last[person].page.at + self._people.grouping.interval
            if due > now:
                plan.wake(due)
                continue
            page = self._page(group, run, last[person].page.round, last[person].page.step, person, holding, now)
            gently = all(condition == Condition.RESOLVED for condition in news.values())
            what = (f"{k}={v}" for k, v in sorted(news.items()))
            id_ = digest("changed", group.id, run.isoformat(), person, now.isoformat(), *what)
            self._put(plan, named(page, id_, PageWhy.CHANGED, gently=gently), group.severity, now)

    # --- pages -------------------------------------------------------------------------------------------------

    def _page_all(
        self,
        plan: Plan,
        group: AlertGroup,
        run: datetime,
        round_: int,
        step: int,
        people: Sequence[str],
        why: PageWhy,
        holding: Holding,
        now: datetime,
    ) -> None:
        known = self._book.pages.run_of(group.id)
        before = (
            [each for each in known[1] if each.is_sent and not each.is_refused] if known and known[0] == run else []
        )
        told = {each.page.person for each in before if timedelta(0) <= now - each.page.at < SAME_MOMENT}
        told |= {each.person for each in plan.pages if each.groups.get(group.id) == run and each.until is None}
        for person in people:
            page = self._page(group, run, round_, step, person, holding, now)
            page = page.model_copy(update={"repeats": bool(person) and person in told})
            id_ = digest("step", group.id, run.isoformat(), str(round_), str(step), person)
            self._put(plan, named(page, id_, why), group.severity, now)

    def _page(
        self, group: AlertGroup, run: datetime, round_: int, step: int, person: str, holding: Holding, now: datetime
    ) -> Page:
        return Page(
            id="", at=now, why=PageWhy.STEP, person=person, policy=group.name, groups={group.id: run}, round=round_,
            step=step, alerts=group.conditions(), held=self._held_by(group.members, holding, now),
            exercise=group.members[0].alert.exercise,
        )  # fmt: skip

    def _held_by(self, members: Sequence[AlertState], holding: Holding, now: datetime) -> tuple[str, ...]:
        """The open alerts that a member holds back: they stand on its card."""
        if not self._people.inhibit:
            return ()
        ids = {state.id for state in members}
        held = (s for s in self._book.open() if ids & {source.id for source in holding.inhibitors(s, now)})
        return tuple(state.id for state in held)

    def _put(self, plan: Plan, page: Page, severity: Severity, now: datetime) -> None:
        """The page, or that it is kept for later: quiet hours first, then the brake."""
        page = page.model_copy(update={"severity": severity})
        until, why = self._people.quiet_until(page.person, severity, now), Deferral.QUIET_HOURS
        if until is None and (brake := self._people.brake) is not None and page.person not in ("", CONSOLE):
            besides = [each for each in plan.pages if each.person == page.person and each.until is None]
            until = self._book.pages.braked_until(page, now, brake.pages, brake.within, besides)
            why = Deferral.BRAKE
        if until is not None:
            plan.wake(until)
            page = page.model_copy(
                update={"id": digest(page.id, until.isoformat()), "until": until, "deferred": why, "code": ""}
            )
        self._add(plan, page)

    def _add(self, plan: Plan, page: Page) -> None:
        """With a code that no other page has that can still be answered, if one is left."""
        if page.code:
            first = int(page.code)
            tried = (str(1000 + (first - 1000 + n) % 9000) for n in range(CODES_TRIED))
            code = next((code for code in tried if code not in plan.codes and not self._is_in_use(code)), page.code)
            plan.codes.add(code)
            page = page.model_copy(update={"code": code})
        plan.pages.append(page)

    def _is_in_use(self, code: str) -> bool:
        pages = (each.page for each in self._book.pages.with_code(code))
        states = (self._book.get(id_) for page in pages for id_ in page.alerts)
        return any(state is not None and state.is_open for state in states)

    def _release(
        self,
        plan: Plan,
        groups: Mapping[str, AlertGroup],
        running: Mapping[str, datetime],
        holding: Holding,
        now: datetime,
    ) -> None:
        """What was kept and is due, one page for each person."""
        for person, pages in list(self._book.pages.kept()):
            due: dict[str, Page] = {}
            for page in pages:
                its = {g: run for g, run in page.groups.items() if running.get(g) == run}
                if not its:
                    self._book.pages.drop_kept(page)
                elif page.until is not None and page.until > now:
                    plan.wake(page.until)
                else:
                    due |= dict.fromkeys(its, page)
            told = {g for each in plan.pages if each.person == person and each.until is None for g in each.groups}
            due = {group: page for group, page in due.items() if group not in told}
            if not due:
                continue
            still = {g: self._people.quiet_until(person, groups[g].severity, now) for g in due}
            braked = any(page.deferred is Deferral.BRAKE for page in due.values())
            for group_id, until in still.items():
                if until is not None:
                    group = groups[group_id]
                    old = due[group_id]
                    page = self._page(group, running[group_id], old.round, old.step, person, holding, now)
                    self._put(plan, named(page, old.id, old.why), group.severity, now)
            ready = sorted((groups[g] for g, until in still.items() if until is None), key=lambda g: g.severity.rank)
            if ready:
                first = due[ready[0].id]
                members = [state for group in ready for state in group.members]
                page = Page(
                    id=digest("later", person, now.isoformat(), *(g.id for g in ready)),
                    at=now,
                    why=PageWhy.DIGEST if braked else PageWhy.QUIET_HOURS_OVER,
                    person=person,
                    policy=ready[0].name if len({g.name for g in ready}) == 1 else "",
                    groups={g.id: running[g.id] for g in ready},
                    round=first.round,
                    step=first.step,
                    alerts={state.id: state.condition.value for state in members},
                    held=self._held_by(members, holding, now),
                    exercise=all(state.alert.exercise for state in members),
                )
                self._put(plan, named(page, page.id, page.why), ready[0].severity, now)
