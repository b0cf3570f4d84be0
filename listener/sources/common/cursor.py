"""Instants in a source's cursor: how they are written into its JSON, and read from it after a restart.

What reads raises ValueError, TypeError or AttributeError for what was never written so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from listener.units import format_instant, parse_instant


def write_instant(at: datetime | None) -> str | None:
    """None: it is not known, or there was none."""
    return None if at is None else format_instant(at)


def read_instant(raw: Any) -> datetime | None:
    return None if raw is None else parse_instant(raw)


def write_instants(times: Mapping[str, datetime]) -> dict[str, str]:
    """Such as what ops were told and is not over → since when."""
    return {name: format_instant(at) for name, at in times.items()}


def read_instants(raw: Mapping[str, Any]) -> dict[str, datetime]:
    return {str(name): parse_instant(at) for name, at in raw.items()}
