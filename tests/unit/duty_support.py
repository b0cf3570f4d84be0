"""People and rosters in a few words, and the tables of outside data that say who is on duty when."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from alerts.duty.layers import DAYS
from alerts.duty.people import Person, named
from alerts.duty.roster import Roster
from listener.units import parse_instant

OSLO = "Europe/Oslo"
ZONES = (OSLO, "UTC", "America/Chicago", "Australia/Lord_Howe")
NAMES = ("kari", "ola", "per")


def table(name: str) -> list[Any]:
    """A table of `duty/`. Skips the test that asks where there is none."""
    folder = os.environ.get("LYTTEPOST_EVALUATION_DATA")
    if not folder:
        pytest.skip("LYTTEPOST_EVALUATION_DATA is not set: it names the folder of outside data to measure on")
    found: list[Any] = json.loads((Path(folder) / "duty" / name).read_text(encoding="utf-8"))
    return found


def people(*names: str, **more: Mapping[str, Any]) -> dict[str, Person]:
    plain = {name: {"ways": [{"channel": "console"}]} for name in names or NAMES}
    return dict(named({key: Person.model_validate(value) for key, value in {**plain, **more}.items()}))


def roster(*layers: Mapping[str, Any], zone: str = OSLO, **more: Any) -> Roster:
    return Roster.model_validate({"zone": zone, "layers": list(layers), **more})


def rotation(every: str, start: str, *names: str, **more: Any) -> dict[str, Any]:
    return {"rotation": {"every": every, "start": start, "people": list(names or NAMES)}, **more}


def at(text: str) -> datetime:
    return parse_instant(text)


# --- any roster, any instant -----------------------------------------------------------------------------------------

instants = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda found: found.replace(microsecond=0)
)
clock_times = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.sampled_from((0, 15, 30, 45)))
names = st.sampled_from(NAMES)
walls = st.builds(
    lambda day, time: f"{datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day):%Y-%m-%d}T{time}",
    st.integers(-400, 700),
    clock_times,
)
rotations = st.fixed_dictionaries(
    {
        "every": st.sampled_from(("1h", "7h", "12h", "1d", "2d", "1w", "3w", "1mo", "2mo")),
        "start": walls,
        "people": st.lists(names, min_size=1, max_size=4),
    }
)
layers = st.one_of(
    st.fixed_dictionaries({"rotation": rotations}),
    st.fixed_dictionaries({"who": names}),
).flatmap(
    lambda whose: st.fixed_dictionaries(
        {
            "days": st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
            "from": clock_times,
            "to": clock_times,
            **{key: st.just(value) for key, value in whose.items()},
        }
    )
)


def _span(start: str, hours: int) -> dict[str, str]:
    return {"from": start, "to": f"{datetime.fromisoformat(start) + timedelta(hours=hours):%Y-%m-%dT%H:%M}"}


spans = st.builds(_span, walls, st.integers(2, 400))
overrides = st.builds(
    lambda span, add, remove: {**span, "add": add, **({"remove": remove} if remove else {})},
    spans,
    names,
    st.none() | names,
) | st.builds(lambda span, remove: {**span, "remove": remove}, spans, names)
temporaries = st.builds(
    lambda span, shifts: {**span, "shifts": shifts},
    spans,
    st.lists(st.builds(lambda span, who: {**span, "who": who}, spans, names), max_size=3),
)
rosters = st.builds(
    lambda zone, layers, overrides, temporary: roster(*layers, zone=zone, overrides=overrides, temporary=temporary),
    st.sampled_from(ZONES),
    st.lists(layers, max_size=3),
    st.lists(overrides, max_size=4),
    st.lists(temporaries, max_size=2),
)
