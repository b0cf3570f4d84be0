"""What a broker says before it closes is heard, though both come at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka.net import manager, transport

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
