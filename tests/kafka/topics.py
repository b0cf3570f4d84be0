"""Tidying a cluster that tests share."""

from __future__ import annotations

from contextlib import closing
from time import monotonic, sleep
from urllib.parse import parse_qs, urlsplit

from kafka.admin import KafkaAdminClient

PATIENCE = 20.0
"""Seconds until what was deleted must be gone."""


def drop_topics(url: str) -> None:
    """Delete every topic of the deployment at `kafka://hosts?prefix=…`; without a prefix nothing is touched."""
    parts = urlsplit(url)
    (prefix,) = parse_qs(parts.query).get("prefix", [""])
    if not prefix:
        return
    with closing(KafkaAdminClient(bootstrap_servers=parts.netloc)) as admin:
        names = [name for name in admin.list_topics() if name.startswith(f"{prefix}.")]
        if names:
            admin.delete_topics(names)
        # The broker says yes before all its parts know of it.
        until = monotonic() + PATIENCE
        while set(names) & set(admin.list_topics()) and monotonic() < until:
            sleep(0.1)
