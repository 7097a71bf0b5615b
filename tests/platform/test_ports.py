"""Ports that a test holds for its processes: nobody else's, and free to listen on."""

import socket

import pytest

from serving import reserved_ports


def test_a_process_can_listen_where_a_test_holds_a_port_and_no_other_test_holds_it() -> None:
    with reserved_ports(2) as first, reserved_ports(2) as second:
        assert {first, first + 1}.isdisjoint({second, second + 1})
        for port in (first, first + 1, second, second + 1):
            with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
                pass
            with socket.socket() as another, pytest.raises(OSError, match="in use"):
                another.bind(("127.0.0.1", port))
