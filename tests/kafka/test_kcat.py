"""What lies on Kafka is plain JSON, as deploy/README.md shows it: read here by a tool that is not ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from listener.bus.protocol import Message, open_bus
from listener.clock import SystemClock
from listener.model.incidents import Command, Presence
from listener.model.records import decode
from listener.model.schemas import SCHEMAS
from listener.model.topics import TOPICS, topic_specs

ROOT = Path(__file__).parents[2]


def shown() -> dict[str, list[str]]:
    """Topic → the records that deploy/README.md shows of it."""
    text = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")
    block = text.split("<!-- records -->\n```json\n")[1].split("\n```\n<!-- /records -->")[0]
    found: dict[str, list[str]] = {}
    for line in block.splitlines():
        if line.startswith("# "):
            of_topic = found[line.removeprefix("# ")] = []
        else:
            of_topic.append(line)
    return found


def test_the_operating_page_shows_a_record_of_each_topic() -> None:
    assert shown().keys() == TOPICS.keys()
    assert all(shown().values())


@pytest.mark.parametrize("topic", TOPICS)
def test_it_is_one_that_we_would_read(topic: str) -> None:
    for record in shown()[topic]:
        found = decode(SCHEMAS[json.loads(record)["type"]], record.encode())
        if not isinstance(found, Command | Presence):
            assert json.loads(found.model_dump_json(by_alias=True, exclude_none=True)) == json.loads(record)


def test_kcat_reads_every_topic_as_plain_json(kafka_url: str, apache_kafka: None, tmp_path: Path) -> None:
    if shutil.which("kcat") is None:
        if os.environ.get("CI"):
            pytest.fail("kcat is not here: .ci/run installs it")
        pytest.skip("kcat is not here; on Debian: apt-get install kcat")
    prefix = f"t{uuid4().hex[:8]}"
    with closing(open_bus(f"{kafka_url}?prefix={prefix}", tmp_path, SystemClock())) as bus:
        bus.ensure(topic_specs(1, {}))
        bus.publish(
            [Message(topic, "key", record.encode()) for topic, records in shown().items() for record in records]
        )
    kcat = ("kcat", "-C", "-e", "-q", "-b", kafka_url.removeprefix("kafka://"))
    for topic, records in shown().items():
        done = subprocess.run(
            [*kcat, "-t", f"{prefix}.{topic}", "-X", "isolation.level=read_committed"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert [json.loads(line) for line in done.stdout.splitlines()] == [json.loads(record) for record in records]
