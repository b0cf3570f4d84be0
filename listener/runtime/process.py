"""What the operating system says of this process, under the names that Prometheus' client libraries have for it.

The library's own collector makes some sixty calls of the system at each scrape, most of them to list the open files one
by one. At each it lets go of the interpreter, and a thread that computes then keeps it for a whole turn: beside such a
thread that was most of what a scrape took. This one makes four.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable, Iterator

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PROCESS = (
    ("virtual_memory_bytes", "gauge", "Addresses that the process has asked for; Linux only, as all of these."),
    ("resident_memory_bytes", "gauge", "Memory that the process has."),
    ("start_time_seconds", "gauge", "When the process began."),
    ("cpu_seconds_total", "counter", "Processor time that the process took."),
    ("open_fds", "gauge", "Files and connections that the process has open."),
    ("max_fds", "gauge", "How many it may have open."),
)
"""Name, type and meaning of each, in the order in which they are told."""
FILES = "/proc/self/fd"


class ProcessStats(Collector):
    """Tells nothing where there is no /proc."""

    def __init__(self, namespace: str) -> None:
        self._prefix = f"{namespace}_process"
        its = ProcessCollector(namespace=namespace, registry=None).collect()
        self._began = next((s.value for family in its for s in family.samples if "start_time" in s.name), None)

    def collect(self) -> Iterable[Metric]:
        return [] if self._began is None else self._families(self._began)

    def _families(self, began: float) -> Iterator[Metric]:
        virtual, resident = _memory()
        values = (virtual, resident, began, time.process_time(), open_files(), _most_files())
        for (name, kind, meaning), value in zip(PROCESS, values, strict=True):
            family = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            yield family(f"{self._prefix}_{name}", meaning, value=value)


def open_files(folder: str = FILES) -> int:
    """How many files and connections this process has open. Linux before 6.2 does not say, and they are counted."""
    return os.stat(folder).st_size or len(os.listdir(folder))


def _most_files() -> float:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft


def _memory() -> tuple[int, int]:
    """Bytes asked for, and had. A file object would ask the system eight times."""
    file = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        virtual, resident, *_ = os.read(file, 200).split()
    finally:
        os.close(file)
    page = resource.getpagesize()
    return int(virtual) * page, int(resident) * page
