"""The situation report as Markdown, in which nothing that a person wrote is more than text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from alerts.notify.channels.text import one_line
from alerts.notify.messages import BARS
from alerts.report.report import Item, Report, Section
from alerts.situation.words import Words

STEPS = 3
"""Of five minutes, in one bar."""
UNKNOWN = "░"
_MEANS = re.compile(r"[\\`*_{}\[\]<>#|~!&$^=]|(?<=:)/(?=/)|@|(?<=www)\.", re.IGNORECASE)
"""What Markdown, or a program that shows it, may take for more than text; so too an address that it would link."""
_BEGINS = re.compile(r"^(\s*)([-+]|\d+(?=[.)]))")


def as_markdown(report: Report, words: Words) -> str:
    return "\n".join(_lines(report, words)) + "\n"


def _lines(report: Report, words: Words) -> Iterator[str]:
    if report.mark:
        yield from (f"**{plain(report.mark)}**", "")
    yield f"# {plain(report.title)}: {plain(report.where)}"
    yield ""
    yield f"{plain(report.at)}. {plain(report.stretch)}"
    yield ""
    yield f"## {plain(words.say('report.short'))}"
    yield ""
    yield from map(_item, report.summary)
    for section in report.sections:
        yield ""
        yield from _section(report, section, words)
    yield ""
    yield "---"
    for text in report.foot:
        yield ""
        yield plain(text)


def _section(report: Report, section: Section, words: Words) -> Iterator[str]:
    yield f"## {plain(section.title)}"
    for text in section.lead:
        yield from ("", plain(text))
    if section.id == "loud" and report.graph is not None:
        yield from ("", plain(report.graph.summary))
        yield from _spark(report, words)
    for group in section.groups:
        yield ""
        if group.title:
            yield from (f"### {plain(group.title)}", "")
        if group.items:
            yield from map(_item, group.items)
        elif group.none:
            yield plain(group.none)
    if section.note:
        yield from ("", plain(section.note))


def _item(item: Item) -> str:
    people = "" if item.people is None else f"**{item.people}** "
    mark = f"**{plain(item.mark)}** " if item.mark else ""
    text = f"**{plain(item.text)}**" if item.calls and item.text == item.text.strip("* ") else plain(item.text)
    more = f" ({'; '.join(map(plain, item.more))})" if item.more else ""
    # Between < and > an address ends where it should, and none of these characters can stand in one.
    link = f" <{item.link}>" if item.link and not re.search(r"[<>\s]", item.link) else ""
    return f"- {people}{mark}{text}{more}{link}"


def _spark(report: Report, words: Words) -> Iterator[str]:
    graph = report.graph
    if graph is None or not graph.counts:
        return
    bars = [graph.counts[start : start + STEPS] for start in range(0, len(graph.counts), STEPS)]
    sums = [None if None in bar else sum(count or 0 for count in bar) for bar in bars]
    top = max([*(count for count in sums if count is not None), 1])
    span = "–".join([graph.hours[0].time.partition("–")[0], graph.hours[-1].time.rpartition("–")[2]])
    yield from ("", plain(words.say("report.graph", span=span, top=top)), "", f"`{_bars(sums, top)}`")
    if None in sums:
        yield from ("", plain(words.say("report.graph_unknown")))


def _bars(sums: Sequence[int | None] | Iterable[int | None], top: int) -> str:
    return "".join(UNKNOWN if count is None else BARS[count * (len(BARS) - 1) // top] for count in sums)


def plain(text: str) -> str:
    """One line that is nothing but text."""
    escaped = _MEANS.sub(r"\\\g<0>", one_line(text, 2000))
    return _BEGINS.sub(r"\1\\\2" if not re.match(r"\s*\d", escaped) else r"\1\2\\", escaped)
