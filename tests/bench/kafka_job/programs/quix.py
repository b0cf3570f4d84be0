"""Quix Streams: tumbling windows by phrase, which are re-keyed through a topic of its own."""

import sys
import tempfile
from collections import Counter

from common import THRESHOLD, WINDOW, found, parse, seconds
from quixstreams import Application
from quixstreams.models import JSONDeserializer

GRACE = 300_000
"""Milliseconds that partitions may be apart."""
servers, topic, alerts, posts = sys.argv[1:]
done = Counter()


def processed(name, partition, offset):
    done["posts" if name == topic else "hits"] += 1
    if done["posts"] == int(posts) and done["hits"] == done["sent"]:
        app.stop()


def hits(post):
    phrases = found(post["text"])
    done["sent"] += len(phrases)
    return [{"phrase": phrase} for phrase in phrases]


app = Application(
    broker_address=servers,
    consumer_group=alerts,
    auto_offset_reset="earliest",
    state_dir=tempfile.mkdtemp(),
    on_message_processed=processed,
    loglevel="ERROR",
)
source = app.topic(
    topic,
    value_deserializer=JSONDeserializer(loads=parse),
    timestamp_extractor=lambda v, h, t, k: int(seconds(v) * 1000),
)
rows = app.dataframe(source).apply(hits, expand=True).group_by("phrase")
rows = rows.tumbling_window(WINDOW * 1000, grace_ms=GRACE).count().current()
rows = rows[rows["value"] == THRESHOLD]
rows = rows.apply(lambda row, key, *_: {"phrase": key, "minute": row["start"] // 1000}, metadata=True)
rows.to_topic(app.topic(alerts, value_serializer="json"))
app.run()
