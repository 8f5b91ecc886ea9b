"""The supervisor closes the door when it tells its workers to go."""

from __future__ import annotations

import socket

import pytest
from uvicorn import Config

from service.http.supervisor import Supervisor


def test_the_door_is_closed_with_the_workers() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = listening.getsockname()
        supervisor = Supervisor(Config("service.app:create_app", factory=True), [listening])
        with socket.create_connection(address, timeout=5):
            pass
        supervisor.terminate_all()
        with pytest.raises(ConnectionRefusedError), socket.create_connection(address, timeout=5):
            pass
