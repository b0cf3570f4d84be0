"""Names of brokers, where a name server takes its time, fails, or does not answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from listener.bus.kafka.addresses import Addresses, AddressInfo

WAIT = 0.1
ONE: list[AddressInfo] = [(2, 1, 6, "", ("10.0.0.1", 9092))]
TWO: list[AddressInfo] = [(2, 1, 6, "", ("10.0.0.2", 9092))]


class NameServer:
    """Answers what it is told to, once it may."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.says: list[AddressInfo] | OSError = ONE
        self.asked = 0

    def ask(self, host: str, port: int) -> list[AddressInfo]:
        self.asked += 1
        self.answers.wait(30)
        if isinstance(self.says, OSError):
            raise self.says
        return self.says


@pytest.fixture
def server() -> Iterator[NameServer]:
    made = NameServer()
    yield made
    made.answers.set()


def test_what_is_answered_in_time_is_used_and_asked_anew_each_time(server: NameServer) -> None:
    addresses = Addresses(server.ask, WAIT)
    assert addresses.find("kafka", 9092) == ONE
    server.says = TWO
    assert addresses.find("kafka", 9092) == TWO


def test_while_no_name_server_answers_nobody_waits_long_and_what_was_known_is_used(server: NameServer) -> None:
    addresses = Addresses(server.ask, WAIT)
    addresses.find("kafka", 9092)
    server.answers.clear()
    began = time.monotonic()
    assert [addresses.find("kafka", 9092) for _ in range(50)] == [ONE] * 50
    assert addresses.find("other", 9092) == []
    assert time.monotonic() - began < 10 * WAIT
    # Asked once, however many wait for it.
    assert server.asked == 3


def test_who_was_slow_is_believed_the_next_time(server: NameServer) -> None:
    addresses = Addresses(server.ask, WAIT)
    server.answers.clear()
    assert addresses.find("kafka", 9092) == []
    server.answers.set()
    deadline = time.monotonic() + 5
    while addresses.find("kafka", 9092) != ONE:
        assert time.monotonic() < deadline


@pytest.mark.parametrize(("number", "found"), [(socket.EAI_AGAIN, ONE), (socket.EAI_NONAME, [])])
def test_that_nobody_could_be_asked_is_no_answer_and_that_there_is_no_such_name_is_one(
    server: NameServer, number: int, found: list[AddressInfo]
) -> None:
    addresses = Addresses(server.ask, WAIT)
    addresses.find("kafka", 9092)
    server.says = socket.gaierror(number, "no")
    assert addresses.find("kafka", 9092) == found


def test_names_of_this_machine_are_found() -> None:
    assert ("127.0.0.1", 80) in [each[4][:2] for each in Addresses().find("localhost", 80)]
