"""Faust: a tumbling table by phrase, re-keyed through a topic of its own so that each phrase is in one partition."""

import asyncio
import os
import sys
import tempfile
from collections import Counter

import faust
from common import THRESHOLD, WINDOW, found, parse, seconds

servers, topic, alerts, posts = sys.argv[1:]
app = faust.App(
    alerts, broker=f"kafka://{servers}", store="memory://", datadir=tempfile.mkdtemp(), topic_partitions=4,
    topic_replication_factor=1, web_enabled=False, consumer_auto_offset_reset="earliest", stream_wait_empty=False,
)  # fmt: skip
source = app.topic(topic, key_serializer="raw", value_serializer="raw")
said = app.topic(f"{alerts}-said", key_serializer="raw", value_serializer="json", partitions=4, internal=True)
sink = app.topic(alerts, key_serializer="raw", value_serializer="json")
counts = app.Table("counts", default=int, partitions=4, key_type=str).tumbling(WINDOW, expires=600).relative_to_stream()
done = Counter()


@app.agent(source)
async def match(stream):
    async for raw in stream:
        post = parse(raw)
        at = seconds(post)
        for phrase in found(post["text"]):
            done["sent"] += 1
            await said.send(key=phrase.encode(), value=phrase, timestamp=at)
        done["posts"] += 1


@app.agent(said)
async def count(stream):
    async for event in stream.events():
        phrase = event.value
        counts[phrase] += 1
        done["hits"] += 1
        if counts[phrase].value() == THRESHOLD:
            minute = event.message.timestamp // WINDOW * WINDOW
            await (await sink.send(value={"phrase": phrase, "minute": int(minute)}))


@app.task
async def end():
    while done["posts"] < int(posts) or done["hits"] < done["sent"]:
        await asyncio.sleep(0.2)
    os._exit(0)


sys.argv = ["faust", "worker", "-l", "error"]
app.main()
