"""X's batch compliance: which posts of a list of ids are to be removed, asked by a job. The jobs as X has them. Pure.

A job is made at X's API; the ids go by PUT to an address of a storage that X names with it, and the result comes from
another one, a line of JSON for each post that is to go. Both addresses carry their own permission in them: who has one
needs no token, and none is sent there.

Source: X API v2, batch compliance: statuses `created`, `in_progress`, `complete`, `failed`, `expired`; the address for
the ids holds for 15 minutes, the one for the result for a week; one job of a type at a time; 150 calls in 15 minutes.
Reasons are `deleted`, `deactivated`, `suspended`, `protected`, `scrub_geo` and others: whatever X lists is to go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from listener.units import parse_instant


@dataclass(frozen=True)
class Job:
    """A job as X has it. Its addresses are secrets, and in no `repr`."""

    id: str
    name: str
    status: str
    created_at: datetime
    upload_url: str = field(repr=False)
    download_url: str = field(repr=False)


def read_job(raw: Any) -> Job | None:
    """None for what is no job."""
    if not isinstance(raw, dict):
        return None
    try:
        created = parse_instant(str(raw["created_at"]))
        return Job(
            id=str(raw["id"]), name=str(raw.get("name") or ""), status=str(raw["status"]), created_at=created,
            upload_url=str(raw["upload_url"]), download_url=str(raw["download_url"]),
        )  # fmt: skip
    except (KeyError, ValueError):
        return None


def read_jobs(answer: Mapping[str, Any]) -> list[Job]:
    """Of the answer about all jobs, newest first."""
    data = answer.get("data")
    found = (read_job(raw) for raw in (data if isinstance(data, list) else ()))
    return sorted((job for job in found if job is not None), key=lambda job: job.created_at, reverse=True)
