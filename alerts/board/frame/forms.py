"""What a form of ours sent, within limits."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qs

from starlette.requests import Request

from listener.webserver.body import NotTaken, read_body

FORM = "token"
"""The field that says that a form was one of ours."""
MOST_FIELDS = 500


@dataclass(frozen=True)
class Form:
    fields: Mapping[str, Sequence[str]]

    def raw(self, name: str) -> str:
        """The field as it was sent, the last where it is there twice; empty where it is not there."""
        return self.fields.get(name, [""])[-1]

    def one(self, name: str) -> str:
        """The same without blanks around it."""
        return self.raw(name).strip()

    def all(self, name: str) -> list[str]:
        return [each.strip() for each in self.fields.get(name, ()) if each.strip()]

    def lines(self, name: str) -> list[str]:
        """A field of several lines, each by itself."""
        return [line.strip() for line in self.one(name).splitlines() if line.strip()]

    def on(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.one(name))


@dataclass(frozen=True)
class Draft:
    """What stood in the fields of a form that was refused, so that its page can fill them in again; false where no form
    was."""

    form: Form = Form(MappingProxyType({}))

    def __bool__(self) -> bool:
        return bool(self.form.fields)

    def text(self, name: str) -> str:
        """Without what nobody can see."""
        return "".join(c for c in self.form.raw(name) if c in "\n\t" or unicodedata.category(c)[0] != "C")

    def has(self, name: str, value: str, *, usual: bool = False) -> bool:
        """Whether this was chosen, of choices or boxes. `usual`: whether it is where nobody chose yet."""
        return value in self.form.fields.get(name, ()) if self else usual


async def read_form(request: Request) -> Form:
    """A form as browsers send it. Raises NotTaken, ClientDisconnect."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise NotTaken(415)
    body = await read_body(request)
    try:
        text = body.decode("ascii")
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"))
    except ValueError:
        raise NotTaken(400) from None
