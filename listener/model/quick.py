"""Records read and written by msgspec, in a third of the time that their models take: for what every post passes.

There is one schema, the model's; what msgspec reads by is made of it. A `QuickReader` gives what has all fields and
properties of the model's record, or nothing: then the model is to be asked, which knows what is wrong. It is stricter
than the model and never more lenient, so that a record of a newer schema, with other types or unknown fields is always
the model's to judge. `write` gives the very bytes that the model gives. `tests/unit/test_quick.py` holds both to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, cast, get_args, get_origin

import msgspec
from pydantic import AwareDatetime, BaseModel

from listener.model.records import Finding, Mention

T = TypeVar("T", bound=BaseModel)

_PLAIN = (str, int, float, bool, NoneType)
_TOO_FINE = re.compile(rb"\.\d{7}")
"""msgspec rounds what is finer than microseconds, and pydantic cuts it off."""


class QuickReader(Generic[T]):
    """Reads records of one model. Share it between threads."""

    def __init__(self, model: type[T]) -> None:
        """Raises TypeError for a field of a type that msgspec might read otherwise than the model does."""
        self._decode = msgspec.json.Decoder(_struct(model)).decode
        its = model.model_fields.items()
        self._instants = tuple(name for name, field in its if field.annotation is AwareDatetime)

    def read(self, value: bytes) -> T | None:
        """What stands for the record that the model makes of these bytes, frozen as it is, though no instance of the
        model; None where the model is to be asked."""
        try:
            found = self._decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        for name in self._instants:
            if getattr(found, name).tzinfo is not UTC:
                return None
        return None if _TOO_FINE.search(value) else cast(T, found)


def write(fields: Mapping[str, Any]) -> bytes:
    """A record's fields, in the model's order → one line of JSON, unset fields left out."""
    return _encode({name: value for name, value in fields.items() if value is not None})


_encode = msgspec.json.Encoder().encode


def _struct(model: type[BaseModel]) -> type[msgspec.Struct]:
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for name, field in model.model_fields.items():
        its = _type(field.annotation)
        if name == "type" or field.is_required():  # without its type it could be any record
            fields.append((name, its))
        elif field.default_factory is not None:
            fields.append((name, its, msgspec.field(default_factory=dict)))
        else:
            fields.append((name, its, field.default))
    bases = [base for base in reversed(model.__mro__) if issubclass(base, BaseModel) and base is not BaseModel]
    properties = {name: it for base in bases for name, it in vars(base).items() if isinstance(it, property)}
    return msgspec.defstruct(
        model.__name__,
        fields,
        namespace=properties,
        kw_only=True,
        frozen=True,
        forbid_unknown_fields=True,
    )


def _type(annotation: Any) -> Any:
    """What msgspec reads a field by."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is AwareDatetime:
        return Annotated[datetime, msgspec.Meta(tz=True)]
    if annotation in _PLAIN or origin is Literal:
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _struct(annotation)
    if origin in (Union, UnionType):
        return Union[tuple(map(_type, parts))]  # noqa: UP007 -- of types that are only known here
    if origin is tuple and parts[1:] == (...,):
        return tuple[_type(parts[0]), ...]  # type: ignore[misc]
    if origin is Mapping and parts == (str, Any):
        # Of numbers anywhere within the two think otherwise; and on the bus it is empty.
        return Annotated[dict[str, Any], msgspec.Meta(max_length=0)]
    if origin is Mapping and parts[0] is str:
        return dict[str, _type(parts[1])]  # type: ignore[misc]
    raise TypeError(f"{annotation} is not known to be read alike by msgspec and by pydantic")


MENTION, FINDING = QuickReader(Mention), QuickReader(Finding)
