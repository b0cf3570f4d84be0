"""The web port, over real sockets: what it answers, and what no client can do to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from listener.clock import SystemClock
from listener.errors import ConfigError
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.web import (
    DEADLINE_SECONDS,
    MAX_CONNECTIONS,
    OLD_PLAIN,
    OPEN_METRICS,
    PLAIN,
    Web,
    preferred,
)

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


OLD, NEW, OPEN = "text/plain; version=0.0.4", "text/plain; version=1.0.0", "application/openmetrics-text; version=1.0.0"


@pytest.mark.parametrize(
    ("accept", "served_as"),
    [
        ("text/plain;version=x.y.z", OLD),
        ("text/plain;version=", OLD),
        ("text/plain;version", OLD),
        ("text/plain;version=1.0.0", NEW),
        ("text/plain;version=1.0.0.dev1+local", OLD),
        ("text/plain;version=0.0.4;q=1, application/openmetrics-text;version=1.0.0;q=0.5", OLD),
        ("text/plain;version=0.0.4;q=0.4, application/openmetrics-text;version=1.0.0;q=0.5", OPEN),
        ("application/openmetrics-text;version=1.0.0;q=0", OLD),
        ("application/openmetrics-text", OPEN),
        ("application/openmetrics-text;version=x", OLD),
        ("application/openmetrics-text;version=99999999999999999999.0", OLD),
        ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=nan,*/*;q=1e999", OPEN),
        ("application/openmetrics-text;version=1.0.0;escaping=nonsense", OPEN),
        ("APPLICATION/OpenMetrics-Text ; Version=1.0.0", OPEN),
        (
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;q=0.5,*/*;q=0.2",
            OPEN,
        ),
        ("application/vnd.google.protobuf;encoding=delimited", OLD),
        ("*/*", OLD),
        ("text/*;q=0.1", OLD),
        ("image/png", OLD),
        ("", OLD),
        (",", OLD),
        (";;;===,,;q=,", OLD),
        ("text/plain;version=1.0.0\xe5\xff", OLD),
        ("æøå;version=ø", OLD),
        ("text/plain;" + "a=b;" * 8000, OLD),
        ("," * 30_000, OLD),
    ],
)
def test_whatever_a_client_accepts_it_gets_metrics(served: Served, accept: str, served_as: str) -> None:
    data = b"GET /metrics HTTP/1.1\r\nAccept: " + accept.encode("latin-1", "replace") + b"\r\n\r\n"
    head, _, body = read_all(raw(served.web.port, data)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK")
    (said,) = (line for line in head.decode("ascii").split("\r\n") if line.startswith("Content-Type: "))
    assert said.startswith(f"Content-Type: {served_as}")
    assert b"lyttepost_build_info" in body


def test_two_accept_lines_and_a_folded_one_are_one_answer(served: Served) -> None:
    for lines in (
        b"Accept: image/png\r\nAccept: text/plain;version=1.0.0",
        b"Accept: text/plain;\r\n version=\r\n X: 1",
    ):
        answer = read_all(raw(served.web.port, b"GET /metrics HTTP/1.1\r\n" + lines + b"\r\n\r\n"))
        head = answer.partition(b"\r\n\r\n")[0]
        assert head.startswith(b"HTTP/1.0 200 OK")
        assert b"\r\nX: 1" not in head


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), max_size=60))
@example("application/openmetrics-text;version=1.0.0;q=.5")
def test_no_accept_header_can_make_it_fail(accept: str) -> None:
    assert preferred(accept) in (OPEN_METRICS, PLAIN, OLD_PLAIN)


def test_metrics_show_which_part_is_ready(served: Served) -> None:
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


HOSTILE = {
    "a header too long": b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 3_000_000 + b"\r\n\r\n",
    "too many headers": b"GET /metrics HTTP/1.1\r\n" + b"X: 1\r\n" * 20_000 + b"\r\n",
    "a request line too long": b"GET /" + b"a" * 3_000_000 + b" HTTP/1.1\r\n\r\n",
    "a body": b"POST /metrics HTTP/1.1\r\nContent-Length: 2000000\r\n\r\n" + b"b" * 2_000_000,
    "a chunked body": b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"5\r\nhello\r\n" * 9_000,
    "no header name": b"GET /nowhere HTTP/1.1\r\n: : :\r\n\xff\xfe\r\n\r\n",
    "zeros": bytes(5000) + b"\r\n\r\n",
    "an old protocol": b"POST /metrics\r\n\r\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_requests_are_refused_with_an_answer_that_arrives(served: Served, data: bytes) -> None:
    client = socket.create_connection(("127.0.0.1", served.web.port), timeout=5)
    with contextlib.suppress(ConnectionError):
        client.sendall(data)
    answer = read_all(client)
    assert answer.startswith(b"HTTP/1.0 4"), answer[:80]
    assert ask(served.web.port, "/metrics")[0] == 200


@pytest.mark.parametrize(
    "data", [b"GET /metrics HTTP/1.0\r\n\r\n", b"GET /metrics\r\n\r\n", b"HEAD /metrics HTTP/1.1\r\nA: b\r\n\r\n"]
)
def test_old_and_short_requests_are_answered(served: Served, data: bytes) -> None:
    assert read_all(raw(served.web.port, data)).startswith(b"HTTP/1.0 200 OK")


@pytest.mark.parametrize("half", [b"", b"G", b"GET", b"GET /metrics HTTP/1.1", b"GET /metrics HTTP/1.1\r\nAccept: te"])
def test_half_a_request_costs_nobody_anything(served: Served, half: bytes) -> None:
    client = raw(served.web.port, half)
    client.shutdown(socket.SHUT_WR)
    read_all(client)
    assert ask(served.web.port, "/metrics")[0] == 200


def test_slow_clients_do_not_hold_up_others(served: Served) -> None:
    slow = [raw(served.web.port, b"GET /metrics HTTP/1.1\r\nX-Slow: ") for _ in range(MAX_CONNECTIONS // 2)]
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
    crowd = [raw(served.web.port, b"GET /metrics HTTP/1.1\r\n") for _ in range(MAX_CONNECTIONS + 1)]
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


def test_a_port_in_use_is_a_setting_to_fix(served: Served) -> None:
    with pytest.raises(ConfigError, match=rf"web\.port: .* port {served.web.port}: Address already in use; stop .*"):
        Web(served.metrics, served.health, port=served.web.port)


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("127.0.0.1", 70_000), ("no such host.invalid", 0)])
def test_an_address_that_cannot_be_had_is_a_setting_to_fix(served: Served, host: str, port: int) -> None:
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
    assert "the web port could not answer: RuntimeError at test_web.py:" in caplog.text
    assert "Traceback" not in caplog.text
