"""Runs `lyttepost` and counts what its Kafka clients ask of brokers, by kind; SIGUSR1 writes the counts to a file.

    python tests/bench/counted.py FILE run --role judge

Run as a file, so that the program may be that of another checkout.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from types import FrameType
from typing import Any

ASKED: Counter[str] = Counter()


def main() -> None:
    path = sys.argv.pop(1)
    # Where this file lies there are modules of ours with common names.
    sys.path.pop(0)

    def write(number: int, frame: FrameType | None) -> None:
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(dict(ASKED), file)
        os.replace(f"{path}.new", path)

    signal.signal(signal.SIGUSR1, write)
    from kafka.net.connection import KafkaConnection

    send: Any = KafkaConnection.send_request

    def counted(self: Any, request: Any, *args: Any, **options: Any) -> Any:
        ASKED[type(request).__name__.removesuffix("Request")] += 1
        return send(self, request, *args, **options)

    vars_of: Any = KafkaConnection
    vars_of.send_request = counted
    import lyttepost

    lyttepost.main()


if __name__ == "__main__":
    main()
