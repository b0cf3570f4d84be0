"""Tidying a cluster that tests share."""

from __future__ import annotations

from contextlib import closing
from urllib.parse import parse_qs, urlsplit

from kafka.admin import KafkaAdminClient


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
