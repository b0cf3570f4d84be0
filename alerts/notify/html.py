"""A page as HTML for mail: read at night, on a phone, in whatever programme somebody has.

One column, large letters, dark where the phone is dark. Nothing is fetched and nothing runs: no picture, font, style
sheet or script from anywhere, so that opening it tells nobody and needs no net. The graph is a table whose cells have
heights, which every mail programme draws; many take out SVG. All text is escaped, and only web addresses are links.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from urllib.parse import urlsplit

from alerts.notify.layout import Graph, Layout, Line, Section
from alerts.notify.messages import sparkline
from listener.model.records import Severity

BAND = {Severity.CRITICAL: "#b3261e", Severity.WARNING: "#8a4b00", Severity.INFO: "#1f4e79"}
"""Behind white letters, by severity: each has a contrast of more than 5 : 1 to them."""
HIGHEST = 48
"""Pixels of the highest bar."""

STYLE = """
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
  body, .page { background: #121212 !important; color: #ececec !important; }
  .quiet { color: #b4b4b4 !important; }
  .rule { border-color: #3a3a3a !important; }
  .bar { background: #8ab4f8 !important; }
  .button { background: #8ab4f8 !important; color: #121212 !important; }
  a { color: #8ab4f8 !important; }
}
"""
_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"


def as_html(page: Layout) -> str:
    """A whole document. Its first words are the severity, so that a list of mails shows them behind the subject."""
    messages, answer = page.messages, page.answer
    marks = [mark for mark in page.marks if mark != messages.exercise]
    head = " · ".join([*marks, page.severity or messages.severity[page.level]])
    parts = [
        _exercise(page),
        f'<div style="background:{BAND[page.level]};color:#ffffff;padding:10px 16px;font-size:18px;font-weight:700;'
        f'border-radius:8px">{_text(head)}</div>',
        f'<h1 style="font-size:24px;line-height:1.25;margin:16px 0 8px">{_text(page.said)}</h1>',
        *_paragraphs(filter(None, [page.place, page.amount]), size=17),
        *_paragraphs(page.notes, size=17, weight=700),
    ]
    if answer.code:
        way = messages.say("answer_code", code=answer.code)
        text = _text(messages.answer.replace("{way}", way))
        parts.append(f'<p style="font-size:22px;font-weight:700;margin:16px 0">{text}</p>')
    if answer.link and _is_web(answer.link):
        parts.append(
            f'<p style="margin:16px 0"><a class="button" href="{escape(answer.link)}" style="display:block;'
            "background:#0b57d0;color:#ffffff;text-decoration:none;text-align:center;font-size:20px;font-weight:700;"
            f'padding:14px 16px;border-radius:8px">{_text(messages.answer_button)}</a></p>'
        )
    if page.graph is not None:
        parts.append(_graph(page.graph, messages.say("graph", span=page.graph.span)))
    # The graph's own line, in letters, is for those who read text.
    parts += [_section(page, section) for section in page.sections]
    footer = [*page.footer]
    if answer.command:
        footer = [Line(f"{messages.answer.replace('{way}', answer.command)}"), *footer]
    parts.append("".join(_line(each, quiet=True) for each in footer))
    body = "\n".join(filter(None, parts))
    return (
        f'<!DOCTYPE html>\n<html lang="{messages.language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="supported-color-schemes" content="light dark">\n'
        f"<title>{_text(page.subject)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f'<body style="margin:0;padding:0;background:#ffffff;color:#1b1b1b;{_FONT}">\n'
        '<div class="page" style="max-width:600px;margin:0 auto;padding:12px 16px 24px;font-size:17px;line-height:1.45;'
        f'background:#ffffff;color:#1b1b1b;overflow-wrap:anywhere">\n{body}\n</div>\n</body>\n</html>\n'
    )


def _exercise(page: Layout) -> str:
    """Before everything else, and unlike any severity, so that nobody takes it for real."""
    mark = page.messages.exercise
    if mark not in page.marks:
        return ""
    return (
        '<div style="background:#ffd54f;color:#1b1b1b;border:3px dashed #1b1b1b;padding:10px 16px;margin-bottom:8px;'
        f'font-size:22px;font-weight:700;text-align:center;border-radius:8px">{_text(mark)}</div>'
    )


def _section(page: Layout, section: Section) -> str:
    shown = [
        each for each in section.lines if not (page.graph is not None and sparkline(page.graph.counts) in each.text)
    ]
    if not shown:
        return ""
    title = ""
    if section.title:
        title = f'<h2 style="font-size:17px;margin:0 0 4px">{_text(section.title)}</h2>'
    lines = "".join(map(_line, shown))
    return (
        f'<div class="rule" style="border-top:1px solid #d0d0d0;margin-top:14px;padding-top:12px">{title}{lines}</div>'
    )


def _line(line: Line, quiet: bool = False) -> str:
    label, rest = line.text[: line.label], line.text[line.label :]
    text = _linked(rest, line.link)
    if label:
        text = f'<span class="quiet" style="color:#5a5a5a">{_text(label)}</span>{text}'
    if quiet:
        return f'<p class="quiet" style="margin:10px 0 0;font-size:14px;color:#5a5a5a">{text}</p>'
    return f'<p style="margin:0 0 6px">{text}</p>'


def _linked(text: str, link: str) -> str:
    if not link or link not in text or not _is_web(link):
        return _text(text)
    before, _, after = text.partition(link)
    return f'{_text(before)}<a href="{escape(link)}" style="color:#0b57d0">{_text(link)}</a>{_text(after)}'


def _paragraphs(lines: Iterable[str], *, size: int, weight: int = 400) -> list[str]:
    style = f"margin:0 0 6px;font-size:{size}px;font-weight:{weight}"
    return [f'<p style="{style}">{_text(line)}</p>' for line in lines]


def _graph(graph: Graph, caption: str) -> str:
    top = max(graph.counts)
    cells = "".join(_bar(count, top) for count in graph.counts[-30:])
    return (
        f'<table role="img" aria-label="{_text(sparkline(graph.counts))}" cellpadding="0" cellspacing="0" '
        f'style="width:100%;max-width:420px;table-layout:fixed;border-collapse:collapse;margin-top:14px"><tr>{cells}</tr>'
        f'</table><p class="quiet" style="margin:2px 0 0;font-size:14px;color:#5a5a5a">{_text(caption)}</p>'
    )


def _bar(count: int, top: int) -> str:
    height = max(2, round(max(count, 0) * HIGHEST / top)) if top else 2
    number = f'<div class="quiet" style="font-size:11px;color:#5a5a5a">{count}</div>' if count else ""
    return (
        f'<td valign="bottom" align="center" style="vertical-align:bottom;padding:0 1px;height:{HIGHEST + 18}px">'
        f"{number}"
        f'<div class="bar" style="height:{height}px;background:#0b57d0;font-size:0;line-height:0">&nbsp;</div></td>'
    )


def _text(text: str) -> str:
    """Escaped, without what a page cannot hold."""
    return escape(text.encode("utf-8", "replace").decode())


def _is_web(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
