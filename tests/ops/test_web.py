"""The web port, over real sockets: what it answers, and what no client can do to it."""

from __future__ import annotations

import http.client
import json
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from listener.clock import SystemClock
from listener.errors import ConfigError
from listener.health import Health
from listener.metrics import Metrics
from listener.web import DEADLINE_SECONDS, MOST_CONNECTIONS, Web

if TYPE_CHECKING:
    from tests.ops.conftest import Served


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def raw(port: int, data: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=5)
    client.sendall(data)
    return client


def read_all(client: socket.socket) -> bytes:
    """Everything until the server hangs up."""
    with client:
        out = b""
        while block := client.recv(4096):
            out += block
        return out


def test_metrics_are_served_as_text(served: Served) -> None:
    served.metrics.posts_heard.labels("x").inc(3)
    status, headers, body = ask(served.web.port, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert 'lyttepost_posts_heard_total{source="x"} 3.0\n' in body


def test_a_client_that_asks_for_openmetrics_gets_it(served: Served) -> None:
    _, headers, body = ask(served.web.port, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith("# EOF\n")


def test_metrics_tell_which_part_is_ready(served: Served) -> None:
    gone = served.health.part("recording", turns_within=None)
    served.health.part("bus", turns_within=None).problem("the disk is full")
    body = ask(served.web.port, "/metrics")[2]
    assert 'lyttepost_ready{part="bus"} 0.0' in body
    assert 'lyttepost_ready{part="recording"} 1.0' in body
    gone.leave()
    assert "recording" not in ask(served.web.port, "/metrics")[2]


def test_healthz_is_200_while_loops_turn_and_503_when_one_stands(served: Served) -> None:
    served.health.part("rules", turns_within=5).beat()
    status, headers, body = ask(served.web.port, "/healthz")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == {"ok": True, "parts": {"rules": None}}
    served.clock.advance(timedelta(seconds=6))
    status, _, body = ask(served.web.port, "/healthz")
    assert status == 503
    assert json.loads(body) == {"ok": False, "parts": {"rules": "its loop has not turned for 6 s"}}


def test_readyz_names_each_part_and_its_reason(served: Served) -> None:
    served.health.part("bus", turns_within=None).problem("disken er full på /srv/lyttepost")
    served.health.part("web", turns_within=None)
    status, headers, body = ask(served.web.port, "/readyz?verbose=1")
    assert status == 503
    assert headers["Cache-Control"] == "no-store"
    assert json.loads(body) == {"ok": False, "parts": {"bus": "disken er full på /srv/lyttepost", "web": None}}


def test_head_answers_like_get_without_the_body(served: Served) -> None:
    served.health.part("rules", turns_within=None)
    for path in ("/metrics", "/healthz", "/readyz"):
        status, headers, body = ask(served.web.port, path, "HEAD")
        assert (status, body) == (200, "")
        assert int(headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metricsx", "/../etc/passwd", "/<script>"])
def test_an_unknown_path_is_404_and_not_repeated(served: Served, path: str) -> None:
    status, headers, body = ask(served.web.port, path)
    assert (status, body) == (404, "Not Found\n")
    assert headers["Server"] == "lyttepost"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "BREW"])
def test_only_get_and_head_are_allowed(served: Served, method: str) -> None:
    status, headers, _ = ask(served.web.port, "/metrics", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", b"nonsense\r\n\r\n", b"GET / HTTP/9\r\n\r\n"]
)
def test_garbage_gets_a_plain_refusal(served: Served, data: bytes) -> None:
    answer = read_all(raw(served.web.port, data))
    assert answer.startswith((b"HTTP/1.0 4", b"HTTP/1.0 505"))
    assert ask(served.web.port, "/metrics")[0] == 200


def test_an_endless_request_line_is_cut_off(served: Served) -> None:
    client = raw(served.web.port, b"GET /" + b"a" * 70_000)
    assert b" 414 " in read_all(client).split(b"\r\n")[0]


def test_slow_clients_do_not_hold_up_others(served: Served) -> None:
    slow = [raw(served.web.port, b"GET /metrics HTTP/1.1\r\nX-Slow: ") for _ in range(MOST_CONNECTIONS // 2)]
    started = time.monotonic()
    assert ask(served.web.port, "/metrics")[0] == 200
    assert time.monotonic() - started < 1
    for client in slow:
        client.close()


def test_a_client_that_dawdles_is_hung_up_on(served: Served) -> None:
    client = raw(served.web.port, b"GET /metrics HTTP/1.1\r\nX-Slow: ")
    assert ask(served.web.port, "/metrics")[0] == 200  # the server has taken the slow one in before this one
    served.clock.advance(timedelta(seconds=DEADLINE_SECONDS + 1))
    assert read_all(client) == b""


def test_the_oldest_of_too_many_makes_room(served: Served) -> None:
    crowd = [raw(served.web.port, b"GET /metrics HTTP/1.1\r\n") for _ in range(MOST_CONNECTIONS + 1)]
    assert read_all(crowd[0]) == b""
    crowd[-1].sendall(b"\r\n")
    assert read_all(crowd[-1]).startswith(b"HTTP/1.0 200 OK")
    for client in crowd:
        client.close()


def test_nothing_is_written_for_clients_that_come_and_go(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        client = raw(served.web.port, b"GET /metrics HTTP/1.0\r\n\r\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        client.close()
    ask(served.web.port, "/metrics")
    served.web.stop()
    assert capfd.readouterr() == ("", "")


def test_it_stops_at_once_with_clients_on_the_line_and_frees_the_port() -> None:
    metrics, health = Metrics(CollectorRegistry(), version="1"), Health(SystemClock())
    web = Web(metrics, health)
    client = raw(web.port, b"GET /metrics HTTP/1.1\r\n")
    assert ask(web.port, "/metrics")[0] == 200
    started = time.monotonic()
    web.stop()
    web.stop()
    assert time.monotonic() - started < 1
    assert read_all(client) == b""
    again = Web(metrics, health, port=web.port)
    assert again.port == web.port
    again.stop()


def test_it_listens_on_this_machine_alone(served: Served) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", served.web.port), timeout=5)


def test_it_can_listen_on_ipv6(served: Served) -> None:
    try:
        web = Web(served.metrics, served.health, host="::1")
    except ConfigError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    try:
        socket.create_connection(("::1", web.port), timeout=5).close()
    finally:
        web.stop()


def test_a_port_in_use_is_a_setting_to_mend(served: Served) -> None:
    with pytest.raises(ConfigError, match=rf"web\.port: .* port {served.web.port}: Address already in use; stop .*"):
        Web(served.metrics, served.health, port=served.web.port)


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("127.0.0.1", 70_000), ("no such host.invalid", 0)])
def test_an_address_that_cannot_be_had_is_a_setting_to_mend(served: Served, host: str, port: int) -> None:
    with pytest.raises(ConfigError, match=r"web\.host, web\.port: cannot listen on"):
        Web(served.metrics, served.health, host=host, port=port)


def test_a_scrape_that_fails_is_logged_and_the_port_lives_on(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def collect(self) -> Any:
            raise RuntimeError("no metrics today")

        def describe(self) -> list[Any]:
            return []

    served.metrics.registry.register(Broken())
    with pytest.raises(http.client.RemoteDisconnected):
        ask(served.web.port, "/metrics")
    assert ask(served.web.port, "/healthz")[0] == 200
    assert "the web port could not answer" in caplog.text
