"""One job over Kafka, as Lyttepost and as four others, on one broker in one run.

    python -m tests.bench.kafka_job [--posts 200000] [--peers loop,bytewax,quix,faust] [--runs 1] [--no-tuned] [--quick]

The job: JSON posts of 1 KB from a topic of four partitions; find 20 phrases in them; count each phrase by the minute in
which it was said; when a count reaches the threshold, an alert record, once. Posts stand in their partition up to two
seconds out of order. The trap in it: a broker gives one partition's records by the megabyte before it gives the next
one's, so that a reader sees times jump back by a minute and more.

`data` makes the posts and works out by itself which alerts are right. `programs/` holds the five: ours is put together
from the parts that `listener` and `alerts` offer, the others are the smallest program that is honest in each. They
parse with `json` and match with `re`, as one would; and once more *tuned*, with orjson and Aho-Corasick.

Peers are installed into a passing virtual environment, or into `--venv FOLDER`, which is kept; one that does not
install or does not end is told of in its line. LYTTEPOST_TEST_KAFKA=host:port uses a running broker.

Columns: posts a second of wall time; posts a second of the processor (user and system, all its processes, less what the
same program takes for a handful of posts, which stands beside it); the most memory held; and of its alerts how many are
right, how many are wrong (not due, or told twice) and how many are missing.

Ends with 1 when our alerts are not all right, or when we are slower than the fastest peer of the smallest programs or
hold more than half of its memory. What the tuned ones do stands beside it.
"""
