"""Bodies with placeholders, and answers with places: what a gateway is sent and what is read from what it says.

A template is filled leaf by leaf after it was parsed, in one pass, and then written in its kind: so no text that is
filled in can add or change a field, whatever it holds, and what looks like a placeholder in it stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlencode
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict, Field, model_validator

from alerts.notify.channels.http import json_bytes

PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
ANOTHER_KIND = re.compile(r'\s*(?:https?://|<|[\[{]\s*")')
"""How JSON, XML and addresses begin."""

Encoding = Literal["utf-8", "latin-1"]
Kind = Literal["json", "xml", "form", "text"]
Values = Mapping[str, str]
Tree = Any
"""As JSON has it: mappings, lists, texts, numbers, truth values, None."""


class Body(BaseModel):
    """One of three kinds. A field of `form` is text, or `{json: …}`, `{xml: …}` or `{url: …}`, written into it.

    `encoding`: of a form or of XML; a letter that Latin-1 lacks becomes a question mark. JSON is always UTF-8.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    form: Mapping[str, Tree] | None = None
    json_: Tree = Field(default=None, alias="json")
    xml: str | None = None
    encoding: Encoding = "utf-8"

    @model_validator(mode="after")
    def _one_kind(self) -> Body:
        if sum(kind is not None for kind in (self.form, self.json_, self.xml)) != 1:
            raise ValueError("write one of json, form and xml")
        if self.json_ is not None and self.encoding != "utf-8":
            raise ValueError("JSON is always UTF-8; leave encoding out")
        plain = {name: value for name, value in (self.form or {}).items() if not isinstance(value, Mapping)}
        for leaf in _leaves([plain, self.json_]):
            if PLACEHOLDER.search(leaf) and ANOTHER_KIND.match(leaf):
                raise ValueError(
                    "JSON, XML or an address within a field would not be escaped: write {json: …} and so on"
                )
        self.fill(dict.fromkeys(self.placeholders, "x"))
        return self

    @property
    def placeholders(self) -> frozenset[str]:
        """The names in braces."""
        leaves = _leaves([self.form, self.json_, self.xml])
        return frozenset(name for leaf in leaves for name in PLACEHOLDER.findall(leaf))

    def fill(self, values: Values) -> tuple[bytes, str]:
        """The body as it is sent, and its Content-Type. Raises ValueError for a template that is no XML."""
        charset = "ISO-8859-1" if self.encoding == "latin-1" else "utf-8"
        if self.form is not None:
            fields = [(name, _field(value, values)) for name, value in self.form.items()]
            written = urlencode(fields, encoding=self.encoding, errors="replace")
            return written.encode(), f"application/x-www-form-urlencoded; charset={charset}"
        if self.xml is not None:
            return _xml(self.xml, values, charset), f"text/xml; charset={charset}"
        return _json(self.json_, values), "application/json; charset=utf-8"


def _leaves(tree: Tree) -> Iterator[str]:
    """Every text in it."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _leaves(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from _leaves(value)


def _filled(tree: Tree, values: Values) -> Tree:
    if isinstance(tree, str):
        return PLACEHOLDER.sub(lambda found: values[found[1]], tree)
    if isinstance(tree, Mapping):
        return {str(name): _filled(value, values) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_filled(value, values) for value in tree]
    return tree


def _json(tree: Tree, values: Values) -> bytes:
    return json_bytes(_filled(tree, values))


def _field(value: Tree, values: Values) -> str:
    match value:
        case {"json": tree, **rest} if not rest:
            return _json(tree, values).decode()
        case {"xml": str(text), **rest} if not rest:
            return _xml(text, values, "unicode").decode()
        case {"url": str(text), **rest} if not rest:
            return str(_filled(text, {name: quote(value, safe="", errors="replace") for name, value in values.items()}))
        case dict() | list() | None:
            raise ValueError("a field of a form is text, {json: …}, {xml: …} or {url: …}")
    return str(_filled(said(value), values))


def _xml(text: str, values: Values, charset: str) -> bytes:
    try:
        root = ElementTree.fromstring(text)  # noqa: S314  (the operator's own settings)
    except ElementTree.ParseError:
        raise ValueError("is no XML; write & as &amp; and < as &lt;") from None
    for element in root.iter():
        element.text = _filled(element.text, values)
        element.tail = _filled(element.tail, values)
        for name, value in element.attrib.items():
            element.set(name, _filled(value, values))
    if charset == "unicode":
        return ElementTree.tostring(root, encoding="unicode").encode("utf-8", "replace")
    return bytes(ElementTree.tostring(root, encoding=charset, xml_declaration=True))


# --- what is read ----------------------------------------------------------------------------------------------------


def parse(body: bytes, kind: Kind, encoding: Encoding = "utf-8") -> Tree:
    """An answer, or a callback's fields, as a tree. `encoding` is that of a form's letters.

    Raises ValueError, which repeats nothing of it.
    """
    if kind == "xml":
        if b"<!ENTITY" in body:
            raise ValueError("XML with entities of its own is not read")
        # Some write Latin-1 and do not say so.
        for form in (body, _decoded(body)):
            with suppress(ElementTree.ParseError, LookupError, ValueError):
                root = ElementTree.fromstring(form)  # noqa: S314  (a short text without entities)
                return {_local(root.tag): _plain(root)}
        raise ValueError("is no XML")
    text = _decoded(body)
    if kind == "json":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError("is no JSON") from None
    if kind == "form":
        fields: dict[str, list[str]] = {}
        for name, value in parse_qsl(text, True, encoding=encoding, errors="replace", max_num_fields=200):
            fields.setdefault(name, []).append(value)
        return fields
    return text


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _plain(element: ElementTree.Element) -> Tree:
    children: dict[str, list[Tree]] = {}
    for child in element:
        children.setdefault(_local(child.tag), []).append(_plain(child))
    return children or (element.text or "").strip()


def find(tree: Tree, path: str) -> list[str]:
    """Every value at a path, as text: `response.ids`, `messages.0.status`. Empty path: the whole, where it is text.

    A list is gone into without being named; a number names one of its items. Nothing, null and "" are no value.
    """
    found = [tree]
    for step in path.split(".") if path else ():
        found = [inner for each in found for inner in _step(each, step)]
    return [text for each in found for text in _values(each) if text]


def _step(tree: Tree, step: str) -> Iterator[Tree]:
    if isinstance(tree, Mapping):
        if step in tree:
            yield tree[step]
    elif isinstance(tree, list):
        if step.isdigit():
            yield from tree[int(step) : int(step) + 1]
        else:
            for each in tree:
                yield from _step(each, step)


def _values(tree: Tree) -> Iterator[str]:
    if isinstance(tree, list):
        for each in tree:
            yield from _values(each)
    elif isinstance(tree, Mapping):
        # That something stands there counts, as an answer's list of errors.
        yield from ("{…}",) if tree else ()
    elif tree is not None:
        yield said(tree)


def said(value: object) -> str:
    """A number, a truth value or a text as it is written in settings and answers alike."""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()
