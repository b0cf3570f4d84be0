"""Platforms call us: a call is answered well once it is durable, and never before; what is not theirs is refused."""

from __future__ import annotations

import logging
import socket
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from pydantic import SecretStr
from webhooks_support import SECRET, TOKEN, TRACK, Machine

from listener.bus.scan import scan_records
from listener.model.incidents import Action
from listener.runtime.checks import Check, CheckLevel
from listener.settings.webhooks import WebhooksSettings
from listener.webhooks import application, worker
from listener.webhooks.doctor import examine_webhook
from listener.webhooks.meta import handshake_of, signature_of


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr("listener.bus.sqlite.store.BUSY_SECONDS", 0.05)
    machine = Machine(tmp_path).up()
    machine.switch(Action.OPEN)
    yield machine
    machine.stop()


@contextmanager
def cut_off(folder: Path) -> Iterator[None]:
    """Another program keeps the log locked."""
    with closing(sqlite3.connect(folder / "bus.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")


def test_the_handshake_is_answered_to_who_knows_the_word_and_to_nobody_else(here: Machine) -> None:
    ask = f"/town?hub.mode=subscribe&hub.verify_token={TOKEN.get_secret_value()}&hub.challenge="
    assert here.ask("GET", f"{ask}1158201444") == (200, b"1158201444")
    for wrong in (
        "/town?hub.mode=subscribe&hub.verify_token=feil&hub.challenge=1",
        "/town?hub.mode=subscribe&hub.challenge=1",
        "/town",
        f"{ask.replace('subscribe', 'unsubscribe')}1",
        f"{ask}%3Cscript%3E",
    ):
        assert here.ask("GET", wrong) == (401, b"")
    assert (here.count("handshake"), here.count("refused")) == (1, 5)


def test_there_is_nothing_else_on_the_port(here: Machine) -> None:
    for path in ("/", "/metrics", "/readyz", "/instagram", "/town/", "/town/x", "/../town", "//town"):
        assert here.ask("GET", path) == (404, b"") or here.ask("GET", path)[0] == 404
        assert here.ask("POST", path, b"{}")[0] in (404, 405)
    assert here.ask("PUT", "/town", b"{}")[0] == 405
    assert here.ask("DELETE", "/town")[0] == 405


def test_what_a_call_brought_is_on_the_bus_when_it_is_answered(here: Machine) -> None:
    for number in range(5):
        assert here.call(str(number)) == 200
        assert here.ids() == [str(each) for each in range(number + 1)]
    assert here.count("taken") == 5
    called = here.metrics.registry.get_sample_value("lyttepost_webhook_last_call_timestamp_seconds", {"source": "town"})
    assert called is not None
    assert called > 0


def test_a_thousand_changes_in_one_call_are_all_there(here: Machine) -> None:
    ids = [str(number) for number in range(1000)]
    assert here.call(*ids) == 200
    assert here.ids() == ids


def test_what_is_delivered_twice_counts_once(here: Machine) -> None:
    assert (here.call("a", "b"), here.call("b", "c"), here.call("a")) == (200, 200, 200)
    threads = [threading.Thread(target=here.call, args=("d", "e")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(here.ids()) == ["a", "b", "c", "d", "e"]


def test_a_wrong_signature_is_refused_and_nothing_is_kept(here: Machine, caplog: pytest.LogCaptureFixture) -> None:
    body = b'[{"id": "falsk", "text": "hemmelig brann i granvik"}]'
    right = signature_of(body, SECRET)
    for wrong in ("", "sha256=", right[:-1] + ("0" if right[-1] != "0" else "1"), right.upper(), right[7:], "sha1=ab"):
        assert here.send(body, wrong) == 401
    assert here.send(body + b" ", right) == 401
    assert here.ask("POST", "/town", body)[0] == 401
    assert here.count("refused") == 8
    assert here.count("taken") == 0
    assert here.ids() == []
    assert "falsk" not in caplog.text
    assert "hemmelig" not in caplog.text
    here.stop()
    assert not any(b"falsk" in file.read_bytes() for file in here.folder.rglob("*") if file.is_file())


def test_garbage_behind_a_right_signature_is_a_dead_letter_and_not_sent_for_ever(here: Machine) -> None:
    for garbage in (b"", b"{", b"\xff\xfe", b'{"object": 7}', b'[{"id": 1}]', b"[" * 5000):
        assert here.send(garbage) == 200
    dead = list(scan_records(here.bus, ["deadletters"]))
    assert len(dead) == 6
    assert here.call("etter") == 200
    assert here.ids() == ["etter"]


def test_a_body_of_ten_megabytes_is_refused_before_it_is_read(here: Machine) -> None:
    port = here.webhooks.port
    assert port is not None
    head = f"POST /town HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256={'0' * 64}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as told:
        told.sendall(f"{head}Content-Length: 10485760\r\n\r\n".encode())
        assert told.recv(100).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as drip:
        drip.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        drip.settimeout(2.0)
        sent = 0
        try:
            while sent < 64 << 20:
                drip.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                sent += 0x10000
        except OSError:
            pass
        assert sent < 32 << 20
    here.until(lambda: here.count("too_large") == 2, "both counted")
    assert here.call("etter") == 200


def test_while_the_bus_is_away_it_is_kept_on_disk_and_answered_well(here: Machine) -> None:
    with cut_off(here.folder):
        assert here.call("a") == 200
        spooled = b"".join(file.read_bytes() for file in here.folder.glob("spool-*"))
        assert b'"a"' in spooled.replace(b"\\", b"")
        assert here.call("b", "a") == 200
    here.until(lambda: sorted(here.ids()) == ["a", "b"], "brought to the bus")
    assert here.call("a", "c") == 200
    assert sorted(here.ids()) == ["a", "b", "c"]


def test_where_it_can_be_kept_nowhere_it_is_to_be_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr("listener.bus.sqlite.store.BUSY_SECONDS", 0.05)
    here = Machine(tmp_path, spool=10).up()
    here.switch(Action.OPEN)
    with cut_off(tmp_path):
        assert here.call("a") == 503
        assert here.call("a") == 503
    here.until(lambda: here.call("a") == 200, "the bus is back")
    assert here.ids() == ["a"]
    assert here.count("failed") >= 2
    here.stop()


def test_who_is_late_is_told_to_send_again_and_has_it_once(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "ANSWER_SECONDS", 0.3)
    here.pause()
    assert here.call("a") == 503
    here.paused.clear()
    here.until(lambda: here.ids() == ["a"], "kept all the same")
    monkeypatch.setattr(application, "ANSWER_SECONDS", 5.0)
    assert here.call("a") == 200
    assert here.ids() == ["a"]


def test_more_than_there_is_room_for_is_to_be_sent_again(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr("listener.webhooks.mailbox.MAX_CALLS", 2)
    here.pause()
    assert [here.call(id_) for id_ in "abc"] == [503, 503, 503]
    here.paused.clear()
    here.until(lambda: here.ids() == ["a", "b"], "what there was room for")


@contextmanager
def called_at_once(here: Machine, ids: Sequence[str]) -> Iterator[dict[str, tuple[int, str | None]]]:
    """Calls of one thing each, which come together: id → its answer's status and when to try again; all are there at
    the end. None is missing but one that was cut off."""
    answers: dict[str, tuple[int, str | None]] = {}

    def call(id_: str) -> None:
        answers[id_] = here.call_for(id_)

    threads = [threading.Thread(target=call, args=(id_,)) for id_ in ids]
    for thread in threads:
        thread.start()
    yield answers
    for thread in threads:
        thread.join()


def waiting(here: Machine) -> int:
    assert here.source.webhook is not None
    return len(here.source.webhook.mailbox)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_sixty_calls_at_once_are_all_taken(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "ANSWER_SECONDS", 60.0)
    ids = [f"{number:02}" for number in range(60)]
    here.pause()
    with called_at_once(here, ids) as answers:
        here.until(lambda: waiting(here) == 60, "all wait at once")
        here.paused.clear()
    assert answers == dict.fromkeys(ids, (200, None))
    assert sorted(here.ids()) == ids


def test_one_call_too_many_is_told_when_to_try_again(here: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr("listener.webhooks.mailbox.MAX_CALLS", 10)
    here.pause()
    with called_at_once(here, [str(number) for number in range(10)]):
        here.until(lambda: waiting(here) == 10, "the mailbox is full")
        assert here.call_for("for mye") == (503, "10")
        here.paused.clear()
    assert here.call_for("for mye") == (200, None)
    assert len(here.ids()) == 11


def test_more_bytes_than_may_be_read_at_once_are_to_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "READING", 1000)
    here = Machine(tmp_path).up()
    here.switch(Action.OPEN)
    port = here.webhooks.port
    head = f"POST /town HTTP/1.1\r\nHost: x\r\nX-Hub-Signature-256: sha256={'0' * 64}\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as half:
        half.sendall(head.encode() + b"x" * 980)
        here.until(lambda: here.call_for("a") == (503, "10"), "no room beside it")
    here.until(lambda: here.call_for("a") == (200, None), "its room is given back")
    assert here.ids() == ["a"]
    here.stop()


def test_who_dawdles_makes_room_for_who_waits_for_its_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(worker, "MAX_CONNECTIONS", 3)
    here = Machine(tmp_path).up()
    here.switch(Action.OPEN)
    here.pause()
    port = here.webhooks.port
    with called_at_once(here, ["a", "b"]) as answers:
        here.until(lambda: waiting(here) == 2, "both wait")
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as first:
                first.sendall(b"POST /town HT")
                with socket.create_connection(("127.0.0.1", port), timeout=20) as second:
                    second.sendall(b"POST /town HT")
                    with suppress(ConnectionResetError):
                        assert first.recv(1) == b"", "hung up on"
        here.paused.clear()
    assert answers == {"a": (200, None), "b": (200, None)}
    here.stop()


def test_in_calm_it_is_counted_and_no_word_of_it_is_written(here: Machine) -> None:
    here.switch(Action.CLOSE)
    assert here.call("stille", text=f"hemmeligheten i {TRACK}") == 200
    assert here.ids() == []
    dropped = here.metrics.registry.get_sample_value(
        "lyttepost_posts_dropped_total", {"source": "town", "reason": "calm"}
    )
    assert dropped == 1
    here.stop()
    files = [file.read_bytes() for file in here.folder.rglob("*") if file.is_file()]
    assert not any(b"hemmeligheten" in held or b"stille" in held for held in files)


def test_the_port_follows_the_lease_from_one_process_to_the_next(tmp_path: Path) -> None:
    first = Machine(tmp_path, "one").up()
    port = first.webhooks.port
    assert port is not None
    second = Machine(tmp_path, "two", port)
    second.until(lambda: second.part.turned, "it turns")
    assert second.webhooks.port is None
    first.switch(Action.OPEN)
    assert first.call("a") == 200
    first.stop()
    second.up()
    second.until(lambda: bool(second.worker._capture.open), "followed")
    assert (second.call("a", "b"), second.ids()) == (200, ["a", "b"])
    second.stop()


def test_a_port_that_is_taken_is_said_and_stops_nobody(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        here = Machine(tmp_path, port=taken.getsockname()[1])
        here.until(lambda: here.part.reason, "why")
        assert "webhooks.port" in (here.part.reason or "")
        assert here.worker.source.state()["state"] == "listening"
    here.up()
    assert here.part.reason is None
    here.stop()


def test_a_source_that_fails_or_is_closed_leaves_nobody_waiting(here: Machine) -> None:
    here.pause()
    assert here.source.webhook is not None
    mailbox = here.source.webhook.mailbox
    waiting = threading.Thread(target=here.call, args=("a",))
    waiting.start()
    here.until(lambda: len(mailbox) == 1, "it waits")
    mailbox.close()
    waiting.join(5.0)
    assert not waiting.is_alive()
    here.until(lambda: here.count("failed") == 1, "counted")


def test_no_log_holds_a_word_of_a_call(here: Machine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    here.call("a", text=f"hemmelig {TRACK}")
    here.send(b'{"hemmelig": 1')
    here.send(b'{"hemmelig": 1}', "sha256=" + "0" * 64)
    here.ask("GET", "/town?hub.mode=subscribe&hub.verify_token=hemmelig&hub.challenge=1")
    for word in ("hemmelig", SECRET.get_secret_value(), TOKEN.get_secret_value()):
        assert word not in caplog.text


def asked(here: Machine, url: str | None, word: str = TOKEN.get_secret_value(), *, running: bool = True) -> Check:
    settings = WebhooksSettings.model_construct(host="127.0.0.1", port=here.webhooks.port or 0, url=url)
    return examine_webhook("town", settings, handshake_of(SecretStr(word)), 5.0, running=running)


def test_doctor_tries_what_the_outside_must_reach(here: Machine) -> None:
    url = f"http://127.0.0.1:{here.webhooks.port}"
    assert asked(here, url).level is CheckLevel.OK
    assert "another word" in asked(here, url, "feil").says
    assert asked(here, f"{url}/annet").level is CheckLevel.FAILED
    assert asked(here, None).level is CheckLevel.WARNING
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        away = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    assert "does not answer from here" in asked(here, away).says
