"""Real Apache Kafka brokers for tests: one to three processes on loopback, each able to be killed, paused, restarted.

    with brokers(1) as cluster:
        open_bus(cluster.url, …)

Their data lies in a temporary folder. They end with the `with`, and also with the process that started them, however
that ends: they share a process group with a watchdog that kills the group when its standard input closes.

    python tests/kafka/broker.py [N]    run N of them until interrupted, and print where they listen
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from jars import archive, fetch
from processes import free_ports, watchdog

PATIENCE = 180.0
"""Seconds after which a broker that should be there never will."""
STARTED = b"Kafka Server started"
JVM = ("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
"""Small and soon there. A bench wants `jvm=("-Xmx1g",)`."""
PLAIN: Mapping[str, str] = {"CLIENTS": "PLAINTEXT"}

FAST: Mapping[str, object] = {
    "auto.create.topics.enable": "false",
    "num.network.threads": 2,
    "num.io.threads": 4,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 500,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 4000,
    "controlled.shutdown.enable": "false",
    "log.cleaner.backoff.ms": 200,
    "log.cleaner.dedupe.buffer.size": 4 << 20,
    "log.cleaner.io.buffer.size": 1 << 16,
    "log.retention.check.interval.ms": 500,
    "log.initial.task.delay.ms": 500,
    "log.segment.delete.delay.ms": 100,
    "log.index.size.max.bytes": 1 << 20,
}


@dataclass
class Node:
    number: int
    home: Path
    ports: Mapping[str, int]
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    @property
    def properties(self) -> Path:
        return self.home / "server.properties"

    def lines(self, count: int = 30) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-count:])


@dataclass
class Cluster:
    """Nodes are numbered from 1. `listeners` is what clients may use: name → security protocol."""

    nodes: Sequence[Node]
    listeners: Mapping[str, str]
    group: int
    jvm: Sequence[str]
    classpath: str = field(repr=False)

    @property
    def bootstrap(self) -> str:
        return self.addresses(next(iter(self.listeners)))

    @property
    def url(self) -> str:
        return f"kafka://{self.bootstrap}"

    def addresses(self, listener: str) -> str:
        """`host:port,…` of one of the listeners."""
        return ",".join(f"127.0.0.1:{node.ports[listener]}" for node in self.nodes)

    def node(self, number: int) -> Node:
        return self.nodes[number - 1]

    def folder(self, number: int) -> Path:
        """Where a node keeps its partitions: one folder each, `topic-partition`."""
        return self.node(number).data

    def start(self, *numbers: int) -> None:
        """Start these and wait until each serves. Raises RuntimeError with the end of its log."""
        for number in numbers:
            node = self.node(number)
            node.log.unlink(missing_ok=True)
            node.process = self._java(node, "kafka.Kafka", str(node.properties))
        for number in numbers:
            self._await(self.node(number))

    def kill(self, number: int) -> None:
        """As if the power went."""
        self._end(number, signal.SIGKILL)

    def stop(self, number: int) -> None:
        """In good order."""
        self._end(number, signal.SIGTERM)

    def restart(self, number: int) -> None:
        """Start again what was killed or stopped; kill it first if it runs."""
        if self.runs(number):
            self.kill(number)
        self.start(number)

    def pause(self, number: int) -> None:
        """Freeze it: its connections stay open and say nothing."""
        self._signal(number, signal.SIGSTOP)

    def resume(self, number: int) -> None:
        self._signal(number, signal.SIGCONT)

    def runs(self, number: int) -> bool:
        process = self.node(number).process
        return process is not None and process.poll() is None

    def pids(self) -> list[int]:
        """Of the nodes that run."""
        return [node.process.pid for node in self.nodes if node.process and node.process.poll() is None]

    def format(self, cluster_id: str, users: Mapping[str, str]) -> None:
        words = ["format", "--cluster-id", cluster_id]
        for name, password in users.items():
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                words += ["--add-scram", f"{mechanism}=[name={name},password={password}]"]
        tools = [
            (node, self._java(node, "kafka.tools.StorageTool", *words, "--config", str(node.properties)))
            for node in self.nodes
        ]
        for node, tool in tools:
            if tool.wait(PATIENCE):
                raise RuntimeError(f"node {node.number} could not be formatted:\n{node.lines()}")

    def _java(self, node: Node, *words: str) -> subprocess.Popen[bytes]:
        logging = f"-Dlog4j2.configurationFile={Path(__file__).with_name('log4j2.properties')}"
        with node.log.open("wb") as log:
            return subprocess.Popen(
                # A broker that starts must not hold up tests beside it that mind the time.
                ["nice", "-n", "5", "java", *self.jvm, logging, "-cp", self.classpath, *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=node.home,
                process_group=self.group,
            )

    def _await(self, node: Node) -> None:
        assert node.process
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and node.process.poll() is None:
            # Said only once the quorum has let it in and its partitions are served.
            if STARTED in node.log.read_bytes():
                return
            time.sleep(0.05)
        raise RuntimeError(f"broker {node.number} did not start:\n{node.lines()}")

    def _signal(self, number: int, sign: signal.Signals) -> None:
        process = self.node(number).process
        assert process, f"broker {number} was never started"
        process.send_signal(sign)

    def _end(self, number: int, sign: signal.Signals) -> None:
        self._signal(number, sign)
        process = self.node(number).process
        assert process
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


Properties = Callable[[Node, Sequence[Node]], Mapping[str, object]]
"""What one of the nodes is started with."""


@contextmanager
def brokers(
    count: int = 1,
    settings: Mapping[str, object] | None = None,
    *,
    listeners: Mapping[str, str] | None = None,
    users: Mapping[str, str] | None = None,
    jvm: Sequence[str] = JVM,
    properties: Properties | None = None,
) -> Iterator[Cluster]:
    """A cluster of `count` nodes, each broker and controller in one, with `settings` over the fast ones.

    `listeners` are what clients may use (name → PLAINTEXT, SSL, SASL_SSL, SASL_PLAINTEXT); `users` are SCRAM users with
    their passwords. `properties` says all of a node instead, `settings` among it. Raises jars.Missing where there is no
    Java or Maven, RuntimeError when a node does not start.
    """
    made = properties or partial(default_properties, clients=listeners or PLAIN, settings=settings or {})
    if classes := archive(_make_archive):
        jvm = (*jvm, f"-XX:SharedArchiveFile={classes}")
    with _brokers(count, made, listeners or PLAIN, users or {}, jvm) as cluster:
        yield cluster


def _make_archive(path: Path) -> None:
    """By a server that starts with nothing, and writes down at its end which classes it had."""
    plain = partial(default_properties, clients=PLAIN, settings={})
    with _brokers(1, plain, PLAIN, {}, (*JVM, f"-XX:ArchiveClassesAtExit={path}")) as cluster:
        cluster.stop(1)


@contextmanager
def _brokers(
    count: int,
    properties: Properties,
    clients: Mapping[str, str],
    users: Mapping[str, str],
    jvm: Sequence[str],
) -> Iterator[Cluster]:
    classpath = f"{fetch()}/*"
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="lyttepost-kafka-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        group = stack.enter_context(watchdog())
        names = [*clients, "BROKERS", "CONTROLLER"]
        free = iter(free_ports(count * len(names)))
        nodes = [Node(n, home / str(n), {name: next(free) for name in names}) for n in range(1, count + 1)]
        for node in nodes:
            node.home.mkdir()
            node.properties.write_text(
                "".join(f"{key}={value}\n" for key, value in properties(node, nodes).items()),
                encoding="utf-8",
            )
        cluster = Cluster(nodes, clients, group, jvm, classpath)
        stack.callback(_end_all, cluster)
        cluster.format("bHl0dGVwb3N0LXRlc3QtMQ", users)
        cluster.start(*range(1, count + 1))
        yield cluster


def default_properties(
    node: Node, nodes: Sequence[Node], clients: Mapping[str, str], settings: Mapping[str, object]
) -> dict[str, object]:
    copies = len(nodes)
    protocols = {**clients, "BROKERS": "PLAINTEXT", "CONTROLLER": "PLAINTEXT"}
    return {
        "process.roles": "broker,controller",
        "node.id": node.number,
        "controller.quorum.voters": ",".join(f"{n.number}@127.0.0.1:{n.ports['CONTROLLER']}" for n in nodes),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "BROKERS",
        "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in node.ports.items()),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "log.dirs": node.data,
        "default.replication.factor": copies,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": max(1, copies - 1),
        "min.insync.replicas": max(1, copies - 1),
        **FAST,
        **settings,
    }


def _end_all(cluster: Cluster) -> None:
    for node in cluster.nodes:
        if node.process:
            node.process.kill()
            node.process.wait()


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with brokers(count) as running:
        print(running.bootstrap, flush=True)
        signal.sigwait([signal.SIGINT, signal.SIGTERM])
        os.write(2, b"stopping\n")
