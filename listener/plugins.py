"""Plug-ins come from an explicit table of dotted paths and are imported when used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(path: str) -> Any:
    """`package.module:name` → the object."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
