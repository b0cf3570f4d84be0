"""What ops are told when something breaks: each fault on a real Kafka, Prometheus and Alertmanager, timed.

    python -m tests.bench.ops_faults [FAULT …]          a few minutes a fault; without names, all of them

Four processes (listener, annotate, judge, dispatch) with an incident open listen to a fake X that posts once a second;
mail goes to a mail server on loopback, and an officer acknowledges each minute what has reached her. Prometheus scrapes
and evaluates every ten seconds with our rules, Alertmanager pages with our example. A row: the fault, the pages that
came (seconds after the fault began), what else fired without a page, and in how many seconds after the repair
everything was quiet again without anybody's hand.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "kafka"))

from broker import Cluster, brokers  # noqa: E402

from tests.bench.leftovers import nothing_left  # noqa: E402
from tests.fakes.smtp import FakeSmtp, smtp_server  # noqa: E402
from tests.fakes.webhook import FakeWebhook, webhook_server  # noqa: E402
from tests.fakes.x import FakeX  # noqa: E402
from tests.ops.test_alertmanager import alertmanager  # noqa: E402
from tests.ops.test_prometheus import CONFIG, RULES, fetch, free_port, program, query  # noqa: E402

TOKEN = "a-token-of-no-account"
ROLES = ("listener", "annotate", "judge", "dispatch")
SETTLE = 45.0
"""Seconds after the first page in which another would come: more than Alertmanager gathers for."""
PATIENCE = 360.0

PEOPLE = """\
people:
  kari: {name: Kari, contacts: [{channel: email, target: kari@sykehus.example}]}
routes: {duty: [kari], crisis_team: [kari], ops: [kari], fallback: [kari]}
repeat_every: {critical: 1m, warning: 1m, info: 4h}
"""


RULE = """\
- {name: hashtag, type: frequency, num_events: 3, timeframe: 5m, query_key: hashtag, why: the bench, to: duty}
"""


@dataclass
class Site:
    """Everything that runs, and how to break it."""

    folder: Path
    kafka: Cluster
    x: FakeX
    smtp: FakeSmtp
    pages: FakeWebhook
    env: dict[str, str]
    prometheus: int = 0
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    def start(self, role: str) -> None:
        self.ports.setdefault(role, free_port())
        words = ["run", "--role", role, "--port", str(self.ports[role])]
        with (self.folder / f"log-{role}.txt").open("ab") as log:
            self.processes[role] = subprocess.Popen(
                [sys.executable, "-c", "import lyttepost; lyttepost.main()", *words],
                env={**self.env, "LYTTEPOST_DATA": str(self.folder / f"data-{role}")}, cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip

    def command(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", "import lyttepost; lyttepost.main()", *words],
            env={**self.env, "LYTTEPOST_DATA": str(self.folder / "data-listener")},
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode not in (0, 5):
            print(f"{words}: {done.stderr}", file=sys.stderr)
        return done.stdout

    def fired(self) -> set[str]:
        return set(query(self.prometheus, 'ALERTS{alertstate="firing"}')) - {"LyttepostDeadMan"}

    def paged(self, since: int) -> list[str]:
        """The alerts that were paged as firing, of the calls from number `since` on."""
        return [
            alert["labels"]["alertname"]
            for call in list(self.pages.seen)[since:]
            if call.path != "/deadman"
            for alert in call.json["alerts"]
            if alert["status"] == "firing"
        ]


@dataclass(frozen=True)
class Fault:
    begin: Callable[[Site], object]
    end: Callable[[Site], object]


def _start_again(role: str) -> Callable[[Site], object]:
    return lambda site: site.start(role)


def _signal(role: str, sign: signal.Signals) -> Callable[[Site], object]:
    return lambda site: site.processes[role].send_signal(sign)


def _mute(site: Site) -> None:
    """X takes every connection and says nothing on it."""
    site.x.do("hang", on="stream", hold=600.0)
    site.x.do("silence", seconds=600.0)


def _unsteady(site: Site) -> None:
    """Each connection gives one byte and then nothing, until it is given up for silent."""

    def run() -> None:
        while site.folder.joinpath("unsteady").exists():
            site.x.do("silence", seconds=25.0)
            time.sleep(1.0)

    site.folder.joinpath("unsteady").touch()
    threading.Thread(target=run, daemon=True).start()


def _heal_x(site: Site) -> None:
    site.folder.joinpath("unsteady").unlink(missing_ok=True)
    site.x.faults.heal()
    site.x.do("reset")


def _write_rules(text: str) -> Callable[[Site], object]:
    return lambda site: (site.folder / "config" / "rules" / "extra.yaml").write_text(text, encoding="utf-8")


def _drop_rules(site: Site) -> None:
    (site.folder / "config" / "rules" / "extra.yaml").unlink()


def _mail(always: str) -> Callable[[Site], object]:
    """From now on mail fails; and a hashtag that several begin to use is an alert that somebody must hear of."""

    def fail(site: Site) -> None:
        site.smtp.always = always
        tag = f"varsling{len(site.smtp.seen)}{always}"
        for number in range(8):
            site.x.post(f"Noe skjer ved Granvik sykehus #{tag}", author=f"vitne{number}")

    return fail


def _mail_works(site: Site) -> None:
    site.smtp.always = None


def _forget_targets(site: Site) -> None:
    _configure(site, [])


def _name_targets(site: Site) -> None:
    _configure(site, list(site.ports.values()))


FAULTS: dict[str, Fault] = {
    "X answers 401": Fault(lambda site: [site.x.do("refuse", status=401, on="all"), site.x.do("reset")], _heal_x),
    "X is mute": Fault(_mute, _heal_x),
    "X breaks off every 20 s": Fault(_unsteady, _heal_x),
    "the mail server refuses": Fault(_mail("550"), _mail_works),
    "the mail server hangs": Fault(_mail("hang"), _mail_works),
    "Kafka is killed": Fault(lambda site: site.kafka.kill(1), lambda site: site.kafka.start(1)),
    "the listener is killed": Fault(_signal("listener", signal.SIGKILL), _start_again("listener")),
    "the judge hangs": Fault(_signal("judge", signal.SIGSTOP), _signal("judge", signal.SIGCONT)),
    "the dispatcher is killed": Fault(_signal("dispatch", signal.SIGKILL), _start_again("dispatch")),
    "a rule file is broken": Fault(_write_rules("name: [broken\n"), _drop_rules),
    "Prometheus has lost its targets": Fault(_forget_targets, _name_targets),
}


def _configure(site: Site, ports: list[int]) -> None:
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["rule_files"] = [str(RULES)]
    config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
    config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [(site.folder / "am").read_text()]}]}]}
    (site.folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    if "prometheus" in site.processes:
        site.processes["prometheus"].send_signal(signal.SIGHUP)


def _post(site: Site, stop: threading.Event) -> None:
    number = 0
    while not stop.wait(1.0):
        number += 1
        site.x.post(f"Noe skjer ved Granvik sykehus, melding {number}", author=f"innbygger{number % 50}")


def _acknowledge(site: Site, stop: threading.Event) -> None:
    """As an officer does who gets her mails."""
    while not stop.wait(60.0):
        if site.smtp.always is None and site.kafka.runs(1):
            for alert in json.loads(site.command("alerts", "--json") or "[]"):
                site.command("alerts", "ack", alert["id"], "--by", "Kari")


@contextmanager
def running() -> Iterator[Site]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lyttepost-faults-")))
        kafka = stack.enter_context(brokers(1, jvm=("-Xmx512m",)))
        x = stack.enter_context(FakeX(bearer=TOKEN, keep_alive=10.0))
        smtp, pages = stack.enter_context(smtp_server()), stack.enter_context(webhook_server())
        config = folder / "config"
        shutil.copytree(ROOT / "config", config)
        (config / "people.yaml").write_text(PEOPLE, encoding="utf-8")
        (config / "rules" / "hashtag.yaml").write_text(RULE, encoding="utf-8")
        settings = config / "settings.yaml"
        mail = (
            f"channels:\n  email: {{host: 127.0.0.1, port: {smtp.port}, encryption: none, from: l@sykehus.example, "
            "timeout: 5}\n"
        )
        settings.write_text(
            settings.read_text(encoding="utf-8").replace("\nchannels: {}", f"\n{mail}"), encoding="utf-8"
        )
        ours = {
            "BUS__URL": kafka.url, "CONFIG": str(config), "X__BASE_URL": x.url, "X__BEARER_TOKEN": TOKEN,
            "PRIVACY__KEY_FILE": str(folder / "keys" / "pseudonym.key"),
        }  # fmt: skip
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
        env = {**clean, "PYTHONPATH": str(ROOT), **{f"LYTTEPOST_{name}": value for name, value in ours.items()}}
        site = Site(folder, kafka, x, smtp, pages, env)
        stack.callback(_end, site)
        for role in ROLES:
            site.start(role)
        manager = stack.enter_context(alertmanager(folder, pages, wait="30s"))
        (folder / "am").write_text(f"127.0.0.1:{manager}")
        _configure(site, list(site.ports.values()))
        site.prometheus = free_port()
        with (folder / "log").open("w") as log:
            site.processes["prometheus"] = subprocess.Popen(
                [
                    program("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{site.prometheus}",
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        _await(lambda: all(_answers(port) for port in site.ports.values()), 90, "the processes answer")
        site.command("mode", "crisis", "--name", "Granvik", "--track", "granvik", "--lookback", "0s", "--why", "prøve")
        stop = threading.Event()
        for what in (_post, _acknowledge):
            threading.Thread(target=what, args=(site, stop), daemon=True).start()
        stack.callback(stop.set)
        time.sleep(60)
        _await(lambda: not site.fired(), PATIENCE, "all is quiet at first")
        yield site


def _answers(port: int) -> bool:
    try:
        return "lyttepost_build_info" in fetch(port, "/metrics")
    except OSError:
        return False


def _end(site: Site) -> None:
    for process in site.processes.values():
        process.kill()
        process.wait()


def _await(condition: Callable[[], bool], seconds: float, what: str) -> float:
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.5)
    return time.monotonic() - began


def play(site: Site, fault: Fault) -> str:
    """The row of one fault, without its name."""
    since = len(site.pages.seen)
    began = time.monotonic()
    fault.begin(site)
    pages: dict[str, float] = {}
    others: set[str] = set()
    deadline = began + PATIENCE
    while time.monotonic() < deadline:
        others |= site.fired()
        for name in site.paged(since):
            if name not in pages:
                pages[name] = time.monotonic() - began
                deadline = min(deadline, time.monotonic() + SETTLE)
        time.sleep(1.0)
    fault.end(site)
    try:
        over = f"{_await(lambda: not site.fired(), PATIENCE + 300, 'quiet again'):.0f} s"
    except TimeoutError:
        over = f"no: {', '.join(sorted(site.fired()))}"
    paged = ", ".join(f"{name.removeprefix('Lyttepost')} {after:.0f} s" for name, after in pages.items()) or "none"
    held = ", ".join(sorted(name.removeprefix("Lyttepost") for name in others - pages.keys())) or "–"
    return f"{paged} | {held} | {over}"


def main() -> None:
    wanted = sys.argv[1:] or list(FAULTS)
    if unknown := [name for name in wanted if name not in FAULTS]:
        sys.exit(f"no such fault: {', '.join(unknown)}; known: {', '.join(FAULTS)}")
    with nothing_left(), running() as site:
        print("| fault | paged, after | fired and held back | quiet again after the repair |")
        print("|---|---|---|---|", flush=True)
        for name in wanted:
            print(f"| {name} | {play(site, FAULTS[name])} |", flush=True)


if __name__ == "__main__":
    main()
