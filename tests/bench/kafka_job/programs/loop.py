"""A plain kafka-python loop. A minute's counts are forgotten once a post is a minute past its end."""

import sys
from collections import Counter

from common import THRESHOLD, WINDOW, alert, found, parse, seconds
from kafka import KafkaConsumer, KafkaProducer

servers, topic, alerts, posts = sys.argv[1:]
consumer = KafkaConsumer(
    topic, bootstrap_servers=servers, group_id=alerts, auto_offset_reset="earliest", max_poll_records=5000
)
producer = KafkaProducer(bootstrap_servers=servers, linger_ms=20)
counts, newest, seen = Counter(), 0, 0
while seen < int(posts):
    for records in consumer.poll(1000).values():
        seen += len(records)
        for record in records:
            post = parse(record.value)
            phrases = found(post["text"])
            if not phrases:
                continue
            minute = seconds(post) // WINDOW * WINDOW
            if minute > newest:
                newest = minute
                for old in [each for each in counts if each[1] < newest - WINDOW]:
                    del counts[old]
            for phrase in phrases:
                counts[phrase, minute] += 1
                if counts[phrase, minute] == THRESHOLD:
                    producer.send(alerts, alert(phrase, minute))
producer.flush()
consumer.close()
producer.close()
