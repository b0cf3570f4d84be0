"""Brokers as compose files of `deploy/` have them: the very properties of their services, on loopback.

    with composed(files, tls) as cluster: …

Nothing else is changed than what a machine without containers cannot have: host names and ports are those of this
machine, and the folders of data and certificates are passing ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from broker import JVM, Cluster, Node, brokers

IMAGE = "apache/kafka"
TLS = "/etc/kafka/tls"
NO_PROPERTIES = frozenset({"KAFKA_HEAP_OPTS", "KAFKA_OPTS"})
VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")
LISTENER = re.compile(r"(?P<before>//|@|,|^)(?P<host>[\w.-]*):(?P<port>\d+)")


def merged(*files: Path) -> dict[str, Any]:
    """The services of these files, each read over the ones before it as compose does; variables have their defaults."""
    services: dict[str, Any] = {}
    for file in files:
        own = yaml.safe_load(VARIABLE.sub(r"\1", file.read_text(encoding="utf-8")))["services"]
        for name, service in own.items():
            its = dict(service)
            if extended := its.pop("extends", None):
                its = _over(merged(file.with_name(extended["file"]))[extended["service"]], its)
            services[name] = _over(services.get(name, {}), its)
    return services


def _over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(under)
    for key, value in over.items():
        if isinstance(value, dict):
            made[key] = _over(made.get(key, {}), value)
        elif key == "volumes":
            # By where they are mounted: what is mounted there once more takes its place.
            mounts = {each.split(":")[1]: each for each in (*made.get(key, ()), *value)}
            made[key] = list(mounts.values())
        else:
            made[key] = value
    return made


def broker_services(*files: Path) -> dict[str, dict[str, Any]]:
    """Name → service, of those that are brokers, in the order of their node ids."""
    found = {name: its for name, its in merged(*files).items() if its.get("image", "").startswith(f"{IMAGE}:")}
    return dict(sorted(found.items(), key=lambda each: int(each[1]["environment"]["KAFKA_NODE_ID"])))


def properties(service: Mapping[str, Any]) -> dict[str, str]:
    """The server's properties, as the image makes them of its environment: KAFKA_LOG_DIRS is log.dirs."""
    named = {name: value for name, value in service["environment"].items() if name.startswith("KAFKA_")}
    return {_property(name): value for name, value in named.items() if name not in NO_PROPERTIES}


def _property(variable: str) -> str:
    letters = {"_": ".", "__": "_", "___": "-"}
    return re.sub("_+", lambda found: letters[found[0]], variable.removeprefix("KAFKA_")).lower()


@contextmanager
def composed(files: Sequence[Path], tls: Path | None = None, *, jvm: Sequence[str] = JVM) -> Iterator[Cluster]:
    """All brokers of these files. `tls` is what is mounted where their certificates lie."""
    services = broker_services(*files)
    names = list(services)
    asked = [properties(service) for service in services.values()]
    internal = {
        found["port"]: found["name"] for found in re.finditer(r"(?P<name>\w+)://:(?P<port>\d+)", asked[0]["listeners"])
    }
    clients = {name: protocol for name, protocol in _protocols(asked[0]).items() if name != "CONTROLLER"}

    def placed(node: Node, nodes: Sequence[Node]) -> Mapping[str, object]:
        def here(found: re.Match[str]) -> str:
            whose = nodes[names.index(found["host"])] if found["host"] else node
            return f"{found['before']}127.0.0.1:{whose.ports[internal[found['port']]]}"

        made = {key: LISTENER.sub(here, value) for key, value in asked[node.number - 1].items()}
        made["log.dirs"] = str(node.data)
        return {key: value.replace(TLS, str(tls)) if tls else value for key, value in made.items()}

    with brokers(len(services), listeners=clients, jvm=jvm, properties=placed) as cluster:
        yield cluster


def _protocols(asked: Mapping[str, str]) -> dict[str, str]:
    return dict(each.split(":") for each in asked["listener.security.protocol.map"].split(","))
