"""Batch compliance: jobs about posts, and the storage beside the API where their ids go and their results lie.

The storage has another name than the API, as X's has, and its addresses carry their permission in them. Whoever sends a
token there is refused, and remembered in `leaks`. A job is worked on when its ids are there, and takes `seconds`; its
result is of how the posts stand when it is done.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .faults import Faults
from .problems import Refusal, Reply, invalid_request, not_found, problem
from .times import rfc3339, snowflake
from .world import World

STORAGE = "/storage/"
UPLOAD_VALID = timedelta(minutes=15)
DOWNLOAD_VALID = timedelta(days=7)
RECENT = timedelta(days=7)
WHICH = "type is not one of [tweets,users]"


@dataclass
class Job:
    """`ids` None: not there yet."""

    id: str
    name: str | None
    created_at: datetime
    key: str
    ids: list[str] | None = None
    uploaded_at: datetime | None = None
    fails: bool = False
    uploads: int = 0
    result: bytes | None = field(default=None, repr=False)


class ComplianceApi:
    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self.jobs: list[Job] = []
        self.leaks: list[str] = []
        """Requests to the storage that bore a token."""
        self.host = ""
        """The storage's address, once the port is known."""

    def create(self, body: Any) -> Reply:
        if not isinstance(body, dict) or body.get("type") not in ("tweets", "users"):
            raise Refusal(
                invalid_request([{"parameters": {"type": []}, "message": "type is not one of [tweets,users]"}])
            )
        if any(self._status(job) in ("created", "in_progress") for job in self.jobs):
            raise Refusal(problem(409, "Conflict", "You already have a job in progress."))
        now, name = self._world.clock.now(), body.get("name")
        fails = self._faults.jobs_fail > 0
        self._faults.jobs_fail -= fails
        job = Job(snowflake(now, len(self.jobs) + 1), None if name is None else str(name), now, secrets.token_hex(8))
        job.fails = fails
        self.jobs.append(job)
        return Reply(200, {"data": self._shown(job)})

    def list(self, params: Mapping[str, str]) -> Reply:
        if params.get("type") not in ("tweets", "users"):
            raise Refusal(
                invalid_request([{"parameters": {"type": []}, "message": "type is not one of [tweets,users]"}])
            )
        since = self._world.clock.now() - RECENT
        found = [self._shown(job) for job in self.jobs if job.created_at > since] if params["type"] == "tweets" else []
        return Reply(200, {**({"data": found} if found else {}), "meta": {"result_count": len(found)}})

    def get(self, params: Mapping[str, str]) -> Reply:
        job = next((job for job in self.jobs if job.id == params["id"]), None)
        return not_found() if job is None else Reply(200, {"data": self._shown(job)})

    def put(self, key: str, body: bytes) -> Reply:
        job = self._of(key)
        if job is None or self._world.clock.now() - job.created_at > self._faults.upload_valid:
            return Reply(400, b"ExpiredToken", content_type="application/xml")
        job.uploads += 1
        job.ids = [line for line in body.decode().split("\n") if line.strip()]
        job.uploaded_at = job.uploaded_at or self._world.clock.now()
        return Reply(200, b"", content_type="text/plain")

    def fetch(self, key: str) -> Reply:
        job = self._of(key)
        if job is None or self._status(job) != "complete" or self._world.clock.now() - job.created_at > DOWNLOAD_VALID:
            return Reply(403, b"AccessDenied", content_type="application/xml")
        result = job.result or b""
        if self._faults.results_cut > 0:
            self._faults.results_cut -= 1
            # In the middle of its last line, as of a file that was not written to its end.
            result = result[: max(0, len(result) - 20)] if result else b'{"id":"17'
        return Reply(200, result, content_type="application/octet-stream")

    def _of(self, key: str) -> Job | None:
        return next((job for job in self.jobs if job.key == key), None)

    def _status(self, job: Job) -> str:
        now = self._world.clock.now()
        if job.uploaded_at is None:
            return "created" if now - job.created_at <= max(UPLOAD_VALID, self._faults.upload_valid) else "expired"
        if (now - job.uploaded_at).total_seconds() < self._faults.job_seconds:
            return "in_progress"
        if job.fails:
            return "failed"
        if job.result is None:
            job.result = self._judged(job.ids or [])
        return "complete"

    def _judged(self, ids: list[str]) -> bytes:
        lines = []
        for id_ in ids:
            post = self._world.posts.get(id_)
            reason = "deleted" if post is None or post.deleted_at is not None else post.gone
            if reason:
                line = {"id": id_, "action": "delete", "created_at": rfc3339(self._world.clock.now()), "reason": reason}
                lines.append(json.dumps({**line, "redacted_at": line["created_at"]}))
        return "".join(f"{line}\n" for line in lines).encode()

    def _shown(self, job: Job) -> dict[str, Any]:
        return {
            "id": job.id,
            "type": "tweets",
            **({} if job.name is None else {"name": job.name}),
            "status": self._status(job),
            "created_at": rfc3339(job.created_at),
            "resumable": False,
            "upload_url": f"{self.host}{STORAGE}ids/{job.key}?X-Goog-Signature=0f",
            "upload_expires_at": rfc3339(job.created_at + UPLOAD_VALID),
            "download_url": f"{self.host}{STORAGE}results/{job.key}?X-Goog-Signature=0e",
            "download_expires_at": rfc3339(job.created_at + DOWNLOAD_VALID),
        }
