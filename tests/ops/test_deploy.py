"""What is deployed: units, manifests, the image and its lock hold together, and the field's own tools accept them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import yaml
from composed import broker_services, properties
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from listener.errors import ConfigError
from listener.model.roles import ALERTS, PARTS, RUN
from listener.settings.board import check_exposed
from listener.settings.files import raw_settings
from listener.settings.hosts import is_loopback
from listener.settings.receiver import ReceiverSettings
from listener.settings.schema import load_settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
THREE = (DEPLOY / "compose.yaml", DEPLOY / "compose.kafka3.yaml")
POM = ROOT / "tests" / "kafka" / "pom.xml"
UNIT = DEPLOY / "systemd" / "lyttepost@.service"
KUBERNETES = DEPLOY / "kubernetes"
LOCK = re.compile(
    r"^(?P<name>[\w.-]+)==(?P<version>\S+)(?P<hashes>(?: \\\n +--hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE
)


def tool(name: str) -> str:
    """The path of a tool: beside this Python or of the machine. CI has them all (`pip install -e '.[deploy]'`)."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    return found or pytest.skip(f"{name} is not there: pip install -e '.[deploy]', apt install systemd")


def asked(*words: str | Path) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted(KUBERNETES.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from yaml.safe_load_all(path.read_text(encoding="utf-8"))


# --- systemd ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit as `lyttepost@all`, whose program is there."""
    text = UNIT.read_text(encoding="utf-8").replace("/opt/lyttepost/bin/lyttepost", "/bin/true")
    made = tmp_path / "lyttepost@all.service"
    made.write_text(text, encoding="utf-8")
    return made


def test_systemd_accepts_the_unit_without_a_word(unit: Path) -> None:
    # It exits with 0 on errors too.
    assert asked(tool("systemd-analyze"), "verify", unit) == ""


def test_parts_on_one_machine_can_have_a_port_each() -> None:
    files = re.findall(r"^EnvironmentFile=-(.+)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    assert files == ["/etc/lyttepost/environment", "/etc/lyttepost/environment.%i"], "the part's own counts last"


def test_the_unit_is_hardened(unit: Path) -> None:
    said = asked(tool("systemd-analyze"), "security", "--offline=yes", "--no-pager", unit)
    (exposure,) = re.findall(r"Overall exposure level.*: ([\d.]+)", said)
    assert float(exposure) <= 1.6


# --- Kubernetes ------------------------------------------------------------------------------------------------------


def test_kubernetes_accepts_every_manifest() -> None:
    for path in sorted(KUBERNETES.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            asked(tool("kubernetes-validate"), "--strict", path)


def test_kustomize_makes_one_of_them() -> None:
    made = list(yaml.safe_load_all(asked(tool("kubectl"), "kustomize", KUBERNETES)))
    assert {each["metadata"]["namespace"] for each in made} == {"lyttepost"}


def test_every_manifest_is_listed() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert sorted(listed) == sorted(
        path.name for path in KUBERNETES.glob("*.yaml") if path.name != "kustomization.yaml"
    )


def test_the_parts_that_run_there_are_all_that_are_needed() -> None:
    pods = {each["metadata"]["name"]: each["spec"] for each in manifests() if "template" in each.get("spec", {})}
    assert set(pods) == {*RUN, *PARTS[ALERTS]} - {ALERTS}
    for name, spec in pods.items():
        pod = spec["template"]["spec"]
        (container,) = pod["containers"]
        assert container["args"][:3] == ["run", "--role", name]
        assert pod["securityContext"]["runAsNonRoot"]
        assert not pod["automountServiceAccountToken"]
        for each in (container, *pod.get("initContainers", ())):
            context = each["securityContext"]
            assert context["readOnlyRootFilesystem"]
            assert not context["allowPrivilegeEscalation"]
            assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        mounted = {volume["name"] for volume in container["volumeMounts"]}
        claimed = {claim["metadata"]["name"] for claim in spec.get("volumeClaimTemplates", ())}
        assert mounted <= {volume["name"] for volume in pod["volumes"]} | claimed


# --- what they set ---------------------------------------------------------------------------------------------------

VARIABLE = re.compile(r"\bLYTTEPOST_[A-Z0-9_]+(?=[=:])")
NO_SETTINGS = {"LYTTEPOST_CONFIG", "LYTTEPOST_DATA"}


def test_every_variable_that_is_set_anywhere_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [
        path for path in DEPLOY.rglob("*") if path.suffix in {".yaml", ".service", ".md"} or path.name == "Dockerfile"
    ]
    named = {name for path in files for name in VARIABLE.findall(path.read_text(encoding="utf-8"))} - NO_SETTINGS
    assert {"LYTTEPOST_WEB__HOST", "LYTTEPOST_BUS__URL", "LYTTEPOST_X__BEARER_TOKEN_FILE"} <= named
    for name in named:
        monkeypatch.setenv(name, "~")
    wrong = []
    try:
        load_settings(raw_settings())
    except ConfigError as error:
        # A value that does not fit is not what is asked for here.
        wrong = [line for line in str(error).splitlines() if "no such setting" in line]
    assert wrong == []


def test_what_comes_in_by_the_network_there_is_listened_for(monkeypatch: pytest.MonkeyPatch) -> None:
    kustomization = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8"))
    for literal in kustomization["configMapGenerator"][0]["literals"]:
        monkeypatch.setenv(*literal.split("=", 1))
    settings = load_settings(raw_settings())
    assert settings.board is not None
    check_exposed(settings.board)
    listened: dict[str, Any] = {"metrics": settings.web, "board": settings.board, "webhooks": settings.webhooks}
    listened["receiver"] = ReceiverSettings(host="0.0.0.0")  # noqa: S104 - as the manifest says
    for each in manifests():
        for container in each.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
            for port in container["ports"]:
                its = listened[port["name"]]
                assert not is_loopback(its.host), port["name"]
                assert its.port == port["containerPort"]


# --- the image -------------------------------------------------------------------------------------------------------


COMPOSE = sorted(DEPLOY.glob("compose*.yaml"))
IMAGE = re.compile(r"^ *(?:image:|FROM) (?P<image>\S+)", re.MULTILINE)
PINNED = re.compile(r"(?P<tag>[\w./-]+:[\w.-]+)@sha256:(?P<digest>[0-9a-f]{64})")


def test_hadolint_and_the_schema_of_compose_accept_the_containers() -> None:
    asked(tool("hadolint"), DEPLOY / "Dockerfile")
    asked(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *COMPOSE)


def test_every_image_that_is_not_ours_is_named_by_tag_and_digest() -> None:
    files = [DEPLOY / "Dockerfile", *COMPOSE]
    named = {image for file in files for image in IMAGE.findall(file.read_text(encoding="utf-8"))} - {"lyttepost"}
    pinned = {image: PINNED.fullmatch(image) for image in named}
    assert [image for image, found in pinned.items() if found is None] == []
    assert len({found["tag"] for found in pinned.values() if found}) == len(named) == 5, (
        "of one tag there is one digest"
    )


def test_the_broker_that_is_deployed_is_the_one_that_is_tried() -> None:
    (tried,) = re.findall(
        r"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([\d.]+)</version>", POM.read_text("utf-8")
    )
    assert {each["image"].partition("@")[0] for each in broker_services(*THREE).values()} == {f"apache/kafka:{tried}"}


def test_three_brokers_differ_by_what_is_their_own_alone_and_each_keeps_its_data() -> None:
    for files in (THREE, (*THREE, DEPLOY / "compose.kafka3-tls.yaml")):
        brokers = broker_services(*files)
        assert list(brokers) == ["kafka", "kafka2", "kafka3"]
        asked_for = [properties(each) for each in brokers.values()]
        assert [each["node.id"] for each in asked_for] == ["1", "2", "3"]
        own = ("node.id", "broker.rack", "advertised.listeners")
        assert all(len({each[name] for each in asked_for}) == 3 for name in own)
        shared = [{key: value for key, value in each.items() if key not in own} for each in asked_for]
        assert shared[0] == shared[1] == shared[2]
        data = [volume for each in brokers.values() for volume in each["volumes"] if shared[0]["log.dirs"] in volume]
        assert data == [f"{name}:{shared[0]['log.dirs']}" for name in brokers]
        assert all(each["healthcheck"]["test"] and each["restart"] == "unless-stopped" for each in brokers.values())


def locked() -> dict[str, str]:
    text = (DEPLOY / "requirements.lock").read_text(encoding="utf-8")
    found = {canonicalize_name(each["name"]): each["version"] for each in LOCK.finditer(text)}
    assert len(found) == text.count("==")
    return found


def test_every_dependency_is_locked_within_its_range() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = locked()
    for line in (*project["dependencies"], *project["optional-dependencies"]["oidc"]):
        wanted = Requirement(line)
        if wanted.marker is None or wanted.marker.evaluate():
            assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), (
                f"{line}: is locked otherwise; run `python deploy/lock.py`"
            )


def test_the_bill_of_materials_names_what_is_locked_with_licences() -> None:
    bom = json.loads((DEPLOY / "bom.json").read_text(encoding="utf-8"))
    assert {canonicalize_name(each["name"]): each["version"] for each in bom["components"]} == locked()
    assert [each["name"] for each in bom["components"] if each["licenses"][0]["license"]["name"] == "not said"] == []


def test_the_image_installs_what_is_locked_and_nothing_else() -> None:
    said = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes --requirement /requirements.lock" in said
    assert "--no-index --no-deps /wheels/*.whl" in said


def wheel_of(source: Path, out: Path) -> set[str]:
    """What is in the wheel that is built there, by the backend alone."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out], cwd=source, capture_output=True,
        text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (made,) = out.glob("*.whl")
    return set(ZipFile(made).namelist())


@pytest.mark.slow
def test_what_is_copied_into_the_image_is_enough_for_the_whole_wheel(tmp_path: Path) -> None:
    source = tmp_path / "src"
    for line in (DEPLOY / "Dockerfile").read_text(encoding="utf-8").splitlines():
        if line.startswith("COPY "):
            *names, target = line.split()[1:]
            for name in names:
                its = source / (name if target == "./" else target)
                its.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, its, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / name, its)
    assert wheel_of(source, tmp_path / "copied") == wheel_of(ROOT, tmp_path / "whole")


def test_each_port_has_a_service_and_is_let_through() -> None:
    opened, served, passed = set(), set(), set()
    for each in manifests():
        spec = each["spec"]
        for container in spec.get("template", {}).get("spec", {}).get("containers", ()):
            opened |= {(each["metadata"]["name"], port["containerPort"]) for port in container["ports"]}
        if each["kind"] == "Service":
            part = spec["selector"]["app.kubernetes.io/component"]
            served |= {(part, port["port"]) for port in spec["ports"]}
        if each["kind"] == "NetworkPolicy":
            part = spec["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/component")
            passed |= {(part, port["port"]) for rule in spec["ingress"] for port in rule["ports"]}
    inward = {(part, port) for part, port in opened if port != 9469}
    assert len(inward) == 3
    assert inward <= served
    assert inward | {(None, 9469)} == passed
