"""What `deploy/` gives users to start from: it names what there is, and keeps apart what must be apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.commands.run import Role
from listener.settings.files import environment
from listener.settings.schema import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OURS = ("listener", "alerts")


@pytest.fixture(scope="module")
def compose() -> Mapping[str, Any]:
    # PyYAML's own loader: compose reads `<<` as it does.
    found: Mapping[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def settings(service: Mapping[str, Any]) -> Settings:
    tree, _ = environment(service["environment"])
    return Settings.model_validate(tree)


@pytest.mark.parametrize("name", OURS)
def test_every_service_runs_its_role_with_settings_that_exist(compose: Mapping[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["command"] == ["run", "--role", Role(name).value]
    bus = settings(service).bus
    brokers = [each for each, found in compose["services"].items() if found["image"].startswith("apache/kafka:")]
    assert bus.url == "kafka://" + ",".join(f"{broker}:9092" for broker in brokers)
    assert bus.kafka.replication <= len(brokers)
    assert settings(service) == settings(compose["services"]["listener"]), "all must agree on the bus"


HINTED = re.findall(r"# (LYTTEPOST_\w+)(?:: (\S+))?", (DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("commented", "value"), HINTED)
def test_settings_that_are_only_hinted_at_exist(commented: str, value: str) -> None:
    tree, _ = environment({commented: value or "1"})
    Settings.model_validate(tree)


def test_the_broker_is_reached_where_it_says_it_is(compose: Mapping[str, Any]) -> None:
    kafka = compose["services"]["kafka"]["environment"]
    assert kafka["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://kafka:9092"
    assert "PLAINTEXT://:9092" in kafka["KAFKA_LISTENERS"].split(",")
    assert kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false", "a topic made by mistake would keep for ever"


def test_it_is_the_kafka_that_the_tests_ran_on(compose: Mapping[str, Any]) -> None:
    pom = (ROOT / "tests" / "kafka" / "pom.xml").read_text(encoding="utf-8")
    (tested,) = re.findall(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([\d.]+)</version>", pom)
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{tested}"


def test_data_and_key_are_kept_and_kept_apart(compose: Mapping[str, Any], dockerfile: str) -> None:
    mounted = {
        (name, *volume.split(":")[:2])
        for name, service in compose["services"].items()
        for volume in service.get("volumes", [])
    }
    assert {volume for _, volume, _ in mounted} == set(compose["volumes"])
    places = {name: {place for who, _, place in mounted if who == name} for name in OURS}
    data = re.search(r"LYTTEPOST_DATA=(\S+)", dockerfile)
    key = re.search(r"LYTTEPOST_PRIVACY__KEY_FILE=(\S+)/", dockerfile)
    assert data
    assert key
    assert places == {"listener": {data[1], key[1]}, "alerts": {data[1]}}
    owners = [volume for _, volume, place in mounted if place == data[1]]
    assert len(owners) == len(set(owners)), "two processes in one data folder"
    assert not key[1].startswith(data[1] + "/")


def test_ports_are_open_to_this_machine_only(compose: Mapping[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == len(OURS)
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_image_is_built_of_what_there_is(dockerfile: str) -> None:
    copied = [word for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE) for word in line.split()[:-1]]
    assert [word for word in copied if not (ROOT / word).exists()] == []
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (only,) = re.findall(r"^only-include = (\[.*\])$", project, re.MULTILINE)
    forced = re.findall(r'^"(.+)" = "listener/_', project, re.MULTILINE)
    needed = {*yaml.safe_load(only), *forced, "pyproject.toml", "README.md", "LICENSE"}
    assert [each for each in needed if not any(Path(each).is_relative_to(word) for word in copied)] == []
    assert [word for word in copied if not any(Path(each).is_relative_to(word) for each in needed)] == []


def test_the_image_does_not_run_as_root(dockerfile: str) -> None:
    assert re.findall(r"^USER (.+)$", dockerfile, re.MULTILINE) == ["lyttepost"]
