"""What people say: themes, the stories of a theme, one story with its posts, and what a person decides about them.

A text that may show who a patient is is veiled until somebody asks for it and says why. Who looks at posts is written
to the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from operator import attrgetter
from typing import NamedTuple
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from alerts.board import audit
from alerts.board.access.roles import May, Who
from alerts.board.application import Endpoint, NotFound, Site
from alerts.board.frame.forms import Form
from alerts.board.now_page import sample_of
from alerts.board.worker import Inside
from alerts.register import deciding
from alerts.register.decisions import Said
from alerts.register.denials import Denial
from alerts.register.details import Details, details_of
from alerts.register.overview import read_stories, read_themes
from alerts.register.ranking import NONE_OF_THESE, Registered, RegisterRow, Selection, ThemeRow, Whose
from alerts.register.ranking import words as apart
from alerts.register.subjects import THEME, OpenRegister, Subject
from alerts.situation.sentences import standing_words, theme_name, trend_words
from alerts.situation.situation import VOICED
from alerts.situation.words import Words
from listener.errors import Refused, UsageError
from listener.model.answers import Standing, Verdict
from listener.model.decisions import Note, Status
from listener.model.records import Kind
from listener.units import from_ms

STORIES = 60
POSTS = 60
THEMES = 40
SPANS = {"1h": timedelta(hours=1), "3h": timedelta(hours=3), "12h": timedelta(hours=12), "all": None}
WORDS, SHORTEST_WORD = 5, 4
"""Of those that led to a kind: so many, and of so many letters at least."""
LONGEST = 4000
"""Characters of a post that is shown."""


class StoryLine(NamedTuple):
    story: str
    text: str
    withheld: bool
    exercise: bool
    people: int
    arrow: str
    trend: str
    kinds: str
    stands: str
    standing: str


class ThemeRowLine(NamedTuple):
    theme: str
    name: str
    people: int
    posts: int
    arrow: str
    trend: str
    kinds: str


class PostLine(NamedTuple):
    id: str
    text: str
    withheld: bool
    time: str
    official: bool
    kinds: Sequence[str]
    themes: Sequence[str]
    link: str


class SaidLine(NamedTuple):
    """What somebody said or decided, of a story or an alert."""

    time: str
    who: str
    text: str


@dataclass(frozen=True)
class StoryView:
    story: str
    row: RegisterRow
    text: str
    withheld: bool
    veiled: bool
    """It, or a copy of it, may show who a patient is, and nobody asked for it yet."""
    people: str
    first: str
    last: str
    kinds: Sequence[tuple[str, int, str]]
    """Kind in words, people, and the words that led to it."""
    themes: Sequence[tuple[str, str, int]]
    """Theme, its name, people."""
    stands: str
    incidents: str
    mixed: Sequence[tuple[str, str]]
    """Where an exercise and a real incident heard it: which one is meant must be said. Id and name."""
    posts: Sequence[PostLine]
    more: int
    said: Sequence[SaidLine]
    denials: Sequence[tuple[str, str, bool]]
    """What may deny it: its text, by how many and when, and whether an official says so."""
    all_kinds: Sequence[tuple[str, str]]
    all_themes: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Filter:
    """What is asked for of the list, as it stands in the address."""

    kind: str
    since: str
    language: str
    incident: str

    def selection(self, closed: frozenset[str], theme: str = "") -> Selection:
        return Selection(
            incident=self.incident, closed=frozenset() if self.incident else closed,
            kinds=frozenset({Kind(self.kind)} if self.kind else ()),
            themes=frozenset({theme} if theme else ()), language=self.language,
        )  # fmt: skip


def pages(site: Site, inside: Callable[[], Inside]) -> list[tuple[str, str, Endpoint]]:
    async def listed(request: Request) -> Response:
        who, ours, asked = site.visitor(request, May.READ_POSTS), site.words_for(request), _filter(request)
        found = await site.hand_over(lambda: _themes(inside(), asked, ours))
        site.looked(request, who, "the themes")
        return site.page(request, who, "said.html", it=found, asked=asked, spans=list(SPANS), kinds=_kinds(ours))

    async def theme(request: Request) -> Response:
        who, ours, asked = site.visitor(request, May.READ_POSTS), site.words_for(request), _filter(request)
        id_ = str(request.path_params["theme"])
        found = await site.hand_over(lambda: _theme(inside(), id_, asked, ours))
        site.looked(request, who, f"theme {id_}")
        return site.page(
            request, who, "theme.html", theme=id_, theme_heading=theme_name(id_, ours), asked=asked, spans=list(SPANS),
            kinds=_kinds(ours), verdicts=list(Verdict), it=found,
        )  # fmt: skip

    async def story(request: Request) -> Response:
        who, ours = site.visitor(request, May.READ_POSTS), site.words_for(request)
        id_ = str(request.path_params["story"])
        found = await site.hand_over(lambda: _story(inside(), id_, ours, veiled=True))
        site.looked(request, who, f"story {found.story}")
        return site.page(request, who, "story.html", it=found, verdicts=list(Verdict), unveiled=False)

    async def unveil(request: Request) -> Response:
        who, form = await site.form(request, May.READ_POSTS)
        ours, id_ = site.words_for(request), str(request.path_params["story"])
        if not form.one("why"):
            return site.done(request, who, f"/story/{id_}", [ours.say("story.why_first")], wrong=True)
        try:
            why = await site.hand_over(lambda: _reason(inside(), form.one("why"), ours), press=True)
        except (UsageError, Refused) as error:
            return site.done(request, who, f"/story/{id_}", site.refused(ours, error), wrong=True, form=form)
        found = await site.hand_over(lambda: _story(inside(), id_, ours, veiled=False), press=True)
        audit.looked(who, f"story {found.story}", why=why)
        return site.page(request, who, "story.html", it=found, verdicts=list(Verdict), unveiled=True)

    async def decide(request: Request) -> Response:
        who, form = await site.form(request, May.DECIDE)
        ours, about, what = site.words_for(request), form.one("about"), str(request.path_params["what"])
        of_theme = about.startswith(THEME)
        its = quote(about.removeprefix(THEME) if of_theme else form.one("story") or about, safe="")
        back = f"/said/{its}" if of_theme else f"/story/{its}"
        try:
            lines = await site.hand_over(
                lambda: inside().act(lambda: _decide(inside(), what, about, who, form, ours)), press=True
            )
        except (UsageError, Refused) as error:
            return site.done(request, who, back, site.refused(ours, error), wrong=True, form=form)
        return site.done(request, who, back, lines)

    return [
        ("/said", "GET", listed),
        ("/said/{theme}", "GET", theme),
        ("/story/{story}", "GET", story),
        ("/story/{story}/unveil", "POST", unveil),
        ("/decide/{what}", "POST", decide),
    ]


def _reason(inside: Inside, why: str, ours: Words) -> str:
    """As it may be kept in a log: masked as posts are, and no quote of one."""
    inside.prepare_for_words()
    return inside.register.own_words(why, ours.say("story.why"), inside.now).text


def _filter(request: Request) -> Filter:
    query = request.query_params
    kind, since = query.get("kind", ""), query.get("since", "all")
    return Filter(
        kind if kind in set(Kind) else "", since if since in SPANS else "all", query.get("language", "")[:8],
        query.get("incident", "")[:200],
    )  # fmt: skip


def _kinds(ours: Words) -> list[tuple[str, str]]:
    return [(kind.value, ours.say(f"now.{kind.value}")) for kind in VOICED]


def _closed(inside: Inside) -> frozenset[str]:
    return frozenset(each.id for each in inside.followed.control.incidents.values() if not each.open)


def _themes(inside: Inside, asked: Filter, ours: Words) -> Mapping[str, object]:
    followed = inside.followed
    found = read_themes(
        followed.register, asked.selection(_closed(inside)), inside.now, limit=THEMES, samples=0,
        span=SPANS[asked.since], suggest=False,
    )  # fmt: skip
    unsorted = [_story_line(inside, row, ours) for row in found.unsorted]
    return {
        "themes": [_theme_line(row, ours) for row in [*found.themes, *found.none]],
        "unsorted": unsorted,
        "incidents": [(each.id, each.name) for each in followed.control.incidents.values() if not each.synthetic],
    }


def _theme_line(row: ThemeRow, ours: Words) -> ThemeRowLine:
    arrow, trend = trend_words(row.trend, ours)
    kinds = ", ".join(ours.messages.kinds_counted(Kind(kind), count) for kind, count in list(row.kinds.items())[:4])
    return ThemeRowLine(row.theme, theme_name(row.theme, ours), row.people, row.posts, arrow, trend, kinds)


def _theme(inside: Inside, theme: str, asked: Filter, ours: Words) -> dict[str, object]:
    if theme not in inside.themes and theme != NONE_OF_THESE:
        raise NotFound
    followed, closed = inside.followed, _closed(inside)
    found = read_stories(
        followed.register, asked.selection(closed, theme), inside.now, limit=STORIES, span=SPANS[asked.since]
    )
    open_ = [each.id for each in followed.control.open]
    stands = followed.decisions.of_theme(theme, open_ or list(followed.control.incidents))
    return {
        "stories": [_story_line(inside, row, ours) for row in found.stories],
        "stands": standing_words(stands, ours),
        "answer": stands.answer,
        "history": [_said(inside, word, ours) for word in stands.said],
        "may_answer": theme != NONE_OF_THESE,
        "mixed": _mixed(inside.register, open_, ours),
    }


def _story_line(inside: Inside, row: RegisterRow, ours: Words) -> StoryLine:
    # One person's word does not develop: then it is told when it was said.
    arrow, trend = trend_words(row.trend, ours) if row.people > 1 else ("", ours.messages.time(row.last_at, inside.now))
    stands = inside.followed.decisions.of_row(row)
    text, withheld = sample_of(row, ours)
    kinds = ", ".join(ours.messages.kinds_counted(Kind(kind), count) for kind, count in list(row.kinds.items())[:3])
    return StoryLine(
        row.story, text, withheld, row.exercise, row.people, arrow, trend, kinds, standing_words(stands, ours),
        stands.status.value,
    )  # fmt: skip


def _story(inside: Inside, id_: str, ours: Words, *, veiled: bool) -> StoryView:
    register, followed, now, messages = inside.register, inside.followed, inside.now, ours.messages
    try:
        subject = register.subject(id_)
    except UsageError:
        rows = followed.register.story(id_)  # an exercise and a real incident heard it: both are shown
        if not rows:
            raise NotFound from None
        subject = Subject(id_, "", tuple(sorted({row.incident for row in rows})), rows)
    found = details_of(register, subject, followed.deny)
    row = found.row
    if row is None:
        raise NotFound
    rows = sorted({row_.post: row_ for row_ in found.subject.rows if not row_.repost}.values(), key=attrgetter("at"))
    # Copies of what may show a patient say the same, however the machine scored each.
    veil = veiled and any(each.exposed for each in found.subject.rows)
    text, withheld = sample_of(replace(row, exposed=veil), ours)
    return StoryView(
        story=row.story,
        row=row,
        text=text if withheld or row.text is None else " ".join(row.text.split())[:LONGEST],
        withheld=withheld,
        veiled=veil,
        people=ours.count("now.people", row.people),
        first=messages.time(row.first_at, now),
        last=messages.time(row.last_at, now),
        kinds=_kinds_of(found, ours, veil=veil),
        themes=[(theme, theme_name(theme, ours), count) for theme, count in row.themes.items()],
        stands=standing_words(found.stands, ours),
        incidents=", ".join(_incident_name(register, each) for each in found.subject.incidents),
        mixed=_mixed(register, found.subject.incidents, ours),
        posts=_posts(inside, rows[:POSTS], ours, veil=veil),
        more=max(0, len(rows) - POSTS),
        said=[_said(inside, word, ours) for word in found.stands.said],
        denials=[_denial(inside, each, ours) for each in found.denials],
        all_kinds=[(kind.value, messages.kind[kind][0]) for kind in Kind],
        all_themes=[(theme, theme_name(theme, ours)) for theme in inside.themes],
    )


def _incident_name(register: OpenRegister, incident: str) -> str:
    known = register.state.incidents
    return known[incident].name if incident in known else incident


def _mixed(register: OpenRegister, incidents: Sequence[str], ours: Words) -> list[tuple[str, str]]:
    known = [register.state.incidents[each] for each in incidents if each in register.state.incidents]
    if len({each.exercise for each in known}) < 2:
        return []
    mark = ours.messages.exercise
    return [(each.id, f"{mark} · {each.name}" if each.exercise else each.name) for each in known]


def _kinds_of(found: Details, ours: Words, *, veil: bool) -> list[tuple[str, int, str]]:
    """What it is, by how many, and the words that led to it: those that say something, and none of a veiled text."""
    its = found.row.kinds if found.row is not None else {}
    names = {kind: ours.messages.kind[Kind(kind)][count != 1] for kind, count in its.items()}

    def because(kind: str) -> str:
        said = {word.casefold(): word for word in found.words.get(kind, ()) if len(word) >= SHORTEST_WORD}
        return "" if veil else ", ".join(f"«{word}»" for word in list(said.values())[:WORDS])

    return [(names[kind], count, because(kind)) for kind, count in its.items()]


def _posts(inside: Inside, rows: Sequence[Registered], ours: Words, *, veil: bool) -> list[PostLine]:
    texts = inside.followed.register.texts_of(rows)
    return [_post(inside, row, text, ours, veil=veil) for row, text in zip(rows, texts, strict=True)]


def _post(inside: Inside, row: Registered, text: str | None, ours: Words, *, veil: bool) -> PostLine:
    withheld = veil or text is None
    shown = ours.say("story.removed") if text is None else ours.say("story.withheld") if veil else text[:LONGEST]
    finding = inside.followed.register.finding(row)
    url = getattr(finding, "url", None) if finding is not None else None
    return PostLine(
        # Who has the id finds the original: it stays behind the veil.
        id="" if withheld else row.post,
        text=shown,
        withheld=withheld,
        time=ours.messages.time(from_ms(row.at), inside.now),
        official=row.whose != Whose.PUBLIC,
        kinds=sorted(apart(row.kinds)),
        themes=row.themes.split(),
        link=url if isinstance(url, str) and url.startswith("https://") and not withheld else "",
    )


def _denial(inside: Inside, found: Denial, ours: Words) -> tuple[str, str, bool]:
    row, text, people = found
    shown = ours.say("story.withheld") if row.exposed else " ".join(text.split())[:280]
    when = ours.messages.time(from_ms(row.at), inside.now)
    return shown, ours.say("story.denied_by", people=people, time=when), row.whose == Whose.OFFICIAL


def _said(inside: Inside, word: Said, ours: Words) -> SaidLine:
    time = ours.messages.time(word.at, inside.now)
    if isinstance(word, Note):
        return SaidLine(time, word.by, ours.say("story.noted", words=word.words))
    if isinstance(word, Status):
        text = ours.say(f"story.set_{word.status.value}")
        return SaidLine(time, word.by, f"{text}: {word.why}" if word.why else text)
    about = ours.say("story.about_theme", theme=theme_name(word.theme, ours)) if word.theme else ""
    verdict = ours.messages.verdict[word.verdict]
    text = ours.say("story.answered", verdict=verdict, words=word.words)
    return SaidLine(time, word.by, f"{text} {about}".rstrip())


def _decide(inside: Inside, what: str, about: str, who: Who, form: Form, ours: Words) -> list[str]:
    inside.followed.read()
    inside.prepare_for_words()
    register, now, incident = inside.register, inside.now, form.one("incident")
    fields = {each: ours.say(f"story.{each}") for each in ("words", "why", "link", "theme", "incident")}
    before = _before(inside, about, incident, who, ours) if what in ("status", "answer") else []
    if what == "note":
        masked = deciding.note(
            register, about, form.one("words"), by=who.name, now=now, incident=incident, fields=fields
        ).masked
        lines = [ours.say("story.done_note")]
    elif what == "status":
        status = deciding.status_of(form.one("status"), ours.say("story.status"))
        masked = deciding.set_status(
            register, about, status, by=who.name, now=now, why=form.one("why"), incident=incident, fields=fields
        ).masked
        lines = [ours.say(f"story.done_{status.value}")]
        if status in (Standing.ANSWERED, Standing.DISMISSED):
            lines.append(ours.say("story.silent_now"))
    elif what == "answer":
        verdict = deciding.verdict_of(form.one("verdict"), ours.say("story.verdict"))
        written = deciding.answer(
            register, about, verdict, form.one("words"), by=who.name, now=now, link=form.one("link"),
            theme=form.one("theme"), incident=incident, fields=fields,
        )  # fmt: skip
        masked = written.masked
        lines = [ours.say("story.done_answer", people=written.word.people), ours.say("story.silent_now")]
    elif what == "correct":
        kinds = deciding.kinds_of(form.all("kind"), ours.say("story.kinds"))
        main = [form.one("main")] if form.one("main") else []
        themes = list(dict.fromkeys([*main, *form.all("theme")]))
        written_ = deciding.correct(
            register, about, kinds, by=who.name, now=now, themes=themes, why=form.one("why"), fields=fields
        )
        masked = written_.masked
        lines = [ours.say("story.done_correct")]
    else:
        raise NotFound
    return [*lines, *before, *([ours.say("alert.masked")] if masked else [])]


def _before(inside: Inside, about: str, incident: str, who: Who, ours: Words) -> list[str]:
    """What somebody else had said of it last, which no longer counts: whoever is at a page may not have seen it."""
    register = inside.register
    try:
        last = register.stands(register.subject(about, incident)).last
    except UsageError:
        return []  # told by what it cannot be decided of
    if last is None or last.by == who.name:
        return []
    said = _said(inside, last, ours)
    return [ours.say("story.before", time=said.time, name=said.who, text=said.text)]
