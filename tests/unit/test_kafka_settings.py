"""How a cluster is reached: what the settings mean, and what they are told when they mean nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from listener.errors import ConfigError
from listener.settings.files import RawSettings, packaged_config, parse_yaml
from listener.settings.kafka import KafkaSettings
from listener.settings.schema import Settings, kafka_settings, load_settings

SECRET = "very-secret-indeed"


def raw(text: str) -> RawSettings:
    file = parse_yaml(text, Path("settings.yaml"))
    return RawSettings(file.data or {}, file, {}, Path())


def kafka(text: str) -> KafkaSettings:
    """From lines as they stand under `bus.kafka`."""
    return kafka_settings(raw("bus:\n  kafka:\n" + "".join(f"    {line}\n" for line in text.splitlines())))


@pytest.mark.parametrize(
    ("text", "protocol"),
    [
        ("replication: 1", "PLAINTEXT"),
        ("tls: {enabled: true}", "SSL"),
        ("tls: {ca_file: /ca.pem}", "SSL"),
        ("tls: {cert_file: /me.pem, key_file: /me.key}", "SSL"),
        ("sasl: {username: ola, password: x}", "SASL_PLAINTEXT"),
        ("sasl: {username: ola, password: x}\ntls: {ca_file: /ca.pem}", "SASL_SSL"),
        ("sasl: {mechanism: PLAIN, username: ola, password: x}\ntls: {enabled: true}", "SASL_SSL"),
    ],
)
def test_the_protocol_follows_from_what_is_set(text: str, protocol: str) -> None:
    assert kafka(text).protocol == protocol


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tls: {cert_file: /me.pem}", "settings.yaml:3: bus.kafka.tls: cert_file and key_file belong together"),
        ("tls: {enabled: false, ca_file: /a}", "settings.yaml:3: bus.kafka.tls: enabled is false, but files are set"),
        ("sasl: {username: ola}", "settings.yaml:3: bus.kafka.sasl: username is set, but neither password nor"),
        ("sasl: {password: x}", "settings.yaml:3: bus.kafka.sasl: a password is set, but no username"),
        ("sasl:\n  mechanism: GSSAPI", "settings.yaml:4: bus.kafka.sasl.mechanism: Input should be 'SCRAM-SHA-256'"),
        ("sasl: {mechanism: PLAIN, username: o, password: x}", "settings.yaml:2: bus.kafka: sasl.mechanism PLAIN"),
        ("replication: 1\nmin_in_sync: 2", "settings.yaml:2: bus.kafka: min_in_sync is 2, but there are only 1 copies"),
        ("segment: 10ms", "settings.yaml:3: bus.kafka.segment: must be between 1s and 7d"),
        ("purge_lag: 30d", "settings.yaml:3: bus.kafka.purge_lag: must be between 1s and 7d"),
        ("buffer: 12", "settings.yaml:3: bus.kafka.buffer: must be at least 1MB"),
        ("buffer: much", "settings.yaml:3: bus.kafka.buffer: write a size like 512MB or 2GB"),
        ("replicas: 3", "settings.yaml:3: bus.kafka.replicas: no such setting"),
    ],
)
def test_a_mistake_is_reported_with_its_place_and_fix(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        kafka(text)
    assert str(caught.value).startswith(told)


@pytest.mark.parametrize(
    ("replication", "min_in_sync", "in_sync"), [(1, None, 1), (2, None, 1), (3, None, 2), (3, 1, 1), (3, 3, 3)]
)
def test_all_copies_but_one_must_be_there_unless_said_otherwise(
    replication: int, min_in_sync: int | None, in_sync: int
) -> None:
    assert KafkaSettings(replication=replication, min_in_sync=min_in_sync).in_sync == in_sync


def test_clients_get_files_and_credentials(tmp_path: Path) -> None:
    for name in ("ca.pem", "me.pem", "me.key"):
        (tmp_path / name).write_text("-")
    (tmp_path / "password").write_text(f"{SECRET}\n")
    tls = f"{{ca_file: {tmp_path}/ca.pem, cert_file: {tmp_path}/me.pem, key_file: {tmp_path}/me.key}}"
    found = kafka(f"tls: {tls}\nsasl: {{username: ola, password_file: {tmp_path}/password}}")
    assert found.client() == {
        "security_protocol": "SASL_SSL",
        "ssl_cafile": f"{tmp_path}/ca.pem",
        "ssl_certfile": f"{tmp_path}/me.pem",
        "ssl_keyfile": f"{tmp_path}/me.key",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "ola",
        "sasl_plain_password": SECRET,
    }
    assert KafkaSettings().client() == {"security_protocol": "PLAINTEXT"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("tls: {ca_file: /nowhere/ca.pem}", "bus.kafka.tls.ca_file: /nowhere/ca.pem cannot be read"),
        ("sasl: {username: o, password_file: /nowhere/p}", "bus.kafka.sasl.password_file: /nowhere/p cannot be read"),
        (
            "sasl: {username: o, password: x, password_file: /p}",
            "bus.kafka.sasl.password and bus.kafka.sasl.password_f",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_named(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        kafka(text).client()
    assert str(caught.value).startswith(told)


def test_no_password_is_shown() -> None:
    settings = load_settings(raw(f"bus: {{kafka: {{sasl: {{username: ola, password: {SECRET}}}}}}}"))
    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()
    for broken in ("username: 1", "mechanism: X", "usrname: ola"):
        with pytest.raises(ConfigError) as caught:
            kafka(f"sasl: {{password: {SECRET}, {broken}}}")
        assert SECRET not in str(caught.value)


@pytest.mark.parametrize(("text", "size"), [("512MB", 512 << 20), ("2 gb", 2 << 30), ("1048576", 1 << 20)])
def test_a_size_is_read_as_it_is_written(text: str, size: int) -> None:
    assert kafka(f"buffer: {text}").buffer == size


def test_the_packaged_settings_say_the_defaults() -> None:
    text = (packaged_config() / "settings.yaml").read_text(encoding="utf-8")
    shown: Any = parse_yaml(text, Path("settings.yaml")).data["bus"]["kafka"]
    assert KafkaSettings.model_validate(shown) == KafkaSettings()
    assert shown.keys() == KafkaSettings.model_fields.keys()
    assert (shown["purge_lag"], KafkaSettings().segment) == ("1h", timedelta(hours=1))


def test_a_command_that_needs_the_bus_stumbles_over_nothing_else() -> None:
    broken = raw("bus: {kafka: {replication: 3}}\nweb: {port: nonsense}\n")
    assert kafka_settings(broken).replication == 3
    assert kafka_settings(raw("language: nb\n")) == Settings().bus.kafka
