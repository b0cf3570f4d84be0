"""Bytewax: event-time windows by phrase. Its clock is told to wait as long as partitions may be apart."""

import sys
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower
from bytewax.testing import run_main
from common import THRESHOLD, WINDOW, alert, found, parse, seconds

servers, topic, alerts, _ = sys.argv[1:]
WAIT = timedelta(seconds=300)


def hits(message):
    post = parse(message.value)
    phrases = found(post["text"])
    if not phrases:
        return ()
    at = datetime.fromtimestamp(seconds(post), UTC)
    return [(phrase, at) for phrase in phrases]


def told(item):
    phrase, (number, count) = item
    if count < THRESHOLD:
        return None
    minute = number * WINDOW
    return KafkaSinkMessage(None, alert(phrase, minute))


flow = Dataflow("job")
posts = op.input("posts", flow, KafkaSource([servers], [topic], tail=False, batch_size=1000))
said = op.flat_map("match", posts, hits)
windows = win.count_window(
    "count",
    said,
    EventClock(ts_getter=lambda item: item[1], wait_for_system_duration=WAIT),
    TumblingWindower(length=timedelta(seconds=WINDOW), align_to=datetime(1970, 1, 1, tzinfo=UTC)),
    key=lambda item: item[0],
)
op.output("alerts", op.filter_map("told", windows.down, told), KafkaSink([servers], alerts))
run_main(flow)
