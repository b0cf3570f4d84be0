"""What a message says, in its parts, before it is written as text, as an SMS or as a page of HTML."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from alerts.notify.channels.text import one_line
from alerts.notify.messages import Messages, sparkline
from alerts.notify.subject import short_text
from listener.model.records import Severity


class Line(NamedTuple):
    """One line; its first `label` letters name what follows, and `link`, a part of it, is a web address."""

    text: str
    label: int = 0
    link: str = ""


class Section(NamedTuple):
    title: str
    lines: tuple[Line, ...]


class Graph(NamedTuple):
    """Counts, the oldest first, each of so long a `part` of the stretch of time `span`; both in words."""

    counts: tuple[int, ...]
    span: str
    part: str


@dataclass(frozen=True)
class HowToAnswer:
    """How a person answers: by a reply with a code, by a link, by a command; each where there is one."""

    code: str | None = None
    link: str | None = None
    command: str = ""

    def ways(self, messages: Messages) -> list[str]:
        return [
            *([messages.say("answer_code", code=self.code)] if self.code else []),
            *([messages.answer_link.replace("{link}", self.link)] if self.link else []),
            *([self.command] if self.command else []),
        ]


@dataclass(frozen=True)
class Layout:
    """`subject` is the whole first line. `said`: what it is about, without marks or incident. `severity`: how bad it
    is, in a word; of a notice none. `amount`, `place`, `notes`: what is read next. `headline`: where the subject
    has no room for it. `short`: parts for an SMS, the most important first, behind `short_head`."""

    messages: Messages
    subject: str
    said: str
    marks: tuple[str, ...]
    level: Severity
    severity: str
    amount: str
    place: str
    notes: tuple[str, ...]
    answer: HowToAnswer
    sections: tuple[Section, ...]
    footer: tuple[Line, ...] = ()
    graph: Graph | None = None
    headline: str = ""
    short_head: str = ""
    short: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """As text: what matters first, then the rest in its sections."""
        ways = self.answer.ways(self.messages)
        where = [self.place] if self.place else []
        if ways:
            where.append(self.messages.answer.replace("{way}", ways[0]))
        out = [self.subject, " · ".join(filter(None, (self.severity, self.amount))), " · ".join(where)]
        out += [f"  {self.messages.answer_or} {way}" for way in ways[1:]]
        out += [self.headline] if self.headline else []
        out += self.notes
        for lines in [*(section.lines for section in self.sections), self.footer]:
            if lines:
                out += ["", *(line.text for line in lines)]
        return tuple(line for n, line in enumerate(out) if line or n > 2)

    def as_short(self) -> str:
        """For SMS: the first line, what else fits, and how to answer. Who is away from a terminal types no command."""
        away = self.answer.code or self.answer.link
        ways = replace(self.answer, command="" if away else self.answer.command).ways(self.messages)
        answer = self.messages.answer.replace("{way}", f" {self.messages.answer_or} ".join(ways)) if ways else ""
        return short_text(self.short_head or self.subject, self.short, answer)


def line(messages: Messages, message: str, /, url: str = "", **values: object) -> Line:
    """One of the texts as a line; what stands before its first colon, if no brace does, is its label."""
    return labelled(str(getattr(messages, message)), messages.say(message, **values), url)


def labelled(template: str, text: str, url: str = "") -> Line:
    before, colon, _ = template.partition(": ")
    return Line(text, len(before) + 1 if colon and "{" not in before else 0, one_line(url))


def graph_line(messages: Messages, graph: Graph) -> Line:
    counts = graph.counts
    return line(messages, "spark", span=graph.span, spark=sparkline(counts), top=max(counts), part=graph.part)


def texts(lines: Iterable[str]) -> tuple[Line, ...]:
    return tuple(Line(text) for text in lines if text)
