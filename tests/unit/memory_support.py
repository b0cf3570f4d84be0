"""How much something holds, seen from outside: what shows that it forgets."""

from __future__ import annotations

import gc
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from alerts.rules.engine.engine import Engine

_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType)
"""What belongs to the program is no memory of anybody's."""


def objects_of(thing: Any) -> int:
    """How many objects can be reached from it, itself included; and each once."""
    seen: dict[int, Any] = {}
    left = [thing]
    while left:
        one = left.pop()
        if id(one) not in seen and not isinstance(one, _SHARED):
            seen[id(one)] = one
            left += gc.get_referents(one)
    return len(seen)


def held_by(engine: Engine) -> int:
    """How many objects an engine holds after a commit, which lets go of what lies before it."""
    engine.watermarks()
    return objects_of(engine)
