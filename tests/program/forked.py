"""`lyttepost` as a fork of a process that has imported it: there in a moment, where a start of its own takes more than
a second of a processor. It has a session, environment, folder and files of its own, and ends as any other.

Only what an import does is there before it begins; what it reads of its environment it reads anew. The process that is
forked has one thread and ends with the one that asked for it, whoever that is; those forked from it stay.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

CAN_FORK = sys.platform == "linux"
"""Elsewhere a library of the system may not survive a fork."""
STARTS_SECONDS = 120.0
LOOK_SECONDS = 0.05
"""Who kills a process that another thread waits for is held up no longer."""
ROOT = Path(os.environ.get("SCENARIO_ROOT") or Path(__file__).parents[2])
"""Of the program."""
CODE = "import forked; forked.serve({path!r}); import lyttepost; lyttepost.main()"
"""As `python -c` of the program itself: what was forked goes on behind `serve`, at the top of the whole program."""


class Forked:
    """As much of `subprocess.Popen` as a process needs that is waited for and killed."""

    def __init__(
        self,
        args: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        out: IO[bytes],
        err: IO[bytes],
        stdin: IO[bytes] | None = None,
    ) -> None:
        """`args` are those of `lyttepost`; without `stdin` there is nothing to read."""
        self.args = tuple(args)
        self.returncode: int | None = None
        self._looking = threading.Lock()
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(str(_server()))
        order = json.dumps({"args": list(args), "env": dict(env), "cwd": str(cwd)}).encode()
        with nullcontext(stdin) if stdin else open(os.devnull, "rb") as reads:
            files = [each.fileno() for each in (reads, out, err)]
            socket.send_fds(self._line, [len(order).to_bytes(4, "big")], files)
        self._line.sendall(order)
        self.pid = self._said()

    def poll(self) -> int | None:
        return self._look(0.0)

    def wait(self, timeout: float = STARTS_SECONDS) -> int:
        deadline = time.monotonic() + timeout
        while (code := self._look(LOOK_SECONDS)) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, timeout: float) -> int | None:
        with self._looking:
            if self.returncode is None:
                with selectors.DefaultSelector() as selector:
                    selector.register(self._line, selectors.EVENT_READ)
                    if selector.select(timeout):
                        self.returncode = self._said()
                        self._line.close()
            return self.returncode

    def _said(self) -> int:
        """One number of the server."""
        return int.from_bytes(_exactly(self._line, 4), "big", signed=True)


def command(
    args: Sequence[str], env: Mapping[str, str], cwd: Path, timeout: float, stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """A command of the command line, to its end. Where nothing can be forked it is started as a person would."""
    if not CAN_FORK:
        words = [sys.executable, str(ROOT / "lyttepost.py"), *args]
        started = subprocess.run(
            words, env=dict(env), cwd=cwd, timeout=timeout, input=stdin, capture_output=True, check=False
        )
        return subprocess.CompletedProcess(args, started.returncode, started.stdout.decode(), started.stderr.decode())
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        process = Forked(args, env, cwd, out, err, given)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode())
    return subprocess.CompletedProcess(process.args, code, *said)


_starting = threading.Lock()


def _server() -> Path:
    with _starting:
        return _started()


@lru_cache(maxsize=1)
def _started() -> Path:
    """Where it listens. It ends when the kernel closes our end of its standard input."""
    folder = Path(tempfile.mkdtemp(prefix="lyttepost-forks-"))
    path, log = folder / "line", folder / "log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", CODE.format(path=str(path))],
            env={**clean, "PYTHONPATH": os.pathsep.join((str(ROOT), str(Path(__file__).parent)))},
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    atexit.register(_end, process)
    deadline = time.monotonic() + STARTS_SECONDS
    while not path.exists():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    return path


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()
    process.wait()


def _exactly(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = line.recv(count - len(data))
        if not more:
            raise EOFError("the process from which others are forked is gone")
        data += more
    return data


# --- the process that is forked --------------------------------------------------------------------------------------


def serve(path: str) -> None:
    """Fork at each call, and tell the caller the process id and then how it ended. Returns in those forked only."""
    _import_all()
    gc.collect()
    gc.freeze()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path + ".new")
    listening.listen(64)
    ended, tells = socket.socketpair()
    for each in (ended, tells):
        each.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
    lines: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    for each in (listening, ended, sys.stdin):
        selector.register(each, selectors.EVENT_READ)
    os.replace(path + ".new", path)
    while True:
        ready = {key.fileobj for key, _ in selector.select()}
        if ended in ready:
            with contextlib.suppress(BlockingIOError):
                ended.recv(4096)
            _tell(lines)
        if sys.stdin in ready:
            for name in (path, str(Path(path).with_name("log"))):
                os.unlink(name)
            os.rmdir(Path(path).parent)
            os._exit(0)
        if listening in ready:
            line, _ = listening.accept()
            order, files = _order(line)
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                selector.close()
                for its in (listening, ended, tells, line, *lines.values()):
                    its.close()
                _become(order, files)
                return
            for file in files:
                os.close(file)
            lines[pid] = line
            line.sendall(pid.to_bytes(4, "big", signed=True))


def _import_all() -> None:
    importlib.import_module("lyttepost")
    for package in ("listener", "alerts"):
        for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            importlib.import_module(module.name)


def _order(line: socket.socket) -> tuple[dict[str, Any], list[int]]:
    head, files, _, _ = socket.recv_fds(line, 4, 3)
    order: dict[str, Any] = json.loads(_exactly(line, int.from_bytes(head, "big")))
    return order, files


def _tell(lines: dict[int, socket.socket]) -> None:
    while lines:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        with lines.pop(pid) as line, contextlib.suppress(OSError):
            line.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))


def _become(order: Mapping[str, Any], files: Sequence[int]) -> None:
    """What a process is given at its start, by the one that asked for it."""
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    time.tzset()
    sys.argv = ["-c", *order["args"]]
    # The one module that looks at its environment while it is imported.
    importlib.reload(importlib.import_module("listener.crashpoints"))
