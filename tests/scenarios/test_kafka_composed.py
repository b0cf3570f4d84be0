"""Three brokers with the very properties of the files in `deploy/`: one may die, and posts go on; two, and it says so.

What is said while they are dead is captured once when they are back, and no alert is lost or there twice.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from broker import Cluster
from certificates import authority, signed
from composed import composed, merged
from crowd import A_SECOND, TOKEN, Crowd, captures, spool, tags, unaccounted
from harness import ROOT, Deployment, Running, until

from listener.bus.kafka.cluster import Cluster as Asked
from listener.bus.kafka.topics import config_of, configs_of
from listener.model.topics import SHARED, TOPICS, topic_specs
from listener.settings.kafka import KafkaSettings, TlsSettings
from tests.fakes.x import FakeX

DEPLOY = ROOT / "deploy"
THREE = (DEPLOY / "compose.yaml", DEPLOY / "compose.kafka3.yaml")
WITH_TLS = (*THREE, DEPLOY / "compose.kafka3-tls.yaml")
RECOVER_SECONDS = 60.0
RULE = "name: each\ntype: any\nwhy: the test\nseverity: info\nquery_key: hashtag\nto: duty\n"


@pytest.fixture
def fake() -> Iterator[FakeX]:
    with FakeX(bearer=TOKEN, keep_alive=5.0) as made:
        yield made


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    """What a person puts into ./tls, here one certificate for all brokers."""
    folder = tmp_path / "tls"
    folder.mkdir()
    ca = authority(folder)
    certificate, key = signed(ca, "a-broker")
    (folder / "broker.pem").write_text(key.read_text() + certificate.read_text(), encoding="utf-8")
    signed(ca, "lyttepost")
    return folder


def variables(files: tuple[Path, ...], cluster: Cluster, tls: Path) -> dict[str, str]:
    """What the files set for Lyttepost, but for where brokers and certificates are."""
    service = merged(*files)["listener"]["environment"]
    assert service == merged(*files)["alerts"]["environment"]
    ours = {name.removeprefix("LYTTEPOST_"): value for name, value in service.items()}
    assert ours["BUS__URL"] == "kafka://kafka:9092,kafka2:9092,kafka3:9092"
    placed = {name: value.replace("/etc/lyttepost-tls", str(tls)) for name, value in ours.items()}
    return placed | {"BUS__URL": cluster.url}


def settings_of(ours: dict[str, str]) -> KafkaSettings:
    files = {name: Path(ours[f"BUS__KAFKA__TLS__{name.upper()}"]) for name in ("ca_file", "cert_file", "key_file")
             if f"BUS__KAFKA__TLS__{name.upper()}" in ours}  # fmt: skip
    return KafkaSettings(replication=int(ours["BUS__KAFKA__REPLICATION"]), tls=TlsSettings(**files))


def check_topics(cluster: Cluster, ours: dict[str, str]) -> None:
    """As Lyttepost asks for them, on three different brokers each."""
    settings = settings_of(ours)
    with closing(Asked(cluster.url.partition(":")[2], settings)) as asked:
        specs = {spec.name: spec for spec in topic_specs(int(ours["BUS__PARTITIONS"]), {})}
        found = {topic["name"]: topic for topic in asked.ask("ask", lambda admin: admin.describe_topics(list(TOPICS)))}
        for name, config in configs_of(asked, list(TOPICS)).items():
            wanted = config_of(asked, specs[name])
            wanted.pop("retention.ms")
            assert {key: config[key] for key in wanted} == wanted, name
            assert config["min.insync.replicas"] == "2"
            partitions = found[name]["partitions"]
            assert len(partitions) == (4 if name in SHARED else 1)
            assert all(set(each["replica_nodes"]) == {1, 2, 3} for each in partitions), name


def alerted(deployment: Deployment) -> Counter[str]:
    """The hashtags of which it was fired that they were said, as often as it was."""
    return Counter(v["key"] for v in deployment.values("alerts") if (v["rule"], v["event"]) == ("each", "fired"))


@pytest.mark.long
@pytest.mark.parametrize("files", [THREE, WITH_TLS], ids=["plain", "TLS"])
def test_a_broker_may_die_and_when_two_are_dead_it_waits_says_so_and_goes_on(
    deploy: Callable[..., Deployment], apache_kafka: None, fake: FakeX, tls: Path, files: tuple[Path, ...]
) -> None:
    with composed(files, tls) as cluster:
        ours = variables(files, cluster, tls)
        x = {"X__BASE_URL": fake.url, "X__BEARER_TOKEN": TOKEN}
        deployment = deploy(settings={**ours, **x}, kafka=settings_of(ours))
        (deployment.configure() / "rules" / "each.yaml").write_text(RULE, encoding="utf-8")
        alerts = deployment.start("--role", "alerts")
        listener = deployment.start("--role", "listener")
        check_topics(cluster, ours)
        words = ("--name", "Granvik", "--track", "granvik", "--why", "prøve", "--no-wait", "--lookback", "0s")
        done = deployment.command("mode", "crisis", *words)
        assert done.returncode == 0, done.stderr
        until(lambda: listener.metric("lyttepost_source_state", source="x", state="listening") == 1, 60, "X is heard")
        crowd = Crowd(fake)
        try:
            live_through(cluster, listener, alerts, deployment)
        finally:
            crowd.hush()
        until(lambda: not unaccounted(deployment, fake), 60, "all is captured or in a gap", every=0.5)
        captured = captures(deployment)
        assert set(captured) == set(fake.world.posts)
        assert set(captured.values()) == {1}
        until(lambda: set(alerted(deployment)) == tags(fake), 60, "every alert is there", every=0.5)
        assert set(alerted(deployment).values()) == {1}
        assert "bus_away" not in {gap["cause"] for gap in deployment.values("gaps")}
        for running in (listener, alerts):
            assert "Traceback" not in running.said


def well(*processes: Running) -> None:
    for running in processes:
        deadline = time.monotonic() + RECOVER_SECONDS
        while (answer := running.get("/readyz"))[0] != 200:
            assert time.monotonic() < deadline, answer[1]
            time.sleep(0.2)


def live_through(cluster: Cluster, listener: Running, alerts: Running, deployment: Deployment) -> None:
    def heard() -> float:
        return listener.metric("lyttepost_mentions_published_total")

    def goes_on(what: str) -> None:
        before = heard()
        until(lambda: heard() > before + 2 * A_SECOND, 90, what)

    goes_on("it hears")
    cluster.kill(1)
    goes_on("posts go on without a broker")
    well(listener, alerts)
    # What it missed before it stood by its source again is a gap, and searched for.
    until(lambda: listener.metric("lyttepost_source_state", source="x", state="listening") == 1, 60, "X is heard")
    goes_on("posts go on without a broker")
    cluster.kill(3)
    for running in (listener, alerts):
        until(lambda its=running: its.get("/readyz")[0] == 503, 60, "it says that the bus is away")
        assert running.get("/healthz")[0] == 200
    until(lambda: spool(deployment).exists() and spool(deployment).stat().st_size > 0, 60, "what it hears is kept")
    cluster.start(3)
    until(lambda: not spool(deployment).read_bytes(), 90, "what was kept is on the bus")
    well(listener, alerts)
    goes_on("posts go on")
    cluster.start(1)
    goes_on("posts go on with all three")
