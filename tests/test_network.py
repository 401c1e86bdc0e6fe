"""No test reaches another machine, and every one reaches a server of its own."""

from __future__ import annotations

import socket

import pytest
from pytest_socket import SocketConnectBlockedError


def test_another_machine_is_out_of_reach() -> None:
    """A connection to an address that is not loopback is refused before a packet leaves."""
    with pytest.raises(SocketConnectBlockedError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)


def test_loopback_is_within_reach() -> None:
    """A server on 127.0.0.1 answers."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname(), timeout=5) as client,
    ):
        accepted, address = server.accept()
        with accepted:
            assert address == client.getsockname()
