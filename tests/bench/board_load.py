"""What the board bears: pages and events for many browsers, over many stories.

    python -m tests.bench.board_load [--stories 10000] [--browsers 50] [--seconds 30]

`lyttepost run --role board` on an embedded bus with an open incident and made-up findings of so many stories. Each
browser listens for events, as the board's script does, and loads the first page anew at each. Once a second something
happens: a note is written down, as another process would. Told are: how long the server took for the first page (from
the request to the first bytes of the answer, over loopback), how long after a note was durable every browser had been
told, and the process's memory and processor time. Exit code 1 where the page's 99th percentile is over 300 ms, or that
of an event over a second.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from listener.bus import hashchain
from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import SystemClock
from listener.model.decisions import DECISIONS, Note
from listener.model.incidents import Action, Command
from listener.model.records import Cue, Finding, Kind, Stance, encode
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from listener.settings.schema import Settings
from tests.bench.register import THEMES, WORDS

ROOT = Path(__file__).resolve().parents[2]
PAGE_MS, EVENT_MS = 300.0, 1000.0
PASSWORD = "et passord bare for denne maalingen"
INCIDENT = "prove-0"


def findings(stories: int) -> Iterator[Finding]:
    """Three posts a story, on average; a few stories of many."""
    chance = random.Random(1)
    texts = [" ".join(chance.choices(WORDS, k=14)) for _ in range(stories)]
    begin = datetime.now(UTC) - timedelta(hours=6)
    count = 3 * stories
    for number in range(count):
        story = number % stories if number < stories else int(chance.paretovariate(0.6)) % stories
        at = begin + timedelta(hours=6) * number / count
        kinds = chance.choice([(Kind.WISH,), (Kind.QUESTION,), (Kind.RUMOUR,), (Kind.VIEWPOINT,), (Kind.OTHER,)])
        yield Finding(
            source="x", id=f"{number:09d}", at=at, text=texts[story], author=f"a{chance.randrange(9000):06d}",
            captured_at=at, incident=INCIDENT, tracks=("prøve",), story=f"{story:016x}",
            cues=tuple(Cue(kind=kind, words=(WORDS[story % 100],)) for kind in kinds),
            themes=(THEMES[story % len(THEMES)],), stance=chance.choice(list(Stance)), language="nb",
        )  # fmt: skip


def fill(bus: Bus, stories: int) -> None:
    command = Command(
        action=Action.OPEN, at=datetime.now(UTC), by="bench", why="a measurement", name="Prøve", add=("prøve",),
        review_after=14_400,
    )  # fmt: skip
    Control(bus).append(command)
    batch: list[Message] = []
    for found in findings(stories):
        batch.append(Message("findings", found.key, encode(found)))
        if len(batch) == 2000:
            bus.publish(batch)
            batch = []
    bus.publish(batch)


class Browser(threading.Thread):
    """Listens, and loads the first page at each event."""

    def __init__(self, host: str, cookie: str) -> None:
        super().__init__(daemon=True)
        self._host = host
        self._headers = {"Cookie": cookie, "X-Live": "1"}
        self.told: list[float] = []
        self.pages: list[float] = []
        self.failed = 0
        self.over = False

    def run(self) -> None:
        listening = http.client.HTTPConnection(self._host, timeout=30)
        listening.request("GET", "/events", headers=self._headers)
        answer = listening.getresponse()
        while not self.over:
            line = answer.fp.readline()
            if not line:
                return
            if line.startswith(b"data:"):
                self.told.append(time.monotonic())
                self._load()

    def _load(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=30)
        began = time.monotonic()
        try:
            connection.request("GET", "/", headers=self._headers)
            answer = connection.getresponse()
            self.pages.append((time.monotonic() - began) * 1000)
            if answer.status != 200:
                self.failed += 1
            answer.read()
        except OSError:
            self.failed += 1
        finally:
            connection.close()


def log_in(host: str) -> str:
    """The cookie of somebody of the crisis team."""
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.request("GET", "/login")
    answer = connection.getresponse()
    cookies = [value.partition(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    found = re.search(r'name="token" value="([^"]+)"', answer.read().decode())
    if not found:
        raise SystemExit("the board has no page to log in")
    form = urlencode({"token": found[1], "name": "Kari Prøve", "password": PASSWORD, "next": "/"})
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": "; ".join(cookies)}
    connection.request("POST", "/login", form, kind)
    answer = connection.getresponse()
    answer.read()
    cookies += [value.partition(";")[0] for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    if answer.status != 303:
        raise SystemExit(f"nobody could log in: {answer.status}")
    return "; ".join(cookies)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def rss_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else float("nan")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stories", type=int, default=10_000)
    parser.add_argument("--browsers", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=30)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lyttepost-bench-") as name:
        raise SystemExit(measure(Path(name), asked.stories, asked.browsers, asked.seconds))


def measure(folder: Path, stories: int, browsers: int, seconds: int) -> int:
    data, clock, settings = folder / "data", SystemClock(), Settings()
    data.mkdir()
    env = {key: value for key, value in os.environ.items() if not key.startswith("LYTTEPOST_")}
    env |= {
        "PYTHONPATH": str(ROOT), "HOME": str(folder), "LYTTEPOST_DATA": str(data), "LYTTEPOST_BOARD__PORT": "0",
    }  # fmt: skip
    command = [sys.executable, str(ROOT / "lyttepost.py")]
    with closing(open_bus("embedded:", data, clock)) as bus:
        bus.ensure(topic_specs(1, settings.retention.keep()))
        fill(bus, stories)
        adding = [*command, "board", "user", "add", "Kari Prøve", "--role", "crisis_team", "--password-stdin"]
        subprocess.run(adding, input=PASSWORD.encode(), env=env, check=True, capture_output=True)
        running = [*command, "run", "--role", "board", "--port", "0"]
        began = time.monotonic()
        with subprocess.Popen(running, env=env, stderr=subprocess.PIPE, text=True) as process:
            try:
                return look(bus, process, browsers, seconds, began)
            finally:
                process.terminate()


def address_in(process: subprocess.Popen[str]) -> str:
    """Host and port of the board, as its process says; what else it says is thrown away."""
    host = ""
    for line in process.stderr or ():
        if found := re.search(r"The board is at http://(\S+)", line):
            host = found[1]
            break
    threading.Thread(target=lambda: [None for _ in process.stderr or ()], daemon=True).start()
    return host


def look(bus: Bus, process: subprocess.Popen[str], browsers: int, seconds: int, began: float) -> int:
    host = address_in(process)
    cookie = log_in(host)
    while True:
        connection = http.client.HTTPConnection(host, timeout=60)
        connection.request("GET", "/", headers={"Cookie": cookie})
        answer = connection.getresponse()
        size = len(answer.read())
        if answer.status == 200:
            break
        time.sleep(0.2)
    print(
        f"first page ready after {time.monotonic() - began:.1f} s, {size / 1024:.0f} KB; {rss_mb(process.pid):.0f} MB"
    )
    people = [Browser(host, cookie) for _ in range(browsers)]
    for each in people:
        each.start()
    time.sleep(3)
    for each in people:
        each.told.clear()
        each.pages.clear()
    used, since, written = cpu_seconds(process.pid), time.monotonic(), []
    for number in range(seconds):
        words = f"vi ser på sak nummer {number}"
        note = Note(at=datetime.now(UTC), by="bench", words=words, incidents=(INCIDENT,), theme=THEMES[0])
        hashchain.append(bus, DECISIONS.name, note)
        written.append(time.monotonic())
        time.sleep(max(0.0, since + number + 1 - time.monotonic()))
    time.sleep(2)
    used = (cpu_seconds(process.pid) - used) / (time.monotonic() - since)
    late = [max(next((t for t in each.told if t >= at), at + 99) - at for each in people) * 1000 for at in written]
    pages = [page for each in people for page in each.pages]
    failed = sum(each.failed for each in people)
    page, event = percentile(pages, 0.99), percentile(late, 0.99)
    print(f"{len(pages)} pages: p50 {percentile(pages, 0.5):.0f} ms, p99 {page:.0f} ms, {failed} failed")
    print(f"event on all {browsers} browsers: p50 {percentile(late, 0.5):.0f} ms, p99 {event:.0f} ms")
    print(f"memory {rss_mb(process.pid):.0f} MB, {used:.2f} of a core")
    return int(page > PAGE_MS or event > EVENT_MS or failed > 0)


if __name__ == "__main__":
    main()
