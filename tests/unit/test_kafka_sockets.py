"""What a broker says before it closes is heard, though both come at once; one that says nothing is not waited for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import errors
from kafka.net import manager, transport
from kafka.net.selector import NetworkSelector

from listener.bus.kafka import client as clients
from listener.bus.kafka.client import ToTheEnd, ToTheEndUnderTls


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    broker, client = socket.socketpair()
    client.setblocking(False)
    with closing(broker), closing(client):
        yield broker, client


def test_an_answer_that_comes_with_the_end_is_given_before_it(pair: tuple[socket.socket, socket.socket]) -> None:
    broker, client = pair
    broker.sendall(b"x" * 10_000)
    broker.close()
    ours = ToTheEnd(None, client)
    assert ours._sock_recv() == (b"x" * 10_000, None)
    data, error = ours._sock_recv()
    assert data == b""
    assert "socket disconnected" in str(error)


def test_silence_is_no_end(pair: tuple[socket.socket, socket.socket]) -> None:
    assert ToTheEnd(None, pair[1])._sock_recv() == (b"", None)


def test_the_client_makes_its_connections_of_ours() -> None:
    assert manager.KafkaTCPTransport is ToTheEnd
    assert manager.KafkaSSLTransport is ToTheEndUnderTls
    assert issubclass(ToTheEndUnderTls, transport.KafkaSSLTransport)


def test_a_broker_that_takes_the_connection_and_says_nothing_is_given_up(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "HANDSHAKE_SECONDS", 0.1)
    net = NetworkSelector()
    net.start()
    ours = ToTheEndUnderTls(net, pair[1], host="localhost")
    ended: list[type[BaseException]] = []

    def ask() -> None:
        try:
            net.run(ours.handshake)
        except BaseException as error:
            ended.append(type(error))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(10)
    assert ended == [errors.KafkaTimeoutError]
    assert ours._sock.fileno() == -1
    net.close()
