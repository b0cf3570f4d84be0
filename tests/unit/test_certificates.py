"""When a certificate ends, as OpenSSL writes it and as it says itself; and what is none says so and breaks nothing."""

from __future__ import annotations

import ssl
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from math import isnan
from pathlib import Path

import pytest
from certificates import authority, signed
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from listener.bus.protocol import open_bus
from listener.clock import SystemClock
from listener.runtime.certificates import certificate_files, ends
from listener.runtime.health import Health
from listener.runtime.housekeeping import Housekeeping
from listener.runtime.metrics import Metrics
from listener.settings.schema import Settings


def as_openssl_says(path: Path) -> datetime:
    said = subprocess.run(
        ["openssl", "x509", "-in", path, "-noout", "-enddate"], check=True, capture_output=True, text=True
    )
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(said.stdout.strip().partition("=")[2]), UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("certificates")
    signed(authority(made), "kafka1")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "20000", "-subj", "/CN=far"),
            *("-keyout", made / "far.key", "-out", made / "far.pem"),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


@pytest.mark.parametrize("name", ["ca", "kafka1", "far"])
def test_it_ends_when_openssl_says_also_beyond_2050(folder: Path, name: str) -> None:
    path = folder / f"{name}.pem"
    assert ends(path) == as_openssl_says(path)
    assert (ends(path).year > 2050) == (name == "far")


def test_of_a_chain_the_first_to_end_counts(folder: Path) -> None:
    chain = folder / "chain.pem"
    chain.write_text("".join((folder / f"{name}.pem").read_text() for name in ("far", "ca", "kafka1")))
    assert ends(chain) == ends(folder / "kafka1.pem")


def test_a_key_or_an_empty_file_holds_no_certificate(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    for path in (folder / "ca.key", tmp_path / "empty.pem"):
        with pytest.raises(ValueError, match="no certificate"):
            ends(path)


@given(data=st.data())
def test_whatever_stands_between_the_lines_it_is_a_time_or_a_valueerror(data: st.DataObject, folder: Path) -> None:
    der = bytearray(ssl.PEM_cert_to_DER_cert((folder / "kafka1.pem").read_text()))
    cut = data.draw(st.integers(0, len(der)))
    spoilt = data.draw(st.integers(0, 120))
    der[spoilt] = data.draw(st.integers(0, 255))
    path = folder / "spoilt.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(bytes(der[:cut])))
    with suppress(ValueError):
        assert ends(path).tzinfo is UTC


def test_the_settings_name_them_and_housekeeping_shows_them(folder: Path, tmp_path: Path) -> None:
    tls = {"ca_file": str(folder / "ca.pem"), "cert_file": str(folder / "gone.pem"), "key_file": str(folder / "ca.key")}
    settings = Settings.model_validate({"bus": {"kafka": {"tls": tls}}})
    clock, metrics = SystemClock(), Metrics(CollectorRegistry(), "0")
    bus = open_bus("embedded:", tmp_path, clock, durable=False)
    keeping = Housekeeping(
        bus, [], [], clock=clock, metrics=metrics, part=Health(clock).part("keeping"), folder=tmp_path,
        certificates=certificate_files(settings),
    )  # fmt: skip
    keeping.step(0.0)
    name = "lyttepost_credential_ends_timestamp_seconds"
    ca, gone = (
        metrics.registry.get_sample_value(name, {"setting": f"bus.kafka.tls.{which}"})
        for which in ("ca_file", "cert_file")
    )
    assert ca == ends(folder / "ca.pem").timestamp()
    assert gone is not None
    assert isnan(gone)
    bus.close()
