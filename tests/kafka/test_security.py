"""TLS, SCRAM and client certificates, against a broker that insists on them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from broker import Cluster, brokers
from certificates import authority, signed

from listener.bus.kafka.client import HANDSHAKE_SECONDS
from listener.bus.kafka.cluster import ANSWER_SECONDS, LOGIN_SECONDS
from listener.bus.protocol import Message, TopicPartition, open_bus
from listener.clock import SystemClock
from listener.errors import BusError, LyttepostError
from listener.model.topics import TOPICS
from listener.settings.kafka import KafkaSettings

ROOT = Path(__file__).parents[2]
USER = "lyttepost"
PASSWORD = "right-and-secret"
WRONG = "wrong-but-secret"


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca, its `listener` and `broker`; and `stranger`, whom nobody trusts."""
    folder = tmp_path_factory.mktemp("vault")
    ca = authority(folder)
    signed(ca, "listener")
    certificate, key = signed(ca, "broker")
    (folder / "keystore.pem").write_text(key.read_text() + certificate.read_text())
    signed(authority(folder, "strangers"), "stranger")
    return folder


@pytest.fixture(scope="module")
def guarded(apache_kafka: None, vault: Path) -> Iterator[Cluster]:
    """A broker that wants a password at one port and a certificate at another."""
    with guarding(vault) as cluster:
        yield cluster


@contextmanager
def guarding(vault: Path, **more: object) -> Iterator[Cluster]:
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    settings: Mapping[str, object] = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": vault / "keystore.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": vault / "ca.pem",
        "sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512",
        "listener.name.scram.scram-sha-256.sasl.jaas.config": login,
        "listener.name.scram.scram-sha-512.sasl.jaas.config": login,
        "listener.name.mtls.ssl.client.auth": "required",
        **more,
    }
    listeners = {"SCRAM": "SASL_SSL", "MTLS": "SSL"}
    with brokers(1, settings, listeners=listeners, users={USER: PASSWORD}) as cluster:
        yield cluster


def settings(**tree: Any) -> KafkaSettings:
    return KafkaSettings.model_validate(tree)


def sasl(password: str = PASSWORD, mechanism: str = "SCRAM-SHA-512") -> dict[str, str]:
    return {"mechanism": mechanism, "username": USER, "password": password}


def there_and_back(hosts: str, kafka: KafkaSettings, folder: Path) -> None:
    """A record through the bus; the topic stays for the next one."""
    with closing(open_bus(f"kafka://{hosts}", folder, SystemClock(), kafka=kafka)) as bus:
        bus.ensure([TOPICS["control"]])
        (offset,) = bus.publish([Message("control", "brann", b"{}")])
        assert bus.read(TopicPartition("control", 0), offset, 1)[0].key == "brann"
        # Several are a transaction, which goes over connections of its own.
        bus.ensure([TOPICS["gaps"]])
        for number in range(2):
            bus.publish([Message("gaps", f"x:{number}", b"{}"), Message("gaps", f"y:{number}", b"{}")])
        found = [record.key for record in bus.read(TopicPartition("gaps", 0), 0, 100)]
        assert found[-4:] == ["x:0", "y:0", "x:1", "y:1"]
        assert bus.healthy() is None


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_password_opens_under_tls(guarded: Cluster, vault: Path, tmp_path: Path, mechanism: str) -> None:
    kafka = settings(tls={"ca_file": vault / "ca.pem"}, sasl=sasl(mechanism=mechanism))
    there_and_back(guarded.addresses("SCRAM"), kafka, tmp_path)


def test_a_login_that_ran_out_while_nothing_was_written_is_renewed(
    apache_kafka: None, vault: Path, tmp_path: Path
) -> None:
    """Nobody works at a writer's connections between two writes: the next one finds that its time is over."""
    kafka = settings(tls={"ca_file": vault / "ca.pem"}, sasl=sasl())
    with (
        guarding(vault, **{"connections.max.reauth.ms": 2_000}) as brief,
        closing(open_bus(f"kafka://{brief.addresses('SCRAM')}", tmp_path, SystemClock(), kafka=kafka)) as bus,
    ):
        bus.ensure([TOPICS["gaps"]])
        for number in range(4):
            for part in range(3):
                key = f"{number}{part}"
                with bus.transaction("a") as transaction:
                    transaction.publish(Message("gaps", f"x:{key}", b"{}"))
            time.sleep(3 if number % 2 else 1)
        found = [record.key for record in bus.read(TopicPartition("gaps", 0), 0, 100)]
        assert found == [f"x:{number}{part}" for number in range(4) for part in range(3)]


def test_a_certificate_opens(guarded: Cluster, vault: Path, tmp_path: Path) -> None:
    own = {"cert_file": vault / "listener.pem", "key_file": vault / "listener.key"}
    there_and_back(guarded.addresses("MTLS"), settings(tls={"ca_file": vault / "ca.pem", **own}), tmp_path)


@pytest.mark.parametrize(
    ("listener", "trusted", "shown", "login", "told"),
    [
        ("SCRAM", "ca", None, sasl(WRONG), "bus.kafka.sasl"),
        ("SCRAM", "strangers", None, sasl(), "bus.kafka.tls"),
        ("MTLS", "ca", None, None, "bus.kafka.tls"),
        ("MTLS", "ca", "stranger", None, "bus.kafka.tls"),
    ],
    ids=["wrong-password", "unknown-authority", "no-certificate", "strangers-certificate"],
)
def test_who_is_refused_gets_the_reason_and_no_secret_with_it(
    guarded: Cluster,
    vault: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    listener: str,
    trusted: str,
    shown: str | None,
    login: dict[str, str] | None,
    told: str,
) -> None:
    tls: dict[str, object] = {"ca_file": vault / f"{trusted}.pem"}
    if shown:
        tls |= {"cert_file": vault / f"{shown}.pem", "key_file": vault / f"{shown}.key"}
    kafka = settings(tls=tls, **({"sasl": login} if login else {}))
    with caplog.at_level(logging.DEBUG), pytest.raises(LyttepostError) as caught:
        there_and_back(guarded.addresses(listener), kafka, tmp_path)
    assert told in str(caught.value)
    assert caught.value.exit_code == 4
    for secret in (WRONG, PASSWORD):
        assert secret not in str(caught.value) + caplog.text


def test_a_broker_that_is_slow_to_refuse_is_not_taken_for_one_that_is_away(
    apache_kafka: None, vault: Path, tmp_path: Path
) -> None:
    """It says no after five seconds: later than a cluster that has let us in may be silent."""
    kafka = settings(tls={"ca_file": vault / "ca.pem"}, sasl=sasl(WRONG))
    with guarding(vault, **{"connection.failed.authentication.delay.ms": 5_000}) as slow:
        with pytest.raises(LyttepostError) as caught:
            there_and_back(slow.addresses("SCRAM"), kafka, tmp_path)
        assert caught.value.exit_code == 4
        assert "bus.kafka.sasl" in str(caught.value)
        slow.stop(1)
        began = time.monotonic()
        with pytest.raises(LyttepostError) as caught:
            there_and_back(slow.addresses("SCRAM"), kafka, tmp_path)
        assert caught.value.exit_code == 1
        assert time.monotonic() - began < LOGIN_SECONDS, "nobody is there: not asked once more"


def test_a_broker_that_is_frozen_holds_nobody_up(guarded: Cluster, vault: Path, tmp_path: Path) -> None:
    """It takes a new connection all the same, as the system does for it, and has no part in the handshake."""
    kafka = settings(tls={"ca_file": vault / "ca.pem"}, sasl=sasl())
    with closing(open_bus(f"kafka://{guarded.addresses('SCRAM')}", tmp_path, SystemClock(), kafka=kafka)) as bus:
        bus.ensure([TOPICS["control"]])
        bus.publish([Message("control", "brann", b"{}")])
        guarded.pause(1)
        began = time.monotonic()
        try:
            with pytest.raises(BusError, match="no answer"):
                bus.reader(["control"])
        finally:
            guarded.resume(1)
        assert time.monotonic() - began < ANSWER_SECONDS + 2 * HANDSHAKE_SECONDS
        with closing(bus.reader(["control"])) as reader:
            assert reader.poll(10.0)


def test_a_wrong_password_ends_a_command_with_the_code_for_configuration(
    guarded: Cluster, vault: Path, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(WRONG)
    variables = {
        "URL": f"kafka://{guarded.addresses('SCRAM')}",
        "KAFKA__TLS__CA_FILE": str(vault / "ca.pem"),
        "KAFKA__SASL__USERNAME": USER,
        "KAFKA__SASL__PASSWORD_FILE": str(tmp_path / "password"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "lyttepost", "mode"],
        env={
            **os.environ,
            **{f"LYTTEPOST_BUS__{name}": value for name, value in variables.items()},
            "LYTTEPOST_DATA": str(tmp_path / "data"),
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "bus.kafka.sasl" in done.stderr
    assert WRONG not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
