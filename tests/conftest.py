"""Kafka for every test that asks for it, and how many tests run at a time.

One broker serves the whole run, whatever the number of workers; three serve those that break things.
"""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, NoReturn

import jars
import pytest
import stand_in
from broker import Cluster, brokers
from choice import Choice, Kind, choose
from examples import examples
from hypothesis import HealthCheck, settings
from shared import shared_cluster, shared_folder, shared_stand_in

# How long an example takes is the machine's business; Hypothesis else fails one that takes a fifth of a second.
PATIENT = "patient"
settings.register_profile(PATIENT, examples(100, deadline=None, suppress_health_check=[HealthCheck.too_slow]))
settings.load_profile(PATIENT)


SHARED: pytest.StashKey[Path] = pytest.StashKey()
WORKERS_PER_CORE = 3
"""Most of the tests' time is waiting: for brokers, for processes that start, for pauses that are part of the test."""
BUSY_PER_CORE = 1
"""Those of BUSY wait for nothing, and each further worker imports and collects them all once more."""
MOST_WORKERS = 8
MANY_STALE = 60
"""Files that were never compiled, or changed since; fewer are compiled in no time."""
BUSY = Path(__file__).parent / "unit"
BROWSER = "browser"
LONG = ("scenarios", "kafka", "contract", BROWSER)
"""The folders whose files take long, and start processes and brokers of their own."""
LONGEST = (
    *("test_soaks", "test_killed_at_points", "test_kafka_scaling", "test_stopping", "test_kafka_kills"),
    *("test_kafka_log", "test_bus_kafka", "test_kafka_away", "test_disk_full", "test_forgetting", "test_standby"),
    *("test_killed", "test_kafka_control", "test_x_refusals", "test_incidents", "test_proposal", "test_moving"),
    "test_x_soak",
)
"""Of the long files these come first, in this order: who takes minutes and begins late is waited for at the end."""
PAGES = f"tests/{BROWSER}/"
"""What looks at pages does so one file after another: each has a service and browsers, which keep others waiting."""
EARLY = 0.6
"""The share of the short files among which the long ones are dealt out: all at once, they would be late."""


def pytest_configure(config: pytest.Config) -> None:
    """The run's first process holds what its workers share."""
    # Of the thousands of tests that each worker collects none is garbage: see below.
    gc.disable()
    if handed := getattr(config, "workerinput", None):
        config.stash[SHARED] = Path(handed["shared"])
        return
    if sys.dont_write_bytecode:
        # Each of the hundreds of processes that tests start would compile the whole program. Beside the sources nothing
        # is written; the folder of the environment keeps it for the next run.
        sys.pycache_prefix = os.environ["PYTHONPYCACHEPREFIX"] = str(Path(sys.prefix) / "bytecode")
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if getattr(config.option, "tx", None):
        _compile(config)
    stack = ExitStack()
    config.stash[SHARED] = stack.enter_context(shared_folder())
    config.add_cleanup(stack.close)


def _compile(config: pytest.Config) -> None:
    """Of a fresh checkout each worker would compile all that it collects, at the same time as the others: here it is
    done once, by as many as there are cores."""
    paths = {Path(argument.partition("::")[0]) for argument in config.args}
    files = sorted(file for path in paths for file in (path.rglob("test_*.py") if path.is_dir() else [path]))
    stale = [str(file.resolve()) for file in files if not _is_compiled(file)]
    if len(stale) < MANY_STALE:
        return
    cores = len(os.sched_getaffinity(0))
    collect = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-n0", "-p", "no:cacheprovider")
    env = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    begun = [
        subprocess.Popen(
            [*collect, *stale[number::cores]], env=env, cwd=config.rootpath, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for number in range(cores)
    ]  # fmt: skip
    for process in begun:
        process.wait()


def _is_compiled(file: Path) -> bool:
    """As pytest compiles it, with its asserts written anew."""
    kept = Path(cache_from_source(str(file.resolve())).removesuffix(".pyc") + f"-pytest-{pytest.__version__}.pyc")
    return kept.exists() and kept.stat().st_mtime >= file.stat().st_mtime


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["shared"] = str(node.config.stash[SHARED])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What `-n auto` is, which stands in pyproject.toml. One file is there sooner without workers."""
    paths = {Path(argument.partition("::")[0]).resolve() for argument in config.args}
    if config.option.collectonly or (len(paths) == 1 and next(iter(paths)).is_file()):
        return 0
    busy = all(path.is_relative_to(BUSY) for path in paths)
    return min(MOST_WORKERS, (BUSY_PER_CORE if busy else WORKERS_PER_CORE) * len(os.sched_getaffinity(0)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Deals out files, and the pages to one worker: in several they would wait for each other."""
    from xdist.scheduler import LoadFileScheduling

    class Files(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return PAGES if nodeid.startswith(PAGES) else super()._split_scope(nodeid)

    return Files(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A long file, some short ones, a long one; of the long ones those of LONGEST first. Last of all, when those that
    nobody asked for are gone."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    long = sorted((path for path in files if path.parent.name in LONG or path.stem in LONGEST), key=_rank)
    short = [path for path in files if path not in long]
    after = EARLY * len(short) / max(1, len(long))
    place = {path: number * after for number, path in enumerate(long)}
    place |= {path: float(number) for number, path in enumerate(short)}
    items[:] = [item for path in sorted(files, key=place.__getitem__) for item in files[path]]


def pytest_collection_finish() -> None:
    """What was collected stays to the end; looked through again and again it costs a third of the collecting.

    And Kafka's clients get random numbers of their own. One that a failed test left open goes on connecting in its own
    thread, and Hypothesis takes what it draws from everybody's generator meanwhile for a draw of the test at work.
    """
    for name, module in list(sys.modules.items()):
        if name.startswith("kafka.") and getattr(module, "random", None) is random:
            vars(module)["random"] = random.Random()
    gc.freeze()
    gc.enable()


def _rank(path: Path) -> int:
    if path.parent.name == BROWSER:
        return -1  # in one row they take longer than any other file
    return LONGEST.index(path.stem) if path.stem in LONGEST else len(LONGEST)


def _choice(lacking: str | None) -> Choice:
    return choose(os.environ, lacking, stand_in.program() is not None)


def pytest_report_header() -> str:
    return f"kafka: {_choice(jars.lacking()).says}"


def _without() -> str | None:
    """Why Apache Kafka cannot be started here, or None: its files are there now."""
    try:
        jars.fetch()
    except jars.Missing as missing:
        return str(missing)
    return None


def _none(choice: Choice) -> NoReturn:
    if choice.must:
        pytest.fail(f"kafka: {choice.says}")
    pytest.skip(f"kafka: {choice.says}")


@pytest.fixture(scope="session")
def folder_of_run(pytestconfig: pytest.Config) -> Path:
    """Shared by all workers, and gone after the run."""
    return pytestconfig.stash[SHARED]


@pytest.fixture(scope="session")
def kafka_url(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> str:
    """A broker that all share: keep apart by `?prefix=…`."""
    choice = _choice(None)
    if choice.kind is Kind.APACHE:
        choice = _choice(_without())
    match choice.kind:
        case Kind.GIVEN:
            return f"kafka://{choice.address}"
        case Kind.APACHE:
            cluster: Cluster = request.getfixturevalue("kafka_cluster")
            return cluster.url
        case Kind.STAND_IN:
            return f"kafka://{shared_stand_in(pytestconfig.stash[SHARED])}"
        case Kind.NONE:
            _none(choice)


@pytest.fixture(scope="session")
def apache_kafka() -> None:
    """Only where Apache Kafka itself can be started: skips elsewhere, and fails on CI."""
    if lacking := _without():
        _none(choose({"CI": os.environ.get("CI", "")}, lacking, has_stand_in=False))


@pytest.fixture(scope="session")
def kafka_cluster(apache_kafka: None, pytestconfig: pytest.Config) -> Cluster:
    """One node of Apache Kafka, shared by all workers."""
    return shared_cluster(pytestconfig.stash[SHARED])


@pytest.fixture(scope="module")
def three_brokers(apache_kafka: None) -> Iterator[Cluster]:
    """Three nodes, each partition on all of them, to be killed and paused; leave all three running."""
    with brokers(3) as cluster:
        yield cluster
